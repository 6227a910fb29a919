"""A linear model of a table: features scaled, targets coded, the loss of both, and predictions in the data's units."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...solver.losses import LABELS, NUMBERS, Fun, loss_of
from ..console import BadInput
from ..tables.table import Feature, Line, Table

Array = Any
CLASSES = 20  # whole numbers with at most so many values are taken for classes
INTERCEPT = "intercept"


@dataclass(frozen=True)
class Scaling:
    """Empty cells (NaN) become the mean of their column; then ``(a - means) / deviations`` if ``standardise``."""

    means: Array
    deviations: Array  # 0 where a column is constant, to rounding
    standardise: bool = True

    @classmethod
    def of(cls, columns: Array, standardise: bool = True) -> Scaling:
        """The means and standard deviations of what the columns hold."""
        full = ~np.isnan(columns)
        _, exponent = np.frexp(np.where(full, np.abs(columns), 0.0).max(axis=0))
        scaled = np.ldexp(columns, -exponent)  # exact, and nothing overflows below
        count = np.maximum(full.sum(axis=0), 1)
        mean = np.where(full, scaled, 0.0).sum(axis=0) / count
        rest = np.where(full, scaled - mean, 0.0)
        constant = np.ptp(rest, axis=0) <= 4 * np.finfo(float).eps
        deviation = np.where(constant, 0.0, np.sqrt((rest * rest).sum(axis=0) / count))
        return cls(np.ldexp(mean, exponent), np.ldexp(deviation, exponent), standardise)

    def apply(self, columns: Array) -> Array:
        columns = np.where(np.isnan(columns), self.means, columns)
        if not self.standardise:
            return columns
        _, exponent = np.frexp(np.maximum(np.abs(self.means), self.deviations))
        distance = np.ldexp(columns, -exponent) - np.ldexp(self.means, -exponent)
        constant = self.deviations == 0
        return np.where(constant, 0.0, distance / np.where(constant, 1.0, np.ldexp(self.deviations, -exponent)))


@dataclass(frozen=True)
class Problem:
    """A linear model to fit: ``fun`` of ``losses`` on this design matrix and these targets, in float64 on the host."""

    name: str
    loss: str
    design: Array  # n x p, with the column of ones last where there is an intercept
    targets: Array  # n: +-1 or numbers; n x classes for softmax
    shape: tuple[int, ...]  # of the parameter: (p,) or (classes, p)
    columns: tuple[str, ...]  # p
    classes: tuple[str, ...]  # of a classification
    notes: tuple[str, ...]  # what was done to the data
    scaling: Scaling
    goal: Scaling  # of the target, for the squared loss
    target_name: str
    intercept: bool = True
    plan: tuple[Feature, ...] = field(default=())
    account: tuple[Line, ...] = field(default=())

    def fun(self, backend: Any, dtype: str, device: Any) -> Fun:
        """The loss on the arrays of a backend."""
        put = functools.partial(backend.asarray, dtype=dtype, device=device)
        data = backend.synchronize((put(self.design), put(self.targets)))  # once, where it will be used
        return loss_of(self.loss)(backend.namespace(), *data)

    def score(self, w: Array, table: Table | None = None) -> tuple[str, float]:
        """How well w, on the host in float64, fits the data of the fit, or those of a table: accuracy or R^2."""
        design, targets = (self.design, self.targets) if table is None else self.of(table)
        if self.loss == "softmax":
            return "accuracy", float(np.mean((design @ w.T).argmax(1) == targets.argmax(1)))
        if self.loss in LABELS:
            return "accuracy", float(np.mean((design @ w > 0) == (targets > 0)))
        return "R^2", r_squared(targets, np.exp(design @ w) if self.loss == "poisson" else design @ w)

    def loss_of(self, w: Array, table: Table) -> float:
        """The loss of w on the rows of a table."""
        return float(loss_of(self.loss)(np, *self.of(table))(w)[0])

    def of(self, table: Table) -> tuple[Array, Array]:
        """Design and targets of a table, scaled and coded as this problem's own are."""
        design = with_ones(self.scaling.apply(table.features), self.intercept)
        return design, _coded(table.target, self.loss, self.classes, self.goal)

    def in_units(self, w: Array) -> tuple[Array, Array]:
        """The coefficients of the features as the table has them, (p,) or (classes, p), and the intercepts.

        For the squared loss ``prediction = intercept + <coefficients, features>`` in the target's units; for the
        others that is the score whose sigmoid or softmax is the probability.
        """
        inner, bias = (w[..., :-1], w[..., -1]) if self.intercept else (w, np.zeros(w.shape[:-1]))
        if self.scaling.standardise:
            constant = self.scaling.deviations == 0
            inner = np.where(constant, 0.0, inner / np.where(constant, 1.0, self.scaling.deviations))
            bias = bias - inner @ self.scaling.means
        if self.goal.standardise and not self.classes:
            with np.errstate(over="ignore"):  # of a factor that no number of double precision can be
                inner, bias = inner * self.goal.deviations, bias * self.goal.deviations + self.goal.means
        return inner, bias

    def entries_in_units(self, w: Array) -> Array:
        """The same in the shape of w: each intercept comes after the coefficients."""
        inner, bias = self.in_units(w)
        return np.concatenate([inner, np.asarray(bias)[..., None]], axis=-1) if self.intercept else inner


