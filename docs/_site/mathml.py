"""Formulas as MathML, made when the site is built: browsers show it without a script."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

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


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
