"""The Dask backend: lazy. Nothing here computes but ``to_host``, ``to_bits``, ``synchronize``, ``settle``, ``numbers``.

Every step adds to the graph, so a loop needs ``x, m = backend.synchronize([x, m])`` every few steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, final

import array_api_compat

from lionk.arrays.containers import leaves, tree_map
from lionk.backend.protocol import Backend, Runner, missing
from lionk.optimizer.lion_k import LionK


@final
class DaskBackend(Backend):
    """``dask.array.Array`` made of NumPy blocks, on one machine or many."""

    name = "dask"
    small = 0  # its runner copies nothing, and makes one task of what are many

    def why_unavailable(self) -> str:
        return missing("dask", "dask") or missing("numpy", "dask")

    def devices(self) -> list[Any]:
        return ["cpu"]

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_dask_array(x)

    def namespace(self) -> Any:
        import array_api_compat.dask.array as xp

        return xp

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Any:
        """One chunk for small arrays, Dask's choice of chunks for large ones; an array of Dask keeps its own."""
        import dask.array as da

        if self.owns(a):
            return a if dtype is None else a.astype(_host().asarray([], dtype=dtype).dtype)  # lazy: nothing is shared
        return da.from_array(_host().asarray(a, dtype=dtype, device=device))

    def to_host(self, x: Any) -> Any:
        return _host().to_host(x.compute())

    def to_bits(self, x: Any) -> Any:
        return _host().to_bits(x.compute())

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Any:
        return self.asarray(_host().from_bits(bits, dtype, shape), device=device)

    def synchronize(self, x: Any) -> Any:
        """The same arrays with their blocks computed, where they lie: nothing is gathered."""
        import dask

        each = iter(dask.persist(*leaves(x)))
        done = tree_map(lambda _: next(each), x)
        if "distributed" in sys.modules:  # there, persist returns at once
            from distributed import futures_of, wait

            if futures := futures_of(leaves(done)):
                wait(futures)
        return done

    def settle(self, f: Any, grad: Any) -> tuple[Any, Any]:
        """Computed in one pass, and kept: all that is asked of them afterwards passes over the data no more."""
        return self.synchronize((f, grad))

    def bind(self, K: Any, like: Any, batch: int = 0) -> Any:
        return K

    def numbers(self, function: Callable[..., tuple[Any, ...]], *args: Any, **fixed: Any) -> tuple[Any, ...]:
        """One computation for all of them."""
        from ._numbers import numbers

        return tuple(numbers(function, args, fixed))

    def runners(self) -> dict[str, Callable[[LionK], Runner]]:
        """ "blockwise": one task for each block, lazily; for functions that are no sum over entries, the reference."""
        from ._runner import blockwise

        return {"blockwise": blockwise, **super().runners()}

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:
        """A ``dask.array.random.Generator``."""
        import dask.array as da

        return da.random.default_rng((seed, count))


def _host() -> Backend:
    from lionk_numpy import backend

    return backend
