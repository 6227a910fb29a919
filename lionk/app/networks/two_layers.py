"""The network of two layers of ``lionk reproduce training``, on JAX, with all seeds of it at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .recipes import Recipe, installed, optax_solver
from .training import ADAMW, LION, OTHERS, TRAIN, VECTORS, Curves, Digits, batches

HIDDEN = 48
TWO_LAYERS = (ADAMW, *(r._replace(lam=r.lam / 2) for r in (LION, *OTHERS, LION.repeated("optax.lion"))))


def jax_curves(data: Digits, seeds: int, steps: int) -> Iterator[Curves]:
    """The network of two layers: one compiled loop for each optimizer, over all seeds at once."""
    import jax
    import jax.numpy as jnp
    import optax

    images, labels = jnp.asarray(data.images.reshape(-1, 64)), jnp.asarray(data.labels.astype("int32"))
    index = jnp.asarray(np.stack([batches(seed, steps) for seed in range(seeds)]))
    first = jax.tree.map(lambda *a: jnp.stack(a), *[_mlp(seed) for seed in range(seeds)])

    def logits(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ p["hidden"].T + p["hidden_bias"]) @ p["out"].T + p["out_bias"]

    def loss(p: Any, i: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(logits(p, images[i]), labels[i]).mean()

    for recipe in installed(TWO_LAYERS):
        solver = _optax_solver(recipe, steps)

        def train(p: Any, rows: Any, solver: Any = solver) -> Any:
            def step(carry: Any, i: Any) -> Any:
                p, state = carry
                value, grad = jax.value_and_grad(loss)(p, i)
                updates, state = solver.update(grad, state, p)
                return (optax.apply_updates(p, updates), state), value

            (p, _), values = jax.lax.scan(step, (p, solver.init(p)), rows)
            right = logits(p, images[TRAIN:]).argmax(1) == labels[TRAIN:]
            return values, loss(p, jnp.arange(TRAIN)), right.mean()

        curves = jax.jit(jax.vmap(train))(first, index)
        values, train_loss, accuracy = (np.asarray(c, dtype=float) for c in curves)
        yield Curves(recipe, values, train_loss, accuracy)


def _mlp(seed: int) -> dict[str, Any]:
    """Weights with rows for outputs, uniform in +-1/sqrt(inputs), as PyTorch has them."""
    rng = np.random.default_rng(seed)
    sizes = {"hidden": (HIDDEN, 64), "out": (10, HIDDEN)}
    made = {}
    for name, (rows, columns) in sizes.items():
        limit = 1 / math.sqrt(columns)
        made[name] = rng.uniform(-limit, limit, (rows, columns)).astype("float32")
        made[f"{name}_bias"] = rng.uniform(-limit, limit, rows).astype("float32")
    return made


def _optax_solver(recipe: Recipe, steps: int) -> Any:
    import jax.numpy as jnp

    def rate(lr: float) -> Callable[[Any], Any]:
        return lambda count: lr * jnp.minimum(1.0, 3 * (1 - count / steps))

    parts = {"matrix": (recipe.K, recipe.lr, recipe.lam), "vector": VECTORS}
    return optax_solver(recipe, rate, parts, {n: "vector" if n.endswith("bias") else "matrix" for n in _mlp(0)})
