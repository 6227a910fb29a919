"""Writes docs/catalogue.md from the registry: python docs/make_catalogue.py [--check]

``--check`` writes nothing and exits with 1 if the page is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import lionk
from lionk.arrays.newton_schulz import SETS
from lionk.conformance.report.escape import table
from lionk.functions import Entry, entry, rules

PAGE = Path(__file__).parent / "catalogue.md"
KINDS = {
    "scalar": "Scalar: a sum over all entries",
    "vector": "Vector: all entries as one vector, or groups of them",
    "matrix": "Matrix: the last two axes; leading axes are independent blocks",
    "square": "Square matrices",
    "symmetric": "Symmetric matrices: the eigenvalues of (X + X')/2",
}
INTRODUCTION = """\
# Catalogue

This page is written by `python docs/make_catalogue.py` from what is registered; do not edit it. `lionk functions
NAME` prints one row in full, and `lionk.K(NAME, ...)` builds the function.

Notation: x is the argument and y the dual one (X and Y for matrices), lam the weight decay, q = p/(p-1), s_i singular
values, the largest first, with X = U diag(s) V', w eigenvalues. K* is +inf where no case is given. "Imposes" says what
`min f(x) + K*(lam x)/lam` adds to f or demands of x. A source like [2310.05898](https://arxiv.org/abs/2310.05898) is
an arXiv number.

Traits, with the default parameters. The first word is the structure: what a value depends on together. Then, where
they hold: `not even`: K(-x) is not K(x), so minus the average of gradients must be used. `homogeneous`: K(a x) = a
K(x) for a > 0, a support function. `smooth`: dK is single-valued. `bounded`: dom K* is bounded, so decay imposes a
constraint. `open`: dom K* lacks its boundary. `composed`: dK is the rule's own selection and need not be the one of
least norm. `no prox`: prox raises NotAvailable. `linalg`, `host`: needs that extension of the namespace, or SciPy on
the host.
"""
ALGORITHMS = """\
## Named algorithms

The K that makes the Lion-K step a published optimizer, under that optimizer's name; `lionk.algorithms()` lists them.
Factors that depend on the shape of the argument (rows and columns of a matrix; out, in and k^d of a convolution
kernel) are part of K. With `polar="newton_schulz"` the polar factor comes from matrix products alone: see
`lionk.polar` for what it promises.
"""
POLAR = """\
## Newton-Schulz sets

Where a function takes `polar=`, it also takes the name of a published Newton-Schulz set. Such a set does not compute
the polar factor but comes near it. What it promises is a range: every singular value of the result is at most `reach`,
so that weight decay bounds the largest singular value of X by `reach/lam`, where the exact polar factor gives `1/lam`.
`error` says how far the singular values end from 1, for those of at least a hundredth of the norm of the readout;
`aol` scales by rows first, and small singular values may change their sign there. `bfloat16` is the largest singular
value that was seen in that format, and `inf` says that some matrices diverged. As `polar=`, a set is computed in at
least 32 bits. `NAME:gram` is the same set from Gram matrices.
"""
RULES = """\
## Rules

Functions that take functions, in a spec, as methods of a K, or from `lionk.functions`; so `2 * K`, `K1 + K2`,
`K.moreau(mu)`.
"""


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"docs/{PAGE.name} is out of date; run: python docs/{Path(__file__).name}", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    parts = [INTRODUCTION, f"## Functions\n\n{len(lionk.names())} names.\n"]
    entries = [entry(n) for n in lionk.names()]
    parts += [f"### {title}\n\n{functions([e for e in entries if e.kind == kind])}" for kind, title in KINDS.items()]
    assert {e.kind for e in entries} <= set(KINDS), "a kind of function has no section"
    parts += [ALGORITHMS, functions([entry(n) for n in lionk.algorithms()])]
    columns = [(code(e.name), code(signature(e)), code(e.formula), code(e.conjugate)) for e in map(entry, rules())]
    sets = [
        (
            f'`polar="{s.name}"`',
            f"`{s.reach:.4g}/lam`",
            f"{s.error:.2g}",
            f"{s.half:g}",
            str(len(s.steps)),
            linked(s.source),
        )
        for s in SETS.values()
    ]
    parts += [POLAR, rows(("set", "bound on s_1(X)", "error", "bfloat16", "steps", "source"), sets)]
    parts += [RULES, rows(("rule", "parameters", "K", "conjugate"), columns)]
    return "\n".join(parts)


def functions(entries: list[Entry]) -> str:
    head = ("name", "parameters", "K", "dK", "K*", "imposes", "traits", "source")
    return rows(head, [row(e) for e in entries])


def row(e: Entry) -> tuple[str, ...]:
    texts = (e.formula, e.subgradient, e.conjugate, e.constraint)
    return (f"`{e.name}`", code(signature(e)), *map(code, texts), traits(e.name), linked(e.source))


def linked(source: str) -> str:
    return re.sub(r"\b(\d{4}\.\d{4,5})\b", r"[\1](https://arxiv.org/abs/\1)", source)


def rows(head: tuple[str, ...], cells: list[tuple[str, ...]]) -> str:
    return "\n".join(table(head, cells)) + "\n"


def code(text: str) -> str:
    return "`" + text.replace("|", r"\|") + "`" if text else ""


def signature(e: Entry) -> str:
    shown = (p if d is inspect.Parameter.empty else f"{p}={d!r}" for p, d in e.parameters.items())
    return ", ".join(shown).replace("'", '"')


def traits(name: str) -> str:
    k = lionk.K(name).traits
    said = {
        k.structure: True,
        "not even": not k.even,
        "homogeneous": k.homogeneous,
        "smooth": k.smooth,
        "bounded": k.bounded_domain,
        "open": k.open_domain,
        k.selection: k.selection != "min_norm",
        "no prox": not k.prox,
        "host": k.host,
        **dict.fromkeys(k.needs, True),
    }
    return ", ".join(word for word, holds in said.items() if holds)


if __name__ == "__main__":
    sys.exit(main())
