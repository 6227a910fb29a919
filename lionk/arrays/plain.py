"""Python's floats by the names of the Array API: a formula of numbers is then one text for floats and for arrays.

An array of one number costs ten times as much as a float.
"""

from __future__ import annotations

from builtins import bool as any  # noqa: A004  (its name in the Array API)
from math import isfinite as isfinite
from math import sqrt as sqrt
from operator import not_ as logical_not
from typing import Any

__all__ = ["any", "isfinite", "logical_not", "maximum", "minimum", "sqrt", "where"]

maximum, minimum = max, min


def where(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b
