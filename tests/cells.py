"""Rows for ``check_K`` beside those of ``table``: rules, names and rules at other shapes, drawn compositions.

``CELLS`` says which of them all is checked on which library, in which dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import grammar
import lionk
from lionk import functions as f
from lionk.functions import K, entry
from statements import SHAPES
from table import ALGORITHMS, DEFAULTS, Case

#: Of one entry, one row, one column, wide, tall, and stacks of each.
OF_MATRICES = [(1, 1), (1, 4), (4, 1), (2, 6), (6, 2), (2, 3, 4, 5), (1, 4, 1)]
OF_SQUARES = [(1, 1), (2, 3, 3), (1, 2, 2, 2), (3, 1, 1)]
OF_KERNELS = [(1, 1, 1), (2, 3, 2, 2), (4, 1, 3)]
OF_VECTORS = [(1,), (1, 4), (4, 1), (2, 3, 2)]


def _cos(*shape: int) -> Any:
    return np.cos(np.arange(math.prod(shape))).reshape(shape)


def _near(n: int) -> Any:
    """An n x n matrix that has an inverse, and is neither symmetric nor orthogonal."""
    return np.eye(n) + 0.3 * _cos(n, n)


# What each rule makes of a function of matrices, at a shape.
RULES: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "scale": lambda k, s: f.scale(k, 2.5),
    "dilate": lambda k, s: f.dilate(k, -0.4),
    "tilt": lambda k, s: f.tilt(k, 0.3 * _cos(*s)),
    "shift": lambda k, s: f.shift(k, _cos(*s)),
    "affine": lambda k, s: K("affine", K=k, slope=2.0, width=0.5, shift_by=_cos(*s), tilt_by=0.25),
    "add": lambda k, s: f.add(k, 0.5 * K("frobenius")),
    "add of entries": lambda k, s: f.add(k, "huber"),
    "maximum": lambda k, s: f.maximum(k, 1.5 * K("l2")),
    "infimal_convolution": lambda k, s: f.infimal_convolution(k, 1.5 * K("l2")),
    "moreau_envelope": lambda k, s: f.moreau_envelope(k, 0.5),
    "ridge": lambda k, s: f.ridge(k, 0.5),
    "radial_lift": lambda k, s: f.radial_lift("huber", k),
    "linear_map": lambda k, s: f.linear_map(k, _near(s[-2]), _near(s[-1])),
    "block_lift": lambda k, s: f.block_lift(k, -2, s[-2]),
    "block_lift of uneven blocks": lambda k, s: f.block_lift(k, -1, [1, s[-1] - 1] if s[-1] > 1 else 1),
    "matrix_lift": lambda k, s: f.matrix_lift(k, (-1,), (-2,)),
    "kernel_lift": lambda k, s: f.kernel_lift(k),
    "centered": lambda k, s: f.centered(k),
    "smoothed": lambda k, s: f.smoothed(k, 0.3),
    "conjugate": lambda k, s: k.conjugate,
}  # fmt: skip

# Rules whose functions are not of matrices, and sets that are met, added and measured from.
OTHERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "group_lift(dead_zone, lp)": (lambda: f.group_lift("dead_zone", K("lp", p=3)), (3, 4)),
    "radial_lift(berhu, k_norm)": (lambda: f.radial_lift("berhu", K("k_norm", k=2)), (5,)),
    "eigen_lift(range)": (lambda: f.eigen_lift("range"), (3, 3)),
    "eigen_lift(box)": (lambda: f.eigen_lift(K("box", lower=-0.5, upper=2.0)), (2, 2, 2)),
    "spectral_lift(berhu)": (lambda: f.spectral_lift("berhu"), (4, 3)),
    "spectral_lift(dual_owl)": (lambda: f.spectral_lift("dual_owl"), (2, 3, 2)),
    "positive_part(linf)": (lambda: f.positive_part("linf"), (5,)),
    "positive_part(k_norm)": (lambda: f.positive_part(K("k_norm", k=2)), (5,)),
    "positive_part(asinh)": (lambda: f.positive_part("asinh"), (2, 3)),
    "centered(linf)": (lambda: f.centered("linf"), (5,)),
    "centered(log_sum_exp)": (lambda: f.centered("log_sum_exp"), (5,)),
    "centered(half_square, 0)": (lambda: f.centered("half_square", 0), (3, 4)),
    "linear_map(log_cosh, 2 rows)": (lambda: f.linear_map("log_cosh", _near(5)[:2]), (5,)),
    "linear_map(l2, 3 rows)": (lambda: f.linear_map("l2", _near(6)[:3]), (2, 3)),
    "linear_map(half_square, 1 row)": (lambda: f.linear_map("half_square", _near(4)[:1]), (4,)),
    "linear_map(max, square)": (lambda: f.linear_map("max", _near(5)), (5,)),
    "smoothed(huber, gaussian)": (lambda: f.smoothed("huber", 0.5, "gaussian"), (6,)),
    "matrix_lift(spectral, (0, 2), 1)": (lambda: f.matrix_lift("spectral", (0, 2), 1), (2, 3, 2)),
    "matrix_lift(lambda_max, (0,), (2,))": (lambda: f.matrix_lift("lambda_max", (0,), (2,)), (3, 2, 3)),
    "maximum(max, l2)": (lambda: f.maximum("max", 0.8 * K("l2")), (5,)),
    "maximum(l2_plus, linf)": (lambda: f.maximum("l2_plus", "linf"), (4,)),
    "maximum(range, l1)": (lambda: f.maximum("range", 0.4 * K("l1")), (4,)),
    "ball [] box": (lambda: f.infimal_convolution("l2", K("box", lower=-0.5, upper=0.25)), (4,)),
    "simplex [] ball": (lambda: f.infimal_convolution("max", 0.8 * K("l2")), (4,)),
    "relu [] linf": (lambda: f.infimal_convolution("relu", "linf"), (4,)),
    "huber [] log_cosh": (lambda: f.infimal_convolution("huber", "log_cosh"), (6,)),
    "softplus [] power": (lambda: f.infimal_convolution("softplus", K("power", p=3)), (6,)),
    "distance to a box": (lambda: f.infimal_convolution(K("l1").conjugate, "l2"), (5,)),
    "distance to a simplex": (lambda: f.infimal_convolution(K("max").conjugate, "huber_l2"), (4,)),
    "box* [] power": (lambda: f.infimal_convolution(K("box", upper=2.0).conjugate, K("power", p=3)), (6,)),
    "exp* [] huber": (lambda: f.infimal_convolution(K("exp").conjugate, "huber"), (6,)),
    "l1* + l2": (lambda: K("l1").conjugate + K("l2"), (4,)),
    "softplus* + half_square": (lambda: K("softplus").conjugate + K("half_square"), (6,)),
    "exp* + l1": (lambda: K("exp").conjugate + K("l1"), (6,)),
    "arctan* + linf": (lambda: K("arctan").conjugate + K("linf"), (4,)),
    "huber* + box*": (lambda: K("huber").conjugate + K("box", lower=-0.5, upper=2.0).conjugate, (6,)),
    "muon(heads=2)": (lambda: K("muon", heads=2), (4, 3)),
    "muon(heads=2, sections=3)": (lambda: K("muon", heads=2, sections=3), (12, 2)),
    "muon(sections=[1, 3], axis=-1)": (lambda: K("muon", sections=[1, 3], axis=-1), (3, 4)),
    "mu_con(heads=2)": (lambda: K("mu_con", heads=2), (2, 4, 3)),
}  # fmt: skip


def _named(name: str) -> list[Case]:
    """At other shapes than in ``table.DEFAULTS``, but those of which a name has no set: one entry in groups, say."""
    known = {"matrix": OF_MATRICES, "square": OF_SQUARES, "symmetric": OF_SQUARES, "kernel": OF_KERNELS}
    shapes = known.get(entry(name).kind, OF_VECTORS)
    refused = [(1,)] if "group" in name or name == "box_simplex" else []
    return [Case(f"{name} {shape}", lambda: K(name), shape) for shape in shapes if shape not in refused]


def _drawn(count: int) -> list[Case]:
    """Compositions of closed forms; those of iterations take minutes each, and are for ``tests/hunt.py``."""
    rows: dict[str, Case] = {}
    for seed in range(1000):
        one = grammar.by(np.random.default_rng([2121, seed]))
        shape = one(SHAPES)
        try:
            made = grammar.function(one, shape, one([1, 1, 2, 2, 3]))
        except (ValueError, lionk.NotAvailable):
            continue
        if max(k.traits.accuracy for k in (made.K, made.K.conjugate)) == 0:
            rows[made.text] = Case(f"[{seed}] {made.text} {shape}", lambda made=made: made.K, shape)
        if len(rows) == count:
            break
    return list(rows.values())


BY_RULE = [
    *(Case(name, build, shape) for name, (build, shape) in OTHERS.items()),
    *(Case(f"{r} of nuclear", lambda make=make: make(K("nuclear"), (4, 3)), (4, 3)) for r, make in RULES.items()),
]
BY_SHAPE = [
    *(case for name in [*lionk.names(), *lionk.algorithms()] for case in _named(name)),
    *(
        Case(f"{r} of {name} {shape}", lambda make=make, name=name, shape=shape: make(K(name), shape), shape)
        for r, make in RULES.items()
        for name in ("nuclear", "row_l1_l2")
        for shape in OF_MATRICES
    ),
]
DRAWN = _drawn(150)

CELLS = [
    (case, library, dtype)
    for cases, libraries, dtypes in (
        (DEFAULTS, ("array_api_strict", "torch", "jax"), ("float64", "float32")),  # NumPy: test_properties
        ([*ALGORITHMS, *BY_RULE], ("numpy", "array_api_strict", "torch"), ("float64",)),
        (BY_SHAPE, ("numpy", "torch"), ("float64",)),
        (DRAWN, ("numpy",), ("float64", "float32")),
        (DRAWN[:40], ("torch",), ("float64",)),
        (DRAWN[:15], ("jax",), ("float64",)),
    )
    for case in cases
    for library in libraries
    for dtype in dtypes
]
