"""Results: a verdict for each test and each rule, and how they are written down."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from xml.etree import ElementTree

from ..specification.rules import RULES, VERSION, Rule, rule_of
from .escape import clean, markdown, table

PASS, FAIL, WARN, SKIP, XFAIL = "pass", "fail", "warn", "skip", "xfail"
SURE = 0.9  # of the failing runs: a mistake that explains fewer explains a part
_WORST = (FAIL, XFAIL, WARN, PASS, SKIP)


@dataclass(frozen=True)
class Divergence:
    """The first step that is wrong, and the entry where it is most wrong."""

    step: int
    entry: tuple[int, ...]
    readout: float
    margin: float
    direction: float  # of the reference
    seen: float  # of the port
    x: float
    why: str
    advice: bool = False  # it breaks a SHOULD, not a MUST

    def __str__(self) -> str:
        where = f"step {self.step}" + (f", entry {list(self.entry)}" if self.entry else "")
        return (
            f"{where}: {self.why}; readout {self.readout:.6g} (known to {self.margin:.2g}), "
            f"direction {self.direction:.9g} expected, {self.seen:.9g} seen, x = {self.x:.9g}"
        )


@dataclass(frozen=True)
class Result:
    """The verdict of one test, such as ``S3.decay/lr_wd/float32``."""

    id: str
    verdict: str
    text: str = ""
    divergence: Divergence | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text))

    @property
    def rule(self) -> Rule:
        return rule_of(self.id)


@dataclass
class Report:
    """What the kit found. ``passed``: no rule that is a MUST is broken, but for the known failures of the port."""

    port: str
    K: str
    level: int
    results: list[Result]
    defaults: list[tuple[str, Any, Any]] = field(default_factory=list)  # (name, the specification's, the port's)
    diagnosis: list[tuple[str, str, float]] = field(default_factory=list)  # (mutant, what it does, share explained)
    versions: dict[str, str] = field(default_factory=dict)
    specification: str = VERSION
    measured: list[str] = field(default_factory=list)  # of a failing port: its step, its precision, its weights
    dialect: dict[str, str] | None = None  # the name of the one it was judged in, and what is said of it
    where: str = ""  # what the failing cases have and the passing ones have not: "only where ..."
    spelled: str = ""  # the dialect of Muon that explains every direction of a failing port
    fact: bool = False  # is the first thing measured one that no mistake in the step explains?
    focus: str = ""  # the rule that the nearest mistake breaks first
    claims: Any = field(default=None, repr=False)  # the port's Capabilities
    runs: dict[str, tuple[Any, Any]] = field(default_factory=dict, repr=False)  # id -> (Case, Trace) of what was run

    def __post_init__(self) -> None:
        self.port, self.K = clean(self.port), clean(self.K)
        self.versions = {clean(k): clean(v) for k, v in self.versions.items()}

    @property
    def passed(self) -> bool:
        return not self.failures and any(r.verdict in (PASS, WARN, XFAIL) for r in self.results)

    @property
    def failures(self) -> list[Result]:
        return [r for r in self.results if r.verdict == FAIL]

    @property
    def first(self) -> Result | None:
        """The failure to look at first: of the rule that the diagnosis names, or of the first rule."""
        order = list(RULES).index
        return min(self.failures, key=lambda r: (r.rule.id != self.focus, order(r.rule.id)), default=None)

    @property
    def held(self) -> int | None:
        """The highest level up to which nothing failed; None if level 0 is not held."""
        broken = [r.rule.level for r in self.failures]
        top = min([self.level + 1, *broken]) - 1
        return top if top >= 0 else None

    def by_rule(self) -> dict[str, tuple[str, list[Result]]]:
        """For each rule, the worst verdict of its tests, and these tests."""
        found: dict[str, tuple[str, list[Result]]] = {}
        for rule in RULES.values():
            tests = [r for r in self.results if r.rule is rule]
            if tests:
                found[rule.id] = (min((r.verdict for r in tests), key=_WORST.index), tests)
        return found

    @property
    def looks_like(self) -> str:
        """The nearest known mistake, in words; empty if none comes near."""
        if not self.diagnosis:
            return ""
        share = self.diagnosis[0][2]
        if share < SURE:
            return f"in part like {self.diagnosis[0][1]}"
        return "looks like " + ", or ".join(says for _, says, _ in self.diagnosis)

    @property
    def hint(self) -> str:
        """What is wrong in a few words: the nearest known mistake, else what was measured; "" if neither is known."""
        words = self.looks_like if self.sure else "".join(self.measured[:1]) or self.looks_like
        if self.sure and self.measured and (self.fact or len(self.diagnosis) > 1):  # several do the same: it tells more
            words = f"{self.measured[0]}; it {words}"
        return f"{words}, {self.where}" if words and self.where else words

    @property
    def sure(self) -> bool:
        """Does a known mistake explain what failed?"""
        return bool(self.diagnosis) and self.diagnosis[0][2] >= SURE

    def summary(self) -> str:
        """The verdict in one line."""
        count = len([r for r in self.results if r.verdict != SKIP])
        if self.passed:
            warnings = sum(r.verdict == WARN for r in self.results)
            return f"{self.port}: PASS, {count} tests, K = {self.K}, level {self.level}, {warnings} warnings"
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.port}: FAIL, {len(self.failures)} of {count} tests, K = {self.K}, level {self.level}{hint}"

    def to_json(self) -> dict[str, Any]:
        """Plain values: dicts, lists, strings, numbers (NaN and infinities among them), None."""
        rules = {
            name: {"verdict": verdict, "level": RULES[name].level, "must": RULES[name].must, "text": RULES[name].text}
            for name, (verdict, _) in self.by_rule().items()
        }
        return {
            "schema": "lionk-conformance-report-1",
            "port": self.port,
            "passed": self.passed,
            "held": self.held,
            "K": self.K,
            "level": self.level,
            "specification": self.specification,
            "dtypes": list(self.claims.dtypes) if self.claims is not None else [],
            "dialect": self.dialect,
            "versions": self.versions,
            "rules": rules,
            "tests": [
                {"id": r.id, "verdict": r.verdict, "text": r.text}
                | ({"divergence": asdict(r.divergence)} if r.divergence else {})
                for r in self.results
            ],
            "diagnosis": [{"mutant": m, "says": s, "explains": e} for m, s, e in self.diagnosis],
            "measured": self.measured,
            "hint": "" if self.passed else self.hint,
            "defaults": [{"name": n, "specification": a, "port": b} for n, a, b in self.defaults],
        }

    def to_markdown(self) -> str:
        """A section with a table of rules, the first divergence, and the defaults."""
        lines = [f"### {markdown(self.port)}", "", markdown(self.summary().removeprefix(f"{self.port}: ")) + ".", ""]
        if self.versions:
            lines += [", ".join(markdown(f"{k} {v}") for k, v in self.versions.items()) + ".", ""]
        rows = []
        for name, (verdict, tests) in self.by_rule().items():
            worst = [r for r in tests if r.verdict == verdict]
            remark = markdown(f"{worst[0].id}: {worst[0].text}") if worst[0].text else ""
            word = {FAIL: "**fail**", WARN: "warning", XFAIL: "known failure"}.get(verdict, verdict)
            rows.append((name, f"L{RULES[name].level}", word, str(len(tests)), remark))
        lines += table(("rule", "level", "verdict", "tests", "remark"), rows)
        if self.first is not None:
            lines += ["", f"First divergence: `{self.first.id}`, {markdown(self.first.text)}."]
        if self.diagnosis:
            share = self.diagnosis[0][2]
            lines += ["", f"Diagnosis: {markdown(self.looks_like)} ({share:.0%} of the failing runs explained)."]
        if self.where:
            lines += ["", f"It fails {markdown(self.where)}."]
        for words in self.measured:
            lines += ["", f"Measured: {markdown(words)}."]
        if self.defaults:
            changed = "; ".join(f"{n}: {_shown(b)} (here {_shown(a)})" for n, a, b in self.defaults)
            lines += ["", f"Defaults that differ: {markdown(changed)}."]
        return "\n".join(lines) + "\n"

    def to_junit(self) -> str:
        """JUnit XML, one case for each test."""
        suite = ElementTree.Element(
            "testsuite",
            name=f"lionk conform {self.port}",
            tests=str(len(self.results)),
            failures=str(len(self.failures)),
            skipped=str(sum(r.verdict in (SKIP, XFAIL) for r in self.results)),
        )
        for r in self.results:
            case = ElementTree.SubElement(suite, "testcase", classname=r.rule.id, name=r.id)
            if r.verdict == FAIL:
                ElementTree.SubElement(case, "failure", message=r.text).text = f"{r.rule.text}\n{r.text}"
            elif r.verdict in (SKIP, XFAIL):
                ElementTree.SubElement(case, "skipped", message=r.text)
            elif r.text:
                ElementTree.SubElement(case, "system-out").text = r.text
        ElementTree.indent(suite)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def belongs(test: str, case_id: str) -> bool:
    """Is a test that of this case, or of a side of it: S4.pure/CASE, S5.dtype/CASE, S6.nan_result/... of S6.nan/...?"""
    return test == case_id or test.endswith("/" + case_id) or test.replace("_result/", "/", 1) == case_id


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value}"
