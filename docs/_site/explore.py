"""The numbers of the page on which one looks at a K in the plane: computed by lionk when the site is built."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from sphinx.application import Sphinx

import lionk

FUNCTIONS: dict[str, dict[str, Any]] = {
    "l1": {}, "l2": {}, "linf": {}, "lp": {"p": 1.5}, "huber": {"delta": 0.5}, "half_square": {}, "relu": {}, "max": {},
}  # fmt: skip
HALF, POINTS = 2.0, 41  # the grid of selections: [-HALF, HALF]^2
ANGLES = 240
FAR = 6.0  # beyond the picture
LAMS = (0.5, 1.0, 2.0)
CENTRE, START, STEPS = np.asarray([1.5, 0.6]), np.asarray([-1.8, 1.6]), 160


def data() -> dict[str, Any]:
    """For each K: its unit ball, the boundary of dom K*, its selection on a grid, and the path of Lion-K."""
    return {
        "half": HALF, "points": POINTS, "lams": LAMS, "centre": CENTRE.tolist(),
        "functions": [_one(name, parameters) for name, parameters in FUNCTIONS.items()],
    }  # fmt: skip


def _one(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    K, e = lionk.K(name, **parameters), lionk.functions.entry(name)
    grid = np.linspace(-HALF, HALF, POINTS)
    grid[np.abs(grid) < 1e-12] = 0.0  # kinks are hit exactly
    turn = np.linspace(0, 2 * math.pi, ANGLES, endpoint=False)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    bounded = name != "half_square"
    return {
        "name": name + "".join(f", {k} = {v:g}" for k, v in parameters.items()),
        "formula": e.formula, "imposes": e.constraint or "nothing: a penalty",
        "ball": _rounded([_radius(K, u) * u for u in around]),
        "domain": _rounded([K.subgradient(1e6 * u) for u in around]) if bounded else None,
        "selection": _rounded([K.subgradient(np.asarray([x, y])) for y in grid for x in grid]),
        "paths": [_rounded(_path(K, lam)) for lam in LAMS],
    }  # fmt: skip


def _radius(K: Any, u: Any) -> float:
    """How far along u the unit ball {K <= 1} goes, at most FAR."""
    low, high = 0.0, FAR
    if float(K.value(high * u)) <= 1:
        return FAR
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if float(K.value(middle * u)) <= 1 else (low, middle)
    return low


def _path(K: Any, lam: float) -> list[Any]:
    """Lion-K on ``(x - c)' diag(1, 3) (x - c) / 2``."""
    opt = lionk.LionK(K, lr=lambda t: 0.05 / math.sqrt(1 + t / 20), betas=(0.9, 0.95), weight_decay=lam)
    x, out = START, [START]
    state = opt.init(x)
    for _ in range(STEPS):
        x, state = opt.step(x, np.asarray([1.0, 3.0]) * (x - CENTRE), state)
        out.append(x)
    return out


def _rounded(points: list[Any]) -> list[list[float]]:
    return [[round(float(v), 3) + 0.0 for v in p] for p in points]


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        text = "window.LIONK_EXPLORE = " + json.dumps(data(), separators=(",", ":")) + ";\n"
        (Path(app.outdir) / "_static" / "explore-data.js").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _write, priority=100)  # before the pages are looked at
