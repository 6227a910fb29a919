"""The NumPy backend. NumPy is imported at first use: the package also answers for a machine without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import array_api_compat

from lionk.backend.protocol import Backend, Runner, missing
from lionk.errors import NotAvailable
from lionk.optimizer.lion_k import LionK


@final
class NumPyBackend(Backend):
    """``numpy.ndarray`` and NumPy scalars, on the host."""

    name = "numpy"
    steps_beside = True

    def why_unavailable(self) -> str:
        return missing("numpy")

    def devices(self) -> list[Any]:
        return ["cpu"]

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_numpy_array(x)

    def adapt(self, obj: Any, request: Any = None) -> Any:
        from ._keras import adapt

        return adapt(obj, request)

    def namespace(self) -> Any:
        import array_api_compat.numpy as xp

        return xp

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Any:
        """Also takes arrays of other libraries that hand themselves to NumPy, by DLPack or ``__array__``.

        The result is in C order and in the byte order of the machine.
        """
        import numpy as np

        if device not in (None, "cpu"):
            raise ValueError(f"NumPy has one device, 'cpu', got {device!r}")
        if not isinstance(a, (np.ndarray, np.generic)) and hasattr(a, "__dlpack__"):
            try:
                a = np.from_dlpack(a)
            except (BufferError, RuntimeError, TypeError):  # a dtype or a device that DLPack does not carry here
                a = np.asarray(a)
        a = np.array(a, dtype=_dtype(dtype), order="C")
        return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))

    def to_host(self, x: Any) -> Any:
        import numpy as np

        bfloat16 = x.dtype.kind == "V" and x.dtype.name == "bfloat16"
        return np.array(x, dtype=np.float32 if bfloat16 else None)

    def to_bits(self, x: Any) -> Any:
        import numpy as np

        return self.asarray(x).reshape(-1).view(np.uint8)

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Any:
        return self.asarray(bits.view(_dtype(dtype)).reshape(shape), device=device)

    def synchronize(self, x: Any) -> Any:
        return x

    def assignment(self, scores: Any) -> Any:
        import numpy as np

        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError as error:
            raise NotAvailable("an optimal assignment needs SciPy; pip install scipy (or 'lionk[cli]')") from error
        n = scores.shape[-1]
        picked = np.zeros(scores.shape).reshape(-1, n, n)
        for p, s in zip(picked, scores.reshape(-1, n, n), strict=True):
            p[linear_sum_assignment(s, maximize=True)] = 1
        return picked.reshape(scores.shape)

    def runners(self) -> dict[str, Callable[[LionK], Runner]]:
        """ "tiles": NumPy's loops on tiles; "numba": one loop, compiled at the first step of a large array."""
        from .runner.run import numba, tiles

        compiled = {} if missing("numba") else {"numba": numba}
        return {**compiled, "tiles": tiles, **super().runners()}

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:
        """A ``numpy.random.Generator``."""
        import numpy as np

        return np.random.default_rng((seed, count))


def _dtype(dtype: Any) -> Any:
    """A NumPy dtype from its name; bfloat16 and the 8-bit floats come from ml_dtypes."""
    import numpy as np

    if not isinstance(dtype, str):
        return dtype
    try:
        return np.dtype(dtype)
    except TypeError:
        pass
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, dtype))
    except (ImportError, AttributeError):
        raise ValueError(
            f"NumPy has no dtype {dtype!r}; convert the array to float32 first, or install ml_dtypes, which has some"
        ) from None
