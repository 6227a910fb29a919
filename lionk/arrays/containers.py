"""Containers of arrays: dict, list, tuple and NamedTuple, nested; anything else is a leaf.

A framework's package may add containers of its own to ``READERS``.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from . import namespace as _xp
from . import reductions


class Opened:
    """One level of a container: keys, children, and what makes the same container of other children."""

    def __init__(self, keys: list[Any], children: list[Any], rebuild: Callable[[Iterable[Any]], Any]) -> None:
        self.keys, self.children, self.rebuild = keys, children, rebuild


# Each opens what its framework counts as a container, and answers None to the rest; arrays are not asked.
READERS: list[Callable[[Any], Opened | None]] = []


def is_container(tree: Any) -> bool:
    if type(tree) in _xp.ARRAYS:
        return False
    if isinstance(tree, (dict, list, tuple)):
        return True
    return not hasattr(tree, "dtype") and _read(tree) is not None


def opened(tree: Any) -> Opened | None:
    """One level of a container; None for a leaf."""
    if isinstance(tree, dict):
        return Opened(list(tree), list(tree.values()), partial(_dict_like, tree))
    if isinstance(tree, (list, tuple)):
        fields = getattr(tree, "_fields", None)  # a NamedTuple
        make: Any = getattr(tree, "_make", list if isinstance(tree, list) else tuple)
        return Opened(list(range(len(tree)) if fields is None else fields), list(tree), make)
    return None if hasattr(tree, "dtype") else _read(tree)


def _read(tree: Any) -> Opened | None:
    if not READERS or tree is None or isinstance(tree, (int, float, str)):
        return None
    return next((found for read in READERS if (found := read(tree)) is not None), None)


def _dict_like(tree: dict[Any, Any], items: Iterable[Any]) -> dict[Any, Any]:
    """With the keys, and of the kind, of a dict; a kind of somebody else's may ask for what is not known here."""
    pairs = zip(tree, items, strict=True)
    if isinstance(tree, defaultdict):
        return defaultdict(tree.default_factory, pairs)
    return OrderedDict(pairs) if isinstance(tree, OrderedDict) else dict(pairs)


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, path: str = "") -> Any:
    """Apply ``f`` to corresponding leaves. A leaf in ``rest`` stands for every leaf below it.

    Raises ValueError, with the path, where the containers differ.
    """
    whole = opened(tree)
    if whole is None:
        return f(tree, *rest)
    columns = []
    for other in rest:
        theirs = opened(other)
        if theirs is None:
            columns.append([other] * len(whole.keys))
            continue
        if not _alike(tree, other) or set(theirs.keys) != set(whole.keys):
            raise ValueError(
                f"containers differ at {path or 'the top'}: {type(tree).__name__} with {whole.keys} "
                f"against {type(other).__name__} with {theirs.keys}"
            )
        found = dict(zip(theirs.keys, theirs.children, strict=True))
        columns.append([found[k] for k in whole.keys])
    rows = zip(whole.keys, whole.children, *columns, strict=True)
    return whole.rebuild([tree_map(f, *row, path=f"{path}.{k}".lstrip(".")) for k, *row in rows])


def _alike(a: Any, b: Any) -> bool:
    """Are two containers of one kind? Dictionaries are, whatever their order means."""
    return type(a) is type(b) or (isinstance(a, dict) and isinstance(b, dict))


def named_leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``(dotted path, leaf)`` in order; the path of a lone leaf is empty."""
    whole = opened(tree)
    if whole is None:
        yield prefix, tree
        return
    for k, child in zip(whole.keys, whole.children, strict=True):
        yield from named_leaves(child, f"{prefix}.{k}".lstrip("."))


def leaves(tree: Any) -> list[Any]:
    return [leaf for _, leaf in named_leaves(tree)]


def tree_inner(x: Any, y: Any, batch: int = 0) -> Any:
    """``Re <x, y>`` over all leaves, 0-d; with ``batch = 1`` of each entry of a stack of such containers."""

    def one(a: Any, b: Any) -> Any:
        xp = _xp.kind(a).xp
        return reductions.inner(xp if xp is _xp.kind(b).xp else _xp.namespace(a, b), a, b, batch)

    if not is_container(x) and not is_container(y):
        return one(x, y)
    first, *rest = leaves(tree_map(one, x, y))
    for value in rest:
        first = first + value
    return first


SHORT = 256  # entries in one sum without blocks, whose rounding is within that of ``theory.gap_rounding``


def inner(x: Any, y: Any) -> Any:
    """``tree_inner``, of short real vectors by the library's own product, which costs less than a sum."""
    shape: Any = getattr(x, "shape", ())
    if len(shape) == 1 and shape[0] <= SHORT and x.dtype == y.dtype and (of := _xp.kind(x)).real and not of.low:
        return x @ y
    return tree_inner(x, y)


def scaled(x: Any, a: float) -> Any:
    """``a x``"""
    return tree_map(lambda v: a * v, x) if is_container(x) else a * x


def tree_norm(x: Any) -> Any:
    """Euclidean norm over all leaves, 0-d."""
    first, *rest = [reductions.norm(_xp.namespace(a), a) for a in leaves(x)]
    if not rest:
        return first
    xp = _xp.namespace(first)
    for value in rest:
        first = xp.hypot(first, value)
    return first
