"""A convex function on one library: every call takes and gives NumPy arrays, and checks what every call must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import lionk
from backends_under_test import BACKENDS, Backend
from lionk.sets import Whole


@dataclass
class On:
    """``K`` on ``backend`` in ``dtype``. Every call checks namespace, dtype, device, shape, inputs."""

    K: Any
    backend: Backend
    dtype: str = "float64"
    shape: tuple[int, ...] = (6,)
    accuracy: float = 0.0
    needs: tuple[str, ...] = ()

    @classmethod
    def case(cls, case: Any, backend: Backend = BACKENDS["numpy"], dtype: str = "float64", dual: bool = False) -> On:
        k = case.K
        with backend.active(k.traits.needs or ("linalg",)):
            k = k.to(
                like=backend.put(np.zeros(1), dtype.replace("complex128", "float64").replace("complex64", "float32"))
            )
        k = k.conjugate if dual else k
        return cls(k, backend, dtype, case.shape, case.accuracy, tuple(k.traits.needs))

    def dual(self) -> On:
        return On(self.K.conjugate, self.backend, self.dtype, self.shape, self.accuracy, self.needs)

    # -- precision ---------------------------------------------------------------------------------------------

    @property
    def real(self) -> str:
        return {"complex128": "float64", "complex64": "float32"}.get(self.dtype, self.dtype)

    @property
    def eps(self) -> float:
        return {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[self.real]

    def tol(self, scale: float = 1.0, ulps: float = 256) -> float:
        return (ulps * self.eps + self.accuracy) * scale

    def round(self, a: Any) -> np.ndarray:
        """What is left of ``a`` in this dtype, so that checks compare what the function saw."""
        return self.backend.get(self.put(a))

    def put(self, a: Any) -> Any:
        return self.backend.put(a, self.dtype, matrix=self.K.traits.structure == "matrix")

    # -- calls -------------------------------------------------------------------------------------------------

    def call(self, f: Any, *arrays: Any, kind: str = "same", **options: Any) -> np.ndarray:
        """``kind`` of what comes out: "same" as the first array, "real" 0-d, or "bool" 0-d."""
        given = [self.put(a) for a in arrays]
        before = [self.backend.get(g).copy() for g in given]
        with self.backend.active(self.needs):
            out = f(*given, **options)
        self.check(out, given[0], kind)
        for g, b in zip(given, before, strict=True):
            np.testing.assert_array_equal(self.backend.get(g), b, err_msg="an input was modified")
        return self.backend.get(out)

    def check(self, out: Any, like: Any, kind: str) -> None:
        from array_api_compat import device

        want = {"same": self.dtype, "real": self.real, "bool": "bool"}[kind]
        assert self.backend.namespace(out) is self.backend.xp, f"namespace: {type(out)}"
        assert out.dtype == self.backend.dtype(want), f"dtype: {out.dtype}, not {want}"
        assert tuple(out.shape) == (tuple(like.shape) if kind == "same" else ()), f"shape: {out.shape}"
        if self.backend.device:
            assert device(out) == device(like), f"device: {device(out)}"

    def value(self, x: Any, **options: Any) -> float:
        return float(self.call(self.K.value, x, kind="real", **options))

    def gradient(self, x: Any) -> np.ndarray:
        return self.call(self.K.subgradient, x)

    def prox(self, x: Any, t: float = 1.0) -> np.ndarray:
        return self.call(self.K.prox, x, t=t)

    def gap(self, x: Any, s: Any, **options: Any) -> float:
        return float(self.call(self.K.fenchel_young, x, s, kind="real", **options))

    def off(self, x: Any, s: Any) -> float:
        return float(self.call(self.K.subdifferential_distance, x, s, kind="real"))

    # -- points ------------------------------------------------------------------------------------------------

    @property
    def everywhere(self) -> bool:
        return isinstance(self.K.domain, Whole)

    def random(self, rng: np.random.Generator, size: float = 1.0) -> np.ndarray:
        z = rng.standard_normal(self.shape)
        if "complex" in self.dtype:
            z = z + 1j * rng.standard_normal(self.shape)
        return self.round(size * z)

    def points(self, rng: np.random.Generator, count: int = 3) -> list[np.ndarray]:
        """Points where K is finite, in the relative interior of the domain and, if it is everything, at kinks."""
        if self.everywhere:
            return [self.random(rng, size) for size in (0.3, 1.0, 4.0)[:count]]
        near = [available(self.call, self.K.domain.project, self.random(rng, 2.0)) for _ in range(8)]
        if near[0] is None:  # no projection is known: the range of the dual gradient
            near = [self.dual().gradient(self.random(rng, 2.0)) for _ in range(8)]
        middle = sum(near) / 8
        return [self.round(0.6 * p + 0.4 * middle) for p in near[:count]]


def norm(a: np.ndarray) -> float:
    return float(np.linalg.norm(np.ravel(a)))


def inner(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.real(np.vdot(a, b)))


def available(f: Any, *args: Any) -> Any:
    """The result, or None where the function says that it has none."""
    try:
        return f(*args)
    except lionk.NotAvailable:
        return None


def kinks(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Zero, all equal, tied maxima of both signs, thresholds of the defaults, zero groups, low rank."""
    n = int(np.prod(shape))
    flat = [np.zeros(n), np.ones(n), -np.ones(n), np.resize([1.0, -1.0], n), np.resize([2.0, 0.0, -2.0], n)]
    flat += [np.resize([1.0, 0.5, -1.0, 0.0], n), np.eye(1, n, 0)[0], -3 * np.eye(1, n, n - 1)[0]]
    out = [f.reshape(shape) for f in flat]
    if len(shape) >= 2:
        rows, cols = shape[-2:]
        group = np.ones(shape)
        group[..., 0, :] = 0
        group[..., :, 0] = 0
        plane = np.zeros(shape)
        plane[..., : min(rows, cols), : min(rows, cols)] = np.eye(min(rows, cols))
        line = np.outer(np.arange(1.0, rows + 1), np.arange(1.0, cols + 1)) / 4 + np.zeros(shape)
        out += [group, plane, -2 * plane, line]
    return out
