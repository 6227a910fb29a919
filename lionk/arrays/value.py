"""Objects that are values: frozen, compared by their fields, or by identity where a field holds an array.

A class that derives from ``Value`` is a dataclass whose methods are not written class by class, which would take most
of the time of an import: they stand here once, and read the fields.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from .containers import is_container, leaves

if TYPE_CHECKING:
    import dataclasses

C = TypeVar("C", bound=type)
V = TypeVar("V", bound="Value")


class Field:
    """A field of a value. One of ``init=False`` is derived when the object is made."""

    __slots__ = ("compare", "default", "init", "kw_only", "name", "repr", "type")

    name: str
    type: Any

    def __init__(self, default: Any, init: bool, repr: bool, compare: bool, kw_only: bool) -> None:  # noqa: A002
        self.default, self.init, self.repr, self.compare, self.kw_only = default, init, repr, compare, kw_only


def field(
    *, default: Any = inspect.Parameter.empty, init: bool = True, repr: bool = True, compare: bool = True,  # noqa: A002
    kw_only: bool = False,
) -> Any:  # fmt: skip
    """A field that is not as others are: like ``dataclasses.field``, which need not be imported for it."""
    return Field(default, init, repr, compare, kw_only)


def fields(value: Any) -> tuple[Field, ...]:
    """The fields of a value, or of its class, those of its bases first."""
    return tuple(value._its_fields.values())


def replace(value: V, /, **changes: Any) -> V:
    """The same value with other fields: ``dataclasses.replace``, which need not be imported for it."""
    return type(value)(**{f.name: getattr(value, f.name) for f in fields(value) if f.init} | changes)


@dataclass_transform(field_specifiers=(field,))
def value_class(cls: C) -> C:
    """A dataclass that takes its methods, ``__init__`` included, from ``Value``."""
    found: dict[str, Field] = {}
    for base in cls.__mro__[:0:-1]:
        found |= base.__dict__.get("_its_fields", {})
    for name, annotation in inspect.get_annotations(cls).items():
        if str(annotation).startswith("ClassVar"):
            continue
        given = cls.__dict__.get(name, inspect.Parameter.empty)
        made = given if isinstance(given, Field) else field(default=given)
        made.name, made.type = name, annotation
        if made.default is not inspect.Parameter.empty:
            setattr(cls, name, made.default)
        elif made is given:
            delattr(cls, name)
        found[name] = made
    cls._its_fields = found  # type: ignore[attr-defined]
    return cls


class _DataclassFields:
    """The fields as those of a dataclass, for the functions of ``dataclasses``, which is imported when they ask."""

    def __get__(self, one: Any, cls: Any) -> dict[str, dataclasses.Field[Any]]:
        if "_as_dataclass" not in cls.__dict__:
            cls._as_dataclass = self._made(cls)
        found: dict[str, dataclasses.Field[Any]] = cls._as_dataclass
        return found

    def _made(self, cls: Any) -> Any:
        import dataclasses

        made = []
        for f in fields(cls):
            given = {} if f.default is inspect.Parameter.empty else {"default": f.default}
            more: Any = {"init": f.init, "repr": f.repr, "compare": f.compare, "kw_only": f.kw_only, **given}
            made.append((f.name, f.type, dataclasses.field(**more)))
        like: Any = dataclasses.make_dataclass(cls.__name__, made, init=False, repr=False, eq=False)
        return like.__dataclass_fields__


class _Signature:
    """``inspect.signature`` of a class: that of its fields."""

    def __get__(self, one: Any, cls: type) -> inspect.Signature:
        if one is not None:
            raise AttributeError("a class has this signature, and not its objects, which may be callable")
        ways = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        made = sorted((f for f in fields(cls) if f.init), key=lambda f: f.kw_only)
        return inspect.Signature(
            [inspect.Parameter(f.name, ways[f.kw_only], default=f.default, annotation=f.type) for f in made]
        )


class _Parameters:
    """What ``__init__`` of a class takes: all by name, with their defaults, the positional ones, and those without."""

    def __init__(self, cls: Any) -> None:
        made = [f for f in fields(cls) if f.init]
        self.of, self.defaults = cls, {f.name: f.default for f in made}
        self.positional = [f.name for f in made if not f.kw_only]
        self.required = {f.name for f in made if f.default is inspect.Parameter.empty}


@value_class
class Value:
    """Base of convex functions and sets. A field is set once, when the object is made."""

    __signature__ = _Signature()
    __dataclass_fields__ = _DataclassFields()
    __dataclass_params__ = SimpleNamespace(frozen=False)  # what @dataclass asks of the bases of a user's class
    _its_fields: ClassVar[dict[str, Field]]
    _takes: ClassVar[_Parameters | None] = None

    def __init__(self, *given: Any, **named: Any) -> None:
        cls = type(self)
        takes = cls._takes
        if takes is None or takes.of is not cls:
            takes = cls._takes = _Parameters(cls)
        made = {**takes.defaults, **dict(zip(takes.positional, given, strict=False)), **named}
        names = {*takes.positional[: len(given)], *named}
        if len(made) > len(takes.defaults) or len(names) < len(given) + len(named) or not takes.required <= names:
            inspect.signature(cls).bind(*given, **named)  # a TypeError that says what is wrong
        self.__dict__.update(made)
        self.__post_init__()

    def __post_init__(self) -> None:
        """What a class checks and derives."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or not (name in self._its_fields or name in self._adopted()):
            raise _frozen(f"{type(self).__name__} is a value: {name!r} cannot be set; make a new one")
        object.__setattr__(self, name, value)

    @classmethod
    def _adopted(cls) -> dict[str, Any]:
        """The fields of a user's class, if that is made by @dataclass."""
        import dataclasses

        if isinstance(vars(cls).get("__dataclass_fields__"), dict):
            cls._its_fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[misc]
        return cls._its_fields

    def __delattr__(self, name: str) -> None:
        raise _frozen(f"{type(self).__name__} is a value: {name!r} cannot be deleted")

    def __replace__(self, /, **changes: Any) -> Any:
        """For ``copy.replace``."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or has_arrays(self) or has_arrays(other):
            return False
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self) if f.compare)

    def __hash__(self) -> int:
        if has_arrays(self):
            return id(self)
        return hash((type(self), *(_hashable(getattr(self, f.name)) for f in fields(self) if f.compare)))


def _frozen(message: str) -> Exception:
    from dataclasses import FrozenInstanceError  # here, so that `import lionk` stays light

    return FrozenInstanceError(message)


def arrays_in(value: Any) -> list[Any]:
    """The arrays among this value and, field by field, what it is made of."""
    if is_container(value):
        return [a for v in leaves(value) for a in arrays_in(v)]
    if isinstance(value, Value):
        return [a for f in fields(value) if f.compare for a in arrays_in(getattr(value, f.name))]
    return [value] if hasattr(value, "shape") else []


def has_arrays(value: Any) -> bool:
    return bool(arrays_in(value))


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((k, _hashable(v)) for k, v in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else value
