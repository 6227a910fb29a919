"""Functions that are a sum over all entries: how each is built, and what the tables say of it."""

from __future__ import annotations

from typing import Any

from ...arrays.later import Later
from ...sets.box import Box
from ..base import ConvexFunction
from ..definitions.support import Support
from ..registry.entries import registered
from ..registry.parameters import entries, nonnegative, ordered, positive

moreau_envelope = Later("lionk.functions.calculus.moreau", "moreau_envelope")
ridge = Later("lionk.functions.calculus.moreau", "ridge")
sum_of_powers = Later("lionk.functions.definitions.scalar", "power")
scalar = Later("lionk.functions.definitions.scalar", "scalar")
widen = Later("lionk.functions.calculus.affine", "widen")
positive_part = Later("lionk.functions.calculus.positive", "positive_part")

_PAPER = "2310.05898"
_BOX = "|x_i| <= 1/lam"


def l1() -> ConvexFunction:
    return Support(Box())


def half_square() -> ConvexFunction:
    return power(2)


def power(p: float = 1.5) -> ConvexFunction:
    return sum_of_powers(p)


def huber(delta: float = 1.0) -> ConvexFunction:
    return moreau_envelope(l1(), positive("delta", delta))


def clip(bound: float = 1.0) -> ConvexFunction:
    return moreau_envelope(Support(Box(upper=positive("bound", bound))), 1.0)


def dead_zone(threshold: float = 1.0) -> ConvexFunction:
    return widen(scalar("dead_zone"), threshold) if nonnegative("threshold", threshold) else l1()


def soft_threshold(threshold: float = 1.0) -> ConvexFunction:
    if not nonnegative("threshold", threshold):
        return half_square()
    return ridge(Support(Box(upper=float(threshold))), 1.0).conjugate


def elastic(mu: float = 1.0) -> ConvexFunction:
    return ridge(l1(), mu)


def log_cosh(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("log_cosh"), delta)


def pseudo_huber(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("pseudo_huber"), delta)


def softsign(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("softsign"), delta)


def arctan(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("arctan"), delta)


def asinh(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("asinh"), delta)


def cosh(delta: float = 1.0) -> ConvexFunction:
    return asinh(delta).conjugate


def exp() -> ConvexFunction:
    return scalar("exp")


def softplus(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("softplus"), delta)


def box(lower: Any = -1.0, upper: Any = 1.0) -> ConvexFunction:
    lower, upper = entries("lower", lower), entries("upper", upper)
    if not ordered(lower, upper):
        raise ValueError(f"box needs lower <= upper, got lower={lower!r}, upper={upper!r}")
    return Support(Box(lower, upper))


def relu() -> ConvexFunction:
    return Support(Box(0.0, 1.0))


def berhu(delta: float = 1.0) -> ConvexFunction:
    return widen(scalar("berhu"), positive("delta", delta))


def relu_square() -> ConvexFunction:
    return positive_part(half_square())


def weighted_l1(weights: Any = None) -> ConvexFunction:
    return Support(Box(upper=1.0 if weights is None else entries("weights", weights, least=0)))


