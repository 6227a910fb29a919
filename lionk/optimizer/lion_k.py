"""`LionK`: the hyper-parameters of one optimizer, checked, and its `init` and `step` on arrays and containers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..arrays import namespace as _xp
from ..arrays.containers import is_container, tree_map
from ..arrays.namespace import Array
from ..errors import LionKWarning
from ..functions import ConvexFunction
from ..functions import K as build
from ..functions.bound import bound
from ..functions.calculus.block_sum import Blocks, ContainerFunction
from . import step
from .jobs import arguments, cast, check_alike, check_shape, coefficient, explicit_lr, implicit_lr, number, results

Schedule = Callable[[Any], Any]


class State(NamedTuple):
    """The state of a run: what a step needs beside x."""

    m: Any  # the average of minus the gradients: shape of x, dtype state_dtype (None: that of x)
    count: Any  # int: number of steps made


@dataclass(frozen=True)
class LionK:
    """The Lion-K optimizer: ``min f(x) + K*(weight_decay x)/weight_decay``.

    With the readout ``r = b1 m - (1 - b1) g``, one step is

        explicit:  x' = x + lr (dK(r) - weight_decay x)
        implicit:  x' = (x + lr dK(r)) / (1 + lr weight_decay)
        both:      m' = b2 m - (1 - b2) g

    (Chen, Liu, Liang, Liu 2023, arXiv 2310.05898). ``K = "l1"`` is Lion, ``K = "nuclear"`` is Muon with decay.

    Parameters
    ----------
    K : str, dict or ConvexFunction
        A name, a spec or a convex function; ``lionk.blocks`` gives each array of a container its own.
    lr : float, 0-d array, or callable
        Learning rate >= 0 (0 leaves x), or a schedule ``count -> lr``, called with 0 at the first step.
    betas : (float, float)
        b1 in [0, 1]: weight of the old momentum in the readout. b2 in [0, 1): weight in the state.
        The theory needs b1 <= b2; otherwise a LionKWarning is given. Traced ones are not checked.
    weight_decay : float or 0-d array
        lam >= 0. The radius of the constraint is 1/lam.
    decay : "explicit" or "implicit"
        Which of the two updates; ``with_decay`` converts exactly between them. Explicit needs ``lr lam <= 1``.
    state_dtype : dtype or str, optional
        Dtype of m, e.g. ``"float32"`` for bfloat16 parameters. None: that of x.

    Raises
    ------
    ValueError, TypeError
        A parameter is out of range or of the wrong kind; the message says what is valid.

    Examples
    --------
    >>> import lionk, array_api_strict as xp
    >>> opt = lionk.LionK("l1", lr=0.1, weight_decay=1.0)
    >>> x = xp.asarray([1.0, -2.0])
    >>> state = opt.init(x)
    >>> x, state = opt.step(x, xp.asarray([0.5, 0.0]), state)
    >>> print(x, state.count)
    Array([ 0.8, -1.8], dtype=array_api_strict.float64) 1
    """

    K: Any  # a ConvexFunction, once made
    lr: Any = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: Any = 0.0
    decay: str = "explicit"
    state_dtype: Any = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "K", build(self.K))
        b1, b2 = self._read_betas()
        set_(self, "betas", (b1, b2))
        if self.decay not in ("explicit", "implicit"):
            raise ValueError(f'decay must be "explicit" or "implicit", got {self.decay!r}')
        set_(self, "weight_decay", coefficient("weight_decay", self.weight_decay))
        if not callable(self.lr):
            set_(self, "lr", coefficient("lr", self.lr))
            self.check_product(self.lr, self.weight_decay)
        if isinstance(b1, float) and isinstance(b2, float) and b1 > b2:
            _warn(f"betas = ({b1}, {b2}): with b1 > b2 the Lyapunov theory does not apply; use b1 <= b2")
        if isinstance(self.weight_decay, float) and self.weight_decay == 0 and self.K.traits.minimum_at_zero is False:
            _warn(
                "weight_decay = 0 with a K that is not smallest at 0: x drifts and there is no Lyapunov function; "
                "use weight_decay > 0 or an even K"
            )

    @property
    def whole(self) -> bool:
        """Does a step need numbers of the whole array even where K is a sum over entries?"""
        return False

    @property
    def beside(self) -> tuple[str, ...]:
        """The arrays that a step takes beside x, m and the gradient: none here, see ``variants.Variant``."""
        return ()

    @property
    def loses(self) -> dict[str, str]:
        """The statements of a certificate that do not apply to these steps, each with its reason: none here."""
        return {}

    def init(self, x: Any) -> State:
        """The state before the first step: m = 0, count = 0. ``x`` is an array or a container of arrays."""

        def zeros(a: Array) -> Array:
            xp = _xp.namespace(a)
            _xp.floating(a)
            dtype = getattr(xp, self.state_dtype, "") if isinstance(self.state_dtype, str) else self.state_dtype
            if dtype == "":
                raise ValueError(
                    f'state_dtype must be a dtype of the library, such as "float32", got {self.state_dtype!r}'
                )
            if dtype is None or (_xp.is_complex(a) and not xp.isdtype(dtype, "complex floating")):
                dtype = a.dtype
            return xp.zeros_like(a, dtype=dtype)

        return State(tree_map(zeros, x), 0)

    def step(self, x: Any, grad: Any, state: State, *, lr: Any = None) -> tuple[Any, State]:
        """One step. Pure: the arguments stay as they are; namespace, dtype and device of x are kept.

        Parameters
        ----------
        x, grad : array or container of arrays
            The point, and the gradient of f there: the direction of steepest ascent, ``f(x + d) ~ f + Re<grad, d>``.
        state : State
            From ``init`` or the step before.
        lr : float or 0-d array, optional
            Instead of the optimizer's own.

        Returns
        -------
        (x, state)
        """
        if lr is None:
            lr = self.lr(state.count) if callable(self.lr) else self.lr
        lr = coefficient("lr", lr)
        self.check_product(lr, self.weight_decay)
        if not isinstance(state, State):
            raise TypeError(f"state must be what init or the step before gave, got {type(state).__name__}")
        if isinstance(self.K, ContainerFunction):
            self.K.check_argument(x)
        elif not (is_container(x) or is_container(grad) or is_container(state.m)):
            check_shape("grad", grad, x)
            check_shape("state.m", state.m, x)
            x, m = self.update(x, state.m, grad, lr, self.weight_decay)
            return x, State(m, state.count + 1)
        check_alike("grad", grad, x)
        check_alike("state.m", state.m, x)
        x, m = self._update_each(x, state.m, grad, lr)
        return x, State(m, state.count + 1)

    def _update_each(self, x: Any, m: Any, grad: Any, lr: Any) -> tuple[Any, Any]:
        """``update`` of every array of a container."""
        K = self.function_of_each(x, m, grad, self.weight_decay)
        both = tree_map(lambda a, b, g, k: _Pair(*self.update(a, b, g, lr, self.weight_decay, K=k)), x, m, grad, K)
        return tree_map(lambda p: p.x, both), tree_map(lambda p: p.m, both)

    def update(
        self, x: Array, m: Array, grad: Array, lr: Any, weight_decay: Any, *, K: ConvexFunction | None = None,
        betas: tuple[Any, Any] | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        """The step of one array, in ``result_type(x, m)``: what runners call, with checked coefficients."""
        of = _xp.floating(x)
        xp, others = of.xp, (_xp.kind(m), _xp.floating(grad, "grad"))
        if others[0].xp is not xp or others[1].xp is not xp:
            _xp.namespace(x, m, grad, name="x, grad and state.m")  # which says so
        if others[1].complex and not of.complex:
            raise TypeError("grad is complex but x is real; take the real part of the gradient")
        a, b, c = x, m, grad
        if not x.dtype == m.dtype == grad.dtype:
            dtype = xp.result_type(x.dtype, m.dtype)
            a, b, c = (_xp.astype(xp, v, dtype) for v in (x, m, grad))
        real = _xp.real_dtype(a)
        e, lam = cast(xp, lr, real, "lr"), cast(xp, weight_decay, real, "weight_decay")
        b1, b2 = betas or self.betas
        b1, b2 = cast(xp, b1, real, "betas"), cast(xp, b2, real, "betas")
        dK = (self.K if K is None else K).subgradient
        new_x, new_m = step.update(dK, a, b, c, e, lam, b1, b2, self.decay == "implicit")
        return _xp.astype(xp, new_x, x.dtype), _xp.astype(xp, new_m, m.dtype)

    def function_of_each(self, x: Any, m: Any, grad: Any, weight_decay: Any) -> Any:  # noqa: ARG002  (variants do)
        """K for each array of a container. A K that couples them looks at all readouts."""
        if not isinstance(self.K, ContainerFunction):
            return self.K
        b1 = self.betas[0]
        return self.K.at(lambda: tree_map(lambda a, g: b1 * a - (1 - b1) * g, m, grad))

    def bind(self, x: Any, m: Any, dK: Any = None) -> Callable[[Any, Any, Any, float], tuple[Any, Any]]:
        """``step(x, m, grad, lr)`` of arrays, or containers, like these: what it asks is looked up, its checks are left
        out. ``dK``: what is bound to each array already.
        """
        if isinstance(self.K, ContainerFunction) and not isinstance(self.K, Blocks):
            return self._update_each
        if dK is None:
            dK = self.K.tree if isinstance(self.K, Blocks) else self.K
        steps = tree_map(lambda a, b, k: _Leaf(self._bind(a, b, k)), x, m, dK)
        if isinstance(steps, _Leaf):
            return steps.step

        def step_all(x: Any, m: Any, grad: Any, lr: float) -> tuple[Any, Any]:
            both = tree_map(lambda a, b, g, s: _Pair(*s.step(a, b, g, lr)), x, m, grad, steps)
            return tree_map(lambda p: p.x, both), tree_map(lambda p: p.m, both)

        return step_all

    def _bind(self, x: Array, m: Array, K: Any) -> Callable[[Array, Array, Array, float], Any]:
        dtype, lam, implicit, (b1, b2) = x.dtype, self.weight_decay, self.decay == "implicit", self.betas
        dK = bound(K, x).subgradient
        plain = m.dtype == dtype and type(self) is LionK and isinstance(lam, float)

        def step_one(x: Array, m: Array, grad: Array, lr: float) -> tuple[Array, Array]:
            if plain and grad.dtype == dtype:
                return step.update(dK, x, m, grad, lr, lam, b1, b2, implicit)
            return self.update(x, m, grad, lr, lam, K=K)

        return step_one

    def run(
        self, x: Any, m: Any, grad: Any, *, lr: Any = None, weight_decay: Any = None,
        beside: dict[str, Any] | None = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """``update`` of an array, or of each in lists of arrays, with the optimizer's own coefficients where None.

        ``beside``: what the property of that name asks for, whose arrays are written in place.
        """
        rate, decay, jobs = arguments(self, x, m, grad, lr, weight_decay, beside)
        return results(x, [self.one(job, rate, decay, beside or {}) for job in jobs])

    def one(self, job: tuple[Any, ...], lr: Any, weight_decay: Any, _: dict[str, Any]) -> tuple[Array, Array]:
        """``update`` of the arrays of one job, ``(x, m, grad, *beside, K)``, without checks."""
        x, m, grad, K = job
        return self.update(x, m, grad, lr, weight_decay, K=K)

    def with_decay(self, decay: str) -> LionK:
        """The same iteration with the other decay: ``h = lr/(1 - lr lam)`` implicit, ``h/(1 + h lam)`` explicit.

        Exact, at equal lam (derived here). To implicit, ``lr lam < 1`` is needed.
        """
        if decay == self.decay:
            return self
        convert = implicit_lr if decay == "implicit" else explicit_lr
        lam, lr = self.weight_decay, self.lr
        new = (lambda count: convert(lr(count), lam)) if callable(lr) else convert(lr, lam)
        return replace(self, lr=new, decay=decay)

    def _read_betas(self) -> tuple[Any, Any]:
        try:
            b1, b2 = (number(b) for b in self.betas)
        except (TypeError, ValueError):
            raise TypeError(f"betas must be two numbers, got {self.betas!r}") from None
        if isinstance(b1, float) and not 0 <= b1 <= 1:
            raise ValueError(f"betas[0] must be in [0, 1], got {b1!r}")
        if isinstance(b2, float) and not 0 <= b2 < 1:
            raise ValueError(f"betas[1] must be in [0, 1), got {b2!r}; at 1 the momentum would never change")
        return b1, b2

    def check_product(self, lr: Any, lam: Any) -> None:
        """Refuse an explicit step that would leave the convex hull, where lr and decay are numbers."""
        if self.decay == "explicit" and isinstance(lr, float) and isinstance(lam, float) and lr * lam > 1:
            raise ValueError(
                f"explicit decay needs lr * weight_decay <= 1, got {lr!r} * {lam!r}: the step would leave the convex "
                'hull; lower lr, or use decay="implicit", which takes any lr'
            )


class _Pair:
    """x and m of one array; a class of its own, so that it is a leaf of containers."""

    def __init__(self, x: Array, m: Array) -> None:
        self.x, self.m = x, m


class _Leaf:
    """The step of one array, a leaf of containers."""

    def __init__(self, step: Callable[[Any, Any, Any, float], tuple[Any, Any]]) -> None:
        self.step = step


def _warn(message: str) -> None:
    warnings.warn(message, LionKWarning, stacklevel=4)
