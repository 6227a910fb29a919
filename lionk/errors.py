"""What lionk raises and warns with, beside TypeError and ValueError."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .solver.result import Result


def reason(error: BaseException) -> str:
    """The text of an exception; that of a KeyError is its argument."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


class NotAvailable(NotImplementedError):
    """The operation has no implementation for this function; the message says why and what to use."""


class LionKWarning(UserWarning):
    """The run is allowed, but a statement of the theory does not apply to it, or its checkpoint was not written."""


class NonFiniteError(FloatingPointError):
    """A function value or gradient became NaN or infinite.

    Attributes
    ----------
    step : int
        At which step, counted from 0.
    result : lionk.Result or None
        The run up to the last good point; None if the start was not finite.
    """

    def __init__(self, message: str, step: int, result: Result | None) -> None:
        super().__init__(message)
        self.step, self.result = step, result
