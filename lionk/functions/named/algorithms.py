"""Named algorithms: the K that makes the Lion-K step a published optimizer, under the optimizer's name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ...arrays.later import Later
from ...arrays.shape_factor import MATCHED, NONE, ORIGINAL, ShapeFactor
from ..base import ConvexFunction
from ..registry.entries import Builder, Entry, enter, entry
from ..registry.parameters import positive
from . import groups as g
from . import matrix as m
from . import scalar as s
from . import vector as v

block_lift = Later("lionk.functions.calculus.parts", "block_lift")

_TEXTS = ("formula", "subgradient", "conjugate", "constraint")


def algorithm(kind: str, source: str, like: str = "", **texts: str) -> Callable[[Builder], Builder]:
    """Register a builder under its own name; the texts that are not given are those of the function ``like``.

    Those of matrices also take ``heads``, ``axis`` and ``sections``.
    """

    def entered(build: Builder) -> Builder:
        known = {t: getattr(entry(like), t) for t in _TEXTS} if like else {}
        build = in_parts(build) if kind == "matrix" else build
        enter(Entry(build.__name__, build, kind, source=source, algorithm=True, **{**known, **texts}))
        return build

    return entered


_PARTS = """

    ``sections``: how many equal slices along ``axis`` (None: -2, the outputs) are a matrix each, or their sizes: the
    parts of a fused projection, experts. ``heads``: how many heads each of them has, or the whole. Factors that depend
    on the shape see that of one slice; see ``lionk.functions.block_lift``.
    """


def in_parts(build: Builder) -> Builder:
    """A builder of a function of matrices, for each slice along an axis."""

    @functools.wraps(build)
    def made(
        *args: Any, heads: int | None = None, axis: int | None = None, sections: Any = None, **parameters: Any
    ) -> ConvexFunction:
        K = build(*args, **parameters)
        for parts in (heads, sections):
            if parts is not None:
                K = block_lift(K, -2 if axis is None else axis, parts)
        return K

    plain, sliced = (list(inspect.signature(f, follow_wrapped=False).parameters.values()) for f in (build, made))
    made.__signature__ = inspect.Signature([*plain, *sliced[1:-1]])  # type: ignore[attr-defined]
    made.__doc__ = (build.__doc__ or "").rstrip() + _PARTS
    return made


def nuclear(factor: ShapeFactor, polar: Any) -> ConvexFunction:
    return m.spectral_lift(s.l1(), polar).scale(factor)


# -- entry by entry, or all entries as one vector ---------------------------------------------------------------


@algorithm("scalar", "2302.06675 (Lion)", like="l1")
def lion() -> ConvexFunction:
    """Lion, with momentum betas (0.9, 0.99): K = l1 (Chen et al. 2023, 2302.06675)."""
    return s.l1()


@algorithm("vector", "2310.05898 (Lion-lp)", like="lp")
def lion_lp(p: float = 1.5) -> ConvexFunction:
    """Lion-lp: K = lp(p) (Chen, Liu, Liang, Liu 2023, 2310.05898)."""
    return v.lp(p)


@algorithm("vector", "Cutkosky and Mehta 2020, 2002.03305 (NIGT)", like="l2")
def normalized_sgd() -> ConvexFunction:
    """Normalised SGD with momentum: K = l2 (Cutkosky and Mehta 2020, 2002.03305)."""
    return v.l2()


@algorithm(
    "vector",
    "Pascanu et al. 2013, 1211.5063; 2506.01913",
    formula="|x|^2/2 if |x| <= bound, else bound |x| - bound^2/2",
    subgradient="x min(1, bound/|x|_2)",
    conjugate="1/2 |y|^2 if |y|_2 <= bound",
    constraint="|x|_2 <= bound/lam, adds lam/2 |x|^2",
)
def global_norm_clip(bound: float = 1.0) -> ConvexFunction:
    """Clipping of the global norm: K = bound huber_l2(bound) (Pascanu et al. 2013, 1211.5063)."""
    return v.huber_l2(positive("bound", bound)).scale(bound)


@algorithm(
    "scalar",
    "2605.31371 (SoftSignum)",
    formula="sum log cosh(tau x_i) / tau",
    subgradient="tanh(tau x)",
    conjugate="sum (1+y)/2 log(1+y) + (1-y)/2 log(1-y), over tau",
    constraint="|x_i| <= 1/lam, with an entropy",
)
def soft_signum(tau: float = 1.0) -> ConvexFunction:
    """SoftSignum: K = log_cosh(1/tau) (2605.31371)."""
    return s.log_cosh(1 / positive("tau", tau))


@algorithm(
    "scalar",
    "RLion, Sci Rep 2025",
    formula="(2/pi) sum x atan(tau x) - log(1 + tau^2 x^2)/(2 tau)",
    subgradient="(2/pi) atan(tau x)",
    conjugate="-(2/(pi tau)) sum log cos(pi y/2)",
    constraint="|x_i| < 1/lam, with a barrier",
)
def rlion(tau: float = 1.0) -> ConvexFunction:
    """RLion (Scientific Reports 2025): K = arctan(1/tau)."""
    return s.arctan(1 / positive("tau", tau))


@algorithm("scalar", "2604.15416 (StoSignSGD)", like="huber")
def sto_sign(delta: float = 1.0) -> ConvexFunction:
    """The expected update of StoSignSGD, ``E sign(x + delta U), U ~ [-1, 1]``: K = huber(delta) (2604.15416)."""
    return s.huber(delta)


# -- matrices ---------------------------------------------------------------------------------------------------

MUON = {"original": ORIGINAL, "match_rms_adamw": MATCHED, "none": NONE}


@algorithm(
    "matrix",
    "Jordan et al. 2024; 2506.15054",
    formula="s sum s_i(X), s = sqrt(max(1, rows/cols)), 0.2 sqrt(max(rows, cols)) or 1",
    subgradient="s U V'",
    conjugate="0 if s_1(Y) <= s",
    constraint="s_1(X) <= s/lam",
)
def muon(scaling: str = "original", polar: Any = "svd") -> ConvexFunction:
    """Muon: K = s nuclear (Jordan et al. 2024; as Lion-K: Chen, Li, Liu 2025, 2506.15054).

    ``scaling``: "original", s = sqrt(max(1, rows/cols)); "match_rms_adamw", s = 0.2 sqrt(max(rows, cols)) (Liu et al.
    2025, 2502.16982); "none", s = 1. ``polar``: see ``lionk.functions.spectral_lift``.
    """
    if not isinstance(scaling, str) or scaling not in MUON:
        raise ValueError(f"scaling must be one of {', '.join(map(repr, MUON))}, got {scaling!r}")
    return m.spectral_lift(s.l1(), polar) if scaling == "none" else nuclear(MUON[scaling], polar)


@algorithm("matrix", "2512.09678 (Neon); 2603.22824 (NucGD)", like="spectral")
def neon() -> ConvexFunction:
    """Neon, also NucGD: K = spectral norm (2512.09678, 2603.22824)."""
    return m.spectral()


@algorithm("matrix", "2512.09678 (Fanion); 2603.03597 (NuMuon)", like="ky_fan")
def fanion(k: int = 1) -> ConvexFunction:
    """Fanion-k, also NuMuon: K = ky_fan(k) (2512.09678, 2603.03597)."""
    return m.lifted(v.top_k)(k)


@algorithm("matrix", "2512.09678 (F-Muon)", like="nuclear_frobenius")
def f_muon(alpha: float = 0.5) -> ConvexFunction:
    """F-Muon: K = alpha nuclear + (1-alpha) Frobenius (2512.09678)."""
    return v.mixture(m.nuclear, m.frobenius)(alpha)


@algorithm("matrix", "2512.09678 (S-Muon)", like="nuclear_l1")
def s_muon(alpha: float = 0.5) -> ConvexFunction:
    """S-Muon: K = alpha nuclear + (1-alpha) l1 (2512.09678)."""
    return v.mixture(m.nuclear, s.l1)(alpha)


@algorithm(
    "matrix",
    "2603.10067 (HTMuon)",
    formula="sum s_i^(1+power) / (1+power)",
    subgradient="U s^power V'",
    conjugate="sum s_i(Y)^q / q, q = 1 + 1/power",
    constraint="adds lam^(q-1) sum s_i(X)^q / q",
)
def ht_muon(power: float = 0.125) -> ConvexFunction:
    """HTMuon, ``U S^power V'``: K = schatten_power(1 + power), 0 < power < 1 (2603.10067)."""
    if not 0 < positive("power", power) < 1:
        raise ValueError(f"power must be in (0, 1), got {power!r}; schatten_power(p) takes every p = 1 + power > 1")
    return m.lifted(s.power)(1 + power)


