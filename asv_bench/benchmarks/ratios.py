"""Ratios to the limit of the memory, and to other people's Lion, in one process: what `lionk bench` prints, tracked.

A ratio is the median of those of neighbouring measurements. What a library or a commit lacks is skipped in ``setup``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from . import tools

RUNNERS = ["numpy:numba", "numpy:tiles", "torch:compiled", "torch:tiles", "jax:jit", "torch:numba", "jax:numba"]
FUNCTIONS = ["l1", "huber", "pseudo_huber", "softsign", "log_cosh", "l2", "log_sum_exp"]
SECONDS = 0.5


class Measured:
    """Steps on the same arrays; ``ready`` makes them, ``timings`` are of the limit and of these steps."""

    version = "2"
    timeout = 300

    def ready(self, shapes: Any, *makers: Any) -> None:
        speed = tools("speed")
        arrays = speed.Arrays(shapes)
        self.steps = [speed.limit(arrays, arrays.flat[1].copy()), *(make(speed, arrays) for make in makers)]

    def timings(self) -> list[Any]:
        return list(tools("speed").timings(dict(enumerate(self.steps)), SECONDS).values())

    def ratio(self) -> float:
        """Of the last step to the one before it."""
        *_, first, last = self.timings()
        return float(last.ratio / first.ratio)


def _runner(name: str, K: str = "l1") -> Any:
    library, _, way = name.partition(":")
    return lambda speed, arrays: speed.runner(arrays, library, way, K)


class Function(Measured):
    """One step on 2^22 entries, in multiples of the limit."""

    params = (RUNNERS, FUNCTIONS)
    param_names = ("runner", "K")
    unit = "times the limit"

    def setup(self, runner: str, K: str) -> None:
        self.ready([(1 << 22,)], _runner(runner, K))

    def track_ratio(self, runner: str, K: str) -> float:
        return self.ratio()


class Whole(Measured):
    """One step of a K that is no sum over entries, on 2048 x 2048, in multiples of the limit."""

    params = (RUNNERS, ["top_k", "row_l1_l2", "col_l1_l2"])
    param_names = ("runner", "K")
    unit = "times the limit"

    def setup(self, runner: str, K: str) -> None:
        self.ready([(1 << 11, 1 << 11)], _runner(runner, K))

    def track_ratio(self, runner: str, K: str) -> float:
        return self.ratio()


class Polar(Measured):
    """Muon's matrix function: how many times longer that of torch.optim.Muon takes, at no smaller an error."""

    unit = "times ours"

    def setup(self) -> None:
        self.steps = dict(list(tools("speed").polar_factors().items())[:2])
        if not self.steps:
            raise NotImplementedError("torch is not installed, or has no Muon")

    def track_advantage(self) -> float:
        return 1 / float(list(tools("speed").timings(self.steps, SECONDS).values())[1].ratio)


class Size(Measured):
    """One step of l1 by the number of entries, from 1e2 to 1e8, in multiples of the limit of as many."""

    params = (RUNNERS, [10**k for k in range(2, 9)])
    param_names = ("runner", "n")
    version = "3"
    unit = "times the limit"

    def setup(self, runner: str, n: int) -> None:
        self.ready([(n,)], _runner(runner))

    def track_ratio(self, runner: str, n: int) -> float:
        return self.ratio()


class Model(Measured):
    """One step of l1 on the tensors of a model, in multiples of the limit."""

    params = ([r for r in RUNNERS if not r.startswith("jax:")], ["GPT-2", "ResNet-50", "2,000 x 100"])
    param_names = ("runner", "model")
    unit = "times the limit"

    def setup(self, runner: str, model: str) -> None:
        self.ready(tools("speed").SHAPES[model], _runner(runner))

    def track_ratio(self, runner: str, model: str) -> float:
        return self.ratio()


class Peer(Measured):
    """How many times longer another library's Lion takes than ours, eager against eager and jit against jit."""

    params = (["lion-pytorch", "timm", "pytorch_optimizer", "optax"], ["2^24", "GPT-2", "ResNet-50", "2,000 x 100"])
    param_names = ("peer", "shapes")
    version = "3"
    unit = "times ours"

    def setup(self, peer: str, shapes: str) -> None:
        def ours(speed: Any, arrays: Any) -> Any:
            return speed.runner(arrays, "jax", "jit") if peer == "optax" else speed.optimizer(arrays)

        self.ready(tools("speed").SHAPES[shapes], ours, lambda speed, arrays: speed.peer(arrays, peer))

    def track_advantage(self, peer: str, shapes: str) -> float:
        return self.ratio()


class Option(Measured):
    """How many times longer a step of lionk_torch.LionK takes with an option, on 2048 x 2048."""

    OPTIONS: ClassVar = {
        "maximize": {"maximize": True},
        "coupled decay": {"convention": "coupled"},
        "cautious": {"cautious": "mask"},
        "cautious, rescaled": {"cautious": "rescale"},
        "cautious decay": {"cautious_decay": True},
        "MARS": {"mars": 0.025},
        "bfloat16": {"dtype": "bfloat16"},
        "bfloat16, Kahan": {"dtype": "bfloat16", "rounding": "kahan"},
        "bfloat16, stochastic": {"dtype": "bfloat16", "rounding": "stochastic"},
        "kernels, rows": {"K": {"name": "kernel_lift", "k": "row_l1_l2"}},
    }
    params = list(OPTIONS)
    param_names = ("option",)
    version = "2"
    unit = "times the plain step"

    def setup(self, option: str) -> None:
        shape = (512, 512, 4, 4) if "kernels" in option else (1 << 11, 1 << 11)
        given = self.OPTIONS[option]
        self.ready([shape], *(lambda speed, arrays, o=o: speed.optimizer(arrays, **o) for o in ({}, given)))

    def track_ratio(self, option: str) -> float:
        return self.ratio()


class Bytes(Measured):
    """One step of lionk_torch.LionK with options, on 2^22 entries, in multiples of the time of its own bytes."""

    params = (
        ["cautious", "bfloat16", "bfloat16, Kahan", "bfloat16, stochastic", "float16, Kahan", "MARS"],
        ["default", "eager", "compiled"],
    )
    param_names = ("option", "way")
    unit = "times the limit"

    def setup(self, option: str, way: str) -> None:
        options = tools("options")
        self.share = options.OPTIONS[option].bytes / 20
        given = {"compile": options.WAYS[way], **options.OPTIONS[option].options}
        self.ready([(1 << 22,)], lambda speed, arrays: speed.optimizer(arrays, **given))

    def track_ratio(self, option: str, way: str) -> float:
        return self.ratio() / self.share


class Temporaries:
    """The largest amount of memory that a step of NumPy holds beside its arguments, for each of 2^22 entries."""

    params = (["tiles", "numba", "reference"], ["l1", "relu", "l2", "top_k"])
    param_names = ("runner", "K")
    version = "2"
    unit = "bytes per entry"

    def setup(self, runner: str, K: str) -> None:
        shapes: Any = [(1 << 22,)]
        speed = tools("speed")
        self.step = speed.runner(speed.Arrays(shapes), "numpy", runner, K)
        self.step()

    def track_temporaries(self, runner: str, K: str) -> float:
        return float(tools("counting").peak(self.step)) / (1 << 22)
