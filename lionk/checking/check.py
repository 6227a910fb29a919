"""``check_K``: the universal properties of one function, run and reported."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ..arrays.value import arrays_in
from ..errors import NotAvailable
from ..functions.array_function import ArrayFunction
from ..functions.base import ConvexFunction
from ..functions.registry.entries import K as function
from .library import host, library
from .on import On, full
from .properties import ALL, Property
from .report import FAILS, HOLDS, NOT_APPLICABLE, SIDES, Report, Verdict
from .verdict import DoesNotApply, Violation

DTYPES = ("float64", "float32", "complex128", "complex64")


def check_K(
    K: Any,
    xp: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: str = "float64",
    seed: int = 0,
) -> Report:
    """Run the properties that every convex function has with its conjugate, on K and on K*, and report.

    Fenchel-Young equality at (x, dK(x)) and inequality elsewhere, the subgradient inequality, monotonicity, +inf off
    the domain and NaN at NaN, the domain's projection, distance, membership, oracle and diameter, Moreau's identity,
    every claim of the traits, the selection at kinks, infinite entries; and of every result its library, dtype and
    shape. Tolerances are 256 eps of the terms' sizes plus ``traits.accuracy``. Points are random and at usual kinks
    (zero, ties, zero rows, low rank): that all properties hold is evidence, not proof.

    Parameters
    ----------
    K : ConvexFunction, str or dict
        The function, a name or a spec.
    xp : str, namespace or module, optional
        The library to check on: a name of ``lionk.backends()``, ``torch``, ``array_api_strict``, ... None: NumPy.
    shape : tuple of int, optional
        Of the arguments. None: the first of some small shapes that K takes; give it where only one is possible.
    dtype : str
        "float64", "float32", or a complex one where entries only matter by their absolute values.
    seed : int
        Of the points.

    Returns
    -------
    Report
        ``report.ok``, ``report.failures``, ``report.verdicts``; ``print(report)`` shows all.

    Raises
    ------
    TypeError
        K is a function of a container; check the functions of its blocks.
    ValueError
        The library is unknown or not available, the dtype or the shape is none to check, K takes no argument of this
        shape, or no usual shape is taken.
    RuntimeError
        NumPy, which draws the points, is not installed.

    Examples
    --------
    >>> import lionk
    >>> report = lionk.check_K("huber")
    >>> report.ok
    True
    >>> print(report.summary)
    huber on numpy in float64 at shape (6,): 25 of 25 properties hold
    """
    k = function(K)
    if not isinstance(k, ArrayFunction):
        raise TypeError(f"check_K takes a function of one array, got {type(k).__name__}; check its blocks one by one")
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if shape is not None and not (
        isinstance(shape, (tuple, list)) and all(isinstance(n, int) and n > 0 for n in shape)
    ):
        raise ValueError(f"shape must be a tuple of sizes > 0, got {shape!r}; there is nothing to ask of empty arrays")
    where = library(xp)
    on = On.moved(k, where, dtype, (6,) if shape is None else tuple(shape))
    if shape is None:
        on.shape = shape_of(on)
    elif isinstance(why := _met(on, on.shape, K_alone=True), ValueError):
        raise ValueError(f"K takes no argument of shape {on.shape}, so there is nothing to check: {why}")
    verdicts = tuple(
        _verdict(side, name, holds, one, seed)
        for side, one in zip(SIDES, (on, on.dual()), strict=True)
        for name, holds in ALL.items()
    )
    return Report(_name(k), where.backend.name, dtype, on.shape, verdicts)


def _verdict(side: str, name: str, holds: Property, on: On, seed: int) -> Verdict:
    try:
        holds(on, host().random(seed, 0))
    except (DoesNotApply, NotAvailable) as why:  # what has no known form is not wrong
        return Verdict(side, name, NOT_APPLICABLE, str(why))
    except Violation as found:
        return Verdict(side, name, FAILS, str(found), found.residual, found.points)
    except Exception as error:  # the function's own
        return Verdict(side, name, FAILS, f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
    return Verdict(side, name, HOLDS)


def _name(k: ConvexFunction) -> str:
    return k.label["name"] if k.label is not None and k.label["name"] != "conjugate" else type(k).__name__


def shape_of(on: On) -> tuple[int, ...]:
    """The first small shape at which K and K* have values. Raises ValueError, with what the first one met."""
    first = {"matrix": [(4, 3), (3, 3)], "rowwise": [(3, 4)]}.get(on.K.traits.structure, [(6,)])
    met: list[Exception] = []
    for shape in [*first, *_others(on.K)]:
        why = _met(on, shape)
        if why is None:
            return shape
        met.append(why)
    raise ValueError(f"K takes no usual shape ({first[0]}: {met[0]}); give the shape of its argument, shape=(...)")


def _met(on: On, shape: tuple[int, ...], K_alone: bool = False) -> Exception | None:
    """What K, and unless ``K_alone`` K* too, raises at an array of this shape; None: they take it."""
    x = on.put(full(shape, 0.5))
    try:
        with warnings.catch_warnings(), on.backend.active(on.needs):
            warnings.simplefilter("ignore")
            on.K.value(x)
            if not K_alone:
                on.K.conjugate.value(on.K.subgradient(x))
    except Exception as error:  # whatever a library says of a wrong shape
        return error
    return None


def _others(k: ArrayFunction) -> Iterator[tuple[int, ...]]:
    yield from [(6,), (4, 3), (3, 3)]
    for a in arrays_in(k):
        yield from [tuple(a.shape), tuple(a.shape[-1:])]
    yield from [(n,) for n in range(16, 0, -1)]
    yield (3, 2, 2, 2)
