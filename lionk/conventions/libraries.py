"""How each library writes its settings: what they say of a step, and how a step is said in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..arrays.shape_factor import LONGER, MATCHED, NONE, ORIGINAL, RATIO, ShapeFactor
from ..arrays.value import replace


def alike(a: ShapeFactor, b: ShapeFactor) -> bool:
    """Is the one a number times the other, at every shape?"""
    return replace(a, times=1.0) == replace(b, times=1.0)


class Step(NamedTuple):
    """One step in the terms of Lion-K, for K = l1 (Lion) or a scaled nuclear norm (Muon)."""

    kind: str  # "lion" or "muon"
    lr: float
    betas: tuple[float, float]
    shrink: float  # x is multiplied by 1 - this
    scale: ShapeFactor = NONE


@dataclass(frozen=True)
class Library:
    """How one optimizer writes its settings. ``buffer``: "minus" (lionk), "average" or "sum" of the gradients.

    ``scales``: the factors of the shape that it has; ``free``: those of them that it takes times any number.
    """

    kind: str
    defaults: dict[str, Any]
    read: Callable[[dict[str, Any]], Step]
    write: Callable[[Step, dict[str, Any]], dict[str, Any]]
    scales: tuple[ShapeFactor, ...] = (NONE,)
    free: tuple[ShapeFactor, ...] = ()
    buffer: str = "average"
    source: str = ""
    notes: tuple[str, ...] = field(default=())


#: By what x shrinks in a step, over the weight decay, where the library has such an option.
DECAY: dict[str, Callable[[float], float]] = {
    "decoupled": lambda lr: lr,
    "independent": lambda _: 1.0,
    "palm": lambda lr: lr * lr,
}


def _decay(s: dict[str, Any], lr: float) -> float:
    return DECAY[s.get("weight_decay_method", "decoupled")](lr)


def _lion(s: dict[str, Any], names: tuple[str, str] = ("betas", "")) -> Step:
    betas = s["betas"] if names[0] == "betas" else (s[names[0]], s[names[1]])
    return Step("lion", s["lr"], tuple(betas), _decay(s, s["lr"]) * s["weight_decay"])


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


def _write_lion(step: Step, s: dict[str, Any]) -> dict[str, Any]:
    return {"lr": step.lr, "betas": step.betas, "weight_decay": step.shrink / _decay(s, step.lr), **s}


def _muon(scale: Callable[[dict[str, Any]], ShapeFactor], momentum: str, lr: str = "lr") -> Callable[..., Step]:
    def read(s: dict[str, Any]) -> Step:
        shrink = _decay(s, s[lr]) * s["weight_decay"]
        return Step("muon", s[lr], _betas(s[momentum], s["nesterov"]), shrink, scale(s))

    return read


def _write_muon(
    momentum: str, option: Callable[[ShapeFactor], dict[str, Any]], lr: str = "lr"
) -> Callable[..., dict[str, Any]]:
    def write(step: Step, s: dict[str, Any]) -> dict[str, Any]:
        mu, nesterov = _momentum(step)
        decay = step.shrink / _decay(s, step.lr)
        return {lr: step.lr, momentum: mu, "nesterov": nesterov, "weight_decay": decay, **option(step.scale), **s}

    return write


_EMERGING = {"spectral": LONGER, "unit_rms_norm": RATIO, "shape_scaling": ORIGINAL}
_DION = {"spectral_norm": RATIO, "rms_norm": MATCHED, None: NONE}


def _named(table: dict[Any, ShapeFactor], option: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Reader and writer of an option that names the factor."""
    back = {v: k for k, v in table.items()}
    return lambda s: table[s[option]], lambda scale: {option: back[scale]}


_SHARED = {"original": ORIGINAL, "match_rms_adamw": MATCHED}
_TORCH: dict[Any, ShapeFactor] = {None: ORIGINAL, **_SHARED}
_TIMM = {**_SHARED, "rms_to_rms": RATIO}
_torch, _timm, _dion = _named(_TORCH, "adjust_lr_fn"), _named(_TIMM, "adjust_lr_fn"), _named(_DION, "adjust_lr")


def _write_emerging(scale: ShapeFactor) -> dict[str, Any]:
    """Its modes all have a factor of 1, and another option that multiplies them."""
    mode = next(k for k, v in _EMERGING.items() if alike(v, scale))
    return {"scale_mode": mode} if scale.times == 1 else {"scale_mode": mode, "extra_scale_factor": scale.times}


