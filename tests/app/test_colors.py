"""The colours of lines in the figures can be told apart by readers with any of the three colour deficiencies."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lionk.app import style

LINES = ("INK", "BLUE", "RED", "GREEN", "SKY", "ORANGE", "BROWN", "GREY")
SEEN = {  # linear RGB as seen, at full severity: Machado, Oliveira, Fernandes 2009
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(color, seen):
    """CIE L*a*b* under D65."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(
        XYZ @ np.clip(seen @ linear, 0, 1) / [0.9505, 1.0, 1.089]
    )  # none is dark enough for the other branch
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("who", SEEN)
def test_any_two_lines_differ(who):
    seen = np.array(SEEN[who])
    for a, b in combinations(LINES, 2):
        distance = np.linalg.norm(lab(getattr(style, a), seen) - lab(getattr(style, b), seen))
        assert distance > 15, f"{a} and {b} are {distance:.0f} apart"


def test_shades_have_an_order_in_grey():
    light = [lab(c[:3], np.eye(3))[0] for c in style.shades(8)]
    assert (np.diff(light) < -5).all()
