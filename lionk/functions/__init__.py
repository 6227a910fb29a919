"""Convex functions with their conjugates: definitions, rules, and the registry of names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..arrays.shape_factor import ShapeFactor
from .base import ArrayFunction, ConvexFunction, Traits
from .calculus import methods as _methods  # noqa: F401  (which ConvexFunction looks up)
from .definitions.support import indicator, support
from .named import algorithms as _named  # noqa: F401
from .named import catalogue as _catalogue  # noqa: F401  (fills the registry)
from .registry.entries import Entry, K, algorithms, entry, names, register, rules

if TYPE_CHECKING:
    from .calculus.affine import dilate, scale, shift, tilt
    from .calculus.block_sum import blocks
    from .calculus.centered import centered
    from .calculus.eigen import eigen_lift
    from .calculus.group import group_lift, radial_lift
    from .calculus.linear import linear_map
    from .calculus.moreau import moreau_envelope, ridge
    from .calculus.parts import block_lift, kernel_lift, matrix_lift
    from .calculus.positive import positive_part
    from .calculus.smoothing import smoothed
    from .calculus.spectral import spectral_lift
    from .calculus.sums import add, infimal_convolution, maximum
    from .own.own_scalar import from_scalar
    from .own.own_set import from_lmo, from_projection

__all__ = [
    "ArrayFunction",
    "ConvexFunction",
    "Entry",
    "K",
    "ShapeFactor",
    "Traits",
    "add",
    "algorithms",
    "block_lift",
    "blocks",
    "centered",
    "dilate",
    "eigen_lift",
    "entry",
    "from_lmo",
    "from_projection",
    "from_scalar",
    "group_lift",
    "indicator",
    "infimal_convolution",
    "kernel_lift",
    "linear_map",
    "matrix_lift",
    "maximum",
    "moreau_envelope",
    "names",
    "positive_part",
    "radial_lift",
    "register",
    "ridge",
    "rules",
    "scale",
    "shift",
    "smoothed",
    "spectral_lift",
    "support",
    "tilt",
]

# Loaded on first use. No module here has the name of a function in it, which would hide that function.
_LATER = {
    "calculus.affine": ("dilate", "scale", "shift", "tilt"),
    "calculus.block_sum": ("blocks",),
    "calculus.centered": ("centered",),
    "calculus.eigen": ("eigen_lift",),
    "calculus.group": ("group_lift", "radial_lift"),
    "calculus.linear": ("linear_map",),
    "calculus.moreau": ("moreau_envelope", "ridge"),
    "calculus.parts": ("block_lift", "kernel_lift", "matrix_lift"),
    "own.own_scalar": ("from_scalar",),
    "own.own_set": ("from_lmo", "from_projection"),
    "calculus.positive": ("positive_part",),
    "calculus.smoothing": ("smoothed",),
    "calculus.spectral": ("spectral_lift",),
    "calculus.sums": ("add", "infimal_convolution", "maximum"),
}


def __getattr__(name: str) -> Any:
    for module, inside in _LATER.items():
        if name in inside:
            value = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'lionk.functions' has no attribute {name!r}")
