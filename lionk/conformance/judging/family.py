"""Which kind of optimizer a port acts like: how its direction answers to the size of the gradient, of those before it,
and of x. A positively homogeneous K answers to none of them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..specification.cases import function_of, host
from ..specification.maker import main_shape, takes
from ..specification.port import Port
from .asked import Asked, asked_of

_TIMES = 4.0  # a gradient is made larger by this
_STEPS = 8
_FITS = 2e-3  # of a ratio: an epsilon of 1e-8 is within it
_MATRIX = (4, 3)
AS_MUON = "as in Muon"


def family_of(port: Port) -> str:
    """One sentence about a port whose direction has a size of its own, or is another one for matrices; "" if neither
    is so, if K is not positively homogeneous, or if nothing can be asked.
    """
    claims = port.capabilities
    shape = main_shape(claims.K)
    K = function_of(claims.K, shape)
    ask = asked_of(port, shape)
    if ask is None or not K.traits.homogeneous:
        return ""
    if claims.accuracy:
        return _of_approximations(ask, claims.accuracy)
    xp = host().namespace()
    signs = K.traits.structure == "elementwise" and bool((K.subgradient(xp.asarray([-2.0, 3.0])) ** 2 == 1).all())
    try:
        return _of_sizes(ask, "no sign is taken" if signs else "no subgradient of K is taken", signs) or _of_matrices(
            replace(ask, shape=_MATRIX if signs else shape), signs
        )
    except Exception:  # whatever the port raises has its own verdict
        return ""


def _of_approximations(ask: Asked, accuracy: float) -> str:
    """What does not answer to the size of the gradient, but for its declared error."""
    g, big = ask.gradient(), 2.0**20
    try:
        plain, large, small = (ask(a * g)[0] for a in (1.0, big, 1 / big))
    except Exception:  # whatever the port raises has its own verdict
        return ""
    added = _ratio(large - plain, (big - 1) * g)
    if abs(added) > _FITS:
        return f"the gradient itself, times {added:.3g}, is part of the direction: it is added after the polar factor"
    sizes = [float((d * d).sum()) ** 0.5 for d in (small, plain, large)]
    if _is(sizes[1] * big, sizes[2]):
        return "the direction is as large as the gradient: it is not divided by its length, or multiplied by it again"
    if sizes[0] < (1 - accuracy) * sizes[2]:
        return (
            "the direction becomes smaller with the gradient: of one 2^20 and 2^40 times as small it has "
            f"{sizes[1] / sizes[2]:.3g} and {sizes[0] / sizes[2]:.3g} of its size, as by an epsilon beside its length"
        )
    return ""


def depends_of(port: Port) -> str:
    """On what the direction of the entries depends that it should not, each shown by two numbers; "" if nothing is."""
    claims = port.capabilities
    shapes = dict.fromkeys(s for s in (main_shape(claims.K), (3, 5), (2, 3, 4)) if takes(claims.K, s))
    return next((f"{found}, at shape {s}" for s in shapes if (found := _depends(port, s))), "")


def _depends(port: Port, shape: tuple[int, ...]) -> str:
    claims = port.capabilities
    K = function_of(claims.K, shape)
    ask = asked_of(port, shape)
    if ask is None or claims.accuracy or claims.cautious or claims.state_error:
        return ""
    g, xp = ask.gradient(), host().namespace()
    some = xp.reshape(xp.arange(g.size) % 2 == 0, g.shape)
    try:
        plain = ask(g, -g / 8, g)
        others = {
            "x: at 1 and at -2": ask(g, -g / 8, g, x=-2.0),
            "the learning rate: at 2^-8 and at 2^-4": ask(g, -g / 8, g, lr=2.0**-4),
            "the count of steps: at once and after 20 steps of gradients 0": ask(*[0 * g] * 20, g, -g / 8, g)[20:],
        }
        if K.by_entry:
            larger = xp.where(some, 64 * g, g)
            seen = ask(larger, -larger / 8, larger)
            others["other entries: with these as they are and 64 times as large"] = [
                xp.where(some, a, b) for a, b in zip(plain, seen, strict=True)
            ]
        if K.traits.even:
            if still := _unasked(ask(*[0 * g] * _STEPS)):
                return still
            others["the sign of all gradients: as it is and turned"] = [-d for d in ask(-g, g / 8, -g)]
    except Exception:  # whatever the port raises has its own verdict
        return ""
    found = []
    for what, seen in others.items():
        for a, b in zip(plain, seen, strict=True):
            far = abs(a - b)
            if float(far.max()) > 1e-3:
                at = int(xp.argmax(far))
                found.append(f"{what} it is {float(a.reshape(-1)[at]):.4g} and {float(b.reshape(-1)[at]):.4g}")
                break
    return f"the direction depends on {'; and on '.join(found)}" if found else ""


def _unasked(seen: list[Any]) -> str:
    """What is added, if x moves where all gradients are 0 and nothing was averaged before."""
    up, down = (any(bool((sign * d > 1e-3).any()) for d in seen) for sign in (1, -1))
    if not (up or down):
        return ""
    what = "in both directions: noise" if up and down else "in one direction: something"
    return f"x moves where all gradients are 0, {what} is added to the gradient, to the momentum or to the readout"


def _ratio(a: Any, b: Any) -> float:
    """a/b, if that is one number for all entries; else NaN."""
    if not (b != 0).all():
        return math.nan
    r = a / b
    mean = float(r.mean())
    return mean if float(abs(r - mean).max()) <= _FITS * abs(mean) else math.nan


def _is(value: float, due: float) -> bool:
    return abs(value - due) <= _FITS * max(abs(due), 1e-3)


def _of_sizes(ask: Asked, taken: str, signs: bool) -> str:
    xp, g = host().namespace(), ask.gradient()
    plain, large = (ask(*[a * g] * _STEPS) for a in (1.0, _TIMES))
    grows = [_ratio(b, a) for a, b in zip(plain, large, strict=True)]
    trust = _is(_ratio(ask(g, x=2.0)[0], plain[0]), 2.0)
    by_x = ", and is multiplied by the length of x (a trust ratio, as of LARS and LAMB)" if trust else ""
    some = xp.reshape(xp.arange(g.size) % 2 == 0, g.shape)
    uneven = xp.where(some, 16 * g, g)
    other = ask(uneven)[0]
    least, most = (_ratio(other[at], plain[0][at]) for at in (~some, some))
    if _is(grows[-1], _TIMES):  # whatever the last steps are, so are the first
        if not (_is(least, 1) and _is(most, 16)):
            alike = _is(most, least) and signs
            return f"the sign is multiplied by the size of the whole gradient{by_x}" if alike else _louder(grows[-1])
        held = [0.0 if float(abs(d).max()) < _FITS else _ratio(d, g) for d in ask(g, 0 * g, 0 * g)]
        weights = [w for w in held if not math.isnan(w)]
        words = " + ".join(f"{w:.3g} g(t{f'-{i}' if i else ''})" for i, w in enumerate(weights) if w)
        kept = " with momentum" if any(weights[1:]) else ""
        return (
            f"{taken}: the direction is the gradient itself, {words}, as in gradient descent (SGD){kept}: {_TIMES:g} "
            f"times the gradient gives {_TIMES:g} times the step{by_x}"
        )
    if not all(_is(v, 1) for v in grows[-2:]):
        return _louder(grows[-1])
    after, same = ask(uneven, g)[1], plain[1]
    if _is(most, 16 * least) and least < 1:
        by = "length" if _is(float((g * g).sum() / (uneven * uneven).sum()) ** 0.5, least) else "size"
        if not signs:
            return ""  # as K's own subgradient may be
        return f"{taken}: the direction is the gradients divided by the {by} of all entries together (normalised){by_x}"
    if not (_is(least, 1) and (signs or _is(most, 1))):  # each entry by itself
        return ""
    if not _is(_ratio(after, same), 1):
        if signs and _is(float(abs(after).min()), 1) and _is(float(abs(after).max()), 1):
            return ""  # a sign is taken, of another readout
        return _second_moment(ask, g, plain, taken, grows) + by_x
    sizes = [_ratio(abs(d), 0 * g + 1) for d in plain]
    turned = _ratio(ask(g, -g)[1], plain[0])
    if not _is(abs(turned) * sizes[0], sizes[1]):
        if _is(turned * sizes[0], sizes[1] - 2 * sizes[0]):
            return (
                f"no sign is taken of the average: the direction is an average of the signs of the gradients, of size "
                f"{sizes[0]:.3g} at the first step and {sizes[-1]:.3g} at step {_STEPS}{by_x}"
            )
        if _is(sizes[3] / sizes[2], sizes[2] / sizes[1]) and sizes[2] > sizes[1]:
            times = sizes[2] / sizes[1]
            return f"each entry has a rate of its own, {times:.3g} times the last one while signs agree, as in Rprop"
    return f"the direction{by_x.removeprefix(', and')}" if trust else ""


def _louder(times: float) -> str:
    if math.isnan(times) or _is(times, 1):
        return ""
    power = f", its power {math.log(times, _TIMES):.3g}" if times > 1 else ""
    return (
        f"the direction grows with the gradient: {_TIMES:g} times the gradient gives {times:.3g} times the step{power}"
    )


def _second_moment(ask: Asked, g: Any, plain: list[Any], taken: str, grows: list[float]) -> str:
    kept = bool((ask(g, 0 * g)[1] != 0).any())
    sizes = [float(abs(d).mean()) for d in plain]
    adds = all(_is(v * (i + 1) ** 0.5, sizes[0]) for i, v in enumerate(sizes))
    late = next((i for i, v in enumerate(grows) if _is(v, 1)), 0)
    name = ("Adagrad" if adds else "RMSprop") if not kept else "RAdam" if late else "Adam, or RMSprop with a momentum"
    memory = "" if kept else ", and it keeps no momentum"
    first = f" (from step {late} on; before, nothing is divided)" if late else ""
    return (
        f"{taken}: the direction is divided by the size of the gradients until then, entry by entry (a second moment), "
        f"as in {name}{first}{memory}"
    )


def _of_matrices(ask: Asked, signs: bool) -> str:
    """A direction that is a polar factor where K has the sign of each entry, or the other way round."""
    xp, g = host().namespace(), ask.gradient()
    _, d = ask(g[::-1] / 4, g)  # a second one, in which sizes that are divided by are seen
    if d.ndim != 2 or not d.any():
        return ""
    flat = float(abs(d).max()) <= (1 + _FITS) * float(abs(d).min())
    values = xp.linalg.svdvals(d)
    if signs and not flat and float(values.max()) <= 2 * float(values.min()):
        return (
            "of a matrix it is not the sign of each entry that is taken, but the polar factor, of singular values "
            f"{float(values.min()):.3g} to {float(values.max()):.3g}, {AS_MUON}: --k muon or --k nuclear judges that"
        )
    if not signs and flat:
        return "of a matrix the sign of each entry is taken, as in Lion: --k l1 judges that"
    return ""
