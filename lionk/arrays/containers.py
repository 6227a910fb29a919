"""Containers of arrays: dict, list, tuple and NamedTuple, nested; anything else is a leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def is_container(tree: Any) -> bool:
    return isinstance(tree, (dict, list, tuple))


def _rebuild(tree: Any, items: Any) -> Any:
    if isinstance(tree, dict):
        return dict(zip(tree, items, strict=True))
    if hasattr(tree, "_fields"):  # a NamedTuple
        return type(tree)(*items)
    return list(items) if isinstance(tree, list) else tuple(items)


def _keys(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree)
    return list(getattr(tree, "_fields", range(len(tree))))


def _child(tree: Any, key: Any) -> Any:
    return getattr(tree, key) if isinstance(key, str) and hasattr(tree, "_fields") else tree[key]


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, path: str = "") -> Any:
    """Apply ``f`` to corresponding leaves. A leaf in ``rest`` stands for every leaf below it.

    Raises ValueError, with the path, where the containers differ.
    """
    if not is_container(tree):
        return f(tree, *rest)
    keys = _keys(tree)
    for other in rest:
        if is_container(other) and (type(other) is not type(tree) or set(_keys(other)) != set(keys)):
            raise ValueError(
                f"containers differ at {path or 'the top'}: {type(tree).__name__} with {keys} "
                f"against {type(other).__name__} with {_keys(other)}"
            )
    return _rebuild(
        tree,
        [
            tree_map(
                f,
                _child(tree, k),
                *(_child(other, k) if is_container(other) else other for other in rest),
                path=f"{path}.{k}".lstrip("."),
            )
            for k in keys
        ],
    )


def named_leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``(dotted path, leaf)`` in order; the path of a lone leaf is empty."""
    if not is_container(tree):
        yield prefix, tree
        return
    for k in _keys(tree):
        yield from named_leaves(_child(tree, k), f"{prefix}.{k}".lstrip("."))


def leaves(tree: Any) -> list[Any]:
    return [leaf for _, leaf in named_leaves(tree)]


def tree_inner(x: Any, y: Any) -> Any:
    """``Re <x, y>`` over all leaves, 0-d."""
    from . import namespace as _xp

    def one(a: Any, b: Any) -> Any:
        return _xp.inner(_xp.namespace(a, b), a, b)

    first, *rest = leaves(tree_map(one, x, y))
    for value in rest:
        first = first + value
    return first


def tree_norm(x: Any) -> Any:
    """Euclidean norm over all leaves, 0-d."""
    from . import namespace as _xp

    first, *rest = [_xp.norm(_xp.namespace(a), a) for a in leaves(x)]
    if not rest:
        return first
    xp = _xp.namespace(first)
    for value in rest:
        first = xp.hypot(first, value)
    return first
