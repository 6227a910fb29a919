"""What users of the family add to the step, each off by default; none of it is Lion-K, and here is what it costs.

- **Cautious masking** (Liang et al. 2024, 2411.16085): the entries of ``dK(r)`` that do not go down for the present
  gradient are set to 0. For K of ``|x|`` (``traits.absolute``: l1, lp, huber, ...) the rest is still in dom K*, so the
  constraint holds as before; else (nuclear) it may be outside. It is no subgradient at r: the identity, the Lyapunov
  inequality and the gap rates do not apply, and a zero of the masked update need not be a stationary point of F.
- **rescaled** by (entries)/(entries kept): the update leaves dom K*, and nothing bounds ``lam x`` by it.
- **Cautious decay** (Chen et al. 2025, 2510.12402): decay only where it agrees with the update. Entries that grow do
  not decay, so there is no constraint, and F is not what is minimised.
- **Hyperball** (MuonH and its relatives): after each step x is scaled to the norm R. That is a step whose decay depends
  on x, the one that makes ``|x| = R``; the sphere is not convex, so no K has it as its set: there is no gap, no phase I
  and no Lyapunov function.
- **MARS** (Yuan et al. 2024, 2411.10438), with the gradient of the last batch: the step gets ``g + gamma b1/(1-b1)
  (g - g_last)``, cut to norm 1. The theory holds with the difference to the gradient for noise: phase I and constraint
  as before, fixed points too where the gradient is below 1 in norm, the identity with its noise term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..arrays import namespace as _xp
from ..arrays import reductions
from ..arrays.containers import tree_map
from ..arrays.namespace import Array
from ..functions import ConvexFunction
from ..functions.calculus.block_sum import ContainerFunction
from ..functions.registry.parameters import positive
from .lion_k import LionK, cast

MASKS = (None, "mask", "rescale")


@dataclass(frozen=True)
class Variant(LionK):
    """``LionK`` with these pieces, and the habits of frameworks: runners make its steps like those of Lion-K.

    Parameters
    ----------
    cautious : None, "mask" or "rescale"; cautious_decay : bool
        See above. Cautious decay is a form of explicit decay.
    maximize : bool
        Go up: the gradient is that of minus f.
    coupled : bool
        The weight decay of a step is added to the gradient, ``g + weight_decay x``, and there is no other.
    hyperball : float, optional
        The norm R > 0 of each array after a step; where the step gives 0, it stays 0. Not with pieces of arrays.

    Raises
    ------
    ValueError
        cautious is none of those, cautious_decay goes with implicit decay, or hyperball is no radius.

    Examples
    --------
    >>> import numpy as np
    >>> from lionk import variants
    >>> opt = variants.Variant("l1", 0.1, cautious="mask")
    >>> x, m = opt.update(np.zeros(2), np.asarray([1.0, 1.0]), np.asarray([-1.0, 1.0]), 0.1, 0.0)
    >>> print(x)  # the second momentum goes up for this gradient
    [0.1 0. ]
    """

    cautious: str | None = None
    cautious_decay: bool = False
    maximize: bool = False
    coupled: bool = False
    hyperball: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cautious not in MASKS:
            raise ValueError(f'cautious must be None, "mask" or "rescale", got {self.cautious!r}')
        if self.cautious_decay and self.decay != "explicit":
            raise ValueError("cautious_decay is a form of explicit decay; use decay='explicit'")
        if self.hyperball is not None:
            positive("hyperball", self.hyperball)

    @property
    def whole(self) -> bool:
        return self.cautious == "rescale" or self.hyperball is not None

    def gradient(self, x: Array, grad: Array, weight_decay: Any) -> Array:
        """The gradient of what is minimised but for the constraint."""
        grad = -grad if self.maximize else grad
        return grad + weight_decay * x if self.coupled else grad

    def function_of_each(self, x: Any, m: Any, grad: Any, weight_decay: Any) -> Any:
        if isinstance(self.K, ContainerFunction):
            grad = tree_map(lambda a, g: self.gradient(a, g, weight_decay), x, grad)
        return super().function_of_each(x, m, grad, weight_decay)

    def update(
        self, x: Array, m: Array, grad: Array, lr: Any, weight_decay: Any, *, K: ConvexFunction | None = None,
        betas: tuple[Any, Any] | None = None, mean: Callable[[Array], Array] | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        """``LionK.update``. ``mean``: over the whole, where the arrays are pieces of it; None: they are the whole."""
        weight_decay = cast(_xp.namespace(x), weight_decay, x, "weight_decay")
        grad = self.gradient(x, grad, weight_decay)
        lam = 0.0 if self.coupled else weight_decay
        k: Any = self.K if K is None else K
        if self.cautious is not None or self.cautious_decay:
            k = Cautious(k, x, grad, lam, self.cautious, self.cautious_decay, mean)
        x, m = super().update(x, m, grad, lr, lam, K=k, betas=betas)
        return (x if self.hyperball is None else _on_sphere(x, self.hyperball)), m


def _on_sphere(x: Array, radius: float) -> Array:
    xp = _xp.namespace(x)
    size = reductions.norm(xp, x)
    return _xp.astype(xp, x * (radius / xp.where(size > 0, size, xp.ones_like(size))), x.dtype)


@dataclass(frozen=True)
class Cautious:
    """Stands for K in ``LionK.update`` (explicit decay) at one step of one array, whose x and gradient it knows."""

    K: ConvexFunction
    x: Array
    grad: Array
    weight_decay: Any
    cautious: str | None = None
    decay: bool = False
    mean: Callable[[Array], Array] | None = None

    def subgradient(self, r: Array) -> Array:
        xp, u = _xp.namespace(r), self.K.subgradient(r)
        if self.cautious is not None:
            keep = reductions.inner(xp, u, _xp.astype(xp, self.grad, u.dtype), batch=u.ndim) < 0
            u = xp.where(keep, u, xp.zeros_like(u))
            if self.cautious == "rescale":
                kept = (self.mean or _mean)(xp.astype(keep, _xp.real_dtype(u)))
                u = u / xp.where(kept > 0, kept, xp.ones_like(kept))
        if self.decay:  # the step subtracts lam x everywhere: add it again where x grows
            x = _xp.astype(xp, self.x, u.dtype)
            grows = reductions.inner(xp, u, x, batch=u.ndim) > 0
            u = u + xp.where(grows, self.weight_decay * x, xp.zeros_like(x))
        return u


def _mean(a: Array) -> Array:
    return reductions.total(_xp.namespace(a), a, 0) / max(_xp.event_size(a, 0), 1)


def why_unbounded(K: ConvexFunction, cautious: str | None, decay: bool, hyperball: float | None = None) -> str:
    """Why decay implies no bound with these pieces; empty if it does."""
    if hyperball is not None:
        return f"the norm is set to {hyperball:g} after each step, and a sphere is not convex: no gap, no phase I"
    if decay:
        return "cautious decay leaves alone what grows"
    if cautious == "rescale":
        return "rescaled updates leave dom K*"
    return "" if cautious is None or K.traits.absolute else "masked updates may leave dom K*, which is not one of |x|"


def mars(
    grad: Any, previous: Any, beta1: float, gamma: float = 0.025, norm: Callable[[Array], Array] | None = None
) -> Any:
    """``c / max(1, |c|)`` for ``c = g + gamma b1/(1 - b1) (g - previous)``, array by array; containers too.

    ``norm``: of the whole, where an array is a piece; None: the Euclidean norm of what is given.

    >>> import numpy as np
    >>> from lionk import variants
    >>> variants.mars(np.asarray([0.5]), np.asarray([0.1]), 0.9, gamma=0.025)
    array([0.59])
    """

    def one(g: Array, last: Array) -> Array:
        xp, c = _xp.namespace(g, last), corrected(g, last, beta1, gamma)
        size = reductions.norm(xp, c) if norm is None else norm(c)
        return c / xp.where(size > 1, size, xp.ones_like(size))

    return tree_map(one, grad, previous)


def corrected(grad: Array, previous: Array, beta1: float, gamma: float) -> Array:
    """The c of ``mars``, entry by entry."""
    return grad + gamma * beta1 / (1 - beta1) * (grad - previous)
