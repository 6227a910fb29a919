"""Arrays, or containers of arrays, as the rows of one matrix for each array."""

from __future__ import annotations

from typing import Any

from ..arrays import namespace as _xp
from ..arrays.containers import leaves, tree_map


class Rows:
    """``stacks`` holds the library and the matrix of each array of a row.

    A library that compiles for each shape gets rows of zeros besides, up to a power of two.
    """

    def __init__(self, backend: Any, rows: list[Any]) -> None:
        self.backend, self.like, self.count = backend, rows[0], len(rows)
        self.stacks = []
        for arrays in zip(*map(leaves, rows), strict=True):
            xp = _xp.namespace(arrays[0])
            flat = [xp.reshape(a, (-1,)) for a in arrays]
            more = self._room(len(flat)) - len(flat)
            self.stacks.append((xp, xp.stack(flat + [xp.zeros_like(flat[0])] * more)))

    def _room(self, count: int) -> int:
        return 1 << (count - 1).bit_length() if self.backend.compiles_shapes else count

    def sum(self, w: Any) -> Any:
        """``sum_i w_i g_i``, of rows g_i."""
        found, more = [], self._room(self.count) - self.count
        w = [*w, *[0.0] * more] if more else w
        for (xp, stack), like in zip(self.stacks, leaves(self.like), strict=True):
            row = self.backend.asarray(w, dtype=stack.dtype, device=_xp.device(like))
            found.append(xp.reshape(row @ stack, like.shape))
        parts = iter(found)
        return tree_map(lambda _: next(parts), self.like)

    def mixed(self, T: Any) -> Rows:
        """The rows ``sum_j T_ij g_j``, for a matrix T on the host."""
        new = object.__new__(type(self))
        new.backend, new.like, new.count = self.backend, self.like, T.shape[0]
        host = _xp.namespace(T)
        below, beside = (self._room(n) - n for n in T.shape)
        T = host.concat([T, host.zeros((T.shape[0], beside))], axis=1)
        T = host.concat([T, host.zeros((below, T.shape[1]))])
        new.stacks = [
            (xp, self.backend.asarray(T, dtype=stack.dtype, device=_xp.device(stack)) @ stack)
            for xp, stack in self.stacks
        ]
        return new

    def inner(self, x: Any) -> Any:
        """``<g_i, x>`` of each row, on the host."""
        total = None
        for (xp, stack), a in zip(self.stacks, leaves(x), strict=True):
            flat = xp.reshape(a, (-1,))
            part = xp.real(xp.conj(stack) @ flat) if _xp.is_complex(stack) else stack @ flat
            total = part if total is None else total + part
        return self.backend.to_host(total)[: self.count]

    def gram(self, other: Rows) -> Any:
        """``<g_i, h_j>`` of each row with each of the others, on the host."""
        total: Any = None
        for (xp, a), (_, b) in zip(self.stacks, other.stacks, strict=True):
            part = xp.real(a @ xp.conj(b.T)) if _xp.is_complex(a) else a @ b.T
            total = part if total is None else total + part
        return self.backend.to_host(total)[: self.count, : other.count]
