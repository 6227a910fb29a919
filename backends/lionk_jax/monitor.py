"""A monitor of optax runs: how near each array is to its bound, as a dict for any logger."""

from __future__ import annotations

import math
from typing import Any

import jax

import lionk
from lionk.theory.gauge import nearness

from .transformation import _is_function, _spread


def watch(params: Any, *, K: Any = "l1", weight_decay: float) -> dict[str, float]:
    """For each array ``path/gauge`` and ``path/at_bound``, as ``lionk_torch.watch`` has them; not under a jit.

    ``K`` and ``weight_decay`` are those of ``lion_k``. What K has no bound for is left out.

    >>> import jax.numpy as jnp, lionk_jax
    >>> lionk_jax.watch({"w": jnp.asarray([0.5, -0.25])}, K="l1", weight_decay=2.0)
    {'w/gauge': 1.0, 'w/at_bound': 0.5}
    """
    if not weight_decay > 0:
        return {}
    functions = jax.tree.leaves(_spread(lionk.K(K) if isinstance(K, (str, dict)) else K, params), is_leaf=_is_function)
    found: dict[str, float] = {}
    for (path, x), k in zip(jax.tree_util.tree_leaves_with_path(params), functions, strict=True):
        try:
            near = nearness(k, x, weight_decay)
        except lionk.NotAvailable:
            continue
        if not math.isnan(near.gauge):
            name = "/".join(str(getattr(p, "key", getattr(p, "name", getattr(p, "idx", p)))) for p in path) or "x"
            found[f"{name}/gauge"], found[f"{name}/at_bound"] = near.gauge, near.at_bound
    return found
