"""``check_K`` on compositions of rules that no table lists: lifts of positive parts, centred groups, sums of sets.

Each row on NumPy; with ``LIONK_FULL=1`` also on array-api-strict, PyTorch and JAX, and the slow rows, whose conjugates
are iterations within iterations.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lionk
from backends_under_test import BACKENDS
from lionk import functions as f
from lionk.functions import K

FULL = os.environ.get("LIONK_FULL") == "1"
LIBRARIES = ["numpy", "strict", "torch", "jax"] if FULL else ["numpy"]


def met(a: str, b: str, share: float = 1.0) -> Any:
    """The support function of what two sets share."""
    return f.infimal_convolution(K(a), share * K(b))


QUICK: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "blocks of a positive part": (lambda: f.block_lift(f.positive_part("linf"), -1, 2), (3, 4)),
    "uneven blocks of a positive part": (lambda: f.block_lift(f.positive_part("l2"), 0, [1, 3]), (4,)),
    "blocks of blocks": (lambda: f.block_lift(f.block_lift("nuclear", -1, 2), -2, 2), (4, 4)),
    "blocks of a matrix of three axes": (lambda: f.block_lift(f.matrix_lift("nuclear", 0, (1, 2)), 0, 2), (4, 2, 2)),
    "a matrix over a stack": (lambda: f.matrix_lift("nuclear", (1,), (0, 3)), (2, 3, 2, 2)),
    "a matrix of blocks": (lambda: f.matrix_lift(f.block_lift("nuclear", 0, 2), (1,), (2,)), (2, 4, 2)),
    "a symmetric matrix of outer axes": (lambda: f.matrix_lift("lambda_max", (0,), (2,)), (3, 2, 3)),
    "positive part of a group": (lambda: f.positive_part(f.group_lift("linf", "l1", -1)), (2, 3)),
    "positive part of sorted weights": (lambda: f.positive_part("owl"), (5,)),
    "positive part of a radial lift": (lambda: f.positive_part("huber_l2"), (5,)),
    "eigenvalues of a positive part": (lambda: f.eigen_lift(f.positive_part("l2")), (3, 3)),
    "eigenvalues, centred": (lambda: f.eigen_lift("std"), (3, 3)),
    "spread of eigenvalues": (lambda: f.eigen_lift("range"), (3, 3)),
    "eigenvalues, capped by a real k": (lambda: f.eigen_lift(K("cvar", k=1.5)), (3, 3)),
    "singular values of a dual": (lambda: f.spectral_lift("dual_owl"), (3, 2)),
    "singular values of berhu": (lambda: f.spectral_lift("berhu"), (3, 2)),
    "square of a dual norm": (lambda: f.radial_lift("half_square", "dual_owl"), (5,)),
    "square of the k-norm": (lambda: f.radial_lift("half_square", K("spectral_k_norm", k=2)), (3, 2)),
    "a cap and a ball": (lambda: K("cvar", k=2.5) + K("l2"), (6,)),
    "damped caps": (lambda: f.ridge(K("capped_plus"), 0.5), (5,)),
    "a falling sequence, turned and stretched": (lambda: K("monotone").dilate(-2.0), (5,)),
}
SLOW: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "centred groups": (lambda: f.centered(f.group_lift("l1", "l2", groups=[0, 0, 1, 1, 1, 0])), (6,)),
    "three sets met": (lambda: f.infimal_convolution(met("l1", "l2", 0.7), 1.5 * K("linf")), (6,)),
    "a sum over an intersection": (lambda: met("l1", "l2") + K("l1_plus_l2"), (5,)),
    "fused lasso": (lambda: K("total_variation") + K("l1"), (5,)),
    "an intersection as a matrix": (lambda: f.matrix_lift("spectral_row", (1,), (2,)), (2, 3, 2)),
    "a smoothed intersection": (lambda: K("spectral_row").scale(2.0).moreau(0.5), (3, 2)),
    "a shifted dual": (lambda: K("dual_owl").shift(np.arange(5.0)), (5,)),
    "a sequence and a ball": (lambda: met("monotone", "l2", 0.8), (5,)),
}
ROWS = {**QUICK, **SLOW} if FULL else QUICK


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ROWS)
def test_a_composition_has_every_property(name: str, library: str) -> None:
    build, shape = ROWS[name]
    there = BACKENDS[library]
    with there.active(("linalg",)):
        report = lionk.check_K(build(), there.xp, shape=shape)
    assert report.ok, report


RULES: dict[str, Callable[[Any], Any]] = {
    "scale": lambda k: f.scale(k, 2.0), "dilate": lambda k: f.dilate(k, 2.0), "tilt": lambda k: f.tilt(k, 0.1),
    "shift": lambda k: f.shift(k, 0.1), "add": lambda k: f.add(k, "l2"), "maximum": lambda k: f.maximum("l2", k),
    "infimal_convolution": lambda k: f.infimal_convolution(k, "l2"), "ridge": lambda k: f.ridge(k, 0.5),
    "moreau_envelope": lambda k: f.moreau_envelope(k, 0.5), "group_lift": lambda k: f.group_lift(k, "l2"),
    "radial_lift": lambda k: f.radial_lift(k, "l2"), "eigen_lift": f.eigen_lift, "spectral_lift": f.spectral_lift,
    "linear_map": lambda k: f.linear_map(k, np.eye(3)), "centered": f.centered, "smoothed": f.smoothed,
    "positive_part": f.positive_part, "block_lift": lambda k: f.block_lift(k, 0, 2), "kernel_lift": f.kernel_lift,
    "matrix_lift": lambda k: f.matrix_lift(k, 0),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_takes_names_and_specs_and_refuses_what_is_none(rule: str) -> None:
    made = [RULES[rule](k).spec for k in ("l1", {"name": "l1"}, K("l1"))]
    assert str(made[0]) == str(made[1]) == str(made[2])  # a matrix in a spec is compared by its entries
    with pytest.raises(KeyError, match="did you mean"):
        RULES[rule]("l11")
    with pytest.raises(TypeError, match="K must be a name"):
        RULES[rule](3)
    assert set(lionk.functions.rules()) - {*RULES, "affine", "blocks", "conjugate"} == set()
