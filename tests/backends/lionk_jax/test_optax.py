"""lionk_jax.lion_k: that it is a GradientTransformation in every habit, and lionk's step in every number."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lionk
import lionk_jax
import lionk_jax.transformation
from lionk.optimizer.variants import Variant
from lionk_jax import lion_k
from turns import FULL

partition = getattr(optax, "partition", optax.multi_transform)  # its name until 0.2.5

jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(0)
X = {
    "w": jnp.asarray(RNG.normal(size=(4, 3))),
    "inner": [jnp.asarray(RNG.normal(size=3)), jnp.asarray(np.asarray(0.5))],
}
GRADS = [jax.tree.map(lambda a: jnp.asarray(RNG.normal(size=a.shape)), X) for _ in range(6)]
BLOCKS = lionk.blocks({"w": "nuclear", "inner": "l1"})  # a prefix of X


def drive(solver, x=X, grads=GRADS, state=None):
    state = solver.init(x) if state is None else state
    update = jax.jit(solver.update)
    for g in grads:
        updates, state = update(g, state, x)
        x = optax.apply_updates(x, updates)
    return x, state


def lionks(method, x=X, grads=GRADS):
    state, step = method.init(x), jax.jit(method.step)
    for g in grads:
        x, state = step(x, g, state)
    return x, state


def close(a, b, **tol):
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, **({"rtol": 1e-12, "atol": 1e-13} | tol)), a, b)


KINDS = ["l1", "half_square", "l2", {"name": "huber", "delta": 0.5}, "softplus", BLOCKS]


@pytest.mark.parametrize(
    ("K", "decay"),
    [(k, d) for k in KINDS for d in ("explicit", "implicit") if FULL or (d == "implicit") == (k == "l2")],
    ids=str,
)
def test_the_step_is_that_of_lionk(K, decay):
    x, state = lionks(lionk.LionK(K, 0.1, (0.8, 0.95), 0.3, decay))
    got, own = drive(lion_k(0.1, 0.8, 0.95, K=K, weight_decay=0.3, decay=decay))
    close(got, x, rtol=1e-14, atol=1e-15)
    close(own.m, state.m, rtol=1e-14, atol=1e-16)
    assert own.count == 6


@pytest.mark.parametrize("options", [{"cautious": "mask"}, {"cautious": "rescale", "cautious_decay": True}], ids=str)
def test_masks_are_those_of_lionk(options):
    x, state = lionks(Variant("l1", 0.1, (0.8, 0.95), 0.3, **options))
    got, own = drive(lion_k(0.1, 0.8, 0.95, weight_decay=0.3, **options))
    close(got, x, rtol=1e-14, atol=1e-15)
    close(own.m, state.m, rtol=1e-14, atol=1e-16)


@pytest.mark.skipif(
    "mode" not in inspect.signature(optax.scale_by_lion).parameters, reason="modes come with optax 0.2.6"
)
@pytest.mark.parametrize("mode", ["hard", "smooth", "refined"])
def test_lion_of_optax_and_its_modes(mode):
    """Sign, tanh and clip are the subgradients of l1, log_cosh and huber."""
    K = {"hard": "l1", "smooth": "log_cosh", "refined": "huber"}[mode]
    theirs = optax.chain(
        optax.scale_by_lion(mode=mode), optax.add_decayed_weights(0.3), optax.scale_by_learning_rate(0.1)
    )
    close(drive(lion_k(0.1, K=K, weight_decay=0.3))[0], drive(theirs)[0])


def test_schedules_of_lr_and_of_decay():
    schedule = optax.linear_schedule(0.1, 0.0, 6)
    got, _ = drive(lion_k(schedule, weight_decay=schedule))
    method, x = lionk.LionK("l1"), X
    state = method.init(x)
    for i, g in enumerate(GRADS):
        rate = 0.1 * (1 - i / 6)  # optax computes it in float32
        x, state = lionk.LionK("l1", rate, weight_decay=rate).step(x, g, state)
    close(got, x, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mask", [{"w": True, "inner": [False, True]}, {"w": True, "inner": False}, "callable"])
def test_masks_say_where_to_decay(mask):
    given = (lambda p: jax.tree.map(lambda a: a.ndim == 2, p)) if mask == "callable" else mask
    got, _ = drive(lion_k(0.1, weight_decay=0.5, mask=given))
    theirs, _ = drive(optax.lion(0.1, weight_decay=0.5, mask=given if callable(given) else _whole(given)))
    close(got, theirs)


def _whole(mask):
    return jax.tree.map(lambda m, below: jax.tree.map(lambda _: m, below), mask, X)


def test_hyperparameters_can_be_injected_and_changed_without_compiling_again():
    solver = optax.inject_hyperparams(lion_k, static_args=("K",))(0.1, 0.8, 0.95, K=lionk.K("huber"), weight_decay=0.3)
    traces = []

    @jax.jit
    def step(x, state, g):
        traces.append(1)
        updates, state = solver.update(g, state, x)
        return optax.apply_updates(x, updates), state

    x, state = X, solver.init(X)
    y, own = X, lionk.LionK("huber").init(X)
    for lr, b1, lam in (0.1, 0.8, 0.3), (0.05, 0.7, 0.5):
        for name, value in {"learning_rate": lr, "b1": b1, "weight_decay": lam}.items():
            state.hyperparams[name] = jnp.asarray(value, dtype=state.hyperparams[name].dtype)
        x, state = step(x, state, GRADS[0])
        y, own = lionk.LionK("huber", lr, (b1, 0.95), lam).step(y, GRADS[0], own)
    close(x, y, rtol=1e-6, atol=1e-7)
    assert len(traces) == 1


def test_jit_scan_vmap_and_donation_agree_with_the_plain_loop():
    solver = lion_k(0.1, K=BLOCKS, weight_decay=0.3)
    x, state = drive(solver)
    stacked = jax.tree.map(lambda *g: jnp.stack(g), *GRADS)

    def body(carry, g):
        a, s = carry
        updates, s = solver.update(g, s, a)
        return (optax.apply_updates(a, updates), s), None

    (scanned, _), _ = jax.jit(lambda a, g: jax.lax.scan(body, (a, solver.init(a)), g))(X, stacked)
    close(scanned, x)

    step = jax.jit(lambda a, s, g: body((a, s), g)[0], donate_argnums=(0, 1))
    a, s = jax.tree.map(jnp.array, X), solver.init(X)
    for g in GRADS:
        a, s = step(a, s, g)
    close(a, x)
    close(s, state)

    both = jax.tree.map(lambda v: jnp.stack([v, 2 * v]), X)
    grads = jax.tree.map(lambda v, w: jnp.stack([v, w]), GRADS[0], GRADS[1])
    updates, states = jax.vmap(solver.update)(grads, jax.vmap(solver.init)(both), both)
    for k in (0, 1):
        start = jax.tree.map(lambda v, k=k: v[k], both)
        single, state = solver.update(GRADS[k], solver.init(start), start)
        close(jax.tree.map(lambda v, k=k: v[k], updates), single)
        close(jax.tree.map(lambda v, k=k: v[k], states.m), state.m)


@pytest.mark.parametrize(
    ("dtype", "mu_dtype"), [("bfloat16", None), ("bfloat16", "float32"), ("float32", jnp.bfloat16)]
)
def test_dtypes_of_parameters_and_state(dtype, mu_dtype):
    x, grads = (jax.tree.map(lambda a: a.astype(dtype), t) for t in (X, GRADS))
    solver = lion_k(0.1, weight_decay=0.3, mu_dtype=mu_dtype)
    got, state = drive(solver, x, grads)
    y, own = lionks(lionk.LionK("l1", 0.1, weight_decay=0.3, state_dtype=mu_dtype), x, grads)
    assert {a.dtype for a in jax.tree.leaves(got)} == {jnp.dtype(dtype)}
    assert {a.dtype for a in jax.tree.leaves(state.m)} == {jnp.dtype(mu_dtype or dtype)}
    close(*(jax.tree.map(lambda a: a.astype(jnp.float64), t) for t in (got, y)), rtol=2**-8, atol=2**-8)
    close(*(jax.tree.map(lambda a: a.astype(jnp.float64), t) for t in (state.m, own.m)), rtol=2**-8, atol=2**-12)


def test_complex_parameters_take_the_direction_of_steepest_ascent():
    x = jnp.asarray([1 + 1j, 2.0, 0j])
    solver = lion_k(0.1, weight_decay=0.5)
    g = 2 * (x - jnp.asarray([0j, 0j, 3j]))
    np.testing.assert_allclose(jax.grad(lambda z: jnp.sum(jnp.abs(z - jnp.asarray([0j, 0j, 3j])) ** 2))(x).conj(), g)
    updates, _ = solver.update(g, solver.init(x), x)
    np.testing.assert_allclose(updates, -0.1 * (g / abs(g) + 0.5 * x), rtol=1e-12)


def test_it_composes_with_the_other_transformations():
    labels = {"w": "matrix", "inner": "rest"}
    parts = {"matrix": lion_k(0.1, K="nuclear", weight_decay=0.3), "rest": lion_k(0.1, weight_decay=0.3)}
    close(drive(partition(parts, labels))[0], drive(lion_k(0.1, K=BLOCKS, weight_decay=0.3))[0])
    whole = optax.MultiSteps(optax.chain(optax.clip_by_global_norm(1.0), lion_k(0.1)), every_k_schedule=2)
    x, _ = drive(whole)
    assert not np.array_equal(x["w"], X["w"])
    frozen = optax.masked(lion_k(0.1, weight_decay=0.3), {"w": True, "inner": [False, False]})
    updates, _ = frozen.update(GRADS[0], frozen.init(X), X)
    assert jnp.array_equal(updates["inner"][0], GRADS[0]["inner"][0])


def test_a_run_of_optax_goes_on():
    lion = optax.lion(0.1, weight_decay=0.3)
    x, state = drive(lion, grads=GRADS[:3])
    expected, _ = drive(lion, x, GRADS[3:], state)
    got, own = drive(lion_k(0.1, weight_decay=0.3), x, GRADS[3:], lionk_jax.momentum_of(state))
    close(got, expected)
    assert own.count == 6
    assert jax.tree.structure(lionk_jax.momentum_of(optax.adamw(0.1).init(X)).m) == jax.tree.structure(X)
    labels = {name: "ab"[i % 2] for i, name in enumerate(X)} if isinstance(X, dict) else None
    parts = partition({"a": optax.lion(0.1), "b": optax.adamw(0.1)}, labels)
    state = parts.init(X)
    _, state = parts.update(GRADS[0], state, X)
    own = lionk_jax.momentum_of(state)
    assert jax.tree.structure(own.m) == jax.tree.structure(X)
    lion_k(0.1).update(GRADS[1], own, X)
    with pytest.raises(ValueError, match="count and mu"):
        lionk_jax.momentum_of(optax.sgd(0.1).init(X))


def test_errors():
    solver = lion_k(0.1)
    with pytest.raises(ValueError, match="needs the parameters"):
        solver.update(GRADS[0], solver.init(X))
    with pytest.raises(KeyError, match="did you mean"):
        lion_k(0.1, K="nucler")
    with pytest.raises(ValueError, match="explicit decay needs"):
        lion_k(2.0, weight_decay=1.0)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lionk_jax.nothing


def test_watching_a_run():
    seen = lionk.theory.watch(lionk.LionK("l1", weight_decay=0.1), X, lion_k(0.1).init(X).m, GRADS[0])
    assert seen.phase == "II"
    assert seen.gap > 0


def test_examples_and_the_lazy_import():
    outcome = doctest.testmod(lionk_jax.transformation, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted
    assert not outcome.failed
    code = "import lionk_jax, sys; assert 'optax' not in sys.modules; lionk_jax.lion_k; assert 'optax' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
