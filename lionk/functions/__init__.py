"""Convex functions with their conjugates: definitions, rules, and the registry of names."""

from . import catalogue as _catalogue  # noqa: F401  (fills the registry)
from .add import add, infimal_convolution
from .affine import dilate, scale, shift, tilt
from .base import ArrayFunction, ConvexFunction, Traits
from .blocks import blocks
from .eigen import eigen_lift
from .group import group_lift, radial_lift
from .moreau import moreau_envelope, ridge
from .registry import Entry, K, entry, names, register, rules
from .spectral import spectral_lift
from .support import indicator, support

__all__ = [
    "ArrayFunction",
    "ConvexFunction",
    "Entry",
    "K",
    "Traits",
    "add",
    "blocks",
    "dilate",
    "eigen_lift",
    "entry",
    "group_lift",
    "indicator",
    "infimal_convolution",
    "moreau_envelope",
    "names",
    "radial_lift",
    "register",
    "ridge",
    "rules",
    "scale",
    "shift",
    "spectral_lift",
    "support",
    "tilt",
]
