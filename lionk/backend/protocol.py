"""Backends: what is known of an array library beyond the Array API. Each lives in its own package and is found here.

A backend answers for one library. ``lionk`` itself never imports one: it asks the installed packages for the entry
points of the group ``lionk.backends``, and a backend imports its library when it is first used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from array_api_compat import is_array_api_obj

from ..arrays import namespace as _xp
from ..arrays.containers import leaves, tree_map
from ..arrays.namespace import Array, Namespace
from ..errors import NotAvailable
from ..functions.base import ConvexFunction
from ..functions.calculus.block_sum import Blocks
from ..optimizer.lion_k import LionK, coefficient

GROUP = "lionk.backends"
ValueAndGrad = Callable[[Callable[..., Any]], Callable[..., tuple[Any, Any]]]


class Runner(Protocol):
    """``run(x, m, grad)`` on arrays, or on lists of arrays of one length: the next ``(x, m)``.

    x and m are consumed and may be written in place; grad is read only. ``lr`` and ``weight_decay`` are numbers or real
    0-d arrays (None: those of the optimizer; a schedule must be evaluated by the caller).
    """

    def __call__(self, x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]: ...


class Backend(ABC):
    """One array library. Subclasses are final, and hold no state."""

    name: str  # the key in ``lionk.backends()``
    small: int = 1 << 16  # entries of x below which ``minimize`` steps without a runner, which needs two copies

    def available(self) -> bool:
        """Can arrays of this library be made here? Never raises."""
        return not self.why_unavailable()

    @abstractmethod
    def why_unavailable(self) -> str:
        """What is missing and how to get it; empty if nothing is. Never raises."""

    @abstractmethod
    def devices(self) -> list[Any]:
        """What ``device=`` takes here, the default first."""

    def describe(self, device: Any) -> str:
        """The device in words: what it is called by its maker, where the library says."""
        return str(device)

    @abstractmethod
    def owns(self, x: Any) -> bool:
        """Is x an array of this library? Imports nothing."""

    @abstractmethod
    def namespace(self) -> Namespace:
        """The library's Array API namespace, of array-api-compat where that wraps it."""

    @abstractmethod
    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Array:
        """A new array with the values of a number, a (nested) list, a NumPy array, or an array of this library.

        It shares no memory with ``a``. ``dtype`` is one of the library, or its name ("float32"); None: that of ``a``.
        """

    @abstractmethod
    def to_host(self, x: Array) -> Any:
        """The values as a new NumPy array; bfloat16, which NumPy lacks, as float32 without rounding."""

    @abstractmethod
    def to_bits(self, x: Array) -> Any:
        """The entries in C order as a 1-d NumPy array of bytes (uint8), for every dtype; ``dtype_name`` says which."""

    @abstractmethod
    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Array:
        """The inverse of ``to_bits``. Raises ValueError if this library has no such dtype."""

    @abstractmethod
    def synchronize(self, x: Any) -> Any:
        """Wait until x, an array or a container of arrays, is computed, and return it so."""

    def settle(self, f: Any, grad: Any) -> tuple[Any, Any]:
        """f and its gradient as they came from a user's function, so that nothing below computes them a second time."""
        return f, grad

    def numbers(self, function: Callable[..., tuple[Any, ...]], *args: Any, **fixed: Any) -> tuple[float, ...]:
        """``function(*args, **fixed)``, a tuple of numbers and 0-d arrays, as floats; together where that is cheaper.

        ``args`` are convex functions, arrays, containers of them, numbers and None; ``fixed`` is hashable. A library
        may compile: ``function`` is one object for all calls, and reads nothing but its arguments.
        """
        return tuple(float(v) for v in function(*args, **fixed))

    @property
    def value_and_grad(self) -> ValueAndGrad | None:
        """``value_and_grad(fun)(x, *args) -> (f, grad)``, or None (here) where the library does not differentiate.

        x is an array or a container of them, and so is grad, the direction of steepest ascent:
        ``f(x + d) ~ f + Re<grad, d>``.
        """
        return None

    def runners(self) -> dict[str, Callable[[LionK], Runner]]:
        """The ways of this library to make a step, by name, the default first. Each equals ``opt.update``."""
        return {"reference": reference_runner}

    def runner(self, opt: LionK, runner: str | None = None) -> Runner:
        """The fastest way here to make the step of ``opt``, or the one of this name; "reference" is always there.

        Raises ValueError for a name that this library does not have.
        """
        found = self.runners()
        if runner is not None and runner not in found:
            raise ValueError(f"{self.name} has no runner {runner!r}; choose one of {', '.join(map(repr, found))}")
        return found[runner or next(iter(found))](opt)

    def adapt(self, obj: Any, request: Any = None) -> Any:  # noqa: ARG002  (a backend with optimizers uses them)
        """A conformance port made from one of the library's optimizers, or None if obj is not one.

        ``request`` is a ``lionk.conformance.adapters.Request``: what the caller adds, or None.
        """
        return None

    def assignment(self, scores: Any) -> Any:  # noqa: ARG002  (NumPy's answers)
        """See ``lionk.backend.assignment``; for arrays on the host."""
        raise NotAvailable("an assignment is found on the host, by the numpy backend")

    @abstractmethod
    def random(self, seed: int, count: int, *, device: Any = None) -> Any:
        """The library's own random generator, made from two numbers: the same at every restart from step ``count``."""

    def __repr__(self) -> str:
        return f"<lionk backend {self.name!r}>"


