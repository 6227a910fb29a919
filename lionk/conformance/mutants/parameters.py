"""Mistakes with several parameters and with checkpoints."""

from __future__ import annotations

from typing import Any

from ..variants import Running, Variant
from .registry import mutant_handle


@mutant_handle("a state shared between parameters", "S7.parameters", "S7.missing")
class SharedState(Running):
    def step(self, grad: Any) -> None:
        grads = grad if self.several else [grad]
        for s, g in zip(self.slots, grads, strict=True):
            if g is not None:
                s.x, m = self.port.move(s, s.x, self.slots[0].m, g)
                self.slots[0].m = m
            s.count += 1


@mutant_handle("a state lost in the checkpoint", "S7.checkpoint")
class StateLost(Running):
    def load(self, state: Any) -> None:
        pass


@mutant_handle("a step count lost in the checkpoint", "S7.checkpoint")
class CountLost(Running):
    def load(self, state: Any) -> None:
        super().load(state)
        for s in self.slots:
            s.count = 0


@mutant_handle("a checkpoint that keeps the momentum in 16 bits", "S7.checkpoint")
class NarrowCheckpoint(Running):
    def state(self) -> Any:
        return [{**saved, "m": saved["m"].astype("float16")} for saved in super().state()]

    def load(self, state: Any) -> None:
        super().load([{**s, "m": s["m"].astype(slot.x.dtype)} for s, slot in zip(state, self.slots, strict=True)])


@mutant_handle("the hyper-parameters of the first group used for all", "S7.groups")
class FirstGroup(Running):
    def __init__(self, port: Variant, x0: Any, *, groups: Any = None, **hyper: Any) -> None:
        super().__init__(port, x0, groups=[groups[0]] * len(groups) if groups else None, **hyper)


@mutant_handle("a missing gradient treated as 0", "S7.missing")
class MissingIsZero(Running):
    def step(self, grad: Any) -> None:
        if self.several:
            grad = [0 * s.x if g is None else g for s, g in zip(self.slots, grad, strict=True)]
        super().step(grad)
