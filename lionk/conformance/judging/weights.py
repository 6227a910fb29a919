"""How the readout weighs the gradients of before, measured by where its sign turns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from ..specification.cases import function_of, host, size
from ..specification.maker import main_shape
from ..specification.port import Port
from .asked import Asked, asked_of
from .held import turns

_LAGS = 3
_GRID = 257
_SIZES = (2.0**-6, 1.0, 2.0**6)
_CLOSE = 1e-3
_RATE = 2.0**-6
_BEFORE = 20  # steps of gradients 0, after which a momentum has faded, and a constant has not


def _falls(ask: Asked, *grads: Sequence[float]) -> list[bool]:
    """Does x fall, entry by entry, at the last of these gradients? Decay is less here than a direction is."""
    ask = replace(ask, shape=(len(grads[-1]),))
    last = ask(*(host().asarray(list(g), dtype="float64") for g in grads), x=0.125, lr=_RATE)[-1]
    return [bool(v > 0) for v in last]


def _after(ask: Asked, before: Sequence[float], grid: Sequence[float]) -> list[bool]:
    """Does it, when the newest gradients are ``grid``, after these of all entries?"""
    return _falls(ask, *((v,) * len(grid) for v in before), grid)


def _turn(ask: Asked, *before: float, size: float = 0.0) -> float | None:
    """Minus the newest gradient by which the direction turns, after these; None if by none, or several. ``size``: about
    which it is looked for, where there are none.
    """
    size = max(map(abs, before), default=size)
    half = [size * 10.0 ** (-7 + 14 * i / (_GRID // 2 - 1)) for i in range(_GRID // 2)]
    grid = [-v for v in reversed(half)] + [0.0] + half
    low = high = 0.0
    for _ in range(3):
        up = _after(ask, before, grid)
        turns = [i for i in range(1, len(grid)) if up[i] != up[i - 1]]
        if len(turns) != 1 or not up[-1]:
            return None
        low, high = grid[turns[0] - 1], grid[turns[0]]
        grid = [low + (high - low) * i / (_GRID - 1) for i in range(_GRID)]
    found = -(low + high) / 2
    if abs(found) > 0.99 * half[-1]:  # the end of the grid
        return None
    return found if abs(found) > half[0] else 0.0


def _weight(ask: Asked, lag: int, size: float = 1.0) -> float | None:
    """The weight of the gradient ``lag`` steps ago, which has this size, in units of that of the newest."""
    found = _turn(ask, size, *(0.0,) * (lag - 1))
    return None if found is None else found / size


def weights_of(port: Port, late: int = 0) -> tuple[str, float]:
    """How the readout weighs the last gradients, against how it should, and the largest relative error of a weight;
    ("", 0) if it is right, or cannot be measured. Also with weight decay, and after ``late`` steps.

    The gradients are 1, then 0, then minus a grid of numbers, one for each entry: the direction changes its sign where
    the new gradient outweighs the old one. Three grids, each in the gap of the one before, give six digits. For an
    elementwise, even K whose subgradient is 0 at 0 only.
    """
    claims, unknown = port.capabilities, ("", 0.0)
    shape = main_shape(claims.K)
    plain = asked_of(port, shape)
    if plain is None or len(shape) != 1 or not turns(claims, shape):
        return unknown
    try:
        found = (_begins(plain), 0.0)
        if found == unknown and (found := _weights(plain)) == unknown:
            found = (_counts(plain), 0.0)
        if found != unknown:
            return found
        small, one = (float(abs(plain(a * plain.gradient())[0]).max()) for a in (1e-4, 1.0))
        # A direction that is smaller than the decay turns elsewhere.
        decays = set(claims.decays) & {"lr_wd", "palm"} and abs(small - one) < _CLOSE
        others = {"with weight decay: ": replace(plain, wd=0.5)} if decays else {}
        others |= {f"after {late} steps: ": replace(plain, before=late)} if late else {}
        for words, ask in others.items():
            text, off = _weights(ask)
            if text and (shrinks := ask.wd and _shrinks(plain, ask)):
                return shrinks, off
            if text:
                return words + text, off
    except Exception:  # whatever the port raises has its own verdict
        return unknown
    return unknown


def is_fine(port: Port) -> bool:
    """Is it no rounding to 16 bits that makes the readouts wrong? Gradients of sizes that these round then weigh the
    same, or have no weight at all. For an elementwise K.
    """
    shape = main_shape(port.capabilities.K)
    ask = asked_of(port, shape)
    if ask is None or function_of(port.capabilities.K, shape).traits.structure != "elementwise":
        return False
    try:
        held = [w for s in (1.0, 1.0703, 1.1337, 1.3779, 1.7871) if (w := _weight(ask, 1, s)) is not None]
    except Exception:  # whatever the port raises has its own verdict
        return False
    return len(held) < 5 or max(held) - min(held) <= 3e-5 * abs(held[0])


def _begins(ask: Asked) -> str:
    """What the readout holds before any gradient: a momentum that does not begin at 0, or a constant."""
    b1, b2 = ask.betas
    if not any(abs(float(v)) > 1e-3 for x in (1.0, -2.0) for v in ask(host().asarray([0.0] * size(ask.shape)), x=x)[0]):
        return ""
    for unit in (1.0, 1e-6, 1e-12, 1e6):
        at_once, later = (_turn(replace(ask, before=n), size=unit) for n in (0, _BEFORE))
        if not at_once or later is None:
            continue
        held = (1 - b1) * at_once
        if abs(later / at_once - 1) < _CLOSE:
            return f"to the readout, or to the gradient before it, a constant is added: {held:.3g} to the readout"
        if abs(later / at_once - b2**_BEFORE) < _CLOSE * 10:
            return f"the momentum begins at {held / b1:.3g}, where x is 0.125, and not at 0"
    return ""


def _counts(ask: Asked) -> str:
    """The weight of the last gradient at the second step and later, if that is another one."""
    first, later = (_weight(replace(ask, before=n), 1) for n in (0, _BEFORE))
    if first is None or later is None or abs(first - later) <= _CLOSE * abs(first):
        return ""
    return (
        f"the weights of the readout change with the count of steps: the last gradient counts {first:.4g} against the "
        f"newest at the second step, and {later:.4g} after {_BEFORE} more, as where betas rise or a bias is corrected"
    )


def _shrinks(plain: Asked, decaying: Asked) -> str:
    """Does the decay multiply the momentum?"""
    (one, two), (a, b) = ([_weight(ask, lag) for lag in (1, 2)] for ask in (plain, decaying))
    if not (one and two and a and b):
        return ""
    times, due = (b / a) / (two / one), 1 - decaying.wd * _RATE
    return "the decay multiplies the momentum by 1 - lr wd at each step" * (abs(times - due) < _CLOSE)


def _weights(ask: Asked) -> tuple[str, float]:
    b1, b2 = ask.betas
    right = [b1 * (1 - b2) * b2 ** (lag - 1) / (1 - b1) for lag in range(1, _LAGS + 1)]
    seen = [w for lag in range(1, _LAGS + 1) if (w := _weight(ask, lag)) is not None]
    if not seen and {*_after(ask, (1.0,), [-1e3, -1.0, -1e-3, 1e-3, 1.0, 1e3])} == {True}:
        text = "after a gradient of 1 none from -1000 to 1000 turns the direction"
        if _falls(replace(ask, before=0), (1.0, -1.0)) == [True, False]:
            return (
                f"the readout is no sum of weighted gradients: a first gradient turns it, but {text}, as where several "
                "steps vote on it, or one of them shuts it off"
            ), 0.0
        free = ask.port.capabilities.betas == "free"
        late = free and all(_after(replace(ask, betas=(0.02, b2)), (1.0,), [-1e3, -1.0]))
        return text + ", even with b1 = 0.02: the newest gradient has no part in it" * late, 0.0
    if seen and max(seen) == 0 and all(_falls(ask, *((1.0,) * 3,) * 30, (-1e3, -1.0, -1e-3))):
        return (
            "of the gradients the signs are averaged, and not their sizes, so that none turns the direction alone",
            0.0,
        )
    if len(seen) < _LAGS:
        return "", 0.0
    off = max(abs(a - b) / b for a, b in zip(seen, right, strict=True))
    if off <= _CLOSE and (sized := _sizes(ask, right[0])):
        return sized, 0.0
    times = seen[0] / right[0]
    alike = times > 0 and all(abs(w / r / times - 1) <= _CLOSE for w, r in zip(seen, right, strict=True))
    if off > _CLOSE and alike and _scales(ask, times):
        held = [_weight(ask, 1, size) for size in _SIZES]
        if any(w is None or abs(w / seen[0] - 1) > _CLOSE for w in held):
            return "", 0.0  # of gradients of other sizes it is another one
        of = f"readout alone is multiplied by {1 / times:.4g}, or in the momentum alone by {times:.4g}"
        scale = f"the gradient in the {of}: a scale is left in one of them"
        return _form(ask, seen, 1) or _counts(ask) or scale, off
    if off > _CLOSE and (said := _form(ask, seen) or (_counts(ask) if seen[0] > 0 else "")):
        return said, off
    due, turn = seen[1] + _SIZES[2] * seen[0], _turn(ask, 1.0, _SIZES[2])
    if turn is not None and abs(turn - due) > _CLOSE * due:
        told = f"after one of 1 and one of {_SIZES[2]:g} a new one of -{turn:.4g} turns it, where by their weights"
        return (
            f"the readout is no sum of weighted gradients: {told} -{due:.4g} should: what one counts depends on the "
            "others, as where each is divided by a running size"
        ), 0.0
    if off <= _CLOSE:
        return "", 0.0
    more = ": of a gradient the difference to the one before has a part, as in MARS" * (seen[0] < 0 < seen[1])
    words = ["1 : " + " : ".join(f"{w:.4g}" for w in ws) for ws in (seen, right)]
    text = (
        f"with betas ({b1:g}, {b2:g}) the readout weighs the last {_LAGS + 1} gradients, the newest first, {words[0]}"
    )
    return f"{text}; right is {words[1]}{more or _second_average(ask, seen) or _as_betas(seen)}", off


def _scales(ask: Asked, times: float) -> bool:
    """With another b1, too? Constants in the place of b1 are no scale."""
    if ask.port.capabilities.betas != "free":
        return True
    b1, b2 = 0.6 if ask.betas[0] != 0.6 else 0.7, ask.betas[1]
    other = _weight(replace(ask, betas=(b1, b2)), 1)
    return other is not None and abs(other * (1 - b1) / (b1 * (1 - b2)) / times - 1) <= _CLOSE


@cache
def _numbers(b1: float, b2: float) -> dict[str, float]:
    """What may stand before the momentum or the gradient in an average."""
    numbers = {"b1": b1, "1-b1": 1 - b1, "b2": b2, "1-b2": 1 - b2, "1": 1.0, "b1^2": b1 * b1, "1-b1^2": 1 - b1 * b1}
    return numbers | {v: float(v) for v in ("0.9", "0.1", "0.99", "0.01")} | {"-b1": -b1, "-b2": -b2}


def _form(ask: Asked, seen: Sequence[float], most: int = 2) -> str:
    """How the two averages are written, if one or two slips explain these weights; those of the fewest slips."""
    found: dict[int, list[str]] = {}
    for (p, q), (r, s), late, exchanged in itertools.product(_PAIRS, _PAIRS, (False, True), (False, True)):
        slips = ((p, q) != _PAIRS[0]) + ((r, s) != _PAIRS[1]) + late + exchanged
        if slips > most:
            continue
        numbers = _numbers(*(reversed(ask.betas) if exchanged else ask.betas))
        keep, take, old, new = (numbers[n] for n in (p, q, r, s))
        first = keep * new * (old if late else 1.0) / (take + keep * new * late)
        if all(abs(w - first * old**i) <= _CLOSE * abs(w) for i, w in enumerate(seen)):
            words = ["b1 and b2 are exchanged"] * exchanged
            words += [f"the readout is {p} m + {q} g"] * ((p, q) != _PAIRS[0])
            words += [f"the state is {r} m + {s} g"] * ((r, s) != _PAIRS[1])
            words += ["the readout takes the momentum from after the step"] * late
            found.setdefault(slips, []).append(" and ".join(words))
    said = found[min(found)] if found else []
    return ", or ".join(said) if len(said) < 4 else ""


#: The readout and the state as they are, and slips in either.
_PAIRS = (
    ("b1", "1-b1"),
    ("b2", "1-b2"),
    ("1-b1", "b1"),
    ("1-b2", "b2"),
    ("b1", "1-b2"),
    ("b2", "1-b1"),
    ("b1", "1"),
    ("b2", "1"),
    ("1", "1-b1"),
    ("1", "1-b2"),
    ("b1", "0.1"),
    ("b2", "0.01"),
    ("0.9", "1-b1"),
    ("0.9", "0.1"),
    ("0.99", "0.01"),
    ("b1^2", "1-b1^2"),
    ("-b1", "1-b1"),
    ("-b2", "1-b2"),
)


def _second_average(ask: Asked, seen: Sequence[float]) -> str:
    """The average that is added to the right readout, if these weights are those of the two."""
    b1, b2 = ask.betas
    for beta in (0.9999, 0.999, 0.99, 0.98, 0.9, 0.5, 0.99999):
        # The newest gradient has 1 - b1 + a, the one of i steps before b1 (1 - b2) b2^(i - 1) + a beta^i.
        a = (b1 * (1 - b2) - seen[0] * (1 - b1)) / (seen[0] - beta)
        due = [(b1 * (1 - b2) * b2**i + a * beta ** (i + 1)) / (1 - b1 + a) for i in range(len(seen))]
        if abs(a) > 1e-6 and all(abs(w - d) <= 1e-5 * abs(d) for w, d in zip(seen, due, strict=True)):
            times = a / (1 - beta)
            return f": {times:.3g} times a second average of the gradients, beta {beta:g}, is added to the readout"
    return ""


def _as_betas(seen: list[float]) -> str:
    """The betas that give these weights, if any do."""
    w1, w2, w3 = seen
    if min(seen) <= 0 or abs(w2 / w1 - w3 / w2) > 1e-3 * w2 / w1 or w2 >= w1:
        return ""
    b2 = w2 / w1
    b1 = w1 / (w1 + 1 - b2)
    nesterov = ": b1 = b2^2, Nesterov's spelling" if abs(b1 - b2 * b2) < 1e-3 else ""
    return f", so it acts like betas ({b1:.4g}, {b2:.4g}){nesterov}"


def _sizes(ask: Asked, right: float) -> str:
    """What the momentum holds of gradients of other sizes, if that is not what it holds of them at size 1."""
    weights = [_weight(ask, 1, size) for size in _SIZES]
    held = [w * size / right for w, size in zip(weights, _SIZES, strict=True) if w is not None]
    if len(held) < len(_SIZES) or all(abs(h - s) <= _CLOSE * s for h, s in zip(held, _SIZES, strict=True)):
        return ""
    words = ", ".join(f"{h:.4g}" for h in held)
    power = math.log(held[2] / held[0]) / math.log(_SIZES[2] / _SIZES[0]) if min(held) > 0 else math.nan
    if abs(power) < _CLOSE:
        words += ": their sign, and not their size"
    elif all(abs(h - s**power) <= _CLOSE * h for h, s in zip(held, _SIZES, strict=True)):
        words += f": their power {power:.3g}"
    elif abs(held[0] - _SIZES[0]) <= _CLOSE * _SIZES[0] and held[2] < _SIZES[2]:
        words += f": as if they were cut at {held[2]:.4g}"
    return f"of gradients of size 1/64, 1 and 64 the momentum holds {words}"
