"""Lion-K optimizers on the Array API, with their convex functions, conjugates and certificates."""

from . import theory
from .backend import Backend, backends
from .conventions import anchored
from .errors import LionKWarning, NonFiniteError, NotAvailable
from .functions import ConvexFunction, K, Traits, blocks, names, register
from .minimize import Result, minimize
from .optimizer import LionK, State
from .theory import Certificate, flow, kkt_gap

__version__ = "0.1.0"
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
    "anchored",
    "backends",
    "blocks",
    "flow",
    "kkt_gap",
    "minimize",
    "names",
    "register",
    "theory",
]
