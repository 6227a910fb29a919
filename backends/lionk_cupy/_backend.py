"""The CuPy backend. CuPy is imported at first use, and counts as available only where CUDA has a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import array_api_compat

from lionk.backend.protocol import Backend, Runner, missing, seed_of
from lionk.optimizer.lion_k import LionK


@final
class CuPyBackend(Backend):
    """``cupy.ndarray`` on CUDA devices."""

    name = "cupy"

    def why_unavailable(self) -> str:
        if problem := missing("cupy", "cupy12x"):
            return f"{problem} (or cupy13x for CUDA 13)"
        try:
            import cupy

            # Without a driver CuPy imports well, and the first array raises.
            found = cupy.cuda.is_available()
        except Exception as error:  # a broken CUDA setup raises what it likes; the answer is the same
            return f"cupy does not work here: {type(error).__name__}: {error}"
        return "" if found else "cupy is installed, but there is no CUDA device (cupy.cuda.is_available() is False)"

    def devices(self) -> list[Any]:
        import cupy

        if not self.available():
            return []
        return [cupy.cuda.Device(i) for i in range(cupy.cuda.runtime.getDeviceCount())]

    def describe(self, device: Any) -> str:
        import cupy

        name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
        return f"{device} ({name}, CUDA {cupy.cuda.runtime.runtimeGetVersion()})"

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_cupy_array(x)

    def namespace(self) -> Any:
        import array_api_compat.cupy as xp

        return xp

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Any:
        import cupy

        if not self.owns(a):
            a = _host().asarray(a)  # in the layout and byte order that CuPy takes
        with _on(device):
            return cupy.array(a, dtype=dtype)

    def to_host(self, x: Any) -> Any:
        return _host().to_host(x.get())

    def to_bits(self, x: Any) -> Any:
        return _host().to_bits(x.get())

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Any:
        return self.asarray(_host().from_bits(bits, dtype, shape), device=device)

    def synchronize(self, x: Any) -> Any:
        import cupy

        cupy.cuda.get_current_stream().synchronize()
        return x

    def runners(self) -> dict[str, Callable[[LionK], Runner]]:
        """ "fused": one kernel a step, printed from the record."""
        from ._runner import fused

        return {"fused": fused, **super().runners()}

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:
        """A ``cupy.random.Generator`` on the device that it will draw for."""
        import cupy

        with _on(device):
            return cupy.random.default_rng(seed_of(seed, count))


def _on(device: Any) -> Any:
    """A context with this device current (None: the one that is)."""
    import cupy

    return cupy.cuda.Device() if device is None else device


def _host() -> Backend:
    from lionk_numpy import backend

    return backend
