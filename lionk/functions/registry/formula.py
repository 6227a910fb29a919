r"""The plain formulas of tables and docstrings as TeX.

    >>> tex("1/2 sum x_i^2 if |y|_inf <= 1")
    '\\tfrac{1}{2}\\sum x_{i}^{2}\\text{ if }\\lvert y\\rvert_{\\infty}\\le 1'

One notation is written, and read in terminals; what shows mathematics (notebooks, the pages) gets it from here. Words
stay words. A prime is a transpose (``U V'``) unless it marks the next value, of a small letter or left of ``=``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_GREEK = {w: w for w in ("alpha", "beta", "gamma", "delta", "eta", "mu", "phi", "pi", "tau")}
_GREEK |= {"lam": "lambda", "eps": "epsilon"}
_OPERATORS = {w: w for w in ("sum", "max", "min", "log", "exp", "cos", "cosh", "sinh", "sup", "tanh", "arctan")}
_OPERATORS["atan"] = "arctan"
_FUNCTIONS = {"FY", "RMS", "Re", "argmin", "asinh", "clip", "conv", "diag", "dist", "dom", "huber", "lmo", "prox",
              "sigmoid", "sign", "softmax", "support", "trace"}  # fmt: skip
_PARAMETERS = {"bound", "cols", "lower", "lr", "rows", "threshold", "upper", "wd", "weight_decay", "dK", "dk", "df"}
_WORD = re.compile(r"[A-Za-z]{2,}_[a-z]{2,}|[A-Za-z]+(?:-[a-z]{2,})*(?:'s\b)?")
_FIXED = {
    "<=": r"\le ",
    ">=": r"\ge ",
    "!=": r"\ne ",
    "<-": r"\leftarrow ",
    "...": r"\dots ",
    "~": r"\approx ",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
}

ATOM, OPEN, OTHER = "atom", "open", "other"  # what a piece is: a space between two symbols is one in TeX, too
Piece = tuple[str, str, int]  # its TeX, what it is, where the text goes on


def tex(text: str) -> str:
    """A formula as TeX, without dollar signs."""
    out, last, i, in_bars = "", OTHER, 0, False
    while i < len(text):
        space = text[i].isspace()
        i += space
        if text[i : i + 1] == "|":
            piece, kind, i = (r"\rvert", ATOM, i + 1) if in_bars else (r"\lvert ", OPEN, i + 1)
            in_bars = not in_bars
        else:
            piece, kind, i = next(make(m) for pattern, make in _RULES if (m := pattern.match(text, i)))
        if last == ATOM and kind != OTHER and space:
            out += r"\,"
        out, last = out + piece, kind
    return out.rstrip()


def is_formula(code: str) -> bool:
    """Is this literal of a docstring mathematics, and not code? Every word has a meaning."""
    if re.search(r"""["'][\w{]|\w\.\w*[a-z]|\w=|->|``|[`\[]|_\w*_""", code) or not re.search(
        r"[|<>=+/^]|\w\(|\w \w| - |\) \w", code
    ):
        return False
    words = [(m.group(), code[m.end() :]) for m in _WORD.finditer(code)]
    return bool(words) and all(w in _PARAMETERS or _symbol(w, rest) for w, rest in words)


def _symbol(word: str, rest: str) -> str | None:
    """The TeX of a word that is a symbol before the ``rest`` of the text; None for prose."""
    if word in _GREEK:
        return f"\\{_GREEK[word]} "
    if word in _OPERATORS and not re.match(r"$| (of|over|to)\b", rest):
        return f"\\{_OPERATORS[word]} "
    if word == "grad" and rest.startswith(" f"):
        return r"\nabla "
    if word in _FUNCTIONS:
        return rf"\operatorname{{{word}}}"
    if word == "inf" and not rest.startswith(" over"):
        return r"\infty "
    article = re.match(r" ([a-z]{2,})", rest) if word == "a" else None
    letters = len(word) == 1 or (len(word) == 2 and word[0].isupper() and word[1] in "xyP")
    if word == "sqrt" and rest.startswith("("):
        return r"\sqrt"
    return word if letters and not (article and _symbol(article[1], rest[article.end() :]) is None) else None


