"""Mistakes with several parameters and with checkpoints."""

from __future__ import annotations

from typing import Any

from lionk.conformance.mutants.step import Running, Variant

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


@mutant_handle("a count of steps that goes on with each parameter, and a schedule that is read by it", "S7.parameters")
class CountOfAll(Running):
    def step(self, grad: Any) -> None:
        made = self.__dict__.setdefault("made", 0)
        for i, s in enumerate(self.slots):
            s.count = made + i
        super().step(grad)
        self.made = made + len(self.slots)


@mutant_handle("gradients of several parameters changed in place, as by a list operation", "S7.parameters")
class GradientsInPlace(Running):
    def step(self, grad: Any) -> None:
        super().step(grad)
        if self.several:
            for s, g in zip(self.slots, grad, strict=True):
                if g is not None:
                    g[...] = (1 - s.b2) * g


@mutant_handle("a state lost in the checkpoint", "S7.checkpoint")
class StateLost(Running):
    def load(self, state: Any) -> None:
        pass


@mutant_handle("a momentum lost in the checkpoint, but not the step count", "S7.checkpoint")
class MomentumLost(Running):
    def load(self, state: Any) -> None:
        super().load([{**saved, "m": 0 * saved["m"]} for saved in state])


@mutant_handle("a step count lost in the checkpoint", "S7.checkpoint")
class CountLost(Running):
    def load(self, state: Any) -> None:
        super().load(state)
        for s in self.slots:
            s.count = 0


@mutant_handle("a momentum whose sign is turned by loading a checkpoint", "S7.checkpoint")
class TurnedByLoading(Running):
    def load(self, state: Any) -> None:
        super().load([{**saved, "m": -saved["m"]} for saved in state])


@mutant_handle("a checkpoint that keeps the momentum in 16 bits", "S7.checkpoint")
class NarrowCheckpoint(Running):
    dtype = "float16"

    def state(self) -> Any:
        return [{**saved, "m": saved["m"].astype(self.dtype)} for saved in super().state()]

    def load(self, state: Any) -> None:
        super().load([{**s, "m": s["m"].astype(slot.x.dtype)} for s, slot in zip(state, self.slots, strict=True)])


@mutant_handle("a checkpoint that keeps the momentum in float32", "S7.checkpoint")
class SingleCheckpoint(NarrowCheckpoint):
    dtype = "float32"


@mutant_handle("the hyper-parameters of the first group used for all", "S7.groups")
class FirstGroup(Running):
    names: tuple[str, ...] = ("lr", "weight_decay", "betas")
    group = 0

    def __init__(self, port: Variant, x0: Any, *, groups: Any = None, **hyper: Any) -> None:
        wrong = {n: {**hyper, **groups[self.group]}[n] for n in self.names} if groups else {}
        super().__init__(port, x0, groups=[{**g, **wrong} for g in groups] if groups else None, **hyper)


@mutant_handle("the hyper-parameters of the last group used for all", "S7.groups")
class LastGroup(FirstGroup):
    group = -1


@mutant_handle("the learning rate of the first group used for all", "S7.groups")
class FirstGroupRate(FirstGroup):
    names = ("lr",)


@mutant_handle("the weight decay of the first group used for all", "S7.groups")
class FirstGroupDecay(FirstGroup):
    names = ("weight_decay",)


@mutant_handle("the betas of the first group used for all", "S7.groups")
class FirstGroupBetas(FirstGroup):
    names = ("betas",)


@mutant_handle("a missing gradient treated as 0", "S7.missing")
class MissingIsZero(Running):
    def step(self, grad: Any) -> None:
        if self.several:
            grad = [0 * s.x if g is None else g for s, g in zip(self.slots, grad, strict=True)]
        super().step(grad)
