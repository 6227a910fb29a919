"""Formulas as MathML, made when the site is built: browsers show it without a script.

Those of the catalogue, plain in its source, become formulas here."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from lionk.functions.registry.formula import tex

COLUMNS = ("K", "dK", "K*", "imposes", "conjugate")  # of the catalogue's tables, that hold formulas
_convert = LatexToMathML()


def _mathml(text: str, block: bool) -> str:
    try:
        return str(_convert.convert_with_local_state(text, displaystyle=block))
    except LatexError as error:
        raise ExtensionError(f"a formula that is no TeX: {text!r}: {error}") from None


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_mathml(node.astext(), False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math") + _mathml(node.astext(), True) + "</div>")
    raise nodes.SkipNode


def _catalogue(app: Sphinx, name: str, source: list[str]) -> None:  # noqa: ARG001
    if name == "catalogue":
        lines, head = source[0].splitlines(), []
        for i, line in enumerate(lines):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)]
            if lines[i + 1 : i + 2] and lines[i + 1].startswith("| ---"):
                head = cells
            elif line.startswith("| `"):
                shown = (inline(c) if h in COLUMNS else c for h, c in zip(head, cells, strict=True))
                lines[i] = " | ".join(shown).strip()
        source[0] = "\n".join(lines)


def inline(cell: str) -> str:
    """A cell that holds `a formula`: words between formulas are text, which may be broken into lines."""
    whole = tex(cell.strip("`").replace("\\|", "|"))
    parts = re.split(r"\\text\{((?:(?<=^\\text\{)| )[^{}]*(?: |(?=\}$)))\}", whole)
    if any(p.count("{") != p.count("}") for p in parts):
        parts = [whole]
    return "".join(p if k % 2 else re.sub(r"^(.*?)((?:,\\;)?)$", _formula, p) for k, p in enumerate(parts))


def _formula(m: re.Match[str]) -> str:
    return (f"${m[1].strip()}$" if m[1].strip() else "") + m[2][:1]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _catalogue)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
