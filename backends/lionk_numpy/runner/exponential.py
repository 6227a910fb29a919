"""exp of float32 inside a loop of numba, which makes vector instructions of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .bits import bits


@cache
def exponential() -> Callable[..., Any]:
    """``exp(float32)``, within two units of the last place, subnormal results included; 0, inf and NaN as of NumPy.

    ``exp(x) = 2^n exp(x - n ln 2)`` with n next to ``x / ln 2``, and a polynomial for the rest, which is at most
    ``ln 2 / 2`` (the coefficients are those of ``expf`` in Moshier's Cephes library, 1989).
    """
    import numpy as np
    from numba import njit

    f32, i32, view = np.float32, np.int32, bits()["view_float32"]
    low, high, per, shift = f32(-104), f32(89), f32(1.44269504088896341), f32(1.5 * 2**23)
    ln2, rest = f32(0.693359375), f32(-2.12194440e-4)  # whose sum is ln 2; n times the first one is exact
    c0, c1, c2, c3, c4, c5 = map(f32, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                                       1.6666665459e-1, 5.0000001201e-1))  # fmt: skip
    zero, one, bias, half, place = f32(0), f32(1), i32(127), i32(1), i32(23)

    def exp(x: Any) -> Any:
        y = max(low, min(high, x))
        n = (y * per + shift) - shift  # rounded to a whole number
        r = (y - n * ln2) - n * rest
        p = ((((c0 * r + c1) * r + c2) * r + c3) * r + c4) * r + c5
        whole = i32(n)
        first = i32(whole >> half)  # in two factors, since 2^n itself may be subnormal, or too large
        second = i32(whole - first)
        p = (p * (r * r) + r) + one
        # A product that rounds to 0 or to a subnormal number takes a hundred times as long: none is made where 0 is
        # known.
        last = view(i32(i32(second + bias) << place)) if x >= low else zero
        return p * view(i32(i32(first + bias) << place)) * last if x == x else x

    found: Callable[..., Any] = njit(exp)
    return found
