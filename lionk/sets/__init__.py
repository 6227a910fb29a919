"""Convex sets: the domains of conjugates, each with its oracle, projection, distance and membership test."""

from .atoms import Ball, Box, Whole
from .base import ArraySet, ConvexSet
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
