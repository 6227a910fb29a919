"""What a backend answers: what is known of an array library beyond the Array API.

Each backend lives in a package of its own, and imports its library when it is first used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from array_api_compat import is_array_api_obj

from ..arrays import namespace as _xp
from ..arrays.containers import tree_map
from ..arrays.namespace import Array, Namespace
from ..errors import NotAvailable

if TYPE_CHECKING:
    from ..optimizer.lion_k import LionK

ValueAndGrad = Callable[[Callable[..., Any]], Callable[..., tuple[Any, Any]]]


class Runner(Protocol):
    """``run(x, m, grad)`` on arrays, or on lists of arrays of one length: the next ``(x, m)``.

    x and m are consumed and may be written in place; grad is read only. ``lr`` and ``weight_decay`` are numbers or real
    0-d arrays (None: those of the optimizer; a schedule must be evaluated by the caller). An optimizer that names
    arrays ``beside`` x and m takes them, and the numbers that go with them, in the dict ``beside``, which the
    reference, NumPy and PyTorch know: they are written in place.
    """

    def __call__(self, x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None) -> tuple[Any, Any]: ...


def reference_runner(opt: LionK) -> Runner:
    """The runner that calls ``opt.update`` for each array: right for every library, and what others are compared to."""
    return opt.run


class Backend(ABC):
    """What lionk knows of one array library. Subclasses are final, and hold no state."""

    name: str  # the key in ``lionk.backends()``
    steps_beside: bool = False  # do its runners take what ``LionK.beside`` names?
    compiles_shapes: bool = False  # does the library compile each operation for each shape?
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

    def bind(self, K: Any, like: Any, batch: int = 0) -> Any:
        """K as ``numbers`` takes it for arrays like these: bound; where ``numbers`` compiles, as it is."""
        return K.bind(like, batch)

    def numbers(self, function: Callable[..., tuple[Any, ...]], *args: Any, **fixed: Any) -> tuple[Any, ...]:
        """``function(*args, **fixed)``, a tuple of numbers and 0-d arrays, as floats, or one of 1-d arrays, as lists of
        them; together where that is cheaper.

        ``args`` are convex functions (see ``bind``), arrays, containers of them, numbers and None; ``fixed`` is
        hashable. A library may compile: ``function`` is one object for all calls, and reads nothing but its arguments.
        """
        found = function(*args, **fixed)
        if not getattr(found[0], "ndim", 0):
            return tuple(map(float, found))
        return tuple([(v if hasattr(v, "tolist") else self.to_host(v)).tolist() for v in found])

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
        if opt.K.traits.structure == "coupled":  # the arrays of a call are not stepped one by one
            return reference_runner(opt)
        if opt.beside and not self.steps_beside:
            raise NotAvailable(
                f"{self.name} makes no steps with {', '.join(opt.beside)} beside x and m (rounding, MARS); the "
                "runners of NumPy and PyTorch do"
            )
        return found[runner or next(iter(found))](opt)

    def adapt(self, obj: Any, request: Any = None) -> Any:  # noqa: ARG002  (a backend with optimizers uses them)
        """A conformance port made from one of the library's optimizers, or None if obj is not one.

        ``request`` is a ``lionk.conformance.ports.names.Request``: what the caller adds, or None.
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
    if not _xp.is_real(f):
        return f"fun must return a real floating-point scalar, got {f.dtype}"
    return ""


def check_differentiable(x: Any) -> None:
    """Refuse leaves that have no gradient, naming the dtype."""
    tree_map(_xp.floating, x)
