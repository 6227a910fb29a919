"""An array and its parts: shards, pieces, tiles of a large one, matrices of a stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..specification.cases import Case, function_of, host, size
from ..specification.port import Port
from .pairs import arrays, differs, start, steps
from .reference import follow, row_of, two_constants


def shards(port: Port, case: Case) -> str:
    whole = steps(start(port, case, case.array(case.x0)), [case.array(g) for g in case.grads])
    n = len(case.x0)
    for part in (slice(0, n // 3), slice(n // 3, n)):
        alone = steps(start(port, case, case.array(case.x0)[part]), [case.array(g)[part] for g in case.grads])
        if found := differs([x[part] for x in whole], alone, case.dtype):
            odd = _wrong(alone[found[0]], whole[found[0]][part])
            return f"of {part.stop - part.start} entries alone, {odd} step otherwise than in the whole array of {n}"
    return ""


def pieces(port: Port, case: Case) -> str:
    """For any K: an array that is given in pieces steps as the whole."""
    xp, n = host().namespace(), case.shape[0]
    whole = steps(start(port, case, case.array(case.x0)), arrays(case))
    for cut in ((n // 2,), (1, n - 1)):

        def split(a: Any, cut: tuple[int, ...] = cut) -> list[Any]:
            return [part.copy() for part in xp.split(a, cut)]

        parted = steps(start(port, case, split(case.array(case.x0)), pieces=True), [split(g) for g in arrays(case)])
        if found := differs([xp.concat(x) for x in parted], whole, case.dtype):
            why = _of_pieces(port, case, [xp.concat(x) for x in parted], split)
            return f"{why}in pieces cut at {cut} step {found[0]} is another one than in the whole: by {found[1]}"
    return ""


def _of_pieces(port: Port, case: Case, seen: list[Any], split: Callable[[Any], list[Any]]) -> str:
    """What explains the run of an array in pieces that is not that of the whole; "" if nothing is known."""
    xp, K = host().namespace(), function_of(port.capabilities.K, case.shape)
    own = zip(split(case.array(case.x0)), *map(split, arrays(case)), strict=True)
    alone = [steps(start(port, case, x), gs) for x, *gs in own]
    if not differs(seen, [xp.concat(x) for x in zip(*alone, strict=True)], case.dtype):
        return "each piece steps as it does alone: a norm, a maximum or an order is taken of its own entries only; "
    fits = [two_constants([row_of(case, K, p, after)]) for p, after in follow(case, seen)]
    shown = ", ".join(f"{f[0]:.3g}" for f in fits if f)
    return f"the direction is {shown} times the right one at the steps; " if all(fits) else ""


#: Beyond the blocks and grids of kernels: 2^17, 2^16 and 2^15 entries, more than 128 rows and columns.
LARGE: tuple[tuple[int, ...], ...] = ((8209, 16), (70659,), (257, 130), (129, 16, 9))


def tiled(port: Port, case: Case) -> str:
    """Every entry of a large array is one of a few, in a pattern without a period, and steps as that one does."""
    xp, n = host().namespace(), size(case.shape)
    alone = steps(start(port, case, case.array(case.x0)), arrays(case))
    for shape in LARGE:
        count = size(shape)
        which = xp.arange(count) * 2654435761 % 2**32 * n // 2**32  # multiples of the golden ratio, modulo 1

        def spread(a: Any, shape: tuple[int, ...] = shape, which: Any = which) -> Any:
            return xp.reshape(xp.reshape(a, (-1,))[which], shape)

        seen = steps(start(port, case, spread(case.array(case.x0))), [spread(g) for g in arrays(case)])
        right = [spread(x) for x in alone]
        if found := differs(seen, right, case.dtype):
            odd = _wrong(seen[found[0]], right[found[0]])
            return (
                f"of an array of {count} entries in shape {shape} {odd} step "
                f"otherwise than the same entries of a small array, from step {found[0]}: by {found[1]}"
            )
    return ""


def stacked(port: Port, case: Case) -> str:
    """A stack of matrices, of which the second is small: each steps as it does alone, or, as kernels of convolutions
    are taken, all as one matrix of the first axis against the others.
    """
    xp, claims, case = host().namespace(), port.capabilities, replace(case, weight_decay=0.0)
    x, grads = case.array(case.x0), arrays(case)
    own = [(x, grads), (x[::-1] / 2, [-g[::-1] / 16 for g in grads])]
    stack, given = xp.stack([a for a, _ in own]), [xp.stack(gs) for gs in zip(*(g for _, g in own), strict=True)]
    try:
        seen = steps(start(port, case, stack), given)
    except Exception as error:
        raise NotImplementedError(f"a stack of matrices is refused: {type(error).__name__}: {error}"[:200]) from None
    alone = [xp.stack(xs) for xs in zip(*(steps(start(port, case, a), g) for a, g in own), strict=True)]
    found = differs(seen, alone, case.dtype)
    if found is None or _near_enough(stack, seen, alone, claims.accuracy):
        return ""

    def as_one(*shape: int) -> list[Any]:
        try:
            flat = steps(start(port, case, stack.reshape(shape)), [g.reshape(shape) for g in given])
        except Exception:
            return []
        return [f.reshape(stack.shape) for f in flat]

    if (kernel := as_one(2, -1)) and differs(kernel, seen, case.dtype) is None:
        return ""
    why, rows = "", as_one(-1, x.shape[1])
    if rows:
        u, v = (xs[0] - stack for xs in (rows, seen))
        along = float((u * v).sum() / ((u * u).sum() * (v * v).sum()) ** 0.5)
        why = f", and along the direction of one matrix of {2 * len(x)} rows" if along > _ALONG else ""
    return f"of a stack of two matrices each steps otherwise than alone{why}: at step {found[0]} by {found[1]}"


_ALONG = 0.9999  # the cosine of directions that are the same but for their size


def _near_enough(x: Any, seen: list[Any], right: list[Any], accuracy: float) -> bool:
    """Are the steps of an approximation right to twice its error, matrix by matrix?"""
    xp = host().namespace()
    moved, due = (xp.diff(xp.stack([x, *xs]), axis=0) for xs in (seen, right))
    far, reach = (xp.sqrt((v * v).sum(axis=(-2, -1))) for v in (moved - due, due))
    return bool(accuracy and (far <= 2 * accuracy * reach).all())


def _wrong(seen: Any, right: Any) -> str:
    """Which entries differ, counted in C order."""
    xp = host().namespace()
    places = [int(i) for i in xp.nonzero(xp.reshape(seen != right, (-1,)))[0]]
    return f"the entries from {places[0]} to {places[-1]}"
