"""The dual norm of a norm, for each kind of function that may be one."""

from __future__ import annotations

from functools import singledispatch

from ...errors import NotAvailable
from ...sets import rules as sets
from ...sets.ball import Ball
from ...sets.box import Box
from ...sets.hull import Hull
from ...sets.k_support import KSupportBall, TopKL2Ball
from ...sets.owl_ball import OwlBall
from ...sets.parts import Parts
from ...sets.sorted import Sorted
from ...sets.top_k import TopK
from ..array_function import ArrayFunction
from ..definitions.support import Support
from .affine import Affine
from .convolution import InfimalConvolution, Sum
from .joint import prox_is_closed
from .linear import LinearMap
from .parts import PartLift
from .spectral import SpectralLift
from .unit_ball import UnitBall


@singledispatch
def dual_norm(norm: ArrayFunction) -> ArrayFunction:
    """``N*(y) = sup { <x, y> : N(x) <= 1 }`` as a convex function: l1 and linf, lp and lq, top_k, OWL, rules of these.

    Of a sum of norms, or of the norms of parts, it is the support function of the unit ball. Raises NotAvailable for a
    norm whose dual norm is not among the functions here.
    """
    raise NotAvailable(
        f"{norm!r} has no known dual norm; use l1, l2, linf, lp, top_k, or lifts, sums and maxima of these"
    )


@dual_norm.register
def _(norm: Support) -> ArrayFunction:
    match norm.set:
        case Box() if norm.set == Box():
            return Support(TopK(1))
        case TopK(absolute=True):
            return Support(Box() if norm.set.k == 1 else OwlBall(k=int(norm.set.k)))
        case OwlBall():
            return Support(Sorted(norm.set.weights) if norm.set.k is None else TopK(norm.set.k))
        case Sorted(absolute=True):
            return Support(OwlBall(norm.set.weights))
        case Ball():
            return Support(Ball(2.0 if norm.set.q == 2 else norm.set.p))
        case KSupportBall():
            return Support(TopKL2Ball(norm.set.k))
        case TopKL2Ball():
            return Support(KSupportBall(norm.set.k))
        case Hull():
            return InfimalConvolution(*(dual_norm(Support(c)) for c in (norm.set.first, norm.set.second)))
        case UnitBall():
            return norm.set.norm
        case sets.Spectral():
            return SpectralLift(dual_norm(Support(norm.set.inner)))
        case sets.Affine(offset=None) if isinstance(norm.set.factor, (int, float)):
            return Affine(dual_norm(Support(norm.set.inner)), 1 / abs(norm.set.factor))
        case Parts():
            return dual_norm(PartLift(Support(norm.set.inner), norm.set.layout))
    return dual_norm.dispatch(ArrayFunction)(norm)


@dual_norm.register
def _(norm: SpectralLift) -> ArrayFunction:
    return SpectralLift(dual_norm(norm.inner))


@dual_norm.register
def _(norm: Affine) -> ArrayFunction:
    if not norm.traits.homogeneous or norm.tilt_by is not None:
        return dual_norm.dispatch(ArrayFunction)(norm)
    return Affine(dual_norm(norm.inner), 1 / abs(norm.slope))


@dual_norm.register
def _(norm: LinearMap) -> ArrayFunction:
    return LinearMap(dual_norm(norm.inner), norm.operator.dual)


@dual_norm.register
def _(norm: InfimalConvolution) -> ArrayFunction:
    return Support(Hull(*(dual_norm(k).conjugate.domain for k in (norm.first, norm.second))))


@dual_norm.register
def _(norm: PartLift) -> ArrayFunction:
    each = dual_norm(norm.inner)
    if norm.layout.whole:
        return PartLift(each, norm.layout)
    return Support(UnitBall(norm, Parts(each.conjugate.domain, norm.layout)))


@dual_norm.register
def _(norm: Sum) -> ArrayFunction:
    if not prox_is_closed(norm.first, norm.second):
        return dual_norm.dispatch(ArrayFunction)(norm)
    return Support(UnitBall(norm, dual_norm(norm.first).conjugate.domain))