def predictions(loss: str, z: Array, goal: Scaling) -> Array:
    """What a model says of scores ``z = A w``: numbers in the target's units, or a row of probabilities of classes.

    For the hinge loss, which has no probabilities, the class that is predicted has 1.
    """
    from scipy.special import softmax

    kind = loss.partition(":")[0]
    if kind == "poisson":
        return np.exp(z)
    if kind in NUMBERS:
        return goal.means + goal.deviations * z if goal.standardise else z
    if kind == "hinge":
        return np.stack([z <= 0, z > 0], axis=1).astype(float)
    if kind == "logistic":
        z = np.stack([np.zeros_like(z), z], axis=1)
    return softmax(z, axis=1)


def r_squared(true: Array, said: Array) -> float:
    """The share of the variance of the true numbers that is explained by what is said of them."""
    rest, spread = said - true, true - true.mean()
    return 1 - float(rest @ rest) / (float(spread @ spread) or 1.0)


def with_ones(features: Array, intercept: bool) -> Array:
    """The features, and the column of ones of the intercept after them."""
    return np.concatenate([features, np.ones((features.shape[0], 1))], axis=1) if intercept else features


def guess_loss(table: Table) -> str:
    """Two values: logistic; texts, or few whole numbers, each twice or more on average: softmax; else squared."""
    values = np.unique(table.target)
    numbers = table.target.dtype.kind in "fiu"
    if numbers and len(values) < 2:
        return "squared"  # which will say that there is nothing to fit
    if len(values) == 2 and (len(table.target) > 2 or not numbers):
        return "logistic"
    if not numbers:
        return "softmax"
    few = len(values) <= min(CLASSES, len(table.target) / 2)
    return "softmax" if few and np.all(values == np.round(values)) else "squared"


def build(
    table: Table,
    loss: str,
    *,
    name: str,
    scaling: str = "standardise",
    intercept: bool = True,
    classes: tuple[str, ...] | None = None,
) -> Problem:
    """Scale the features, append the ones, code the targets. Raises BadInput if the loss does not fit them.

    ``classes``: those of the whole, where the table is a part of it, which may lack one.
    """
    standardise, notes = scaling == "standardise", list(table.notes)
    scale = Scaling.of(table.features, standardise)
    if standardise:
        notes.append("features standardised (mean 0, standard deviation 1)")
        if (constant := scale.deviations == 0).any():
            notes.append(f"{constant.sum()} constant column(s) set to 0")
    else:
        notes.append("features as they are")
    columns = table.names
    if intercept:
        columns = (*columns, INTERCEPT)
        notes.append("a column of ones for the intercept, which is under the constraint like the others")
    goal, own, coded = _targets(table, loss, standardise or not table.plan)
    classes = classes or own
    shape = (len(classes), len(columns)) if loss == "softmax" else (len(columns),)
    features = with_ones(scale.apply(table.features), intercept)
    targets = _coded(table.target, loss, classes, goal)
    plan = table.plan or tuple(Feature(n, "number") for n in table.names)
    return Problem(name, loss, features, targets, shape, columns, classes, (*notes, *coded), scale, goal,
                   table.target_name, intercept, plan, table.account)  # fmt: skip


def _coded(target: Array, loss: str, classes: tuple[str, ...], goal: Scaling) -> Array:
    if not classes:
        return goal.apply(np.asarray(target, dtype=float))
    index = {c: i for i, c in enumerate(classes)}
    found = np.asarray([index[c] for c in _words(target)])
    return 2.0 * found - 1.0 if loss in LABELS else np.eye(len(classes))[found]


def _words(target: Array) -> list[str]:
    """Classes as texts; whole numbers without a point."""
    return [str(v).removesuffix(".0") if isinstance(v, float) else str(v) for v in target.tolist()]


def _targets(table: Table, loss: str, standardise: bool) -> tuple[Scaling, tuple[str, ...], list[str]]:
    """How the target is scaled, its classes, and what is told of it."""
    target, what = table.target, f"the target {table.target_name!r}"
    none = Scaling(np.zeros(()), np.ones(()), False)
    kind = loss.partition(":")[0]
    if kind in NUMBERS:
        if target.dtype.kind not in "fiu":
            few = len(np.unique(target)) <= max(CLASSES, len(target) / 2)
            way = "--loss logistic or softmax for classes" if few else "name another column with --target"
            raise BadInput(f"{what} is text; the {kind} loss needs numbers ({way})")
        if kind == "poisson":
            if np.min(target) < 0:
                raise BadInput(f"{what} has a negative number; the Poisson loss needs counts, which are >= 0")
            standardise = False
        goal = Scaling.of(np.asarray(target, dtype=float), standardise)
        if goal.deviations == 0:
            raise BadInput(f"{what} is the same number in every row; there is nothing to fit")
        return goal, (), ["target standardised"] if standardise else []
    values = np.unique(target)
    classes = tuple(_words(values))
    if len(classes) < 2:
        raise BadInput(f"{what} has one class only ({classes[0]!r}); at least two are needed")
    if loss in LABELS:
        if len(classes) > 2:
            raise BadInput(f"{what} has {len(classes)} values; the {loss} loss needs two (--loss softmax takes more)")
        return none, classes, [f"{classes[1]!r} is +1, {classes[0]!r} is -1"]
    if 2 * len(classes) > len(target) and len(classes) > CLASSES:
        numbers = target.dtype.kind in "fiu"
        way = "--loss squared predicts numbers" if numbers else "name another column with --target"
        raise BadInput(f"{what} has {len(classes)} values in {len(target)} rows: these are no classes; {way}")
    return none, classes, [f"{len(classes)} classes"]
