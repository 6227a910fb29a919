"""Convex functions with their conjugates: definitions, rules, and the registry of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arrays.later import names_of
from .array_function import ArrayFunction
from .base import ConvexFunction, Traits
from .registry.entries import Entry, K, algorithms, entry, names, register, rules

if TYPE_CHECKING:
    from ..arrays.shape_factor import ShapeFactor
    from .calculus.affine import dilate, scale, shift, tilt
    from .calculus.block_sum import blocks
    from .calculus.centered import centered
    from .calculus.eigen import eigen_lift
    from .calculus.group import group_lift
    from .calculus.linear import linear_map
    from .calculus.moreau import moreau_envelope, ridge
    from .calculus.parts import block_lift, kernel_lift, matrix_lift
    from .calculus.positive import positive_part
    from .calculus.radial import radial_lift
    from .calculus.smoothing import smoothed
    from .calculus.spectral import spectral_lift
    from .calculus.sums import add, infimal_convolution, maximum
    from .definitions.support import indicator, support
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

# Loaded on first use. No module here has the name of a function in it, which would hide that function. The methods of
# a function (``K.scale``, ``K1 + K2``, its tables in notebooks) are looked up here, too: no arrow points up.
__getattr__ = names_of(
    __name__,
    {
        "calculus.affine": ("ShapeFactor", "dilate", "scale", "shift", "tilt"),
        "calculus.block_sum": ("blocks",),
        "calculus.centered": ("centered",),
        "calculus.eigen": ("eigen_lift",),
        "calculus.group": ("group_lift",),
        "calculus.linear": ("linear_map",),
        "calculus.moreau": ("moreau_envelope", "ridge"),
        "calculus.parts": ("block_lift", "kernel_lift", "matrix_lift"),
        "calculus.positive": ("positive_part",),
        "calculus.radial": ("radial_lift",),
        "calculus.smoothing": ("smoothed",),
        "calculus.spectral": ("spectral_lift",),
        "calculus.sums": ("add", "infimal_convolution", "maximum"),
        "definitions.support": ("indicator", "support"),
        "own.own_scalar": ("from_scalar",),
        "own.own_set": ("from_lmo", "from_projection"),
        "registry.describe": ("described", "formulas"),
    },
)
