"""What users of the family add to the step, each off by default; none of it is Lion-K, and here is what it costs.

- **Cautious masking** (Liang et al. 2024, 2411.16085): the entries of ``dK(r)`` that do not go down for the present
  gradient are set to 0. For K of ``|x|`` (``traits.absolute``: l1, lp, huber, ...) the rest is still in dom K*, so the
  constraint holds as before; else (nuclear) it may be outside. It is no subgradient at r: the identity, the Lyapunov
  inequality and the gap rates do not apply, and a zero of the masked update need not be a stationary point of F.
- **rescaled** by (entries)/(entries kept): the update leaves dom K*, and nothing bounds ``lam x`` by it.
- **Cautious decay** (Chen et al. 2025, 2510.12402): decay only where it agrees with the update. Entries that grow do
  not decay, so there is no constraint, and F is not what is minimised.
- **Hyperball** (Wen et al. 2025; Emerging-Optimizers): after each step x is scaled to the norm R, or to the norm that
  it had ("keep"). That is a step whose decay depends on x, the one that makes ``|x| = R``; the sphere is not convex, so
  no K has it as its set: there is no gap, no phase I and no Lyapunov function. MuonH also has ``relative``.
- **Radial brake** (nilin 2026, modded-nanogpt; Emerging-Optimizers): where a step makes x longer, x is scaled to
  ``|x| + s (|x'| - |x|)``, s in [0, 1]. x only gets shorter by it, so that the constraint holds as before for every K
  with 0 in dom K*, and for s > 0 the fixed points are those of Lion-K. The identity, the Lyapunov inequality and the
  rates do not apply.
- **Relative update** (Emerging-Optimizers): the update is as long as x, ``dK(r) |x|/|dK(r)|``, and 0 where one of both
  is. It leaves dom K*, and nothing bounds ``lam x`` by it; x = 0 stays.
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
from . import rounding as roundings
from .jobs import cast
from .lion_k import LionK

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
    hyperball : float or "keep", optional
        The norm R > 0 of each array after a step, or "keep" for the norm before it; where the step gives 0, it stays 0.
    radial_brake : float, optional
        The share s in [0, 1] of a growth of the norm that is kept, of each array; 0.5 in the publication.
    relative : bool
        Updates as long as the array that they change.
    rounding : "nearest", "stochastic" or "kahan"
        How ``update_beside`` keeps x where it has 16 bits (``lionk.optimizer.rounding``).
    mars : float
        The gamma of MARS in ``update_beside``, 0.025 in the paper; 0: without it.

    Raises
    ------
    ValueError
        cautious is none of those, cautious_decay goes with implicit decay, hyperball is no radius, radial_brake is not
        in [0, 1], both are given, or there is no such rounding.

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
    hyperball: float | str | None = None
    radial_brake: float | None = None
    relative: bool = False
    rounding: str = "nearest"
    mars: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        roundings.check(self.rounding)
        if self.cautious not in MASKS:
            raise ValueError(f'cautious must be None, "mask" or "rescale", got {self.cautious!r}')
        if self.cautious_decay and self.decay != "explicit":
            raise ValueError("cautious_decay is a form of explicit decay; use decay='explicit'")
        if isinstance(self.hyperball, str) and self.hyperball != "keep":
            raise ValueError(f'hyperball must be a norm > 0, "keep" or None, got {self.hyperball!r}')
        if self.hyperball is not None and self.hyperball != "keep":
            positive("hyperball", self.hyperball)
        if self.radial_brake is not None and not 0 <= self.radial_brake <= 1:
            raise ValueError(f"radial_brake must be in [0, 1], got {self.radial_brake!r}")
        if self.radial_brake is not None and self.hyperball is not None:
            raise ValueError("hyperball sets the norm that radial_brake would only slow down; give one of them")

    @property
    def whole(self) -> bool:
        return self.cautious == "rescale" or self.relative or self._resizes or self.mars > 0

    @property
    def _resizes(self) -> bool:
        return self.hyperball is not None or self.radial_brake is not None

    @property
    def loses(self) -> dict[str, str]:
        """The statements of a certificate that do not apply to steps with these pieces, each with its reason."""
        pieces = {
            "cautious": self.cautious is not None, "cautious_decay": self.cautious_decay, "relative": self.relative,
            "hyperball": self.hyperball is not None, "radial_brake": self.radial_brake is not None,
        }  # fmt: skip
        given = [name for name, there in pieces.items() if there]
        if not given:
            return {}
        changed = f"{' and '.join(given)}: the update is no subgradient at the readout"
        lost = dict.fromkeys(("exact identity", "Lyapunov inequality", "decrease of H over the run"), changed)
        reason = why_unbounded(
            self.K, self.cautious, self.cautious_decay, self.hyperball, self.radial_brake, self.relative
        )
        if reason:
            lost["phase I"] = reason
        if self.hyperball is not None:
            lost |= dict.fromkeys(("suboptimality bound", "momentum bound"), reason)
        return lost

    @property
    def beside(self) -> tuple[str, ...]:
        kept = {"low": self.rounding == "kahan", "last": self.mars > 0, "index": self.rounding == "stochastic"}
        return tuple(name for name, there in kept.items() if there)

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
        norm: Callable[[Array], Array] | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        """``LionK.update``. ``mean``, ``norm``: of the whole, where the arrays are pieces of it; None: they are it."""
        weight_decay = cast(_xp.namespace(x), weight_decay, _xp.real_dtype(x), "weight_decay")
        grad = self.gradient(x, grad, weight_decay)
        lam = 0.0 if self.coupled else weight_decay
        k: Any = self.K if K is None else K
        norm = _norm if norm is None else norm
        if self.cautious is not None or self.cautious_decay or self.relative:
            k = Cautious(k, x, grad, lam, self.cautious, self.cautious_decay, mean, norm if self.relative else None)
        new, m = super().update(x, m, grad, lr, lam, K=k, betas=betas)
        return (self._resized(new, norm(x), norm(new)) if self._resizes else new), m

    def _resized(self, x: Array, before: Array, size: Array) -> Array:
        xp = _xp.namespace(x)
        if self.radial_brake is not None:
            change = size - before
            grown, shrunk = _xp.clip(xp, change, 0.0, None), _xp.clip(xp, change, None, 0.0)
            wanted = before + self.radial_brake * grown + shrunk
        else:
            wanted = before if self.hyperball == "keep" else self.hyperball
        factor = wanted / xp.where(size > 0, size, xp.ones_like(size))
        return _xp.astype(xp, _xp.astype(xp, x, factor.dtype) * factor if _xp.kind(x).low else x * factor, x.dtype)

    def one(self, job: tuple[Any, ...], lr: Any, weight_decay: Any, beside: dict[str, Any]) -> tuple[Array, Array]:
        x, m, grad, *arrays, K = job
        if not self.beside:
            return super().one(job, lr, weight_decay, beside)
        given = dict(zip(self.beside, arrays, strict=True))
        if "index" in given:
            given |= {k: beside[k] for k in roundings.KEYS}
            given["index"] = roundings.index(_xp.namespace(x), given["index"], x)
        new_x, new_m, kept = self.update_beside(x, m, grad, given, lr, weight_decay, K=K)
        for name, value in kept.items():
            given[name][...] = value
        return new_x, new_m

    def update_beside(
        self, x: Array, m: Array, grad: Array, beside: dict[str, Any], lr: Any, weight_decay: Any, *,
        K: ConvexFunction | None = None, betas: tuple[Any, Any] | None = None,
    ) -> tuple[Array, Array, dict[str, Array]]:  # fmt: skip
        """The step with MARS and rounding: x, m, and what is kept beside them.

        ``beside`` has the arrays that the property ``beside`` names, in the shape of x: "low", the remainders of Kahan;
        "last", the gradient of the step before; "index", the int32 place of each entry, which comes with the numbers
        "key0" and "key1".
        """
        xp, kept = _xp.namespace(x), {}
        if self.mars:
            estimate = mars(grad, beside["last"], (betas or self.betas)[0], self.mars)
            grad, kept["last"] = estimate, grad
        if self.rounding == "nearest":
            x, m = self.update(x, m, grad, lr, weight_decay, K=K, betas=betas)
            return x, m, kept
        wide, dtype = roundings.widened(xp, x, beside.get("low")), x.dtype
        wide, m = self.update(wide, m, grad, lr, weight_decay, K=K, betas=betas)
        if self.rounding == "kahan":
            x, kept["low"] = roundings.with_rest(xp, wide, dtype)
        else:
            x = roundings.by_chance(
                xp, wide, dtype, roundings.noise(xp, beside["index"], *(beside[k] for k in roundings.KEYS))
            )
        return x, m, kept


def _norm(x: Array) -> Array:
    kind = _xp.kind(x)
    return reductions.norm(kind.xp, kind.xp.astype(x, kind.computed) if kind.low else x)


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
    relative: Callable[[Array], Array] | None = None  # the norm, where updates are as long as x

    def subgradient(self, r: Array) -> Array:
        xp, u = _xp.namespace(r), self.K.subgradient(r)
        if self.cautious is not None:
            keep = reductions.inner(xp, u, _xp.astype(xp, self.grad, u.dtype), batch=u.ndim) < 0
            u = xp.where(keep, u, xp.zeros_like(u))
            if self.cautious == "rescale":
                kept = (self.mean or _mean)(xp.astype(keep, _xp.real_dtype(u)))
                u = u / xp.where(kept > 0, kept, xp.ones_like(kept))
        if self.relative is not None:
            there, size = self.relative(self.x), self.relative(u)
            factor = xp.where(size > 0, there, xp.zeros_like(size)) / xp.where(size > 0, size, xp.ones_like(size))
            u = u * _xp.astype(xp, factor, _xp.real_dtype(u))
        if self.decay:  # the step subtracts lam x everywhere: add it again where x grows
            x = _xp.astype(xp, self.x, u.dtype)
            grows = reductions.inner(xp, u, x, batch=u.ndim) > 0
            u = u + xp.where(grows, self.weight_decay * x, xp.zeros_like(x))
        return u


def _mean(a: Array) -> Array:
    return reductions.total(_xp.namespace(a), a, 0) / max(_xp.event_size(a, 0), 1)


def why_unbounded(
    K: ConvexFunction, cautious: str | None, decay: bool, hyperball: float | str | None = None,
    radial_brake: float | None = None, relative: bool = False,
) -> str:  # fmt: skip
    """Why decay implies no bound with these pieces; empty if it does."""
    if hyperball is not None:
        to = "kept" if hyperball == "keep" else f"set to {hyperball:g}"
        return f"the norm is {to} after each step, and a sphere is not convex: no gap, no phase I"
    if relative:
        return "an update as long as x leaves dom K*"
    if radial_brake is not None and K.traits.minimum_at_zero is not True:
        return "the brake makes x shorter, and 0 may be outside dom K*"
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
        return _xp.astype(xp, c / xp.where(size > 1, size, xp.ones_like(size)), g.dtype)

    return tree_map(one, grad, previous)


def corrected(grad: Array, previous: Array, beta1: float, gamma: float) -> Array:
    """The c of ``mars``, entry by entry; of 16 bits, in float32."""
    xp = _xp.namespace(grad, previous)
    if _xp.is_low_precision(grad):
        grad, previous = (_xp.astype(xp, a, xp.float32) for a in (grad, previous))
    return grad + gamma * beta1 / (1 - beta1) * (grad - previous)
