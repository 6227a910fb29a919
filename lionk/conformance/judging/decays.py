"""By what x decays, measured: a factor, and at which shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..specification.cases import Case, function_of, host, size
from ..specification.maker import betas_for, takes, widest
from ..specification.port import Capabilities, Port
from .approximate import named
from .measure import constants
from .reference import Runs, follow
from .trace import run

_FITS = 1e-7
_LOOSE = 1e-4  # what x is read back to in float32


def factor_of(runs: Runs, claims: Capabilities) -> str:
    """By which power of lr and of wd x decays, if one describes every step of these runs whose direction is right; ""
    if it is the declared one, or none does.
    """
    points, declared, after_step = [], next(iter(claims.decays)), False
    decaying = [(c, t) for c, t in runs if c.weight_decay and c.decay == declared]
    for s, (a, b) in constants(decaying, claims):
        case, p = s.case, s.point
        turned = p.lr * case.weight_decay  # a decay after the step takes the direction with it
        if min(abs(a - 1), abs(a - 1 + turned)) < _FITS:
            after_step = after_step or abs(a - 1) >= _FITS
            points.append((p.lr, case.weight_decay, case.lr[0], p.lr * b, p.lr * p.lam))
    if len({(lr, wd) for lr, wd, *_ in points}) < 3 or (
        not after_step and all(abs(f - due) < _FITS for *_, f, due in points)
    ):
        return ""
    for name, formula in FACTORS.items():
        if all(abs(f - formula(lr, wd, first)) < _FITS * (1 + abs(f)) for lr, wd, first, f, _ in points):
            more = ", and the direction by 1 - lr wd: there is a decay after the step" if after_step else ""
            return f"x is multiplied by {name}{more}; {declared} is declared"
    return ""


def decay_of(port: Port) -> str:
    """By what x decays where all gradients are 0, by the shape; "" if it is right, or no one number describes it."""
    claims, declared, xp = port.capabilities, next(iter(port.capabilities.decays)), host().namespace()
    dtype = widest(claims)
    if dtype is None or declared in ("none", "coupled"):
        return ""
    found: dict[tuple[int, ...], list[tuple[float, float, float, float]]] = {}
    for shape in filter(lambda s: takes(claims.K, s), _SHAPES):
        n, K = size(shape), function_of(claims.K, shape)
        if K.subgradient(xp.zeros(shape)).any():
            return ""
        for lr, wd in ((2.0**-5, 0.5), (2.0**-5, 0.25), (2.0**-3, 0.5)):
            x0 = tuple((-1.0) ** i * (1 + i / 8) for i in range(n))
            case = Case(
                f"S3.decay/measured/{dtype}", dtype, shape, x0, ((0.0,) * n,), (lr,), betas_for(claims, 0.8, 0.95), wd,
                declared,
            )  # fmt: skip
            try:
                ((point, after),) = follow(case, run(port, case).xs)
            except Exception:  # a shape that the port does not take
                break
            off = 1 - after / point.x
            if (abs(off - off.mean()) > _LOOSE * point.lr).any():
                return ""
            found.setdefault(shape, []).append((lr, wd, float(off.mean()), lr * point.lam))
    rows = [r for of in found.values() for r in of]
    if not rows or all(_same(f, due) for *_, f, due in rows):
        return ""
    for name, formula in FACTORS.items():
        if all(_same(f, formula(lr, wd, lr)) for lr, wd, f, _ in rows):
            return f"x is multiplied by {name}; {declared} is declared"
    times = {s: [f / due for *_, f, due in of] for s, of in found.items()}
    if any(abs(t - of[0]) > _LOOSE for of in times.values() for t in of):
        return ""
    numbers = [of[0] for of in times.values()]
    if not claims.accuracy and max(numbers) - min(numbers) < _LOOSE:  # which two constants of the step tell
        return ""
    scale = named({s: of[0] for s, of in times.items() if len(s) == 2}, 0.0)
    shown = ", ".join(f"{of[0]:.3g} at {s}" for s, of in times.items())
    return f"the decay is the declared one times {scale or 'a number for each shape'}: {shown}"


_SHAPES = ((16,), (1,), (4, 3), (12, 3), (3, 12), (6, 6), (2, 3, 4))


def _same(f: float, due: float) -> bool:
    return abs(f - due) < _LOOSE * (abs(due) + 2.0**-8)


#: What ports multiply x by, and 1 minus that, of lr, wd and the first lr.
FACTORS: dict[str, Callable[[float, float, float], float]] = {
    "1: there is no decay": lambda *_: 0.0,
    "1 - lr wd": lambda lr, wd, _: lr * wd,
    "1 + lr wd: it grows": lambda lr, wd, _: -lr * wd,
    "(1 - lr wd)^2: it decays twice": lambda lr, wd, _: 1 - (1 - lr * wd) ** 2,
    "1 - 2 lr wd": lambda lr, wd, _: 2 * lr * wd,
    "1 - lr wd/2": lambda lr, wd, _: lr * wd / 2,
    "1 + wd: it grows, without the learning rate": lambda _, wd, __: -wd,
    "1 - wd": lambda _, wd, __: wd,
    "1 - lr": lambda lr, *_: lr,
    "1 - lr^2 wd": lambda lr, wd, _: lr**2 * wd,
    "1 - lr wd^2": lambda lr, wd, _: lr * wd**2,
    "1 - (lr wd)^2": lambda lr, wd, _: (lr * wd) ** 2,
    "1 - sqrt(lr) wd": lambda lr, wd, _: lr**0.5 * wd if lr > 0 else math.nan,
    "1 - lr sqrt(wd)": lambda lr, wd, _: lr * wd**0.5,
    "1 - lr(0) wd, of the first lr": lambda _, wd, first: first * wd,
    "1 - wd lr/lr(0)": lambda lr, wd, first: wd * lr / first if first else math.nan,
    "1 - wd lr^2/lr(0)": lambda lr, wd, first: wd * lr**2 / first if first else math.nan,
    "1/(1 + lr wd), as in an implicit step": lambda lr, wd, _: 1 - 1 / (1 + lr * wd),
    "exp(-lr wd)": lambda lr, wd, _: -math.expm1(-lr * wd),
}
