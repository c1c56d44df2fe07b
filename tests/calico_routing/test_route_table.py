"""The books of wanted and present routes, against two plain tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from calico_routing.kernel.interface import FAMILY_IPV4, KernelRoute, NextHop
from calico_routing.kernel.netlink.route_runs import destination_of, key_of
from calico_routing.route_table import FamilyBook, RouteBooks

KEYS = [bytes((26, 10, 0, 0, number << 6)) for number in range(4)]
SHAPES = [KernelRoute("", next_hops=(NextHop(f"10.0.0.{number}", "eth0"),)) for number in range(3)]
some_keys = st.lists(st.sampled_from(KEYS), max_size=6)
one_key = st.sampled_from(KEYS)
one_shape = st.sampled_from(SHAPES)


def without_nothing(table: dict[bytes, KernelRoute | None]) -> dict[bytes, KernelRoute]:
    return {key: shape for key, shape in table.items() if shape is not None}


class Books(RuleBasedStateMachine):
    """A route that is there is told from one that is wanted, whatever was done before."""

    def __init__(self) -> None:
        super().__init__()
        self.book = FamilyBook()
        self.wanted: dict[bytes, KernelRoute] = {}
        self.present: dict[bytes, KernelRoute] = {}

    @rule(key=one_key, shape=one_shape)
    def want(self, key: bytes, shape: KernelRoute) -> None:
        self.book.want(key, shape)
        self.wanted[key] = shape

    @rule(key=one_key, shape=st.none() | one_shape)
    def note(self, key: bytes, shape: KernelRoute | None) -> None:
        self.book.note(key, shape)
        self.present.pop(key, None)
        if shape is not None:
            self.present[key] = shape

    @rule(keys=some_keys, shape=one_shape)
    def set_run(self, keys: list[bytes], shape: KernelRoute) -> None:
        new, found = self.book.set_run(keys, shape)
        assert sorted(new) == sorted(set(keys) - self.present.keys())
        assert found == {key: self.present[key] for key in keys if self.present.get(key, shape) != shape}
        self.wanted.update(dict.fromkeys(keys, shape))
        self.present.update(dict.fromkeys(keys, shape))

    @rule(keys=some_keys)
    def remove_run(self, keys: list[bytes]) -> None:
        gone = self.book.remove_run(keys)
        concerned = [key for key in set(keys) if self.wanted.pop(key, None) is not None]
        expected = {key: shape for key in concerned if (shape := self.present.pop(key, None)) is not None}
        told = sorted((key, shape) for shape, some in gone.items() for key in some)
        assert told == sorted(expected.items())

    @rule(keys=some_keys)
    def settle(self, keys: list[bytes]) -> None:
        concerned = [key for key in keys if key in self.wanted]
        self.book.settle(concerned)
        self.present.update({key: self.wanted[key] for key in concerned})

    @invariant()
    def agree(self) -> None:
        assert self.book.wanted == self.wanted
        assert without_nothing({key: self.book.present(key) for key in KEYS}) == self.present
        assert sorted(self.book.present_keys()) == sorted(self.present)
        assert all(self.book.wanted.get(key) != stray for key, stray in self.book.strays.items())


TestBooks: Any = Books.TestCase


def test_routes_are_named_by_destination() -> None:
    books = RouteBooks()
    routes = [
        shape._replace(destination=destination_of(FAMILY_IPV4, key)) for key, shape in zip(KEYS, SHAPES, strict=False)
    ]
    books.want(routes[0])
    books.want(routes[1])
    books.note(routes[1])
    books.note(routes[2])
    assert dict(books.wanted) == {one.destination: one for one in routes[:2]}
    assert dict(books.present) == {one.destination: one for one in routes[1:]}
    assert (len(books.wanted), len(books.present)) == (2, 2)
    assert books.drop(routes[2].destination) is None
    assert books.drop(routes[0].destination) is None
    assert books.drop(routes[1].destination) == routes[1]
    books.note_gone(routes[2].destination)
    assert (dict(books.wanted), dict(books.present)) == ({}, {})


def test_equal_routes_are_one_object() -> None:
    books = RouteBooks()
    for destination in ("10.0.0.0/26", "10.0.0.64/26"):
        books.want(SHAPES[0]._replace(destination=destination))
    kept = list(books.by_family[FAMILY_IPV4].wanted.values())
    assert kept[0] is kept[1]


def test_a_destination_that_is_no_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        RouteBooks().wanted["nowhere"]
    assert key_of("10.0.0.64/26") == (FAMILY_IPV4, KEYS[1])
