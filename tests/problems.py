"""Small convex problems, written once against the Array API, and their exact solutions by SciPy."""

from __future__ import annotations

import math

import numpy as np
from array_api_compat import array_namespace, device


def quadratic(A, b):
    """``f(x) = 1/2 |A x - b|^2`` with NumPy data; works on the arrays of any library."""

    def fun(x):
        xp = array_namespace(x)
        a, c = (xp.asarray(v, dtype=x.dtype, device=device(x)) for v in (A, b))
        r = a @ x - c
        return xp.sum(r * r) / 2, xp.matrix_transpose(a) @ r

    return fun


def random_quadratic(rng, n, m=None, scale=1.0):
    A = rng.normal(size=(m or n, n)) / math.sqrt(n)
    return quadratic(A, scale * rng.normal(size=m or n)), A


def logistic(rng, n=40, d=6):
    """Mean logistic loss of random labels; NumPy only."""
    A = rng.normal(size=(n, d)) * np.sign(rng.normal(size=(n, 1)))

    def fun(x):
        z = A @ x
        return float(np.mean(np.logaddexp(0, -z))), -A.T @ (1 / (1 + np.exp(z))) / n

    return fun
