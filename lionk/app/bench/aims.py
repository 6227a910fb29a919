"""What the ratios of ``lionk bench`` should be at most, by the table and the name of the row."""

from __future__ import annotations

from . import speed

ROWS, COLUMNS = "row_l1_l2", "col_l1_l2"
# Of the ratios to the limit, by the table and the name of the row; those of options stand beside them.
AIMS = {
    "2^24": {
        "numpy with numba": 1.15, "numpy": 5.0, "torch compiled": 1.15, "torch": 3.0, "jax with numba": 1.3,
        **{f"{way}: {K}": aim for way in ("numpy with numba", "torch compiled") for K, aim in {
            "huber": 1.3, "pseudo_huber": 1.3, "softsign": 1.3, "log_cosh": 1.6, "l2": 1.8, "log_sum_exp": 1.8,
            "top_k": 4.0, ROWS: 1.8, COLUMNS: 1.8,
        }.items()},
        **{f"{way}: {K}": 3.6 for way in ("numpy", "torch") for K in (ROWS, COLUMNS)},
    },
    "GPT-2": {"torch compiled": 1.3, "torch": 3.0},
    speed.POLAR: {"newton_schulz": 1.0, "svd": 2.5},
}  # fmt: skip
