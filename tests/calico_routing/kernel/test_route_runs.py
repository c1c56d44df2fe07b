"""Many routes at once are what each of them is alone."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.kernel.netlink.codec import (
    HEADER_SIZE,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    message,
)
from calico_routing.kernel.netlink.route_runs import (
    FoundRoutes,
    Request,
    RunDecoder,
    by_length,
    destination_of,
    encode_run,
    key_of,
    scattered,
)
from calico_routing.kernel.netlink.routes import RouteEncoder, decode_route
from calico_routing.kernel.netlink.values import KernelRoute, NextHop
from tests.calico_routing.kernel.test_netlink_routes import INDEXES, NAMES, RECORDED, networks

HOPS = {
    socket.AF_INET: (NextHop("10.0.0.12", "tunl0", onlink=True),),
    socket.AF_INET6: (NextHop("fe80::1", "ens160"), NextHop("fe80::2", "ens160")),
}
SHAPES = [
    KernelRoute("", "unicast", HOPS[socket.AF_INET]),
    KernelRoute("", "blackhole", metric=7, table=1000),
    KernelRoute("", "unicast", HOPS[socket.AF_INET6], metric=1024),
]


@pytest.mark.parametrize("bits", [32, 128])
@given(data=st.data())
def test_keys_are_destinations(bits: int, data: st.DataObject) -> None:
    destination = data.draw(networks(bits=bits))
    family, key = key_of(destination)
    assert (family == socket.AF_INET) == (bits == 32)
    assert key[0] == ip_network(destination).prefixlen
    assert len(key) == 1 + (key[0] + 7) // 8
    assert destination_of(family, key) == destination


@given(
    data=st.data(),
    bits=st.sampled_from([32, 128]),
    shape=st.sampled_from(SHAPES[:2]),
    deletes=st.booleans(),
    first=st.integers(1, 2**32 - 100),
)
def test_a_run_is_encoded_as_its_routes_are_one_by_one(
    data: st.DataObject, bits: int, shape: KernelRoute, deletes: bool, first: int
) -> None:
    destinations = data.draw(st.lists(networks(bits=bits), min_size=1, max_size=40))
    family = socket.AF_INET if bits == 32 else socket.AF_INET6
    route = shape._replace(next_hops=HOPS[family] if shape.next_hops else ())
    encoder, kind = RouteEncoder(INDEXES), RTM_DELROUTE if deletes else RTM_NEWROUTE
    groups = by_length([key_of(one)[1] for one in destinations])
    encode = encoder.encode_deletion if deletes else encoder.encode
    ordered = [destination_of(family, key) for group in groups for key in group]
    assert sorted(ordered) == sorted(destinations)
    flags = [NLM_F_REQUEST | NLM_F_CREATE] * len(ordered)
    flags[-1] |= NLM_F_ACK
    expected = [
        message(kind, flag, number, encode(route._replace(destination=one)))
        for number, (one, flag) in enumerate(zip(ordered, flags, strict=True), first)
    ]
    assert encode_run(encoder, Request(kind, NLM_F_CREATE, family, route, deletes), groups, first) == b"".join(expected)


def test_a_long_run_of_one_length_is_encoded_as_its_routes_are_one_by_one() -> None:
    keys = [bytes((24, 10, number >> 8, number & 255)) for number in range(1000)]
    encoder = RouteEncoder(INDEXES)
    request = Request(RTM_NEWROUTE, 0, socket.AF_INET, SHAPES[0], deletes=False)
    encoded = encode_run(encoder, request, [keys], 500)
    size = len(encoded) // len(keys)
    for number, key in enumerate(keys):
        body = encoder.encode(SHAPES[0]._replace(destination=destination_of(socket.AF_INET, key)))
        flags = NLM_F_REQUEST | (NLM_F_ACK if number == 999 else 0)
        assert encoded[number * size : (number + 1) * size] == message(RTM_NEWROUTE, flags, 500 + number, body)


def test_scattered_keys_are_the_same_keys() -> None:
    keys = [bytes((24, 10, number >> 8, number & 255)) for number in range(1001)]
    assert sorted(scattered(keys)) == keys
    assert list(scattered(keys))[:2] == [keys[0], keys[8]]


@pytest.mark.parametrize(("recorded", "route"), [row[1:] for row in RECORDED], ids=[row[0] for row in RECORDED])
def test_a_dump_is_read_by_key_as_it_is_read_one_by_one(recorded: str, route: KernelRoute) -> None:
    """The second time and with another address it takes the short way."""
    octets = bytearray.fromhex(recorded)
    family = socket.AF_INET6 if ":" in route.destination else socket.AF_INET
    decoder, found = RunDecoder(family, NAMES), FoundRoutes()
    expected = []
    for number in range(3):
        octets[HEADER_SIZE + 24 + 1] ^= number
        decoder.decode(bytes(octets), HEADER_SIZE, len(octets), found)
        expected.append(decode_route(bytes(octets), HEADER_SIZE, len(octets), NAMES))
    assert list(found.by_destination()) == list(dict.fromkeys(expected))
    other = RunDecoder(socket.AF_INET6 if family == socket.AF_INET else socket.AF_INET, NAMES)
    nothing = FoundRoutes()
    other.decode(bytes(octets), HEADER_SIZE, len(octets), nothing)
    assert list(nothing.by_destination()) == []


def test_a_default_route_beside_others_is_no_route_to_what_follows_it() -> None:
    """Without RTA_DST another attribute stands in its place."""
    way = KernelRoute("10.1.2.3/32", next_hops=(NextHop("10.0.0.13", "tunl0", onlink=True),))
    usual = bytearray.fromhex(RECORDED[0][1])
    default = bytes(usual[: HEADER_SIZE + 20] + usual[HEADER_SIZE + 28 :])
    default = default[: HEADER_SIZE + 1] + b"\0" + default[HEADER_SIZE + 2 :]
    decoder, found = RunDecoder(socket.AF_INET, NAMES), FoundRoutes()
    for octets in (bytes(usual), default, default, bytes(usual)):
        decoder.decode(octets, HEADER_SIZE, len(octets), found)
    shape = way._replace(destination="")
    assert found.first[socket.AF_INET] == {key_of(RECORDED[0][2].destination)[1]: shape, b"\0": shape}


def test_further_routes_to_one_destination_are_kept_and_forgotten_with_their_family() -> None:
    found = FoundRoutes()
    for metric in (1, 2):
        found.add(socket.AF_INET, b"\x08\x0a", SHAPES[0]._replace(metric=metric))
        found.add(socket.AF_INET6, b"\x08\x0a", SHAPES[2]._replace(metric=metric))
    assert [(route.destination, route.metric) for route in found.by_destination()] == [
        ("10.0.0.0/8", 1),
        ("a00::/8", 1),
        ("10.0.0.0/8", 2),
        ("a00::/8", 2),
    ]
    found.forget(socket.AF_INET)
    assert [(route.destination, route.metric) for route in found.by_destination()] == [("a00::/8", 1), ("a00::/8", 2)]
