"""The derivative of K's value is dK: for automatic differentiation, which would find another one, or NaN, at the points
where a formula has a branch (``|x|`` at 0, a norm at 0), and cannot pass through an iteration.

The library is the one that the array came with: nothing is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from .namespace import Array, astype, kind
from .reductions import inner

Map = Callable[[Array], Array]


def differentiated(x: Array) -> bool:
    """Does the library record x to differentiate through what is made of it?"""
    of = type(x)
    if of.__module__.startswith("torch"):
        torch = sys.modules["torch"]
        if torch.compiler.is_compiling():
            return False
        forward = torch.autograd.forward_ad
        if forward._current_level >= 0 and forward.unpack_dual(x).tangent is not None:
            return True
        return bool(x.requires_grad and torch.is_grad_enabled())
    return of.__module__.startswith("jax") and of.__name__.endswith("Tracer")


def with_derivative(value: Map, derivative: Map, x: Array) -> Array:
    """``value(x)``, 0-d, whose derivative at x is ``derivative(x)``; that of the derivative is found by the library."""
    made: Array = (_torch() if type(x).__module__.startswith("torch") else _jax())(value, derivative, x)
    return made


def _along(derivative: Map, x: Array, t: Array) -> Array:
    """The derivative of the value in the direction t."""
    of = kind(x)
    s, t = (astype(of.xp, a, of.computed) for a in (derivative(x), t))
    return astype(of.xp, inner(of.xp, s, t), of.real_dtype)


@cache
def _torch() -> Any:
    torch: Any = sys.modules["torch"]

    class Value(torch.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(value: Map, _: Map, x: Array) -> Array:
            return value(x)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, _: Array) -> None:
            ctx.derivative = inputs[1]
            ctx.save_for_backward(inputs[2])
            ctx.save_for_forward(inputs[2])

        @staticmethod
        def backward(ctx: Any, grad: Array) -> tuple[None, None, Array]:
            (x,) = ctx.saved_tensors
            return None, None, grad.to(x.dtype) * ctx.derivative(x)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Array:
            return _along(ctx.derivative, ctx.saved_tensors[0], tangents[2])

    return Value.apply


@cache
def _jax() -> Any:
    jax: Any = sys.modules["jax"]

    def call(value: Map, _: Map, x: Array) -> Array:
        return value(x)

    def jvp(value: Map, derivative: Map, primals: Any, tangents: Any) -> tuple[Array, Array]:
        (x,), (t,) = primals, tangents
        return value(x), _along(derivative, x, t)

    made = jax.custom_jvp(call, nondiff_argnums=(0, 1))
    made.defjvp(jvp)
    return made
