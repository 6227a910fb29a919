"""Mistakes of PyTorch optimizers, by kind: each is failed by the rule that covers it, and the report names it."""

from __future__ import annotations

import pytest
import torch

from lion_in_pieces import Lion
from lionk.conformance import check

torch.set_num_threads(1)


class EndsAtGap(Lion):
    def walk(self, group, params):
        for p in group["params"]:
            if p.grad is None:
                break
            super().walk(group, [p])


class RemembersGradients(Lion):
    def walk(self, group, params):
        for p in group["params"]:
            if p.grad is not None:
                self.state[p]["last"] = p.grad.clone()
                self.state[p].setdefault("m", torch.zeros_like(p))
            if "last" in self.state[p]:
                self.one(p, self.state[p]["last"], self.state[p], group)


class StatesOfFirstStep(Lion):
    def walk(self, group, params):
        for p in params:
            if self.steps == 1:
                self.state[p]["m"] = torch.zeros_like(p)
            if "m" in self.state[p]:
                self.one(p, p.grad, self.state[p], group)


class OneBuffer(Lion):
    def walk(self, group, params):
        buffers = {}
        for p in params:
            state, (b1, b2) = self.state[p], group["betas"]
            m = state.setdefault("m", torch.zeros_like(p))
            u = buffers.setdefault((p.shape, p.dtype), torch.empty_like(p))
            u.copy_(torch.sign(b1 * m + (1 - b1) * p.grad))
            state["m"] = b2 * m + (1 - b2) * p.grad
        for p in params:
            self.move(p, buffers[p.shape, p.dtype], group["lr"], group["weight_decay"])


class GroupDecaysForEach(Lion):
    def walk(self, group, params):
        for p in params:
            for q in group["params"]:
                q.mul_(1 - group["lr"] * group["weight_decay"])
            super().walk({**group, "weight_decay": 0.0}, [p])


class GradientAsState(Lion):
    def one(self, p, g, state, group):
        super().one(p, g, state, group)
        if group["betas"][1] == 0:
            state["m"] = g


class ClearsGradients(Lion):
    def one(self, p, g, state, group):
        super().one(p, g, state, group)
        p.grad = None


class FirstRate(Lion):
    def one(self, p, g, state, group):
        super().one(p, g, state, {**group, "lr": group.get("initial_lr", group["lr"])})


class EarlyGradients(Lion):
    def step(self, closure=None):
        params = [p for group in self.param_groups for p in group["params"]]
        early = [p.grad for p in params]
        loss = None if closure is None else closure()
        for p, g in zip(params, early, strict=True):
            p.grad = g
        super().step()
        return loss


class StatesInReverse(Lion):
    def load_state_dict(self, state_dict):
        names = sorted(state_dict["state"])
        state = {n: state_dict["state"][o] for n, o in zip(names, names[::-1], strict=True)}
        super().load_state_dict({**state_dict, "state": state})


class SavesHalf(Lion):
    def state_dict(self):
        found = super().state_dict()
        return {**found, "state": {n: {"m": s["m"].bfloat16()} for n, s in found["state"].items()}}


