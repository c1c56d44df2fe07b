"""Immutable values with named fields, defined without the import cost of ``dataclasses``.

A CNI call is one short process, so what its modules cost to load is most of what it costs at all: importing
``dataclasses`` and generating the methods of twenty classes takes longer than the whole address assignment.
"""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final, Self, TypeVar, dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_options: object) -> Callable[[T], T]:
        """Stand in for the typing decorator, which does nothing at run time."""
        return lambda decorated: decorated


#: The default of every mapping field.
EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})  # Any: it stands for a mapping of whatever the field holds


@dataclass_transform(frozen_default=True, kw_only_default=True)
class RecordType(type):
    """Turns the annotated names of a class body into slots and the values given to them into defaults."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> RecordType:  # Any: a class body
        """Collect the fields of the bases and of the body, in order."""
        defaults: dict[str, Any] = {}  # Any: defaults are of every type
        fields: list[str] = []
        for base in bases:
            fields += [field for field in base.__dict__.get("_fields", ()) if field not in fields]
            defaults.update(base.__dict__.get("_defaults", {}))
        own = [
            field
            for field, annotation in namespace.get("__annotations__", {}).items()
            if not annotation.startswith("ClassVar")
        ]
        defaults.update({field: namespace.pop(field) for field in own if field in namespace})
        added = tuple(field for field in own if field not in fields)
        namespace.update(__slots__=added, _fields=(*fields, *added), _defaults=defaults)
        return super().__new__(mcs, name, bases, namespace)


class Record(metaclass=RecordType):
    """A frozen value: keyword arguments only, equal by fields, changed by ``replace``."""

    if TYPE_CHECKING:
        _fields: Final[tuple[str, ...]] = ()
        _defaults: Final[dict[str, Any]] = {}  # Any: as above
    else:

        def __init__(self, **values: object) -> None:
            """Set each field to the value given, or to its default."""
            set_field = object.__setattr__
            for field in self._fields:
                if field in values:
                    set_field(self, field, values.pop(field))
                elif field in self._defaults:
                    set_field(self, field, self._defaults[field])
                else:
                    raise TypeError(f"{type(self).__name__} needs {field}")
            if values:
                raise TypeError(f"{type(self).__name__} has no field {next(iter(values))}")

    @classmethod
    def required_fields(cls) -> tuple[str, ...]:
        """Return the names of the fields that have no default."""
        return tuple([field for field in cls._fields if field not in cls._defaults])

    def _values(self) -> tuple[object, ...]:
        return tuple([getattr(self, field) for field in self._fields])

    def replace(self, **changes: object) -> Self:
        """Return a copy in which the named fields have new values."""
        return type(self)(**{field: getattr(self, field) for field in self._fields} | changes)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a record does not change."""
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set; use replace()")

    def __delattr__(self, name: str) -> None:
        """Refuse: a record does not change."""
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        """Compare the type and every field."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        """Hash the fields; a record that holds a dict has no hash."""
        return hash(self._values())

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        shown = [
            f"{field}={getattr(self, field)!r}"
            for field in self._fields
            if field not in self._defaults or getattr(self, field) != self._defaults[field]
        ]
        return f"{type(self).__name__}({', '.join(shown)})"
