"""``lionk conform``: judge an implementation of a Lion-K optimizer by the specification."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from lionk.conformance import LEVELS, RULES, VERSION, VERSIONS, Capabilities, Port, Report, check
from lionk.conformance.ports.apart import ApartPort
from lionk.conformance.ports.exchange import Program, claims_of_program, judge_results
from lionk.conformance.ports.export import export
from lionk.conformance.ports.golden import SHIPPED, unpack
from lionk.conformance.ports.process import Limits
from lionk.conformance.ports.target import known_failures, spec, wishes_of
from lionk.conformance.report.results import SURE
from lionk.conformance.specification.dialects import DIALECTS, SCALES, TURNS, in_dialect

from ..console import BadInput, Failed, bad_input, command, console, say, table, unbroken
from ..files import apart, json_path, output_path, to_file, write_json, write_text

_STYLES = {"pass": "green", "fail": "bold red", "warn": "yellow", "xfail": "yellow", "skip": "dim"}


_DIALECTS = (
    f"Judge it in this dialect: {', '.join(DIALECTS)}. Those of Muon take words after a +, as in "
    f"muon-quintic+plain+ratio: {', '.join((*SCALES, *TURNS))}."
)
_LEVELS = "; ".join(f"{n} {text}" for n, text in LEVELS.items())


@command
def conform(
    target: Annotated[
        str | None,
        typer.Argument(help="The optimizer to judge: module:attribute or file.py:attribute.", metavar="PORT"),
    ] = None,
    level: Annotated[str, typer.Option(help=f"Up to which level, as 1 or L1: {_LEVELS}.")] = "3",
    k: Annotated[
        str | None,
        typer.Option(help="The convex function that it implements, NAME[:param=value,...]. By default Lion's."),
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Test only these dtypes, separated by commas.")] = None,
    only: Annotated[str, typer.Option(help="Run only the tests whose id starts with this, for example S3.decay.")] = "",
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Say what it calls one of the kit's parameters, for example lr=eta.", metavar="NAME=ITS"
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Pass this argument to the port too, for example foreach=True.", metavar="NAME=VALUE"),
    ] = None,
    decay: Annotated[
        list[str] | None,
        typer.Option(help="Test this convention of weight decay, if it has several; 'all' tests each."),
    ] = None,
    library: Annotated[str, typer.Option(help="Array library for a plain function or class.")] = "numpy",
    device: Annotated[str | None, typer.Option(help="Device of the arrays.")] = None,
    known: Annotated[
        str | None,
        to_file(help="A file of known failures, one id in each line. A known failure that passes counts as a failure."),
    ] = None,
    vectors: Annotated[
        str | None,
        typer.Option(help="Write the test cases as files to this folder, for ports in other languages.", metavar="DIR"),
    ] = None,
    results: Annotated[
        str | None,
        typer.Option(help="Judge the results.jsonl that a program has written in this folder.", metavar="DIR"),
    ] = None,
    program: Annotated[
        str | None, typer.Option("--command", help="Judge a program that reads cases and writes results.")
    ] = None,
    replay: Annotated[
        str | None, typer.Option(help="Write this case as a Python file that runs on its own.", metavar="CASE")
    ] = None,
    dialect: Annotated[str | None, typer.Option(help=_DIALECTS)] = None,
    timeout: Annotated[float, typer.Option(help="Stop a port that has not answered after this many seconds.")] = 60.0,
    memory: Annotated[
        float, typer.Option(help="Stop a port that takes more memory than this, in GiB; 0 means no limit.")
    ] = 8.0,
    specification: Annotated[str, typer.Option(help="Judge by this version of the specification.")] = VERSION,
    json: Annotated[str | None, to_file(help="Write the report as JSON; '-' is the terminal.")] = None,
    md: Annotated[str | None, to_file(help="Write the report as Markdown.")] = None,
    junit: Annotated[str | None, to_file(help="Write the report as JUnit XML.")] = None,
    html: Annotated[str | None, to_file(help="Write the report as one HTML page with plots.")] = None,
) -> None:
    """Judge an implementation of Lion, Muon or another Lion-K, and say what is wrong with it.

    It may be a torch.optim class, an optax function, a class, a plain function, or a program in any language. The exit
    code is 0 if it keeps every rule up to the level, 1 if it breaks one, and 2 if it cannot be run.

    Examples: lionk conform lion_pytorch:Lion; lionk conform my_code.py:step --map m=velocity --level 1
    """
    top, limits = _level(level), _limits(timeout, memory)
    if specification not in VERSIONS:
        raise BadInput(f"--specification {specification}: this kit holds {', '.join(VERSIONS)}")
    paths = {n: output_path(p, n) for n, p in (("--md", md), ("--junit", junit), ("--html", html)) if p is not None}
    to_json = json_path(json)
    apart({**paths, "--json": to_json})
    if sum(v is not None for v in (target, vectors, results, program)) != 1:
        raise BadInput("name one port, module:attribute, or give one of --vectors, --results, --command")
    if target is None:
        with bad_input(ValueError):
            dtypes = {} if dtype is None else {"dtypes": tuple(dtype.split(","))}
            outside = claims_of_program(spec(k), **dtypes, specification=specification)
            outside = outside if dialect is None else in_dialect(outside, dialect)
            report = _elsewhere(outside, top, vectors, results, program, _ids(known), limits)
        if report is not None:
            _finish(report, to_json, paths)
        return
    with bad_input(ValueError):
        wishes = wishes_of(k=k, names=map_, options=option, decays=decay, library=library, device=device)
        listed = _ids(known)
        with ApartPort(target, wishes, limits, {"specification": specification}) as port:
            if dialect is not None:
                port.capabilities = in_dialect(port.capabilities, dialect)
            if replay is not None:
                _replay(port, target, replay, wishes)
                return
            chosen = None if dtype is None else _dtypes(dtype, port.capabilities)
            report = check(port, level=top, dtypes=chosen, only=only, known=listed)
    _finish(report, to_json, paths)


def _elsewhere(
    claims: Capabilities,
    level: int,
    vectors: str | None,
    results: str | None,
    program: str | None,
    known: list[str],
    limits: Limits,
) -> Report | None:
    """Golden vectors, what was made of them, or a program."""
    if vectors is not None:
        path = Path(vectors)
        if path.exists() and not path.is_dir():
            raise BadInput(f"--vectors {vectors} is a file; name a folder")
        shipped = claims.K in SHIPPED and claims == claims_of_program(claims.K) and level == max(LEVELS)
        count = unpack(claims.K, path) if shipped else export(path, claims, level)
        say(f"wrote {count} cases to {path}; README.md there says how to go on")
        return None
    if results is not None:
        path = Path(results) / "results.jsonl"
        if not path.is_file():
            raise BadInput(f"--results {results}: there is no {path}; the program must write it")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return judge_results(lines, claims, name=str(path), level=level, known=known)
    with bad_input(RuntimeError, of="--command: "):
        return Program(shlex.split(program or ""), claims, limits).check(level=level, known=known)


def _level(text: str) -> int:
    number = text.strip().upper().removeprefix("L")
    if number not in ("0", "1", "2", "3"):
        raise BadInput(f"--level {text}: choose 0, 1, 2 or 3")
    return int(number)


def _limits(timeout: float, memory: float) -> Limits:
    if not (0 < timeout < float("inf") and 0 <= memory < float("inf")):
        raise BadInput(f"--timeout {timeout:g} --memory {memory:g}: give seconds above 0, and GiB of 0 or more")
    return Limits(seconds=timeout, memory=memory or None)


def _dtypes(text: str, claims: Capabilities) -> tuple[str, ...]:
    wanted = tuple(d.strip() for d in text.split(","))
    absent = [d for d in wanted if d not in claims.dtypes]
    if absent:
        raise BadInput(f"--dtype {text}: the port takes {', '.join(claims.dtypes)}")
    return wanted


def _ids(path: str | None) -> list[str]:
    try:
        return known_failures(path)
    except OSError as error:
        raise BadInput(f"--known {path}: {error.strerror}") from None


def _replay(port: Port, target: str, case: str, wishes: dict[str, Any]) -> None:
    from lionk.conformance.judging.replay import script

    path = Path("replay_" + case.replace("/", "_").replace(".", "_") + ".py")
    given = {n: v for n, v in wishes.items() if v not in (None, {}, (), "numpy")}
    make = f"from lionk.conformance.ports.target import load\n\nport = load({target!r}, {given!r})"
    with bad_input(ValueError, of="--replay: "):
        write_text(path, script(port, case, make))
    say(f"wrote {path}; run it with: python {path}")


def _finish(report: Report, to_json: Path | None, paths: dict[str, Path | None]) -> None:
    """Write, show, and end with the exit code."""
    if to_json is not None:
        write_json(to_json, report.to_json())
    for option, path in paths.items():
        if path is not None:
            write_text(path, _WRITERS[option](report))
    _show(report, to_stderr=to_json is not None and str(to_json) == "-")
    if not report.passed:
        hint = f"; {report.hint}" if report.hint else ""
        raise Failed(f"{report.port} breaks {len({r.rule.id for r in report.failures})} rules{hint}")


def _page(report: Report) -> str:
    from .page import page  # and matplotlib, which a terminal does not wait for

    return page(report)


_WRITERS = {"--md": Report.to_markdown, "--junit": Report.to_junit, "--html": _page}


def _show(report: Report, to_stderr: bool) -> None:
    out = console(to_stderr=to_stderr, width=140)
    versions = ", ".join(f"{n} {v}" for n, v in report.versions.items())
    about = f"{report.port} ({versions or 'no version'}), specification {report.specification}, K = {report.K}"
    out.print(Text(about, style="bold"))
    rows = []
    for name, (verdict, tests) in report.by_rule().items():
        rule = RULES[name]
        worst = next((r for r in tests if r.verdict == verdict), tests[0])
        remark = f"{worst.id}: {worst.text}" if worst.text else rule.text
        word = Text(verdict, style=_STYLES[verdict])
        rows.append((name, f"L{rule.level}", word, str(len(tests)), escape(remark)))
    out.print(table(*map(unbroken, ("rule", "level", "verdict", "tests")), "remark", rows=rows))
    if report.first is not None:
        out.print(f"first divergence: {report.first.id}: {escape(report.first.text)}", soft_wrap=True)
        out.print(f"lionk conform ... --replay {report.first.id}", style="dim", soft_wrap=True)
    for i, (mutant, says, share) in enumerate(report.diagnosis):
        words = f"{'in part' if share < SURE else 'or' if i else 'looks'} like {says}"
        out.print(f"{escape(words)} ({mutant}; {share:.0%} of the failing runs are the same)", soft_wrap=True)
    if report.where:
        out.print(f"it fails {escape(report.where)}", soft_wrap=True)
    if report.dialect is not None and not report.passed:
        out.print(Text(f"judged as {report.dialect['name']}; {report.dialect['says']}"), soft_wrap=True)
    for words in report.measured:
        out.print(f"measured: {escape(words)}", soft_wrap=True)
    for name, ours, theirs in report.defaults:
        out.print(Text(f"default of {name}: {theirs} (specification: {ours})"))
    held = "no level" if report.held is None else f"level {report.held}"
    style = "bold green" if report.passed else "bold red"
    out.print(Text(f"{'PASS' if report.passed else 'FAIL'}: holds {held}", style=style))
