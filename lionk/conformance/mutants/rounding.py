"""Mistakes in the precision of numbers."""

from __future__ import annotations

from typing import Any

from ..specification.cases import host
from ..specification.port import each_parameter
from ..specification.script import rounded
from .registry import mutant, mutant_handle
from .step import Running, Slot


@mutant("a momentum rounded to {} after each step", "S4.state", constants=("float16", "bfloat16", "float32"))
def rounded_momentum(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    x, m = s.formula(x, m, g)
    return x, _to(m, value)


@mutant("a momentum of 8 bits, in 1/127 of its largest entry", "S4.state")
def momentum_in_8_bits(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    x, m = s.formula(x, m, g)
    unit = float(xp.max(xp.abs(m))) / 127 if m.size else 0.0
    return x, xp.round(m / unit) * unit if 0 < unit < float("inf") else m


@mutant("arithmetic in float32 where the parameter is float64", "S5.inner")
def single_precision(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    if x.dtype != xp.float64:
        return s.formula(x, m, g)
    return s.formula(*(xp.astype(v, xp.float32) for v in (x, m, g)))


@mutant("the momentum kept in the parameter's 16 bits", "S6.precision", dtypes=("float16",), state_dtype="float32")
def narrow_momentum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    x, m = s.formula(x, m, g)
    return x, m.astype(s.x.dtype)


@mutant("a sign taken of r |r|, which is 0 for small r in 16 bits", "S6.precision", dtypes=("float16",))
def squared_readout(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g, dK=lambda r: s.dK(r * abs(r)))


@mutant("lr rounded to {}", "S3.step", constants=("bfloat16", "float16", "float32"))
def rounded_rate(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    return s.formula(x, m, g, lr=rounded(s.lr, value))


@mutant("the weight decay rounded to {}", "S3.decay", constants=("bfloat16", "float16", "float32"))
def rounded_decay(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    return s.formula(x, m, g, wd=rounded(s.wd, value))


@mutant("betas rounded to {}", "S4.state", constants=("float32", "bfloat16", "float16"))
def rounded_betas(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    return s.formula(x, m, g, b1=rounded(s.b1, value), b2=rounded(s.b2, value))


@mutant("the readout computed in {}", "S2.fine", "S4.state", constants=("float32", "float16", "bfloat16"))
def narrow_readout(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    if value == "bfloat16":
        r = _to(s.readout(_to(m, value), _to(g, value)), value)
    else:
        r = s.readout(m.astype(value), g.astype(value)).astype(x.dtype)
    return s.formula(x, m, g, dK=lambda _: s.dK(r))


@mutant("the update lr (u - wd x) rounded to {}", "S3.step", constants=("float16", "bfloat16", "float32"))
def rounded_update(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    new, after = s.formula(x, m, g)
    return x + _to(new - x, value), after


@mutant(
    "the parameter rounded to {} after each step", "S5.inner", "S5.kept", constants=("float16", "bfloat16", "float32")
)
def rounded_parameter(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    new, after = s.formula(x, m, g)
    return _to(new, value), after


@mutant("the parameter rounded to {} before each step", "S3.step", constants=("float16", "bfloat16", "float32"))
def rounded_before(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    return s.formula(_to(x, value), m, g)


class DecimalDigits(Running):
    """x is shown with six decimal digits, and kept as it should be."""

    @property
    def x(self) -> Any:
        return each_parameter(super().x, lambda a: _digits(a, 6))


mutant_handle("x written with six decimal digits", "S3.step")(DecimalDigits)


def _to(a: Any, dtype: str) -> Any:
    """Rounded to a dtype, in the array's own."""
    xp = host().namespace()
    if dtype != "bfloat16":
        return a.astype(dtype).astype(a.dtype)
    mantissa, exponent = xp.frexp(a)
    return xp.ldexp(xp.round(mantissa * 256) / 256, exponent).astype(a.dtype)


def _digits(a: Any, digits: int) -> Any:
    xp = host().namespace()
    flat = [float(f"{v:.{digits}g}") for v in xp.reshape(a, (-1,))]
    return xp.reshape(xp.asarray(flat, dtype=a.dtype), a.shape)
