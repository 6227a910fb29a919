"""Steps that can be timed here: the runners of the libraries, other people's Lion, and the limit that memory sets.

All of them work on the same numbers in one process. A step reads x, m and the gradient and writes x and m: these are
five streams.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np

import lionk

Step = Callable[[], Any]
Key = TypeVar("Key")
Shapes = list[tuple[int, ...]]

_BLOCK = [(768,), (768,), (768, 2304), (2304,), (768, 768), (768,), (768,), (768,), (768, 3072), (3072,), (3072, 768),
          (768,)]  # fmt: skip


def _resnet() -> Shapes:
    """The parameters of ResNet-50: 25,557,032 in 161 tensors (He and others 2015, arXiv 1512.03385, table 1)."""
    shapes: Shapes = [(64, 3, 7, 7), (64,), (64,)]
    entering = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            for out, inner, kernel in ((width, entering, 1), (width, width, 3), (4 * width, width, 1)):
                shapes += [(out, inner, kernel, kernel), (out,), (out,)]
            if block == 0:
                shapes += [(4 * width, entering, 1, 1), (4 * width,), (4 * width,)]
            entering = 4 * width
    return [*shapes, (1000, 2048), (1000,)]


SHAPES: dict[str, Shapes] = {
    "2^24": [(1 << 12, 1 << 12)],
    "GPT-2": [(50257, 768), (1024, 768), *(12 * _BLOCK), (768,), (768,)],  # 124M parameters in 148 tensors
    "ResNet-50": _resnet(),
    "2,000 x 100": [(100,)] * 2000,
}
LR, DECAY = 1e-4, 0.1
LINE = 16  # entries of a cache line
TURN = 0.05  # seconds for one step, before the next one has its turn
PAUSE = 0.003  # seconds, in which the threads of the last step fall asleep: those of OpenMP spin first


class Arrays:
    """x, m and the gradient as lists of float32 arrays, cut from one block of memory each.

    Between two arrays lie a few unused entries, and each begins a cache line, as if it had been allocated by itself.
    """

    def __init__(self, shapes: Shapes) -> None:
        rng = np.random.default_rng(0)
        sizes = [math.prod(s) for s in shapes]
        ends = np.cumsum([n + LINE + -n % LINE for n in sizes]).tolist()
        self.size = ends[-1] if len(sizes) > 1 else sizes[0]
        self.flat = [rng.standard_normal(self.size, dtype=np.float32) for _ in range(3)]
        cuts = list(zip([0, *ends], sizes, shapes, strict=False))
        self.lists = [[a[i : i + n].reshape(s) for i, n, s in cuts] for a in self.flat]

    def on(self, library: str, device: Any = None) -> list[list[Any]]:
        """The arrays of a library; those of NumPy and PyTorch on the host are the same memory."""
        if library == "numpy":
            return self.lists
        if library == "torch" and device in (None, "cpu"):
            import torch

            return [[torch.from_numpy(a) for a in column] for column in self.lists]
        put = partial(lionk.backends()[library].asarray, device=device)
        return [[put(a) for a in column] for column in self.lists]


def limit(arrays: Arrays, m: Any = None) -> Step:
    """Five streams and two additions, on as many threads: the least time of a step. Compiled where numba is here.

    ``m`` is added to in place of that of the arrays, which other steps read: it would grow from step to step.
    """
    from lionk.recording.threads import run_all

    add = _compiled_add() if find_spec("numba") else _add
    piece = (1 << 18) if find_spec("numba") else (1 << 15)
    x, own, grad = arrays.flat
    flat = x, own if m is None else m, grad
    parts = [tuple(a[i : i + piece] for a in flat) for i in range(0, arrays.size, piece)]
    return lambda: run_all(partial(add, *part) for part in parts)


def _add(x: Any, m: Any, grad: Any) -> None:
    np.add(x, grad, out=x)
    np.add(m, grad, out=m)


def _compiled_add() -> Any:
    from numba import njit

    def add(x: Any, m: Any, grad: Any) -> None:
        for i in range(x.size):
            g = grad[i]
            x[i] += g
            m[i] += g

    return njit(nogil=True, cache=True)(add)  # asv forks a process for each value


def runner(arrays: Arrays, library: str, name: str, K: str = "l1", device: Any = None) -> Step:
    """A step by this runner; "top_k" is of one entry in a hundred.

    Raises NotImplementedError without this runner, as asv takes for a skip.
    """
    backend = lionk.backends()[library]
    if not backend.available() or name not in backend.runners():
        raise NotImplementedError(f"{library} has no runner {name!r} here")
    spec = {"name": K, "k": -(-arrays.size // 100)} if K == "top_k" else K
    run = backend.runner(lionk.LionK(spec, lr=LR, weight_decay=DECAY), name)
    x, m, grad = arrays.on(library, device)

    def step() -> None:
        x[:], m[:] = backend.synchronize(run(x, m, grad))  # JAX gives new arrays, before they are computed

    at_once = library in ("numpy", "torch") and device in (None, "cpu")
    return (lambda: run(x, m, grad)) if at_once else step


def optimizer(arrays: Arrays, dtype: str = "float32", **options: Any) -> Step:
    """A step of ``lionk_torch.LionK``: what PyTorch's users call. Raises NotImplementedError without PyTorch."""
    if find_spec("torch") is None:
        raise NotImplementedError("torch is not installed; pip install 'lionk[torch]'")
    import lionk_torch

    return _stepped(arrays, lionk_torch.LionK, options, dtype)


