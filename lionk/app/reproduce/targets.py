"""The list of targets, and what each of them gives."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

import lionk

from ..console import BadInput

TARGETS = {  # name, which is the module's: one line for the list
    "trajectories": "six K of the paper in the plane: the way in, the way to the solution",
    "training": "small networks on digits by five K, AdamW and other people's Lion: weights against 1/lam",
    "lam": "loss and accuracy against lam in a small network, and its weights over time",
    "language": "a small transformer on characters by four K, AdamW and lion-pytorch: weights against 1/lam",
    "contest": "training curves of Lion, Muon, Muon per head, lion-pytorch and AdamW: equal budget, tuned alike",
    "lp": "Lion-lp for p in [1, 2]: which p is best depends on the problem",
    "lyapunov": "the decrease of H against its proven bound, and the exact identity behind it",
    "flow": "the iteration against its differential equation, as lr goes to 0",
    "phase1": "how fast the constraint is reached, against the predicted rate",
    "gap": "the certified gap against the true suboptimality",
    "solvers": "evaluations and time to a certified gap, beside other solvers on sixteen problems",
    "float32": "limit cycles of the sign, and where rounding stops a run",
}


class Check(NamedTuple):
    """A claim, what was measured, and the interval in which it must be for the claim to hold."""

    claim: str
    measured: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return bool(self.low <= self.measured <= self.high)

    @property
    def expected(self) -> str:
        if self.low == self.high:
            return f"{self.low:.4g}"
        if self.low in (0.0, float("-inf")):
            return f"at most {self.high:.3g}"
        return f"at least {self.low:.3g}" if self.high == float("inf") else f"{self.low:.4g} to {self.high:.4g}"


class Outcome(NamedTuple):
    """What a target found: its claims, and the numbers of its figure (arrays and plain values, for the JSON file)."""

    checks: tuple[Check, ...]
    numbers: dict[str, Any]


def restored(document: dict[str, Any]) -> Outcome:
    """What a run has found, from its JSON file."""
    checks = (Check(**{key: c[key] for key in Check._fields}) for c in document["checks"])
    return Outcome(tuple(checks), document["numbers"])


def need_torch(target: str) -> None:
    """Raises BadInput where PyTorch cannot be used."""
    if why := lionk.backends()["torch"].why_unavailable():
        raise BadInput(f"{target} needs PyTorch: {why}")


class Target(Protocol):
    """What a module of a target holds."""

    __doc__: str | None

    def run(self, seed: int, quick: bool) -> Outcome:
        """Do the work, in a minute or less on two cores; ``quick``: a smaller one of the same kind, for tests."""

    def draw(self, numbers: dict[str, Any]) -> Any:
        """The figure; it is called, and rendered, within ``rc_context(style.STYLE)``."""


def load(name: str) -> Target:
    return cast(Target, import_module(f"{__package__}.{name}"))


def text(target: Target) -> str:
    """What to see in the figure, what the paper says of it, and what was scaled down."""
    paragraphs = inspect.cleandoc(target.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(p.split()) for p in paragraphs)
