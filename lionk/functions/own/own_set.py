"""A K of one's own from a convex set: its projection, or its linear-minimisation oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...arrays.namespace import Array
from ...sets.own import Oracle, Projectable
from ..array_function import ArrayFunction
from ..calculus.moreau import Moreau
from ..definitions.support import Support
from ..registry.parameters import positive

Map = Callable[[Array], Array]
CLAIMS = ("even", "absolute", "symmetric", "structure", "minimum_at_zero", "selection", "accuracy")


def from_projection(project: Map, mu: float = 1.0, *, diameter: float = math.inf, **claims: Any) -> ArrayFunction:
    """Make a smooth K from the projection onto a set C: C is then the domain of K*.

    ``K(x) = <x, P> - mu/2 |P|^2`` with ``P = P_C(x/mu) = dK(x)``: the Moreau envelope of C's support function (Moreau
    1965), with gradients that are 1/mu-Lipschitz. ``K*(y) = mu/2 |y|^2`` on C, +inf outside, exactly.

    Parameters
    ----------
    project : callable
        ``P_C(y)``, the nearest point of C, of an array, by the functions of its own library; the shape is kept. A point
        counts as a member up to its distance from its projection.
    mu : float
        The width of the smoothing, > 0: K is within ``mu/2 |s|^2``, s in C, of the support function.
    diameter : float
        Of C, or an upper bound: tolerances are relative to half of it. inf: C is unbounded.
    **claims
        Traits of C's support function that differ from nothing being known: ``even=True`` (C = -C), ``absolute``,
        ``symmetric``, ``structure``, ``minimum_at_zero`` (is 0 in C?). ``lionk.check_K`` tests them.

    Raises
    ------
    ValueError
        mu or diameter is not > 0.
    TypeError
        A claim has an unknown name.

    Examples
    --------
    >>> import numpy as np, lionk
    >>> K = lionk.functions.from_projection(lambda y: np.clip(y, 0, 1), 0.5, diameter=6**0.5)
    >>> K.subgradient(np.asarray([-1.0, 0.25, 3.0]))
    array([0. , 0.5, 1. ])
    >>> lionk.check_K(K).ok
    True
    """
    return Moreau(Support(Projectable(project, _width(diameter), _claims(claims))), positive("mu", mu))


def from_lmo(lmo: Map, *, diameter: float, accuracy: float = 1e-6, **claims: Any) -> ArrayFunction:
    """The support function of the set C whose oracle is ``lmo``: ``K(x) = <x, lmo(x)>``, ``dK(x) = lmo(x)``.

    ``K*`` is 0 on C, +inf outside. Membership, projection, distance and the prox of K are found by Wolfe's algorithm
    with a fixed number of steps, for real arrays of fewer than 128 entries; beyond they raise NotAvailable, and K and
    dK are as before. Accuracy: 1e-8 for polytopes in double precision, 1e-3 for sets with curved faces; see
    ``lionk.sets.own.Oracle``.

    Parameters
    ----------
    lmo : callable
        ``lmo(c)``: a member s of C with the largest ``<c, s>``, an array of c's library, dtype and shape, at c = 0 too.
        It decides ties, and with them dK at kinks.
    diameter : float
        Of C, or an upper bound.
    accuracy : float
        Claimed of the projection, relative to the diameter, for ``traits.accuracy``.
    **claims
        As in ``from_projection``; also ``selection="min_norm"``, where lmo takes the least-norm member at ties.

    Raises
    ------
    ValueError
        diameter is not > 0 and finite: the support function of an unbounded set is infinite.
    TypeError
        A claim has an unknown name.

    Examples
    --------
    The simplex, by the first of the largest entries:

    >>> import numpy as np, lionk
    >>> K = lionk.functions.from_lmo(lambda c: np.eye(c.size)[c.argmax()], diameter=2**0.5)
    >>> x = np.asarray([1.0, 3.0, 2.0])
    >>> K.value(x), K.subgradient(x), bool(K.conjugate.domain.contains(x / 6))
    (np.float64(3.0), array([0., 1., 0.]), True)
    >>> K.conjugate.domain.project(x).round(12)
    array([0., 1., 0.])
    """
    if not math.isfinite(_width(diameter)):
        raise ValueError("from_lmo needs a finite diameter: the support function of an unbounded set is infinite")
    return Support(Oracle(lmo, float(diameter), _claims({"accuracy": accuracy, **claims})))


def _width(diameter: float) -> float:
    if isinstance(diameter, bool) or not isinstance(diameter, (int, float)) or not diameter > 0:
        raise ValueError(f"diameter must be a number > 0, got {diameter!r}")
    return float(diameter)


def _claims(claims: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    for name in claims:
        if name not in CLAIMS:
            raise TypeError(f"{name!r} is no claim; they are: {', '.join(CLAIMS)}")
    return tuple(claims.items())
