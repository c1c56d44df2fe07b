from __future__ import annotations

import pytest

from calico_routing.model.records import EMPTY, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar


class Animal(Record):
    legs: int
    names: Mapping[str, str] = EMPTY


class Dog(Animal):
    KINGDOM: ClassVar[str] = "animalia"
    legs: int = 4
    tail: bool = True


def test_values_defaults_and_inheritance() -> None:
    dog = Dog(names={"en": "Rex"})
    assert (dog.legs, dog.tail, dog.names, dog.KINGDOM) == (4, True, {"en": "Rex"}, "animalia")
    assert dog.replace(legs=3) == Dog(legs=3, names={"en": "Rex"})
    assert repr(dog.replace(tail=False)) == "Dog(names={'en': 'Rex'}, tail=False)"


def test_equality_is_by_class_and_fields() -> None:
    assert Animal(legs=4) == Animal(legs=4)
    assert Animal(legs=4) != Animal(legs=2)
    assert Dog() != Animal(legs=4)
    assert len({Animal(legs=4, names=()), Animal(legs=4, names=())}) == 1  # type: ignore[arg-type]


def test_records_do_not_change() -> None:
    with pytest.raises(AttributeError, match=r"Dog\.legs cannot be set"):
        Dog().legs = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"Dog\.legs cannot be deleted"):
        del Dog().legs
    with pytest.raises(AttributeError):
        Dog().wings = 2  # type: ignore[attr-defined]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="Animal needs legs"):
        Animal()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Dog has no field wings"):
        Dog(wings=2)  # type: ignore[call-arg]
