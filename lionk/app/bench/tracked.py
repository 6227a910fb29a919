"""The scenes whose times are tracked over the commits; written down, so that they are the same for each of them."""

from __future__ import annotations

_CASES = {
    "K made": ("l1", "top_k", "nuclear", "row_l1_l2"),
    "value": ("l1", "l2", "nuclear"),
    "subgradient": ("l1", "l2", "top_k", "nuclear", "row_l1_l2", "owl"),
    "conjugate": ("l1", "l2", "top_k", "nuclear"),
    "prox": ("l1", "l2", "top_k", "owl", "nuclear", "log_sum_exp"),
    "project": ("l1", "l2", "top_k", "owl", "nuclear", "k_support", "birkhoff", "row_l1_l2"),
    "step": ("l1", "l2", "top_k", "nuclear", "row_l1_l2", "owl"),
    "variant": ("cautious", "maximize"),
    "kkt_gap": ("l1", "l2", "nuclear", "row_l1_l2"),
    "iterate of minimize": ("l1", "l2", "nuclear"),
    "start of minimize": ("l1",),
    "certificate": ("l1",),
    "checkpoint": ("written", "resumed"),
    "runner": tuple(
        f"{name}, {model}"
        for name in ("numpy:tiles", "numpy:numba", "torch:tiles", "torch:numba", "jax:jit")
        for model in ("one of 100", "50 of 100", "one of 2^20")
        if (name, model) != ("jax:jit", "one of 2^20")  # it takes threads of its own, which wait for each other
    ),
    "torch optimizer": ("one of 100", "50 of 100", "one of 2^20"),
}
TRACKED = [f"{subject}, {case}" for subject, cases in _CASES.items() for case in cases]
