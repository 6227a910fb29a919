"""What the loop of `minimize` asks of a step rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

from ..theory.certificate import Certificate
from .progress import Progress

T = TypeVar("T")


class Seen(NamedTuple, Generic[T]):
    """The numbers of an iterate, as floats; or of neighbouring ones, in lists."""

    f: T
    objective: T  # F
    gap: T  # G/lam
    lyapunov: T
    distance: T
    lr: T  # of the step that follows
    lower: T  # a lower bound of min F, rounding taken off
    rounding: T  # of F


class Method(ABC):
    """One way to go from an iterate to the next. It moves ``run.now``; nothing else of the run changes."""

    def __init__(self, run: Any) -> None:
        self.run = run

    @abstractmethod
    def begin(self) -> None:
        """Before the first evaluation of a run that is not resumed."""

    def ahead(self, point: Any) -> Any:
        """Move ``run.now`` on while it is certain that the run does not stop; f with its gradient where it is then.

        Those iterates are ``pending``, and ``settle`` finds all that is to be known of them.
        """
        return point

    @abstractmethod
    def measure(self, point: Any) -> Seen[float]:
        """The numbers of ``run.now.x``, where ``point`` is f with its gradient, which ``run.note`` was told.

        H may be known only once ``settle`` was called, which puts it into the history.
        """

    @abstractmethod
    def advance(self, point: Any, seen: Seen[float]) -> None:
        """Set ``run.now`` to the next iterate."""

    def settle(self, p: Progress) -> None:  # noqa: B027  (where nothing waits)
        """Account for what waits of the run as it stands in p, before it is saved or shown."""

    @abstractmethod
    def exhausted(self, seen: Seen[float]) -> str | None:
        """Why no further step can help, if that is so."""

    @abstractmethod
    def certificate(self, **numbers: Any) -> Certificate:
        """The record of the run in words."""
