"""Mistakes with NaN, shapes, memory, and the gradient of the caller."""

from __future__ import annotations

from typing import Any

from ..specification.cases import host
from .registry import mutant, mutant_handle
from .step import Running, Slot


@mutant("a NaN readout treated as a step of {}", "S6.nan", constants=("+1", "-1"))
def nan_is_a_step(s: Slot, x: Any, m: Any, g: Any, value: str) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(xp.isnan(r), float(value), s.dK(r)))


@mutant("NaN gradients replaced by 0 (nan_to_num)", "S6.nan")
def nan_to_zero(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, xp.where(xp.isnan(g), 0 * x, g))


@mutant("a NaN that spreads to the whole array", "S6.nan")
def nan_spreads(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g + 0 * g.sum())


@mutant("the gradient changed in place", "S4.pure", raw=True)
def gradient_in_place(s: Slot, x: Any, m: Any, g: Any) -> Any:
    new = s.formula(x, m, g)
    if g.flags.writeable:
        g *= 1 - s.b1
    return new


@mutant("a kernel that leaves out the tail of large arrays", "S5.shape")
def tail_left_out(s: Slot, x: Any, m: Any, g: Any) -> Any:
    new, after = s.formula(x, m, g)
    if x.size > 1024:
        keep = x.size - x.size % 1024
        new.reshape(-1)[keep:] = x.reshape(-1)[keep:]
    return new, after


@mutant("an array read in the order of its memory, not of its axes", "S5.shape", raw=True)
def memory_order(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g.ravel(order="K").reshape(g.shape))


@mutant("the memory of a strided array read as if there were no strides", "S5.shape", raw=True)
def memory_read(s: Slot, x: Any, m: Any, g: Any) -> Any:
    flat = g if g.flags.c_contiguous or g.base is None else g.base
    return s.formula(x, m, flat.reshape(-1)[: g.size].reshape(g.shape))


@mutant_handle("a parameter that is not contiguous is copied, and the step is lost with the copy", "S5.shape")
class CopyLost(Running):
    decays = False

    def __init__(self, port: Any, x0: Any, **hyper: Any) -> None:
        super().__init__(port, x0, **hyper)
        self.lost = [not a.flags.c_contiguous for a in (x0 if self.several else [x0])]

    def step(self, grad: Any) -> None:
        before = [s.x for s in self.slots]
        super().step(grad)
        for s, x, lost in zip(self.slots, before, self.lost, strict=False):
            s.x = x * (1 - s.lr * s.wd * self.decays) if lost else s.x


@mutant_handle("a direction that is added to a copy where the parameter is not contiguous: x only decays", "S5.shape")
class DirectionLost(CopyLost):
    decays = True


@mutant("parameters without axes left out", "S5.shape")
def scalars_left_out(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g) if x.ndim else (x, m)


@mutant("a step skipped where any entry of the gradient is not finite", "S6.nan")
def skips_not_finite(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g) if xp.all(xp.isfinite(g)) else (x, m)


@mutant("infinite gradients replaced by 0", "S6.infinity")
def infinity_to_zero(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, xp.where(xp.isinf(g), 0 * x, g))


@mutant("parameters with more than three axes left out", "S5.shape")
def kernels_left_out(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g) if x.ndim < 4 else (x, m)


@mutant("a gradient read in the order of its memory where x is contiguous", "S5.shape", raw=True)
def memory_like_x(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g.ravel(order="K").reshape(g.shape) if g.flags.f_contiguous else g)


@mutant("an expanded gradient that counts at its first row only", "S5.shape", raw=True)
def expanded_once(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    if 0 not in g.strides[:1] or g.size < 2:
        return s.formula(x, m, g)
    return s.formula(x, m, xp.where(xp.arange(len(g)).reshape(-1, *[1] * (g.ndim - 1)) == 0, g, 0 * g))


@mutant(
    "a kernel whose blocks beyond {} entries read the momentum of the first block", "S5.shape", constants=(65536, 8192)
)
def second_block(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    xp = host().namespace()
    read = xp.reshape(m, (-1,))[xp.arange(m.size) % value]
    return s.formula(x, xp.reshape(read, m.shape), g)[0], s.formula(x, m, g)[1]


@mutant("the last entries, beyond a multiple of {}, without their momentum", "S5.shape", constants=(4, 8, 16, 32))
def tail_without_momentum(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    xp = host().namespace()
    body = xp.reshape(xp.arange(m.size) < m.size // value * value, m.shape)
    return s.formula(x, xp.where(body, m, 0 * m), g)[0], s.formula(x, m, g)[1]


@mutant("a momentum of 8 bits in arrays of {} entries and more", "S5.shape", constants=(4096, 65536))
def large_quantised(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    xp = host().namespace()
    x, m = s.formula(x, m, g)
    unit = float(xp.max(xp.abs(m))) / 127 if m.size >= value else 0.0
    return x, xp.round(m / unit) * unit if unit else m


@mutant("rows centred in matrices of more than {} rows", "S5.shape", constants=(128, 1024))
def large_centred(s: Slot, x: Any, m: Any, g: Any, value: int) -> Any:
    large = x.ndim > 1 and x.shape[0] > value
    return s.formula(x, m, g - g.mean(axis=tuple(range(1, g.ndim)), keepdims=True) if large else g)