registered("scalar", [
    ("l1", l1, "sum |x_i|", "sign(x)", "0 if |y_i| <= 1", _BOX, f"{_PAPER} (Lion)"),
    ("half_square", half_square, "1/2 sum x_i^2", "x", "1/2 sum y_i^2", "adds lam/2 |x|^2",
     _PAPER),
    ("power", power, "sum |x_i|^p / p", "sign(x) |x|^(p-1)", "sum |y_i|^q / q, 1/p + 1/q = 1",
     "adds lam^(q-1) sum |x_i|^q / q", "Rockafellar 1970"),
    ("huber", huber, "x^2/(2 delta) if |x| <= delta, else |x| - delta/2", "clip(x/delta, -1, 1)",
     "delta/2 |y|^2 if |y_i| <= 1", f"{_BOX}, adds delta lam/2 |x|^2", _PAPER),
    ("clip", clip, "x^2/2 if |x| <= bound, else bound |x| - bound^2/2", "clip(x, -bound, bound)",
     "1/2 |y|^2 if |y_i| <= bound", "|x_i| <= bound/lam, adds lam/2 |x|^2", "Huber 1964"),
    ("dead_zone", dead_zone, "sum max(|x_i| - threshold, 0)", "sign(x) 1[|x| > threshold]",
     "threshold |y|_1 if |y_i| <= 1", f"{_BOX}, adds threshold |x|_1", _PAPER),
    ("soft_threshold", soft_threshold, "1/2 sum max(|x_i| - threshold, 0)^2",
     "sign(x) max(|x| - threshold, 0)", "1/2 |y|^2 + threshold |y|_1", "adds lam/2 |x|^2 + threshold |x|_1",
     "Donoho 1995"),
    ("elastic", elastic, "sum |x_i| + mu/2 x_i^2", "sign(x) + mu x", "sum max(|y_i| - 1, 0)^2/(2 mu)",
     f"a penalty on the distance to {_BOX}", "derived here"),
    ("log_cosh", log_cosh, "delta sum log cosh(x_i/delta)", "tanh(x/delta)",
     "delta sum (1+y)/2 log(1+y) + (1-y)/2 log(1-y)", f"{_BOX}, with an entropy", "2605.31371 (SoftSignum)"),
    ("pseudo_huber", pseudo_huber, "sum sqrt(x_i^2 + delta^2) - delta", "x/sqrt(x^2 + delta^2)",
     "delta sum 1 - sqrt(1 - y^2)", f"{_BOX}, smooth inside", "Charbonnier 1997"),
    ("softsign", softsign, "sum |x_i| - delta log(1 + |x_i|/delta)", "x/(delta + |x|)",
     "delta sum -|y| - log(1 - |y|)", "|x_i| < 1/lam, with a barrier", "derived here"),
    ("arctan", arctan, "(2/pi) sum x atan(x/delta) - delta/2 log(1 + x^2/delta^2)", "(2/pi) atan(x/delta)",
     "-(2 delta/pi) sum log cos(pi y/2)", "|x_i| < 1/lam, with a barrier", "RLion, Sci Rep 2025"),
    ("asinh", asinh, "sum x asinh(x/delta) - sqrt(x^2 + delta^2) + delta", "asinh(x/delta)",
     "delta sum cosh y - 1", "adds delta/lam sum cosh(lam x_i) - 1", "derived here"),
    ("cosh", cosh, "delta sum cosh x_i - 1", "delta sinh x",
     "sum y asinh(y/delta) - sqrt(y^2 + delta^2) + delta", "adds the hypentropy of lam x", "Ghai et al. 2020"),
    ("exp", exp, "sum exp x_i", "exp x", "sum y log y - y if y >= 0", "x_i >= 0, with an entropy",
     "Kivinen and Warmuth 1997"),
    ("softplus", softplus, "delta sum log(1 + exp(x_i/delta))", "sigmoid(x/delta)",
     "delta sum y log y + (1-y) log(1-y) if 0 <= y <= 1", "0 <= x_i <= 1/lam, with an entropy", "derived here"),
    ("box", box, "sum max(lower x_i, upper x_i)", "upper, lower by sign; nearest to 0 at 0",
     "0 if lower <= y <= upper", "lower <= lam x <= upper", "Rockafellar 1970"),
    ("relu", relu, "sum max(x_i, 0)", "1[x > 0]", "0 if 0 <= y <= 1", "0 <= x_i <= 1/lam", "derived here"),
    ("weighted_l1", weighted_l1, "sum w_i |x_i|", "w sign(x)", "0 if |y_i| <= w_i", "|x_i| <= w_i/lam",
     "derived here"),
    ("berhu", berhu, "|x| if |x| <= delta, else (x^2 + delta^2)/(2 delta)", "sign(x) max(1, |x|/delta)",
     "delta/2 sum max(y_i^2 - 1, 0)", f"adds delta/(2 lam) max(lam^2 x_i^2 - 1, 0), a penalty outside {_BOX}",
     "Owen 2007 (reverse Huber)"),
    ("relu_square", relu_square, "1/2 sum max(x_i, 0)^2", "max(x, 0)", "1/2 sum y_i^2 if y >= 0",
     "x_i >= 0, adds lam/2 |x|^2", "derived here"),
])  # fmt: skip
