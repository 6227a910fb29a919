"""Objects that are values: frozen, compared by their fields, or by identity where a field holds an array.

The classes that derive from ``Value`` are dataclasses with ``eq=False, repr=False`` and not ``frozen=True``: what those
options write, class by class at every import, stands here once (a frozen dataclass takes four times as long to make).
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

from .containers import is_container, leaves


@dataclass(eq=False, repr=False)
class Value:
    """Base of convex functions and sets. A field is set once, when the object is made."""

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
