"""Mistakes around the step: gradients that are missing, buffers, loading, edits, parameters of several kinds."""

from __future__ import annotations

import copy
from typing import Any

from lionk.conformance.mutants.step import Running, Slot

from .registry import mutant_handle


@mutant_handle("a state kept by the position among the parameters that have a gradient now", "S7.gaps")
class PositionalState(Running):
    def step(self, grad: Any) -> None:
        if not self.several:
            super().step(grad)
            return
        present = [(s, g) for s, g in zip(self.slots, grad, strict=True) if g is not None]
        if any(s.m.shape != t.m.shape for (s, _), t in zip(present, self.slots, strict=False)):
            super().step(grad)
            return
        for at, (s, g) in enumerate(present):
            s.x, self.slots[at].m = self.port.move(s, s.x, self.slots[at].m, g)
        for s in self.slots:
            s.count += 1


@mutant_handle("a momentum that fades while the gradient is missing", "S7.gaps")
class FadingMomentum(Running):
    def step(self, grad: Any) -> None:
        for s, g in zip(self.slots, grad if self.several else [grad], strict=True):
            if g is None:
                s.m = s.b2 * s.m
        super().step(grad)


@mutant_handle("a momentum that is forgotten after fifty steps without a gradient", "S7.gaps")
class ForgetsAfterGap(Running):
    def step(self, grad: Any) -> None:
        for s, g in zip(self.slots, grad if self.several else [grad], strict=True):
            s.memory["gap"] = 0 if g is not None else s.memory.get("gap", 0) + 1
            if s.memory["gap"] > 50:
                s.m = 0 * s.m
        super().step(grad)


@mutant_handle("a step that is left out wherever one of the parameters lacks its gradient", "S7.gaps", "S7.missing")
class AllOrNone(Running):
    def step(self, grad: Any) -> None:
        if self.several and any(g is None for g in grad):
            grad = [None] * len(grad)
        super().step(grad)


@mutant_handle("decay that goes on while the gradient is missing", "S7.gaps", "S7.missing")
class DecayInGaps(Running):
    def step(self, grad: Any) -> None:
        for s, g in zip(self.slots, grad if self.several else [grad], strict=True):
            if g is None:
                s.x = s.x * (1 - s.lr * s.wd)
        super().step(grad)


@mutant_handle("a first state that is the gradient's own memory", "S7.buffers")
class GradientKept(Running):
    def kept(self, s: Slot) -> bool:
        return s.count == 1

    def step(self, grad: Any) -> None:
        for s in self.slots:
            if "alias" in s.memory:
                s.m = (-(1 - s.b2) * self._real(s.memory.pop("alias"))).astype(s.m.dtype)
        super().step(grad)
        for s, g in zip(self.slots, grad if self.several else [grad], strict=True):
            if self.kept(s) and g is not None:
                s.memory["alias"] = g


@mutant_handle("with b2 = 0, a state that is the gradient's own memory", "S7.buffers")
class GradientKeptWithoutMemory(GradientKept):
    def kept(self, s: Slot) -> bool:
        return s.b2 == 0


@mutant_handle("loading that keeps the hyper-parameters with which the optimizer was made", "S7.restore")
class KeepsMade(Running):
    names: tuple[str, ...] = ("lr", "betas", "weight_decay")

    def load(self, state: Any) -> None:
        made = [s.hyper for s in self.slots]
        super().load(state)
        for s, hyper in zip(self.slots, made, strict=True):
            s.hyper.update({n: hyper[n] for n in self.names})


@mutant_handle("loading that sets the betas to the usual (0.9, 0.99)", "S7.restore")
class LoadsUsualBetas(Running):
    def load(self, state: Any) -> None:
        super().load(state)
        for s in self.slots:
            s.hyper["betas"] = (0.9, 0.99)


@mutant_handle("loading that keeps the learning rate with which the optimizer was made", "S7.restore")
class KeepsMadeRate(KeepsMade):
    names = ("lr",)


@mutant_handle("loading that keeps the betas with which the optimizer was made", "S7.restore")
class KeepsMadeBetas(KeepsMade):
    names = ("betas",)


@mutant_handle("loading that keeps the weight decay with which the optimizer was made", "S7.restore")
class KeepsMadeDecay(KeepsMade):
    names = ("weight_decay",)


@mutant_handle("loading that gives every group the hyper-parameters of the first one", "S7.restore")
class LoadsFirstGroup(Running):
    def load(self, state: Any) -> None:
        super().load([{**saved, "hyper": state[0]["hyper"]} for saved in state])


@mutant_handle("loading that empties the state that it is given", "S7.restore")
class LoadConsumes(Running):
    def load(self, state: Any) -> None:
        super().load(state)
        for saved in state:
            saved["m"] = 0 * saved["m"]


