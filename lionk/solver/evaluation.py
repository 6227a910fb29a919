"""f and its gradient, as `minimize` was given them: checked, and with the batch of each step."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import is_container, leaves, named_leaves
from ..backend.protocol import Backend


class Value(NamedTuple):
    """What came of a point: ``f`` as a float, the gradient, and whether all of its entries are finite."""

    f: float
    grad: Any
    finite: bool


class Evaluation:
    """f and its gradient at a point, checked."""

    def __init__(self, fun: Any, jac: Any, backend: Backend, batches: Any, seed: int | None) -> None:
        if batches is not None and seed is not None:
            raise ValueError("give batches or seed, not both: each is the second argument of fun")
        self.stochastic = batches is not None or seed is not None
        self.backend, self.batches, self.seed = backend, batches, seed
        self._items = None if batches is None or callable(batches) else iter(batches)
        if jac is True:
            self._both = fun
        elif callable(jac):
            self._both = lambda *a: (fun(*a), jac(*a))
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
        extra: tuple[Any, ...] = ()
        if self._items is not None:
            try:
                extra = (next(self._items),)
            except StopIteration:
                return None
        elif self.batches is not None:
            extra = (self.batches(count),)
        elif self.seed is not None:
            extra = (self.backend.random(self.seed, count),)
        out = self._both(x, *extra)
        if not (isinstance(out, tuple) and len(out) == 2):
            raise TypeError(f"fun must return (f, grad) with jac=True, got {type(out).__name__}")
        f, grad = out
        if not hasattr(f, "ndim") and not isinstance(f, numbers.Real):
            raise TypeError(f"f must be a real number or a 0-d array, got {type(f).__name__}")
        if getattr(f, "ndim", 0) != 0:
            raise ValueError(f"f must be a number or a 0-d array, got shape {tuple(f.shape)}")
        paths = [p for p, _ in named_leaves(x)]
        if is_container(grad) != is_container(x) or [p for p, _ in named_leaves(grad)] != paths:
            what = f"a container like x, with {paths}" if is_container(x) else "an array like x"
            raise ValueError(f"the gradient must be {what}, got {type(grad).__name__}")
        for (path, a), b in zip(named_leaves(grad), leaves(x), strict=True):
            if tuple(getattr(a, "shape", (None,))) != tuple(b.shape):
                where = f" at {path}" if path else ""
                raise ValueError(
                    f"the gradient{where} must have shape {tuple(b.shape)}, got {getattr(a, 'shape', a)!r}"
                )
        f, grad = self.backend.settle(f, grad)
        value, *finite = self.backend.numbers(_value_and_finite, f, grad)
        return Value(value, grad, all(finite))


def _value_and_finite(f: Any, grad: Any) -> tuple[Any, ...]:
    return f, *(is_finite(g) for g in leaves(grad))


def is_finite(a: Any) -> Any:
    """Are all entries? 0-d."""
    xp = _xp.namespace(a, name="the gradient")
    return xp.all(xp.isfinite(a))
