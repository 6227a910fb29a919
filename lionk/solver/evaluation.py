"""f and its gradient, as `minimize` was given them: checked, and with the batch of each step."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import SHORT, is_container, leaves, named_leaves, tree_map
from ..backend.protocol import Backend


class Value(NamedTuple):
    """What came of a point: ``f`` as a float, the gradient, and whether both are finite."""

    f: float
    grad: Any
    finite: bool


class Evaluation:
    """f and its gradient at a point, checked.

    What is handed out and what is taken in are copies: f may work in the array that it gets, and use one buffer for all
    of its gradients.
    """

    def __init__(self, fun: Any, jac: Any, backend: Backend, batches: Any, seed: int | None) -> None:
        if batches is not None and seed is not None:
            raise ValueError("give batches or seed, not both: each is the second argument of fun")
        self.stochastic = batches is not None or seed is not None
        self.backend, self.batches, self.seed = backend, batches, seed
        self._both: Callable[..., Any]
        self.eps = 0.0  # the least precise numbers that came of f so far, where they may be less precise than x
        self._items = None if batches is None or callable(batches) else iter(batches)
        self._theirs = jac is not None  # is the gradient in an array of the user's?
        if jac is True:
            self._both = fun
        elif callable(jac):
            self._both = lambda x, *a: (fun(_copied(x), *a), jac(x, *a))
        elif jac is None and backend.value_and_grad is not None:
            self._both = backend.value_and_grad(fun)
        elif jac is None:
            raise ValueError(
                f"{backend.name} arrays have no automatic differentiation: pass jac=True (fun returns f and its "
                "gradient) or jac=callable, or use torch or JAX arrays"
            )
        else:
            raise TypeError(f"jac must be True, a callable or None, got {jac!r}")

    def skip(self, count: int) -> None:
        """After a resume: an iterable is advanced to where it was."""
        if self._items is not None:
            for _ in range(count):
                next(self._items, None)

    def __call__(self, x: Any, count: int) -> Value | None:
        """None when the batches are used up."""
        extra = self._extra(count) if self.stochastic else ()
        if extra is None:
            return None
        of = _xp.seen(x)
        return self._checked(x, self._both(_copied(x) if of is None else of.asarray(x, copy=True), *extra), of)

    def bound(self, like: Any) -> Callable[[Any, int], Value | None]:
        """The same for arrays like this one: what is asked of short vectors of NumPy at each step is looked up once."""
        of = _xp.seen(like)
        if self.stochastic or of is None or of.ufuncs is None or not of.real or like.ndim != 1 or like.size > SHORT:
            return self
        kind, dtype, shape = type(like), like.dtype, like.shape
        both, copied, theirs = self._both, of.asarray, self._theirs
        isfinite, product = math.isfinite, of.ufuncs.vdot

        def evaluate(x: Any, _: int) -> Value:
            out = both(copied(x, copy=True))
            if type(out) is tuple and len(out) == 2:
                f, grad = out
                if isinstance(f, float) and type(grad) is kind and grad.dtype is dtype and grad.shape == shape:
                    grad = copied(grad, copy=True) if theirs else grad
                    if isfinite(product(grad, grad)) and isfinite(f):
                        return Value(float(f), grad, True)
            return self._checked(x, out, of)

        return evaluate

    def _checked(self, x: Any, out: Any, of: Any) -> Value:
        """What came of f at x; ``of``: what is known of x, if it is one array."""
        if not (isinstance(out, tuple) and len(out) == 2):
            raise TypeError(f"fun must return (f, grad) with jac=True, got {type(out).__name__}")
        f, grad = out
        if not isinstance(f, float):
            f = _checked_value(f)
            if hasattr(f, "dtype"):
                self.eps = max(self.eps, _xp.kind(f, "f").eps)
        if of is None or type(grad) is not type(x) or grad.dtype != x.dtype or grad.shape != x.shape:
            grad = _checked_gradient(_copied(grad) if self._theirs else grad, x)
            self.eps = max(self.eps, *map(_xp.eps, leaves(grad)))
            grad = tree_map(_widened, grad, x)
        elif self._theirs:
            grad = of.asarray(grad, copy=True)
        if of is not None and of.ufuncs is not None and isinstance(f, float):  # nothing is to be waited for
            return Value(float(f), grad, math.isfinite(f) and bool(is_finite(grad)))
        f, grad = self.backend.settle(f, grad)
        value, *finite = self.backend.numbers(_value_and_finite, f, grad)
        return Value(value, grad, all(finite) and math.isfinite(value))

    def _extra(self, count: int) -> tuple[Any, ...] | None:
        """What f takes beside x at this step of a stochastic run; None when the batches are used up."""
        if self._items is not None:
            try:
                return (next(self._items),)
            except StopIteration:
                return None
        if self.batches is not None:
            return (self.batches(count),)
        assert self.seed is not None
        return (self.backend.random(self.seed, count),)


def _checked_value(f: Any) -> Any:
    """Refuse what is no real number; an array of one entry loses its axes."""
    if isinstance(f, bool) or (not hasattr(f, "ndim") and not isinstance(f, numbers.Real)):
        raise TypeError(f"f must be a real number or a 0-d array, got {type(f).__name__}")
    xp: Any = _xp.namespace(f, name="f") if hasattr(f, "ndim") else None
    if getattr(f, "ndim", 0):
        if math.prod(f.shape) != 1:
            raise ValueError(f"f must be a number or an array of one entry, got shape {tuple(f.shape)}")
        f = xp.reshape(f, ())
    return f


def _checked_gradient(grad: Any, x: Any) -> Any:
    """Refuse what is no array, or container, like x.

    Keys may come in another order, as JAX sorts them.
    """
    paths, theirs = ([p for p, _ in named_leaves(tree)] for tree in (x, grad))
    if is_container(grad) != is_container(x) or set(theirs) != set(paths):
        what = f"a container like x, with {paths}" if is_container(x) else "an array like x"
        wrap = "" if is_container(x) else "; wrap a list or a tuple, e.g. numpy.asarray(grad, dtype=float)"
        raise ValueError(
            f"the gradient must be {what}, got {type(grad).__name__}" + (f" with {theirs}" if is_container(x) else wrap)
        )
    try:
        grad = tree_map(lambda _, a: a, x, grad)
    except ValueError as error:
        raise ValueError(f"the gradient must be a container like x: {error}") from None
    for (path, a), b in zip(named_leaves(grad), leaves(x), strict=True):
        where = f" at {path}" if path else ""
        if tuple(getattr(a, "shape", (None,))) != tuple(b.shape):
            got = tuple(a.shape) if hasattr(a, "shape") else type(a).__name__
            raise ValueError(f"the gradient{where} must have shape {tuple(b.shape)}, got {got}")
        library, ours = _xp.namespace(a, name="the gradient"), _xp.namespace(b)
        if library is not ours:
            raise TypeError(
                f"the gradient{where} is an array of {_library(library)}, but x is one of {_library(ours)}: return "
                "the gradient in the library of x"
            )
        kind, like = _xp.kind(a), _xp.kind(b)
        if not (kind.real or (kind.complex and like.complex)):
            raise TypeError(
                f"the gradient{where} has dtype {a.dtype}, but x has {b.dtype}: return the gradient in the dtype of x"
            )
    return grad


def _widened(a: Any, b: Any) -> Any:
    """Fewer digits than those of x are widened to them."""
    return _xp.astype(_xp.namespace(b), a, b.dtype) if _xp.eps(a) > _xp.eps(b) else a


def _copied(x: Any) -> Any:
    """The arrays of x anew; what is no array stays, to be refused by its check."""
    of = _xp.seen(x)
    if of is not None:
        return of.asarray(x, copy=True)

    def copy(a: Any) -> Any:
        return _xp.kind(a, "the gradient").asarray(a, copy=True) if _xp.is_array_api_obj(a) else a

    return tree_map(copy, x)


def _library(xp: Any) -> str:
    return str(xp.__name__).removeprefix("array_api_compat.").partition(".")[0]


def _value_and_finite(f: Any, grad: Any) -> tuple[Any, ...]:
    return f, *(map(is_finite, leaves(grad)) if _xp.seen(grad) is None else (is_finite(grad),))


def is_finite(a: Any) -> Any:
    """Are all entries? 0-d, or True: where the squares of a short vector have a finite sum, which costs less."""
    of = _xp.kind(a, "the gradient")
    if of.visible and of.real and a.ndim == 1 and a.shape[0] <= SHORT:
        product = of.dot if of.ufuncs is None else of.ufuncs.vdot  # which does not warn where it overflows
        if math.isfinite(product(a, a)):
            return True
    return of.all(of.xp.isfinite(a), tuple(range(a.ndim)))


def in_range(a: Any) -> bool:
    """Is |a|^2 finite? Asked of NumPy's arrays, since the library warns where products overflow."""
    of = _xp.kind(a)
    return of.ufuncs is None or of.low or math.isfinite(abs(of.ufuncs.vdot(a, a)))