PEERS = ("lion-pytorch", "timm", "pytorch_optimizer", "optax")


def peer(arrays: Arrays, name: str, foreach: bool = False) -> Step:
    """A step of another library's Lion. Raises NotImplementedError where it is not installed or has no such mode."""
    if name == "optax":
        return _optax(arrays)
    module, cls = {
        "lion-pytorch": ("lion_pytorch", "Lion"),
        "timm": ("timm.optim.lion", "Lion"),
        "pytorch_optimizer": ("pytorch_optimizer", "Lion"),
    }[name]
    if find_spec("torch") is None or find_spec(module.partition(".")[0]) is None:
        raise NotImplementedError(f"{name} is not installed; pip install 'lionk[peers]'")
    if name == "timm":
        _without_vision()
    lion = getattr(importlib.import_module(module), cls)
    if foreach and "foreach" not in inspect.signature(lion).parameters:
        raise NotImplementedError(f"{name} has no foreach")
    return _stepped(arrays, lion, {"foreach": True} if foreach else {})


def _stepped(arrays: Arrays, lion: Any, options: dict[str, Any], dtype: str = "float32") -> Step:
    import torch

    x, _, grad = ([a.to(getattr(torch, dtype)) for a in column] for column in arrays.on("torch"))
    parameters = [torch.nn.Parameter(a) for a in x]
    for p, g in zip(parameters, grad, strict=True):
        p.grad = g
    step: Step = lion(parameters, lr=LR, weight_decay=DECAY, **options).step
    return step


def _without_vision() -> None:
    """Make timm.optim.lion importable by itself: the packages around it import torchvision."""
    spec = find_spec("timm")
    for name in ("timm", "timm.optim"):
        if name not in sys.modules and spec is not None:
            bare = ModuleType(name)
            bare.__spec__ = spec
            folders = spec.submodule_search_locations or ()
            bare.__path__ = [str(Path(folder, *name.split(".")[1:])) for folder in folders]
            sys.modules[name] = bare


def _optax(arrays: Arrays) -> Step:
    if find_spec("optax") is None:
        raise NotImplementedError("optax is not installed; pip install 'lionk[peers]'")
    import jax
    import optax

    lion = optax.lion(LR, 0.9, 0.99, weight_decay=DECAY)

    def update(x: Any, state: Any, grad: Any) -> Any:
        change, state = lion.update(grad, state, x)
        return optax.apply_updates(x, change), state

    fused = jax.jit(update, donate_argnums=(0, 1))
    x, _, grad = arrays.on("jax")
    held = [x, lion.init(x)]

    def step() -> None:
        held[:] = jax.block_until_ready(fused(*held, grad))

    return step


POLAR, MATRIX = "polar factor of 768 x 3072", (768, 3072)
SOLVER = {"tol": 0.35, "resolve": 0.3}  # the matrix has singular values from 28 to 83


def polar_factors() -> dict[str, Step]:
    """Muon's matrix function, that of torch.optim.Muon first; the names tell the error. {} without PyTorch."""
    try:
        import torch
        from torch.optim._muon import _zeropower_via_newtonschulz as muon

        from lionk.arrays.newton_schulz import JORDAN
    except ImportError:
        return {}
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(MATRIX, dtype=np.float32))
    exact = lionk.polar(x.double())
    found: dict[str, Step] = {
        "torch.optim.Muon": partial(muon, x, JORDAN, 5, 1e-7),
        "newton_schulz": partial(lionk.polar, x, "newton_schulz", **SOLVER),
        "newton_schulz, to rounding": partial(lionk.polar, x, "newton_schulz"),
        "svd": partial(lionk.polar, x),
    }
    errors = {
        name: float(torch.linalg.norm(step().double() - exact)) / MATRIX[0] ** 0.5 for name, step in found.items()
    }
    return {f"{name} (error {errors[name]:.2g})": step for name, step in found.items()}


class Timing(NamedTuple):
    """Seconds of a step, and the same in multiples of the step that is the unit."""

    seconds: float
    ratio: float


def timings(steps: dict[Key, Step], seconds: float, least: int = 2) -> dict[Key, Timing]:
    """The median time of each step, and the median of its ratios to the first one, which is timed right before it.

    A memory that is shared with others changes its speed within a second: neighbours see nearly the same. The steps
    take turns of about the same length, ``least`` of them at least.
    """
    first, *others = steps
    for step in steps.values():
        step()  # compile, and touch the memory
    pairs: dict[Key, list[tuple[float, float]]] = {name: [] for name in others}
    start, turns = time.perf_counter(), 0
    while turns < least or time.perf_counter() - start < seconds:
        for name in others:
            shortest = min((t for t, _ in pairs[name]), default=math.inf)
            for _ in range(int(max(1, min(8, TURN / shortest)))):
                _idle(PAUSE)
                unit = _timed(steps[first])
                pairs[name].append((_timed(steps[name]), unit))
        turns += 1
    units = [unit for some in pairs.values() for _, unit in some] or [_timed(steps[first])]
    return {first: Timing(median(units), 1.0)} | {
        name: Timing(median(t for t, _ in some), median(t / unit for t, unit in some)) for name, some in pairs.items()
    }


def _idle(seconds: float) -> None:
    """Wait without sleep, from which a processor wakes up slowly."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def _timed(step: Step) -> float:
    start = time.perf_counter()
    step()
    return max(time.perf_counter() - start, 1e-9)
