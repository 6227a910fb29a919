"""Convex functions, sets and optimizers as JAX pytrees: array parameters are leaves, the rest is static.

So ``jax.jit(lambda K, x: K.subgradient(x))(K, x)`` compiles once for all K that differ in the values of their arrays,
and ``jax.grad`` with respect to K is a K. What a function derives from its parameters (conjugate, domain, traits) is no
part of the tree: it is derived again from the leaves, traced or not, so that it cannot disagree with them. A conjugate
may therefore differ from the one before by rounding (quadratic: reciprocal eigenvalues), and a function named by a
matrix but kept by a factor of it (quadratic, ellipsoid) forgets the name.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from array_api_compat import is_array_api_obj

from lionk import functions, sets
from lionk.arrays.containers import READERS, Opened, is_container, leaves
from lionk.arrays.value import Value, has_arrays
from lionk.functions import ConvexFunction
from lionk.optimizer.lion_k import LionK
from lionk.sets.base import ConvexSet

_registered: set[type] = set()
MEMORY = "_static"  # unflattened objects remember theirs: JAX and its users also put markers where arrays were


class Static(NamedTuple):
    """What JAX compiles for; hashable."""

    children: tuple[str, ...]  # the fields that hold arrays, functions, sets, or containers of them
    values: tuple[tuple[str, Any], ...]  # the other parameters
    label: Any  # the frozen spec that a named function was built by, or None


class Leaf(NamedTuple):
    """An array in a label, by its place among the leaves."""

    place: int


class Frozen(NamedTuple):
    """A container in a label, made hashable."""

    kind: type
    items: tuple[Any, ...]


def register_pytrees() -> None:
    """Register every class of convex functions and sets that exists now, and ``LionK``. Again costs microseconds.

    Needed before such an object goes through ``jax.jit`` or another transformation; the JAX backend calls it, and so
    does ``import lionk_jax`` if JAX is imported already. Call it after defining a class of your own.
    """
    import jax

    for room in (sets, functions):  # else classes are missed
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    for cls in (LionK, *_subclasses(LionK), *_subclasses(Value)):
        if cls not in _registered:
            _registered.add(cls)
            jax.tree_util.register_pytree_with_keys(cls, _flatten_with_keys, _unflattener(cls), _flatten)


def opened(tree: Any) -> Opened | None:
    """One level of what JAX counts as a container. Nothing is one before JAX is imported, which this does not do."""
    if isinstance(tree, (Value, LionK)):
        return None
    jax: Any = sys.modules.get("jax")
    if not hasattr(jax, "tree_util"):
        return None
    pairs, kind = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda part: part is not tree)
    if jax.tree_util.treedef_is_leaf(kind):
        return None
    return Opened([_key(path[0]) for path, _ in pairs], [child for _, child in pairs], kind.unflatten)


def _key(entry: Any) -> Any:
    return next((getattr(entry, name) for name in ("key", "name", "idx") if hasattr(entry, name)), str(entry))


READERS.append(opened)


def _subclasses(cls: Any) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def _flatten(obj: Any) -> tuple[tuple[Any, ...], Static]:
    remembered = vars(obj).get(MEMORY)
    if remembered is not None:
        return tuple(getattr(obj, name) for name in remembered.children), remembered
    parameters = {f.name: getattr(obj, f.name) for f in fields(obj) if f.init and f.compare}
    children = tuple(name for name, v in parameters.items() if _has_parts(v))
    values = tuple((name, v) for name, v in parameters.items() if name not in children)
    parts = tuple(parameters[name] for name in children)
    return parts, Static(children, values, _freeze_label(obj, parts))


def _flatten_with_keys(obj: Any) -> tuple[tuple[tuple[Any, Any], ...], Static]:
    import jax

    parts, static = _flatten(obj)
    return tuple(zip(map(jax.tree_util.GetAttrKey, static.children), parts, strict=True)), static


def _has_parts(v: Any) -> bool:
    """Is there anything in this parameter that JAX should look into?"""
    if is_container(v):
        return any(map(_has_parts, leaves(v)))
    return isinstance(v, (ConvexFunction, ConvexSet)) or has_arrays(v)


def _unflattener(cls: type) -> Callable[[Static, Iterable[Any]], Any]:
    def unflatten(static: Static, parts: Iterable[Any]) -> Any:
        import jax

        parts = tuple(parts)
        obj: Any = object.__new__(cls)
        vars(obj).update(static.values)
        vars(obj).update(zip(static.children, parts, strict=True))
        vars(obj)[MEMORY] = static
        if isinstance(obj, ConvexFunction):
            arrays = jax.tree_util.tree_leaves(parts)
            vars(obj)["label"] = _thaw(static.label, arrays)
            if all(map(is_array_api_obj, arrays)):  # with markers in their place there is nothing to derive from
                _derive(obj)
        return obj

    return unflatten


def _derive(obj: ConvexFunction) -> None:
    """What ``ConvexFunction.__post_init__`` makes, in its order, without checks: those were made on concrete values."""
    derived = vars(obj)
    derived["domain"] = obj._domain()
    derived["conjugate"] = obj._dual()
    derived["traits"] = obj._traits()
    if obj.label is not None:
        is_dual = obj.label["name"] == "conjugate"
        vars(obj.conjugate)["label"] = obj.label["K"] if is_dual else {"name": "conjugate", "K": obj.label}


def _freeze_label(obj: Any, parts: tuple[Any, ...]) -> Any:
    """The label, hashable; None if it names an array that is no leaf (a matrix that is kept by its eigenvalues)."""
    import jax

    label = getattr(obj, "label", None)
    if label is None:
        return None
    place = {id(a): Leaf(i) for i, a in enumerate(jax.tree_util.tree_leaves(parts))}

    def freeze(v: Any) -> Any:
        if isinstance(v, dict):
            return Frozen(dict, tuple((k, freeze(p)) for k, p in v.items()))
        if is_container(v):
            return Frozen(type(v), tuple(map(freeze, v)))
        return place[id(v)] if is_array_api_obj(v) else v

    try:
        return freeze(label)
    except KeyError:
        return None


def _thaw(v: Any, arrays: list[Any]) -> Any:
    if isinstance(v, Leaf):
        return arrays[v.place]
    if not isinstance(v, Frozen):
        return v
    if v.kind is dict:
        return {k: _thaw(p, arrays) for k, p in v.items}
    items = [_thaw(p, arrays) for p in v.items]
    return tuple(items) if v.kind is tuple else items
