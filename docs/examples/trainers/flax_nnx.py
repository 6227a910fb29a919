"""Flax NNX with lion_k, and orbax for the checkpoint. Needs flax and orbax-checkpoint."""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as orbax
from flax import nnx

import lionk
import lionk_jax


class Net(nnx.Module):
    def __init__(self, rngs):
        self.one, self.two = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.two(jnp.tanh(self.one(x)))


def made():
    model = Net(nnx.Rngs(0))
    # a K for each array, as nnx.Optimizer hands the arrays over: matrices spectral, biases by sign
    arrays = nnx.as_pure(nnx.state(model, nnx.Param))
    K = lionk.blocks(jax.tree.map(lambda a: "nuclear" if a.ndim == 2 else "l1", arrays))
    solver = lionk_jax.lion_k(optax.cosine_decay_schedule(1e-2, 20), K=K, weight_decay=0.1)
    return model, nnx.Optimizer(model, solver, wrt=nnx.Param)


@nnx.jit
def step(model, optimizer, x):
    grads = nnx.grad(lambda m: jnp.mean((m(x) - x.sum(1, keepdims=True)) ** 2))(model)
    optimizer.update(model, grads)


def train(model, optimizer, steps):
    for k in steps:
        step(model, optimizer, jax.random.normal(jax.random.key(k), (32, 8)))


unbroken = made()
train(*unbroken, range(20))

first = made()
train(*first, range(10))
with tempfile.TemporaryDirectory() as folder, orbax.StandardCheckpointer() as saver:
    saver.save(Path(folder) / "state", nnx.state(first))
    saver.wait_until_finished()
    second = made()
    nnx.update(second, saver.restore(Path(folder) / "state", nnx.state(second)))
train(*second, range(10, 20))
for a, b in zip(jax.tree.leaves(nnx.state(unbroken)), jax.tree.leaves(nnx.state(second)), strict=True):
    assert (a == b).all()
print("the resumed run equals the unbroken one")
