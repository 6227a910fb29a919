"""Python's floats by the names of the Array API: a formula of numbers is then one text for floats and for arrays."""

from __future__ import annotations

from math import isfinite as isfinite
from math import sqrt as sqrt
from operator import not_ as logical_not
from typing import Any

__all__ = ["isfinite", "logical_not", "maximum", "minimum", "sqrt", "where"]

maximum, minimum = max, min


def where(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b
