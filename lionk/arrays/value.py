"""Objects that are values: frozen, compared by their fields, or by identity where a field holds an array.

A class that derives from ``Value`` is a dataclass whose methods are not written class by class, which would take most
of the time of an import: they stand here once, and read the fields.
"""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform

from .containers import is_container, leaves

C = TypeVar("C", bound=type)


@dataclass_transform(field_specifiers=(field,))
def value_class(cls: C) -> C:
    """A dataclass that takes its methods, ``__init__`` included, from ``Value``."""
    dataclass(eq=False, repr=False, init=False, match_args=False)(cls)
    return cls


class _Signature:
    """``inspect.signature`` of a class: that of its fields."""

    def __get__(self, one: Any, cls: type) -> inspect.Signature:
        if one is not None:
            raise AttributeError("a class has this signature, and not its objects, which may be callable")
        empty, ways = inspect.Parameter.empty, (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        made = sorted((f for f in fields(cls) if f.init), key=lambda f: bool(f.kw_only))
        defaults = [empty if f.default is MISSING else f.default for f in made]
        return inspect.Signature(
            [
                inspect.Parameter(f.name, ways[bool(f.kw_only)], default=d, annotation=f.type)
                for f, d in zip(made, defaults, strict=True)
            ]
        )


class _Parameters:
    """What ``__init__`` of a class takes: all by name, with their defaults, the positional ones, and those without."""

    def __init__(self, cls: Any) -> None:
        made = [f for f in fields(cls) if f.init]
        self.of, self.defaults = cls, {f.name: f.default for f in made}
        self.positional = [f.name for f in made if not f.kw_only]
        self.required = {f.name for f in made if f.default is MISSING}


@value_class
class Value:
    """Base of convex functions and sets. A field is set once, when the object is made."""

    __signature__ = _Signature()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
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
        if name in self.__dict__ or name not in self.__dataclass_fields__:
            raise FrozenInstanceError(f"{type(self).__name__} is a value: {name!r} cannot be set; make a new one")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"{type(self).__name__} is a value: {name!r} cannot be deleted")

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
