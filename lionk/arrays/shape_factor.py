"""Factors that depend on the shape of an argument, as data: the scalings of Muon and Scion."""

from __future__ import annotations

import sys
from typing import Any

from .namespace import Array
from .value import Value, fields, replace, value_class


@value_class
class ShapeFactor(Value):
    """``times max(at_least, rows^a cols^b longer^c window^d size^e)``, or ``times`` over that maximum if ``inverse``.

    ``rows`` and ``cols`` are the last two axes and ``longer`` the larger of them; with a ``window`` the argument is a
    convolution kernel (out, in, k...): rows = out, cols = in, window = the product of the rest. ``size`` counts all
    entries. An empty axis counts as one entry.
    """

    times: float = 1.0
    rows: float = 0.0
    cols: float = 0.0
    longer: float = 0.0
    window: float = 0.0
    size: float = 0.0
    at_least: float = 0.0
    inverse: bool = False

    def __post_init__(self) -> None:
        for name, v in list(self.__dict__.items())[:-1]:
            if isinstance(v, bool) or not isinstance(v, (int, float)) or not abs(v) <= sys.float_info.max:
                raise ValueError(f"{name} must be a finite number, got {v!r}")
            self.__dict__[name] = float(v)
        if self.times == 0 or self.at_least < 0:
            raise ValueError(f"a factor needs times != 0 and at_least >= 0, got {self.times!r} and {self.at_least!r}")

    def of(self, shape: tuple[int, ...]) -> float:
        """The factor of one argument. Raises ValueError where the shape has not the axes that it asks for."""
        powers = [(_count(shape), self.size)]
        if self.rows or self.cols or self.longer or self.window:
            if len(shape) < (3 if self.window else 2):
                what = "a convolution kernel (out, in, k...)" if self.window else "a matrix"
                raise ValueError(f"this function is scaled by the shape of {what}, got an array of shape {shape}")
            rows, cols = (shape[0], shape[1]) if self.window else (shape[-2], shape[-1])
            rows, cols = max(1, rows), max(1, cols)
            powers += [(rows, self.rows), (cols, self.cols), (max(rows, cols), self.longer)]
            powers += [(_count(shape[2:]), self.window)]
        product = 1.0
        for e in {abs(e) for _, e in powers}:  # one root of one ratio, so that sqrt(rows/cols) is exact for squares
            ratio = 1.0
            for n, f in powers:
                ratio = ratio * n if f == e else ratio / n if f == -e else ratio
            product *= ratio**e
        bounded = max(self.at_least, product)
        return self.times / bounded if self.inverse else self.times * bounded

    @property
    def spec(self) -> dict[str, Any]:
        """The fields that are not the default: ``ShapeFactor(**f.spec) == f``."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def __repr__(self) -> str:
        return f"ShapeFactor({', '.join(f'{k}={v!r}' for k, v in self.spec.items())})"

    def __mul__(self, a: float) -> ShapeFactor:
        return replace(self, times=self.times * a)

    __rmul__ = __mul__

    def __rtruediv__(self, a: float) -> ShapeFactor:
        return replace(self, times=a / self.times, inverse=not self.inverse)

    def __abs__(self) -> ShapeFactor:
        return replace(self, times=abs(self.times))


#: The scales of published Muons: of Keller Jordan's, of one that matches AdamW's root mean square, and others.
ORIGINAL, MATCHED = ShapeFactor(rows=0.5, cols=-0.5, at_least=1.0), ShapeFactor(0.2, longer=0.5)
NONE, LONGER, RATIO = ShapeFactor(), ShapeFactor(longer=0.5), ShapeFactor(rows=0.5, cols=-0.5)


def _count(shape: tuple[int, ...]) -> int:
    n = 1
    for k in shape:
        n *= max(1, k)
    return n


def factor(name: str, a: Any) -> float | ShapeFactor:
    """A finite number or a shape factor, from either or from a factor's spec. ValueError that names it otherwise."""
    if isinstance(a, ShapeFactor):
        return a
    if isinstance(a, dict):
        try:
            return ShapeFactor(**a)
        except TypeError as error:
            raise ValueError(f"{name} is not the spec of a ShapeFactor: {error}") from None
    if isinstance(a, bool) or not isinstance(a, (int, float)) or not abs(a) <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number or a ShapeFactor, got {a!r}")
    return float(a)


def at(factor: Any, x: Array, batch: int) -> float:
    """A number, or what a ``ShapeFactor`` is for the events of x."""
    return factor.of(tuple(x.shape[batch:])) if isinstance(factor, ShapeFactor) else factor


def constant(factor: Any) -> float:
    """The part of a factor that does not depend on the shape: it has the factor's sign."""
    return factor.times if isinstance(factor, ShapeFactor) else factor


def whole(structure: str) -> str:
    """The structure of a function of the whole array: a factor of its shape is lost on a part of it."""
    return structure if structure in ("order", "matrix") else "reduce"
