"""The published Newton-Schulz sets: odd polynomials that take singular values towards 1, each with what it promises.

A set is an update map. None is monotone, so none is the dK of a convex K: Fenchel-Young, the gap and the Lyapunov
inequality do not hold for them. What holds is the range: every singular value of the result is at most ``reach``, so
that with weight decay lam the step keeps ``s_1(X) <= reach/lam``, where the polar factor keeps ``1/lam``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from . import namespace as _xp
from . import reductions
from . import spectral as _spectral
from .namespace import Array, Namespace
from .spectral import adjoint
from .value import Value, replace, value_class

Step = tuple[float, float, float]
JORDAN: Step = (3.4445, -4.7750, 2.0315)


@value_class
class NewtonSchulzSet(Value):
    """``X -> a X + b X X^H X + c X (X^H X)^2`` for each (a, b, c), after a division by ``|X|_F``.

    Attributes
    ----------
    name, source : str
    steps : tuple of (a, b, c)
    reach : float
        The largest ``|p(s)|`` over 0 <= s <= 1, in exact arithmetic.
    least : float
        The smallest ``p(s)`` over 0.01 <= s <= 1, s a singular value over ``|X|_F``: those are off 1, the polar
        factor's, by at most ``error``. Smaller ones end between 0 and ``reach`` (``rows``: between -reach and reach).
    half : float
        The largest singular value seen in bfloat16, on random, tied and low-rank matrices, rounded up; inf where one of
        them made it diverge. As ``polar=`` of a function, a set is computed in at least 32 bits.
    rows : bool
        The Gram matrix G of the smaller side is scaled by rows first (AOL: ``1/sqrt(sum_j |G_ij|)``, Turbo-Muon,
        2512.04632), in place of the norm: the singular vectors are those of the scaled X.
    form : "product" or "gram"
        "gram" multiplies small matrices and X once at the end, which is the same in exact arithmetic; the error in
        16 bits grows with every step of it (gram-newton-schulz restarts it; here two steps are made at a time).
    """

    name: str
    steps: tuple[Step, ...]
    reach: float
    least: float
    half: float
    source: str
    rows: bool = False
    form: str = "product"

    @property
    def spec(self) -> str:
        """The name by which ``polar=`` takes it."""
        return self.name if self.form == "product" else f"{self.name}:gram"

    @property
    def error(self) -> float:
        """How far the singular values of at least 0.01 of the norm end from 1, at most."""
        return max(self.reach - 1, 1 - self.least)

    def __call__(self, xp: Namespace, x: Array) -> Array:
        if 0 in x.shape:
            return x
        x, poison = _spectral._guarded(xp, x)
        wide = x.shape[-2] <= x.shape[-1]
        x = x if wide else adjoint(xp, x)
        x = self._scaled(xp, x)
        if self.form == "gram":
            for k in range(0, len(self.steps), 2):
                x = _by_gram(xp, x, self.steps[k : k + 2])
        else:
            for a, b, c in self.steps:
                gram = x @ adjoint(xp, x)
                x = a * x + (b * gram + c * (gram @ gram) if c else b * gram) @ x
        x = x if wide else adjoint(xp, x)
        return x + xp.astype(_spectral._no_limit(xp, poison)[..., None], x.dtype)

    def _scaled(self, xp: Namespace, x: Array) -> Array:
        size = _xp.astype(xp, reductions.unit_scale(xp, x, x.ndim - 2), x.dtype)[..., None, None]
        x = x / size
        if not self.rows:
            norm = reductions.norm(xp, x, x.ndim - 2)[..., None, None]
            return _xp.divide(xp, x, _xp.astype(xp, norm, x.dtype) + xp.zeros_like(x))
        sums = xp.sum(xp.abs(x @ adjoint(xp, x)), axis=-1, keepdims=True)
        return _xp.divide(xp, x, _xp.astype(xp, xp.sqrt(sums), x.dtype) + xp.zeros_like(x))


def _by_gram(xp: Namespace, x: Array, steps: tuple[Step, ...]) -> Array:
    """The steps on the Gram matrix, and their product with x."""
    gram, q = x @ adjoint(xp, x), None
    one = xp.eye(gram.shape[-1], dtype=x.dtype, device=_xp.device(x))
    for a, b, c in steps:
        z = a * one + b * gram + c * (gram @ gram)
        q = z if q is None else z @ q
        gram = z @ gram @ z
    return q @ x


_OPTIMAL: tuple[Step, ...] = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)
_POLAR_EXPRESS = (*((a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in _OPTIMAL[:-1]), _OPTIMAL[-1])
"""With the safety factor of the paper; without it, in bfloat16, some matrices make it diverge (seen here)."""
_YOU: tuple[Step, ...] = (
    (4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)  # fmt: skip
_CANS: tuple[Step, ...] = (
    (8.4703, -25.1081, 18.6293), (4.1828, -3.1087, 0.5806), (3.9619, -2.9541, 0.5630), (3.2866, -2.4647, 0.5074),
    (2.2737, -1.6447, 0.4162),
)  # fmt: skip
_AOL: tuple[Step, ...] = (
    (4.0098, -7.0585, 2.4635), (3.4585, -5.5479, 2.5959), (2.7573, -3.2939, 1.4254), (2.7215, -3.0494, 1.3169),
)  # fmt: skip
_CUBIC: tuple[Step, ...] = (
    (3.3656576, -3.3420992, 0.0), (2.5744352, -1.4957376, 0.0), (2.5368962, -1.4312570, 0.0),
    (2.4418906, -1.2764040, 0.0), (2.2230472, -0.9630650, 0.0),
)  # fmt: skip

SETS: dict[str, NewtonSchulzSet] = {
    s.name: s
    for s in (
        NewtonSchulzSet("muon", (JORDAN,) * 5, 1.202369, 0.681831, 1.22, "Jordan et al. 2024; torch.optim.Muon, optax"),
        NewtonSchulzSet("quintic", _YOU, 1.145021, 0.977751, 1.16, "You 2024; Emerging-Optimizers, gram-newton-schulz"),
        NewtonSchulzSet("polar_express5", _POLAR_EXPRESS[:5], 1.12356, 0.870263, 1.14, "2505.16932"),
        NewtonSchulzSet("polar_express8", _POLAR_EXPRESS, 1.0000001, 0.999999, 1.02, "2505.16932"),
        NewtonSchulzSet("cans", _CANS, 1.119836, 0.884373, math.inf, "2506.10935; Emerging-Optimizers"),
        NewtonSchulzSet(
            "deepseek_v4", (JORDAN,) * 8 + ((2.0, -1.5, 0.5),) * 2, 1.002018, 0.999999, 1.02, "DeepSeek-V4 2026"
        ),
        NewtonSchulzSet("cubic5", _CUBIC, 1.3000001, 0.774105, 1.32, "2606.00371"),
        NewtonSchulzSet(
            "aol", _AOL, 1.084442, -1.084442, 1.1, "Turbo-Muon, 2512.04632; Emerging-Optimizers", rows=True
        ),
    )
}


def published(name: str) -> NewtonSchulzSet:
    """The set of this name, or of this name and ":gram" for its Gram form. Raises ValueError that lists them."""
    base, colon, form = name.partition(":")
    if base not in SETS or (colon and form != "gram"):
        raise ValueError(
            f"the Newton-Schulz sets are {', '.join(SETS)}, each also as NAME:gram; got {name!r} (svd and "
            "newton_schulz, the one with a proven accuracy, are names of polar=)"
        )
    found = SETS[base]
    if not colon:
        return found
    return replace(found, form="gram")


def newton_schulz(name: str) -> UpdateMap:
    """A published Newton-Schulz set, as an update map of arrays (..., m, n) in their own dtype.

    Parameters
    ----------
    name : str
        "muon" (torch.optim.Muon's), "quintic", "polar_express5", "polar_express8", "cans", "deepseek_v4", "cubic5",
        "aol", or one of them with ":gram".

    Returns
    -------
    UpdateMap
        Called with an array; ``reach``, ``least``, ``error``, ``half``, ``steps`` and ``source`` say what it promises.

    >>> import lionk, numpy as np
    >>> f = lionk.conventions.newton_schulz("quintic")
    >>> print(f.reach, round(f.error, 3))
    1.145021 0.145
    """
    return UpdateMap(published(name))


@dataclass(frozen=True)
class UpdateMap:
    """A Newton-Schulz set that can be called with an array."""

    set: NewtonSchulzSet

    def __call__(self, x: Array) -> Array:
        xp = _xp.namespace(x)
        _xp.floating(x)
        _spectral.check_matrix(x, "a Newton-Schulz set")
        return self.set(xp, x)

    def __getattr__(self, name: str) -> Any:
        if name == "set":
            raise AttributeError(name)
        return getattr(self.set, name)
