"""lionk_jax.lion_k and lionk.minimize on sharded arrays of JAX: 8 CPU devices in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

COMMON = """
import os
import jax, jax.numpy as jnp, numpy as np, optax, re
from jax.sharding import NamedSharding, PartitionSpec as P
import lionk, lionk_jax

FULL = os.environ.get("LIONK_FULL") == "1"
EXACT = 0 if jax.__version_info__ < (0, 12) else 1e-15  # of a + b c, which XLA rounds once or twice from then on
assert len(jax.devices()) == 8
mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
rng = np.random.default_rng(0)
x, g = ({"w": rng.normal(size=(8, 6)), "v": rng.normal(size=(16,))} for _ in range(2))
layout = {"w": NamedSharding(mesh, P("a", "b")), "v": NamedSharding(mesh, P("b"))}
"""

STEPS = """
def run(K, x, g):
    solver = lionk_jax.lion_k(0.1, K=K, weight_decay=0.5)
    state = solver.init(x)
    step = jax.jit(lambda x, s, g: (lambda u, s: (optax.apply_updates(x, u), s))(*solver.update(g, s, x)))
    text = step.lower(x, state, g).compile().as_text()
    for _ in range(3):
        x, state = step(x, state, g)
    return x, state, text

for K in ("l1", "huber", "l2"):
    whole, own, _ = run(K, *(jax.tree.map(jnp.asarray, t) for t in (x, g)))
    split, state, text = run(K, *(jax.tree.map(jax.device_put, t, layout) for t in (x, g)))
    sent = re.findall(r"all-gather|all-reduce|all-to-all|collective-permute", text)
    for name in x:
        for a, b in ((split[name], whole[name]), (state.m[name], own.m[name])):
            assert a.sharding.is_equivalent_to(layout[name], a.ndim), (K, name, a.sharding)
            np.testing.assert_allclose(a, b, rtol=EXACT if K == "l1" else 1e-13)
    assert not set(sent) - ({"all-reduce"} if K == "l2" else set()), (K, sent)
    assert sent or K != "l2"
"""

RUNS = """
def run(K, x, target, jac=None):
    def fun(x):
        off = {name: x[name] - target[name] for name in x}
        f = sum((a * a).sum() / 2 for a in off.values())
        return (f, off) if jac else f

    return lionk.minimize(fun, x, K=K, weight_decay=1.0, lr=0.1, maxiter=4, tol=1e-9, jac=jac)

for K in (*(["l1"] if FULL else []), lionk.blocks({"w": "row_l1_l2", "v": "l2"})):
    whole = run(K, x, g, jac=True)  # by NumPy, which compiles nothing
    split = run(K, *(jax.tree.map(jax.device_put, t, layout) for t in (x, g)))
    for name in x:
        for a, b in ((split.x, whole.x), (split.last_x, whole.last_x), (split.state.m, whole.state.m)):
            assert a[name].sharding.is_equivalent_to(layout[name], a[name].ndim), (K, name, a[name].sharding)
            np.testing.assert_allclose(a[name], b[name], rtol=1e-13)
    assert split.history.gap.shape == (5,)
    np.testing.assert_allclose(split.history.gap, whole.history.gap, rtol=1e-12)
    assert [s.verdict for s in split.certificate.statements] == [s.verdict for s in whole.certificate.statements]
"""


def on_8_devices(code):
    devices = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    flags = {"XLA_FLAGS": devices, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMMON + code], check=False, capture_output=True, text=True, env={**os.environ, **flags}
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_shardings_are_kept_elementwise_functions_send_nothing_and_a_run_is_that_of_one_device():
    """One test, because a process of its own begins with seconds of imports."""
    on_8_devices(STEPS + RUNS)
