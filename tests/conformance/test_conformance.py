"""The kit: it passes the reference and correct variants, notices every mutant, and names it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import array_api_strict
import mpmath as mp
import numpy as np
import pytest

import lionk
from beyond_a_step import CORRECT, EVERY
from lionk.backend.discovery import GenericBackend
from lionk.conformance import RULES, Capabilities, Loopback, check
from lionk.conformance.judging.reference import follow, reference_run
from lionk.conformance.judging.trace import run
from lionk.conformance.mutants import MUTANTS
from lionk.conformance.report.results import SURE
from lionk.conformance.specification.cases import Case, function_of
from lionk.conformance.specification.families import cases
from turns import FULL


def failures(report):
    return [f"{r.id}: {r.text}" for r in report.failures]


# -- loopback ----------------------------------------------------------------------------------------------------------

#: One K of every structure and kind of smoothness.
KINDS = ["huber", "softplus", "dead_zone", "l2", "log_sum_exp", "top_k", "owl", "row_l1_l2", "nuclear", "lambda_max"]


@pytest.mark.parametrize("K", ["l1", *KINDS])
def test_the_reference_passes(K):
    less = {} if K == "l1" else {"dtypes": ("float64",), "level": 3 if FULL else 1}  # from 2 on it is no matter of K
    report = check(Loopback("numpy", K), diagnose=False, **less)
    assert report.passed, failures(report)
    # LionK refuses lr wd > 1, which it explains.
    assert {r.rule.id for r in report.results if r.verdict not in ("pass", "skip")} <= {"S3.large"}


@pytest.mark.slow
@pytest.mark.parametrize("K", sorted(set(lionk.names()) - {"l1"}))
def test_the_reference_passes_with_every_function(K):
    report = check(Loopback("numpy", K), diagnose=False)
    assert report.passed, failures(report)


@pytest.mark.parametrize("state_dtype", [None, "float32"])
def test_runners_pass_on_torch(state_dtype):
    import torch

    torch.set_num_threads(1)
    dtypes = ("float16", "bfloat16") if state_dtype else None if FULL else ("float32", "bfloat16")
    report = check(Loopback("torch", state_dtype=state_dtype), diagnose=False, dtypes=dtypes)
    assert report.passed, failures(report)


@pytest.mark.parametrize(
    ("library", "dtypes", "only"),
    [
        ("jax", ("float32",), ("S1.first", "S2.selection", "S4", "S7.checkpoint")),
        ("jax", ("bfloat16",), ("S6",)),
        ("dask", ("float32",), ("S1.first", "S3", "S4")),
        ("strict", ("float64",), ("S1", "S2", "S3", "S4", "S6", "S7")),
    ],
)
def test_runners_pass(library, dtypes, only):
    _run_on(library, "l1", dtypes, only)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["torch", "jax", "dask", "strict"])
@pytest.mark.parametrize("K", ["l1", "huber", "nuclear"])
def test_runners_pass_everything(library, K):
    _run_on(library, K, None, ("",))


def _run_on(library, K, dtypes, only):
    import dask

    port = Loopback(GenericBackend(array_api_strict) if library == "strict" else library, K)
    with dask.config.set(scheduler="sync"):
        for prefix in only:
            report = check(port, diagnose=False, dtypes=dtypes, only=prefix)
            assert report.passed, failures(report)


# -- correct variants, mutants, diagnosis ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORRECT)
@pytest.mark.parametrize("level", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_correct_variants_pass(name, level):
    report = check(CORRECT[name], diagnose=False, level=level)
    assert report.passed, failures(report)
    warned = {r.rule.id for r in report.results if r.verdict == "warn"}
    assert warned == {"quiet_nan": {"S6.nan_result"}, "lerp_from_gradient": {"S6.infinity_result"}}.get(name, set())


@pytest.mark.parametrize("name", ["frameworks_order", "lerp_from_gradient", "fused", "rounded_coefficients"])
@pytest.mark.parametrize("K", ["log_cosh", "nuclear", "top_k"])
def test_correct_variants_pass_with_other_functions(name, K):
    report = check(CORRECT[name].claiming(K=K), diagnose=False, dtypes=("float32",))
    assert report.passed, failures(report)


def test_there_are_mutants_for_every_rule_that_must_be_kept():
    noticed = {rule for m in EVERY.values() for rule in m.rules}
    assert len(EVERY) >= 130
    unused = {r for r, rule in RULES.items() if rule.must} - noticed
    # No mutant of one process breaks these; that the kit would notice is shown below.
    assert unused == {"S3.zero_decay", "S5.dtype", "S7.shards"}


@pytest.mark.parametrize("name", EVERY)
def test_every_mutant_is_noticed_by_the_rules_that_claim_to(name):
    assert EVERY[name].rules
    assert survivors(EVERY[name]) == []


def survivors(mutant):
    """The rules that claim to notice a mutant, and do not."""

    def broken(only):
        return {r.rule.id for r in check(mutant, only=only, diagnose=False).results if r.verdict in ("fail", "warn")}

    # A gradient that was changed is seen in the cases of every rule.
    return [rule for rule in mutant.rules if rule not in broken("S1.first/" if rule == "S4.pure" else f"{rule}/")]


def test_mutation_score(record_property):
    """Level by level: the mutants that a rule up to this level claims, all of them noticed above."""
    claimed = {level: sum(any(RULES[r].level <= level for r in m.rules) for m in EVERY.values()) for level in range(4)}
    record_property("mutants", claimed)
    print(f"mutants noticed, of {len(EVERY)}: " + ", ".join(f"up to L{n}: {k}" for n, k in claimed.items()))  # noqa: T201
    assert claimed[3] == len(EVERY)


@pytest.mark.parametrize("name", ["coupled_decay", "state_as_readout", "tail_left_out", "decay_after"])
def test_the_diagnosis_names_the_mistake(name):
    report = check(MUTANTS[name], dtypes=("float64",), level=1)
    assert not report.passed
    assert report.diagnosis[0][0] == name
    assert MUTANTS[name].says in report.summary()


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_the_diagnosis_names_every_mistake(name):
    report = check(MUTANTS[name])
    assert report.diagnosis[0][2] >= SURE
    assert name in [n for n, _, _ in report.diagnosis], report.diagnosis  # some are the same step for the sign


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("epsilon_in_sign", "r/(|r| + 1e-12)"),
        ("hidden_warm_up", "a warm-up of 10 steps"),
        ("rounded_momentum", "rounded to bfloat16"),
    ],
)
def test_the_diagnosis_names_the_constant(name, words):
    (other,) = [m for m in MUTANTS[name].kin if words in m.says]
    assert words in check(other, dtypes=("float64",), level=0).looks_like


def test_mistakes_that_are_the_same_step_are_both_named():
    report = check(MUTANTS["state_takes_other"], level=0)
    assert {"state_takes_other", "readout_takes_other", "both_sums"} == {n for n, _, _ in report.diagnosis}
    assert ", or " in report.looks_like


def test_what_is_like_no_known_mistake_is_measured():
    plain = CORRECT["frameworks_order"]

    def third(s, x, m, g):
        new, _ = plain.move(s, x, m, g)
        return new, 0.6 * m + 0.4 * g

    report = check(replace(plain, move=third), dtypes=("float64",), level=0)
    assert not report.passed
    assert "acts like betas (0.8, 0.6)" in report.measured[0]
    assert report.measured[0] in report.summary() + report.to_markdown()

    def falling(s, x, m, g):
        return s.formula(x, m, g, lr=s.lr / (1 + s.count) ** 2)

    report = check(replace(plain, move=falling), dtypes=("float64",), level=0)
    assert "with a = (1, 0.25, 0.111111, 0.0625, 0.04)" in report.measured[0]

    def coarse(s, x, m, g):
        new, after = plain.move(s, x, m, g)
        return np.round(new, 5), after

    report = check(replace(plain, move=coarse), dtypes=("float64",), level=0)
    assert "it is right to 1" in report.measured[0]


def test_a_parameter_that_stays_is_said_to():
    class OfLists:
        def __init__(self, params, lr, betas, weight_decay):
            self.params, self.lr = params, lr

        def step(self, grads):
            for p, g in zip(self.params, grads, strict=True):
                np.add(p, -self.lr * np.sign(g))  # and the sum is lost

    report = check(OfLists, dtypes=("float64",), level=0, only="S1.readout")
    assert "x does not move" in report.measured[0]
    assert "a list of parameters" in report.summary()


def test_a_sign_of_nan_is_named():
    plain = CORRECT["frameworks_order"]
    for sign in (1.0, -1.0):

        def signed(s, x, m, g, sign=sign):
            return s.formula(x, m, g, dK=lambda r: np.where(np.isnan(r), sign, np.sign(r)))

        report = check(replace(plain, move=signed), dtypes=("float64",), only="S6.nan")
        assert report.diagnosis[0][:2] == ("nan_is_a_step", f"a NaN readout treated as a step of {sign:+g}")


@pytest.mark.parametrize("name", ["gradient_only", "decay_after", "no_decay", "squared_readout"])
def test_mistakes_in_16_bits_only_are_noticed(name):
    report = check(MUTANTS[name].claiming(dtypes=("float16",)), only="S6.precision", diagnose=False)
    assert not report.passed


def test_a_mistake_in_single_precision_is_not_one_of_precision():
    """A norm that underflows at small gradients is right in float64."""
    plain = CORRECT["frameworks_order"]

    def rooted(s, x, m, g):
        return s.formula(x, m, g, dK=lambda r: r / np.sqrt(np.where(r == 0, 1, r * r)))

    report = check(replace(plain, move=rooted), only="S2.scale")
    assert {r.id.rpartition("/")[2] for r in report.failures} == {"float32"}
    assert "single_precision" not in [name for name, *_ in report.diagnosis]


def test_clipping_far_out_is_named():
    report = check(MUTANTS["clipped_far"], dtypes=("float64",), level=0)
    assert {r.id for r in report.failures} == {"S2.scale/power/float64"}
    assert report.measured[0].endswith("as if they were cut or overflowed")


@pytest.mark.parametrize("name", ["random_ties", "noisy_gradient", "leaked_state"])
def test_runs_that_cannot_be_repeated_are_told_apart(name):
    assert check(MUTANTS[name], dtypes=("float64",), level=0).diagnosis[0][0] == name


def _broken(report):
    return {r.rule.id for r in report.failures}


def test_the_rules_without_a_mutant_are_noticed_too():
    plain = CORRECT["frameworks_order"]
    rng = np.random.default_rng(0)

    def noisy(s, x, m, g):
        new, after = plain.move(s, x, m, g)
        return new + 1e-3 * rng.standard_normal(x.shape), after

    def half(s, x, m, g):
        new, after = plain.move(s, x, m, g)
        return (new if x.size == 16 else x), after

    def back(s, x, m, g):
        new, after = plain.move(s, x, m, g)
        return np.where(np.isinf(g), 2 * x - new, new), after

    def drift(s, x, m, g):
        new, after = plain.move(s, x, m, g)
        return new * (1 - 1e-3), after

    for move, rule in ((noisy, "S7.again"), (half, "S7.shards"), (back, "S6.infinity"), (drift, "S3.zero_decay")):
        assert rule in _broken(check(replace(plain, move=move), only=rule, diagnose=False)), rule


class Wide(Loopback):
    """x comes back in another dtype."""

    def create(self, x0, **hyper):
        return super().create(x0.astype("float64"), **hyper)


def test_a_changed_dtype_is_noticed():
    assert _broken(check(Wide(), dtypes=("float32",), level=1, diagnose=False)) == {"S5.dtype"}


def test_what_the_port_raises_is_a_failure_and_a_refusal_is_said():
    class Broken(Loopback):
        def create(self, x0, **hyper):
            if hyper["betas"][0] == 0:
                raise ValueError("betas must be positive")
            handle = super().create(x0, **hyper)
            handle.step = lambda grad: 1 / 0
            return handle

    report = check(Broken(), level=0, diagnose=False)
    assert "ZeroDivisionError" in report.first.text
    (refused,) = [r for r in report.results if r.rule.id == "S1.zero_beta"]
    assert refused.verdict == "warn"
    assert "betas must be positive" in refused.text


# -- reports -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failed():
    return check(MUTANTS["coupled_decay"], level=0)


def test_a_report_shows_where_and_why(failed):
    assert not failed.passed
    assert failed.held is None
    first = failed.first
    assert first.rule.id == "S3.decay"  # what the diagnosis names
    d = first.divergence
    assert abs(d.seen - d.direction) > 0.05
    assert "looks like coupled weight decay" in failed.summary()
    assert json.loads(json.dumps(failed.to_json()))["diagnosis"][0]["mutant"] == "coupled_decay"
    assert "| S3.decay | L0 | **fail** |" in failed.to_markdown()
    suite = ElementTree.fromstring(failed.to_junit())
    assert int(suite.get("failures")) == len(failed.failures) == len(suite.findall("*/failure"))


def test_defaults_that_differ():
    class Other(Loopback):
        @property
        def defaults(self):
            return {"lr": 1e-3, "betas": [0.9, 0.99], "weight_decay": None}

    report = check(Other(), level=0, only="S1.first", diagnose=False)
    assert report.defaults == [("lr", 1e-4, 1e-3)]


def test_known_failures_are_strict():
    ids = [r.id for r in check(MUTANTS["implicit_decay"], level=0, diagnose=False).failures]
    report = check(MUTANTS["implicit_decay"], level=0, known=ids, diagnose=False)
    assert report.passed
    assert {r.id for r in report.results if r.verdict == "xfail"} == set(ids)
    report = check(Loopback(), level=0, known=["S1.first/one/float64"], diagnose=False)
    assert "take it off the list" in report.first.text
    with pytest.raises(ValueError, match=r"no tests of this port, or pass now: S9\.x"):
        check(Loopback(), level=0, known=["S9.x"], diagnose=False)


# -- cases and bounds ----------------------------------------------------------------------------------------------


def test_cases_are_the_same_everywhere_and_exact_in_their_dtype():
    for case in cases(Capabilities(dtypes=("float64", "float32", "float16", "bfloat16"), schedule=True)):
        assert Case.from_json(json.loads(json.dumps(case.to_json()))).to_json() == case.to_json()
        if case.dtype != "bfloat16":
            for values in (case.x0, *case.grads):
                np.testing.assert_array_equal(np.asarray(values, case.dtype).astype("float64"), values)
    first = next(c for c in cases(Capabilities()) if c.id == "S1.first/one/float64")
    assert [v.hex() for v in first.x0[:2]] == FIRST


#: The first numbers of the first case: a change of the generator is a change of the specification.
FIRST = ["-0x1.0800000000000p-1", "0x1.a800000000000p-1"]


def test_every_case_with_a_step_has_decay_but_those_that_say_so():
    for case in cases(Capabilities(schedule=True)):
        assert case.weight_decay > 0 or case.id.startswith(("S3.zero", "S5.trajectory/no_decay")), case.id


def test_readouts_agree_with_high_precision():
    mp.mp.prec = 200
    K = function_of("l1", (16,))
    for case in cases(Capabilities(dtypes=("float64",), schedule=True), level=1):
        if 0 in case.shape or len(case.x0) > 100 or case.long:
            continue
        xs = reference_run(case, K)
        m = [mp.mpf(0)] * len(case.x0)
        x = [mp.mpf(v) for v in case.x0]
        b1, b2 = map(mp.mpf, case.betas)
        for t, (point, seen) in enumerate(follow(case, xs)):
            lr, lam = mp.mpf(case.lr[t]), mp.mpf(case.weight_decay)
            for i, g in enumerate(map(mp.mpf, case.grads[t])):
                r = b1 * m[i] - (1 - b1) * g
                m[i] = b2 * m[i] - (1 - b2) * g
                bound = mp.mpf(point.bound.reshape(-1)[i])
                assert abs(point.readout.reshape(-1)[i] - r) <= bound, case.id
                if case.exact or abs(r) > bound:
                    x[i] = x[i] + lr * (mp.sign(r) - lam * x[i])
                    assert abs(seen.reshape(-1)[i] - x[i]) <= 1e-14 * (1 + abs(x[i])), case.id
                x[i] = mp.mpf(seen.reshape(-1)[i])


def test_exact_cases_have_no_rounding():
    from fractions import Fraction

    for case in cases(Capabilities(dtypes=("float64", "float32", "float16"))):
        if not case.exact or not any(any(g) for g in case.grads):
            continue
        K = function_of("l1", case.shape)
        m = [Fraction(0)] * len(case.x0)
        b1, b2 = map(Fraction, case.betas)
        for t, (point, _) in enumerate(follow(case, reference_run(case, K))):
            for i, g in enumerate(map(Fraction, case.grads[t])):
                r = b1 * m[i] - (1 - b1) * g
                m[i] = b2 * m[i] - (1 - b2) * g
                assert r == Fraction(float(point.readout.reshape(-1)[i])), case.id


def test_the_kit_loads_nothing_before_it_is_used():
    code = "import lionk.conformance, sys; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert not {"numpy", "torch", "jax", "typer", "pytest", "lionk.conformance.mutants"} & loaded


def test_a_run_is_read_from_any_library():
    case = next(c for c in cases(Capabilities()) if c.id == "S1.first/one/float32")
    traces = [run(Loopback(b), case) for b in ("numpy", "torch", "jax", "dask")]
    for t in traces:
        assert t.dtype == "float32"
        np.testing.assert_array_equal(t.xs[0], traces[0].xs[0])


def test_a_failing_port_of_a_matrix_function_gets_a_diagnosis():
    def muon(shape):
        rows, cols = shape
        return lionk.K("nuclear").scale(max(1, rows / cols) ** 0.5)

    report = check(MUTANTS["swapped_betas"].claiming(K=muon), level=0, dtypes=("float64",))
    assert report.diagnosis[0][0] == "swapped_betas"
    assert report.measured == []
