"""Convex functions with their conjugates: definitions, rules, and the registry of names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..arrays.shape_factor import ShapeFactor
from . import catalogue as _catalogue  # noqa: F401  (fills the registry)
from . import named as _named  # noqa: F401
from .base import ArrayFunction, ConvexFunction, Traits
from .registry import Entry, K, algorithms, entry, names, register, rules
from .support import indicator, support

if TYPE_CHECKING:
    from .affine import dilate, scale, shift, tilt
    from .block_sum import blocks
    from .eigen import eigen_lift
    from .group import group_lift, radial_lift
    from .kernels import kernel_lift
    from .linear import linear_map
    from .moreau import moreau_envelope, ridge
    from .own_scalar import from_scalar
    from .own_set import from_lmo, from_projection
    from .smoothing import smoothed
    from .spectral import spectral_lift
    from .sums import add, infimal_convolution, maximum

__all__ = [
    "ArrayFunction",
    "ConvexFunction",
    "Entry",
    "K",
    "ShapeFactor",
    "Traits",
    "add",
    "algorithms",
    "blocks",
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
    "maximum",
    "moreau_envelope",
    "names",
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
    "affine": ("dilate", "scale", "shift", "tilt"),
    "block_sum": ("blocks",),
    "eigen": ("eigen_lift",),
    "group": ("group_lift", "radial_lift"),
    "kernels": ("kernel_lift",),
    "linear": ("linear_map",),
    "moreau": ("moreau_envelope", "ridge"),
    "own_scalar": ("from_scalar",),
    "own_set": ("from_lmo", "from_projection"),
    "smoothing": ("smoothed",),
    "spectral": ("spectral_lift",),
    "sums": ("add", "infimal_convolution", "maximum"),
}


def __getattr__(name: str) -> Any:
    for module, inside in _LATER.items():
        if name in inside:
            value = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'lionk.functions' has no attribute {name!r}")
