"""Dtypes that a port refuses, or computes in fewer bits; and what is measured where no known mistake explains a run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from beyond_a_step import CORRECT
from lionk.conformance import Capabilities, check
from lionk.conformance.mutants import MUTANTS
from lionk.conformance.ports.exchange import claims_of_program, judge_results
from lionk.conformance.ports.export import line
from lionk.conformance.specification.cases import Rates
from lionk.conformance.specification.dialects import in_dialect, spoken
from lionk.conformance.specification.families import cases

PLAIN = CORRECT["frameworks_order"]


def torch_lion(inside=None, refused=()):
    import torch

    class Lion(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                lr, (b1, b2), wd = group["lr"], group["betas"], group["weight_decay"]
                for p in group["params"]:
                    if p.dtype in refused:
                        raise RuntimeError(f"{p.dtype} is not supported")
                    dtype = inside or p.dtype
                    x, g = p.to(dtype), p.grad.to(dtype)
                    m = self.state[p].setdefault("m", torch.zeros_like(x))
                    p.copy_(x * (1 - lr * wd) - lr * torch.sign(m * b1 + g * (1 - b1)))
                    m.lerp_(g, 1 - b2)

    return Lion


def failures(report):
    return [f"{r.id}: {r.text}" for r in report.failures]


def test_float64_computed_in_float32_is_said_and_the_other_dtypes_are_judged():
    import torch

    report = check(torch_lion(torch.float32), level=2, diagnose=False)
    assert report.passed, failures(report)
    (said,) = [r for r in report.results if r.id == "S5.inner/float64"]
    assert (said.verdict, said.text) == (
        "warn",
        "float64 is computed in float32; judged in float32, float16, bfloat16",
    )
    assert "float64" not in {r.id.rpartition("/")[2] for r in report.results if r is not said and r.rule.level == 2}
    assert {r.rule.level for r in report.results} >= {0, 1, 2}


def test_a_refused_dtype_is_one_line():
    import torch

    report = check(torch_lion(refused=(torch.float64, torch.bfloat16)), level=2, diagnose=False)
    assert report.passed, failures(report)
    said = {r.id: r.text for r in report.results if r.rule.id == "S5.taken" and r.verdict == "warn"}
    assert set(said) == {"S5.taken/float64", "S5.taken/bfloat16"}
    assert "RuntimeError: torch.float64 is not supported" in said["S5.taken/float64"]
    wanted = check(torch_lion(refused=(torch.float64,)), claims={"dtypes": ("float64", "float32")}, level=0)
    assert [r.id for r in wanted.failures] == ["S5.taken/float64"]  # it was claimed


def test_a_port_that_refuses_all_is_not_let_off():
    import torch

    every = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    assert not check(torch_lion(refused=every), level=0, diagnose=False).passed


@pytest.mark.parametrize("name", ["rounded_rate", "rounded_update", "narrow_readout", "sign_in_single"])
def test_a_part_that_is_computed_in_float32_is_no_dtype_that_is_not_kept(name):
    """Its x is no number of float32, so it fails, and is named."""
    (port,) = [m for m in (MUTANTS[name], *MUTANTS[name].kin) if "float32" in m.says]
    report = check(port, dtypes=("float64", "float32"), level=0)
    assert not report.passed
    assert port.says in report.looks_like


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # float64 beyond float32
def test_a_program_that_computes_float64_in_float32():
    claims = claims_of_program()
    single = MUTANTS["single_precision"]
    lines = []
    for case in cases(claims, 0):
        xs = []
        handle = single.create(case.array(case.x0), **case.hyper())
        for _, g in case.gradients():
            handle.step(case.array(g))
            xs.append([float(v).hex() for v in handle.x.reshape(-1)])
        lines.append(json.dumps({"id": json.loads(line(case))["id"], "x": xs}))
    report = judge_results(lines, claims, name="p", level=0)
    assert report.passed, failures(report)
    assert "float64 is computed in float32" in next(r.text for r in report.results if r.rule.id == "S5.inner")


def _counted(change):
    def move(s, x, m, g):
        new, after = PLAIN.move(s, x, m, g)
        return change(s, x, m, new, after)

    return replace(PLAIN, move=move)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, x, m, new, after: (new, after if s.count != 777 else 0 * after), "the momentum begins anew at 0"),
        (lambda s, x, m, new, after: (new, after if s.count < 900 else m), "the momentum is not updated any more"),
        (lambda s, x, m, new, after: (new if s.count < 1500 else x, after), "from step 1500 on x does not move"),
        (lambda s, x, m, new, after: (new if s.count != 4096 else x, after), "step 4096 is left out"),
        (lambda s, x, m, new, after: (new if s.count < 64 else (x + new) / 2, after), "with a = 0.5, b = 0.25"),
    ],
)
def test_what_happens_at_a_count_is_measured(change, says):
    report = check(_counted(change), dtypes=("float64",), only="S5.long")
    assert says in report.hint


def test_every_failure_has_a_sentence():
    def odd(s, x, m, g):
        new, after = PLAIN.move(s, x, m, g)
        return np.where(np.arange(x.size).reshape(x.shape) % 7 == 3, x + 0.3 * (new - x) ** 2, new), after

    report = check(replace(PLAIN, move=odd), dtypes=("float64",), level=0)
    assert report.hint


def test_an_older_specification_can_be_chosen():
    assert Capabilities(specification="1.0").specification == "1.0"
    old = check(PLAIN.claiming(specification="1.0"), dtypes=("float64",), diagnose=False)
    assert old.passed
    assert old.specification == "1.0"
    assert {r.rule.since for r in old.results} == {"1.0"}
    refuses = MUTANTS["clamped_decay"]
    assert check(refuses.claiming(specification="1.0"), dtypes=("float64",), level=0, diagnose=False).passed
    assert not check(refuses, dtypes=("float64",), level=0, diagnose=False).passed


def test_rates_are_a_schedule():
    rates = Rates((0.1, 0.2))
    assert [rates(0), rates(1), rates(7)] == [0.1, 0.2, 0.2]


def test_a_port_is_told_which_dialect_it_looks_like():
    report = check(MUTANTS["coupled_decay"], dtypes=("float64",), level=0)
    assert report.dialect["name"] == "lion"
    assert "--dialect lion-coupled" in report.dialect["says"]
    declared = in_dialect(MUTANTS["coupled_decay"].capabilities, "lion-coupled")
    told = check(replace(MUTANTS["coupled_decay"], capabilities=declared), dtypes=("float64",), level=1, only="S1")
    assert told.passed
    assert told.dialect["name"] == "lion-coupled"
    assert spoken(Capabilities(K="huber"), [])["name"] == "lion-k"


@pytest.mark.parametrize("narrow", ["float16", ""])
def test_a_program_is_asked_what_it_keeps(narrow):
    def answer(case):
        x, m, xs = case.array(case.x0), np.zeros(case.shape, case.dtype), []
        b1, b2 = case.betas
        for t, entries in case.gradients():
            g, lr = case.array(entries), case.rate(t)
            x = x - lr * (np.sign(b1 * m + (1 - b1) * g) + case.weight_decay * x)
            x, m = x.astype(narrow or case.dtype).astype(case.dtype), (b2 * m + (1 - b2) * g).astype(case.dtype)
            xs.append(list(map(float, x.reshape(-1))))
        return json.dumps({"id": case.id, "x": xs})

    claims = claims_of_program(dtypes=("float32",))
    report = judge_results(map(answer, cases(claims, 0)), claims, name="program", level=0)
    (kept,) = [r for r in report.results if r.id == "S5.kept/float32"]
    assert kept.verdict == ("fail" if narrow else "pass")
    assert report.passed == (not narrow)
    assert not narrow or report.hint.startswith("x of float32 is kept in float16")
