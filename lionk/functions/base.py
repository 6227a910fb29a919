"""The convex function: what a user calls, its traits, and what a kind of function must supply."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from ..arrays import namespace as _xp
from ..arrays.containers import is_container, tree_map
from ..arrays.namespace import Array, Namespace
from ..arrays.value import Value, arrays_in, field, fields, has_arrays, replace, value_class
from ..sets.base import ConvexSet


def above(name: str) -> Callable[..., Any]:
    """What K can do that needs the rules or the registry, by its name in ``lionk.functions``: no import points up."""
    found: Callable[..., Any] = getattr(sys.modules["lionk.functions"], name)
    return found


@value_class
class Traits(Value):
    """What is known of a function K, stated once; dispatch, tests and tables read it from here."""

    even: bool = True  # K(-x) = K(x)
    absolute: bool = True  # K depends on |x_i| only, so that complex entries have a meaning
    symmetric: bool = True  # K does not change when the entries are permuted
    homogeneous: bool = False  # K(a x) = a K(x) for a > 0: a support function
    smooth: bool = False  # differentiable wherever it is finite in the interior of its domain
    bounded_domain: bool = False  # dom K* is bounded
    open_domain: bool = False  # dom K* lacks part of its boundary
    structure: str = "reduce"  # elementwise | rowwise | reduce | order | matrix | blocks | coupled
    along: int | None = None  # the axis of the slices that belong together, where the structure is rowwise
    stacks: bool = False  # a function of matrices: axes before the last two are independent blocks, whose values add up
    selection: str = "min_norm"  # min_norm | composed | approximate (in dK up to a stated accuracy)
    minimum_at_zero: bool | None = True  # 0 in dK(0); None: depends on array parameters
    prox: bool = True  # prox has an implementation
    needs: tuple[str, ...] = ()  # namespace extensions, such as "linalg"
    host: bool = False  # part of it is computed on the host, by SciPy: not under a jit
    accuracy: float = 0.0  # where an iteration stands in for a closed form: relative width of `bounds`, beside rounding


def inherited(*parts: Traits) -> str:
    """The selection of a rule that does not keep least norms."""
    return "approximate" if any(p.selection == "approximate" for p in parts) else "composed"


@value_class
class ConvexFunction(Value, ABC):
    """A closed convex function K, a stated selection of its subgradient, and its conjugate.

    Functions are values: frozen, compared by their parameters (by identity if one is an array). A subclass is a
    frozen dataclass of its parameters. Functions of one array derive from ``ArrayFunction``, which needs private
    hooks only; ``Blocks`` is the function of a container.

    Attributes
    ----------
    conjugate : ConvexFunction
        ``K*(y) = sup_x Re<x, y> - K(x)``; ``K.conjugate.conjugate is K``.
    domain : ConvexSet
        Where K is finite. ``K.conjugate.domain`` is dom K*, the set that ``weight_decay * x`` is driven into.
    traits : Traits
    spec : dict
        The way to build K again: ``lionk.K(K.spec)``.
    """

    conjugate: ConvexFunction = field(default=None, kw_only=True, repr=False, compare=False)
    label: dict[str, Any] | None = field(default=None, kw_only=True, repr=False, compare=False)
    derived: bool = field(
        default=False, init=False, repr=False, compare=False
    )  # was it made as the conjugate of another function?
    traits: Traits = field(init=False, repr=False, compare=False)
    domain: ConvexSet = field(init=False, repr=False, compare=False)

    _arrays: ClassVar[tuple[Any, ...]] = ()  # the array parameters, looked up once
    __array_ufunc__ = None  # so that NumPy leaves ``K * array`` to K, which refuses it

    def __post_init__(self) -> None:
        # Everything derived is made here, eagerly: arrays made lazily inside a jit would leak its tracers.
        self._validate()
        object.__setattr__(self, "_arrays", tuple(arrays_in(self)))
        object.__setattr__(self, "domain", self._domain())
        object.__setattr__(self, "derived", self.conjugate is not None)
        if self.conjugate is None:
            object.__setattr__(self, "conjugate", self._dual())
        object.__setattr__(self, "traits", self._traits())

    # -- what a user calls -----------------------------------------------------------------------------------

    @abstractmethod
    def value(self, x: Array, tol: float | None = None) -> Array:
        """K(x), 0-d and real.

        Its derivative, by the automatic differentiation of PyTorch and JAX, is ``subgradient(x)``.
        Where K is not finite everywhere: inside the domain, up to ``tol`` (None: ``8 eps(dtype) sqrt(size)``, relative
        to the set's scale), the value at the projection; outside ``+inf``. Never raises for values, never branches on
        them. NaN gives NaN.
        """

    def __call__(self, x: Array, tol: float | None = None) -> Array:
        return self.value(x, tol)

    @abstractmethod
    def bounds(self, x: Array, tol: float | None = None) -> tuple[Array, Array]:
        """``(lower, upper)``, 0-d: K(x) lies between them, as does ``value``; ``tol`` as in ``value``.

        Of a closed form they differ by rounding, relative to the terms that K is the sum of (they may cancel), else by
        the accuracy of an iteration as well (``traits.accuracy``, relative to ``|K(x)| + |K*(s)| + sum |x_i s_i|``, s
        in dK(x)). Upper: a representation of x that is feasible; lower: Fenchel's inequality (derived here). On lazy
        arrays and accelerators the proximal point of an envelope far out is known to the rounding of x only, and both
        ends may miss K by that.

        >>> import lionk, numpy as np
        >>> lower, upper = (lionk.K("softsign") + lionk.K("l2")).conjugate.bounds(np.asarray([1.2, 0.5]))
        >>> bool(lower <= upper <= lower + 1e-12)
        True
        """

    @abstractmethod
    def subgradient(self, x: Array) -> Array:
        """The stated selection from dK(x): of least norm where ``traits.selection`` says so. Same shape and dtype."""

    @abstractmethod
    def prox(self, x: Array, t: float = 1.0) -> Array:
        """``argmin_z K(z) + |z - x|^2 / (2 t)`` for t > 0. Raises NotAvailable where no algorithm is known."""

    @abstractmethod
    def fenchel_young(self, x: Array, s: Array, tol: float | None = None) -> Array:
        """``K(x) + K*(s) - Re<x, s>``, 0-d: >= 0, and 0 exactly when s is in dK(x). ``tol`` as in ``value``."""

    @abstractmethod
    def subdifferential_distance(self, x: Array, s: Array) -> Array:
        """Euclidean distance from s to dK(x), 0-d. Raises NotAvailable where it has no closed form."""

    @abstractmethod
    def bind(self, like: Array, batch: int = 0) -> Any:
        """Its methods for arrays of the library, dtype and axes of ``like``, without their checks: ``functions.bound``.

        With ``batch = 1`` they take stacks of such arrays along a first axis, each an argument of its own. Values of
        16-bit arrays, and their inner products, stay in float32: 70,000 is infinite in float16.
        """

    @property
    def spec(self) -> dict[str, Any]:
        """Nested dict of names and parameters (arrays by reference), from which ``lionk.K`` builds this again."""
        if self.label is not None:
            return dict(self.label)
        return {"name": "conjugate", "K": self.conjugate.spec} if self.derived else self._spec()

    @property
    def by_entry(self) -> bool:
        """Is each entry of dK that of the same entry of x, by one rule for all of them?"""
        return self.traits.structure == "elementwise" and self.traits.symmetric and not self._arrays

    def _repr_latex_(self) -> str | None:
        return above("formulas")(self)

    def _repr_html_(self) -> str | None:
        # None where there are formulas: of the two, a notebook would show this one.
        return None if above("formulas")(self) else above("described")(self)

    def to(self, *, like: Array) -> ConvexFunction:
        """The same function with its array parameters in the library, precision and on the device of ``like``.

        The precision is at least float32, in which 16-bit arrays are computed.
        """
        xp = _xp.namespace(like, name="like")
        _xp.floating(like, "like")
        return _moved(self, xp, like, 64 if _xp.eps(like) < 1e-10 else 32) if has_arrays(self) else self

    # -- the calculus: each rule names its dual ---------------------------------------------------------------

    def scale(self, a: Any) -> ConvexFunction:
        """``a K(x)``, a > 0, a number or a ``ShapeFactor``; conjugate ``a K*(y/a)``."""
        return above("scale")(self, a)

    def dilate(self, a: float) -> ConvexFunction:
        """``K(a x)``, a != 0; conjugate ``K*(y/a)``."""
        return above("dilate")(self, a)

    def tilt(self, c: Any) -> ConvexFunction:
        """``K(x) + Re<c, x>``; conjugate ``K*(y - c)``. The selection is ``dK + c``."""
        return above("tilt")(self, c)

    def shift(self, b: Any) -> ConvexFunction:
        """``K(x + b)``; conjugate ``K*(y) - Re<b, y>``."""
        return above("shift")(self, b)

    def moreau(self, mu: float = 1.0) -> ConvexFunction:
        """Moreau envelope ``min_z K(z) + |x - z|^2/(2 mu)``; conjugate ``K* + mu/2 |y|^2``."""
        return above("moreau_envelope")(self, mu)

    def ridge(self, mu: float = 1.0) -> ConvexFunction:
        """``K(x) + mu/2 |x|^2``; conjugate: the Moreau envelope of K*."""
        return above("ridge")(self, mu)

    def __add__(self, other: ConvexFunction) -> ConvexFunction:
        return above("add")(self, other) if isinstance(other, ConvexFunction) else NotImplemented

    def __mul__(self, a: float) -> ConvexFunction:
        return self.scale(a) if isinstance(a, (int, float)) else NotImplemented

    __rmul__ = __mul__

    # -- what a new function supplies -------------------------------------------------------------------------

    @abstractmethod
    def _dual(self) -> ConvexFunction:
        """A new object for K*, made with ``conjugate=self``."""

    @abstractmethod
    def _domain(self) -> ConvexSet: ...

    @abstractmethod
    def _traits(self) -> Traits: ...

    @abstractmethod
    def _spec(self) -> dict[str, Any]: ...

    def _validate(self) -> None:
        """Raise ValueError or TypeError, naming the parameter."""

    def __copy__(self) -> ConvexFunction:
        return self  # a value

    def __deepcopy__(self, memo: dict[int, Any]) -> ConvexFunction:
        return self

    def __reduce__(self) -> Any:
        return above("K"), (self.spec,)


def _moved(v: Any, xp: Namespace, like: Array, bits: int) -> Any:
    """A parameter with its arrays where ``like`` is. A function of the module: one that calls itself from a closure
    would keep ``like`` until the cycle collector comes by.
    """
    if isinstance(v, Value):
        changed = {f.name: _moved(getattr(v, f.name), xp, like, bits) for f in fields(v) if f.init and f.compare}
        if not isinstance(v, ConvexFunction):
            return replace(v, **changed)
        return type(v)(**changed) if v.label is None else labelled(type(v)(**changed), _moved(v.label, xp, like, bits))
    if is_container(v):
        return tree_map(lambda a: _moved(a, xp, like, bits), v)
    if not hasattr(v, "shape"):
        return v
    theirs = _xp.namespace(v)
    name = f"complex{2 * bits}" if _xp.is_complex(v) else f"float{bits}"
    v = _xp.astype(theirs, v, getattr(theirs, name))
    return xp.asarray(v, device=_xp.device(like)) if theirs is xp else _transfer(xp, v, like)


def _transfer(xp: Namespace, value: Array, like: Array) -> Array:
    try:
        return xp.asarray(xp.from_dlpack(value), device=_xp.device(like))
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        return xp.asarray(value, device=_xp.device(like))


def labelled(k: ConvexFunction, label: dict[str, Any]) -> ConvexFunction:
    """The same function, knowing the spec it was built from."""
    twin = object.__new__(type(k))
    twin.__dict__.update(k.__dict__)
    dual = object.__new__(type(k.conjugate))
    dual.__dict__.update(k.conjugate.__dict__)
    object.__setattr__(twin, "label", dict(label))
    object.__setattr__(twin, "conjugate", dual)
    object.__setattr__(dual, "conjugate", twin)
    undone = label["K"] if label["name"] == "conjugate" else {"name": "conjugate", "K": label}
    object.__setattr__(dual, "label", undone)
    return twin
