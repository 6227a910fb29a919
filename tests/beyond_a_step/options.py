"""Mistakes with closures, options and complex arrays."""

from __future__ import annotations

from typing import Any

from lionk.conformance.mutants.step import Running
from lionk.conformance.specification.cases import host

from .registry import mutant_handle


@mutant_handle("a closure that is not called", "S7.closure")
class ClosureIgnored(Running):
    answer: tuple[int, bool, bool] = (0, True, False)

    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        super().closure(grad)
        return self.answer


@mutant_handle("a closure that is called twice", "S7.closure")
class ClosureTwice(ClosureIgnored):
    answer = (2, True, True)


@mutant_handle("a closure that is called without gradients enabled", "S7.closure")
class ClosureWithoutGradients(ClosureIgnored):
    answer = (1, False, True)


@mutant_handle("the value of the closure is not returned", "S7.closure")
class ClosureValueLost(ClosureIgnored):
    answer = (1, True, False)


@mutant_handle("a closure that is called when the gradients have been read", "S7.closure")
class ClosureTooLate(Running):
    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        self.step(-grad)
        return 1, True, True


@mutant_handle("a closure that is called once for each group", "S7.closure")
class ClosureForEachGroup(Running):
    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        super().closure(grad)
        return len(self.slots), True, True


@mutant_handle("parameters without a gradient before the closure are left out, even if it makes one", "S7.closure")
class ClosureMakesNone(Running):
    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        if not self.slots[0].count % 2:
            return super().closure(grad)
        for s in self.slots:
            s.count += 1
        return 1, True, True


@mutant_handle("maximize turns the gradient in place", "S7.options")
class MaximizeInPlace(Running):
    def step(self, grad: Any) -> None:
        super().step(grad)
        if self.turned < 0 and not self.several:
            grad *= -1


@mutant_handle("maximize turns the readout, and not the state", "S7.options")
class MaximizeHalf(Running):
    def step(self, grad: Any) -> None:
        before = [s.m for s in self.slots]
        super().step(grad)
        if self.turned < 0:
            for s, m, g in zip(self.slots, before, grad if self.several else [grad], strict=True):
                s.m = s.m if g is None else (s.b2 * m - (1 - s.b2) * self._real(g)).astype(m.dtype)


class Foreach(Running):
    """Has an option, and a mistake that only shows with it."""

    def __init__(self, port: Any, x0: Any, *, foreach: bool = False, **hyper: Any) -> None:
        super().__init__(port, x0, **hyper)
        self.foreach = foreach


_FOREACH = {"foreach": {"foreach": True}}


@mutant_handle("with foreach, betas that are swapped", "S7.options", options=_FOREACH)
class ForeachSwapped(Foreach):
    def __init__(self, port: Any, x0: Any, *, foreach: bool = False, **hyper: Any) -> None:
        betas = tuple(hyper["betas"])[::-1] if foreach else hyper["betas"]
        super().__init__(port, x0, foreach=foreach, **{**hyper, "betas": betas})


@mutant_handle("with foreach, a missing gradient treated as 0", "S7.options", options=_FOREACH)
class ForeachGap(Foreach):
    def step(self, grad: Any) -> None:
        if self.several and self.foreach:
            grad = [0 * s.x if g is None else g for s, g in zip(self.slots, grad, strict=True)]
        super().step(grad)


@mutant_handle(
    "with foreach, maximize has no effect",
    "S7.options",
    options={**_FOREACH, "maximize": {"maximize": True}, "maximize and foreach": {"maximize": True, "foreach": True}},
)
class ForeachMaximizeIgnored(Foreach):
    def __init__(self, port: Any, x0: Any, *, foreach: bool = False, **hyper: Any) -> None:
        super().__init__(port, x0, foreach=foreach, **hyper)
        self.turned = 1 if foreach else self.turned


@mutant_handle("maximize turns the decay too", "S7.options")
class MaximizeTurnsDecay(Running):
    def step(self, grad: Any) -> None:
        if self.turned > 0:
            super().step(grad)
            return
        before = [s.x for s in self.slots]
        self.turned = 1
        super().step(grad)
        self.turned = -1
        for s, x in zip(self.slots, before, strict=True):
            s.x = 2 * x - s.x


@mutant_handle("maximize has no effect", "S7.options")
class MaximizeIgnored(Running):
    def step(self, grad: Any) -> None:
        self.turned = 1
        super().step(grad)


@mutant_handle("complex entries divided by their modulus", "S7.complex")
class ComplexModulus(Running):
    def step(self, grad: Any) -> None:
        if self.complex is None:
            super().step(grad)
            return
        xp, (s,) = host().namespace(), self.slots
        before, m = s.x, s.m
        super().step(grad)
        r = s.readout(m, self._real(grad))
        size = xp.sqrt((r * r).sum(axis=-1, keepdims=True))
        s.x = before + s.lr * (r / xp.where(size > 0, size, 1.0) - s.wd * before)
