"""The JAX backend. JAX is imported at first use: importing this package is free and works without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import array_api_compat

from lionk.arrays.containers import tree_map
from lionk.backend.protocol import (
    Backend,
    Runner,
    check_differentiable,
    dtype_name,
    missing,
    resolve_dtype,
    scalar_problem,
    seed_of,
)
from lionk.optimizer.lion_k import LionK

from ._pytrees import register_pytrees


@final
class JaxBackend(Backend):
    """``jax.Array``, traced ones included. Its use registers the pytrees (``register_pytrees``)."""

    name = "jax"
    compiles_shapes = True

    def why_unavailable(self) -> str:
        return missing("jax", "jax")

    def devices(self) -> list[Any]:
        import jax

        default = jax.devices()
        return default if default[0].platform == "cpu" else [*default, *jax.devices("cpu")]

    def owns(self, x: Any) -> bool:
        found = array_api_compat.is_jax_array(x)
        if found:
            register_pytrees()
        return found

    def namespace(self) -> Any:
        import jax.numpy as xp

        register_pytrees()
        return xp

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Any:
        import jax.numpy as jnp

        if hasattr(a, "__array__") and not self.owns(a):
            from lionk_numpy import backend as host

            a = host.asarray(a)  # JAX takes no other byte order
        return jnp.array(a, dtype=resolve_dtype(jnp, dtype), device=device)

    def to_host(self, x: Any) -> Any:
        import numpy as np

        return np.array(x, dtype=np.float32 if dtype_name(x) == "bfloat16" else None)

    def to_bits(self, x: Any) -> Any:
        import numpy as np

        return np.ascontiguousarray(np.asarray(x)).reshape(-1).view(np.uint8)

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Any:
        import jax
        import jax.numpy as jnp
        import numpy as np

        host = bits.view(np.dtype(resolve_dtype(jnp, dtype))).reshape(shape)
        if jax.dtypes.canonicalize_dtype(host.dtype) != host.dtype:
            raise ValueError(
                f"JAX would cut {dtype} to fewer bits; allow it with jax.config.update('jax_enable_x64', True), or "
                "convert the array first"
            )
        return self.asarray(host, device=device)

    def synchronize(self, x: Any) -> Any:
        import jax

        return jax.block_until_ready(x)

    @property
    def value_and_grad(self) -> Callable[[Callable[..., Any]], Callable[..., tuple[Any, Any]]]:
        register_pytrees()
        return value_and_grad

    def bind(self, K: Any, like: Any, batch: int = 0) -> Any:
        return K

    def numbers(self, function: Callable[..., tuple[Any, ...]], *args: Any, **fixed: Any) -> tuple[Any, ...]:
        """Compiled where that is possible and soon done."""
        import jax

        from ._numbers import compiled

        register_pytrees()
        found = jax.device_get(compiled(function, fixed, args)(*args))
        return tuple([v.tolist() if getattr(v, "ndim", 0) else float(v) for v in found])

    def runners(self) -> dict[str, Callable[[LionK], Runner]]:
        """ "jit": compiled for each shape, with x and m donated; "numba": the large ones on a CPU by NumPy's loops."""
        from ._custom_call import available
        from ._runner import jitted, numba

        register_pytrees()
        calls = {"numba": numba} if available() and not missing("numba") else {}
        return {**calls, "jit": jitted, **super().runners()}

    def adapt(self, obj: Any, request: Any = None) -> Any:
        from ._port import adapt

        return adapt(obj, request)

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:
        """A key of ``jax.random``."""
        import jax

        mixed = seed_of(seed, count)  # in two halves: without x64 a key takes 32 bits and drops the others
        key = jax.random.fold_in(jax.random.key(mixed & 0xFFFFFFFF), mixed >> 32)
        return key if device is None else jax.device_put(key, device)


def value_and_grad(fun: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """``(f, grad)`` at x by reverse differentiation, compiled if fun is.

    JAX's complex gradient is the conjugate of the direction of steepest ascent, and is conjugated here. Leaves of x
    that fun does not use have gradient 0. Raises TypeError if fun returns no real scalar.
    """

    def checked(x: Any, *args: Any) -> Any:
        f = fun(x, *args)
        if problem := scalar_problem(f):
            raise TypeError(problem)
        return f

    import jax

    both = jax.value_and_grad(checked)
    if isinstance(fun, jax.stages.Wrapped):
        both = jax.jit(both)

    def evaluate(x: Any, *args: Any) -> tuple[Any, Any]:
        check_differentiable(x)
        f, grad = both(x, *args)
        return f, tree_map(lambda _, g: g.conj(), x, grad)  # over x: JAX sorts the keys of a dict

    return evaluate
