"""What the cells of a column say: numbers of many spellings, yes and no, dates, or nothing.

Every function takes a pandas Series of texts, stripped of outer spaces, without the empty ones.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Series = Any
Array = Any
POINT, COMMA = ".", ","

# What statistics programs, databases and spreadsheets write where they have no value.
_WORDS = "na n/a n.a n.a. #n/a #na #div/0! #ref! #value! #name? #num! #null! <na> nan -nan null none nil nat missing"
_SIGNS = "? . - -- --- \u2013 \u2014"
MISSING = frozenset(["", *_WORDS.split(), *_SIGNS.split(), "0000-00-00", "0000-00-00 00:00:00"])
FLAGS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on"))

BAD = 0.05  # of the cells of a column of numbers or dates, what is none is a mistake; more of them make texts

_EXPONENT = r"(?:e[+-]?\d+|d[+-]\d+)?"  # d in Fortran
_SPECIAL = r"[+-]?inf(?:inity)?"
_GROUPS = {POINT: COMMA, COMMA: POINT}  # thousands, by what marks the decimals
_SPACES = " '\u2019\u00a0\u2009\u202f"  # thousands in either case


def _number(point: str) -> str:
    p, whole = re.escape(point), r"[1-9]\d{0,2}"
    plain = rf"(?:\d+(?:{p}\d*)?|{p}\d+){_EXPONENT}"
    grouped = rf"{whole}(?:(?:[{_GROUPS[point]}]\d{{3}})+|(?:[{_SPACES}]\d{{3}})+)(?:{p}\d*)?"
    lakhs = r"[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d*)?|" if point == POINT else ""  # as 12,34,567 in India
    return rf"[+-]?(?:{grouped}|{lakhs}{plain})|{_SPECIAL}"


NUMBER = {point: re.compile(_number(point), re.IGNORECASE) for point in (POINT, COMMA)}
# What stands before a number, or after it: a currency, a percent sign, a unit such as kg or km/h.
_MONEY = "$\u00a2\u20a0-\u20c0£¥"
_BESIDE = (
    re.compile(rf"^[(+\u2212\u2013-]?\s*([A-Z]{{0,2}}[{_MONEY}]|[A-Z]{{3}}(?= ))"),
    re.compile(rf"(?<=[\d.,])\s?([{_MONEY}%‰°℃℉]|°?[^\W\d_]{{1,8}}(?:[/^·][^\W_]{{1,5}})*)\)?$"),
)


@dataclass(frozen=True)
class Numbers:
    """Texts read as numbers. ``point``: what marks the decimals; ``symbol``: a currency, % or unit of all cells."""

    values: Array  # float64, NaN where a cell is no number
    good: Array  # bool
    point: str
    symbol: str = ""


def missing(texts: Series) -> Array:
    """Which cells have no value, bool."""
    return np.fromiter((t.lower() in MISSING for t in texts.tolist()), dtype=bool, count=len(texts))


def numbers(texts: Series, point: str) -> Numbers:
    """Texts as numbers, with this mark of the decimals."""
    return _numbers(*_bare(texts.tolist()), point)


def _numbers(bare: list[str], symbol: str, point: str) -> Numbers:
    is_number = NUMBER[point].fullmatch
    good = np.fromiter((is_number(t) is not None for t in bare), dtype=bool, count=len(bare))
    without = str.maketrans({point: POINT, "d": "e", "D": "e", **dict.fromkeys(_GROUPS[point] + _SPACES)})
    values = [float(t.translate(without)) if fits else np.nan for t, fits in zip(bare, good.tolist(), strict=True)]
    return Numbers(np.asarray(values, dtype=float), good, point, symbol)


def few(wrong: int, of: int) -> bool:
    """May so many cells of a column be mistakes, so that the others tell what it holds?"""
    return wrong <= max(1, BAD * of) and 2 * wrong < of


def _bare(texts: list[str]) -> tuple[list[str], str]:
    """The texts with plain signs, without the currency, percent sign or unit that they have; and that symbol.

    One that lacks the symbol of the others becomes "", which is no number.
    """
    symbol = next(filter(None, (_common(pattern, texts) for pattern in _BESIDE)), "")
    if not symbol:
        return [t if t[:1].isdigit() else _signed(t) for t in texts], ""
    return [_signed(t.replace(symbol, "", 1)) if symbol in t else "" for t in texts], symbol


def _common(pattern: re.Pattern[str], texts: list[str]) -> str:
    """What the pattern finds in all texts but a few, if it finds nothing else, else ""."""
    if not any(map(pattern.search, texts[:2])):
        return ""
    found = Counter(m[1] for t in texts if (m := pattern.search(t)))
    symbol, times = next(iter(found.items()))
    return symbol if len(found) == 1 and (times == len(texts) or few(len(texts) - times, len(texts))) else ""


def _signed(text: str) -> str:
    """The text with a plain minus where it has a typeset one, or brackets, in which accountants put what is below 0."""
    text = text.strip().replace("\u2212", "-", 1).replace("\u2013", "-", 1)
    if text.startswith("(") and text.endswith(")"):
        text = "-" + text[1:-1].strip()
    return text[0] + text[1:].lstrip() if text[:1] in ("+", "-") else text


def either(texts: Series) -> dict[str, Numbers]:
    """Texts as numbers, with each mark of the decimals."""
    bare, symbol = _bare(texts.tolist())
    return {p: _numbers(bare, symbol, p) for p in (POINT, COMMA)}


def decimal(found: dict[str, Numbers]) -> str | None:
    """What must mark the decimals of this column: a point, a comma, or None where the cells do not tell."""
    fits = {p: bool(n.good.all()) for p, n in found.items()}
    if fits[POINT] != fits[COMMA]:
        return POINT if fits[POINT] else COMMA
    return None


def ambiguous(found: dict[str, Numbers]) -> bool:
    """Are all cells numbers with either mark, and other numbers with the other, as ``1,234``?"""
    a, b = found.values()
    return bool(a.good.all() and b.good.all() and not np.array_equal(a.values, b.values))


def flags(texts: Series) -> tuple[str, str] | None:
    """The pair of words for no and yes that all cells are taken from, or None."""
    seen = set(texts.str.lower().unique())
    return next((pair for pair in FLAGS if seen <= set(pair)), None)


# -- dates -------------------------------------------------------------------------------------------------------

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y",
         "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%a, %d %b %Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%m/%Y",
         "%Y%m%d")  # fmt: skip
_BEGIN = {"%d": True, "%m": False}  # is the day first?
_EITHER = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"), ("%d/%m/%y", "%m/%d/%y"))
_GERMAN = ("%d.%m.%Y", "%d.%m.%y")
CLOCK = ("%H:%M", "%H:%M:%S", "%I:%M %p")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %Z", " %H:%M:%S.%f %Z")
_ISO = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?)?")
OFFSET = re.compile(r":\d\d\S*\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$")  # of a time from UTC
COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")  # 20240131
_WORDS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*|[ap]m|utc|gmt|t|z"
DATE_LIKE = re.compile(  # what else is not worth the trial of all formats
    rf"(?=.*\d)(?=.{{4,40}}$)(?:[\d ,./:+-]|(?<![a-z])(?:{_WORDS})(?![a-z]))+", re.IGNORECASE
)


def date_formats(texts: Series) -> list[str]:
    """The formats in which every cell is a date; two where day and month cannot be told apart, none for no dates."""
    if not texts.str.fullmatch(DATE_LIKE).all():
        return []
    if texts.str.fullmatch(_ISO).all() and _parses(texts, "ISO8601"):
        return ["ISO8601"]
    sample = texts.iloc[:20]
    for form in CLOCK:
        if _parses(sample, form) and _parses(texts, form):
            return [form]
    for family in (*((day,) for day in (*_DAYS, *_GERMAN)), *_EITHER):
        for time in _TIMES:
            fits = [day + time for day in family if _parses(sample, day + time) and _parses(texts, day + time)]
            if fits:
                return fits if len(fits) < 2 or not _same(texts, *fits) else fits[:1]
    return []


def usual_format(texts: Series) -> str:
    """The format in which the most of these cells are dates, as some of them tell; "" for no dates."""
    told = {form for text in texts.drop_duplicates().iloc[:6] for form in date_formats(pd.Series([text], dtype=str))}
    return max(sorted(told), key=lambda form: int((~np.isnan(days(texts, form))).sum()), default="")


def day_first(form: str) -> bool | None:
    """Does the day come before the month in dates of this format? None: they can be told apart without that."""
    ambiguous = any(form.startswith(days) for pair in _EITHER for days in pair)
    return _BEGIN.get(form[:2]) if ambiguous else None


def _parses(texts: Series, form: str) -> bool:
    return bool(pd.to_datetime(texts, format=form, errors="coerce", utc=True).notna().all())


def _same(texts: Series, a: str, b: str) -> bool:
    first, second = (pd.to_datetime(texts, format=form, utc=True) for form in (a, b))
    return bool((first == second).all())


def days(texts: Series, form: str) -> Array:
    """Dates as days since 1970, float64; NaN where a cell is no date of this format."""
    return since_1970(pd.to_datetime(texts, format=form, errors="coerce", utc=True))


def since_1970(dates: Series) -> Array:
    """A Series of dates as days since 1970, float64; NaN for none."""
    if dates.dt.tz is None:
        dates = dates.dt.tz_localize("UTC")
    since = dates.dt.as_unit("us") - pd.Timestamp(0, tz="UTC").as_unit("us")  # nanoseconds end in 2262
    return (since / pd.Timedelta(days=1)).to_numpy(dtype=float)
