"""A port, asked for its directions after gradients of one's own choice."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from ..specification.cases import Case, host, size
from ..specification.maker import betas_for, widest
from ..specification.port import Port
from .trace import run


@dataclass(frozen=True)
class Asked:
    """It begins at m = 0, where all entries of x are one number, and makes ``before`` steps of gradients 0 first."""

    port: Port
    dtype: str
    shape: tuple[int, ...]
    betas: tuple[float, float]
    wd: float = 0.0
    before: int = 0

    def __call__(self, *grads: Any, x: float = 1.0, lr: float = 2.0**-8) -> list[Any]:
        """``(x - x')/lr`` of the steps with these gradients."""
        claims, n = self.port.capabilities, size(self.shape)
        given = ((0.0,) * n,) * self.before + tuple(tuple(float(v) for v in g.reshape(-1)) for g in grads)
        name, decay = f"S2.scale/asked/{self.dtype}", next(iter(claims.decays))
        case = Case(name, self.dtype, self.shape, (x,) * n, given, (lr,) * len(given), self.betas, self.wd, decay)
        xs = [case.array(case.x0), *run(self.port, case).xs]
        sign = -1.0 if claims.maximize else 1.0
        return [sign * (a - b) / lr for a, b in itertools.pairwise(xs)][self.before :]

    def gradient(self) -> Any:
        """Entries of sizes from 1/4 to 4 and of both signs."""
        xp, n = host().namespace(), size(self.shape)
        places = xp.arange(n) * 2654435761 % 2**32 / 2**32  # multiples of the golden ratio, modulo 1
        g = xp.reshape(2.0 ** (4 * places - 2) * (1 - 2.0 * (xp.arange(n) % 3 == 1)), self.shape)
        return xp.astype(xp.astype(g, xp.float32), xp.float64)


def asked_of(port: Port, shape: tuple[int, ...]) -> Asked | None:
    """In its widest dtype; None of a port that has no wide one."""
    claims = port.capabilities
    dtype = widest(claims)
    return None if dtype is None else Asked(port, dtype, shape, betas_for(claims, 0.8, 0.95))