@algorithm(
    "matrix",
    "2605.11181 (Freon)",
    formula="|s(X)|_q",
    subgradient="U (s/|s|_q)^(q-1) V'",
    conjugate="0 if |s(Y)|_r <= 1, 1/q + 1/r = 1",
    constraint="|s(X)|_r <= 1/lam",
)
def freon(q: float = 1.5) -> ConvexFunction:
    """Freon, ``(G G')^(q/2 - 1) G`` of the normalised G: K = schatten(q), q >= 1 (2605.11181)."""
    if not positive("q", q) >= 1:
        raise ValueError(f"q must be >= 1, got {q!r}: for q < 1 this is the dK of no convex function")
    return m.lifted(v.lp)(q)


@algorithm("matrix", "2605.31371 (SoftMuon)", like="spectral_pseudo_huber")
def soft_muon(delta: float = 1.0) -> ConvexFunction:
    """SoftMuon, ``X (X'X + delta^2)^(-1/2)``: K = spectral_pseudo_huber(delta) (2605.31371)."""
    return m.lifted(s.pseudo_huber)(delta)


@algorithm("matrix", "2605.26459 (MuCon); 2605.11838", like="spectral_clip")
def mu_con(bound: float = 1.0) -> ConvexFunction:
    """MuCon, also spectral clipping: K = spectral_clip(bound) (2605.26459, 2605.11838)."""
    return m.lifted(s.clip)(bound)


