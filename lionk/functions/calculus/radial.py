"""The radial lift over blocks: a function of one number, the sum or the largest of the norms of the blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...arrays import namespace as _xp
from ...arrays import roots as _roots
from ...arrays.containers import is_container, leaves, named_leaves, tree_inner, tree_map, tree_norm
from ...arrays.namespace import Array
from ...arrays.value import replace, value_class
from ...errors import NotAvailable
from ...sets.base import ConvexSet
from ...sets.box import Whole
from ...sets.product import Product
from ..array_function import ArrayFunction
from ..base import ConvexFunction, Traits, inherited
from ..definitions.support import Indicator
from ..registry.entries import K, array_function
from .block_sum import Blocks, ContainerFunction, blocks
from .dual_norm import dual_norm
from .group import GroupLift

DUAL = {"sum": "max", "max": "sum"}


@value_class
class Coupled(ContainerFunction):
    """``K(x) = phi(N(x))``, ``N(x) = sum_j N_j(x_j)`` or ``max_j N_j(x_j)``; ``K*(y) = phi*(N*(y))``, phi even.

    N* is the other combination of the dual norms: the norm dual to a sum of norms is the largest of their duals, and
    the other way round. So the step of each block depends on all of them, by one number:
    ``dK(x)_j = phi'(N(x)) w_j dN_j(x_j)``, with w_j = 1 for the sum; for the largest, 1 over the number of blocks that
    tie, and 0 for the others. Derived here.
    """

    phi: ArrayFunction
    tree: Any
    combine: str = "sum"

    def _norms(self, x: Any) -> Array:
        """The norms of the blocks, 1-d."""
        return _stack(leaves(tree_map(_norm_of, x, self.tree)))

    def _whole(self, norms: Array) -> Array:
        xp = _xp.namespace(norms)
        return (xp.sum(norms) if self.combine == "sum" else xp.max(norms))[None, ...]

    def _weights(self, norms: Array) -> Array:
        xp, whole = _xp.namespace(norms), self._whole(norms)
        share = xp.ones_like(norms)
        if self.combine == "max":
            tied = xp.astype(norms == whole, norms.dtype)
            share = tied / xp.sum(tied)
        return self.phi.subgradient(whole) * share + xp.where(xp.isnan(norms), norms, xp.zeros_like(norms))

    def value(self, x: Any, tol: float | None = None) -> Array:
        return self.phi.value(self._whole(self._norms(x)), tol)

    def bounds(self, x: Any, tol: float | None = None) -> tuple[Array, Array]:
        ends = leaves(tree_map(lambda a, k: k.bounds(a), x, self.tree))
        low, high = (self._whole(_stack(e)) for e in (ends[::2], ends[1::2]))
        low = _xp.namespace(low).clip(low, 0.0, None)  # phi grows with its argument from 0 on
        if not isinstance(self.phi.domain, Whole):  # a member stays one when its norm is rounded up
            member = self.phi.domain.contains(self._whole(self._norms(x)), tol)
            high = _xp.namespace(high).where(member, self.phi.domain.project(high), high)
        return self.phi.bounds(low, tol)[0], self.phi.bounds(high, tol)[1]

    def at(self, x: Callable[[], Any]) -> Any:
        given = x()
        weights = self._weights(self._norms(given))
        each = iter(range(weights.shape[0]))
        return tree_map(lambda _, k: Weighted(k, weights[next(each)]), given, self.tree)

    def subgradient(self, x: Any) -> Any:
        return tree_map(lambda a, k: k.subgradient(a), x, self.at(lambda: x))

    def prox(self, x: Any, t: float = 1.0) -> Any:
        """By one number, for the sum: ``z_j = prox_{s N_j}(x_j)`` with s in ``t dphi(N(z))``; by Moreau, else."""
        if self.combine == "max":
            inner = self.conjugate.prox(tree_map(lambda a: a / t, x), 1 / t)
            return tree_map(lambda a, z: a - t * z, x, inner)

        def shrunk(s: Array) -> Any:
            return tree_map(lambda a, k: _prox(a, k, s), x, self.tree)

        dual: Any = self.conjugate
        top = dual._whole(dual._norms(x))  # here all blocks are 0
        xp = _xp.namespace(top)

        def excess(s: Array) -> Array:
            whole = self._whole(self._norms(shrunk(s[0])))
            if isinstance(self.phi.domain, Whole):
                return s - t * self.phi.subgradient(whole)
            return self.phi.conjugate.subgradient(s / t) - whole

        s = _roots.root(xp, excess, xp.zeros_like(top), xp.where(xp.isfinite(top), top, xp.ones_like(top)))
        return shrunk(s[0])

    def fenchel_young(self, x: Any, s: Any, tol: float | None = None) -> Array:
        return self.value(x) + self.conjugate.value(s, tol) - tree_inner(x, s)

    def subdifferential_distance(self, x: Any, s: Any) -> Array:
        raise NotAvailable(
            "the distance to the subdifferential of a radial lift over blocks has no closed form; test membership with "
            "K.fenchel_young(x, s), which is 0 exactly on it"
        )

    def _validate(self) -> None:
        if self.combine not in DUAL:
            raise ValueError(f'combine must be "sum" or "max", got {self.combine!r}')
        if not self.phi.traits.absolute:
            raise ValueError(f"radial_lift needs an even phi, such as half_square, and {self.phi!r} is not even")
        for path, k in named_leaves(self.tree):
            if not (k.traits.homogeneous and k.traits.even):
                raise ValueError(
                    f"radial_lift needs a norm for each block, such as l2 or nuclear, and {path or 'that of all'} is "
                    f"{k!r}"
                )

    def _dual(self) -> ConvexFunction:
        return Coupled(self.phi.conjugate, tree_map(dual_norm, self.tree), DUAL[self.combine], conjugate=self)

    def _domain(self) -> ConvexSet:
        if isinstance(self.phi.domain, Whole):
            return Product(Whole())
        return CoupledBall(self.phi.domain, self.tree, self.combine)

    def _traits(self) -> Traits:
        parts, phi = [k.traits for k in leaves(self.tree)], self.phi.traits
        kept = self.combine == "sum" and all(p.selection == "min_norm" for p in (phi, *parts))
        return replace(
            phi,
            absolute=all(p.absolute for p in parts),
            symmetric=False,
            smooth=False,
            structure="coupled",
            selection="min_norm" if kept else inherited(phi, *parts),
            prox=all(p.prox for p in parts),
            needs=tuple(sorted({n for p in parts for n in p.needs})),
            host=any(p.host for p in parts),
            accuracy=max(p.accuracy for p in (phi, *parts)),
        )

    def _spec(self) -> dict[str, Any]:
        return {"name": "radial_lift", "phi": self.phi.spec, "norm": Blocks(self.tree).spec, "combine": self.combine}


@dataclass(frozen=True)
class Weighted:
    """``w N``, as the step of one block takes its function; w is a 0-d array."""

    norm: ArrayFunction
    weight: Any

    def subgradient(self, x: Array) -> Array:
        u = self.norm.subgradient(x)
        xp = _xp.namespace(u)
        return _xp.astype(xp, _xp.astype(xp, self.weight, _xp.real_dtype(u)) * u, x.dtype)


@value_class
class CoupledBall(ConvexSet):
    """``{ y : N(y) in C }`` for a set C of numbers that is symmetric about 0, N as in ``Coupled``."""

    inner: Any
    tree: Any
    combine: str = "sum"

    @property
    def _indicator(self) -> Coupled:
        return Coupled(Indicator(self.inner), self.tree, self.combine)

    def support(self, x: Any) -> Array:
        return self._indicator.conjugate.value(x)

    def lmo(self, c: Any) -> Any:
        return self._indicator.conjugate.subgradient(c)

    def project(self, y: Any) -> Any:
        inside, near = self.contains(y, 0.0), self._indicator.prox(y)
        return tree_map(lambda a, z: _xp.namespace(a).where(inside, a, z), y, near)

    def distance(self, y: Any) -> Array:
        return tree_norm(tree_map(lambda a, b: a - b, y, self.project(y)))

    def contains(self, y: Any, tol: float | None = None) -> Array:
        of = self._indicator
        return self.inner.contains(of._whole(of._norms(y)), tol)

    def diameter(self, shape: Any) -> float:
        """An upper bound. ``shape``: a container of the kind of the arguments whose leaves are shapes."""
        balls = Blocks(tree_map(dual_norm, self.tree)).conjugate.domain
        return float(self.inner.diameter((1,)) / 2 * balls.diameter(shape))


def _norm_of(a: Array, k: ArrayFunction) -> Array:
    if k.traits.stacks and a.ndim > 2:
        raise ValueError(
            f"radial_lift over blocks takes one norm of each block, and a stack of matrices of shape {tuple(a.shape)} "
            "has one for each; make each matrix a block of its own"
        )
    return k.value(a)


def _prox(a: Array, k: ArrayFunction, s: Array) -> Array:
    xp = _xp.namespace(a)
    s = _xp.astype(xp, s, _xp.real_dtype(a))
    return xp.where(s == 0, a, k.prox(a, xp.where(s == 0, xp.ones_like(s), s)))


def _stack(values: list[Array]) -> Array:
    xp = _xp.namespace(*values)
    dtype = xp.result_type(*(v.dtype for v in values))
    return xp.stack([_xp.astype(xp, v, dtype) for v in values])


def radial_lift(phi: Any, norm: Any = "l2", combine: str = "sum") -> ConvexFunction:
    """``phi(N(x))`` for an even phi and a norm N, of one array or of all arrays of a container.

    ``norm`` may be a container of norms, one for each block, or ``lionk.blocks(norm)`` for one that serves every block.
    Then K is a function of a container, ``phi(sum_j N_j(x_j))`` or with ``combine="max"`` ``phi(max_j N_j(x_j))``: one
    number couples the blocks. ``half_square`` of the sum is the steepest descent of Muon for a whole network, whose
    step is as long as the dual norm of the momentum (of the family of Crawshaw et al. 2025, 2510.09827).

    >>> import numpy as np, lionk
    >>> K = lionk.functions.radial_lift("half_square", {"w": "nuclear", "b": "l1"})
    >>> K.subgradient({"w": np.eye(2), "b": np.asarray([-3.0])})["b"]  # the sum of the norms is 2 + 3
    array([-5.])
    """
    function = blocks(norm) if is_container(norm) and "name" not in norm else K(norm)
    if isinstance(function, Blocks):
        return Coupled(array_function(phi, "radial_lift"), function.tree, combine)
    return GroupLift(array_function(phi, "radial_lift"), array_function(function, "radial_lift"), None)
