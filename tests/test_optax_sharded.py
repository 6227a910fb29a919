"""lionk_jax.lion_k on sharded arrays: 8 CPU devices in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import jax, jax.numpy as jnp, numpy as np, optax, re
from jax.sharding import NamedSharding, PartitionSpec as P
import lionk_jax

assert len(jax.devices()) == 8
mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
rng = np.random.default_rng(0)
x, g = ({"w": rng.normal(size=(8, 6)), "v": rng.normal(size=(16,))} for _ in range(2))
layout = {"w": NamedSharding(mesh, P("a", "b")), "v": NamedSharding(mesh, P("b"))}

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
            np.testing.assert_allclose(a, b, rtol=0 if K == "l1" else 1e-14)
    assert not set(sent) - ({"all-reduce"} if K == "l2" else set()), (K, sent)
    assert sent or K != "l2"
"""


def test_shardings_are_kept_and_elementwise_functions_send_nothing():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=False, capture_output=True, text=True, env={**os.environ, **flags}
    )
    assert done.returncode == 0, done.stderr[-3000:]
