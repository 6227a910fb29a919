"""What a dialect adds to the step: its convention of decay, and its masks."""

from __future__ import annotations

from typing import Any

from ...optimizer import decay
from ...optimizer.variants import Cautious
from .cases import Case
from .port import DECAYS, Capabilities


def spelled(convention: str, wd: float, lr: float, first: float, x: Any, g: Any) -> tuple[float, Any]:
    """``(lam, g)`` such that a convention of decay, at a rate and the first one, is an ordinary step with them.

    ``g``: of what is minimised.
    """
    name = DECAYS[convention]
    if name is None or wd == 0:
        return 0.0, g
    return decay.at(name, wd, lr, first), g + wd * x if name == "coupled" else g


def direction(case: Case | Capabilities, K: Any, x: Any, g: Any, lam: float, r: Any, kept: float | None = None) -> Any:
    """dK(r), with what the dialect adds. ``kept``: the share of entries that a cautious step keeps."""
    if not (case.cautious or case.cautious_decay):
        return K.subgradient(r)
    mean = None if kept is None else lambda keep: keep.dtype.type(kept)  # a number of NumPy, which has a shape
    return Cautious(K, x, g, lam, case.cautious or None, case.cautious_decay, mean).subgradient(r)
