"""Is it a convex function? The universal properties, on any array library, and functions that fail them."""

from .broken import BROKEN, Broken
from .check import check_K
from .library import Library
from .on import On, inner, kinks, norm
from .properties import ALL
from .report import Report, Verdict
from .verdict import DoesNotApply, Violation, available

__all__ = [
    "ALL",
    "BROKEN",
    "Broken",
    "DoesNotApply",
    "Library",
    "On",
    "Report",
    "Verdict",
    "Violation",
    "available",
    "check_K",
    "inner",
    "kinks",
    "norm",
]
