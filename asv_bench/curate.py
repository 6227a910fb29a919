"""The ratios of a run of asv as one small file of a release, and a picture of them for the documentation.

    asv run --python=same --quick --bench ratios --set-commit-hash "$(git rev-parse HEAD)"
    python curate.py .asv/results/MACHINE/RUN.json results/VERSION.json ../docs/_static/performance.png

The first argument may be left out, to draw again.
"""

from __future__ import annotations

import json
import sys
from ast import literal_eval
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from lionk.app.bench.command import machine
from lionk.app.figures import BLUE, GREEN, GREY, ORANGE, RED, STYLE

COLOURS = {"numpy:numba": BLUE, "numpy:tiles": GREEN, "torch:compiled": RED, "torch:tiles": ORANGE, "jax:jit": GREY}


def curated(run: dict[str, Any]) -> dict[str, Any]:
    """Of each benchmark a list of parameters with the value found; what was skipped is left out."""
    columns = run["result_columns"]
    found: dict[str, Any] = {}
    for name, row in run["results"].items():
        values = dict(zip(columns, row, strict=False))
        every = product(*([literal_eval(p) for p in axis] for axis in values["params"]))
        pairs = zip(every, values["result"] or [], strict=False)
        found[name.partition(".")[2]] = [[*key, round(v, 4)] for key, v in pairs if v is not None and v == v]
    return {"machine": machine(), "environment": run["env_vars"], "results": found}


def draw(kept: dict[str, Any], path: Path) -> None:
    """Cost of an entry by size; K by runner; the other libraries."""
    results = kept["results"]
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 10), layout="constrained")
        size, functions, peers = figure.subplots(3, 1)
        for runner, colour in COLOURS.items():
            some = [(n, cost) for r, n, cost in results["Size.track_cost"] if r == runner]
            size.loglog(*zip(*some, strict=True), marker="o", markersize=4, color=colour, label=runner)
        size.set(title="One step of l1: time for each entry", xlabel="entries", ylabel="nanoseconds")
        size.legend(ncols=5)
        _bars(functions, results["Function.track_ratio"], lambda r: COLOURS[r])
        functions.set(title="One step on 4,194,304 entries, by K", ylabel="multiples of the limit")
        _bars(peers, results["Peer.track_advantage"], dict(zip(("lion-pytorch", "timm", "pytorch_optimizer", "optax"),
              (BLUE, GREEN, RED, ORANGE), strict=True)).__getitem__)  # fmt: skip
        peers.set(title="Other libraries' Lion", ylabel="time, in multiples of ours")
        facts = kept["machine"]
        threads = kept["environment"].get("OMP_NUM_THREADS", facts["threads"])
        figure.supxlabel(f"lionk {facts['lionk']}, {facts['processor']}, threads: {threads}", fontsize=8, color=GREY)
        figure.savefig(path, dpi=110)


def _bars(ax: Any, rows: list[list[Any]], colour: Callable[[str], str]) -> None:
    """Groups of the second parameter, a bar for each of the first."""
    series, groups = list(dict.fromkeys(r for r, _, _ in rows)), list(dict.fromkeys(g for _, g, _ in rows))
    width = 0.8 / len(series)
    for k, name in enumerate(series):
        some = [(groups.index(g) + width * (k - (len(series) - 1) / 2), v) for r, g, v in rows if r == name]
        ax.bar(*zip(*some, strict=True), width=0.92 * width, color=colour(name), label=name)
    ax.axhline(1, color=GREY, linewidth=1)
    ax.set_yscale("log")
    ax.set_xticks(range(len(groups)), groups)
    ax.grid(axis="x", visible=False)
    ax.legend(ncols=len(series))


def main(arguments: list[str]) -> None:
    *run, kept, picture = map(Path, arguments)
    if run:
        text = json.dumps(curated(json.loads(run[0].read_text(encoding="utf-8"))), indent=1)
        kept.write_text(text + "\n", encoding="utf-8")
    draw(json.loads(kept.read_text(encoding="utf-8")), picture)


if __name__ == "__main__":
    main(sys.argv[1:])