class LoadsSums(Lion):
    """The momenta of a checkpoint are taken for sums."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            for p in filter(self.state.get, group["params"]):
                self.state[p]["m"] = self.state[p]["m"] * (1 - group["betas"][1])


class AddsCopy(Lion):
    def add_param_group(self, param_group):
        first = not self.param_groups
        super().add_param_group(param_group)
        if not first:
            for p in self.param_groups[-1]["params"]:
                self.state[p]["m"] = p.detach().clone()


class OwnBetas(Lion):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, lr, betas, weight_decay)
        self.betas = betas

    def one(self, p, g, state, group):
        super().one(p, g, state, {**group, "betas": self.betas})


class AddsLikeFirst(Lion):
    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.param_groups[-1]["lr"] = self.param_groups[0]["lr"]


class DecayAtFirst(Lion):
    def one(self, p, g, state, group):
        super().one(p, g, state, {**group, "weight_decay": group.setdefault("kept", group["weight_decay"])})


class NarrowState(Lion):
    """A float32 state under 16 bits, which the loading of torch.optim narrows."""

    def one(self, p, g, state, group):
        state["m"] = state["m"].float()
        super().one(p, g.float(), state, group)


class NarrowMaster(Lion):
    def move(self, p, u, lr, wd):
        if p.dtype not in (torch.float16, torch.bfloat16):
            super().move(p, u, lr, wd)
            return
        master = self.state[p].setdefault("x", p.float())
        super().move(master, u.float(), lr, wd)
        p.copy_(master)


class Foreach(Lion):
    def walk(self, group, params):
        if not group["foreach"]:
            super().walk(group, params)
            return
        super().walk({**group, "weight_decay": 0.0}, params)
        for p in params:
            p.mul_(1 - group["lr"] * group["weight_decay"])


class MaximizeInPlace(Lion):
    def one(self, p, g, state, group):
        if group["maximize"]:
            p.grad.neg_()
        super().one(p, g, state, group)


class MemoryOfX(Lion):
    def one(self, p, g, state, group):
        if p.is_contiguous() and g.dim() == 2 and g.t().is_contiguous():
            g = g.t().reshape(g.shape)
        super().one(p, g, state, group)


class FirstRow(Lion):
    def one(self, p, g, state, group):
        if g.dim() and g.numel() and g.stride()[0] == 0:
            g = torch.cat([g[:1], 0 * g[1:]])
        super().one(p, g, state, group)


class Grid(Lion):
    def one(self, p, g, state, group):
        kept = state["m"]
        flat = kept.reshape(-1)
        state["m"] = flat[torch.arange(flat.numel()) % 65536].reshape(p.shape)
        super().one(p, g, state, group)
        state["m"] = group["betas"][1] * kept + (1 - group["betas"][1]) * g


class SmallDecay(Lion):
    def move(self, p, u, lr, wd):
        super().move(p, u, lr, wd if wd > 1e-5 else 0.0)


class LargeDecay(Lion):
    def move(self, p, u, lr, wd):
        super().move(p, u, lr, wd if wd < 1 else 0.0)


class Pruned(Lion):
    def move(self, p, u, lr, wd):
        kept = (p != 0).to(p.dtype)
        super().move(p, u, lr, wd)
        p.mul_(kept)


class TailFromGradient(Lion):
    """A loop over fours, and a tail that reads the gradient alone."""

    def one(self, p, g, state, group):
        kept = state["m"]
        body = (torch.arange(p.numel()) < p.numel() // 4 * 4).reshape(p.shape)
        state["m"] = torch.where(body, kept, 0)
        super().one(p, g, state, group)
        state["m"] = group["betas"][1] * kept + (1 - group["betas"][1]) * g


class Unscaled(Lion):
    """A grad scaler's way there and back."""

    def one(self, p, g, state, group):
        super().one(p, (g * 2.0**16) / 2.0**16, state, group)


class CutAtForty(Lion):
    def one(self, p, g, state, group):
        super().one(p, g.clamp(-40, 40), state, group)


class Sloped(Lion):
    """A steep slope through 0 in place of the sign."""

    def one(self, p, g, state, group):
        (b1, b2), lr = group["betas"], group["lr"]
        c = b1 * state["m"] + (1 - b1) * g
        self.move(p, torch.clamp(c / 3e-6, -1, 1), lr, group["weight_decay"])
        state["m"] = b2 * state["m"] + (1 - b2) * g


class TwiceAtFirst(Lion):
    def one(self, p, g, state, group):
        if "begun" not in state:
            state["begun"] = state["m"] = (1 - group["betas"][1]) * g
        super().one(p, g, state, group)


class OneEntryLeftOut(Lion):
    def one(self, p, g, state, group):
        if p.shape != (1,):
            super().one(p, g, state, group)


class InTheFirstDtype(Lion):
    def walk(self, group, params):
        for p in params:
            x = p.to(params[0].dtype)
            self.state[p].setdefault("m", torch.zeros_like(x))
            self.one(x, p.grad.to(x.dtype), self.state[p], group)
            p.copy_(x)


class HalfGradient(Lion):
    def one(self, p, g, state, group):
        super().one(p, g.half().to(g.dtype), state, group)


class Several(Lion):
    """sign(0) = 1, NaN is a step, and what is not contiguous is copied and lost: as a kernel in C may have it."""

    def one(self, p, g, state, group):
        (b1, b2), lr = group["betas"], group["lr"]
        c = b1 * state["m"] + (1 - b1) * g
        self.move(p.contiguous(), torch.copysign(torch.ones_like(c), c), lr, group["weight_decay"])
        state["m"] = b2 * state["m"] + (1 - b2) * g


WIDE, HALF = ("float64",), ("float32", "float16")


