"""pyroute2 is the second opinion: it reads what we encode, and we read what it encodes."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from calico_routing.kernel.netlink import links
from calico_routing.kernel.netlink.codec import HEADER_SIZE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, message
from calico_routing.kernel.netlink.routes import RouteEncoder, decode_route
from calico_routing.kernel.netlink.values import SCOPE_LINK, InterfaceAddress, KernelRoute, NextHop

INDEXES = {"tunl0": 3, "ens160": 4}
NAMES = {3: "tunl0", 4: "ens160"}
ECMP = (NextHop("10.0.0.12", "tunl0", onlink=True), NextHop("10.0.0.13", "ens160", weight=4))

ROUTES = [
    KernelRoute("192.168.5.0/26", next_hops=(NextHop("10.0.0.12", "tunl0", onlink=True),)),
    KernelRoute("192.168.5.0/26", next_hops=(NextHop("10.0.0.12", "ens160"),), metric=1024),
    KernelRoute("192.168.5.0/26", "blackhole"),
    KernelRoute("192.168.5.7/32", next_hops=(NextHop(None, "ens160"),), protocol=3, scope=SCOPE_LINK),
    KernelRoute("0.0.0.0/0", next_hops=(NextHop("10.0.0.1", "ens160"),), table=1000, preferred_source="10.0.0.11"),
    KernelRoute("10.8.0.0/16", next_hops=ECMP),
    KernelRoute("fd00::/64", next_hops=(NextHop("fe80::1", "ens160"),), metric=1024),
]


def read_by_pyroute2(kind: Any, number: int, body: bytes) -> Any:
    decoded = kind(message(number, 0, 1, body))
    decoded.decode()
    return decoded


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_pyroute2_reads_our_routes(route: KernelRoute) -> None:
    decoded = read_by_pyroute2(rtmsg, RTM_NEWROUTE, RouteEncoder(INDEXES).encode(route))
    destination, _, length = route.destination.partition("/")
    assert decoded.get_attr("RTA_DST") == destination
    assert decoded["dst_len"] == int(length)
    assert decoded["proto"] == route.protocol
    assert decoded["type"] == {"unicast": 1, "blackhole": 6}[route.kind]
    assert decoded["scope"] == route.scope
    assert decoded.get_attr("RTA_PRIORITY") in (route.metric, None if route.metric == 0 else route.metric)
    assert (decoded.get_attr("RTA_TABLE") or decoded["table"]) == route.table
    assert decoded.get_attr("RTA_PREFSRC") == route.preferred_source
    if len(route.next_hops) == 1:
        (hop,) = route.next_hops
        assert decoded.get_attr("RTA_GATEWAY") == hop.gateway
        assert decoded.get_attr("RTA_OIF") == INDEXES[hop.device or ""]
        assert bool(decoded["flags"] & 4) == hop.onlink
    legs = decoded.get_attr("RTA_MULTIPATH") or []
    assert [
        NextHop(leg.get_attr("RTA_GATEWAY"), NAMES[leg["oif"]], bool(leg["flags"] & 4), leg["hops"] + 1) for leg in legs
    ] == (list(route.next_hops) if len(route.next_hops) > 1 else [])


def encode_by_pyroute2(route: KernelRoute) -> bytes:
    encoded = rtmsg()
    destination, _, length = route.destination.partition("/")
    encoded["family"] = socket.AF_INET6 if ":" in destination else socket.AF_INET
    encoded["dst_len"] = int(length)
    encoded["proto"] = route.protocol
    encoded["type"] = {"unicast": 1, "blackhole": 6}[route.kind]
    encoded["scope"] = route.scope
    encoded["table"] = route.table if route.table < 256 else 0
    attributes: list[tuple[str, object]] = [("RTA_TABLE", route.table), ("RTA_DST", destination)]
    attributes += [("RTA_PRIORITY", route.metric)] if route.metric else []
    attributes += [("RTA_PREFSRC", route.preferred_source)] if route.preferred_source else []
    if len(route.next_hops) == 1:
        (hop,) = route.next_hops
        encoded["flags"] = 4 if hop.onlink else 0
        attributes += [("RTA_GATEWAY", hop.gateway)] if hop.gateway else []
        attributes += [("RTA_OIF", INDEXES[hop.device or ""])]
    elif route.next_hops:
        legs = [
            {
                "hops": hop.weight - 1,
                "oif": INDEXES[hop.device or ""],
                "flags": 4 if hop.onlink else 0,
                "attrs": [("RTA_GATEWAY", hop.gateway)],
            }
            for hop in route.next_hops
        ]
        attributes.append(("RTA_MULTIPATH", legs))
    encoded["attrs"] = attributes
    encoded["header"]["type"] = RTM_NEWROUTE
    encoded.encode()
    return bytes(encoded.data)


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_we_read_pyroute2s_routes(route: KernelRoute) -> None:
    octets = encode_by_pyroute2(route)
    assert decode_route(octets, HEADER_SIZE, len(octets), NAMES) == route


def test_pyroute2_reads_our_veth_and_our_address() -> None:
    end = links.encode_link(name="cali0", mtu=1440, address="ee:ee:ee:ee:ee:ee")
    peer = links.encode_link(name="eth0", mtu=1440, namespace=9)
    decoded = read_by_pyroute2(ifinfmsg, RTM_NEWLINK, links.encode_veth(end, peer))
    assert decoded.get_attr("IFLA_IFNAME") == "cali0"
    assert decoded.get_attr("IFLA_ADDRESS") == "ee:ee:ee:ee:ee:ee"
    information = decoded.get_attr("IFLA_LINKINFO")
    assert information.get_attr("IFLA_INFO_KIND") == "veth"
    other = information.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert other.get_attr("IFLA_IFNAME") == "eth0"
    assert other.get_attr("IFLA_MTU") == 1440
    assert other.get_attr("IFLA_NET_NS_FD") == 9

    body = links.encode_address(InterfaceAddress("192.168.5.0/32", 3, label="tunl0", broadcast="192.168.5.0"))
    address = read_by_pyroute2(ifaddrmsg, RTM_NEWADDR, body)
    assert (address["prefixlen"], address["index"]) == (32, 3)
    for name in ("IFA_LOCAL", "IFA_ADDRESS", "IFA_BROADCAST"):
        assert address.get_attr(name) == "192.168.5.0"
    assert address.get_attr("IFA_LABEL") == "tunl0"
