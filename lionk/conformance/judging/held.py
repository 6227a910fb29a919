"""The momentum that an optimizer holds, measured: entry by entry, by the gradient at which the direction turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..specification.cases import Case, function_of, host
from ..specification.port import Capabilities
from .operations import ENTRIES, PLACED, Fitted
from .operations_of_slices import SLICES, WHOLE, sliced
from .operations_of_steps import SCALES
from .places import Now
from .reference import decay_and_gradient
from .trace import read

_HALVINGS = 46
_LARGEST = 64.0  # times the largest entry that should be there
_FITS = {"float64": 1e-9, "float32": 2e-5}


def turns(claims: Capabilities, shape: tuple[int, ...]) -> bool:
    """Does each entry of the direction turn where its readout does, and jump there?"""
    K, small = function_of(claims.K, shape), host().asarray([1e-9, -1e-9], dtype="float64")
    by_entry = K.traits.structure == "elementwise" and K.traits.even and not K._arrays
    return by_entry and not (claims.accuracy or claims.cautious) and bool(host().namespace().all(K.subgradient(small)))


def held(
    claims: Capabilities, made: Callable[[], Any], case: Case, grads: Any, i: int | None, due: Any, lr: float
) -> Any:
    """The momentum, an average, that parameter i (None: the only one) of an optimizer holds before these gradients;
    None if they turn no entry, or none can. ``made``: makes it, in the state that is asked about; ``due``: what it
    should be.
    """
    if case.maximize or claims.state_error or not turns(claims, case.shape):
        return None
    xp, b1 = host().namespace(), case.betas[0]
    ratio = b1 / (1 - b1)
    top = _LARGEST * ratio * (float(abs(due).max()) or 1.0)
    low, high = -top + 0 * due, top + 0 * due
    for _ in range(_HALVINGS):
        handle, g = made(), host().asarray((low + high) / 2, dtype=case.dtype)
        x = read(handle.x if i is None else handle.x[i])
        handle.step(g if i is None else [g if k == i else v for k, v in enumerate(grads)])
        lam, _ = decay_and_gradient(case, 0, x, 0 * x)
        falls = x - read(handle.x if i is None else handle.x[i]) > lr * lam * x
        low, high = xp.where(falls, low, read(g)), xp.where(falls, read(g), high)
    seen = -(low + high) / 2 / ratio
    return None if bool((abs(seen) > 0.99 * top / ratio).any()) else seen


def is_held(seen: Any, due: Any, dtype: str) -> bool:
    return bool(abs(seen - due).max() <= _FITS[dtype] * (float(abs(due).max()) or 1.0))


def done_to(seen: Any, due: Any, case: Case, others: Mapping[str, Any]) -> str:
    """What was done to a momentum that should be ``due``; "" if nothing was. ``others``: further ones, and what they
    are.
    """
    if seen is None or is_held(seen, due, case.dtype):
        return ""
    for words, other in _changes(due, case, others):
        if is_held(seen, other, case.dtype):
            return words
    kept = due != 0
    times = float((seen[kept] / due[kept]).mean()) if kept.any() else 0.0
    if is_held(seen, times * due, case.dtype):
        return f"is multiplied by {times:.6g}"
    at = int(host().namespace().argmax(abs(seen - due)))
    return f"is {float(seen.reshape(-1)[at]):.4g} in entry {at}, and should be {float(due.reshape(-1)[at]):.4g}"


def _changes(m: Any, case: Case, others: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "is 0", 0 * m
    for says, other in others.items():
        yield f"is {says}", other
        yield f"is the sum of what was saved and {says}", m + other
    s = Now(m, m, m, m, m, m, 0, case.lr[0], case.weight_decay, *case.betas, m, {})
    slices = {words: sliced(of, SLICES[""]) for words, of in WHOLE.items()}
    for table in (ENTRIES, SCALES, slices, PLACED):
        for words, change in table.items():
            if not isinstance(change, Fitted):
                yield words.removesuffix(","), change(m, s)
