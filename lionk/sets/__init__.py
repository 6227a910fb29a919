"""Convex sets: the domains of conjugates, each with its oracle, projection, distance and membership test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arrays.later import names_of

if TYPE_CHECKING:
    from .ball import Ball
    from .base import ArraySet, ConvexSet
    from .box import Box, Whole
    from .eigen import Eigen
    from .intersection import Intersection
    from .product import Product
    from .rules import Affine, Minkowski, Spectral
    from .top_k import TopK

__all__ = [
    "Affine",
    "ArraySet",
    "Ball",
    "Box",
    "ConvexSet",
    "Eigen",
    "Intersection",
    "Minkowski",
    "Product",
    "Spectral",
    "TopK",
    "Whole",
]

__getattr__ = names_of(
    __name__,
    {
        "ball": ("Ball",),
        "box": ("Box", "Whole"),
        "base": ("ArraySet", "ConvexSet"),
        "eigen": ("Eigen",),
        "intersection": ("Intersection",),
        "product": ("Product",),
        "rules": ("Affine", "Minkowski", "Spectral"),
        "top_k": ("TopK",),
    },
)
