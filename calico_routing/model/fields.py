"""How the fields of a resource stand in its JSON document; what a document holds beyond them is kept."""

from __future__ import annotations

from calico_routing.model.errors import Problem, ValidationError
from calico_routing.model.records import EMPTY, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar, TypeVar

    D = TypeVar("D", bound="Document")


class Field:
    """One attribute of a record and its place in the JSON document."""

    __slots__ = ("attribute", "omitted", "path", "read", "write")

    def __init__(
        self,
        attribute: str,
        path: str,
        read: Callable[[Any], Any],  # Any: JSON in, the attribute's type out
        write: Callable[[Any], Any] | None = None,  # Any: the reverse
        *,
        always: bool = False,
        omitted: tuple[object, ...] = (None, "", (), EMPTY),
    ) -> None:
        """Describe the attribute; the ``omitted`` values are left out of the document unless ``always``."""
        self.attribute = attribute
        self.path = tuple(path.split("."))
        self.read = read
        self.write = write
        self.omitted = () if always else omitted


class Document(Record):
    """A record that is read from and written to a JSON object by its table of fields."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    extra: Mapping[str, Any] = EMPTY  # Any: members of the JSON object that this version does not know


def read_text(value: object) -> str:
    """Accept a string."""
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def read_flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def read_number(value: object) -> int:
    """Accept a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("must be a whole number")
    return value


def read_as_number(value: object) -> int:
    """Accept an AS number as a number, as digits or in the form ``a.b`` (RFC 5396)."""
    if isinstance(value, str):
        high, dot, low = value.partition(".")
        parts = (high, low) if dot else ("0", high)
        if not all(part.isascii() and part.isdigit() for part in parts) or (dot and max(map(int, parts)) > 0xFFFF):
            raise ValueError("must be an AS number")
        return int(parts[0]) << 16 | int(parts[1]) if dot else int(high)
    return read_number(value)


def read_texts(value: object) -> tuple[str, ...]:
    """Accept a list of strings."""
    if not isinstance(value, list):
        raise TypeError("must be a list of strings")
    return tuple(map(read_text, value))


def read_text_mapping(value: object) -> dict[str, str]:
    """Accept an object whose members are strings."""
    if not isinstance(value, dict) or not all(isinstance(member, str) for member in value.values()):
        raise TypeError("must be an object of strings")
    return dict(value)


def read_number_mapping(value: object) -> dict[str, int]:
    """Accept an object whose members are whole numbers."""
    if not isinstance(value, dict):
        raise TypeError("must be an object of whole numbers")
    return {str(key): read_number(member) for key, member in value.items()}


def text(attribute: str, path: str, *, always: bool = False) -> Field:
    """Describe a string."""
    return Field(attribute, path, read_text, always=always)


def flag(attribute: str, path: str, *, always: bool = False, optional: bool = False) -> Field:
    """Describe a boolean; an ``optional`` one tells false from not set."""
    return Field(attribute, path, read_flag, always=always, omitted=(None,) if optional else (None, False))


def number(attribute: str, path: str, *, always: bool = False, omitted: tuple[object, ...] = (None,)) -> Field:
    """Describe a whole number."""
    return Field(attribute, path, read_number, always=always, omitted=omitted)


def as_number(attribute: str, path: str) -> Field:
    """Describe an AS number."""
    return Field(attribute, path, read_as_number)


def texts(attribute: str, path: str, *, always: bool = False) -> Field:
    """Describe a list of strings."""
    return Field(attribute, path, read_texts, list, always=always)


def text_mapping(attribute: str, path: str, *, always: bool = False) -> Field:
    """Describe an object of strings."""
    return Field(attribute, path, read_text_mapping, dict, always=always)


def part(attribute: str, path: str, kind: type[Document]) -> Field:
    """Describe an object that is a record of its own."""
    return Field(attribute, path, lambda value: read_document(kind, value), write_document)


def parts(attribute: str, path: str, kind: type[Document], *, always: bool = False) -> Field:
    """Describe a list of objects that are records of their own."""

    def read(value: object) -> tuple[Document, ...]:
        if not isinstance(value, list):
            raise TypeError("must be a list of objects")
        return tuple([read_document(kind, item) for item in value])

    return Field(attribute, path, read, lambda items: [write_document(item) for item in items], always=always)


_trees: dict[type[Document], dict[str, Any]] = {}  # Any: a Field or a further tree


def _tree(kind: type[Document]) -> dict[str, Any]:  # Any: as above
    """Return the fields of a kind arranged as the document is nested."""
    tree = _trees.get(kind)
    if tree is None:
        tree = _trees[kind] = {}
        for field in kind.FIELDS:
            place = tree
            for step in field.path[:-1]:
                place = place.setdefault(step, {})
            place[field.path[-1]] = field
    return tree


def read_document(kind: type[D], document: object, *, subject: str = "", **given: object) -> D:
    """Read a record from its JSON object; ``given`` fields are taken as they are, every wrong one is reported."""
    values: dict[str, Any] = dict(given)  # Any: fields are of every type
    problems: list[Problem] = []
    extra = _read_level(_tree(kind), document, "", values, problems)
    problems += [
        Problem(field=field_path(kind, attribute), reason="is required", value=None)
        for attribute in kind.required_fields()
        if attribute not in values and not problems
    ]
    if problems:
        raise ValidationError(subject or kind.__name__, problems)
    return kind(extra=extra or EMPTY, **values)


def _read_level(
    tree: Mapping[str, Any],  # Any: see _tree
    document: object,
    place: str,
    values: dict[str, Any],  # Any: see read_document
    problems: list[Problem],
) -> dict[str, Any]:  # Any: what is left of the JSON object
    """Read one level of nesting into ``values`` and return the members that no field claims."""
    if not isinstance(document, dict):
        problems.append(Problem(field=place.rstrip(".") or "document", reason="must be an object", value=document))
        return {}
    left: dict[str, Any] = {}  # Any: JSON
    for key, value in document.items():
        known = tree.get(key)
        if known is None:
            left[key] = value
        elif isinstance(known, Field):
            if value is not None:
                _read_field(known, value, values, problems)
        elif value is not None:
            rest = _read_level(known, value, f"{place}{key}.", values, problems)
            if rest or value == {}:
                left[key] = rest
    return left


def _read_field(
    field: Field,
    value: object,
    values: dict[str, Any],  # Any: see read_document
    problems: list[Problem],
) -> None:
    try:
        values[field.attribute] = field.read(value)
    except ValidationError as error:
        prefix = ".".join(field.path)
        problems += [problem.replace(field=f"{prefix}.{problem.field}") for problem in error.problems]
    except (TypeError, ValueError) as error:
        problems.append(Problem(field=".".join(field.path), reason=str(error), value=value))


def write_document(record: Document) -> dict[str, Any]:  # Any: JSON
    """Write a record as the JSON object that it was read from, with its present values."""
    document = _copy(record.extra)
    for field in record.FIELDS:
        value = getattr(record, field.attribute)
        if value not in field.omitted:
            place = document
            for step in field.path[:-1]:
                place = place.setdefault(step, {})
            place[field.path[-1]] = value if field.write is None else field.write(value)
    return document


def _copy(document: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Copy the objects of a document; lists are never changed in place."""
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in document.items()}


def field_path(kind: type[Document], attribute: str) -> str:
    """Return the place of an attribute in the document, for messages; anything else stands for itself."""
    return next((".".join(field.path) for field in kind.FIELDS if field.attribute == attribute), attribute)
