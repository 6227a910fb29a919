"""A run as it stands: everything that a checkpoint must hold, and how it is written and read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..theory.anchored import AnchoredRecord
from ..theory.lower_bound import Average
from ..theory.record import Iterate, Record
from .plateau import PlateauRule
from .result import History
from .state import AnchoredState


@dataclass
class Progress:
    """The run at an iterate, before the step from it.

    x, m : the point where f is evaluated next, and the average of minus the gradients before it.
    best_x, best_m, best_gap : the point of least pointwise gap.
    low_x, low, low_rounding : the point of least F, F there, and what rounding can add to it.
    lower : the best lower bound of min F, its rounding taken off.
    average, best_average : what goes with m, and with best_m. fresh : what joins the average in the step from the last
    iterate that is ``noted``, its offset and its scale; None: average is that of the first one that is not.
    noted : how many iterates the history, low, lower and best account for.
    record : what the certificate needs. rule : the numbers of the step rule, if there is one. kept : its arrays.
    pending : iterates that the record does not account for yet, behind the last one that it does (``settled``: is that
    one there?), in a row. None wait in a checkpoint.
    """

    x: Any
    m: Any
    best_x: Any
    best_m: Any
    low_x: Any
    record: Record | AnchoredRecord
    rule: PlateauRule | AnchoredState | None
    kept: dict[str, Any] = field(default_factory=dict)
    pending: list[Iterate] = field(default_factory=list)
    settled: bool = False
    average: Average = field(default_factory=Average)
    best_average: Average = field(default_factory=Average)
    fresh: tuple[float, float] | None = None
    noted: int = 0
    count: int = 0
    best_gap: float = math.inf
    low: float = math.inf
    low_rounding: float = 0.0
    lower: float = -math.inf
    not_convex: bool = False  # was f seen to lie below a tangent of its own, or below an average of them?

    def copy(self) -> Progress:
        """A snapshot: nothing in it changes with the run, but that later iterates may join those that are pending."""
        new = _copied(self)
        if self.rule is not None:  # else nothing is changed in place
            new.rule, new.record, new.kept = _copied(self.rule), _copied(self.record), dict(self.kept)
        return new


def _copied(a: Any) -> Any:
    """As ``dataclasses.replace`` would, at a fraction of its time."""
    new = object.__new__(type(a))
    new.__dict__ = a.__dict__.copy()
    return new


ARRAYS = ("x", "m", "best_x", "best_m", "low_x", "kept")
NUMBERS = ("count", "best_gap", "low", "low_rounding", "lower", "not_convex")


def save(path: Path, p: Progress, history: History, settings: dict[str, Any]) -> None:
    """Its own history entry is left out: a resumed run makes it again."""
    from ..checkpoint import file as checkpoint  # here, so that `import lionk` stays light

    meta = {
        **{name: getattr(p, name) for name in NUMBERS},
        "f": history.f[p.count],
        "average": p.average._asdict(),
        "best_average": p.best_average._asdict(),
        "record": asdict(p.record),
        "rule": None if p.rule is None else asdict(p.rule),
        "kept": {name: len(a) if name in ("cuts", "points") else 0 for name, a in p.kept.items()},
        "history": {n: v[: p.count] for n, v in history._asdict().items()},
        "settings": settings,
    }
    checkpoint.save(path, {name: getattr(p, name) for name in ARRAYS}, meta)


def check(path: Path, meta: dict[str, Any]) -> None:
    """Raise ValueError if these are not the metadata of a run, as ``save`` writes them."""
    history: Any = meta.get("history")
    count = meta.get("count")
    good = isinstance(count, int) and count >= 0 and _numbers([meta.get("f"), *(meta.get(n) for n in NUMBERS)])
    good = good and isinstance(history, dict) and set(history) == set(History._fields)
    good = good and all(isinstance(h, list) and len(h) == count and _plain([h]) for h in history.values())
    for name in ("average", "best_average", "record", "rule", "kept"):
        part = meta.get(name)
        good = good and (isinstance(part, dict) or (part is None and name == "rule"))
        good = good and _plain(list(part.values()) if isinstance(part, dict) else [], float, str, type(None))
    if not good:
        raise ValueError(f"{path} is no run that minimize has saved; name another file, or start anew with it")


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) for v in values)


def _plain(values: list[Any], *kinds: type) -> bool:
    """Whole numbers, these kinds, and lists of numbers."""
    return all(_numbers(list(v)) if isinstance(v, (list, tuple)) else isinstance(v, (int, *kinds)) for v in values)


def load(path: Path, now: Progress, settings: dict[str, Any]) -> tuple[Progress, History, float]:
    """The run, its history, and f at the point where it ends; ``now`` is the start of a run of this kind."""
    from ..checkpoint import file as checkpoint

    meta = checkpoint.metadata(path)
    check(path, meta)
    if meta.get("settings") != settings:
        raise ValueError(
            f"{path} was written with {meta.get('settings')}, but this run has {settings}; "
            "resume with the same settings, or start anew with another file"
        )
    kept = {name: [now.x] * n if n else now.x for name, n in meta["kept"].items()}
    like = {name: now.m if name in ("m", "best_m") else now.x for name in ARRAYS}
    arrays, _ = checkpoint.load(path, like={**like, "kept": kept})
    rule = meta["rule"]
    kind = AnchoredState if isinstance(now.rule, AnchoredState) else PlateauRule
    with checkpoint.crafted(path):
        loaded = Progress(
            **arrays,
            **{name: meta[name] for name in NUMBERS},
            average=Average(**meta["average"]),
            best_average=Average(**meta["best_average"]),
            record=type(now.record)(**meta["record"]),
            rule=None if rule is None else kind(**rule),
            noted=meta["count"],
        )
    return loaded, History(**meta["history"]), meta["f"]