@mutant_handle("loading that does nothing in an optimizer that has made steps", "S7.restore")
class LoadsWhenFresh(Running):
    def load(self, state: Any) -> None:
        if all(s.count == 0 for s in self.slots):
            super().load(state)


@mutant_handle("loading that keeps the momentum of a parameter of which no step was saved", "S7.restore")
class LoadMerges(Running):
    def load(self, state: Any) -> None:
        there = [s.m for s in self.slots]
        super().load(state)
        for s, m in zip(self.slots, there, strict=True):
            s.m = m if s.count == 0 else s.m


@mutant_handle("a checkpoint without the parameters that had no gradient yet, read by position", "S7.restore")
class CompactCheckpoint(Running):
    def state(self) -> Any:
        return [s for s in super().state() if (s["m"] != 0).any()]

    def load(self, state: Any) -> None:
        for s, saved in zip(self.slots, copy.deepcopy(state), strict=False):
            s.m, s.count, s.memory = saved["m"], saved["count"], saved["memory"]


@mutant_handle(
    "a state of float32 that is loaded into the parameter's 16 bits",
    "S7.restore",
    dtypes=("float16",),
    state_dtype="float32",
)
class LoadsNarrow(Running):
    def load(self, state: Any) -> None:
        super().load(state)
        for s in self.slots:
            s.m = s.m.astype(s.x.dtype).astype(s.m.dtype)


@mutant_handle(
    "a master copy of x, or other memory that x is put into, so that what the user writes into x is not read",
    "S7.edited",
)
class MasterCopy(Running):
    def write(self, x: Any) -> None:
        for s in self.slots:
            s.memory["master"] = s.x
        super().write(x)

    def step(self, grad: Any) -> None:
        for s in self.slots:
            s.x = s.memory.pop("master", s.x)
        super().step(grad)


@mutant_handle("a master copy under 16 bits that is never read again when the user has changed x", "S7.edited")
class NarrowMasterCopy(MasterCopy):
    def step(self, grad: Any) -> None:
        for s in self.slots:
            if s.x.dtype.itemsize > 2:
                s.memory.pop("master", None)
        super().step(grad)


@mutant_handle(
    "a weight decay or rate that is set to 0 taken for one that was not given: the last is kept", "S7.settings"
)
class FalsySettings(Running):
    def edit(self, **hyper: Any) -> None:
        super().edit(**{n: v for n, v in hyper.items() if v})


@mutant_handle("hyper-parameters that are read once, when the optimizer is made", "S7.settings")
class ReadsOnce(Running):
    def edit(self, **hyper: Any) -> None:
        pass


@mutant_handle("an added parameter that begins with the momentum of the first", "S7.added")
class AddedWithMomentum(Running):
    def add(self, x0: Any, **hyper: Any) -> None:
        super().add(x0, **hyper)
        self.slots[-1].m = self.slots[0].m


@mutant_handle("an added parameter that takes the hyper-parameters of the first", "S7.added")
class AddedLikeFirst(Running):
    def add(self, x0: Any, **_: Any) -> None:
        super().add(x0, **self.base)


@mutant_handle("an added parameter that is never stepped", "S7.added")
class AddedIgnored(Running):
    def step(self, grad: Any) -> None:
        made = self.__dict__.setdefault("made", len(self.slots))
        super().step([g if i < made else None for i, g in enumerate(grad)] if self.several else grad)


@mutant_handle("adding a parameter resets the states of the others", "S7.added")
class AddingResets(Running):
    def add(self, x0: Any, **hyper: Any) -> None:
        super().add(x0, **hyper)
        for s in self.slots:
            s.m = 0 * s.m


@mutant_handle("all parameters computed in the dtype of the first", "S7.mixed")
class FirstDtype(Running):
    def step(self, grad: Any) -> None:
        super().step(grad)
        for s in self.slots:
            s.x = s.x.astype(self.slots[0].x.dtype).astype(s.x.dtype)


@mutant_handle("parameters with fewer than two axes left out where there are several", "S7.mixed")
class VectorsLeftOut(Running):
    def step(self, grad: Any) -> None:
        if self.several and any(s.x.ndim > 1 for s in self.slots):
            grad = [g if s.x.ndim != 1 else None for s, g in zip(self.slots, grad, strict=True)]
        super().step(grad)


@mutant_handle("float32 refused, which is claimed", "S5.taken")
class RefusesSingle(Running):
    def __init__(self, port: Any, x0: Any, **hyper: Any) -> None:
        if getattr(x0, "dtype", None) == "float32":
            raise ValueError("float32 is not supported")
        super().__init__(port, x0, **hyper)
