"""Lion-K optimizers on the Array API, with their convex functions, conjugates and certificates."""

from .errors import LionKWarning, NotAvailable
from .functions import ConvexFunction, K, Traits, blocks, names, register

__version__ = "0.1.0"
__all__ = ["ConvexFunction", "K", "LionKWarning", "NotAvailable", "Traits", "blocks", "names", "register"]
