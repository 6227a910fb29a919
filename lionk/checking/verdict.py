"""How a property answers: it returns, it says why it does not apply, or it fails with a residual and the points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import NotAvailable


class DoesNotApply(Exception):
    """The property says nothing of this function; the message says why."""


class Violation(AssertionError):
    """A property does not hold.

    Attributes
    ----------
    residual : float or None
        By how much, where the property is an equation or an inequality.
    points : dict
        The arrays at which it was seen, by the letter they have in the property.
    """

    def __init__(self, message: str, residual: float | None, points: dict[str, Any]) -> None:
        super().__init__(message)
        self.residual, self.points = residual, points

    def __str__(self) -> str:
        return "; ".join([super().__str__(), *(f"{name} = {shown(a)}" for name, a in self.points.items())])


def shown(a: Any) -> str:
    """An array in one line, the first entries of a long one."""
    entries = [f"{v:.6g}" for v in a.reshape(-1)[:12].tolist()]
    more = ", ..." if a.size > len(entries) else ""
    return f"[{', '.join(entries)}{more}]" + ("" if a.ndim == 1 else f" of shape {tuple(a.shape)}")


def expect(holds: Any, what: str, residual: float | None = None, **points: Any) -> None:
    """Raise a Violation unless ``holds``."""
    if not holds:
        raise Violation(what, residual, points)


def at_most(residual: float, bound: float, what: str, **points: Any) -> None:
    """Raise a Violation unless ``residual <= bound``; NaN is a violation."""
    if not residual <= bound:
        raise Violation(f"{what}: {residual:.3g}, at most {bound:.3g}", residual, points)


def available(f: Callable[..., Any], *args: Any) -> Any:
    """The result, or None where the function says that it has none."""
    try:
        return f(*args)
    except NotAvailable:
        return None
