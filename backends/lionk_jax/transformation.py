"""`lion_k`, an optax GradientTransformation. It keeps trees and schedules in optax's order; the step is lionk's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lionk.functions import ConvexFunction
from lionk.functions.calculus.block_sum import Blocks
from lionk.optimizer import variants

from ._pytrees import register_pytrees


class LionKState(NamedTuple):
    """State of ``lion_k``."""

    count: Any  # () int32: steps made
    m: Any  # like the parameters, dtype mu_dtype: the average of MINUS the gradients


def lion_k(
    learning_rate: Any,
    b1: Any = 0.9,
    b2: Any = 0.99,
    *,
    K: Any = "l1",
    weight_decay: Any = 0.0,
    mask: Any = None,
    mu_dtype: Any = None,
    decay: str = "explicit",
    cautious: str | None = None,
    cautious_decay: bool = False,
) -> optax.GradientTransformation:
    """Lion-K: ``x <- x + lr (dK(r) - weight_decay x)`` with the readout ``r = b1 m - (1 - b1) g``.

    K = "l1" is ``optax.lion``; the state averages MINUS the gradients (Chen, Liu, Liang, Liu 2023, arXiv 2310.05898).
    It takes what every transformation of optax takes: the direction of steepest ascent, which for complex parameters is
    the conjugate of ``jax.grad``.

    Parameters
    ----------
    learning_rate : float, 0-d array or schedule
    b1, b2 : float or 0-d array
        Weight of the old momentum in the readout, and in the state.
    K : str, dict or lionk.ConvexFunction
        A plain K acts on each array. ``lionk.blocks(tree)`` gives each its own; the tree of functions may be a prefix
        of the parameters.
    weight_decay : float, 0-d array or schedule
        The constraint is ``weight_decay x`` in dom K*.
    mask : tree of bool, or callable of the parameters
        Where to decay, as in optax; a prefix will do. Nothing bounds the arrays that are left out.
    mu_dtype : dtype, optional
        Of m, for real parameters; None: that of the parameter.
    decay : "explicit" or "implicit"
        As in ``lionk.LionK``.
    cautious : None, "mask" or "rescale"; cautious_decay : bool
        Optional pieces that are not Lion-K, off by default; ``lionk.variants`` says what each does to the theory.

    Returns
    -------
    optax.GradientTransformation
        ``update`` needs ``params``. ``params + updates`` is the step of ``lionk.LionK`` up to one rounding. With
        ``optax.inject_hyperparams``, pass ``static_args=("K", "mask")`` if they are functions.

    Examples
    --------
    >>> import jax.numpy as jnp, optax, lionk_jax
    >>> solver = lionk_jax.lion_k(0.1, weight_decay=1.0)
    >>> x = {"w": jnp.asarray([1.0, -2.0])}
    >>> state = solver.init(x)
    >>> updates, state = solver.update({"w": jnp.asarray([0.5, 0.0])}, state, x)
    >>> print(optax.apply_updates(x, updates)["w"])
    [ 0.8 -1.8]
    """
    register_pytrees()
    method = variants.Variant(
        K, 0.0 if callable(learning_rate) else learning_rate, (b1, b2), 1.0 if callable(weight_decay) else weight_decay,
        decay, mu_dtype, cautious, cautious_decay,
    )  # fmt: skip

    def init(params: Any) -> LionKState:
        return LionKState(jnp.zeros((), jnp.int32), jax.tree.map(lambda a: method.init(jnp.asarray(a)).m, params))

    def update(updates: Any, state: LionKState, params: Any = None) -> tuple[Any, LionKState]:
        if params is None:
            raise ValueError("lion_k needs the parameters: call update(grads, state, params)")
        lr, lam = (_array(v(state.count) if callable(v) else v) for v in (learning_rate, weight_decay))
        decays = jax.tree.map(lambda _: True, params) if mask is None else mask(params) if callable(mask) else mask

        def one(a: Any, m: Any, g: Any, k: Any, decays: Any) -> _Step:
            a, g = jnp.asarray(a), jnp.asarray(g)
            wide = a.astype(jnp.result_type(a.dtype, m.dtype))  # so that 16-bit parameters are rounded once, by optax
            here = jnp.where(decays, lam, 0.0) if mask is not None else lam
            x, m = method.update(wide, m, g, lr, here, K=k)
            return _Step(x - wide, m)

        functions, decays = _spread(method.K, params), _broadcast(decays, params)
        done = jax.tree.map(one, params, state.m, updates, functions, decays, is_leaf=_is_function)
        x, m = (jax.tree.map(lambda s, i=i: s.parts[i], done, is_leaf=_is_step) for i in (0, 1))
        return x, LionKState(optax.safe_increment(state.count), m)

    return optax.GradientTransformation(init, update)


class MarsState(NamedTuple):
    """State of ``mars``."""

    last: Any  # like the gradients: those of the step before
    count: Any  # () int32


def mars(b1: float = 0.9, gamma: float = 0.025) -> optax.GradientTransformation:
    """The gradient estimator of MARS: ``optax.chain(lionk_jax.mars(b1), lionk_jax.lion_k(lr, b1))``.

    Not Lion-K: ``lionk.variants`` says what it does to the theory (Yuan et al. 2024, 2411.10438).
    """

    def init(params: Any) -> MarsState:
        return MarsState(jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32))

    def update(updates: Any, state: MarsState, _params: Any = None) -> tuple[Any, MarsState]:
        last = jax.tree.map(lambda g, a: jnp.where(state.count > 0, a, g), updates, state.last)
        found = jax.tree.map(lambda g, a: variants.mars(g, a, b1, gamma), updates, last)
        return found, MarsState(updates, optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)


def momentum_of(state: Any) -> LionKState:
    """The state of ``lion_k`` that goes on where an optax run stands, from its state: of lion, adam, adamw, ...

    Takes the parts with ``count`` and ``mu``, an average of plus the gradients, and changes the sign. There are several
    where parameters are partitioned or masked; together they must have one average for each. The count is the first's.
    """
    found = [s for s in jax.tree.leaves(state, is_leaf=_is_average) if _is_average(s)]
    if not found:
        raise ValueError(
            f"no part of the state has count and mu, an average of the gradients; got {type(state).__name__}"
        )
    mu = jax.tree.map(_the_one, *(s.mu for s in found), is_leaf=_is_masked)
    return LionKState(found[0].count, jax.tree.map(jnp.negative, mu))


class _Step:
    """Update and momentum of one array; not a pytree, so that it is a leaf."""

    def __init__(self, update: Any, m: Any) -> None:
        self.parts = (update, m)


def _is_step(v: Any) -> bool:
    return isinstance(v, _Step)


def _is_function(v: Any) -> bool:
    return isinstance(v, ConvexFunction)


def _is_masked(v: Any) -> bool:
    return isinstance(v, optax.MaskedNode)


def _the_one(*averages: Any) -> Any:
    there = [a for a in averages if not _is_masked(a)]
    if len(there) != 1:
        raise ValueError(f"{len(there)} parts of the state have an average of one of the parameters, 1 is needed")
    return there[0]


def _is_average(v: Any) -> bool:
    return isinstance(v, tuple) and {"count", "mu"} <= set(getattr(v, "_fields", ()))


def _array(coefficient: Any) -> Any:
    """A schedule may return a number of NumPy, or an array of one."""
    return coefficient if isinstance(coefficient, (int, float)) else jnp.asarray(coefficient)


def _broadcast(prefix: Any, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    return jax.tree.map(lambda v, below: jax.tree.map(lambda _: v, below), prefix, tree, is_leaf=is_leaf)


def _spread(K: ConvexFunction, params: Any) -> Any:
    """A tree like params with a function at every array."""
    return _broadcast(K.tree if isinstance(K, Blocks) else K, params, _is_function)
