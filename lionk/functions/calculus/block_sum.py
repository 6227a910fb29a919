"""A convex function of a container of arrays: the sum of one function for each block."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from ...arrays.containers import is_container, leaves, named_leaves, opened, tree_map
from ...arrays.namespace import Array
from ...arrays.value import value_class
from ...errors import NotAvailable
from ...sets.product import Product
from ..base import ConvexFunction, Traits, inherited
from ..bound import BoundBlocks, BoundWhole
from ..registry.entries import K


@value_class
class ContainerFunction(ConvexFunction):
    """A function of a container of arrays."""

    def check_argument(self, x: Any) -> None:
        """Refuse one array, of which there are no blocks."""
        if not is_container(x):
            raise TypeError("K is a function of blocks, but x is one array: give a K of one array, or a container")

    @abstractmethod
    def at(self, x: Callable[[], Any]) -> Any:
        """A tree with a function for each block, whose subgradient at the block of ``x()`` is that of this function."""

    def bind(self, like: Any, batch: int = 0) -> Any:
        if batch:
            raise NotAvailable(f"{self!r} is bound to single containers, not to stacks of them")
        made, dual = BoundWhole(self), BoundWhole(self.conjugate)
        made.conjugate, dual.conjugate = dual, made
        return made


@value_class
class Blocks(ContainerFunction):
    """``K(x) = sum_i K_i(x_i)`` over the leaves of a container; ``K*(y) = sum_i K_i*(y_i)``.

    ``tree`` holds the functions. It is the container of the argument, or its upper part: a function that stands where
    the argument has a container serves every array below it. Least norm is kept.
    """

    tree: Any

    def at(self, x: Callable[[], Any]) -> Any:  # the blocks of a sum do not know of each other
        return self.tree

    def value(self, x: Any, tol: float | None = None) -> Array:
        return _sum(tree_map(lambda a, k: k.value(a, tol), x, self.tree))

    def bounds(self, x: Any, tol: float | None = None) -> tuple[Array, Array]:
        ends = leaves(tree_map(lambda a, k: k.bounds(a, tol), x, self.tree))
        return _sum(ends[::2]), _sum(ends[1::2])

    def subgradient(self, x: Any) -> Any:
        return tree_map(lambda a, k: k.subgradient(a), x, self.tree)

    def prox(self, x: Any, t: float = 1.0) -> Any:
        return tree_map(lambda a, k: k.prox(a, t), x, self.tree)

    def fenchel_young(self, x: Any, s: Any, tol: float | None = None) -> Array:
        return _sum(tree_map(lambda a, b, k: k.fenchel_young(a, b, tol), x, s, self.tree))

    def subdifferential_distance(self, x: Any, s: Any) -> Array:
        each = leaves(tree_map(lambda a, b, k: k.subdifferential_distance(a, b), x, s, self.tree))
        return sum(d * d for d in each) ** 0.5

    def bind(self, like: Any, batch: int = 0) -> BoundBlocks:
        tree = tree_map(lambda a, k: k.bind(a, batch), like, self.tree)
        made, dual = (
            BoundBlocks(self, tree, batch),
            BoundBlocks(self.conjugate, tree_map(lambda b: b.conjugate, tree), batch),
        )
        made.conjugate, dual.conjugate = dual, made
        return made

    def map(self, f: Callable[..., ConvexFunction], *rest: Any) -> Blocks:
        """Apply a rule to every block."""
        return Blocks(tree_map(f, self.tree, *rest))

    def _validate(self) -> None:
        if not leaves(self.tree):
            raise ValueError("blocks needs at least one convex function, got an empty container")
        for path, k in named_leaves(self.tree):
            if not isinstance(k, ConvexFunction) or isinstance(k, ContainerFunction):
                raise TypeError(
                    f"blocks: {path or 'the tree'} is {type(k).__name__}, not a convex function of one array"
                )

    def _dual(self) -> ConvexFunction:
        return Blocks(tree_map(lambda k: k.conjugate, self.tree), conjugate=self)

    def _domain(self) -> Product:
        return Product(tree_map(lambda k: k.domain, self.tree))

    def _traits(self) -> Traits:
        parts = [k.traits for k in leaves(self.tree)]
        kinds = {p.structure for p in parts}
        minima = {p.minimum_at_zero for p in parts}
        return Traits(
            **{
                name: all(getattr(p, name) for p in parts)
                for name in ("even", "absolute", "homogeneous", "smooth", "bounded_domain", "prox")
            },
            symmetric=False,
            open_domain=any(p.open_domain for p in parts),
            structure=kinds.pop() if len(kinds) == 1 else "blocks",
            selection="min_norm" if all(p.selection == "min_norm" for p in parts) else inherited(*parts),
            minimum_at_zero=False if False in minima else None if None in minima else True,
            needs=tuple(sorted({n for p in parts for n in p.needs})),
            accuracy=max((p.accuracy for p in parts), default=0.0),
        )

    def _spec(self) -> dict[str, Any]:
        if not _is_plain(self.tree):
            raise NotAvailable(
                "the blocks lie in a container of a framework, which a spec cannot name; put the functions into dict, "
                "list or tuple"
            )
        return {"name": "blocks", "tree": tree_map(lambda k: k.spec, self.tree)}


def _is_plain(tree: Any) -> bool:
    whole = opened(tree)
    return whole is None or (isinstance(tree, (dict, list, tuple)) and all(map(_is_plain, whole.children)))


def _sum(values: Any) -> Array:
    first, *rest = leaves(values)
    for v in rest:
        first = first + v
    return first


def over_blocks(given: Any, f: Callable[..., ConvexFunction], *rest: Any) -> ConvexFunction:
    """A rule, applied to a function (or its name or spec), or to every block of it."""
    function = K(given)
    return function.map(f, *rest) if isinstance(function, Blocks) else f(function, *rest)


def blocks(tree: Any) -> Blocks:
    """The convex function of a container (dict, list, tuple, NamedTuple, nested) with a function for each block.

    With ``lionk_jax`` imported, what JAX counts as a container is one: FrozenDict, ``flax.nnx.State``, modules of
    Equinox, classes that you register.

    Leaves are functions, names or specs. A leaf may stand above several arrays and then serves each of them.

    >>> import lionk
    >>> lionk.blocks({"weight": "nuclear", "bias": "l1"}).traits.even
    True
    """

    def build(leaf: Any) -> Any:
        return K(leaf)

    return Blocks(_map_specs(build, tree))


def _map_specs(f: Callable[[Any], Any], tree: Any) -> Any:
    """tree_map that takes a dict with a "name" of a registered function for a spec, not for a container."""
    if isinstance(tree, dict) and isinstance(tree.get("name"), str) and "tree" not in tree:
        return f(tree)
    whole = opened(tree)
    return f(tree) if whole is None else whole.rebuild([_map_specs(f, child) for child in whole.children])
