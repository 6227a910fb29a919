"""The spectral lift: from a function of a vector to a function of a matrix through its singular values."""

from __future__ import annotations

from typing import Any

from ...arrays import namespace as _xp
from ...arrays import reductions
from ...arrays import spectral as _spectral
from ...arrays.namespace import Array, Namespace
from ...arrays.newton_schulz import NewtonSchulzSet
from ...arrays.polar import NewtonSchulz, solver
from ...arrays.value import replace, value_class
from ...sets import rules as sets
from ...sets.base import ConvexSet
from ...sets.box import Box, Whole
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits
from ..definitions.support import Support
from ..enclosure import size_of_values
from ..registry.entries import array_function


@value_class
class SpectralLift(ArrayFunction):
    """``K(X) = k(s(X))`` for an absolutely symmetric k (von Neumann 1937; Lewis 1995).

    ``dK(X) = U dk(s) V^H``, ``K*(Y) = k*(s(Y))``, prox and projection act on the singular values, least norm is kept.
    Matrices are the last two axes; leading axes are independent blocks whose values add up. 0 on an empty matrix
    where k is 0 on the empty vector.

    ``polar``: for the nuclear norm, a solver that stands in for the SVD in ``dK`` alone (None: the SVD). What it gives
    lies in dom K* and makes ``0 <= K(X) + K*(S) - <X, S> <= (tol + min(m, n) resolve) K(X)``, up to rounding: an
    approximate subgradient, the dK of no function (``traits.selection``). A published Newton-Schulz set promises less:
    singular values up to its ``reach``, in place of 1, so that decay keeps ``s_1(X) <= reach/lam``.
    """

    inner: ArrayFunction
    polar: NewtonSchulz | NewtonSchulzSet | None = None

    def _validate(self) -> None:
        if self.polar is not None and L1 not in (self.inner, self.inner.conjugate):
            raise ValueError(f"polar={self.polar!r} is for the nuclear norm, spectral_lift(l1), not for {self.inner!r}")
        t = self.inner.traits
        if not (t.absolute and t.symmetric):
            raise ValueError(
                f"spectral_lift needs a function of |x_i| that ignores their order, and {self.inner!r} is not one; "
                "use l1, linf, top_k, lp, power, huber, ..."
            )

    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        _spectral.check_matrix(x, "a spectral function")
        s = _spectral.singular_values(xp, x)
        return reductions.total(xp, self.inner._value(xp, s, s.ndim - 1, tol), batch)

    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array:
        _spectral.check_matrix(x, "a spectral function")
        if self.polar is not None and self.inner == L1:
            return self.polar(xp, x)
        # the rounding of U f(s) V^H must not reach the boundary of an open domain, where K* is infinite
        edge = 1 - max(x.shape[-2:]) * _xp.eps(x) if self.traits.open_domain else 1.0
        merge = self.inner.traits.structure != "elementwise" and not self.inner.traits.smooth
        return _spectral.map_singular_values(
            xp, x, lambda s: edge * self.inner._subgradient(xp, s, s.ndim - 1), rank=True, merge=merge
        )

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        value, s = self._value(xp, x, batch, tol), self._subgradient(xp, x, batch)
        return value, s, reductions.total(xp, size_of_values(self.inner, xp, _spectral.singular_values(xp, x)), batch)

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        _spectral.check_matrix(x, "a spectral function")
        return _spectral.map_singular_values(
            xp, x, lambda s: self.inner._prox(xp, s, _xp.beside(xp, t, s), s.ndim - 1), rank=False, merge=False
        )

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if isinstance(self.inner, Support):
            return sets.Spectral(self.inner.set)._face_distance(xp, x, s, batch)
        return super()._subdifferential_distance(xp, x, s, batch)

    def _dual(self) -> ConvexFunction:
        return SpectralLift(self.inner.conjugate, self.polar, conjugate=self)

    def _domain(self) -> ConvexSet:
        return Whole() if isinstance(self.inner.domain, Whole) else sets.Spectral(self.inner.domain)

    def _traits(self) -> Traits:
        k = replace(
            self.inner.traits, absolute=False, symmetric=False, structure="matrix", stacks=True, needs=("linalg",)
        )
        return replace(k, selection="approximate") if self.polar is not None and self.inner == L1 else k

    def _spec(self) -> dict[str, Any]:
        solver = {} if self.polar is None else {"polar": self.polar.spec}
        return {"name": "spectral_lift", "k": self.inner.spec, **solver}


L1 = Support(Box())


def spectral_lift(k: Any, polar: Any = "svd") -> ConvexFunction:
    """``k(singular values of X)`` for an absolutely symmetric k: ``nuclear = spectral_lift(l1)``.

    ``polar``: "svd" or, for l1 only, how else ``U V^H`` is found: "newton_schulz", or its settings
    ``{"tol": ..., "resolve": ...}`` (see ``lionk.polar``), or a published Newton-Schulz set by its name (see
    ``lionk.conventions.newton_schulz``). Then the subgradient is an approximate one.
    """
    return SpectralLift(array_function(k, "spectral_lift"), solver(polar))
