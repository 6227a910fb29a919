"""The convex function of one array: the checked public layer over the hooks that a new function supplies."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import is_container
from ..arrays.far import from_afar
from ..arrays.namespace import Array, Namespace, visible
from ..arrays.value import field, fields, value_class
from ..errors import NotAvailable
from ..sets.base import ArraySet, resolve_tol
from ..sets.box import Whole
from .base import ConvexFunction


@value_class
class ArrayFunction(ConvexFunction):
    """A convex function of one array: the checked public layer over four private hooks.

    The hooks get the namespace ``xp``, arrays of at least 32 bits, and ``batch`` (see ``lionk.arrays.namespace``).
    """

    conjugate: ArrayFunction = field(default=None, kw_only=True, repr=False, compare=False)
    domain: ArraySet = field(init=False, repr=False, compare=False)

    def value(self, x: Array, tol: float | None = None) -> Array:
        kind, z, n = self._read(x, "x")
        if kind.differentiable:
            from ..arrays.derivative import differentiated, with_derivative

            if differentiated(x) and not any(map(differentiated, self._arrays)):
                return with_derivative(lambda z: self._number(*self._read(z, "x"), tol), self.subgradient, x)
        return self._number(kind, z, n, tol)

    def _number(self, kind: _xp.Kind, z: Array, n: int, tol: float | None) -> Array:
        v = self._value(kind.xp, z, n, resolve_tol(kind, z, tol))
        return _xp.astype(kind.xp, reductions.total(kind.xp, v, 0) if n else v, kind.real_dtype)

    def bounds(self, x: Array, tol: float | None = None) -> tuple[Array, Array]:
        from . import enclosure  # with the iterations that it brackets: here, so that `import lionk` stays light

        kind, z, n = self._read(x, "x")
        lower, upper = enclosure.bounds(self, kind.xp, z, n, resolve_tol(kind, x, tol))
        return enclosure.outward(kind.xp, lower, upper, kind.real_dtype)

    def subgradient(self, x: Array) -> Array:
        kind, z, n = self._read(x, "x")
        return _xp.astype(kind.xp, self._subgradient(kind.xp, z, n), x.dtype)

    def prox(self, x: Array, t: float = 1.0) -> Array:
        if isinstance(t, (int, float)) and not 0 < t < math.inf:
            raise ValueError(f"prox needs a step 0 < t < inf, got t={t!r}")
        kind, z, n = self._read(x, "x")
        t = _xp.astype(kind.xp, t, _xp.real_dtype(z)) if hasattr(t, "shape") else float(t)
        return _xp.astype(kind.xp, self._prox(kind.xp, z, t, n), x.dtype)

    def fenchel_young(self, x: Array, s: Array, tol: float | None = None) -> Array:
        kind, other, a, b, n = self._read_pair(x, s)
        xp, t = kind.xp, resolve_tol(other, s, tol)
        gap = self._value(xp, a, n, t) + self.conjugate._value(xp, b, n, t) - reductions.inner(xp, a, b, n)
        return _xp.astype(xp, reductions.total(xp, gap, 0) if n else gap, kind.real_dtype)

    def subdifferential_distance(self, x: Array, s: Array) -> Array:
        kind, _, a, b, n = self._read_pair(x, s)
        away = self._subdifferential_distance(kind.xp, a, b, n)
        return _xp.astype(kind.xp, reductions.norm(kind.xp, away) if away.ndim else away, kind.real_dtype)

    def bind(self, like: Array, batch: int = 0) -> Any:
        from .bound import Bound  # here, so that `import lionk` stays light

        made, dual = Bound(self, like, batch), Bound(self.conjugate, like, batch)
        made.conjugate, dual.conjugate = dual, made
        return made

    @abstractmethod
    def _value(self, xp: Namespace, x: Array, batch: int, tol: float) -> Array:
        """K over the event; +inf outside the domain enlarged by ``tol`` times its scale."""

    @abstractmethod
    def _subgradient(self, xp: Namespace, x: Array, batch: int) -> Array: ...

    def _slope(self, xp: Namespace, x: Array, batch: int) -> Array:
        """dK, and infinity off the domain, where there is none whatever a selection makes of it."""
        s = self._subgradient(xp, x, batch)
        if isinstance(self.domain, Whole):
            return s
        return xp.where(_xp.spread(xp, self.domain._violation(xp, x, batch) > 0, s), math.inf + xp.zeros_like(s), s)

    def _measured(self, xp: Namespace, x: Array, batch: int, tol: float) -> tuple[Array, Array, Array]:
        """K, dK, and the size of the terms that K is computed from, which its rounding is relative to: they may cancel.

        At least ``|K| + sum |x_i s_i|``, K's change under a rounding of x, s on the steep side of a kink; ``|x| |s|``
        where x is moved into a domain.
        """
        value, s = self._value(xp, x, batch, tol), self._subgradient(xp, x, batch)
        straight = self.traits.smooth or self.traits.homogeneous
        steep = s if straight else self._subgradient(xp, x * (1 + 16 * _xp.eps(x)), batch)
        terms = reductions.products if isinstance(self.domain, Whole) else reductions.norms
        return value, s, reductions.magnitude(xp, value) + terms(xp, x, steep, batch)

    @property
    def _cancels(self) -> bool:
        """May K be small where the terms that it is computed from are large?"""
        parts = (getattr(self, f.name) for f in fields(self) if f.init and f.compare)
        return any(k._cancels for k in parts if isinstance(k, ArrayFunction))

    def _enveloped(self, mu: float, dual: ArrayFunction | None = None) -> ArrayFunction | None:
        """Its Moreau envelope, where that is better known in another form, with this conjugate."""
        return None

    def _prox(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        raise NotAvailable(
            f"{self!r} has no known proximal operator; traits.prox of a function says whether it has one"
        )

    def _by_conjugate(self, xp: Namespace, x: Array, t: Any, batch: int) -> Array:
        """``prox_{t K}(x)`` by that of the conjugate: ``x - t prox_{K*/t}(x/t)`` (Moreau 1965)."""
        k = self.conjugate

        def rest(x: Array, a: Any) -> Array:
            return x - a * t * k._prox(xp, x / (a * t), 1 / (a * t), batch)

        return from_afar(xp, rest, x, lambda: k._slope(xp, x / t, batch), batch)

    def _subdifferential_distance(self, xp: Namespace, x: Array, s: Array, batch: int) -> Array:
        if self.traits.smooth:
            return reductions.norm(xp, s - self._subgradient(xp, x, batch), batch)
        raise NotAvailable(
            f"the distance to the subdifferential of {self!r} has no closed form; test membership with "
            "K.fenchel_young(x, s), which is 0 exactly on it"
        )

    # -- shared ------------------------------------------------------------------------------------------------

    def _read(self, x: Array, name: str) -> tuple[_xp.Kind, Array, int]:
        """An argument, checked: its kind, x (16-bit arrays are computed with in float32 and rounded once), and how
        many of its first axes are a stack of blocks.
        """
        if is_container(x):
            raise TypeError(f"{name} is a {type(x).__name__}; use lionk.blocks(K) for containers of arrays")
        kind = _xp.floating(x, name)
        for a in self._arrays:
            if _xp.namespace(a) is not kind.xp:
                raise TypeError(
                    f"the parameters of this function are arrays of another library than {name}; move the function "
                    f"with K.to(like={name})"
                )
        stacked = max(x.ndim - 2, 0) if self.traits.stacks else 0
        return kind, kind.xp.astype(x, kind.computed) if kind.low else x, stacked

    def _read_pair(self, x: Array, s: Array) -> tuple[_xp.Kind, _xp.Kind, Array, Array, int]:
        (kind, a, n), (other, b, _) = self._read(x, "x"), self._read(s, "s")
        if kind.xp is not other.xp:
            _xp.namespace(a, b, name="x and s")  # which says so
        if a.shape != b.shape:
            raise ValueError(f"x and s must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
        return kind, other, a, b, n


def outside_is_infinite(xp: Namespace, value: Array | None, violation: Array, tol: Any) -> Array:
    """``value`` (None: 0) inside, ``+inf`` where the violation exceeds ``tol``, NaN where the violation is NaN."""
    if violation.ndim == 0 and visible(violation):
        return violation + math.inf if not violation <= tol else _xp.zero(xp, violation) if value is None else value
    zero = xp.zeros_like(violation) if value is None else value
    return xp.where(violation <= tol, zero, violation + math.inf)
