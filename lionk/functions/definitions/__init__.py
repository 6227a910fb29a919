"""Definitions: convex functions that are not made of others, each with its conjugate."""
