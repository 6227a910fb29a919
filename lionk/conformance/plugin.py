"""The pytest plugin: ``pytest --lionk-port module:attribute`` makes every case of the kit a test of its own.

Ids are those of the cases, such as ``S3.decay/lr_wd/float32``; ``-k``, ``-x``, ``--junitxml`` and the like work. The
port's list of known failures (``--lionk-known FILE``, an id a line) is strict: one that passes fails. Each test has the
markers of its level, its dtype, and the claims that it needs: ``-m "lionk_L0 and lionk_float32"``, ``-m lionk_groups``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lionk", "conformance of a Lion-K optimizer")
    group.addoption("--lionk-port", metavar="MODULE:ATTRIBUTE", help="the implementation to judge")
    group.addoption("--lionk-level", type=int, default=3, help="up to which level, 0 to 3")
    group.addoption("--lionk-k", metavar="K", help="its convex function, NAME[:param=value,...]")
    group.addoption("--lionk-known", metavar="FILE", help="known failures, an id a line")
    group.addoption("--lionk-skip", metavar="FILE", help="beginnings of ids that are skipped, one a line, # a reason")
    group.addoption("--lionk-timeout", type=float, default=60.0, help="seconds after which a port is ended")
    group.addoption("--lionk-map", action="append", metavar="NAME=ITS", help="its name for one of the kit's")
    group.addoption("--lionk-option", action="append", metavar="NAME=VALUE", help="a further argument of the port")


def pytest_configure(config: pytest.Config) -> None:
    for level in range(4):
        config.addinivalue_line("markers", f"lionk_L{level}: conformance tests of level {level}")
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        config.addinivalue_line("markers", f"lionk_{dtype}: conformance tests of parameters of this dtype")
    for claim in ("checkpoint", "groups", "lists", "missing", "schedule"):
        config.addinivalue_line("markers", f"lionk_{claim}: conformance tests of what a port may claim")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests of the port come after all others, and before -k and -m choose."""
    if config.getoption("--lionk-port"):
        collector = Conformance.from_parent(session, name="lionk", nodeid="lionk")
        items.extend(collector.collect())


class Conformance(pytest.Collector):
    """All cases of one port."""

    skips: dict[str, str]

    def collect(self) -> Iterator[Case]:
        from .judging.behaviour import TESTS, behaviours, ids
        from .judging.judge import apply_known, judge_case
        from .ports.apart import ApartPort
        from .ports.process import Limits
        from .ports.target import known_failures, skips, wishes_of
        from .report.results import FAIL, PASS, SKIP, Result, belongs
        from .specification.families import cases, level_of

        option = self.config.getoption
        try:
            wishes = wishes_of(k=option("--lionk-k"), names=option("--lionk-map"), options=option("--lionk-option"))
            limits = Limits(seconds=option("--lionk-timeout"))
            port = ApartPort(option("--lionk-port"), wishes, limits)
            self.config.add_cleanup(port.close)
            known = set(known_failures(option("--lionk-known")))
            self.skips = skips(option("--lionk-skip"))
        except (OSError, ValueError) as error:
            raise pytest.UsageError(str(error)) from None
        claims, level = port.capabilities, option("--lionk-level")

        def judge(case: Any, mine: set[str]) -> list[Result]:
            return apply_known(judge_case(port, case)[0], mine)

        def compare(test: str, dtype: str) -> list[Result]:
            found = [
                Result(i, SKIP if absent else FAIL if wrong else PASS, absent or wrong)
                for i, wrong, absent in behaviours(port, dtype, level, test)
            ]
            return apply_known(found, known & {test})

        chosen = cases(claims, level)
        listed = {c.id for c in chosen}
        for case in chosen:
            mine = {k for k in known if belongs(k, case.id)}
            listed |= mine
            needs = ["schedule"] if case.scheduled else []
            yield self._test(case.id, needs, lambda case=case, mine=mine: judge(case, mine))
        for dtype in claims.dtypes:
            for test in ids(claims):
                if test.endswith(f"/{dtype}") and level_of(test, dtype, claims.dtypes) <= level:
                    listed.add(test)
                    needs = [n for n in TESTS[test.rpartition("/")[0]][0] if hasattr(claims, n)]
                    yield self._test(test, needs, lambda t=test, d=dtype: compare(t, d))
        if known - listed:
            raise pytest.UsageError(
                f"--lionk-known: no tests of this port: {', '.join(sorted(known - listed))}; take them off the list"
            )

    def _test(self, name: str, needs: Iterable[str], judge: Any) -> Case:
        from .specification.rules import rule_of

        item: Case = Case.from_parent(self, name=name, judge=judge)
        if why := next((w for begin, w in self.skips.items() if name.startswith(begin)), None):
            item.add_marker(pytest.mark.skip(reason=why))
        for mark in (f"L{rule_of(name).level}", name.rpartition("/")[2], *needs):
            item.add_marker(f"lionk_{mark}")
        return item


class Case(pytest.Item):
    """One case; fails where a rule that is a MUST is broken, and warns of advice in its report."""

    def __init__(self, *, judge: Any, **options: Any) -> None:
        super().__init__(**options)
        self.judge = judge

    def runtest(self) -> None:
        for result in self.judge():
            if result.verdict == "fail":
                raise Broken(f"{result.rule.text} ({result.rule.source})\n{result.text}")
            if result.verdict == "skip":
                pytest.skip(result.text)
            if result.verdict == "xfail":
                pytest.xfail(result.text)
            if result.verdict == "warn":
                self.add_report_section("call", "advice", result.text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, Broken) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> Any:
        return "lionk", 0, self.name


class Broken(AssertionError):
    """A rule of the specification is broken."""