def backends() -> dict[str, Backend]:
    """The installed backends by name, available or not.

    Raises RuntimeError if there are none, which means that lionk was put on the path but not installed.

    >>> import lionk.backend
    >>> "numpy" in lionk.backend.backends()
    True
    """
    return dict(_discovered())


@cache
def _discovered() -> dict[str, Backend]:
    from importlib.metadata import entry_points  # imported here: it costs more than the rest of lionk

    found: dict[str, Backend] = {e.name: e.load() for e in entry_points(group=GROUP)}
    if not found:
        raise RuntimeError(
            f"no entry point of the group {GROUP!r} is installed, so there is no backend; install lionk with pip "
            "(a checkout: pip install -e .)"
        )
    return found


def backend_of(x: Any) -> Backend:
    """The backend of an array, or of the first array of a container; a ``GenericBackend`` for other libraries.

    Raises TypeError if x is, or holds, no array.
    """
    arrays = leaves(x)
    if not arrays:
        raise TypeError(f"an array is needed to know the library from, got an empty {type(x).__name__}")
    xp = _xp.namespace(arrays[0])
    return next((b for b in _discovered().values() if b.owns(arrays[0])), None) or GenericBackend(xp)


def assignment(scores: Array) -> Array:
    """The permutation matrices P with the largest ``sum P * scores``, by SciPy on the host; any leading axes.

    Raises NotAvailable where SciPy is not installed.
    """
    here = backend_of(scores)
    picked = _host().assignment(here.to_host(scores))
    return here.asarray(picked, dtype=scores.dtype, device=_xp.device(scores))


class GenericBackend(Backend):
    """A library that only speaks the Array API (array-api-strict, ...): the reference runner, values through NumPy."""

    def __init__(self, xp: Namespace) -> None:
        self._namespace = xp
        self.name = xp.__name__

    def why_unavailable(self) -> str:
        return ""

    def devices(self) -> list[Any]:
        return list(self._namespace.__array_namespace_info__().devices())

    def owns(self, x: Any) -> bool:
        return is_array_api_obj(x) and _xp.array_namespace(x) is self._namespace

    def namespace(self) -> Namespace:
        return self._namespace

    def asarray(self, a: Any, *, dtype: Any = None, device: Any = None) -> Array:
        xp = self._namespace
        if _host().owns(a):
            a = _host().asarray(a)  # in the layout and byte order that every library takes
        return xp.asarray(a, dtype=resolve_dtype(xp, dtype), device=device, copy=True)

    def to_host(self, x: Array) -> Any:
        return _host().asarray(x)

    def to_bits(self, x: Array) -> Any:
        return _host().to_bits(_host().asarray(x))

    def from_bits(self, bits: Any, dtype: str, shape: tuple[int, ...], *, device: Any = None) -> Array:
        return self.asarray(_host().from_bits(bits, dtype, shape), dtype=dtype, device=device)

    def synchronize(self, x: Any) -> Any:
        return x

    def random(self, seed: int, count: int, *, device: Any = None) -> Any:  # noqa: ARG002  (drawn on the host)
        """NumPy's generator: the standard has none."""
        return _host().random(seed, count)


def _host() -> Backend:
    return _discovered()["numpy"]


def reference_runner(opt: LionK) -> Runner:
    """The runner that calls ``opt.update`` for each array: right for every library, and what others are compared to."""

    def run(x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]:
        rate, decay, jobs = arguments(opt, x, m, grad, lr, weight_decay)
        return results(x, [opt.update(a, b, g, rate, decay, K=k) for a, b, g, k in jobs])

    return run


def coefficients(opt: LionK, lr: Any, weight_decay: Any) -> tuple[Any, Any]:
    """lr and weight decay of a step, checked. Raises ValueError if there is no lr but a schedule."""
    if lr is None and callable(opt.lr):
        raise ValueError("the learning rate is a schedule; pass its value at this step, lr=opt.lr(count)")
    decay = opt.weight_decay if weight_decay is None else coefficient("weight_decay", weight_decay)
    return coefficient("lr", opt.lr if lr is None else lr), decay


