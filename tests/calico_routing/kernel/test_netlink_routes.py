from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.kernel.netlink.codec import HEADER_SIZE
from calico_routing.kernel.netlink.errors import KernelError
from calico_routing.kernel.netlink.routes import RouteEncoder, decode_route, split_prefix
from calico_routing.kernel.netlink.values import DEVICELESS_KINDS, IPV6_METRIC, SCOPE_LINK, KernelRoute, NextHop

NAMES = {2: "tunl0p", 3: "tunl0", 4: "ens160"}
INDEXES = {name: index for index, name in NAMES.items()}

TUNNEL = (NextHop("10.0.0.12", "tunl0", onlink=True), NextHop("10.0.0.13", "tunl0", onlink=True, weight=3))
#: What was given to `ip route add`, the RTM_NEWROUTE that a kernel 6.18 then dumped, and what it means.
RECORDED = [
    (
        "192.168.77.128/26 via 10.0.0.13 dev tunl0 proto bird onlink",
        "3c000000180022000a00000047130000021a0000fe0c00010400000008000f00fe00000008000100c0a84d80080005000a00000d"
        "0800040003000000",
        KernelRoute("192.168.77.128/26", next_hops=(NextHop("10.0.0.13", "tunl0", onlink=True),)),
    ),
    (
        "blackhole 192.168.5.0/26 proto bird",
        "2c000000180022000a00000047130000021a0000fe0c00060000000008000f00fe00000008000100c0a80500",
        KernelRoute("192.168.5.0/26", "blackhole"),
    ),
    (
        "192.168.5.1 dev tunl0p scope link",
        "34000000180022000a0000004713000002200000fe03fd010000000008000f00fe00000008000100c0a805010800040002000000",
        KernelRoute("192.168.5.1/32", next_hops=(NextHop(None, "tunl0p"),), protocol=3, scope=SCOPE_LINK),
    ),
    (
        "10.8.0.0/16 proto bird nexthop via 10.0.0.12 dev tunl0 onlink nexthop via 10.0.0.13 dev tunl0 onlink weight 3",
        "50000000180022000a0000004713000002100000fe0c00010000000008000f00fe000000080001000a080000240009001000040003000000"
        "080005000a00000c1000040203000000080005000a00000d",
        KernelRoute("10.8.0.0/16", next_hops=TUNNEL),
    ),
    (
        "10.9.0.0/16 dev tunl0p table 1000 metric 7 proto static src 192.168.5.0",
        "44000000180022000b0000004713000002100000fc04fd010000000008000f00e8030000080001000a0900000800060007000000"
        "08000700c0a805000800040002000000",
        KernelRoute("10.9.0.0/16", "unicast", (NextHop(None, "tunl0p"),), 4, 1000, 7, SCOPE_LINK, "192.168.5.0"),
    ),
    (
        "-6 blackhole fd00:9::/64 proto bird",
        "74000000180022000c000000471300000a400000fe0c00060000000008000f00fe00000014000100fd000009000000000000000000000000"
        "0800060000040000080004000100000024000c00000000000000000000000000000000000000000000000000000000000000000005001400"
        "00000000",
        KernelRoute("fd00:9::/64", "blackhole", metric=IPV6_METRIC),
    ),
]


@pytest.mark.parametrize(("recorded", "route"), [row[1:] for row in RECORDED], ids=[row[0] for row in RECORDED])
def test_what_the_kernel_dumped_is_understood(recorded: str, route: KernelRoute) -> None:
    octets = bytes.fromhex(recorded)
    assert decode_route(octets, HEADER_SIZE, len(octets), NAMES) == route


