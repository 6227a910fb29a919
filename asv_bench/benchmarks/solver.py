"""What `lionk bench --solver` prints, tracked: evaluations of f until a gap is certified, and time beside L-BFGS-B."""

from __future__ import annotations


class Evaluations:
    """Ninth decile over every K of vectors, and five smooth losses or three with kinks."""

    params = ["smooth", "kinked"]
    param_names = ("f",)
    unit = "evaluations of f"
    timeout = 900

    def track_decile(self, kind: str) -> float:
        from lionk.app.bench.solver import tables

        rows = list(zip(("smooth", "kinked"), tables(), strict=False))
        return next(row.decile for name, row in rows if name == kind)


class MainJob:
    """Bounded logistic regression, gap <= 1e-3 F."""

    unit = "evaluations of f"

    def track_evaluations(self) -> float:
        from lionk.app.bench.solver import evaluations, main_job

        fun, size = main_job()
        return evaluations(fun, "l1", size, 1000)[0]

    def track_times_lbfgsb(self) -> float:
        from lionk.app.bench.solver import times_lbfgsb

        return times_lbfgsb()


class Many:
    """A hundred least-squares problems of 20 variables in a box, by batch=1: time, in that of one alone."""

    def track_times_one(self) -> float:
        from lionk.app.bench.solver import times_one

        return times_one()
