"""The options of ``lionk solve``, read and checked before any work: what a run needs."""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import lionk
from lionk.errors import reason
from lionk.theory import nearest_feasible

from ..console import BadInput, Failed, bad_input, one_of
from ..files import output_path
from ..functions import build_k
from .model import Problem

SCHEDULES: dict[str, Callable[[float, int], Callable[[int], float]]] = {
    # name: (lr, maxiter) -> schedule of the count
    "constant": lambda lr, n: lambda count: lr,  # noqa: ARG005
    "inverse-sqrt": lambda lr, n: lambda count: lr / math.sqrt(1 + count),  # noqa: ARG005
    "linear": lambda lr, n: lambda count: lr * max(1 - count / (n + 1), 0.0),
    "cosine": lambda lr, n: lambda count: lr * 0.5 * (1 + math.cos(math.pi * min(count / (n + 1), 1.0))),
}


@dataclass(frozen=True)
class Setup:
    """Everything that a run needs, checked; ``report`` and ``figures`` read from it."""

    problem: Problem
    K: lionk.ConvexFunction
    k_text: str
    weight_decay: float
    lr: float | None
    schedule: str
    betas: tuple[float, float]
    decay: str
    backend: Any
    device: Any
    dtype: str
    maxiter: int
    tol: float
    atol: float
    seed: int | None

    @property
    def tolerance(self) -> str:
        """The tolerance of the gap, in words."""
        return f"{self.tol:g} |F|" + (f" + {self.atol:g}" if self.atol else "")

    @property
    def rate(self) -> Callable[[int], float] | None:
        """The schedule for ``minimize``; None is its rule."""
        return None if self.lr is None else SCHEDULES[self.schedule](self.lr, self.maxiter)

    @property
    def arguments(self) -> dict[str, Any]:
        """What ``minimize`` is given beside f and the start."""
        same = {name: getattr(self, name) for name in ("K", "weight_decay", "betas", "decay", "tol", "atol", "maxiter")}
        return {**same, "lr": self.rate, "jac": True, "convex": True}


def read_k(text: str) -> lionk.ConvexFunction:
    """K from ``NAME[:param=value,...]``."""
    with bad_input(BadInput, of=f"--k {text}: "):
        return build_k(text)


def check_rate(lr: float | None, schedule: str) -> None:
    """Do the two options go together?"""
    one_of(SCHEDULES, schedule, "--schedule")
    if lr is None and schedule != "constant":
        raise BadInput(
            f"--schedule {schedule} shapes --lr, which is missing; without both, lionk finds the rate itself"
        )
    if lr is not None and not 0 < lr < math.inf:
        raise BadInput(f"--lr must be a finite number > 0, got {lr}")


def read_betas(text: str) -> tuple[float, float]:
    try:
        b1, b2 = (float(b) for b in text.split(","))
    except ValueError:
        raise BadInput(f"--betas {text}: two numbers with a comma are needed, such as 0.9,0.99") from None
    return b1, b2


def read_backend(name: str, device: str | None, dtype: str) -> tuple[Any, Any]:
    """The backend and its device, after a first array."""
    known = lionk.backends()
    one_of(sorted(known), name, "--backend")
    if dtype not in ("float64", "float32"):
        raise BadInput(f"--dtype {dtype}: choose float64 or float32")
    if dtype == "float64":
        os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when that library is imported, which is later
    backend = known[name]
    if not backend.available():
        raise BadInput(f"--backend {name} cannot be used here: {backend.why_unavailable()}")
    place = None
    if device is not None:
        found = {str(d): d for d in backend.devices()}
        if device not in found:
            raise BadInput(f"--device {device}: {name} has {', '.join(found)} here")
        place = found[device]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the dtype that comes back is checked instead
        first = backend.asarray([0.0], dtype=dtype, device=place)
    if dtype not in str(first.dtype):
        raise BadInput(f"--dtype {dtype}: {name} gives {first.dtype} here; use --dtype float32")
    return backend, place


def checkpoint_path(text: str) -> Path | None:
    """The file to save the run in, checked before the work begins; None for "none"."""
    from lionk.checkpoint.file import check

    path = output_path(text, "--checkpoint")
    try:
        if path is not None:
            check(path)
    except ImportError as error:  # of what checkpoints need
        raise Failed(str(error)) from None
    except OSError as error:
        raise BadInput(f"--checkpoint: {error}") from None
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What the checkpoint of a run says of it."""
    from lionk.checkpoint.file import load
    from lionk.solver.progress import check

    with bad_input(ValueError, OSError, of="--checkpoint "):
        meta = load(path, lionk.backends()["numpy"])[1]
        check(path, meta)
    return meta


def start_of(setup: Setup) -> Any:
    """The feasible point nearest to 0, or, with a seed, normal numbers of the size of the constraint."""
    shape, radius = setup.problem.shape, 1 / (setup.weight_decay or 1.0)
    put = functools.partial(setup.backend.asarray, dtype=setup.dtype, device=setup.device)
    if setup.seed is not None:
        return put(np.random.default_rng(setup.seed).standard_normal(shape) * radius)
    return nearest_feasible(setup.K, put(np.zeros(shape)), setup.weight_decay)


def check_fits(setup: Setup) -> None:
    """Has K, for parameters of this shape, what a run needs?"""
    x = np.zeros(setup.problem.shape)
    try:
        setup.K.subgradient(x)
        if setup.weight_decay:
            setup.K.conjugate.value(x)
    except (ValueError, TypeError, lionk.NotAvailable) as error:
        hint = ", a matrix with --loss softmax" if setup.K.traits.structure == "matrix" and x.ndim == 1 else ""
        text = f"{reason(error).strip()}; the parameter here has shape {x.shape}{hint}"
        raise BadInput(f"--k {setup.k_text}: {text}") from None


def check_resumed(setup: Setup, saved: dict[str, Any], f: float) -> None:
    """Is this the run that was saved? ``minimize`` compares K, lam and betas; f is that of the start."""
    history, made = saved["history"], saved["count"]
    advice = "resume with the same settings, or start anew with another file"
    if made > setup.maxiter:
        raise BadInput(f"--maxiter {setup.maxiter}: the saved run has made {made} steps, which count; allow more")
    first = [*history["f"], saved["f"]][0]
    if not math.isclose(f, first, rel_tol=1e-4):
        raise BadInput(f"the saved run began where f = {first:.9g}, and this one, by --seed, K, weight decay and data, "
                       f"where f = {f:.9g}; {advice}")  # fmt: skip
    rate, found = setup.rate, saved["rule"] is not None  # the rate of the rule, if there was no --lr
    if found != (rate is None) or (rate and any(lr != rate(i) for i, lr in enumerate(history["lr"]))):
        raise BadInput(f"the saved run had other rates, by --lr and --schedule (and --maxiter for some); {advice}")
