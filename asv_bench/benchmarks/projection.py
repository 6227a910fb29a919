"""Seconds and memory of a projection on the domain of K*: what a constraint costs, and the distance in a history."""

from __future__ import annotations

from .arrays import array, finish


class Projection:
    """Of a point outside, on sets that need an order: an isotonic regression (owl), levels (max, k_support)."""

    params = (["numpy", "torch", "jax"], ["owl", "max", "k_support"], [1_000, 100_000])
    param_names = ("library", "K", "n")
    version = "1"

    def setup(self, library: str, K: str, n: int) -> None:
        import lionk

        self.y = 10 * array(library, (n,), 0)
        self.domain = lionk.K(K, k=n // 100).conjugate.domain if K == "k_support" else lionk.K(K).conjugate.domain
        self.time_project(library, K, n)

    def time_project(self, library: str, K: str, n: int) -> None:
        finish(self.domain.project(self.y))

    def peakmem_project(self, library: str, K: str, n: int) -> None:
        finish(self.domain.project(self.y))
