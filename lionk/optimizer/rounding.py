"""Steps too small for 16 bits: a step is made in float32, and its result is kept by chance or with its remainder.

bfloat16 has 8 bits: rounded to nearest, a step below ``|x|/512`` is lost, and so is the decay at ``lr lam < 1/512``.

- stochastic: up or down with the odds of the distance, so that the mean is exact (float16 below 2^-14: to 2^-14 of the
  distance between neighbours). Nothing is kept beside x.
- kahan: what rounding leaves over is kept in ``low``, an array like x, and added before the next step. ``x + low`` has
  twice the bits.

Either way the theory holds for the float32 iterate: kahan follows it to 16 bits, stochastic rounding in the mean.

Random numbers are a function of a counter, the place of an entry among all that are stepped, and of two keys, which are
made of a seed and the number of the step: the same entry gets the same number in a whole array and in a piece of it.
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays.namespace import Array, Namespace, astype, device

ROUNDINGS = ("nearest", "stochastic", "kahan")
KEYS = ("key0", "key1")
_LOW = (1 << 16) - 1
# The finalizer of MurmurHash3 (Appleby 2011), whose multipliers are written as numbers of 32 bits with a sign.
_FIRST, _SECOND = 0x85EBCA6B - (1 << 32), 0xC2B2AE35 - (1 << 32)


def check(name: str) -> None:
    if name not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}, got {name!r}")


def keys(seed: int, step: int) -> tuple[int, int]:
    """Two numbers of 32 bits with a sign, of seed and step (the finalizer of SplitMix64, Steele and others 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + (step + 1) * 0xD1B54A32D192ED03) & ((1 << 64) - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ((1 << 64) - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ((1 << 64) - 1)
    z ^= z >> 31
    return signed(z), signed(z >> 32)


def signed(z: int) -> int:
    """The last 32 bits of a number, with a sign."""
    return ((z & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def widened(xp: Namespace, x: Array, low: Array | None) -> Array:
    """A 16-bit array in the precision of the step, with what earlier roundings left over."""
    wide = astype(xp, x, xp.float32)
    return wide if low is None else wide + astype(xp, low, xp.float32)


def with_rest(xp: Namespace, value: Array, dtype: Any) -> tuple[Array, Array]:
    """A float32 array in 16 bits, and what is left over; that is 0 where the 16 bits have overflowed."""
    near = astype(xp, value, dtype)
    left = value - astype(xp, near, xp.float32)
    return near, astype(xp, xp.where(xp.isfinite(left), left, xp.zeros_like(left)), dtype)


def by_chance(xp: Namespace, value: Array, dtype: Any, noise: Array) -> Array:
    """One of the two neighbours of a float32 value in 16 bits, such that the mean is value; NaN and inf stay.

    ``noise``: int32, each of 0 to 2^16 - 1 equally often. It is added to the bits that are cut off then.
    """
    cut = 23 + round(math.log2(xp.finfo(dtype).eps))  # bits of the fraction
    if cut < 16:  # float16 has a range of its own: below 2^-14 its numbers lie as densely as from there to 2^-13
        noise = xp.bitwise_and(noise, (1 << cut) - 1)
        small = xp.abs(value) < 2.0**-14
        zero = xp.zeros_like(value)
        beside = xp.where(small, xp.where(value < 0, zero - 2.0**-14, zero + 2.0**-14), zero)
        found = _cut(xp, value + beside, noise, cut) - beside
        found = xp.where(small, xp.where(found == 0, zero * value, found), found)
    else:
        found = _cut(xp, value, noise, cut)
    return astype(xp, xp.where(xp.isnan(value), value, found), dtype)  # infinity stays: noise does not reach its bits


def _cut(xp: Namespace, value: Array, noise: Array, bits: int) -> Array:
    """Toward 0 by so many bits, after noise was added to them."""
    return xp.bitwise_and(value.view(xp.int32) + noise, -(1 << bits)).view(xp.float32)


def index(xp: Namespace, start: int, like: Array) -> Array:
    """The places of the entries of an array, of which the first is ``start``, modulo 2^32."""
    flat = xp.arange(math.prod(like.shape), dtype=xp.int64, device=device(like)) + (start + (1 << 31))
    return xp.reshape(xp.astype(xp.remainder(flat, 1 << 32) - (1 << 31), xp.int32), like.shape)


def noise(xp: Namespace, index: Array, key0: Any, key1: Any) -> Array:
    """16 bits for each entry, of its int32 index: over all 2^32 of them, each number equally often."""
    h = index + key0
    h = xp.bitwise_xor(h, xp.bitwise_and(xp.bitwise_right_shift(h, 16), _LOW)) * _FIRST
    h = xp.bitwise_xor(h, key1)
    h = xp.bitwise_xor(h, xp.bitwise_and(xp.bitwise_right_shift(h, 13), (1 << 19) - 1)) * _SECOND
    return xp.bitwise_and(xp.bitwise_right_shift(h, 16), _LOW)
