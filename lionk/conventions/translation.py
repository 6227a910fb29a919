"""Settings and momenta of one library in the terms of another, such that both make the same steps.

Each library is written down as what it does in a step: how the buffer averages, where the readout lies, what scales the
update, and by what x shrinks. Then a translation is a change of terms, and what cannot be said in them is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

from ..arrays.containers import scaled
from .libraries import DECAY, LIBRARIES, Library, Step, alike


def _is_number(v: Any, low: float, high: float) -> bool:
    return isinstance(v, Real) and not isinstance(v, bool) and low <= float(v) < high


_MOMENTUM = "a number in [0, 1)", lambda v: _is_number(v, 0, 1)
_RATE = "a finite number > 0 (of a schedule, the largest)", lambda v: _is_number(v, 0, math.inf) and v > 0
SETTINGS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("lr", "learning_rate"), _RATE),
    **dict.fromkeys(("momentum", "mu", "beta", "b2"), _MOMENTUM),
    "b1": ("a number in [0, 1]", lambda v: v == 1 or _is_number(v, 0, 1)),
    "betas": (
        "two numbers, the first in [0, 1] and the second in [0, 1)",
        lambda v: isinstance(v, (tuple, list)) and len(v) == 2 and all(map(_fits, ("b1", "b2"), v)),
    ),
    "weight_decay": ("a finite number >= 0", lambda v: _is_number(v, 0, math.inf)),
    "nesterov": ("True or False", lambda v: v in (True, False)),
    "weight_decay_method": (f"one of {', '.join(DECAY)}", lambda v: v in tuple(DECAY)),
    "extra_scale_factor": ("a finite number > 0", _RATE[1]),
    "consistent_rms": ("None or a finite number > 0", lambda v: v is None or _RATE[1](v)),
}


def _fits(name: str, value: Any) -> bool:
    return name not in SETTINGS or SETTINGS[name][1](value)


class Translation(NamedTuple):
    """Settings of the target, and what they do not say."""

    settings: dict[str, Any]
    notes: tuple[str, ...]


def library(name: str) -> Library:
    """The library of this name. Raises ValueError that lists them."""
    if name not in LIBRARIES:
        raise ValueError(f"the libraries are {', '.join(LIBRARIES)}, got {name!r}")
    return LIBRARIES[name]


def translate(
    settings: dict[str, Any] | None = None, *, source: str, target: str, shape: tuple[int, int] | None = None
) -> Translation:
    """Translate the settings of one library into those of another, such that both make the same steps.

    Parameters
    ----------
    settings : dict, optional
        Of the source; those that are missing are its defaults.
    source, target : str
        "lionk", "torch.optim.Muon", "optax.contrib.muon", "dion.Muon", "emerging_optimizers.Muon", "timm.muon",
        "optax.lion", "lion_pytorch", "timm.lion" or "emerging_optimizers.Lion".
    shape : (out, in), optional
        Of the matrix. Needed where the target has no multiple of the source's scale factor: lr and decay then are
        those of this shape.

    Returns
    -------
    Translation
        ``settings`` and ``notes``.

    Raises
    ------
    ValueError
        A library or setting is unknown, a setting cannot have the value, one is Lion and the other Muon, or the target
        cannot say it.

    >>> import lionk
    >>> found = lionk.conventions.translate({"lr": 0.02}, source="torch.optim.Muon", target="lionk")
    >>> found.settings["betas"], found.settings["K"]
    ((0.9025, 0.95), {'name': 'muon', 'scaling': 'original'})
    """
    one, two = library(source), library(target)
    given = {**one.defaults, **(settings or {})}
    if unknown := [k for k in given if k not in one.defaults]:
        raise ValueError(f"{source} has no setting {unknown[0]!r} here; it takes {', '.join(one.defaults)}")
    for name, value in given.items():
        if not _fits(name, value):
            raise ValueError(f"{name} must be {SETTINGS[name][0]}, got {value!r}")
    try:
        step = one.read(given)
    except KeyError as error:
        raise ValueError(f"{source} has no option {error.args[0]!r} of its scaling") from None
    if two.kind not in ("both", step.kind):
        raise ValueError(f"{source} makes steps of {step.kind.title()}, {target} of {two.kind.title()}")
    notes = [*one.notes, *two.notes]
    if step.kind == "muon":
        step, note = _rescaled(step, source, target, shape)
        notes += note
    method = given.get("weight_decay_method", "decoupled")
    kept = {"weight_decay_method": method} if "weight_decay_method" in two.defaults and method != "decoupled" else {}
    if method != "decoupled" and not kept:
        notes.append(
            f"weight decay is that of this lr: where a schedule changes lr, {method!r} makes x shrink by "
            f"{'the same number' if method == 'independent' else 'its square'}, and {target} in proportion to lr"
        )
    return Translation(two.write(step, kept), tuple(notes))


def _rescaled(step: Step, source: str, target: str, shape: tuple[int, int] | None) -> tuple[Step, list[str]]:
    """The same step by a factor that the target has: it may be a number, or that of one shape, which lr then takes."""
    two = LIBRARIES[target]
    if step.scale in two.scales or any(alike(step.scale, f) for f in two.free):
        return step, []
    if near := [f for f in two.scales if alike(step.scale, f)]:
        ratio = step.scale.times / near[0].times
        note = f"lr takes a factor of {ratio:g}, and weight decay gives it back: the scale factors differ by that"
        return step._replace(lr=step.lr * ratio, scale=near[0]), [note]
    if shape is None:
        raise ValueError(
            f"{target} lacks the scale factor of {source}, {step.scale}: give the shape of the matrix, "
            "shape=(out, in), and lr and weight decay will be those for this shape"
        )
    ratio = step.scale.of(shape) / two.scales[0].of(shape)
    note = f"lr and weight decay are those of matrices {shape[0]} x {shape[1]}, by a factor of {ratio:g}"
    return step._replace(lr=step.lr * ratio, scale=two.scales[0]), [note]


def translate_momentum(m: Any, *, source: str, target: str, momentum: float = 0.0) -> Any:
    """Translate the momentum of one library into that of another: averages of minus or plus the gradients, or sums.

    ``momentum``: the mu of a sum ``B' = mu B + g``, which is ``1/(1 - mu)`` times the average. Arrays or containers.

    >>> import numpy as np, lionk
    >>> f = lionk.conventions.translate_momentum
    >>> f(np.asarray([0.5]), source="lionk", target="dion.Muon", momentum=0.9).round(9)
    array([-5.])
    """
    kinds = [library(n).buffer for n in (source, target)]
    if "sum" in kinds and not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
    size = {"minus": -1.0, "average": 1.0, "sum": 1 / (1 - momentum)}
    factor = size[kinds[1]] / size[kinds[0]]
    return scaled(m, factor)
