"""`lion_k`, an optax GradientTransformation. It keeps trees and schedules in optax's order; the step is lionk's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lionk.functions import ConvexFunction
from lionk.functions.calculus.block_sum import Blocks, ContainerFunction
from lionk.optimizer import variants

from ._numbers import Compiled
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
    hyperball: float | str | None = None,
    radial_brake: float | None = None,
    relative: bool = False,
) -> optax.GradientTransformationExtraArgs:
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
        Where to decay, as in optax; a prefix will do. Nothing bounds the arrays that are left out. What JAX can look
        into, with a bool at each leaf, is read, also if it can be called.
    mu_dtype : dtype, optional
        Of m, for real parameters; None: that of the parameter. With ``optax.inject_hyperparams`` write its name
        ("bfloat16"), or name ``mu_dtype`` in ``static_args``.
    decay : "explicit" or "implicit"
        As in ``lionk.LionK``.
    cautious : None, "mask" or "rescale"; cautious_decay : bool
    hyperball : None, float or "keep"; radial_brake : None or float; relative : bool
        Optional pieces that are not Lion-K, off by default; ``lionk.variants`` says what each does to the theory.

    Returns
    -------
    optax.GradientTransformationExtraArgs
        ``update`` needs ``params``, and takes any other arguments. ``params + updates`` is the step of ``lionk.LionK``
        up to one rounding; updates have the dtype of the gradients. Outside of ``jax.jit`` it is compiled at the first
        call, where that is possible and soon done. With ``optax.inject_hyperparams``, pass ``static_args=("K",
        "mask")`` if they are functions.

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
    if isinstance(mu_dtype, jax.Array):
        raise TypeError(
            "mu_dtype is an array: optax.inject_hyperparams takes a dtype such as jnp.bfloat16 for a schedule. Write "
            'its name, mu_dtype="bfloat16", or pass static_args=("mu_dtype",)'
        )
    lr, lam = (v if callable(v) else _real(v) for v in (learning_rate, weight_decay))
    first = 0.0 if callable(lr) else lr, 1.0 if callable(lam) else lam
    method = variants.Variant(
        K, first[0], (b1, b2), first[1], decay, mu_dtype, cautious, cautious_decay,
        hyperball=hyperball, radial_brake=radial_brake, relative=relative,
    )  # fmt: skip
    method = replace(method, lr=0.0, weight_decay=1.0)  # checked, and now of all rates: they are arguments of the step

    @cache
    def compiled() -> Callable[..., Any]:
        arrays, tree = jax.tree.flatten(method)
        return partial(_compiled(tree), arrays)

    def init(params: Any) -> LionKState:
        return LionKState(jnp.zeros((), jnp.int32), jax.tree.map(lambda a: method.init(_concrete(a)).m, params))

    def update(updates: Any, state: LionKState, params: Any = None, **_: Any) -> tuple[Any, LionKState]:
        if params is None:
            raise ValueError("lion_k needs the parameters: call update(grads, state, params)")
        params = _of_these(updates, params)
        now = tuple(_real(v(state.count)) if callable(v) else v for v in (lr, lam))
        decays = mask(params) if _is_called(mask) else mask
        given = now, decays, updates, state, params
        traced = any(isinstance(a, jax.core.Tracer) for a in (*jax.tree.leaves(given), b1, b2))
        found: tuple[Any, LionKState] = _step(method, *given) if traced else compiled()(*given)
        return found

    return optax.GradientTransformationExtraArgs(init, update)


@lru_cache(64)
def _compiled(tree: Any) -> Compiled:
    """The step of all methods of this tree, whose arrays are its first argument."""
    return Compiled(lambda arrays, *given: _step(jax.tree.unflatten(tree, arrays), *given))


def _step(
    method: variants.Variant, rates: tuple[Any, Any], decays: Any, updates: Any, state: LionKState, params: Any
) -> tuple[Any, LionKState]:
    """Updates and the next state. ``decays``: a tree of bool, a prefix of the parameters, or None for True."""
    lr, lam = rates

    def one(a: Any, m: Any, g: Any, k: Any, decay: Any) -> _Step:
        a, m, g = map(jnp.asarray, (a, m, g))
        wide = a.astype(jnp.result_type(a.dtype, m.dtype))
        x, m = method.update(wide, m, g, lr, lam if decays is None else jnp.where(decay, lam, 0.0), K=k)
        return _Step((x - wide).astype(g.dtype), m)

    functions = method.K
    if isinstance(functions, ContainerFunction):
        functions = method.function_of_each(params, state.m, updates, lam)
    functions, spread = _spread(functions, params), _broadcast(True if decays is None else decays, params)
    done = jax.tree.map(one, params, state.m, updates, functions, spread, is_leaf=_is_function)
    x, m = (jax.tree.map(lambda s, i=i: s.parts[i], done, is_leaf=_is_step) for i in (0, 1))
    return x, LionKState(optax.safe_increment(jnp.asarray(state.count)), m)


class MarsState(NamedTuple):
    """State of ``mars``."""

    last: Any  # like the gradients: those of the step before
    count: Any  # () int32


def mars(b1: float = 0.9, gamma: float = 0.025) -> optax.GradientTransformationExtraArgs:
    """The gradient estimator of MARS: ``optax.chain(lionk_jax.mars(b1), lionk_jax.lion_k(lr, b1))``.

    Not Lion-K: ``lionk.variants`` says what it does to the theory (Yuan et al. 2024, 2411.10438).
    """

    def init(params: Any) -> MarsState:
        return MarsState(jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32))

    def update(updates: Any, state: MarsState, _params: Any = None, **_: Any) -> tuple[Any, MarsState]:
        updates = jax.tree.map(jnp.asarray, updates)
        last = jax.tree.map(lambda g, a: jnp.where(state.count > 0, a, g), updates, state.last)
        found = jax.tree.map(lambda g, a: variants.mars(g, a, b1, gamma), updates, last)
        return found, MarsState(updates, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)


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


def _real(coefficient: Any) -> Any:
    """A rate that a schedule gave, or the user, which may be an integer, or an array of NumPy."""
    if isinstance(coefficient, (int, float)):
        return coefficient
    found = jnp.asarray(coefficient)
    return found.astype(float) if jnp.issubdtype(found.dtype, jnp.integer) else found


def _concrete(a: Any) -> Any:
    """An array, of zeros where only its shape is known."""
    return jnp.zeros(a.shape, a.dtype) if isinstance(a, jax.ShapeDtypeStruct) else jnp.asarray(a)


def _is_called(mask: Any) -> bool:
    """Is a mask a function of the parameters, and not a tree of bool that can be called, as a module is?"""
    found = jax.tree.leaves(mask)
    are_bool = [isinstance(v, bool) or str(getattr(v, "dtype", "")) == "bool" for v in found]
    return callable(mask) and not (found and all(are_bool))


def _of_these(updates: Any, params: Any) -> Any:
    """The parameters that have an update: Equinox hands over all of a module, with None for what is no array."""
    if jax.tree.structure(updates) == jax.tree.structure(params):
        return params
    return jax.tree.map(lambda g, a: None if g is None else a, updates, params, is_leaf=lambda v: v is None)


def _broadcast(prefix: Any, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    return jax.tree.map(lambda v, below: jax.tree.map(lambda _: v, below), prefix, tree, is_leaf=is_leaf)


def _spread(K: ConvexFunction, params: Any) -> Any:
    """A tree like params with a function at every array."""
    return _broadcast(K.tree if isinstance(K, Blocks) else K, params, _is_function)
