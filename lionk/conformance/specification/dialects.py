"""Dialects: named variants of the specification. A port that declares one is judged in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .port import Capabilities


@dataclass(frozen=True)
class Dialect:
    """What it is, the claims that make it, and the known mistakes that are it where another dialect is declared."""

    says: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()


def _decay(name: str) -> dict[str, Any]:
    return {"K": "l1", "decays": {name: {}}}


#: By name; a port's own is the first whose claims it has.
DIALECTS: dict[str, Dialect] = {
    "lion-coupled": Dialect("wd x is added to the gradient (L2)", _decay("coupled"), ("coupled_decay",)),
    "lion-ratio": Dialect("decay by wd lr/lr(0)", _decay("lr_ratio")),
    "lion-corrected": Dialect("decay by wd lr^2/lr(0)", _decay("lr2_max")),
    "lion-fixed": Dialect("decay by wd, without the rate", _decay("fixed"), ("decay_without_lr",)),
    "signum": Dialect(
        "one beta for readout and state", {"K": "l1", "betas": "equal"}, ("state_as_readout", "one_beta")
    ),
    "muon": Dialect(
        "the polar factor by the quintic of Newton-Schulz, singular values in [0.68, 1.20], Nesterov's spelling",
        {"K": "muon", "betas": "nesterov", "accuracy": 0.35},
        ("newton_schulz",),
    ),
    "lion": Dialect("Lion: the sign, with b1 and b2 apart, and decay by lr wd", _decay("lr_wd") | {"betas": "free"}),
    "lion-k": Dialect("Lion-K: the stated subgradient of another convex function K"),
}
#: Algorithms that have no table here, by the known mistakes that they are.
OTHERS = {
    "cautious": ("cautious", "cautious_rescaled", "cautious_normalised"),
    "cautious decay": ("cautious_decay",),
    "Adam": ("adam",),
}


def in_dialect(claims: Capabilities, name: str) -> Capabilities:
    """The claims of a port that declares this dialect. Raises ValueError for a name that is not in ``DIALECTS``."""
    if name not in DIALECTS:
        raise ValueError(f"there is no dialect {name!r}; there are {', '.join(DIALECTS)}")
    return replace(claims, **{k: v for k, v in DIALECTS[name].claims.items() if k != "K" or claims.K == "l1"})


def spoken(claims: Capabilities, mistakes: list[str]) -> dict[str, str]:
    """The dialect that a port was judged in, and which one its known mistakes look like."""

    def has(wanted: Mapping[str, Any]) -> bool:
        return all(
            set(claims.decays) == set(v) if k == "decays" else getattr(claims, k) == v for k, v in wanted.items()
        )

    name = next(n for n, d in DIALECTS.items() if has(d.claims))
    for other, dialect in DIALECTS.items():
        if other != name and set(dialect.mistakes) & set(mistakes):
            return {"name": name, "says": f"it looks like {other} ({dialect.says}): --dialect {other} judges it so"}
    for other, names in OTHERS.items():
        if set(names) & set(mistakes):
            return {"name": name, "says": f"it looks like {other}, another algorithm, which has no table here"}
    return {"name": name, "says": DIALECTS[name].says}
