"""Settings and momenta of one library in the terms of another, such that both make the same steps.

Each library is written down as what it does in a step: how the buffer averages, where the readout lies, what scales the
update, and by what x shrinks. Then a translation is a change of terms, and what cannot be said in them is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple

from ..arrays.containers import scaled
from ..arrays.shape_factor import ShapeFactor

ORIGINAL, MATCHED = ShapeFactor(rows=0.5, cols=-0.5, at_least=1.0), ShapeFactor(0.2, longer=0.5)
SCALINGS = {
    "original": ORIGINAL,  # sqrt(max(1, out/in))
    "match_rms_adamw": MATCHED,  # 0.2 sqrt(max(out, in))
    "none": ShapeFactor(),
    "longer": ShapeFactor(longer=0.5),  # sqrt(max(out, in))
    "ratio": ShapeFactor(rows=0.5, cols=-0.5),  # sqrt(out/in)
}


class Step(NamedTuple):
    """One step in the terms of Lion-K, for K = l1 (Lion) or s nuclear (Muon)."""

    kind: str  # "lion" or "muon"
    lr: float
    betas: tuple[float, float]
    shrink: float  # x is multiplied by 1 - this
    scaling: str = "none"
    times: float = 1.0  # of the scaling


@dataclass(frozen=True)
class Library:
    """How one optimizer writes its settings. ``buffer``: "minus" (lionk), "average" or "sum" of the gradients."""

    kind: str
    defaults: dict[str, Any]
    read: Callable[[dict[str, Any]], Step]
    write: Callable[[Step, dict[str, Any]], dict[str, Any]]
    scalings: tuple[str, ...] = ("none",)
    buffer: str = "average"
    source: str = ""
    notes: tuple[str, ...] = field(default=())


def _lion(s: dict[str, Any], names: tuple[str, str] = ("betas", "")) -> Step:
    betas = s["betas"] if names[0] == "betas" else (s[names[0]], s[names[1]])
    return Step("lion", s["lr"], tuple(betas), s["lr"] * s["weight_decay"])


def _betas(momentum: float, nesterov: bool) -> tuple[float, float]:
    return (momentum**2 if nesterov else momentum, momentum)


def _momentum(step: Step) -> tuple[float, bool]:
    """The momentum and whether it is Nesterov's. ValueError for betas that are neither."""
    b1, b2 = step.betas
    if math.isclose(b1, b2, rel_tol=1e-9):
        return b2, False
    if math.isclose(b1, b2 * b2, rel_tol=1e-9):
        return b2, True
    raise ValueError(
        f"betas {step.betas} are neither (mu, mu) nor (mu^2, mu), which are the ones that this optimizer can have"
    )


def _write_lion(step: Step, _s: dict[str, Any]) -> dict[str, Any]:
    return {"lr": step.lr, "betas": step.betas, "weight_decay": step.shrink / step.lr}


def _muon(scaling: Callable[[dict[str, Any]], tuple[str, float]], momentum: str, lr: str = "lr") -> Callable[..., Step]:
    def read(s: dict[str, Any]) -> Step:
        name, times = scaling(s)
        shrink = s["weight_decay"] if s.get("weight_decay_method") == "independent" else s[lr] * s["weight_decay"]
        return Step("muon", s[lr], _betas(s[momentum], s["nesterov"]), shrink, name, times)

    return read


def _write_muon(
    momentum: str, option: Callable[[Step], dict[str, Any]], lr: str = "lr"
) -> Callable[..., dict[str, Any]]:
    def write(step: Step, s: dict[str, Any]) -> dict[str, Any]:
        mu, nesterov = _momentum(step)
        independent = s.get("weight_decay_method") == "independent"
        decay = step.shrink if independent else step.shrink / step.lr
        made = {lr: step.lr, momentum: mu, "nesterov": nesterov, "weight_decay": decay, **option(step)}
        return {**made, "weight_decay_method": "independent"} if independent else made

    return write


_EMERGING = {"spectral": "longer", "unit_rms_norm": "ratio", "shape_scaling": "original"}
_DION = {"spectral_norm": "ratio", "rms_norm": "match_rms_adamw", None: "none"}