@algorithm("matrix", "2505.21799 (PolarGrad)", like="half_nuclear_squared")
def polar_grad() -> ConvexFunction:
    """PolarGrad, the "sharp" operator of the spectral norm: K = half_nuclear_squared (2505.21799)."""
    return v.half_squared(m.nuclear)()


@algorithm("matrix", "2603.20527 (RMNP)", like="row_l1_l2")
def rmnp() -> ConvexFunction:
    """RMNP: K = row_l1_l2, every row divided by its norm (2603.20527)."""
    return g.slices("l2", -1)()


@algorithm(
    "matrix",
    "2506.01913 (Clipped Scion)",
    formula="N^2/2 if N <= bound, else bound N - bound^2/2, N = norm(X)",
    subgradient="min(N, bound) dN(X)",
    conjugate="1/2 N*(Y)^2 if N*(Y) <= bound",
    constraint="N*(X) <= bound/lam, adds lam/2 N*(X)^2",
)
def clipped_scion(bound: float = 1.0, norm: Any = "nuclear") -> ConvexFunction:
    """Clipped Scion, ``min(bound, N(X)) dN(X)``: K = clip(bound) of a norm N (2506.01913).

    ``norm``: a name, spec or function that is a norm, such as "l2" or "scion_spectral"; its dual norm must be known.
    """
    return v.radial_lift(s.clip(bound), norm)