@pytest.mark.parametrize(
    ("port", "rule", "words", "dtypes"),
    [
        (EndsAtGap, "S7.gaps", "is not stepped while the gradient of a parameter before it is missing", WIDE),
        (RemembersGradients, "S7.gaps", "is stepped with its last gradient again while its own is missing", WIDE),
        (StatesOfFirstStep, "S7.gaps", "is never stepped, since it had no gradient at the first step", WIDE),
        (OneBuffer, "S7.parameters", "moves in the direction of parameter 1", WIDE),
        (GroupDecaysForEach, "S7.parameters", "decays once more for each other parameter", WIDE),
        (GradientAsState, "S7.buffers", "b2 = 0", WIDE),
        (ClearsGradients, "S4.pure", "gradient", WIDE),
        (FirstRate, "S5.schedule", "the learning rates of the steps 0, 0, 0", WIDE),
        (EarlyGradients, "S7.closure", "the closure is called when the gradients have been read", WIDE),
        (StatesInReverse, "S7.restore", "after loading the momentum is that of parameter 1", WIDE),
        (SavesHalf, "S7.checkpoint", "after loading the momentum is rounded to bfloat16", WIDE),
        (LoadsSums, "S7.checkpoint", "after loading the momentum is multiplied by 1 - b2; ", WIDE),
        (AddsCopy, "S7.added", "its momentum is a copy of x before its first step", WIDE),
        (OwnBetas, "S7.groups", "its betas are those that all groups were given", WIDE),
        (AddsLikeFirst, "S7.added", "its lr is those of the first parameter", WIDE),
        (DecayAtFirst, "S7.settings", "weight_decay = 0.125, set between two steps, is not read", WIDE),
        (NarrowState, "S7.restore", "a state of more bits", HALF),
        (NarrowMaster, "S7.edited", "the x that the user writes is not read", HALF),
        (Foreach, "S7.options", "with foreach=True it looks like decay after the step", WIDE),
        (MaximizeInPlace, "S7.options", "with maximize step 0 has changed its gradient", WIDE),
        (MemoryOfX, "S5.shape", "a gradient read in the order of its memory", WIDE),
        (FirstRow, "S5.shape", "an expanded gradient that counts at its first row only", WIDE),
        (Grid, "S5.shape", "the entries from 65536 to", WIDE),
        (SmallDecay, "S3.large", "only where weight_decay is below 1e-5", WIDE),
        (LargeDecay, "S3.large", "only where weight_decay is 1 or more", WIDE),
        (HalfGradient, "S4.state", "every readout is right to float", WIDE),
        (Pruned, "S3.step", "entries of x that are 0 stay 0", WIDE),
        (TailFromGradient, "S5.shape", "the last entries, beyond a multiple of 4, without their momentum", WIDE),
        (Unscaled, "S2.fine", "wrong for |g| above", WIDE),
        (CutAtForty, "S2.scale", "as if they were cut", WIDE),
        (Sloped, "S2.scale", "an epsilon, or a slope in place of a jump", WIDE),
        (TwiceAtFirst, "S4.state", "a first gradient that counts twice in the momentum", WIDE),
        (OneEntryLeftOut, "S5.shape", "x does not move", WIDE),
        (InTheFirstDtype, "S7.mixed", "parameter 1 is computed in float32", ("float32", "float64")),
    ],
)
def test_the_kind_is_failed_and_named(port, rule, words, dtypes):
    report = check(port, claims={"dtypes": dtypes}, only="S1.first/" if rule == "S4.pure" else f"{rule}/")
    assert rule in {r.rule.id for r in report.failures}
    assert words in " | ".join([report.hint, *report.measured]), (report.hint, report.measured)


def test_several_mistakes_are_told_apart():
    report = check(Several, claims={"dtypes": WIDE}, level=2)
    words = " | ".join(report.measured)
    assert "S2.selection" in words
    assert "sign(0) = 1" in words
    assert "is copied, and the step is lost with the copy" in words
    assert "a NaN readout treated as a step" in words


def test_where_it_fails_is_in_every_report():
    report = check(LargeDecay, claims={"dtypes": WIDE}, only="S3.large/")
    assert report.where == "only where weight_decay is 1 or more"
    assert report.where in report.hint
    assert "It fails only where weight" in report.to_markdown()
    assert report.where in report.to_json()["hint"]
    assert not check(Lion, claims={"dtypes": WIDE}, only="S3.large/").where


class InSixteen(Lion):
    def one(self, p, g, state, group):
        x = p.bfloat16()
        super().one(x, g.bfloat16(), state, group)
        p.copy_(x)


def test_float32_that_is_computed_in_sixteen_bits_is_failed_and_said():
    report = check(InSixteen)
    assert [r.id for r in report.failures] == ["S5.kept/float64", "S5.kept/float32"]
    assert report.hint == "x of float64 is kept in bfloat16: after each step it is a number of bfloat16"
    said = {r.id: r.text for r in report.results if r.rule.id == "S5.inner" and r.verdict == "warn"}
    assert said["S5.inner/float32"] == "float32 is computed in bfloat16; judged in bfloat16"
    assert set(said) == {"S5.inner/float64", "S5.inner/float32", "S5.inner/float16"}


class SwappedInSixteen(InSixteen):
    def one(self, p, g, state, group):
        super().one(p, g, state, {**group, "betas": group["betas"][::-1]})


@pytest.mark.parametrize("mistake", [EndsAtGap, OneBuffer, GradientAsState, EarlyGradients])
def test_what_computes_in_sixteen_bits_is_not_let_off(mistake):
    """Its widest dtype has 16 bits, and every test of several parameters is asked in that."""

    class Both(mistake, InSixteen):
        pass

    assert not check(Both, diagnose=False, only="S7").passed


def test_swapped_betas_in_sixteen_bits_are_noticed():
    assert not check(SwappedInSixteen, diagnose=False, level=2).passed
