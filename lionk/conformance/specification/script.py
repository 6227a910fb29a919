"""Gradients that ask a question: random ones, probes that aim a readout just beside 0, and exact ties."""

from __future__ import annotations

import math
import random
import struct


def rounded(value: float, dtype: str) -> float:
    """The nearest number of this dtype."""
    if dtype == "float64":
        return value
    if dtype == "float16":
        return float(struct.unpack("e", struct.pack("e", value))[0])
    if dtype == "bfloat16":  # eight significant bits
        if value == 0 or not math.isfinite(value):
            return value
        mantissa, exponent = math.frexp(value)
        return math.ldexp(round(mantissa * 256), exponent - 8)
    return float(struct.unpack("f", struct.pack("f", value))[0])


class Script:
    """Gradients of n entries, written one step after the other; ``m`` is the average that they lead to.

    The random numbers are Python's own generator seeded by a string, whose values are the same on every machine.
    """

    def __init__(self, seed: str, n: int, betas: tuple[float, float], dtype: str) -> None:
        self.draw, self.n, self.betas, self.dtype = random.Random(f"lionk {seed}"), n, betas, dtype
        self.m = [0.0] * n
        self.grads: list[tuple[float, ...]] = []

    def add(self, g: list[float]) -> Script:
        g = [rounded(v, self.dtype) for v in g]
        b2 = self.betas[1]
        self.m = [b2 * m + (1 - b2) * v for m, v in zip(self.m, g, strict=True)]
        self.grads.append(tuple(g))
        return self

    def numbers(self, low: float, high: float, bits: int = 8) -> list[float]:
        """Random signs, magnitudes from low to high in multiples of 2^-bits: short in every base that counts."""
        unit = 2.0**-bits
        return [
            self.draw.choice((-1, 1)) * unit * round((low + (high - low) * self.draw.random()) / unit)
            for _ in range(self.n)
        ]

    def random(self, steps: int, low: float = 0.125, high: float = 2.0, bits: int = 8) -> Script:
        for _ in range(steps):
            self.add(self.numbers(low, high, bits))
        return self

    def constant(self, value: float, steps: int = 1) -> Script:
        for _ in range(steps):
            self.add([value] * self.n)
        return self

    def probe(self, *sizes: float) -> Script:
        """For each size, a gradient that brings the readout to +-size b1 |m|: an error of m beyond that is seen."""
        b1 = self.betas[0]
        for size in sizes:
            target = [self.draw.choice((-1, 1)) * size * b1 * abs(m) for m in self.m]
            self.add([(t - b1 * m) / (1 - b1) for t, m in zip(target, self.m, strict=True)])
        return self

    def tie(self) -> Script:
        """Readouts of exactly 0 in the even entries, random multiples of 27/16 in the others. Dyadic betas only."""
        b1 = self.betas[0]
        free = self.numbers(1, 4, 0)
        return self.add(
            [
                f * 27 / 16 if i % 2 else round(-b1 / (1 - b1) * m * 2**30) / 2**30
                for i, (f, m) in enumerate(zip(free, self.m, strict=True))
            ]
        )
