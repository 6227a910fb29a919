"""A convex function on one library: every call takes and gives host arrays, and checks what every call must keep."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ..arrays import namespace as _xp
from ..functions.array_function import ArrayFunction
from ..sets.box import Whole
from .library import Library, host
from .verdict import Violation, available, expect


@dataclass
class On:
    """``K`` on ``backend`` in ``dtype``. Every call checks namespace, dtype, device, shape, inputs."""

    K: ArrayFunction
    backend: Library
    dtype: str = "float64"
    shape: tuple[int, ...] = (6,)
    _inside: dict[bytes, list[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def moved(cls, K: Any, backend: Library, dtype: str, shape: tuple[int, ...]) -> Self:
        """K with its array parameters in this library and precision."""
        made = cls(K, backend, dtype, shape)
        with warnings.catch_warnings(), backend.active(made.needs or ("linalg",)):
            warnings.simplefilter("ignore")  # of a truncated dtype, which is refused
            return replace(made, K=K.to(like=backend.put(full((1,), 0.0), made.real)))

    def dual(self) -> Self:
        return replace(self, K=self.K.conjugate)

    # -- precision ---------------------------------------------------------------------------------------------

    @functools.cached_property
    def needs(self) -> tuple[str, ...]:
        return tuple(sorted({*self.K.traits.needs, *self.K.conjugate.traits.needs}))

    @property
    def accuracy(self) -> float:
        """That of the pair: the Fenchel-Young gap is made of both."""
        return max(self.K.traits.accuracy, self.K.conjugate.traits.accuracy)

    @property
    def real(self) -> str:
        return {"complex128": "float64", "complex64": "float32"}.get(self.dtype, self.dtype)

    @property
    def eps(self) -> float:
        return {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[self.real]

    def tol(self, scale: float = 1.0, ulps: float = 256) -> float:
        return (ulps * self.eps + self.accuracy) * scale

    def round(self, a: Any) -> Any:
        """What is left of ``a`` in this dtype, so that checks compare what the function saw."""
        return self.backend.get(self.put(a))

    def put(self, a: Any) -> Any:
        return self.backend.put(a, self.dtype, matrix=self.K.traits.structure == "matrix")

    # -- calls -------------------------------------------------------------------------------------------------

    def call(self, f: Callable[..., Any], *arrays: Any, kind: str = "same", **options: Any) -> Any:
        """``kind`` of what comes out: "same" as the first array, "real" 0-d, or "bool" 0-d."""
        given = [self.put(a) for a in arrays]
        before = [self.backend.get(g).tobytes() for g in given]
        with self.backend.active(self.needs):
            out = f(*given, **options)
        self._check(out, given[0], kind)
        for a, g, b in zip(arrays, given, before, strict=True):
            expect(self.backend.get(g).tobytes() == b, "an input was modified", x=a)
        return self.backend.get(out)

    def _check(self, out: Any, like: Any, kind: str) -> None:
        want = {"same": self.dtype, "real": self.real, "bool": "bool"}[kind]
        shape = tuple(like.shape) if kind == "same" else ()
        wrong = ""
        if not _xp.is_array_api_obj(out):
            wrong = f"is no array: {type(out).__name__}"
        elif _xp.kind(out).xp is not _xp.kind(like).xp:
            wrong = f"of another library: {type(out)}"
        elif out.dtype != getattr(self.backend.xp, want):
            wrong = f"of dtype {out.dtype}, not {want}"
        elif tuple(out.shape) != shape:
            wrong = f"of shape {tuple(out.shape)}, not {shape}"
        elif self.backend.device and _xp.device(out) != _xp.device(like):
            wrong = f"on device {_xp.device(out)}"
        if wrong:
            raise Violation(f"a result {wrong}", None, {})

    def value(self, x: Any, **options: Any) -> float:
        return float(self.call(self.K.value, x, kind="real", **options) if options else self._once("value", x, "real"))

    def gradient(self, x: Any) -> Any:
        return self._once("subgradient", x, "same").copy()

    def _once(self, name: str, x: Any, kind: str) -> Any:
        """Asked for once at each point: most properties look at the same ones."""
        a = host().asarray(x)  # which may be a number or a list
        key = name, a.shape, a.dtype, a.tobytes()
        if key not in self._known:
            self._known[key] = self.call(getattr(self.K, name), x, kind=kind)
        return self._known[key]

    def prox(self, x: Any, t: float = 1.0) -> Any:
        return self.call(self.K.prox, x, t=t)

    def gap(self, x: Any, s: Any, **options: Any) -> float:
        return float(self.call(self.K.fenchel_young, x, s, kind="real", **options))

    def off(self, x: Any, s: Any) -> float:
        return float(self.call(self.K.subdifferential_distance, x, s, kind="real"))

    # -- points ------------------------------------------------------------------------------------------------

    @property
    def everywhere(self) -> bool:
        return isinstance(self.K.domain, Whole)

    @property
    def unit(self) -> float:
        """Half the diameter of the domain over sqrt(n), of which entries near its edge are; 1 where it is unbounded."""
        half = self.K.domain.diameter(self.shape) / 2
        return half / math.sqrt(math.prod(self.shape)) if 0 < half < math.inf else 1.0

    def full(self, v: float) -> Any:
        return full(self.shape, v)

    def random(self, rng: Any, size: float = 1.0) -> Any:
        """Entries of ``size`` units."""
        z = rng.standard_normal(self.shape)
        if "complex" in self.dtype:
            z = z + 1j * rng.standard_normal(self.shape)
        return self.round(size * self.unit * z)

    def points(self, rng: Any, count: int = 3) -> list[Any]:
        """Points where K is finite, in the relative interior of the domain and, if it is everything, at kinks."""
        if self.everywhere:
            return [self.random(rng, size) for size in (0.3, 1.0, 4.0)[:count]]
        drawn = [self.random(rng, 2.0) for _ in range(8)]
        key = b"".join(z.tobytes() for z in drawn)
        if key not in self._inside:  # properties draw the same ones, from one seed
            near = [available(self.call, self.K.domain.project, z) for z in drawn]
            if near[0] is None:  # no projection is known: the range of the dual gradient
                near = [self.dual().gradient(z) for z in drawn]
            middle = sum(near) / 8
            self._inside[key] = [self.round(0.6 * p + 0.4 * middle) for p in near]
        return [p.copy() for p in self._inside[key][:count]]


def full(shape: tuple[int, ...], v: float) -> Any:
    xp = host().namespace()
    return xp.full(shape, v, dtype=xp.float64)


def finite(a: Any) -> bool:
    """Is every entry of a host array finite?"""
    return bool(_xp.namespace(a).isfinite(a).all())


def norm(a: Any) -> float:
    """Euclidean norm of a host array, which is short."""
    return math.hypot(*abs(a).reshape(-1).tolist())


def inner(a: Any, b: Any) -> float:
    """``Re <a, b>`` of host arrays."""
    return float((a.conj() * b).sum().real)


def kinks(shape: tuple[int, ...]) -> list[Any]:
    """Zero, all equal, tied maxima of both signs, thresholds of the defaults, zero groups, low rank."""
    n = math.prod(shape)
    cycles = [(0.0,), (1.0,), (-1.0,), (1.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.5, -1.0, 0.0)]
    flat = [[c[i % len(c)] for i in range(n)] for c in cycles]
    flat += [[float(i == 0) for i in range(n)], [-3.0 * (i == n - 1) for i in range(n)]]
    asarray = host().asarray
    out = [asarray(f, dtype="float64").reshape(shape) for f in flat]
    if len(shape) >= 2:
        rows, cols = range(shape[-2]), range(shape[-1])
        entries: list[Callable[[int, int], float]] = [
            lambda i, j: float(i > 0 and j > 0),
            lambda i, j: float(i == j),
            lambda i, j: -2.0 * (i == j),
            lambda i, j: (i + 1) * (j + 1) / 4,
        ]
        out += [asarray([[f(i, j) for j in cols] for i in rows]) + full(shape, 0.0) for f in entries]
    return out
