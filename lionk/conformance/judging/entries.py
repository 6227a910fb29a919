"""Which entries of a step are wrong, by what they have in common and the others have not, and what x does there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..specification.cases import host
from ..specification.port import Capabilities
from .reference import Runs, Step, steps_of

_FITS = 1e-4
_FEW = 3  # wrong entries, and right ones: fewer have something in common by chance


def _far(a: Any, b: Any) -> Any:
    return abs(a - b) > _FITS * (1 + abs(b))


def _places(s: Step) -> Any:
    return host().namespace().arange(s.x.size).reshape(s.x.shape)


def _tail(block: int) -> Callable[[Step], Any]:
    return lambda s: _places(s) >= s.x.size // block * block


#: What an entry may be, and the words where it is not so.
KINDS: dict[tuple[str, str], Callable[[Step], Any]] = {
    ("x is positive", "x is negative or 0"): lambda e: e.x > 0,
    ("x is negative", "x is positive or 0"): lambda e: e.x < 0,
    ("the gradient is positive", "the gradient is negative or 0"): lambda e: e.g > 0,
    ("the gradient is negative", "the gradient is positive or 0"): lambda e: e.g < 0,
    ("the readout is positive", "the readout is negative or 0"): lambda e: e.r > 0,
    ("the readout is negative", "the readout is positive or 0"): lambda e: e.r < 0,
    ("the gradient is 0", "the gradient is not 0"): lambda e: e.g == 0,
    ("the momentum is 0", "the momentum is not 0"): lambda e: e.m == 0,
    ("readout and gradient have one sign", "readout and gradient do not have one sign"): lambda e: e.r * e.g > 0,
    ("readout and gradient have opposite signs", "they have not"): lambda e: e.r * e.g < 0,
    ("momentum and gradient have one sign", "momentum and gradient do not have one sign"): lambda e: e.m * e.g > 0,
    ("momentum and gradient have opposite signs", "they have not"): lambda e: e.m * e.g < 0,
    ("readout and momentum have one sign", "readout and momentum do not have one sign"): lambda e: e.r * e.m > 0,
    ("direction and x have one sign", "direction and x do not have one sign"): lambda e: e.u * e.x > 0,
    ("direction and x have opposite signs", "direction and x do not have opposite signs"): lambda e: e.u * e.x < 0,
    ("the count of steps is even", "the count of steps is odd"): lambda e: _places(e) * 0 + e.point.step % 2 == 0,
    ("the place of the entry is even", "the place of the entry is odd"): lambda e: _places(e) % 2 == 0,
    ("place and count of steps are even or both odd", "one of place and count of steps is even"): (
        lambda e: (_places(e) + e.point.step) % 2 == 0
    ),
    ("the entry is in the first half", "the entry is in the second half"): lambda e: 2 * _places(e) < e.x.size,
    **{(f"the entry is beyond a multiple of {b}, at the end", ""): _tail(b) for b in (2**k for k in range(2, 13))},
}
#: Sizes, whose threshold is found; each by itself, and over the largest, the mean or the median of the array.
SIZES: dict[str, Callable[[Step], Any]] = {
    "|x|": lambda e: abs(e.x),
    "|g|": lambda e: abs(e.g),
    "|m|": lambda e: abs(e.m),
    "the readout": lambda e: abs(e.r),
    "|g|/|m|": lambda e: host().namespace().where(e.m == 0, 1e300, abs(e.g) / (abs(e.m) + 1e-300)),
}
UNITS: dict[str, Callable[[Any], float]] = {
    "": lambda _: 1.0,
    " of the largest": lambda s: float(s.max()),
    " of the mean": lambda s: float(s.mean()),
    " of the median": lambda s: float(host().namespace().median(s)),
}


def entries_of(runs: Runs, claims: Capabilities) -> tuple[str, str]:
    """``(what x does in the wrong entries, "only where ...")``, each "" where one sentence does not tell it."""
    xp = host().namespace()
    seen = [s for s in steps_of(runs, claims) if s.known.any()]
    wrong = _joined(s.known & _far(s.seen, s.u - s.decay) for s in seen) if seen else xp.zeros(0, dtype=xp.bool)
    if not wrong.any():
        return "", ""
    what, asked = _does(seen, wrong)
    if min(int((wrong & asked).sum()), int((~wrong & asked).sum())) < _FEW:
        return what, ""
    for words, kind in KINDS.items():
        has = _joined(map(kind, seen))
        for says, flags in zip(words, (has, ~has), strict=True):
            if says and (flags == wrong)[asked].all():
                return what, f"only where {says}"
    for name, size in SIZES.items():
        for unit, over in UNITS.items():
            values = _joined(s / (over(s) or xp.nan) for s in map(size, seen))
            told = asked & xp.isfinite(values)
            one, other = values[wrong & told], values[~wrong & told]
            if min(one.size, other.size) < _FEW:
                continue
            for side, low, high in (("above", other, one), ("below", one, other)):
                if low.max() < high.min():
                    limit = float(low.max() + high.min()) / 2
                    return what, f"only where {name} is {side} {limit:.3g}{unit}{'' if unit else _decimals(limit)}"
    return "" if what.endswith("turned") else what, ""  # of entries of two values the wrong ones always are


def _decimals(limit: float) -> str:
    """Is it half of a power of ten, to which numbers are rounded?"""
    places = round(-math.log10(2 * limit)) if limit > 0 else 0
    rounded = places > 0 and abs(2 * limit * 10**places - 1) < 0.05
    return f", as where it is rounded to {places} decimals" if rounded else ""


def _joined(arrays: Iterable[Any]) -> Any:
    """Their entries, one after another."""
    return host().namespace().concat([a.reshape(-1) for a in arrays])


def _does(seen: Sequence[Step], wrong: Any) -> tuple[str, Any]:
    """What explains x' in all wrong entries, and the entries in which that is another x' than the right one."""
    xp = host().namespace()
    u, decay, x, known = (_joined(getattr(s, n) for s in seen) for n in ("u", "decay", "seen", "known"))
    due = u - decay
    if not xp.isfinite(x[wrong]).all():
        return "", known
    if not _far(x[wrong], 0.0).any():
        return "x does not move", known & _far(0.0, due)
    for name, part, rest in (("the direction", u, -decay), ("the decay", -decay, u)):
        if not part[wrong].all():
            continue
        times = (x - rest)[wrong] / part[wrong]
        c = float(xp.median(times))
        if not _far(times, c).any():
            c = 0.0 if abs(c) < _FITS else c
            words = {0.0: "is left out", -1.0: "is turned"}.get(round(c, 4), f"is multiplied by {c:.4g}")
            return f"{name} {words}", known & _far(c * part + rest, due)
    return "", known
