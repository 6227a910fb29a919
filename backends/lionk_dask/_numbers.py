"""Numbers of an iterate in one computation, whose graph is built once and filled in for every iterate.

To build the graph of a hundred small expressions takes Dask longer than to run it. The graph is therefore kept with
holes where its arrays and numbers go, and used again for arrays of the same chunks and dtypes. Each use has names of
its own: a scheduler remembers those of a step for as long as its results live, and the same name with another task
would be an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import uuid4

import dask
import dask.array as da
import numpy as np
from dask._task_spec import DataNode, convert_legacy_graph
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph

from lionk.arrays.containers import leaves, tree_map
from lionk.arrays.value import has_arrays
from lionk.functions.base import ConvexFunction


class Hole(NamedTuple):
    """Where an array goes, or a number, by all that a graph depends on."""

    chunks: tuple[tuple[int, ...], ...]
    dtype: Any

    def filled(self, name: str) -> Any:
        """An array that nobody can compute."""
        array = da.empty(tuple(sum(c) for c in self.chunks), chunks=self.chunks, dtype=self.dtype)
        graph = {(name, *key[1:]): (_empty,) for key in _keys(array)}
        return da.Array(HighLevelGraph({name: graph}, {name: set()}), name, self.chunks, meta=array._meta)


class Template(NamedTuple):
    graph: dict[Any, Any]  # tasks by key, without holes
    results: list[Any]  # a key, or a number, each
    holes: list[Any]  # the keys of each hole, in order


def numbers(function: Callable[..., tuple[Any, ...]], args: tuple[Any, ...], fixed: dict[str, Any]) -> list[float]:
    given = leaves(args)
    if any(isinstance(a, ConvexFunction) and has_arrays(a) for a in given):  # of the graph, and not to be filled in
        return [float(v) for v in dask.compute(*function(*args, **fixed))]
    dtype = next((a.dtype for a in given if isinstance(a, da.Array) and a.ndim), np.dtype(float))
    real = np.empty((), dtype).real.dtype
    kinds = tuple(_hole(a, real) for a in given)
    template = _template(function, _Shape(args), kinds, tuple(fixed.items()))
    token, graph = uuid4().hex, {}
    names: dict[Any, Any] = {}
    fillers = (a for a, kind in zip(given, kinds, strict=True) if isinstance(kind, Hole))
    for a, keys in zip(fillers, template.holes, strict=True):
        if isinstance(a, da.Array):
            graph.update(a.__dask_graph__())
            names.update(zip(keys, _keys(a), strict=True))
        else:
            (key,) = keys
            names[key] = (f"{key[0]}-{token}",)
            graph[names[key]] = DataNode(names[key], np.asarray(a, dtype=real))
    for key in template.graph:
        names[key] = (f"{key[0]}-{token}", *key[1:]) if isinstance(key, tuple) else f"{key}-{token}"
    for key, task in template.graph.items():
        graph[names[key]] = task.substitute(names, key=names[key])
    wanted = [names[r] for r in template.results if isinstance(r, tuple)]
    compute = dask.base.get_scheduler(cls=da.Array)
    found = iter(compute(graph, wanted) if wanted else ())
    return [float(next(found)) if isinstance(r, tuple) else r for r in template.results]


def _hole(a: Any, real: Any) -> Any:
    if isinstance(a, da.Array):
        return Hole(a.chunks, a.dtype)
    return Hole((), real) if isinstance(a, (float, np.floating)) else a


class _Shape:
    """The containers of some arguments, compared by their shape."""

    def __init__(self, args: Any) -> None:
        self.args = tree_map(lambda _: None, args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and self.args == other.args

    def __hash__(self) -> int:
        return hash(str(self.args))


@lru_cache(maxsize=32)
def _template(
    function: Callable[..., tuple[Any, ...]], shape: _Shape, kinds: tuple[Any, ...], fixed: tuple[tuple[str, Any], ...]
) -> Template:
    named = [(f"lionk-hole-{i}", kind) for i, kind in enumerate(kinds)]
    filled = [kind.filled(name) if isinstance(kind, Hole) else kind for name, kind in named]
    each = iter(filled)
    out = function(*tree_map(lambda _: next(each), shape.args), **dict(fixed))
    results = [_keys(a)[0] if isinstance(a, da.Array) else float(a) for a in out]
    holes = [_keys(a) for a, kind in zip(filled, kinds, strict=True) if isinstance(kind, Hole)]
    empty = {key for keys in holes for key in keys}
    merged = HighLevelGraph.merge(*(a.__dask_graph__() for a in (*out, *filled) if isinstance(a, da.Array)))
    wanted = [key for key in results if isinstance(key, tuple)]
    graph = convert_legacy_graph(dict(da.optimize(merged, [*wanted, *empty])))
    return Template({key: task for key, task in graph.items() if key not in empty}, results, holes)


def _keys(a: Any) -> list[Any]:
    return list(flatten(a.__dask_keys__()))


def _empty() -> None:
    raise RuntimeError("a hole of a graph was left empty")
