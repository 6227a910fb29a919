"""The numbers of the page on which one looks at a K in the plane, against closed forms."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data():
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is of the docs extra; .ci/run builds the site")
    path = Path(__file__).parents[2] / "docs" / "_site" / "explore.py"
    spec = importlib.util.spec_from_file_location("lionk_site_explore", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.data()


def test_balls_domains_and_selections(data):
    of = {f["name"]: f for f in data["functions"]}
    grid = np.linspace(-data["half"], data["half"], data["points"])
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)  # x runs first
    points[np.abs(points) < 1e-12] = 0
    np.testing.assert_allclose(of["l1"]["selection"], np.sign(points), atol=1e-3)
    np.testing.assert_allclose(np.abs(of["l1"]["ball"]).sum(axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(np.abs(of["l1"]["domain"]).max(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(of["l2"]["domain"], axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(np.abs(of["linf"]["domain"]).sum(axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(np.sum(of["max"]["domain"], axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(of["half_square"]["selection"], points, atol=1e-3)
    assert of["half_square"]["domain"] is None


def test_paths_end_in_the_set(data):
    for f in data["functions"]:
        if f["name"] in ("l1", "l2", "linf"):
            norm = {"l1": np.inf, "l2": 2, "linf": 1}[f["name"]]
            for lam, path in zip(data["lams"], f["paths"], strict=True):
                assert np.linalg.norm(path[-1], norm) <= 1 / lam + 2e-2