def _word(m: re.Match[str]) -> Piece:
    """A symbol, or all the prose from here on."""
    symbol = _symbol(m.group(), m.string[m.end() :])
    if symbol:
        return symbol, OTHER if m.group() in _OPERATORS else ATOM, m.end()
    end, following = m.end(), re.compile(r"[ ,;]*( |$)").match(m.string, m.end())
    word = _WORD.match(m.string, following.end()) if following else None
    while word and _symbol(word.group(), m.string[word.end() :]) is None:
        end, following = word.end(), re.compile(r"[,;]? ").match(m.string, word.end())
        word = _WORD.match(m.string, following.end()) if following else None
    left = " " if re.search(r"[\w)\]}|'*,;] $", m.string[: m.start()]) else ""
    right = " " if m.string[end : end + 1] == " " else ""
    return rf"\text{{{left}{m.string[m.start() : end]}{right}}}".replace("_", r"\_"), OTHER, end + len(right)


def _closing(text: str, i: int) -> int:
    """Where the bracket that opens before i closes."""
    depth = 1
    while depth and i < len(text):
        depth += (text[i] in "({") - (text[i] in ")}")
        i += 1
    return i - 1


def _script(m: re.Match[str]) -> Piece:
    """``_`` or ``^`` and what follows: brackets, or a sign and a word."""
    mark, i, text = m.group(), m.end(), m.string
    if text[i] in "({":
        end = _closing(text, i + 1)
        inside = tex(text[i + 1 : end])
        return f"{mark}{{{inside if mark == '^' or text[i] == '{' else f'({inside})'}}}", ATOM, end + 1
    word = re.compile(r"-?([A-Za-z]+|\d+)|.").match(text, i)
    assert word is not None
    inside = word.group().replace("T", r"\top")
    greek = inside == "inf" or inside in _GREEK
    return f"{mark}{{{tex(inside) if greek or (len(inside) > 2 and inside.isalpha()) else inside}}}", ATOM, word.end()


def _root(m: re.Match[str]) -> Piece:
    end = _closing(m.string, m.end())
    return rf"\sqrt{{{tex(m.string[m.end() : end])}}}", ATOM, end + 1


def _as(piece: str, kind: str) -> Callable[[re.Match[str]], Piece]:
    return lambda m: (m.expand(piece), kind, m.end())


_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Piece]]] = [
    (re.compile(pattern), make)
    for pattern, make in (
        (r"(?<![\w)^/])(\d)/(\d)(?![\w^(])", _as(r"\\tfrac{\1}{\2}", ATOM)),
        (r"(?<=[A-Za-z])(?<![A-Za-z]{2})\d+|(?<=log)\d+", _as(r"_{\g<0>}", ATOM)),  # K1, b2
        (r"\d+(?=\[)", _as(r"\\mathbf{\g<0>}", ATOM)),  # 1[x > 0]
        (r"\d+(?:\.\d+)?", _as(r"\g<0>", ATOM)),
        (r"[_^](?=.)", _script),
        (r"sqrt\(", _root),
        (r"d(?=[KN|]|[fk]\()", _as(r"\\partial ", OPEN)),
        (_WORD.pattern, _word),
        (r"(?<![A-Za-z_][A-Za-z])(?<=[a-z])'(?![A-Za-z])|'(?= =)", _as("'", ATOM)),  # m' = ...
        (r"'", _as(r"^{\\top}", ATOM)),
        (r"(?<=[\w*])\*", _as("^{*}", ATOM)),
        (r"\*", _as(r"\\cdot ", OTHER)),
        (r",(?= )", _as(r",\\;", OTHER)),
        (r"<=|>=|!=|<-|\.\.\.|[{%~]", lambda m: (_FIXED[m.group()], OTHER, m.end())),
        (r"\}", _as(r"\\}", ATOM)),
        (r"<(?=\S)", _as(r"\\langle ", OPEN)),
        (r"(?<=\S)>", _as(r"\\rangle ", ATOM)),
        (r"(?<=\|)\.", _as(r"\\cdot ", ATOM)),
        (r"[)\]]", _as(r"\g<0>", ATOM)),
        (r"[(\[]", _as(r"\g<0>", OPEN)),
        (r"(?s).?", _as(r"\g<0>", OTHER)),
    )
]
