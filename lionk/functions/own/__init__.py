"""Convex functions of your own: from a function and its derivative, a projection, or a support point."""
