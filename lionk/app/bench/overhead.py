"""What a call costs beside its arithmetic: each call is timed in pairs with the same arithmetic written by hand.

The arrays are small (31 entries), so that the time of a call is that of checks, look-ups and dispatch. The two sides of
a pair take turns in one process, and the median of the ratios counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

import lionk

from . import speed, timing

SIZE = 31
STEPS = 2000  # of a run of minimize
LR, BETAS, DECAY = 1e-2, (0.9, 0.99), 0.5

Pair = tuple[speed.Step, speed.Step]  # the call, and what it is compared with


@dataclass(frozen=True)
class Overhead:
    """A row: microseconds of one call, its ratio to the reference, and the aim, of the ratio or of the microseconds."""

    name: str
    reference: str
    microseconds: float
    ratio: float
    aim: str


def overheads(seconds: float) -> list[Overhead]:
    """Every row whose libraries are installed here, measured for at least so many seconds each."""
    rows = []
    for name, reference, aim, make in ROWS:
        try:
            call, hand = make()
        except NotImplementedError:
            continue
        pairs = timing.turns(timing.clock(hand), timing.clock(call), seconds)
        each = median(taken for _, taken in pairs) / (STEPS if make is run else 1)
        rows.append(Overhead(name, reference, 1e6 * each, timing.ratio(pairs).value, aim))
    return rows


def _small() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(SIZE), rng.standard_normal(SIZE)


def _by_hand(x: Any, m: Any, g: Any) -> tuple[Any, Any]:
    """The arithmetic of a step of Lion with explicit decay, on NumPy arrays."""
    b1, b2 = BETAS
    u = np.sign(b1 * m - (1 - b1) * g)
    return x + LR * (u - DECAY * x), b2 * m - (1 - b2) * g


def step() -> Pair:
    """``LionK.step`` against its arithmetic."""
    x, g = _small()
    opt = lionk.LionK("l1", LR, BETAS, DECAY)
    state = opt.init(x)
    return lambda: opt.step(x, g, state), lambda: _by_hand(x, state.m, g)


def subgradient() -> Pair:
    """``K.subgradient`` of l1 against ``numpy.sign``."""
    x, _ = _small()
    K = lionk.K("l1")
    return lambda: K.subgradient(x), lambda: np.sign(x)


def gap() -> Pair:
    """``kkt_gap`` of l1 against ``|g|_1 + lam <g, x>`` and a test of ``|lam x|_inf <= 1``."""
    x, g = _small()
    K = lionk.K("l1")

    def hand() -> Any:
        return np.abs(g).sum() + (g * (DECAY * x)).sum() + (0.0 if np.abs(DECAY * x).max() <= 1 else np.inf)

    return lambda: lionk.kkt_gap(K, x, g, DECAY), hand


def run() -> Pair:
    """``minimize`` with a certificate and a given lr against a loop of as many steps."""
    x, target = _small()

    def fun(z: Any) -> tuple[float, Any]:
        r = z - target
        return 0.5 * float(r @ r), r

    def certified() -> None:
        lionk.minimize(fun, x, K="l1", weight_decay=DECAY, lr=LR, jac=True, maxiter=STEPS, tol=0.0, atol=0.0)

    def loop() -> None:
        z, m = x, np.zeros_like(x)
        for _ in range(STEPS):
            z, m = _by_hand(z, m, fun(z)[1])

    return certified, loop


def many_tensors() -> Pair:
    """A step of ``lionk_torch.LionK`` on 20 tensors of 100 x 100 against one of lion-pytorch."""
    arrays = speed.Arrays([(100, 100)] * 20)
    return speed.optimizer(arrays), speed.peer(arrays, "lion-pytorch")


def eager_jax() -> Pair:
    """``LionK.step`` on a JAX array, outside any jit, against its arithmetic on NumPy."""
    if find_spec("jax") is None:
        raise NotImplementedError("jax is not installed; pip install 'lionk[jax]'")
    import jax
    import jax.numpy as jnp

    x, g = (jnp.asarray(a, dtype="float32") for a in _small())
    opt = lionk.LionK("l1", LR, BETAS, DECAY)
    state = opt.init(x)

    host, grad = np.asarray(x), np.asarray(g)
    return lambda: jax.block_until_ready(opt.step(x, g, state)[0]), lambda: _by_hand(host, np.zeros_like(host), grad)


def start() -> Pair:
    """A process that makes a K against one that imports lionk's only dependency, both compiled to bytecode before."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def process(code: str) -> speed.Step:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, env=env)

    return process("import lionk; lionk.K('l1')"), process("import array_api_compat")


ROWS: list[tuple[str, str, str, Callable[[], Pair]]] = [
    ("LionK.step, 31 entries, NumPy", "its arithmetic", "3 times", step),
    ("K.subgradient of l1, 31 entries", "numpy.sign", "8 times", subgradient),
    ("kkt_gap of l1, 31 entries", "its arithmetic", "15 us", gap),
    ("minimize, certified, lr given, one step", "a loop by hand", "3 times", run),
    ("torch.optim step, 20 tensors of 100 x 100", "lion-pytorch", "0.8 times", many_tensors),
    ("LionK.step, 31 entries, eager JAX", "its arithmetic on NumPy", "100 us", eager_jax),
    ("python -c \"import lionk; lionk.K('l1')\"", "import array_api_compat", "1.2 times", start),
]
