"""Which known mistake does a failing port make? The mutant whose runs are the port's own runs."""

from __future__ import annotations

from dataclasses import replace

from ..mutants import MUTANTS, with_claims
from ..mutants.step import Variant
from ..report.results import SURE, Report
from ..specification.cases import Case, host
from ..specification.maker import takes
from ..specification.port import Capabilities, Port
from ..specification.rules import rule_of
from .measure import bits_of
from .trace import Elsewhere, Trace, run, same, walk

Run = tuple[Case, Trace]
#: Where numbers overflow or are NaN, ports with one mistake differ.
_STRANGE = ("S6.nan", "S6.infinity", "S2.fine")
_LIMIT = 16  # failing and passing runs that are compared, each
_ENOUGH = 0.75  # share of the failing runs that a mutant must repeat
_KEPT = 0.25  # share of the passing runs: a mistake that spoils more of them explains in part, if at all
_DOUBTED = SURE - 0.01
#: How near x is, and of how many entries, where a mutant repeats a run. In fewer bits than 53, two right ways to write
#: an average differ in the sign of some readouts.
_NEAR = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
_MOST = {"float64": 1.0, "float32": 0.97, "float16": 0.97, "bfloat16": 0.97}


class Likeness:
    """Which runs of a port its mutants repeat. Each is asked once, and followed no further than it is like the port."""

    def __init__(self, claims: Capabilities) -> None:
        self.mutants = [with_claims(v, claims) for m in MUTANTS.values() for v in (m, *m.kin)]
        self.known: dict[tuple[int, str], bool] = {}

    def share(self, mutant: int, runs: list[Run], enough: float = 0.0) -> float:
        """Of the runs, how many the mutant repeats; 0 as soon as that cannot be ``enough`` any more."""
        missed = 0
        for case, trace in runs:
            asked = mutant, case.id
            if asked not in self.known:
                self.known[asked] = _repeats(self.mutants[mutant], case, trace)
            missed += not self.known[asked]
            if missed > (1 - enough) * len(runs):
                return 0.0
        return 1 - missed / max(len(runs), 1)


def nearest(
    port: Port, report: Report, traces: dict[str, tuple[Case, Trace]], like: Likeness
) -> list[tuple[str, str, float]]:
    """``(mutant, what it does, share of the port's failing runs that it repeats)``, best first.

    Those that explain less than ``_ENOUGH`` are left out. Passing runs count, too: a mistake must not explain what is
    right. What is left equal is ordered by the rules that broke.
    """
    failing = {r.id for r in report.failures}
    rules = {r.rule.id for r in report.failures}
    # The mistakes are steps on NumPy arrays, and NumPy has no bfloat16.
    seen = [(c, t) for c, t in traces.values() if t.xs and not t.refused and c.dtype != "bfloat16"]
    seen = [(c, t) for c, t in seen if not c.long] or seen
    broken = [(c, t) for c, t in seen if c.id in failing]
    # What is wrong with a NaN as well as without is no mistake with NaN, where ports differ and may.
    wrong = _spread([r for r in broken if not r[0].id.startswith(_STRANGE)] or broken)
    if wrong and wrong[0][0].long:  # what happens at a count is measured
        return []
    if not wrong:
        return _by_name("gradient_in_place") if "S4.pure" in rules else []
    if name := _restless(port, report, *wrong[0]):
        return _by_name(name)
    reference = with_claims(Variant("reference"), port.capabilities)
    if all(_repeats(reference, c, t, 1.0) for c, t in wrong):  # wrong by less than runs are told apart by: bits tell it
        return []
    right = _spread([(c, t) for c, t in seen if not any(i.endswith(c.id) for i in failing)])
    found: dict[str, tuple[float, float, float, Variant]] = {}
    for i, mutant in enumerate(like.mutants):
        share = like.share(i, wrong, _ENOUGH)
        if share >= _ENOUGH:
            overlap = len(rules & set(mutant.rules)) / len(rules | set(mutant.rules))
            kept = like.share(i, right) if right else 1.0
            said = share if kept >= _KEPT else min(share, _DOUBTED)
            score = (share + kept, overlap, said, mutant)
            found[mutant.name] = max(found.get(mutant.name, score), score, key=lambda f: f[:2])
    best = sorted(found.values(), key=lambda f: (-f[0], -f[1]))
    double = [] if best else [(c, t) for c, t in wrong if c.dtype == "float64"]
    if all(c.weight_decay for c, _ in double) and any(not c.weight_decay for c, _ in right):
        double = []  # a number of the decay alone is rounded
    if double and all(20 <= bits_of(c, port.capabilities, t) <= 26 for c, t in double):
        return _by_name("single_precision")
    if best and best[0][2] >= SURE:  # what is as near as the nearest does the same
        best = [f for f in best if f[0] == best[0][0]]
    return [(m.name, m.says, share) for _, _, share, m in best[:3]]


