"""What optax's own generic tests ask of every optimizer, asked of lion_k: trees, states, dtypes, rates, wrappers.

docs/training.md lists what is not promised.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lionk
import lionk_jax
import lionk_jax.transformation
from lionk_jax import LionKState, lion_k
from turns import FULL, paired

jax.config.update("jax_enable_x64", True)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Module:
    """A container that is registered with JAX, and can be called, like a module of Equinox."""

    w: Any
    b: Any

    def __call__(self, x):
        raise AssertionError("it is read, not called")


class Pair(NamedTuple):
    w: Any
    b: Any


W, B = jnp.asarray([[1.0, -2.0], [0.5, 3.0]]), jnp.asarray([0.25, -1.0])
CONTAINERS = {
    "dict": lambda w, b: {"w": w, "b": b},
    "OrderedDict": lambda w, b: OrderedDict(w=w, b=b),
    "defaultdict": lambda w, b: defaultdict(list, w=w, b=b),
    "tuple": lambda w, b: (w, b),
    "NamedTuple": Pair,
    "registered": Module,
    "nested": lambda w, b: {"a": [Module(w, b), {"b": b}]},
}
EAGER = {"dict", "tuple", "registered"}
OPTIONS = {
    "l1": {},
    "decay": {"weight_decay": 0.3},
    "masked": {"weight_decay": 0.3, "mask": lambda p: jax.tree.map(lambda a: a.ndim > 1, p)},
    "implicit": {"weight_decay": 0.3, "decay": "implicit"},
    "l2": {"K": "l2"},
    "huber": {"K": {"name": "huber", "delta": 0.5}, "mu_dtype": "float32"},
    "cautious": {"cautious": "mask", "cautious_decay": True, "weight_decay": 0.1},
}


def same(a, b, **tol):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, **({"rtol": 1e-12, "atol": 1e-14} | tol)), a, b)


# -- trees and states ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "jit"), [(k, j) for k in CONTAINERS for j in (False, True) if FULL or j != (k in EAGER)]
)
def test_trees_of_every_kind(kind, jit):
    make = CONTAINERS[kind]
    x, K = make(W, B), lionk.blocks(make("nuclear", "l1"))
    solver = lion_k(0.1, K=K, weight_decay=0.3, mask=make(True, False))
    state = solver.init(x)
    update = jax.jit(solver.update) if jit else solver.update
    for _ in range(2):
        updates, state = update(x, state, x)
    assert jax.tree.structure(updates) == jax.tree.structure(state.m) == jax.tree.structure(x)
    single = {k: lion_k(0.1, K=n, weight_decay=lam) for k, n, lam in (("w", "nuclear", 0.3), ("b", "l1", 0.0))}
    want = {}
    for k, a in (("w", W), ("b", B)):
        own = single[k].init(a)
        for _ in range(2):
            want[k], own = single[k].update(a, own, a)
    same(updates, make(want["w"], want["b"]))


def test_a_spec_cannot_name_containers_of_others():
    assert lionk.blocks(OrderedDict(a="l1")).spec["tree"] == {"a": {"name": "l1"}}
    with pytest.raises(lionk.NotAvailable, match="dict, list or tuple"):
        _ = lionk.blocks(Module("l1", "l2")).spec


def test_containers_of_others_keep_their_kind_in_the_core():
    x = Module(W, B)
    opt = lionk.LionK(lionk.blocks(Module("nuclear", "l1")), 0.1, weight_decay=0.3)
    new, state = opt.step(x, x, opt.init(x))
    assert isinstance(new, Module) and isinstance(state.m, Module)
    with pytest.raises(ValueError, match="containers"):
        opt.step(x, {"w": W, "b": B}, state)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("where", ["state", "gradients", "parameters", "all"])
def test_numpy_goes_in_wherever_it_comes_from(options, where):
    """From flax.serialization.from_bytes, jax.device_get, or a file."""
    x, solver = {"w": W, "b": B}, lion_k(0.1, **options)
    _, state = solver.update(x, solver.init(x), x)
    want = solver.update(x, state, x)
    given = {"gradients": x, "state": state, "parameters": x}
    given = {k: jax.device_get(v) if where in (k, "all") else v for k, v in given.items()}
    got = solver.update(*given.values())
    same(got, want)
    assert all(isinstance(a, jax.Array) for a in jax.tree.leaves(got))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_init_takes_shapes(options):
    x, solver = {"w": W.astype("float32"), "b": B.astype("bfloat16")}, lion_k(0.1, **options)
    shapes = jax.eval_shape(lambda: x)
    state, want = solver.init(shapes), solver.init(x)
    jax.tree.map(np.testing.assert_array_equal, state, want)
    assert jax.tree.map(lambda a: str(a.dtype), state) == jax.tree.map(lambda a: str(a.dtype), want)
    assert jax.tree.structure(jax.eval_shape(solver.init, x)) == jax.tree.structure(want)
    doubled = optax.tree_utils.tree_map_params(solver, lambda v: v + 2, state)
    assert float(doubled.m["b"][0]) == 2 and int(doubled.count) == 0


STEPPED = OPTIONS if FULL else {k: OPTIONS[k] for k in ("masked", "l2", "cautious")}


@pytest.mark.parametrize("options", STEPPED.values(), ids=STEPPED)
def test_eager_and_compiled_steps_agree(options):
    x, solver = {"w": W, "b": B}, lion_k(0.1, **options)
    state = solver.init(x)
    for _ in range(3):
        a, b = solver.update(x, state, x), jax.jit(solver.update)(x, state, x)
        same(a, b)
        with jax.disable_jit():
            same(solver.update(x, state, x), b)
        state = a[1]
    assert int(state.count) == 3


def test_an_eager_step_is_compiled_once(monkeypatch):
    lionk_jax.transformation._compiled.cache_clear()
    steps = []
    step = lionk_jax.transformation._step
    monkeypatch.setattr(lionk_jax.transformation, "_step", lambda *a: steps.append(1) or step(*a))
    x = {"w": W, "b": B}
    for rate in (0.1, 0.2):  # another one of the same K is served by the same code
        solver = lion_k(rate, weight_decay=rate)
        state = solver.init(x)
        for _ in range(5):
            _, state = solver.update(x, state, x)
    assert len(steps) <= 2  # traced to be measured, and to be compiled


def test_a_function_that_cannot_be_traced_is_stepped_eagerly():
    K = lionk.functions.from_scalar(
        abs, lambda x: jnp.asarray(np.sign(np.asarray(x))), slope_range=(-1.0, 1.0), even=True
    )
    x, solver = {"b": B}, lion_k(0.1, K=K)
    updates, _ = solver.update(x, solver.init(x), x)
    same(updates, lion_k(0.1).update(x, lion_k(0.1).init(x), x)[0])


# -- arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [lion_k(0.1), optax.chain(lionk_jax.mars(), lion_k(0.1))], ids=["lion_k", "mars"])
def test_extra_arguments_are_taken(solver):
    assert isinstance(solver, optax.GradientTransformationExtraArgs)
    state = solver.init(B)
    same(solver.update(B, state, B, value=1.0, grad=B, anything=None), solver.update(B, state, B))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("mask", [None, lambda p: jax.tree.map(lambda a: a.ndim > 1, p)])
def test_a_module_may_be_handed_over_whole(jit, mask):
    """As in Equinox, whose gradients have None for what is no array of numbers."""
    x = {"w": W, "b": B, "frozen": [W, 3], "activation": None if jit else jnp.tanh}
    grads = {"w": W - 1, "b": B + 1, "frozen": None, "activation": None}
    rest = x | {"frozen": None, "activation": None}
    solver = lion_k(0.1, weight_decay=0.5, mask=mask)
    state = solver.init(rest)
    update = jax.jit(solver.update) if jit else solver.update
    same(update(grads, state, x), solver.update(grads, state, rest))


RATES = {
    "0-d integer": jnp.asarray(1),
    "NumPy integer": np.int32(1),
    "NumPy 0-d": np.asarray(1),
    "schedule of integers": lambda count: jnp.ones((), jnp.int32),
    "schedule of NumPy": lambda count: np.int64(1),
    "float": 1.0,
}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("jit", [False, True])
def test_rates_may_be_integers(rate, jit):
    solver = lion_k(rate, weight_decay=rate)
    update = jax.jit(solver.update) if jit else solver.update
    updates, _ = update(B, solver.init(B), B)
    np.testing.assert_allclose(updates, -jnp.sign(B) - B)
    assert updates.dtype == B.dtype


@pytest.mark.parametrize("mask", [Module(True, False), lambda p: Module(True, False), Module(jnp.asarray(True), False)])
def test_masks_that_can_be_called_are_read(mask):
    x = Module(W, B)
    updates, _ = (solver := lion_k(0.1, weight_decay=0.5, mask=mask)).update(x, solver.init(x), x)
    np.testing.assert_allclose(updates.w, -0.1 * (jnp.sign(W) + 0.5 * W))
    np.testing.assert_allclose(updates.b, -0.1 * jnp.sign(B))


def test_a_partial_that_jax_can_look_into_is_called():
    mask = jax.tree_util.Partial(lambda limit, p: jax.tree.map(lambda a: a.ndim > limit, p), 1)
    x = {"w": W, "b": B}
    updates, _ = (solver := lion_k(0.1, weight_decay=0.5, mask=mask)).update(x, solver.init(x), x)
    np.testing.assert_allclose(updates["b"], -0.1 * jnp.sign(B))


# -- dtypes and wrappers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "mu_dtype", "jit"),
    paired(itertools.product(["bfloat16", "float16", "float32"], [None, "float32", "bfloat16"], [False, True])),
)
def test_updates_have_the_dtype_of_gradients(dtype, mu_dtype, jit):
    x = {"w": W.astype(dtype)}
    solver = optax.apply_if_finite(lion_k(0.1, weight_decay=0.3, mu_dtype=mu_dtype), 2)
    state = solver.init(x)
    update = jax.jit(solver.update) if jit else solver.update
    updates, state = update(x, state, x)
    assert updates["w"].dtype == x["w"].dtype
    assert state.inner_state.m["w"].dtype == jnp.dtype(mu_dtype or dtype)
    broken, state = update({"w": jnp.full_like(x["w"], jnp.nan)}, state, x)
    assert not broken["w"].any() and int(state.inner_state.count) == 1


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16"])
def test_hyperparameters_with_a_dtype(dtype):
    options = {"hyperparam_dtype": jnp.dtype(dtype)} if dtype else {}
    solver = optax.inject_hyperparams(lion_k, static_args=("mu_dtype",), **options)(
        optax.linear_schedule(0.1, 0.0, 10), weight_decay=0.3, mu_dtype=jnp.bfloat16
    )
    x = {"w": W.astype("float32")}
    state = solver.init(x)
    for _ in range(2):
        updates, state = solver.update(x, state, x)
    assert state.hyperparams["weight_decay"].dtype == jnp.dtype(dtype or "float32")
    assert state.inner_state.m["w"].dtype == jnp.bfloat16
    np.testing.assert_allclose(updates["w"], -0.09 * (jnp.sign(W) + 0.3 * W), rtol=2e-2)
    by_name = optax.inject_hyperparams(lion_k)(0.1, mu_dtype="bfloat16")
    assert by_name.init(x).inner_state.m["w"].dtype == jnp.bfloat16


def test_a_dtype_that_is_taken_for_a_schedule_is_refused_with_the_way_out():
    solver = optax.inject_hyperparams(lion_k)(0.1, mu_dtype=jnp.bfloat16)
    with pytest.raises(TypeError, match='mu_dtype="bfloat16"'):
        solver.init({"w": W})


partition = getattr(optax, "partition", optax.multi_transform)  # its name until 0.2.5
WRAPPERS = {
    "apply_if_finite": lambda s: optax.apply_if_finite(s, 3),
    "masked": lambda s: optax.chain(
        optax.masked(s, {"w": True, "b": False}), optax.masked(optax.set_to_zero(), {"w": False, "b": True})
    ),
    "MultiSteps": lambda s: optax.MultiSteps(s, 2),
    "partition": lambda s: partition({"a": s, "f": optax.set_to_zero()}, {"w": "a", "b": "f"}),
    "chain": lambda s: optax.chain(optax.clip_by_global_norm(1.0), s, optax.scale(0.5)),
    "lookahead": None,
    "inject": lambda s: optax.inject_hyperparams(lion_k)(0.1, weight_decay=0.3),
    "flatten": optax.flatten,
    "plateau": lambda s: optax.chain(s, optax.contrib.reduce_on_plateau()),
    "named_chain": lambda s: optax.named_chain(("clip", optax.clip(1.0)), ("lion_k", s)),
    "ema": lambda s: optax.chain(s, optax.ema(0.5)),
    "schedule_free": lambda s: optax.contrib.schedule_free(s, 0.1),
    "mechanize": lambda s: optax.contrib.mechanize(s, s_init=0.1),
    "sam": lambda s: optax.contrib.sam(s, optax.chain(optax.contrib.normalize(), optax.sgd(0.05)), sync_period=2),
    "conditionally_mask": lambda s: optax.conditionally_mask(s, lambda step: step < 2),
    "trust_ratio": lambda s: optax.chain(s, optax.scale_by_trust_ratio()),
    "MultiSteps of partition": lambda s: optax.MultiSteps(
        partition({"a": s, "b": optax.sgd(0.1)}, {"w": "a", "b": "b"}), 2
    ),
}
NO_EXTRAS = {
    "lookahead",
    "sam",
    "MultiSteps",
    "MultiSteps of partition",
    "flatten",
}  # take no arguments, or hand on none


#: With LIONK_FULL=1: what they ask of a solver, others ask as well.
SLOW = {"named_chain", "ema", "mechanize", "sam", "conditionally_mask", "trust_ratio", "chain", "partition", "plateau"}
SLOW |= {"MultiSteps of partition", "schedule_free"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in WRAPPERS])
def test_wrappers_of_optax(name):
    inner, x = lion_k(0.1, weight_decay=0.3), {"w": W, "b": B}
    loss = jax.value_and_grad(lambda p: sum(jnp.sum(jnp.abs(v) ** 2) for v in p.values()))
    if name == "lookahead":
        solver = optax.lookahead(inner, sync_period=2, slow_step_size=0.5)
        x = optax.LookaheadParams.init_synced(x)
        value = lambda p: loss(p.fast)  # noqa: E731
    else:
        solver, value = WRAPPERS[name](inner), loss

    ends = []
    for compiled in (False, True):
        y, state = x, solver.init(x)
        step = jax.jit(lambda g, s, p, v: solver.update(g, s, p, value=v)) if compiled else None
        if name in NO_EXTRAS:
            step = jax.jit(solver.update) if compiled else solver.update
        first = None
        for _ in range(4):
            v, g = value(y)
            first = v if first is None else first
            more = () if name in NO_EXTRAS else (v,)
            updates, state = (
                step(g, state, y, *more) if step else solver.update(g, state, y, **({"value": v} if more else {}))
            )
            y = optax.apply_updates(y, updates)
        assert float(value(y)[0]) < float(first)
        ends.append(y)
    same(*ends)


def loss(p):
    return sum(jnp.sum(jnp.abs(v - 1) ** 2) for v in p.values())


@pytest.mark.parametrize("which", ["backtracking", pytest.param("zoom", marks=pytest.mark.slow)])
def test_a_line_search_scales_the_update(which):
    x = {"w": W, "b": B}
    searches = {
        "backtracking": optax.scale_by_backtracking_linesearch(10, store_grad=True),
        "zoom": optax.scale_by_zoom_linesearch(10),
    }
    solver = optax.chain(lion_k(1.0), searches[which])
    state, values = solver.init(x), []
    for _ in range(4):
        v, g = optax.value_and_grad_from_state(loss)(x, state=state)
        updates, state = solver.update(g, state, x, value=v, grad=g, value_fn=loss)
        x = optax.apply_updates(x, updates)
        values.append(float(v))
    assert values == sorted(values, reverse=True) and values[-1] < values[0]


def test_one_may_differentiate_through_steps():
    """Rates and betas that are traced: the derivative of a loss after three steps, against finite differences."""
    x = {"w": W, "b": B}

    def after(hyper):
        lr, b1, b2, decay = hyper
        solver = lion_k(lr, b1, b2, K="log_cosh", weight_decay=decay)
        y, state = x, solver.init(x)
        for _ in range(3):
            updates, state = solver.update(jax.grad(loss)(y), state, y)
            y = optax.apply_updates(y, updates)
        return loss(y)

    at = jnp.asarray([0.1, 0.9, 0.95, 0.1])
    found, h = jax.grad(after)(at), 1e-2
    for i in range(4):
        e = jnp.zeros(4).at[i].set(h)
        assert float(found[i]) == pytest.approx(float(after(at + e) - after(at - e)) / (2 * h), rel=2e-2)


def test_what_optax_finds_in_a_state_by_its_name():
    solver = optax.inject_hyperparams(lambda learning_rate: optax.chain(optax.clip(1.0), lion_k(learning_rate)))
    x = {"w": W}
    state = solver(learning_rate=0.1).init(x)
    assert float(optax.tree_utils.tree_get(state, "learning_rate")) == pytest.approx(0.1)
    late = optax.tree_utils.tree_set(lion_k(optax.linear_schedule(1.0, 0.0, 10)).init(x), count=jnp.int32(10))
    updates, _ = lion_k(optax.linear_schedule(1.0, 0.0, 10)).update(x, late, x)
    assert not updates["w"].any()


def test_the_state_is_a_named_tuple_that_maps():
    state = lion_k(0.1).init({"w": W})
    assert isinstance(state, LionKState) and state._fields == ("count", "m")
    assert state.count.dtype == jnp.int32
    assert jax.tree.structure(jax.tree.map(lambda a: a, state)) == jax.tree.structure(state)
