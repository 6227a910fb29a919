"""A picture, for the documentation, of the ratios that asv has kept of one commit.

python curate.py results/epyc/391f15e1-existing-py3.11.json ../docs/_static/performance.png
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

from lionk.app.style import BLUE, GREEN, GREY, ORANGE, RED, STYLE

COLOURS = {
    "numpy:numba": BLUE, "numpy:tiles": GREEN, "torch:compiled": RED, "torch:tiles": ORANGE, "jax:jit": GREY,
    "torch:numba": "C4",
}  # fmt: skip
PEERS = dict(zip(("lion-pytorch", "timm", "pytorch_optimizer", "optax"), (BLUE, GREEN, RED, ORANGE), strict=True))


def rows(run: dict[str, Any], name: str) -> list[list[Any]]:
    """Of one benchmark a list of parameters with the value found; what was skipped is left out."""
    if name not in run["results"]:
        return []
    values = dict(zip(run["result_columns"], run["results"][name], strict=False))
    every = product(*([literal_eval(p) for p in axis] for axis in values["params"]))
    pairs = zip(every, values["result"] or [], strict=False)
    return [[*key, v] for key, v in pairs if v is not None and v == v]


def draw(run: dict[str, Any], path: Path) -> None:
    """Cost by size, where it was measured; by K and runner; the other libraries."""
    sizes = rows(run, "ratios.Size.track_ratio")
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 10 if sizes else 7), layout="constrained")
        *first, functions, peers = figure.subplots(3 if sizes else 2, 1)
        for size in first:
            for runner, colour in COLOURS.items():
                if some := [(n, ratio) for r, n, ratio in sizes if r == runner]:
                    size.loglog(*zip(*some, strict=True), marker="o", markersize=4, color=colour, label=runner)
            size.set(title="One step of l1, by size", xlabel="entries", ylabel="multiples of the limit")
            size.legend(ncols=5)
        _bars(functions, rows(run, "ratios.Function.track_ratio"), lambda r: COLOURS[r])
        functions.set(title="One step on 4,194,304 entries, by K", ylabel="multiples of the limit")
        _bars(peers, rows(run, "ratios.Peer.track_advantage"), PEERS.__getitem__)
        peers.set(title="Other libraries' Lion", ylabel="time, in multiples of ours")
        facts = f"commit {run['commit_hash'][:8]}, {run['params']['cpu']}, one thread"
        figure.supxlabel(facts, fontsize=8, color=GREY)
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
    kept, picture = map(Path, arguments)
    draw(json.loads(kept.read_text(encoding="utf-8")), picture)


if __name__ == "__main__":
    main(sys.argv[1:])
