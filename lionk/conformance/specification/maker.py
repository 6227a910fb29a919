"""What the families of cases share: the shape, the K and the betas that a port's claims leave, and the maker."""

from __future__ import annotations

from typing import Any

from ...functions import ConvexFunction
from .cases import Case, function_of, host, size
from .port import Capabilities
from .script import Script, rounded

WIDE = ("float64", "float32")
PROBES = (2.0**-3, 2.0**-5, 2.0**-7, 2.0**-9)
#: The last probe of a test that compares runs: a checkpoint in a narrower dtype changes its sign, another order of
#: evaluation does not.
FINEST = {"float64": 2.0**-32, "float32": 2.0**-12, "float16": 2.0**-14, "bfloat16": 2.0**-12}
#: Of these tests in 16 bits, whose loops may round the tails of arrays otherwise.
COARSE = (0.25, 0.5, 0.25)
FINE = {"float64": (2.0**-24, 2.0**-32, 2.0**-38)}  # where a momentum of float32 is seen


def probes(dtype: str, finest: bool = True) -> tuple[float, ...]:
    """Of a test that compares runs. ``finest``: of the same arrays, so that they are the same in every bit."""
    return (2.0**-4, 2.0**-7, FINEST[dtype]) if finest or dtype in WIDE else COARSE


def main_shape(K: Any) -> tuple[int, ...]:
    """(16,), a matrix, a square one, or one of six rows: the first that K takes."""
    for shape in ((16,), (4, 3), (4, 4), (6, 4)):
        if takes(K, shape):
            return shape
    raise ValueError(
        f"K={K!r} takes no vector of 16, and no matrix of 4 x 3, 4 x 4 or 6 x 4; nothing can be asked of it"
    )


def takes(K: Any, shape: tuple[int, ...]) -> bool:
    """Does K take arrays of this shape?"""
    try:
        function_of(K, shape).subgradient(host().namespace().zeros(shape))
    except (TypeError, ValueError):
        return False
    return True


def widest(claims: Capabilities) -> str | None:
    """The widest dtype of a port, whatever the order in which it names them; None of one that has 16 bits only."""
    return next((d for d in WIDE if d in claims.dtypes), None)


def betas_for(claims: Capabilities, b1: float, b2: float) -> tuple[float, float]:
    return {"free": (b1, b2), "equal": (b2, b2), "nesterov": (b2 * b2, b2), "none": (0.9, 0.99)}[claims.betas]


class Maker:
    """What the families of one dtype share."""

    def __init__(self, claims: Capabilities, dtype: str) -> None:
        self.claims, self.dtype = claims, dtype
        self.shape = main_shape(claims.K)
        self.K: ConvexFunction = function_of(claims.K, self.shape)
        self.decay = next(iter(claims.decays))
        self.tuned = claims.accuracy == 0
        self.added = {n: getattr(claims, n) for n in ("cautious", "cautious_decay", "maximize", "state_error")}
        if (claims.cautious or claims.cautious_decay) and not self.K.by_entry:
            raise ValueError(f"cautious steps are judged for an elementwise K, and {claims.K!r} is none")
        self.widest = widest(claims) or dtype

    def betas(self, b1: float, b2: float) -> tuple[float, float]:
        """Those of these betas that the port can be given."""
        return betas_for(self.claims, b1, b2)

    def script(self, name: str, b1: float = 0.9, b2: float = 0.99, shape: tuple[int, ...] | None = None) -> Script:
        n = size(self.shape if shape is None else shape)
        return Script(name, n, self.betas(b1, b2), self.dtype)

    def case(self, name: str, script: Script, lr: float | list[float] = 0.03, wd: float = 0.4, **more: Any) -> Case:
        shape = more.pop("shape", self.shape)
        low, high, bits = more.pop("start", (0.25, 2.0, 6))
        steps = len(script.grads)
        rates = tuple(lr) if isinstance(lr, list) else (lr,) * steps
        x0 = tuple(rounded(v, self.dtype) for v in script.numbers(low, high, bits))
        decay = more.pop("decay", self.decay)
        if self.claims.betas == "none":  # which are no dyadic numbers
            more["exact"] = False
        return Case(
            f"{name}/{self.dtype}", self.dtype, shape, x0, tuple(script.grads), rates, script.betas,
            0.0 if decay == "none" else wd, decay, **self.added, **more,
        )  # fmt: skip
