"""A solution seen against its constraint: which numbers the set bounds, by how much, and which bounds are active."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lionk.arrays.shape_factor import at, constant
from lionk.functions.calculus.group import Grouped
from lionk.sets.ball import Ball
from lionk.sets.box import Box, Whole
from lionk.sets.rules import Affine, Spectral
from lionk.sets.top_k import TopK

Array = Any
NEAR = 1e-3  # a bound counts as active within this much of the set's size


@dataclass(frozen=True)
class View:
    """The numbers that ``lam x in dom K*`` bounds, in x's units.

    ``values`` (1-d) are the entries, the singular values or the norms of groups; ``lower`` and ``upper`` (1-d) what
    each alone may be, infinite where nothing bounds it. ``total``: a bound on all together, (what, value, limit).
    """

    what: str
    values: Array
    lower: Array
    upper: Array
    labels: tuple[str, ...]
    total: tuple[str, float, float] | None = None
    otherwise: str = "the set bounds no coefficient alone; see its distance"

    @property
    def active(self) -> Array:
        """Which single bounds are active, bool."""
        limit = 1.0 if self.total is None else self.total[2]
        size = np.where(np.isfinite(self.upper), np.abs(self.upper), limit)
        return (self.upper - self.values <= NEAR * size) | (self.values - self.lower <= NEAR * size)

    @property
    def text(self) -> str:
        """What is active, in words."""
        parts = []
        if np.isfinite(self.upper).any() or np.isfinite(self.lower).any():
            parts.append(f"{int(self.active.sum())} of {self.values.size} {self.what} at a bound (to {NEAR:.1%})")
        if self.total is not None:
            what, value, limit = self.total
            parts.append(f"{what} = {value:.6g} of {limit:.6g}")
            if not np.isfinite(self.lower).any():
                used = int((np.abs(self.values) > NEAR * limit).sum())
                parts.append(f"{used} of {self.values.size} {self.what} not 0")
        return "; ".join(parts) or self.otherwise


def view(domain: Any, x: Array, weight_decay: float, columns: tuple[str, ...], classes: tuple[str, ...]) -> View:
    """See x (on the host, float64) against ``lam x in domain``; labels are column names, classes, or numbers."""
    if weight_decay == 0:
        return replace(_free(x, entries(x, columns, classes)), otherwise="weight decay 0: no constraint")
    return _view(domain, np.asarray(x), 1 / weight_decay, columns, classes)


def _view(domain: Any, x: Array, radius: float, columns: tuple[str, ...], classes: tuple[str, ...]) -> View:
    labels = entries(x, columns, classes)
    if isinstance(domain, Affine) and domain.offset is None and constant(domain.factor) > 0:
        return _view(domain.inner, x, radius * at(domain.factor, x, 0), columns, classes)
    if isinstance(domain, Spectral):
        s = np.linalg.svd(x, compute_uv=False).ravel()
        inner = _view(domain.inner, s, radius, tuple(f"{i + 1}" for i in range(s.size)), ())
        return _of_magnitudes(inner, "singular values")
    if isinstance(domain, Grouped) and domain.axis is not None:
        axis = domain.axis % x.ndim
        norms = np.apply_along_axis(lambda v: float(domain.norm.value(v)), axis, x).ravel()
        rows = x.ndim == 2 and axis == 1
        names = (classes if rows else columns) if x.ndim == 2 else ("all",)
        return _of_magnitudes(_view(domain.inner, norms, radius, names, ()), "row norms" if rows else "group norms")
    if isinstance(domain, Box):
        upper = np.broadcast_to(np.asarray(domain.upper, float) * radius, x.shape).ravel()
        lower = -upper if domain.lower is None else np.broadcast_to(np.asarray(domain.lower) * radius, x.shape).ravel()
        return View("coefficients", x.ravel(), lower, upper, labels)
    if isinstance(domain, TopK):
        # With k = 1 the bound on all implies the one on each.
        each = np.full(x.size, radius if domain.k > 1 else np.inf)
        if domain.absolute:
            total = ("sum of magnitudes", float(np.abs(x).sum()), domain.k * radius)
            return View("coefficients", x.ravel(), -each, each, labels, total)
        total = ("sum", float(x.sum()), domain.k * radius)
        return View("coefficients", x.ravel(), np.zeros(x.size), each, labels, total)
    if isinstance(domain, Whole):
        return replace(_free(x, labels), otherwise="none: K* is finite everywhere, a penalty and no constraint")
    if isinstance(domain, Ball):
        norm = float(np.linalg.norm(x.ravel(), domain.q))
        return replace(_free(x, labels), total=(f"{domain.q:g}-norm", norm, radius))
    return _free(x, labels)


def _free(x: Array, labels: tuple[str, ...]) -> View:
    nothing = np.full(x.size, np.inf)
    return View("coefficients", x.ravel(), -nothing, nothing, labels)


def _of_magnitudes(v: View, what: str) -> View:
    """A view of numbers that are never negative: a symmetric lower bound says nothing."""
    total = v.total and (v.total[0].replace("of magnitudes", f"of {what}"), *v.total[1:])
    return replace(v, what=what, lower=np.full_like(v.lower, -np.inf), total=total)


def entries(x: Array, columns: tuple[str, ...], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The name of each entry of x, in C order."""
    if np.ndim(x) == 1:
        return columns
    return tuple(f"{c}: {n}" for c in classes for n in columns)
