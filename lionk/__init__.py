"""Lion-K optimizers on the Array API, with their convex functions, conjugates and certificates."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .arrays.later import names_of
from .errors import LionKWarning, NonFiniteError, NotAvailable

if TYPE_CHECKING:
    from . import checking, conventions, functions, sets, theory
    from .arrays.polar import polar
    from .backend.discovery import backends
    from .backend.protocol import Backend
    from .checking import check_K
    from .conventions import anchored
    from .functions import ConvexFunction, K, Traits, algorithms, blocks, names, register
    from .optimizer import decay, variants
    from .optimizer.lion_k import LionK, State
    from .solver.minimization import minimize
    from .solver.result import Result
    from .theory import Certificate, flow, kkt_gap

__version__ = "0.2.0"
__all__ = [
    "Backend",
    "Certificate",
    "ConvexFunction",
    "K",
    "LionK",
    "LionKWarning",
    "NonFiniteError",
    "NotAvailable",
    "Result",
    "State",
    "Traits",
    "algorithms",
    "anchored",
    "backends",
    "blocks",
    "check_K",
    "checking",
    "conventions",
    "decay",
    "flow",
    "functions",
    "kkt_gap",
    "minimize",
    "names",
    "polar",
    "register",
    "sets",
    "theory",
    "variants",
]

# Loaded on first use, so that a program loads what it needs, and the command answers Ctrl-C from its first moment on.
_NAMES = names_of(
    __name__,
    {
        "arrays.polar": ("polar",),
        "backend.discovery": ("backends",),
        "backend.protocol": ("Backend",),
        "checking": ("check_K",),
        "conventions": ("anchored",),
        "functions": ("ConvexFunction", "K", "Traits", "algorithms", "blocks", "names", "register"),
        "optimizer.lion_k": ("LionK", "State"),
        "solver.minimization": ("minimize",),
        "solver.result": ("Result",),
        "theory": ("Certificate", "flow", "kkt_gap"),
    },
)
_MODULES = {
    "checking": "checking",
    "conventions": "conventions",
    "decay": "optimizer.decay",
    "functions": "functions",
    "sets": "sets",
    "theory": "theory",
    "variants": "optimizer.variants",
}
_ESTIMATORS = ("LionKClassifier", "LionKRegressor")  # of scikit-learn: lionk_sklearn has them


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    if name in _ESTIMATORS:
        from importlib.metadata import entry_points

        return next(iter(entry_points(group="lionk.estimators", name=name))).load()
    return _NAMES(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
