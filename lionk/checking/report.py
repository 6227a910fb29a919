"""What a check found: one verdict for each property of K and of K*."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HOLDS, FAILS, NOT_APPLICABLE = "holds", "fails", "not applicable"
SIDES = ("K", "K*")


@dataclass(frozen=True)
class Verdict:
    """One property of one side.

    Attributes
    ----------
    side : str
        "K", or "K*" for the conjugate.
    property : str
        Its name, as in ``lionk.checking.ALL``.
    outcome : str
        "holds", "fails" or "not applicable".
    reason : str
        Why it fails, with the points, or does not apply.
    residual : float or None
        By how much it fails, where that is a number.
    points : dict
        Where it fails: arrays on the host, by the letter they have in the property.
    """

    side: str
    property: str
    outcome: str
    reason: str = ""
    residual: float | None = None
    points: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The verdicts on a convex function and its conjugate. ``print(report)`` shows them all."""

    name: str
    library: str
    dtype: str
    shape: tuple[int, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def ok(self) -> bool:
        """Does every property hold that applies, and does one apply? A function that does nothing is not right."""
        return not self.failures and any(v.outcome == HOLDS for v in self.verdicts)

    @property
    def failures(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.outcome == FAILS)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """``(property, outcome for K, outcome for K*)``."""
        names = list(dict.fromkeys(v.property for v in self.verdicts))
        by = {(v.property, v.side): v.outcome for v in self.verdicts}
        return [(n, *(by[n, side] for side in SIDES)) for n in names]

    @property
    def summary(self) -> str:
        applied = [v for v in self.verdicts if v.outcome != NOT_APPLICABLE]
        count = f"{len(applied) - len(self.failures)} of {len(applied)} properties hold"
        return f"{self.name} on {self.library} in {self.dtype} at shape {self.shape}: {count}"

    def __str__(self) -> str:
        rows = [("", *SIDES), *self.rows]
        widths = [max(len(r[i]) for r in rows) for i in range(len(SIDES))]
        lines = ["  ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[-1]]) for r in rows]
        reasons = [f"{v.side} {v.outcome}: {v.property}: {v.reason}" for v in self.verdicts if v.outcome != HOLDS]
        return "\n".join([self.summary, *lines, *reasons])
