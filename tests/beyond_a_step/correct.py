"""Correct steps in other orders of evaluation: what the kit must not fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lionk.conformance.mutants.step import Move, Running, Slot, Variant
from lionk.conformance.specification.cases import host

CORRECT: dict[str, Variant] = {}


def correct(says: str, **claims: Any) -> Callable[[Move], Move]:
    def register(move: Move) -> Move:
        port = Variant(move.__name__, move, says=says)
        CORRECT[port.name] = port.claiming(**claims) if claims else port
        return move

    return register


def _signed(s: Slot, c: Any) -> Any:
    """The direction at the average c of the gradients, as ports for an even K have it."""
    return -s.dK(-c)


@correct("the average of the gradients as state, and x - lr u, decay first")
def frameworks_order(s: Slot, x: Any, m: Any, g: Any) -> Any:
    x = x * (1 - s.lr * s.wd)
    c = s.b1 * m + (1 - s.b1) * g
    return x - s.lr * _signed(s, c), s.b2 * m + (1 - s.b2) * g


@correct("the chain of transformations: x + (-lr)(u + wd x)")
def chain_order(s: Slot, x: Any, m: Any, g: Any) -> Any:
    u = _signed(s, (1 - s.b1) * g + s.b1 * m)
    return x + (-s.lr) * (u + s.wd * x), (1 - s.b2) * g + s.b2 * m


@correct("both averages as (m - g) b + g")
def lerp_from_gradient(s: Slot, x: Any, m: Any, g: Any) -> Any:
    c = (m - g) * s.b1 + g
    return x - s.lr * (_signed(s, c) + s.wd * x), (m - g) * s.b2 + g


@correct("both averages as m + (1 - b)(g - m)")
def lerp_from_momentum(s: Slot, x: Any, m: Any, g: Any) -> Any:
    c = m + (1 - s.b1) * (g - m)
    return x * (1 - s.lr * s.wd) - s.lr * _signed(s, c), m + (1 - s.b2) * (g - m)


@correct("fused multiply-add: each average rounded once")
def fused(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    dtype, wide = x.dtype, xp.longdouble
    a, b = m.astype(wide), g.astype(wide)
    c = (s.b1 * a + ((1 - s.b1) * b).astype(dtype)).astype(dtype)
    after = (s.b2 * a + ((1 - s.b2) * b).astype(dtype)).astype(dtype)
    moved = (x.astype(wide) - wide(s.lr) * _signed(s, c).astype(wide) - wide(s.lr * s.wd) * x.astype(wide)).astype(
        dtype
    )
    return moved, after


@correct("16-bit parameters computed in float32 and rounded at the end of the step")
def wide_accumulation(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    wide = xp.result_type(x.dtype, xp.float32)
    new, after = s.formula(*(v.astype(wide) for v in (x, m, g)))
    return new.astype(x.dtype), after.astype(m.dtype)


@correct("coefficients rounded to the parameter's dtype before they are used")
def rounded_coefficients(s: Slot, x: Any, m: Any, g: Any) -> Any:
    one = x.dtype.type(1)
    lr, wd, b1, b2 = (x.dtype.type(v) for v in (s.lr, s.wd, s.b1, s.b2))
    return x * (one - lr * wd) - lr * _signed(s, b1 * m + (one - b1) * g), b2 * m + (one - b2) * g


@correct("the state in float64 whatever the parameter is")
def wide_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    kept = s.memory.setdefault("m", m.astype(xp.float64))
    new, s.memory["m"] = s.formula(x.astype(xp.float64), kept, g.astype(xp.float64))
    return new.astype(x.dtype), m


@correct("a state of float32 under 16-bit parameters, declared", dtypes=("float32", "float16"), state_dtype="float32")
def declared_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    return s.formula(x, m, g)


@correct("the state kept without its factor 1 - b2")
def unnormalised_state(s: Slot, x: Any, m: Any, g: Any) -> Any:
    c = (s.b1 * (1 - s.b2)) * m + (1 - s.b1) * g
    return x - s.lr * (_signed(s, c) + s.wd * x), s.b2 * m + g


@correct("Nesterov's form: the new state is averaged with the gradient once more", betas="nesterov")
def nesterov_form(s: Slot, x: Any, m: Any, g: Any) -> Any:
    after = s.b2 * m + (1 - s.b2) * g
    return x * (1 - s.lr * s.wd) - s.lr * _signed(s, s.b2 * after + (1 - s.b2) * g), after


@correct("one beta for both, which Signum is", betas="equal")
def signum_form(s: Slot, x: Any, m: Any, g: Any) -> Any:
    after = s.b2 * m + (1 - s.b2) * g
    return x * (1 - s.lr * s.wd) - s.lr * _signed(s, after), after


@correct(
    "numbers below the smallest normal one taken as 0, as XLA does and processors may", dtypes=("float64", "float32")
)
def flushed(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    least = xp.finfo(x.dtype).smallest_normal

    def flush(v: Any) -> Any:
        return xp.where(xp.abs(v) < least, 0 * v, v)

    c = flush(flush(s.b1 * flush(m)) + flush((1 - s.b1) * flush(g)))
    after = flush(flush(s.b2 * flush(m)) + flush((1 - s.b2) * flush(g)))
    return flush(x - s.lr * (_signed(s, c) + s.wd * x)), after


@correct("a sign that is 0 at NaN, as a comparison or torch.sign gives; noted, not failed")
def quiet_nan(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    return s.formula(x, m, g, dK=lambda r: xp.where(xp.isnan(r), 0 * x, s.dK(r)))


@correct("another element of the subdifferential where rounding hides the sign")
def drawn_at_ties(s: Slot, x: Any, m: Any, g: Any) -> Any:
    xp = host().namespace()
    size = xp.finfo(x.dtype).eps * (xp.abs(m) + xp.abs(g))
    return s.formula(x, m, g, dK=lambda r: xp.where((xp.abs(r) < size) & (r != 0), 0.5 + 0 * r, s.dK(r)))


class Concatenated(Running):
    """All parameters as one array, as foreach and fused kernels have them."""

    def step(self, grad: Any) -> None:
        xp = host().namespace()
        grads = grad if self.several else [grad]
        if len({(s.lr, s.wd) for s in self.slots}) > 1 or any(g is None for g in grads):
            super().step(grad)
            return

        def flat(arrays: list[Any]) -> Any:
            return xp.concat([xp.reshape(a, (-1,)) for a in arrays])

        s = self.slots[0]
        x, m = self.port.move(s, flat([t.x for t in self.slots]), flat([t.m for t in self.slots]), flat(grads))
        at = 0
        for t in self.slots:
            part = slice(at, at + t.x.size)
            t.x, t.m = xp.reshape(x[part], t.x.shape), xp.reshape(m[part], t.m.shape)
            t.count, at = t.count + 1, part.stop


CORRECT["concatenated"] = Variant("concatenated", handle=Concatenated, says=Concatenated.__doc__ or "").claiming(
    complex=False, options={}
)
