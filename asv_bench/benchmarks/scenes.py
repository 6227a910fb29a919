"""What users pay for, in multiples of a reference loop in the same process: medians over pairs that take turns."""

from __future__ import annotations

from . import tools

# As ``TRACKED`` of lionk/app/bench/timing.py; written down so that it is the same for every commit.
SCENES = tools("tracked").TRACKED


class Scene:
    """A call of lionk on small arrays, or a step of a runner, against the reference loop."""

    params = SCENES
    param_names = ("scene",)
    version = "1"
    unit = "times the reference loop"
    timeout = 300

    def setup(self, scene: str) -> None:
        self.clocks = tools("timing").prepared(scene)

    def track_ratio(self, scene: str) -> float:
        return float(tools("timing").measured(*self.clocks))


class Growth:
    """A step of a runner by the number of entries, and by the number of tensors, against five streams of its memory."""

    RUNNERS = ("numpy:tiles", "numpy:numba", "torch:tiles", "torch:numba", "torch:compiled", "jax:jit")
    params = (RUNNERS, ["1 x 1e2", "1 x 1e4", "1 x 1e6", "1 x 1e7", "10 x 1e3", "1e2 x 1e3", "1e3 x 1e3", "1e4 x 1e2"])
    param_names = ("runner", "tensors x entries")
    version = "1"
    unit = "times five streams"
    timeout = 300

    def setup(self, runner: str, model: str) -> None:
        timing, steps = tools("timing"), tools("steps")
        library, _, name = runner.partition(":")
        count, size = (int(float(v)) for v in model.split(" x "))
        if library == "jax" and count > 1000:
            raise NotImplementedError("XLA compiles a program of ten thousand arrays for longer than five minutes")
        if not steps.available(library):
            raise NotImplementedError(f"{library} is not installed")
        step = steps.Stepped(library, name, [size] * count)
        self.clocks = timing.clock(timing.reference(count * size)), timing.clock(step)

    def track_ratio(self, runner: str, model: str) -> float:
        return float(tools("timing").measured(*self.clocks))


class FirstCall:
    """The first step of a runner in a new process, compilation included, in multiples of the next ones."""

    params = Growth.RUNNERS
    param_names = ("runner",)
    version = "1"
    unit = "times a later step"
    timeout = 300

    def setup(self, runner: str) -> None:
        steps = tools("steps")
        library, _, name = runner.partition(":")
        if not steps.available(library):
            raise NotImplementedError(f"{library} is not installed")
        self.step = steps.Stepped(library, name, [1 << 20])

    def track_ratio(self, runner: str) -> float:
        timing = tools("timing")
        first: float = timing.timed(self.step, 1)
        return first / timing.clock(self.step)()


class UnderJit:
    """`lionk_jax.lion_k` under a user's jit against `optax.lion` under the same, on a tree of 50 arrays of 100."""

    version = "1"
    unit = "times optax.lion"
    timeout = 300

    def setup(self) -> None:
        self.steps = tools("on_jax").both()

    def track_ratio(self) -> float:
        timing = tools("timing")
        return float(timing.measured(*map(timing.clock, self.steps)))


class Start:
    """A new interpreter that does this, in multiples of one that does nothing."""

    CODES = {
        "import lionk": "import lionk",
        "K('l1')": "import lionk; lionk.K('l1')",
        "backends": "import lionk; lionk.backends()",
        "lionk --version": "import sys; sys.argv = ['lionk', '--version']; from lionk.app import main; main()",
        "lionk --help": "import sys; sys.argv = ['lionk', '--help']; from lionk.app import main; main()",
        "lionk functions l1": "import sys; sys.argv = ['lionk', 'functions', 'l1']; from lionk.app import main; main()",
        "import array_api_compat": "import array_api_compat",
        "import numpy": "import numpy",
    }
    params = list(CODES)
    param_names = ("code",)
    version = "1"
    unit = "times an empty interpreter"
    timeout = 300

    def track_ratio(self, code: str) -> float:
        timing = tools("timing")
        return float(timing.measured(timing.process("pass"), timing.process(self.CODES[code]), seconds=2.0))


class Projection:
    """A projection on the domain of K*, by size, against five streams of its memory: sorts, fits and iterations."""

    params = (["l1", "linf", "l2", "owl", "top_k", "k_support", "capped_simplex"], [100, 10_000, 1_000_000])
    param_names = ("K", "n")
    version = "1"
    unit = "times five streams"
    timeout = 300

    def setup(self, K: str, n: int) -> None:
        import numpy as np

        import lionk

        timing = tools("timing")
        y = 10 * np.random.default_rng(0).standard_normal(n)
        given = {"k": n // 100} if K in ("top_k", "k_support", "capped_simplex") else {}
        domain = lionk.K(K, **given).conjugate.domain
        self.clocks = timing.clock(timing.reference(n)), timing.clock(lambda: domain.project(y))

    def track_ratio(self, K: str, n: int) -> float:
        return float(tools("timing").measured(*self.clocks))


class StateBytes:
    """Bytes of state for each parameter."""

    params = (["numpy", "torch", "jax", "dask"], [None, "float64"])
    param_names = ("library", "state_dtype")
    version = "2"
    unit = "bytes"

    def setup(self, library: str, state_dtype: str | None) -> None:
        import lionk

        if not tools("steps").available(library):
            raise NotImplementedError(f"{library} is not installed")
        if library == "jax" and state_dtype == "float64":
            raise NotImplementedError("JAX has no float64 unless it is switched on")
        x = lionk.backends()[library].asarray([[0.0] * 100] * 100, dtype="float32")
        self.m = lionk.LionK("l1", 0.1, state_dtype=state_dtype).init(x).m

    def track_state(self, library: str, state_dtype: str | None) -> float:
        return float(self.m.dtype.itemsize)
