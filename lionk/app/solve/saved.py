"""A fitted model as a file of JSON: all that a prediction needs, and what was certified of the fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lionk

from ..console import BadInput
from ..files import write_json
from ..tables.table import Feature
from .model import INTERCEPT, Scaling, predictions, with_ones

if TYPE_CHECKING:
    from .report import Outcome
    from .source import Task

Array = Any
FORMAT = "lionk model 1"


@dataclass(frozen=True)
class Model:
    """A model that was saved. ``weights`` belong to the scaled features; the column of ones comes last."""

    target: str
    loss: str
    classes: tuple[str, ...]
    plan: tuple[Feature, ...]
    names: bool  # had the file names of columns?
    scaling: Scaling
    goal: Scaling
    intercept: bool
    weights: Array
    missing: str
    empty: tuple[str, ...] = ()  # words that stand for nothing

    def predict(self, features: Array) -> Array:
        """Numbers in the target's units, or a row of probabilities for each row; NaN where a feature is empty."""
        z = with_ones(self.scaling.apply(features), self.intercept) @ self.weights.T
        made = predictions(self.loss, z, self.goal)
        if self.missing != "mean":
            made[np.isnan(features).any(axis=1)] = np.nan
        return made


def save(o: Outcome, task: Task, missing: str, path: Path) -> None:
    """Write the model. All numbers are as they were computed."""
    s, r, p = o.setup, o.result, o.setup.problem
    coefficients, intercepts = p.in_units(o.x)
    write_json(
        path,
        {
            "format": FORMAT,
            "versions": {"lionk": lionk.__version__},
            "data": p.name,
            "target": p.target_name,
            "loss": p.loss,
            "classes": p.classes,
            "file_has_names": task.names,
            "missing": missing,
            "empty": task.empty,
            "columns": [asdict(f) for f in p.plan],
            "features": p.columns[:-1] if p.intercept else p.columns,
            "intercept": p.intercept,
            "standardized": p.scaling.standardise,
            "means": p.scaling.means,
            "deviations": p.scaling.deviations,
            "target_mean": p.goal.means,
            "target_deviation": p.goal.deviations,
            "target_standardized": p.goal.standardise,
            "K": s.K.spec,
            "weight_decay": s.weight_decay,
            "weights": o.x,
            "in_the_units_of_the_data": {"coefficients": coefficients, INTERCEPT: intercepts},
            "certificate": {
                "success": r.success, "objective": r.objective, "gap": r.gap, "gap_rounding": r.gap_rounding,
                "distance": r.distance, "verdict": r.certificate.verdict,
                "statements": [statement._asdict() for statement in r.certificate.statements],
            },
        },
    )  # fmt: skip


def _array(d: dict[str, Any], name: str) -> Array:
    return np.asarray(d[name], dtype=float)


def _feature(d: dict[str, Any]) -> Feature:
    """Files of version 0.2 lack the form, and those of before units have none."""
    return Feature(**{**d, "levels": tuple(d["levels"]), "flag": d["flag"] and tuple(d["flag"])})


def load(path: Path) -> Model:
    """The model of a file. Raises BadInput."""
    if not path.is_file():
        raise BadInput(
            f"{path}: there is no such file; 'lionk solve --data FILE --target COLUMN --save {path}' writes one"
        )
    try:
        d = json.loads(path.read_text(encoding="utf-8"))
        if d["format"] != FORMAT:
            raise BadInput(f"{path} has the format {d['format']!r}, and this version of lionk reads {FORMAT!r}")
        plan = tuple(map(_feature, d["columns"]))
        return Model(
            d["target"], d["loss"], tuple(d["classes"]), plan, d["file_has_names"],
            Scaling(_array(d, "means"), _array(d, "deviations"), d["standardized"]),
            Scaling(_array(d, "target_mean"), _array(d, "target_deviation"), d["target_standardized"]),
            d["intercept"], _array(d, "weights"), d["missing"], tuple(d.get("empty", ())),
        )  # fmt: skip
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no model that 'lionk solve --save' has written ({type(error).__name__})") from None
