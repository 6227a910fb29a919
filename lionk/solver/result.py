"""What a run gives: its history, what a callback sees, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..arrays.html import table
from ..errors import NotAvailable
from ..optimizer.lion_k import State
from ..theory.certificate import Certificate


class History(NamedTuple):
    """One entry for each iterate, as 1-D arrays of x's library (lists of floats while the run goes on)."""

    f: Any  # f(x)
    conjugate: Any  # K*(lam x)/lam, inf outside the constraint
    objective: Any  # F = f + K*(lam x)/lam
    gap: Any  # G/lam, an upper bound of F - min F for convex f (G at lam = 0)
    lyapunov: Any  # H at the lr of the step that follows; of the anchored rule F + (L/2) |x - x before|^2
    distance: Any  # from lam x to dom K*
    lr: Any  # of the step that follows; of the anchored rule 1/L
    momentum_gap: Any  # smallest F so far less the best lower bound so far, rounding included; inf without a bound

    def put(
        self, number: int, f: list[float], objective: list[float], gap: list[float], lyapunov: list[float],
        distance: list[float], lr: list[float], momentum_gap: list[float],
    ) -> None:  # fmt: skip
        """While the run goes on: the entries from this iterate on, in place of those that are there."""
        conjugate = [a - b for a, b in zip(objective, f, strict=True)]
        columns = f, conjugate, objective, gap, lyapunov, distance, lr, momentum_gap
        for column, new in zip(self, columns, strict=True):
            column[number:] = new


class Info(NamedTuple):
    """What a callback sees: the iterate ``x`` after ``nit`` steps, and its numbers as floats."""

    nit: int
    x: Any
    f: float
    objective: float
    gap: float
    lyapunov: float
    distance: float
    lr: float
    momentum_gap: float


@dataclass(frozen=True)
class Result:
    """What a run of ``minimize`` found and proved. With ``batch=1`` its numbers are arrays, an entry for each problem.

    Attributes
    ----------
    x : array or container
        The best point, moved to the nearest feasible one if it was outside by rounding: that of least F for the
        anchored rule, and where the momentum gap is the smaller bound; else that of least gap.
    fun, objective : float
        f and F there.
    gap, gap_rounding : float
        For convex f, ``F(x) - min F <= gap + gap_rounding``: the smaller of G/lam at x and ``momentum_gap``. With
        weight_decay = 0 the gap is G itself, a measure of stationarity; without full gradients it is nan.
    momentum_gap : float
        For convex f, ``F(x) - min F <= momentum_gap``, by the best of the lower bounds that the gradients of the run
        and their averages, the momentum, give (``theory.lower_bound``). Rounding is included; inf without a bound.
    distance : float
        From ``lam x`` to dom K*.
    nit : int
        Steps made, over all resumed runs.
    success : bool
        Did the gap reach the tolerance (stochastic: were all steps made)?
    message : str
    history : History
    certificate : Certificate
        Which statements of the theory held along the run.
    state : State
        Of the optimizer after the last step; ``last_x``: the last iterate.
    weight_decay : float
        lam of the run.
    K : ConvexFunction
        K of the run, as it acts on x.
    unsaved : str
        Why the checkpoint that was asked for does not hold this run; empty where it does.
    """

    x: Any
    fun: float
    objective: float
    gap: float
    gap_rounding: float
    momentum_gap: float
    distance: float
    nit: int
    success: bool
    message: str
    history: History
    certificate: Certificate
    state: State
    last_x: Any
    weight_decay: float
    K: Any
    unsaved: str = ""

    def plot(self, **options: Any) -> Any:
        """The run as a Matplotlib figure, which a notebook shows: objective, both bounds, H, and x and its constraint.

        It is drawn by the installed entry point ``plot`` of the group ``lionk.results``: ``lionk.app.figures.plot``,
        which takes the ``options``. Raises NotAvailable without Matplotlib.
        """
        from importlib.metadata import entry_points

        if getattr(self.objective, "ndim", 0):
            raise NotAvailable("a result of batch=1 has no picture: plot its arrays, or solve one problem alone")
        try:
            (draw,) = (e.load() for e in entry_points(group="lionk.results", name="plot"))
        except (ModuleNotFoundError, ValueError) as error:
            raise NotAvailable(f"a plot needs the extra cli: pip install 'lionk[cli]' ({error})") from error
        return draw(self, **options)

    def _rows(self) -> list[tuple[str, str]]:
        names = ("fun", "objective", "gap", "gap_rounding", "momentum_gap", "distance", "nit", "success")
        shown = {name: getattr(self, name) for name in names}
        return [(name, f"{value:.6g}" if isinstance(value, float) else str(value)) for name, value in shown.items()]

    def __repr__(self) -> str:
        rows = [
            ("message", self.message),
            *self._rows(),
            ("x", repr(self.x)),
            ("certificate", self.certificate.verdict),
        ]
        return "\n".join(f"{name:>12}: {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        return table(self.message, self._rows()) + self.certificate._repr_html_()