def arguments(
    opt: LionK, x: Any, m: Any, grad: Any, lr: Any, weight_decay: Any
) -> tuple[Any, Any, list[tuple[Array, Array, Array, ConvexFunction]]]:
    """What a runner was called with, checked: lr, weight decay, and ``(x, m, grad, K)`` for each array."""
    rate, decay = coefficients(opt, lr, weight_decay)
    if not isinstance(x, list):
        return rate, decay, [(x, m, grad, opt.K)]
    functions = opt.K.tree if isinstance(opt.K, Blocks) else [opt.K] * len(x)
    lengths = [len(v) if isinstance(v, list) else None for v in (x, m, grad, functions)]
    if lengths != [len(x)] * 4:
        raise ValueError(f"x, m, grad and the blocks of K must be lists of one length, got {lengths}")
    return rate, decay, list(zip(x, m, grad, functions, strict=True))


def results(x: Any, pairs: list[tuple[Array, Array]]) -> tuple[Any, Any]:
    """What a runner returns: like x, an array or a list of arrays."""
    return ([a for a, _ in pairs], [b for _, b in pairs]) if isinstance(x, list) else pairs[0]


def check_memory(
    jobs: list[tuple[Array, Array, Array, ConvexFunction]],
    span: Callable[[Array], tuple[int, int]],
    share: Callable[[Array, Array], bool],
) -> None:
    """Refuse different shapes, and arrays to be stepped in place whose memory is shared.

    ``span(a)``: the first address of an array and the one behind its last; ``share(a, b)``: have they an entry in
    common? Raises ValueError.
    """
    for x, m, grad, _ in jobs:
        if not x.shape == m.shape == grad.shape:
            shapes = ", ".join(str(tuple(a.shape)) for a in (x, m, grad))
            raise ValueError(f"x, m and grad must have one shape, got {shapes}")
    spans = sorted((*span(a), k) for k, a in enumerate(a for job in jobs for a in job[:3]))
    reach = 0  # of the arrays that start before the next one
    for place, (start, end, k) in enumerate(spans):
        if start < reach and end > start:
            for _, other_end, j in spans[:place]:
                written = k % 3 < 2 or j % 3 < 2  # not two gradients
                if start < other_end and written and share(jobs[k // 3][k % 3], jobs[j // 3][j % 3]):
                    raise ValueError(
                        "x and m are stepped in place, and may share no memory with each other or with grad; copy one "
                        "of them first"
                    )
        reach = max(reach, end)


# -- what backends share ------------------------------------------------------------------------------------------


def dtype_name(x: Array) -> str:
    """The dtype in the words of the standard, the same in every library: "float32", "bfloat16", ..."""
    return getattr(x.dtype, "name", None) or str(x.dtype).rpartition(".")[2]


def resolve_dtype(xp: Namespace, dtype: Any) -> Any:
    """A dtype of ``xp`` from its name, or as it is. Raises ValueError if the library has none of this name."""
    if not isinstance(dtype, str):
        return dtype
    found = getattr(xp, dtype, None)
    if found is None:
        raise ValueError(f"{xp.__name__} has no dtype {dtype!r}; convert the array first, e.g. to float32")
    return found


def missing(module: str, extra: str | None = None) -> str:
    """Why a library that is not installed is unavailable; empty if it is installed. Imports nothing."""
    from importlib.util import find_spec

    if find_spec(module) is not None:
        return ""
    what = f"'lionk[{extra}]'" if extra else module
    return f"{module} is not installed; pip install {what}"


def seed_of(seed: int, count: int) -> int:
    """63 bits mixed from two numbers, the same on every machine and in every version."""
    from hashlib import blake2b

    return int.from_bytes(blake2b(f"{seed} {count}".encode(), digest_size=8).digest(), "little") >> 1


def scalar_problem(f: Any) -> str:
    """What is wrong with the value of a function to differentiate; empty if it is a real 0-d array."""
    if not is_array_api_obj(f):
        return f"fun must return a 0-d array computed from x by its own library, got {type(f).__name__}"
    if tuple(f.shape) != ():
        return f"fun must return a scalar (a 0-d array), got shape {tuple(f.shape)}; sum or average it"
    if not _xp.is_real(_xp.array_namespace(f), f):
        return f"fun must return a real floating-point scalar, got {f.dtype}"
    return ""


def check_differentiable(x: Any) -> None:
    """Refuse leaves that have no gradient, naming the dtype."""
    tree_map(lambda a: _xp.check_floating(_xp.namespace(a), a), x)
