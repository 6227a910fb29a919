"""ONE table of K: every registered name with its defaults, and what defaults hide (k >= 2, extreme p, arrays, rules).

Each row is run with all properties, and so is its conjugate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

import lionk
from lionk.functions import ShapeFactor, entry

K = lionk.K
SHAPES = {
    "scalar": (6,),
    "vector": (6,),
    "matrix": (4, 3),
    "square": (3, 3),
    "symmetric": (3, 3),
    "kernel": (3, 2, 2),
}


@dataclass(frozen=True)
class Case:
    """A function under test, and the shape of its argument."""

    id: str
    build: Callable[[], Any]
    shape: tuple[int, ...] = (6,)
    long: bool = False  # thousands of operations in one call

    @cached_property
    def K(self) -> Any:
        return self.build()

    @property
    def stack(self) -> bool:
        """Does it take the singular values of a stack of matrices?"""
        if "linalg" not in self.K.traits.needs:
            return False
        return "Sections(" in repr(self.K) or (len(self.shape) > 2 and "columns=None" not in repr(self.K))

    @cached_property
    def heavy(self) -> bool:
        """Few checks, unless LIONK_FULL=1; so it is where an iteration stands in for a closed form."""
        return self.long or max(k.traits.accuracy for k in (self.K, self.K.conjugate)) > 0


def _named(name: str, shape: tuple[int, ...] | None = None, **parameters: Any) -> Case:
    shown = ",".join(f"{p}={_short(v)}" for p, v in parameters.items())
    default = (3, 4) if "group" in name else SHAPES[entry(name).kind]
    at = "" if shape is None else f" {shape}"
    long = name == "moreau_lp" and bool(parameters)
    return Case(f"{name}({shown}){at}", lambda: K(name, **parameters), shape or default, long)


def _short(v: Any) -> str:
    return f"array{v.shape}" if hasattr(v, "shape") else f"{len(v)}-tuple" if isinstance(v, tuple) else str(v)


def _rule(text: str, build: Callable[[], Any], shape: tuple[int, ...] = (6,), long: bool = False) -> Case:
    return Case(text, build, shape, long)


_A = np.asarray([0.5, -1.0, 0.25, 0.0, 2.0, -0.125])
_W = np.asarray([1.5, 0.5, 1.0, 2.0, 0.25, 3.0])
_P = np.diag([1.0, 2.0, 3.0, 0.5, 4.0, 1.0]) + 0.2 * np.ones((6, 6))
_M = np.asarray([[0.5, -0.25, 0.0], [0.1, 0.2, -0.3], [0.0, 0.4, 0.0], [-0.5, 0.0, 0.25]])

_V = np.asarray(
    [[1, 0, 0, 0.5, 0, 0], [0, 2, 0, 0, -1, 0], [0, 0, 1, 0, 0, 1], [-1, -1, 0, 1, 0, 0], [0, 0, -2, 0, 1, 1.0]]
)
_ROWS = np.asarray([[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]])  # orthogonal, of one length
DEFAULTS = [_named(n) for n in lionk.names()]

PARAMETERS = [
    _named("power", p=1.05),
    _named("power", p=2),
    _named("power", p=4.5),
    _named("power", p=20),
    _named("huber", delta=0.3),
    _named("clip", bound=2.5),
    _named("dead_zone", threshold=0.4),
    _named("dead_zone", threshold=0),
    _named("soft_threshold", threshold=0.4),
    _named("soft_threshold", threshold=0),
    _named("elastic", mu=0.3),
    _named("log_cosh", delta=0.2),
    _named("pseudo_huber", delta=0.2),
    _named("softsign", delta=3.0),
    _named("arctan", delta=0.5),
    _named("asinh", delta=0.5),
    _named("cosh", delta=2.0),
    _named("softplus", delta=0.5),
    _named("box", lower=-0.5, upper=2.0),
    _named("box", lower=0.5, upper=2.0),
    _named("box", lower=-1.0, upper=(0.0, 1.0, 2.0, 3.0, 4.0, -0.5)),
    _named("box", lower=-_W, upper=_W + _A),
    _named("weighted_l1", weights=tuple(_W.tolist())),
    _named("weighted_l1", weights=_W),
    _named("weighted_l1", weights=(0.0, 1.0, 0.0, 2.0, 3.0, 1.0), shape=(2, 6)),
    _named("lp", p=1),
    _named("lp", p=1.05),
    _named("lp", p=2),
    _named("lp", p=3),
    _named("lp", p=20),
    _named("lp", p=np.inf),
    _named("top_k", k=2),
    _named("top_k", k=3, shape=(2, 3)),
    _named("top_k", k=6),
    _named("capped_simplex", k=2),
    _named("capped_simplex", k=5),
    _named("capped_simplex", k=6),
    _named("log_sum_exp", delta=0.3),
    _named("smooth_linf", delta=0.3),
    _named("smooth_linf", delta=5.0, shape=(2, 3)),
    _named("top_k_l2", k=2),
    _named("top_k_l2", k=6),
    _named("top_k_l2", k=3, shape=(2, 3)),
    _named("k_support", k=2),
    _named("k_support", k=4),
    _named("k_support", k=6, shape=(2, 3)),
    _named("polytope", vertices=_V),
    _named("polytope", vertices=np.concatenate([_V, -_V]), shape=(2, 3)),
    _named("max_l1_l2", alpha=0.7),
    _named("max_l1_l2", alpha=1.5),
    _named("max_l1_l2", alpha=0.1),
    _named("owl", weights=(3.0, 2.0, 1.0, 1.0, 0.5, 0.0)),
    _named("permutahedron", weights=(3.0, 2.0, 1.0, 1.0, 0.5, -1.0)),
    _named("spectral_owl", weights=(2.0, 1.0, 0.5)),
    _named("spectral_top_k_l2", k=2),
    _named("spectral_k_support", k=2),
    _named("birkhoff", shape=(4, 4)),
    _named("birkhoff", shape=(2, 2, 2)),
    _named("quadratic", matrix=_P),
    _named("huber_l2", delta=0.5),
    _named("group_l1_l2", weights=(1.0, 0.5, 2.0)),
    _named("group_l1_l2", weights=_W[:4], axis=0),
    _named("group_linf_l2", axis=0),
    _named("group_linf_l2", axis=None),
    _named("group_huber", delta=0.5, axis=0),
    _named("group_log_cosh", delta=0.5, axis=None),
    _named("half_group_squared", axis=0),
    _named("group_l1_l2", groups=(0, 1, 0, 2, 1, 0), shape=(6,)),
    _named("group_l1_l2", groups=np.asarray([5, 1, 5, 2, 1, 5]), weights=(1.0, 0.5, 2.0), shape=(6,)),
    _named("group_linf_l2", groups=(0, 1, 0, 2, 1, 0), shape=(6,)),
    _named("group_huber", delta=0.5, groups=(0, 0, 0, 0, 0, 0), shape=(6,)),
    _named("group_pseudo_huber", groups=(5, 4, 3, 2, 1, 0), shape=(6,)),
    _named("half_group_squared", groups=(0, 1, 0, 2, 1, 0), shape=(6,)),
    _named("ky_fan", k=2),
    _named("ky_fan", k=3),
    _named("schatten", p=1.1),
    _named("schatten", p=3),
    _named("schatten", p=np.inf),
    _named("schatten_power", p=3),
    _named("spectral_huber", delta=0.3),
    _named("spectral_clip", bound=0.5),
    _named("spectral_log_cosh", delta=0.5),
    _named("spectral_soft_threshold", threshold=0.3),
    _named("spectral_elastic", mu=0.5),
    _named("nuclear", shape=(3, 4)),
    _named("nuclear", shape=(3, 3)),
    _named("nuclear", shape=(2, 3, 2)),
    _named("row_l1_l2", shape=(2, 3, 2)),
    _named("nuclear_frobenius", alpha=0.3),
    _named("berhu", delta=0.3),
    _named("capped_plus", k=3),
    _named("cvar", k=0.5),
    _named("cvar", k=3.25),
    _named("k_norm", k=3, shape=(2, 3)),
    _named("dual_owl", weights=(3.0, 1.0, 1.0, 0.5, 0.0, 0.0)),
    _named("spectral_k_norm", k=2),
    _named("total_variation", shape=(2, 4)),
    _named("box_simplex", lower=-0.25, upper=(0.5, 0.1, 0.2, 0.4, 0.5, 0.6)),
    _named("box_simplex", lower=-0.1 * _W, upper=1.0),
    _named("moreau_top_k", k=2, mu=0.5),
    _named("moreau_lp", p=3, mu=0.5),
    _named("sparsemax", mu=0.3),
    _named("soft_ball", mu=0.4),
    _named("l1_plus_l2", alpha=0.25),
    _named("l1_plus_l2", alpha=1),
]

RULES = [
    _rule("2.5*l1", lambda: 2.5 * K("l1")),
    _rule("3*softsign", lambda: 3 * K("softsign")),
    _rule("scale(dilate(arctan))", lambda: K("arctan").dilate(3.0).scale(0.7)),
    _rule("huber.dilate(-2)", lambda: K("huber").dilate(-2.0)),
    _rule("relu.dilate(-2)", lambda: K("relu").dilate(-2.0)),
    _rule("l2.tilt(array)", lambda: K("l2").tilt(_A)),
    _rule("l1.tilt(number)", lambda: K("l1").tilt(0.5)),
    _rule("log_cosh.shift(array)", lambda: K("log_cosh").shift(_A)),
    _rule("affine of all", lambda: K("pseudo_huber").shift(_A).tilt(-_A).scale(2.0).dilate(-0.5)),
    _rule(
        "affine, one map",
        lambda: K("affine", K="huber", slope=2.0, width=0.5, shift_by=_A, tilt_by=_W - 1.5),
    ),
    _rule("top_k.shift.tilt", lambda: K("top_k", k=2).shift(_A).tilt(0.3 * _A)),
    _rule("nuclear.tilt(array)", lambda: K("nuclear").tilt(_M), (4, 3)),
    _rule("l1 + huber", lambda: K("l1") + K("huber")),
    _rule("softplus + half_square", lambda: K("softplus") + K("half_square")),
    _rule("power + asinh", lambda: K("power", p=3) + K("asinh")),
    _rule("l1 + huber_l2", lambda: K("l1") + K("huber_l2")),
    _rule("linf + l1", lambda: K("linf") + 0.5 * K("l1")),
    _rule("half_square + top_k", lambda: K("half_square") + K("top_k", k=2)),
    _rule("nuclear + l1", lambda: 0.5 * K("nuclear") + 0.5 * K("l1"), (4, 3)),
    _rule("max(2 l2, linf)", lambda: lionk.functions.maximum(2 * K("l2"), K("linf"))),
    _rule("max(box, l2)", lambda: lionk.functions.maximum(K("box", lower=-2.0, upper=0.5), K("l2"))),
    _rule("group(top_k_l2, l2)", lambda: lionk.functions.group_lift(K("top_k_l2", k=2), "l2"), (3, 4)),
    _rule("radial(huber, k_support)", lambda: lionk.functions.radial_lift("huber", K("k_support", k=2)), long=True),
    _rule("k_support.moreau", lambda: K("k_support", k=2).moreau(0.5), long=True),
    _rule("smooth_linf.moreau", lambda: K("smooth_linf").moreau(0.5), long=True),
    _rule("smoothed(l1)", lambda: lionk.functions.smoothed(K("l1"), 0.7)),
    _rule("smoothed(half_square)", lambda: lionk.functions.smoothed(K("half_square"))),
    _rule("smoothed(softplus, gaussian)", lambda: lionk.functions.smoothed(K("softplus"), 0.5, "gaussian")),
    _rule("row + col", lambda: K("row_l1_l2") + 0.5 * K("col_l1_l2"), (4, 3), long=True),
    _rule("half_square [] power", lambda: lionk.functions.infimal_convolution(K("half_square"), K("power", p=3))),
    _rule("cosh.moreau", lambda: K("cosh").moreau(0.5)),
    _rule("capped_simplex.moreau", lambda: K("capped_simplex", k=2).moreau(0.5)),
    _rule("log_sum_exp.moreau", lambda: K("log_sum_exp").moreau(0.5), long=True),
    _rule("linf.moreau.moreau", lambda: K("linf").moreau(0.5).moreau(0.5), long=True),
    _rule("positive(softsign)", lambda: lionk.functions.positive_part(K("softsign"))),
    _rule("positive(group)", lambda: lionk.functions.positive_part(K("group_l1_l2")), (3, 4)),
    _rule("positive(half_linf_squared)", lambda: lionk.functions.positive_part(K("half_linf_squared"))),
    _rule("centered(huber)", lambda: lionk.functions.centered(K("huber"))),
    _rule("centered(half_square)", lambda: lionk.functions.centered(K("half_square"))),
    _rule("centered(max)", lambda: lionk.functions.centered(K("max")), long=True),
    _rule("centered(exp)", lambda: lionk.functions.centered(K("exp")), long=True),
    _rule("centered(l1, -1)", lambda: lionk.functions.centered(K("l1"), -1), (3, 4)),
    _rule("l1 after 3 rows", lambda: lionk.functions.linear_map(K("l1"), _V[:3])),
    _rule("huber after rows", lambda: lionk.functions.linear_map(K("huber"), _ROWS), (4,)),
    _rule("l1 [] 2 l2", lambda: lionk.functions.infimal_convolution(K("l1"), 2 * K("l2"))),
    _rule("huber* + power", lambda: K("huber").conjugate + K("power", p=3)),
    _rule("relu* + box*", lambda: K("relu").conjugate + K("box", lower=-0.5, upper=0.5).conjugate),
    _rule("relu.ridge", lambda: K("relu").ridge(0.5)),
    _rule("log_cosh.ridge", lambda: K("log_cosh").ridge(0.5)),
    _rule("linf.ridge.moreau", lambda: K("linf").ridge(0.5).moreau(2.0)),
    _rule("dead_zone.ridge", lambda: K("dead_zone").ridge(0.5)),
    _rule("group(top_k, l2)", lambda: lionk.functions.group_lift(K("top_k", k=2), "l2"), (3, 4)),
    _rule("group(huber, l2, 0)", lambda: lionk.functions.group_lift(K("huber"), "l2", axis=0), (3, 4)),
    _rule("group(2 l1, linf)", lambda: lionk.functions.group_lift(2 * K("l1"), "linf"), (3, 4)),
    _rule(
        "group(w l1, linf)",
        lambda: lionk.functions.group_lift(K("weighted_l1", weights=(1.0, 2.0, 0.5)), "linf"),
        (3, 4),
    ),
    _rule("group(l1, lp)", lambda: lionk.functions.group_lift("l1", K("lp", p=3)), (3, 4)),
    _rule("radial(half_square, top_k)", lambda: lionk.functions.radial_lift("half_square", K("top_k", k=2)), long=True),
    _rule("radial(clip, dual_owl)", lambda: lionk.functions.radial_lift("clip", "dual_owl"), long=True),
    _rule("group(linf, l1)", lambda: lionk.functions.group_lift("linf", "l1"), (3, 4)),
    _rule("group(lp, l2)", lambda: lionk.functions.group_lift(K("lp", p=3), "l2"), (3, 4)),
    _rule("radial(log_cosh, lp)", lambda: lionk.functions.radial_lift("log_cosh", K("lp", p=3)), long=True),
    _rule("radial(clip, nuclear)", lambda: lionk.functions.radial_lift(K("clip", bound=0.7), "nuclear"), (4, 3)),
    _rule("radial(softsign, l2)", lambda: lionk.functions.radial_lift("softsign")),
    _rule("radial(huber, dilated l2)", lambda: lionk.functions.radial_lift("huber", K("l2").dilate(-2.0))),
    _rule("spectral(elastic)", lambda: lionk.functions.spectral_lift(K("elastic", mu=0.5)), (4, 3)),
    _rule("spectral(3 softsign)", lambda: lionk.functions.spectral_lift(3 * K("softsign")), (4, 3)),
    _rule("spectral(huber_l2)", lambda: lionk.functions.spectral_lift(K("huber_l2")), (4, 3)),
    _rule("spectral(l1 + l2)", lambda: lionk.functions.spectral_lift(K("l1") + K("l2")), (4, 3)),
    _rule("spectral(moreau top_k)", lambda: lionk.functions.spectral_lift(K("moreau_top_k", k=2)), (4, 3)),
    _rule("spectral(1/2 linf^2)", lambda: lionk.functions.spectral_lift(K("half_linf_squared")), (4, 3)),
]

NAMED = [_named(n) for n in lionk.algorithms()] + [
    _named("global_norm_clip", bound=0.5),
    _named("soft_signum", tau=3.0),
    _named("rlion", tau=0.5),
    _named("muon", shape=(3, 4), scaling="match_rms_adamw"),
    _named("muon", shape=(2, 4, 3)),
    _named("muon", shape=(8, 3), sections=2, heads=2),
    _named("scion_row", shape=(3, 4), axis=-1, heads=2),
    _named("fanion", k=2),
    _named("ht_muon", power=0.5),
    _named("freon", q=3),
    _named("clipped_scion", bound=0.5, norm="scion_spectral"),
    _named("clipped_scion", norm="l2"),
    _named("scion_spectral", shape=(3, 4), scale=2.0, max=True),
    _named("scion_spectral", shape=(2, 4, 3), scale=0.5, normalized=False),
    _named("scion_spectral_conv", shape=(2, 3, 2, 2), scale=3.0),
    _named("scion_sign", scale=2.0, normalized=False),
    _named("scion_row", shape=(2, 4, 3), scale=2.0),
    _named("scion_row", scale=2.0, normalized=False, transpose=True),
    _named("scion_row", transpose=True),
    _named("scion_col", shape=(2, 4, 3), scale=0.5, normalized=True),
    _named("scion_col", transpose=True, normalized=True),
    _named("scion_bias", shape=(2, 3), scale=0.1),
]

SHAPED = [
    _rule("muon.tilt(array)", lambda: K("muon").tilt(_M), (4, 3)),
    _rule("2 muon.dilate(-3).moreau", lambda: (2 * K("muon")).dilate(-3.0).moreau(0.5), (4, 3)),
    _rule("scion_row.shift(array)", lambda: K("scion_row").shift(_M), (4, 3)),
    _rule("scale(conjugate(huber), factor)", lambda: K("huber").conjugate.scale(ShapeFactor(size=0.5)).conjugate),
    _rule("scale(scale(l1, factor), factor)", lambda: K("scion_sign").scale(ShapeFactor(rows=0.5)), (4, 3)),
    _rule("spectral(scion_bias)", lambda: lionk.functions.spectral_lift(K("scion_bias")), (4, 3)),
    _rule("block(nuclear, 0, 2)", lambda: lionk.functions.block_lift(K("nuclear"), 0, 2), (4, 3)),
    _rule("block(muon, 1, sizes)", lambda: lionk.functions.block_lift(K("muon"), 1, [1, 2, 1]), (3, 4)),
    _rule("block(l2, sizes)", lambda: lionk.functions.block_lift(K("l2"), 0, (1, 2, 3))),
    _rule("block(capped_simplex)", lambda: lionk.functions.block_lift(K("capped_simplex", k=2), -1, 2)),
    _rule("matrix(muon, 0, 2)", lambda: lionk.functions.matrix_lift(K("muon"), 0, 2), (3, 2, 4)),
    _rule("matrix(spectral, (2, 0))", lambda: lionk.functions.matrix_lift(K("spectral"), (2, 0)), (2, 3, 2)),
    _rule("kernel(row_l1_l2)", lambda: lionk.functions.kernel_lift(K("row_l1_l2")), (3, 2, 2)),
    _rule("kernel(nuclear.tilt)", lambda: lionk.functions.kernel_lift(K("nuclear").tilt(0.25)), (3, 2, 2)),
]

_KNOWN = [c.K for c in DEFAULTS + PARAMETERS]
ALGORITHMS = [c for c in NAMED if c.K not in _KNOWN]  # the others are functions of the rows above, under another name


def _soft(x: Any) -> Any:
    """log(1 + exp(-2|x|))."""
    xp = array_namespace(x)
    return xp.log1p(xp.exp(-2 * xp.abs(x)))


def _log_cosh(x: Any) -> Any:
    return abs(x) + _soft(x) - math.log(2)


def _tanh(x: Any) -> Any:
    return array_namespace(x).tanh(x)


def _kinked_slope(x: Any) -> Any:
    xp = array_namespace(x)
    return x + xp.where(xp.isnan(x), x, xp.sign(x))


def _entropy(y: Any) -> Any:
    """The conjugate of 1/2 log(1 + exp(2x))."""
    xp = array_namespace(y)
    one = xp.ones_like(y)
    parts = [v * xp.log(xp.where(v == 0, one, v)) for v in (y, 1 - y)]
    return (parts[0] + parts[1]) / 2


def _vertex(c: Any) -> Any:
    """The oracle of the simplex: the first of the largest entries."""
    xp = array_namespace(c)
    place = xp.reshape(xp.arange(math.prod(c.shape), device=device(c)), c.shape)
    first = xp.min(xp.where(c == xp.max(c), place, math.prod(c.shape)))
    return xp.astype(place == first, c.dtype)


_own = lionk.functions
OWN = [
    _rule("from_scalar(log cosh)", lambda: _own.from_scalar(_log_cosh, _tanh, slope_range=(-1, 1), even=True)),
    _rule(
        "from_scalar(|x| + x^2/2)",
        lambda: _own.from_scalar(
            lambda x: abs(x) + x * x / 2, _kinked_slope, slope_range=(-math.inf, math.inf), even=True, smooth=False
        ),
    ),
    _rule(
        "from_scalar(softplus, conjugate)",
        lambda: _own.from_scalar(
            lambda x: (abs(x) + x + _soft(x)) / 2, lambda x: (1 + _tanh(x)) / 2, _entropy, slope_range=(0, 1)
        ),
    ),
    _rule(
        "from_scalar(softsign)",
        lambda: _own.from_scalar(
            lambda x: abs(x) - array_namespace(x).log1p(abs(x)),
            lambda x: x / (1 + abs(x)),
            slope_range=(-1, 1),
            open_range=True,
            even=True,
        ),
    ),
    _rule(
        "from_projection(ends)",
        lambda: _own.from_projection(
            lambda y: array_namespace(y).clip(y, -0.5, 2.0), 0.5, diameter=2.5 * 6**0.5, symmetric=True
        ),
    ),
    _rule(
        "from_projection(orthant)",
        lambda: _own.from_projection(lambda y: array_namespace(y).clip(y, 0.0, None), minimum_at_zero=True),
    ),
    _rule("from_lmo(simplex)", lambda: _own.from_lmo(_vertex, diameter=2**0.5, minimum_at_zero=False)),
]

SPECIFIED = [*DEFAULTS, *PARAMETERS, *RULES, *ALGORITHMS, *SHAPED]  # those that have a spec
TABLE = [*SPECIFIED, *OWN]
BY_ID = {c.id: c for c in TABLE}
