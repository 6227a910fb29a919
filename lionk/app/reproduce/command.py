"""The command ``lionk reproduce``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import lionk

from ..console import BadInput, Failed, command, console, one_of, right, table
from ..files import PICTURES, apart, check_folder, json_path, make_folder, output_path, to_file, write_json, writing
from .targets import TARGETS, Outcome, load, text

FOLDER = Path("lionk-reproduce")  # for files that no option names


def _names() -> list[str]:
    return [*TARGETS, "all"]


@command
def reproduce(
    target: Annotated[
        str | None,
        typer.Argument(
            help="The figure or claim to reproduce, or 'all'. Leave it out to see the list.",
            metavar="TARGET",
            autocompletion=_names,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.", min=0)] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Make a smaller run of the same kind, as the tests do.")
    ] = False,
    plot: Annotated[
        str | None,
        to_file(
            help="Write the picture here, or 'none'. By default it goes to lionk-reproduce/. With 'all', give a folder."
        ),
    ] = None,
    json: Annotated[
        str | None,
        to_file(
            help="Write the numbers here, 'none', or '-' for the terminal. By default they go to lionk-reproduce/."
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Write the files, and print nothing but problems.")
    ] = False,
) -> None:
    """Reproduce a figure or a claim of the paper (arXiv 2310.05898), and say whether the numbers agree.

    Examples: lionk reproduce; lionk reproduce lyapunov; lionk reproduce all --plot figures --json figures
    """
    out = console(to_stderr=json == "-")
    if target is None:
        width = max(map(len, TARGETS))
        for name, summary in TARGETS.items():
            out.print(f"[bold]{name:<{width}}[/bold]  {escape(summary)}")
        return
    one_of(_names(), target, "TARGET")
    chosen = list(TARGETS) if target == "all" else [target]
    if json == "-" and target == "all":
        raise BadInput("--json - is for one target; give a folder with all")
    files = {n: (_file(plot, "--plot", n, ".png", target), _file(json, "--json", n, ".json", target)) for n in chosen}
    for to_plot, to_json in files.values():
        apart({"--plot": to_plot, "--json": to_json})
    wrong = [name for name in chosen if not _one(name, seed, quick, *files[name], None if quiet else out)]
    if wrong:
        raise Failed(f"a claim does not hold in {', '.join(wrong)}")


def _file(option: str | None, flag: str, name: str, suffix: str, target: str) -> Path | None:
    """Where a target's file goes; for all of them the option names a folder."""
    if option is None:
        check_folder(FOLDER)
        return FOLDER / f"{name}{suffix}"
    if target == "all" and option != "none":
        if not Path(option).is_dir():
            raise BadInput(f"{flag} {option}: with all, an existing folder, or none")
        return output_path(str(Path(option) / f"lionk-{name}{suffix}"), flag)
    return json_path(option) if flag == "--json" else output_path(option, flag, PICTURES)


def _one(name: str, seed: int, quick: bool, plot: Path | None, json: Path | None, out: Console | None) -> bool:
    module, start = load(name), time.perf_counter()
    outcome = module.run(seed, quick)
    seconds = time.perf_counter() - start
    if any(path is not None and path.parent == FOLDER for path in (plot, json)):
        make_folder(FOLDER)
    if json is not None:
        write_json(json, document(name, seed, quick, outcome))
    if plot is not None:
        with writing(plot):
            picture(name, outcome, plot)
    if out is not None:
        _show(out, name, outcome, seconds, [p for p in (plot, json) if p is not None and str(p) != "-"])
    return all(c.holds for c in outcome.checks)


def picture(name: str, outcome: Outcome, path: Path) -> None:
    """Draw an outcome and write the file; its suffix says the format. A PNG has 256 colours, to be light."""
    from matplotlib import rc_context
    from PIL import Image

    from ..style import STYLE

    with rc_context(STYLE):
        load(name).draw(outcome.numbers).savefig(path, dpi=120)
    if path.suffix.lower() == ".png":
        with Image.open(path) as image:
            light = image.convert("RGB").quantize(
                256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
            )  # rare colours stay what they are
        light.save(path, optimize=True)


def document(name: str, seed: int, quick: bool, outcome: Outcome) -> dict[str, object]:
    """What the JSON file holds."""
    return {
        "format": "lionk reproduce 1",
        "lionk": lionk.__version__,
        "target": name,
        "seed": seed,
        "quick": quick,
        "text": text(load(name)),
        "checks": [{**c._asdict(), "holds": c.holds} for c in outcome.checks],
        "numbers": outcome.numbers,
    }


def _show(out: Console, name: str, outcome: Outcome, seconds: float, written: list[Path]) -> None:
    words = {True: "[green]holds[/green]", False: "[red]FAILS[/red]"}
    rows = ((escape(c.claim), f"{c.measured:.4g}", c.expected, words[c.holds]) for c in outcome.checks)
    out.print(f"[bold]{name}[/bold]  {escape(TARGETS[name])}\n\n{escape(text(load(name)))}\n")
    out.print(table("claim", right("measured"), right("expected"), "", rows=rows))
    out.print(f"[dim]{seconds:.1f} s[/dim]" + "".join(f", wrote {p}" for p in written), soft_wrap=True)
