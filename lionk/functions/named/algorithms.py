"""Named algorithms: the K that makes the Lion-K step a published optimizer, under the optimizer's name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ...arrays.shape_factor import ShapeFactor
from ..base import ConvexFunction
from ..registry.entries import entry, register
from ..registry.later import Later
from ..registry.parameters import positive
from . import builders as b
from . import catalogue as _catalogue  # noqa: F401  (whose texts the algorithms take)

kernel_lift = Later("lionk.functions.calculus.parts", "kernel_lift")
block_lift = Later("lionk.functions.calculus.parts", "block_lift")

_TEXTS = ("formula", "subgradient", "conjugate", "constraint")
_SCION = "2502.07529 (Scion)"


def _algorithm(kind: str, source: str, like: str = "", **texts: str) -> Callable[[b.Builder], b.Builder]:
    """Register a builder under its own name; the texts that are not given are those of the function ``like``.

    Those of matrices also take ``heads``, ``axis`` and ``sections``.
    """

    def registered(build: b.Builder) -> b.Builder:
        known = {t: getattr(entry(like), t) for t in _TEXTS} if like else {}
        build = in_parts(build) if kind == "matrix" else build
        register(build.__name__, build, kind=kind, source=source, algorithm=True, **{**known, **texts})
        return build

    return registered


_PARTS = """

    ``sections``: how many equal slices along ``axis`` (None: -2, the outputs) are a matrix each, or their sizes: the
    parts of a fused projection, experts. ``heads``: how many heads each of them has, or the whole. Factors that depend
    on the shape see that of one slice; see ``lionk.functions.block_lift``.
    """


def in_parts(build: b.Builder) -> b.Builder:
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


def _nuclear(factor: ShapeFactor, polar: Any) -> ConvexFunction:
    return b.spectral_lift(b.l1(), polar).scale(factor)


def _factor(scale: float, **exponents: Any) -> ShapeFactor:
    return ShapeFactor(positive("scale", scale), **exponents)


# -- entry by entry, or all entries as one vector ---------------------------------------------------------------


@_algorithm("scalar", "2302.06675 (Lion)", like="l1")
def lion() -> ConvexFunction:
    """Lion, with momentum betas (0.9, 0.99): K = l1 (Chen et al. 2023, 2302.06675)."""
    return b.l1()


@_algorithm("vector", "2310.05898, section 4 (Lion-lp)", like="lp")
def lion_lp(p: float = 1.5) -> ConvexFunction:
    """Lion-lp: K = lp(p) (Chen, Liu, Liang, Liu 2023, 2310.05898)."""
    return b.lp(p)


@_algorithm("vector", "Cutkosky and Mehta 2020, 2002.03305 (NIGT)", like="l2")
def normalized_sgd() -> ConvexFunction:
    """Normalised SGD with momentum: K = l2 (Cutkosky and Mehta 2020, 2002.03305)."""
    return b.l2()


@_algorithm(
    "vector",
    "Pascanu et al. 2013, 1211.5063; 2506.01913",
    formula="|x|^2/2 if |x| <= bound, else bound |x| - bound^2/2",
    subgradient="x min(1, bound/|x|_2)",
    conjugate="1/2 |y|^2 if |y|_2 <= bound",
    constraint="|x|_2 <= bound/lam, adds lam/2 |x|^2",
)
def global_norm_clip(bound: float = 1.0) -> ConvexFunction:
    """Clipping of the global norm: K = bound huber_l2(bound) (Pascanu et al. 2013, 1211.5063)."""
    return b.huber_l2(positive("bound", bound)).scale(bound)


@_algorithm(
    "scalar",
    "2605.31371 (SoftSignum)",
    formula="sum log cosh(tau x_i) / tau",
    subgradient="tanh(tau x)",
    conjugate="sum (1+y)/2 log(1+y) + (1-y)/2 log(1-y), over tau",
    constraint="|x_i| <= 1/lam, with an entropy",
)
def soft_signum(tau: float = 1.0) -> ConvexFunction:
    """SoftSignum: K = log_cosh(1/tau) (2605.31371)."""
    return b.log_cosh(1 / positive("tau", tau))


@_algorithm(
    "scalar",
    "RLion, Sci Rep 2025",
    formula="(2/pi) sum x atan(tau x) - log(1 + tau^2 x^2)/(2 tau)",
    subgradient="(2/pi) atan(tau x)",
    conjugate="-(2/(pi tau)) sum log cos(pi y/2)",
    constraint="|x_i| < 1/lam, with a barrier",
)
def rlion(tau: float = 1.0) -> ConvexFunction:
    """RLion (Scientific Reports 2025): K = arctan(1/tau)."""
    return b.arctan(1 / positive("tau", tau))


@_algorithm("scalar", "2604.15416 (StoSignSGD)", like="huber")
def sto_sign(delta: float = 1.0) -> ConvexFunction:
    """The expected update of StoSignSGD, ``E sign(x + delta U), U ~ [-1, 1]``: K = huber(delta) (2604.15416)."""
    return b.huber(delta)


# -- matrices ---------------------------------------------------------------------------------------------------

MUON = {
    "original": ShapeFactor(rows=0.5, cols=-0.5, at_least=1.0),
    "match_rms_adamw": ShapeFactor(0.2, longer=0.5),
    "none": ShapeFactor(),
}


@_algorithm(
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
    return b.spectral_lift(b.l1(), polar) if scaling == "none" else _nuclear(MUON[scaling], polar)


@_algorithm("matrix", "2512.09678 (Neon); 2603.22824 (NucGD)", like="spectral")
def neon() -> ConvexFunction:
    """Neon, also NucGD: K = spectral norm (2512.09678, 2603.22824)."""
    return b.spectral()


@_algorithm("matrix", "2512.09678 (Fanion); 2603.03597 (NuMuon)", like="ky_fan")
def fanion(k: int = 1) -> ConvexFunction:
    """Fanion-k, also NuMuon: K = ky_fan(k) (2512.09678, 2603.03597)."""
    return b.lifted(b.top_k)(k)


@_algorithm("matrix", "2512.09678 (F-Muon)", like="nuclear_frobenius")
def f_muon(alpha: float = 0.5) -> ConvexFunction:
    """F-Muon: K = alpha nuclear + (1-alpha) Frobenius (2512.09678)."""
    return b.mixture(b.nuclear, b.frobenius)(alpha)


@_algorithm("matrix", "2512.09678 (S-Muon)", like="nuclear_l1")
def s_muon(alpha: float = 0.5) -> ConvexFunction:
    """S-Muon: K = alpha nuclear + (1-alpha) l1 (2512.09678)."""
    return b.mixture(b.nuclear, b.l1)(alpha)


@_algorithm(
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
    return b.lifted(b.power)(1 + power)


@_algorithm(
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
    return b.lifted(b.lp)(q)


@_algorithm("matrix", "2605.31371 (SoftMuon)", like="spectral_pseudo_huber")
def soft_muon(delta: float = 1.0) -> ConvexFunction:
    """SoftMuon, ``X (X'X + delta^2)^(-1/2)``: K = spectral_pseudo_huber(delta) (2605.31371)."""
    return b.lifted(b.pseudo_huber)(delta)


@_algorithm("matrix", "2605.26459 (MuCon); 2605.11838", like="spectral_clip")
def mu_con(bound: float = 1.0) -> ConvexFunction:
    """MuCon, also spectral clipping: K = spectral_clip(bound) (2605.26459, 2605.11838)."""
    return b.lifted(b.clip)(bound)


@_algorithm("matrix", "2505.21799 (PolarGrad)", like="half_nuclear_squared")
def polar_grad() -> ConvexFunction:
    """PolarGrad, the "sharp" operator of the spectral norm: K = half_nuclear_squared (2505.21799)."""
    return b.half_squared(b.nuclear)()


@_algorithm("matrix", "2603.20527 (RMNP)", like="row_l1_l2")
def rmnp() -> ConvexFunction:
    """RMNP: K = row_l1_l2, every row divided by its norm (2603.20527)."""
    return b.slices("l2", -1)()


@_algorithm(
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
    return b.radial_lift(b.clip(bound), norm)


@_algorithm(
    "matrix",
    _SCION,
    formula="scale s sum s_i(X), s = sqrt(rows/cols), or sqrt(rows) if not normalized; max(1, s) if max",
    subgradient="scale s U V'",
    conjugate="0 if s_1(Y) <= scale s",
    constraint="s_1(X) <= scale s/lam",
)
def scion_spectral(
    scale: float = 1.0,
    normalized: bool = True,
    max: bool = False,  # noqa: A002
    polar: Any = "svd",
) -> ConvexFunction:
    """Scion's Spectral: K = scale s nuclear, s = sqrt(rows/cols) (Pethick et al. 2025, 2502.07529).

    ``normalized=False``: s = sqrt(rows). ``max``: max(1, s). ``polar``: see ``lionk.functions.spectral_lift``.
    """
    return _nuclear(_factor(scale, rows=0.5, cols=-0.5 if normalized else 0.0, at_least=1.0 if max else 0.0), polar)


@_algorithm(
    "kernel",
    _SCION,
    formula="scale s sum s_i(M), M = x as (out, in k...), s = sqrt(out/in)/k^d",
    subgradient="scale s U V' of M",
    conjugate="0 if s_1 of y's matrix <= scale s",
    constraint="s_1(M) <= scale s/lam",
)
def scion_spectral_conv(scale: float = 1.0, polar: Any = "svd") -> ConvexFunction:
    """Scion's Spectral for kernels (out, in, k) or (out, in, k, k): K = scale sqrt(out/in)/k^d nuclear (2502.07529).

    The kernel is reshaped to the matrix (out, in k^d).
    """
    return kernel_lift(b.spectral_lift(b.l1(), polar)).scale(_factor(scale, rows=0.5, cols=-0.5, window=-1.0))


@_algorithm(
    "matrix",
    _SCION,
    formula="scale sum |X_ij| / cols, or scale sum |X_ij| if not normalized",
    subgradient="scale sign(X) / cols",
    conjugate="0 if |Y_ij| <= scale/cols",
    constraint="|X_ij| <= scale/(cols lam)",
)
def scion_sign(scale: float = 1.0, normalized: bool = True) -> ConvexFunction:
    """Scion's Sign: K = scale l1 / cols, or scale l1 if not ``normalized`` (Pethick et al. 2025, 2502.07529)."""
    return b.l1().scale(_factor(scale, cols=-1.0) if normalized else positive("scale", scale))


@_algorithm(
    "matrix",
    _SCION,
    formula="scale/sqrt(cols) times the sum of row norms; without the root if not normalized",
    subgradient="scale/sqrt(cols) times rows divided by their norms",
    conjugate="0 if every row norm <= scale/sqrt(cols)",
    constraint="row norms <= scale/(sqrt(cols) lam)",
)
def scion_row(scale: float = 1.0, normalized: bool = True, transpose: bool = False) -> ConvexFunction:
    """Scion's RowNorm: K = scale row_l1_l2 / sqrt(cols) (Pethick et al. 2025, 2502.07529).

    ``normalized=False``: without the root. ``transpose``: the same of X', for weights stored as (inputs, outputs).
    """
    rows = b.slices("l2", -2 if transpose else -1)()
    if not normalized:
        return rows.scale(positive("scale", scale))
    return rows.scale(_factor(scale, **{"rows" if transpose else "cols": -0.5}))


@_algorithm(
    "matrix",
    _SCION,
    formula="scale sqrt(rows) times the sum of column norms; divided by cols if normalized",
    subgradient="scale times columns divided by their RMS",
    conjugate="0 if every column has RMS <= scale",
    constraint="RMS of columns <= scale/lam",
)
def scion_col(scale: float = 1.0, normalized: bool = False, transpose: bool = False) -> ConvexFunction:
    """Scion's ColNorm: K = scale sqrt(rows) col_l1_l2, divided by cols if ``normalized`` (2502.07529).

    ``transpose``: the same of X', for weights stored as (inputs, outputs).
    """
    rows, cols = ("cols", "rows") if transpose else ("rows", "cols")
    columns = b.slices("l2", -1 if transpose else -2)()
    return columns.scale(_factor(scale, **{rows: 0.5, cols: -1.0 if normalized else 0.0}))


@_algorithm(
    "vector",
    _SCION,
    formula="scale sqrt(n) |x|_2",
    subgradient="scale x/RMS(x)",
    conjugate="0 if RMS(y) <= scale",
    constraint="RMS(x) <= scale/lam",
)
def scion_bias(scale: float = 1.0) -> ConvexFunction:
    """Scion's BiasRMS: K = scale sqrt(n) l2, an update of root mean square ``scale`` (2502.07529)."""
    return b.l2().scale(_factor(scale, size=0.5))