def _restless(port: Port, report: Report, case: Case, trace: Trace) -> str:
    """The mutant of a port whose second run of the same inputs is another one; "" if it is the same."""
    try:
        again = run(port, case)
        if _as(again, trace):
            return ""
        if isinstance(port, Elsewhere) and _as(again, run(port, case)):  # alone it is the same each time
            return "leaked_state"
        # After a run with gradients, one with none: what is left moves x alike each time, and a coin does not.
        if takes(port.capabilities.K, (7,)):  # a shape that no NaN has been in
            grads = tuple(g[:7] for g in case.grads if len(g) >= 7)
            case = replace(case, shape=(7,), x0=case.x0[:7], grads=grads, layout="C")
        still = replace(case, grads=(tuple(0.0 for _ in case.x0),), weight_decay=0.0)
        first, *later = ((run(port, case), run(port, still).xs[0] - case.array(case.x0))[1] for _ in range(5))
    except Exception:  # a program that was run elsewhere, or a port that breaks
        return ""
    xp = host().namespace()
    if all(float(xp.mean(1.0 * (first * moved > 0))) > 0.9 for moved in later):
        return "leaked_state"
    found = [r.divergence for r in report.failures if r.divergence]
    return "random_ties" if all(d.margin == 0 and d.direction == 0 for d in found) else "noisy_gradient"


def _as(one: Trace, other: Trace) -> bool:
    return len(one.xs) == len(other.xs) and all(map(same, one.xs, other.xs))


def _spread(runs: list[Run]) -> list[Run]:
    """A dozen of the runs: first one for each rule and shape, then from first to last."""
    kinds: dict[tuple[str, tuple[int, ...]], Run] = {}
    for case, trace in runs:
        kinds.setdefault((rule_of(case.id).id, case.shape), (case, trace))
    first = list(kinds.values())
    chosen = {c.id for c, _ in first}
    rest = [r for r in runs if r[0].id not in chosen]
    return (first + rest[:: -(-len(rest) // _LIMIT) or 1])[:_LIMIT]


def _repeats(mutant: Variant, case: Case, trace: Trace, enough: float | None = None) -> bool:
    """Does the mutant make this run? It is given up at the step at which it cannot any more."""
    xp, accuracy, entries = host().namespace(), mutant.capabilities.accuracy, case.size * case.steps
    enough = _MOST[case.dtype] if enough is None else enough
    near, was = entries, case.array(case.x0) if accuracy else None
    own = was
    try:
        for a, b in zip(trace.xs, walk(mutant, case), strict=True):
            if a.shape != b.shape:
                return False
            if accuracy:  # the steps, in norm: the errors of x add up
                step = b - own
                far, reach = (float(xp.sqrt((v * v).sum())) for v in (a - was - step, step))
                was, own = a, b
                if not far <= accuracy * reach + 1e-9:
                    return False
                continue
            close = xp.abs(a - b) <= _NEAR[case.dtype] * (case.lr[0] + xp.abs(a))
            if close.all():
                continue
            near -= int(xp.sum(~(close | (xp.isnan(a) & xp.isnan(b)) | (a == b))))
            if near < enough * entries:
                return False
    except Exception:  # a mistake with matrices, on a vector
        return False
    return True


def _by_name(name: str) -> list[tuple[str, str, float]]:
    return [(name, MUTANTS[name].says, 1.0)]
