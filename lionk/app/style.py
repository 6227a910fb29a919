"""The look of all pictures: colours, and what Matplotlib is set to."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps

# Colours of lines. Any two differ for readers who confuse red and green, or blue and yellow (tests/app/test_colors.py).
INK, BLUE, RED, GREEN = "#1f2933", "#1f6fb2", "#b8243f", "#2fa876"
SKY, ORANGE, BROWN, GREY = "#7fb6e6", "#e9a23b", "#8c510a", "#8a94a0"
PALE = "#e4e9ee"  # of areas
STYLE: Any = {  # of matplotlib
    "font.size": 10,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e7eb",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",
}
AT_LEFT: Any = {"x": 0.012, "ha": "left"}  # where the title of a figure is


def running_mean(values: Any, steps: int) -> Any:
    """The means of so many values in a row, of every such row."""
    return np.convolve(values, np.ones(steps) / steps, mode="valid")


def shades(count: int) -> list[Any]:
    """Colours for an ordered quantity, from light to dark, the same in grey."""
    return list(colormaps["viridis_r"](np.linspace(0.12, 1.0, count)))


def verbatim(text: str) -> str:
    """A user's text, which is no formula of Matplotlib."""
    return text.replace("$", r"\$")