def _read_optax(s: dict[str, Any]) -> ShapeFactor:
    return ORIGINAL if s["consistent_rms"] is None else LONGER * s["consistent_rms"]


def _write_optax(scale: ShapeFactor) -> dict[str, Any]:
    return {} if scale == ORIGINAL else {"consistent_rms": scale.times}


_LIONK: dict[ShapeFactor, Any] = {
    **{v: {"name": "muon", "scaling": k} for k, v in {**_SHARED, "none": NONE}.items()},
    RATIO: {"name": "scion_spectral"},
}


def _read_lionk(s: dict[str, Any]) -> Step:
    K = {"name": s["K"]} if isinstance(s["K"], str) else s["K"]
    name = K["name"]
    if name in ("l1", "lion"):
        kind, scale = "lion", NONE
    elif name == "nuclear" or K == _LIONK[RATIO]:
        kind, scale = "muon", NONE if name == "nuclear" else RATIO
    elif name == "muon":
        scalings = {k["scaling"]: v for v, k in _LIONK.items() if "scaling" in k}
        if (scaling := K.get("scaling", "original")) not in scalings:
            raise ValueError(f"the scaling of muon must be one of {', '.join(scalings)}, got {scaling!r}")
        kind, scale = "muon", scalings[scaling]
    else:
        raise ValueError(f"K must be l1, lion, muon, nuclear or scion_spectral to be another library's, got {s['K']!r}")
    return Step(kind, s["lr"], tuple(s["betas"]), s["lr"] * s["weight_decay"], scale)


def _write_lionk(step: Step, _s: dict[str, Any]) -> dict[str, Any]:
    return {**_write_lion(step, {}), "K": "l1" if step.kind == "lion" else _LIONK[step.scale]}


_MUON = {"lr": 1e-3, "weight_decay": 0.1, "nesterov": True}
LIBRARIES: dict[str, Library] = {
    "lionk": Library(
        "both", {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0, "K": "l1"}, _read_lionk, _write_lionk,
        tuple(_LIONK), buffer="minus", source="lionk.LionK",
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
        _muon(_torch[0], "momentum"), _write_muon("momentum", _torch[1]), (ORIGINAL, MATCHED),
        source="PyTorch 2.9 and later",
    ),
    "optax.contrib.muon": Library(
        "muon",
        {"learning_rate": 1e-3, "beta": 0.95, "weight_decay": 0.0, "nesterov": True, "consistent_rms": None},
        _muon(_read_optax, "beta", "learning_rate"), _write_muon("beta", _write_optax, "learning_rate"),
        (ORIGINAL, LONGER), (LONGER,), source="optax 0.2",
        notes=("optax corrects the bias of the average, which for Nesterov's readout changes the first steps",
               "weights are (in, out) in optax: rows and columns are exchanged"),
    ),
    "timm.muon": Library(
        "muon",
        {"lr": 0.02, "weight_decay": 0.0, "momentum": 0.95, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"},
        _muon(_timm[0], "momentum"), _write_muon("momentum", _timm[1]), (ORIGINAL, MATCHED, RATIO),
        source="timm 1.0.31",
    ),
    "dion.Muon": Library(
        "muon", {"lr": 0.01, "mu": 0.95, "weight_decay": 0.01, "nesterov": False, "adjust_lr": "spectral_norm"},
        _muon(_dion[0], "mu"), _write_muon("mu", _dion[1]), (RATIO, MATCHED, NONE), buffer="sum",
        source="microsoft/dion, by its published formulas",
    ),
    "emerging_optimizers.Muon": Library(
        "muon",
        {"lr": 3e-4, "momentum": 0.95, "weight_decay": 0.01, "nesterov": False, "scale_mode": "spectral",
         "extra_scale_factor": 1.0, "weight_decay_method": "decoupled"},
        _muon(lambda s: _EMERGING[s["scale_mode"]] * s["extra_scale_factor"], "momentum"),
        _write_muon("momentum", _write_emerging), (LONGER, RATIO, ORIGINAL), (LONGER, RATIO, ORIGINAL),
        source="NVIDIA Emerging-Optimizers 0.3",
    ),
    "emerging_optimizers.Lion": Library(
        "lion", {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.01, "weight_decay_method": "decoupled"},
        _lion, _write_lion, source="NVIDIA Emerging-Optimizers 0.3",
    ),
}  # fmt: skip
"""Lion has no factor of the shape; of Muon, the polar factor may come from another Newton-Schulz set in each."""