def _named(table: dict[Any, str], option: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Reader and writer of an option that names the scaling."""
    back = {v: k for k, v in table.items()}
    return lambda s: (table[s[option]], 1.0), lambda step: {option: back[step.scaling]}


_SHARED = {"original": "original", "match_rms_adamw": "match_rms_adamw"}
_TORCH: dict[Any, str] = {None: "original", **_SHARED}
_TIMM = {**_SHARED, "rms_to_rms": "ratio"}
_torch, _timm, _emerging, _dion = (
    _named(_TORCH, "adjust_lr_fn"), _named(_TIMM, "adjust_lr_fn"), _named(_EMERGING, "scale_mode"),
    _named(_DION, "adjust_lr"),
)  # fmt: skip


def _read_lionk(s: dict[str, Any]) -> Step:
    K = s["K"]
    name, scaling = (K, "original") if isinstance(K, str) else (K["name"], K.get("scaling", "original"))
    if name not in ("l1", "lion", "muon", "nuclear"):
        raise ValueError(f"K must be l1, lion, muon or nuclear to be another library's, got {K!r}")
    kind = "lion" if name in ("l1", "lion") else "muon"
    scaling = "none" if name != "muon" else scaling
    if scaling not in SCALINGS:
        raise ValueError(f"the scaling of muon must be one of {', '.join(SCALINGS)}, got {scaling!r}")
    return Step(kind, s["lr"], tuple(s["betas"]), s["lr"] * s["weight_decay"], scaling)


def _write_lionk(step: Step, _s: dict[str, Any]) -> dict[str, Any]:
    K = "l1" if step.kind == "lion" else {"name": "muon", "scaling": step.scaling}
    return {**_write_lion(step, {}), "K": K}


_MUON = {"lr": 1e-3, "weight_decay": 0.1, "nesterov": True}
LIBRARIES: dict[str, Library] = {
    "lionk": Library(
        "both", {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0, "K": "l1"}, _read_lionk, _write_lionk,
        ("original", "match_rms_adamw", "none"), "minus", "lionk.LionK",
    ),
    "optax.lion": Library(
        "lion", {"learning_rate": 1e-4, "b1": 0.9, "b2": 0.99, "weight_decay": 1e-3},
        lambda s: _lion({**s, "lr": s["learning_rate"]}, ("b1", "b2")),
        lambda step, _: {
            "learning_rate": step.lr, "b1": step.betas[0], "b2": step.betas[1], "weight_decay": step.shrink / step.lr
        },
        source="optax 0.2",
    ),
    "lion_pytorch": Library(
        "lion", {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}, _lion, _write_lion,
        source="lion-pytorch 0.2, decoupled_weight_decay=False",
    ),
    "timm.lion": Library(
        "lion", {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}, _lion, _write_lion, source="timm 1.0",
    ),
    "torch.optim.Muon": Library(
        "muon", {**_MUON, "momentum": 0.95, "adjust_lr_fn": "original"},
        _muon(_torch[0], "momentum"), _write_muon("momentum", _torch[1]), ("original", "match_rms_adamw"),
        source="PyTorch 2.9 and later",
    ),
    "optax.contrib.muon": Library(
        "muon", {"learning_rate": 1e-3, "beta": 0.95, "weight_decay": 0.0, "nesterov": True},
        _muon(lambda _: ("original", 1.0), "beta", "learning_rate"),
        _write_muon("beta", lambda _: {}, "learning_rate"), ("original",), source="optax 0.2",
        notes=("optax corrects the bias of the average, which for Nesterov's readout changes the first steps",
               "weights are (in, out) in optax: rows and columns are exchanged"),
    ),
    "timm.muon": Library(
        "muon",
        {"lr": 0.02, "weight_decay": 0.0, "momentum": 0.95, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"},
        _muon(_timm[0], "momentum"), _write_muon("momentum", _timm[1]), ("original", "match_rms_adamw", "ratio"),
        source="timm 1.0.31",
    ),
    "dion.Muon": Library(
        "muon", {"lr": 0.01, "mu": 0.95, "weight_decay": 0.01, "nesterov": False, "adjust_lr": "spectral_norm"},
        _muon(_dion[0], "mu"), _write_muon("mu", _dion[1]), ("ratio", "match_rms_adamw", "none"), "sum",
        "microsoft/dion, by its published formulas",
    ),
    "emerging_optimizers.Muon": Library(
        "muon",
        {"lr": 3e-4, "momentum": 0.95, "weight_decay": 0.01, "nesterov": False, "scale_mode": "spectral",
         "weight_decay_method": "decoupled"},
        _muon(_emerging[0], "momentum"), _write_muon("momentum", _emerging[1]),
        ("longer", "ratio", "original"), source="NVIDIA Emerging-Optimizers, by its published formulas",
    ),
}  # fmt: skip
"""Lion has no factor of the shape; of Muon, the polar factor may come from another Newton-Schulz set in each."""


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
    "weight_decay_method": ("decoupled or independent", lambda v: v in ("decoupled", "independent")),
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
        "optax.lion", "lion_pytorch" or "timm.lion".
    shape : (out, in), optional
        Of the matrix. Needed where the target has not the source's scale factor: lr and decay then are those of this
        shape.

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
    if step.kind == "muon" and step.scaling not in two.scalings:
        if shape is None:
            raise ValueError(
                f"{target} lacks the scale factor {step.scaling!r} of {source}: give the shape of the matrix, "
                "shape=(out, in), and lr and weight decay will be those for this shape"
            )
        name = two.scalings[0]
        ratio = SCALINGS[step.scaling].of(shape) / SCALINGS[name].of(shape)
        step = step._replace(lr=step.lr * ratio, scaling=name)
        notes.append(f"lr and weight decay are those of matrices {shape[0]} x {shape[1]}, by a factor of {ratio:g}")
    same = {k: v for k, v in given.items() if k == "weight_decay_method" and k in two.defaults}
    return Translation(two.write(step, same), tuple(notes))


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
