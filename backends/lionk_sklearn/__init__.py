"""lionk for scikit-learn: ``LionKRegressor`` and ``LionKClassifier``, linear models with a constraint of one's choice.

They are scikit-learn estimators: pipelines, grid searches and cross-validation take them. After ``fit`` each has a
certificate: ``gap_`` bounds how far its objective is from the best possible one. scikit-learn is imported when one of
the two is first asked for. Without it: ``pip install 'lionk[cli]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lionk.arrays.later import names_of

if TYPE_CHECKING:
    from .estimators import LionKClassifier, LionKRegressor

__all__ = ["LionKClassifier", "LionKRegressor"]

__getattr__ = names_of(__name__, {"estimators": ("LionKClassifier", "LionKRegressor")})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