@st.composite
def networks(draw: st.DrawFn, *, bits: int) -> str:
    length = draw(st.integers(0, bits))
    value = draw(st.integers(0, 2**bits - 1)) >> (bits - length) << (bits - length)
    return str(ip_network((value.to_bytes(bits // 8, "big"), length)))


@st.composite
def routes(draw: st.DrawFn) -> KernelRoute:
    bits = draw(st.sampled_from([32, 128]))
    address = st.ip_addresses(v=4 if bits == 32 else 6).map(str)
    kind = draw(st.sampled_from(["unicast", *DEVICELESS_KINDS]))
    hop = st.builds(NextHop, address, st.sampled_from(sorted(INDEXES)), st.booleans(), st.just(1))
    hops = draw(st.lists(hop, max_size=4, unique_by=lambda hop: hop[:2]))
    if len(hops) > 1:
        hops = [hop._replace(weight=draw(st.integers(1, 256))) for hop in hops]
    return KernelRoute(
        draw(networks(bits=bits)),
        kind,
        () if kind in DEVICELESS_KINDS else tuple(sorted(hops, key=lambda hop: (hop.gateway or "", hop.device or ""))),
        draw(st.integers(0, 255)),
        draw(st.sampled_from([254, 255, 100, 1000, 2**32 - 1])),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.sampled_from([0, 253])),
        draw(st.none() | address),
        draw(st.integers(0, 255)),
    )


@given(routes())
def test_routes_round_trip(route: KernelRoute) -> None:
    body = RouteEncoder(INDEXES).encode(route)
    assert decode_route(body, 0, len(body), NAMES) == route


@given(routes(), routes())
def test_an_encoder_that_has_seen_others_encodes_the_same(first: KernelRoute, second: KernelRoute) -> None:
    used = RouteEncoder(INDEXES)
    used.encode(first)
    used.encode(second)
    assert used.encode(first) == RouteEncoder(INDEXES).encode(first)


def test_a_route_over_a_gateway_of_the_other_family_round_trips() -> None:
    route = KernelRoute("10.0.0.0/8", next_hops=(NextHop("fe80::1", "ens160"),))
    body = RouteEncoder(INDEXES).encode(route)
    assert decode_route(body, 0, len(body), NAMES) == route


def test_every_cut_of_a_route_is_an_error_or_a_route_and_nothing_else() -> None:
    for _, recorded, _ in RECORDED:
        octets = bytes.fromhex(recorded)
        for size in range(HEADER_SIZE, len(octets)):
            try:
                decode_route(octets, HEADER_SIZE, size, NAMES)
            except KernelError as error:
                assert "malformed" in str(error)


@given(st.binary(max_size=120))
def test_any_octets_are_a_route_or_a_clean_error(octets: bytes) -> None:
    try:
        decode_route(b"\x02" + octets, 0, len(octets) + 1, NAMES)
    except KernelError as error:
        assert "malformed" in str(error)


def test_a_family_that_is_not_ip_is_no_route() -> None:
    assert decode_route(bytes([28]) + bytes(11), 0, 12, NAMES) is None


def test_a_device_number_without_a_name_stays_visible() -> None:
    body = RouteEncoder({"eth9": 9}).encode(KernelRoute("10.0.0.0/8", next_hops=(NextHop(None, "eth9"),)))
    route = decode_route(body, 0, len(body), NAMES)
    assert route is not None
    assert route.next_hops == (NextHop(None, "#9"),)


def test_a_device_that_does_not_exist_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(KernelError, match="find device eth9: no such device"):
        RouteEncoder(INDEXES).encode(KernelRoute("10.0.0.0/8", next_hops=(NextHop(None, "eth9"),)))


def test_an_encoder_forgets_old_device_numbers_when_told() -> None:
    indexes = {"tunl0": 3}
    encoder = RouteEncoder(indexes)
    route = KernelRoute("10.0.0.0/8", next_hops=(NextHop(None, "tunl0"),))
    encoder.encode(route)
    indexes["tunl0"] = 8
    encoder.forget()
    assert encoder.encode(route) == RouteEncoder({"tunl0": 8}).encode(route)


def test_a_deletion_names_protocol_and_metric_and_its_only_next_hop() -> None:
    hops = (NextHop("10.0.0.13", "tunl0", onlink=True),)
    route = KernelRoute("192.168.0.0/26", "unicast", hops, metric=7)
    body = RouteEncoder(INDEXES).encode_deletion(route)
    assert decode_route(body, 0, len(body), NAMES) == KernelRoute(
        "192.168.0.0/26", "unspecified", (NextHop("10.0.0.13", "tunl0"),), metric=7, scope=255
    )
    body = RouteEncoder(INDEXES).encode_deletion(route._replace(next_hops=hops * 2))
    bare = decode_route(body, 0, len(body), NAMES)
    assert bare is not None
    assert bare.next_hops == ()
    body = RouteEncoder(INDEXES).encode_deletion(KernelRoute("192.168.0.0/26", "blackhole"))
    hole = decode_route(body, 0, len(body), NAMES)
    assert hole is not None
    assert hole.kind == "blackhole"


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/x", "10.0.0.0/", "::/-1", ""])
def test_a_bad_prefix_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|address"):
        split_prefix(text)


def test_a_prefix_without_length_is_a_host() -> None:
    assert split_prefix("10.0.0.1") == (socket.AF_INET, bytes([10, 0, 0, 1]), 32)
    assert split_prefix("::1") == (socket.AF_INET6, bytes(15) + b"\1", 128)
