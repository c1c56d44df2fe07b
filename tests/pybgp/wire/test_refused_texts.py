"""What people may type wrongly: each is one LocalError that names the value, never another exception."""

from __future__ import annotations

import pytest

from pybgp.errors import LocalError
from pybgp.session.config import PeerConfig
from pybgp.session.route_options import RouteOptions
from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attributes import attributes_from_json, parse_attributes
from pybgp.wire.attributes.segment_routing import PrefixSidTlv
from pybgp.wire.attributes.tunnels import Tunnel
from pybgp.wire.extended_communities import parse_extended_community
from pybgp.wire.families import (
    EVPN,
    IPV4_FLOWSPEC,
    IPV4_LABELLED,
    IPV4_SR_POLICY,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV6_UNICAST,
    LINK_STATE,
    ROUTE_TARGET,
    Family,
)
from pybgp.wire.iana import SegmentType
from pybgp.wire.nlri import FAMILIES, decode_nlri, encode_nlri, nlri_from_json, parse_nlri
from pybgp.wire.nlri.evpn import MacIp
from pybgp.wire.nlri.flowspec import destination
from pybgp.wire.nlri.labelled import LabelledPrefix, VpnPrefix
from pybgp.wire.nlri.link_state import LinkState, OpaqueLinkState, Tlv
from pybgp.wire.nlri.route_target import RouteTargetMembership
from pybgp.wire.nlri.sr_policy import SrPolicy


@pytest.mark.parametrize(
    "data",
    [
        {"originator_id": "2001:db8::1"},
        {"originator_id": 7},
        {"cluster_list": "10.0.0.1"},
        {"multi_exit_disc": -1},
        {"multi_exit_disc": 2**32},
        {"multi_exit_disc": "many"},
        {"origin": "nobody"},
        {"atomic_aggregate": False},
        {"next_hop": 5},
        {"next_hop": "10.0.0"},
        {"as_path": "65001"},
        {"communities": ["65001"]},
        {"large_community": ["1:2"]},
        {"pmsi_tunnel": {"flags": 0, "kind": 6, "label": 1, "identifier": "ff"}},
        {"pmsi_tunnel": {"flags": 0, "kind": 6, "label": 1, "identifier": "0xzz"}},
        {"pmsi_tunnel": {"flags": 0, "colour": 6}},
        {"bfd_discriminator": {"mode": 1, "discriminator": 1, "tlvs": []}},
        {"pe_distinguisher_labels": []},
        {"unheard_of": 1},
    ],
)
def test_attributes(data: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        attributes_from_json(data)


@pytest.mark.parametrize(
    "text",
    [
        "target:65001",
        "target:65001:70000:1",
        "target:70000L:70000",
        "mac-mobility:1:slippery",
        "segment-label:1:all-active",
        "default-gateway:1",
        "0x00",
        "0xzzzzzzzzzzzzzzzz",
        "nothing:1",
        "",
    ],
)
def test_extended_communities(text: str) -> None:
    with pytest.raises(LocalError):
        parse_extended_community(text)


@pytest.mark.parametrize(
    ("family", "data"),
    [
        (IPV4_UNICAST, "10.0.0.0/33"),
        (IPV4_UNICAST, "10.0.0.1/24"),
        (IPV4_UNICAST, 10),
        (IPV6_UNICAST, "10.0.0.0/8"),
        (IPV4_LABELLED, {"prefix": "10.0.0.0/8", "labels": [1 << 20]}),
        (IPV4_LABELLED, {"prefix": "10.0.0.0/8", "labels": []}),
        (IPV4_LABELLED, {"prefix": "10.0.0.0/8"}),
        (IPV4_LABELLED, {"prefix": "10.0.0.0/8", "labels": 16}),
        (IPV4_VPN, {"prefix": "10.0.0.0/8", "labels": [16], "distinguisher": "1"}),
        (IPV4_FLOWSPEC, {"destination": "10.0.0.0/8", "protocol": ""}),
        (IPV4_FLOWSPEC, {"port": "?80"}),
        (IPV4_FLOWSPEC, {"port": "==80==81"}),
        (IPV4_FLOWSPEC, {"destination": "10.0.0.1/8"}),
        (IPV4_FLOWSPEC, {"flow-label": "==1"}),
        (IPV4_FLOWSPEC, {"shape": "==1"}),
        (IPV4_FLOWSPEC, {}),
        (EVPN, {"type": "mac-ip"}),
        (EVPN, {"type": "mac-ip", "mac": "02:00"}),
        (EVPN, {"type": "unheard-of"}),
        (EVPN, []),
        (ROUTE_TARGET, {"length": 16}),
        (ROUTE_TARGET, {"length": 97, "origin_as": 1, "target": "0x00"}),
        (LINK_STATE, {"type": "link-state", "kind": "node"}),
        (IPV4_SR_POLICY, {"distinguisher": 1, "color": 1, "endpoint": "2001:db8::1"}),
    ],
)
def test_nlri(family: Family, data: object) -> None:
    with pytest.raises(LocalError):
        nlri_from_json(family, data)


@pytest.mark.parametrize(
    ("family", "value"),
    [
        (IPV4_LABELLED, LabelledPrefix((0x100,), 8, b"\x0a")),
        (IPV4_LABELLED, LabelledPrefix((0x101,), 8, b"")),
        (IPV4_LABELLED, LabelledPrefix((0x100,) * 10 + (0x101,), 8, b"\x0a")),
        (IPV4_VPN, VpnPrefix((0x101,), b"\0", 8, b"\x0a")),
        (EVPN, MacIp(bytes(8), bytes(10), 0, bytes(5), b"", 1)),
        (ROUTE_TARGET, RouteTargetMembership(40, 1, b"")),
        (IPV4_SR_POLICY, SrPolicy(1, 1, b"\0")),
        (LINK_STATE, LinkState(1, 2, 0, (), bytes(8))),
        (LINK_STATE, LinkState(1, 2, 0, (Tlv(257, b""), Tlv(256, b"")))),
    ],
)
def test_values(family: Family, value: object) -> None:
    with pytest.raises(LocalError):
        encode_nlri(family, value)


def test_link_state_that_breaks_a_rule_is_kept_as_octets() -> None:
    nlri = b"\0\1\0\4\2\0\0\0"
    assert decode_nlri(LINK_STATE, nlri) == OpaqueLinkState(1, b"\2\0\0\0")
    assert encode_nlri(LINK_STATE, OpaqueLinkState(1, b"\2\0\0\0")) == nlri


def test_a_segment_identifier_tells_its_index_and_its_sids() -> None:
    sid = bytes(range(16))
    service = b"\0" + b"\1\0\x15\0" + sid + b"\0\0\x11\0"
    assert PrefixSidTlv(1, b"\0\0\0\0\0\0\7").label_index == 7
    assert PrefixSidTlv(5, service).label_index is None
    assert PrefixSidTlv(5, service).sids == (sid,)
    assert PrefixSidTlv(1, b"").sids == ()


def test_a_tunnel_without_endpoint() -> None:
    assert Tunnel(7, ()).endpoint is None


def test_a_path_enters_a_member_of_the_confederation() -> None:
    path = AsPath.sequence(65001)
    inside = path.enter_member(64512)
    assert inside.segments[0] == Segment(SegmentType.CONFED_SEQUENCE, (64512,))
    assert inside.enter_member(64513).segments[0].asns == (64513, 64512)
    full = AsPath((Segment(SegmentType.CONFED_SEQUENCE, (64512,) * 255),))
    assert [len(segment.asns) for segment in full.enter_member(64513).segments] == [1, 255]


def test_the_destination_of_a_rule() -> None:
    assert destination(bytes.fromhex("05 01 18 c00002"), 4) == bytes.fromhex("18c00002")
    assert destination(bytes.fromhex("03 038106"), 4) is None
    assert destination(bytes.fromhex("05 01 20 10 0db8"), 16) is None
    assert destination(bytes(1) + bytes(8) + bytes.fromhex("01 08 0a"), 4, vpn=True) == b"\x48" + bytes(8) + b"\x0a"


@pytest.mark.parametrize(
    ("family", "size", "extended", "taken"),
    [
        (IPV4_UNICAST, 4, False, True),
        (IPV4_UNICAST, 16, False, False),
        (IPV4_UNICAST, 16, True, True),
        (IPV4_VPN, 4, False, True),
        (IPV4_VPN, 16, True, True),
        (IPV4_VPN, 32, True, True),
        (IPV4_VPN, 16, False, False),
        (IPV4_FLOWSPEC, 3, False, True),
    ],
)
def test_which_next_hops_a_family_takes(family: Family, size: int, extended: bool, taken: bool) -> None:
    assert FAMILIES[family].takes_next_hop(bytes(size), extended=extended) == taken


@pytest.mark.parametrize(
    "options", [{"add_path_send": "some"}, {"allow_own_as": -1}, {"send_limit": 0}, {"private_as": "whatever"}]
)
def test_route_options(options: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        RouteOptions(**options)  # type: ignore[arg-type]


def test_what_cannot_be_configured_together() -> None:
    for routes, remote_as in (
        (RouteOptions(route_server_client=True), 65001),
        (RouteOptions(reflector_client=True), 1),
    ):
        with pytest.raises(LocalError):
            PeerConfig("192.0.2.2", remote_as, 65001, 1, routes=routes)


@pytest.mark.parametrize(
    ("family", "text", "complaint"),
    [
        (IPV4_FLOWSPEC, "destination=10.0.0.0/33", "an address, a slash and a length up to 32 are expected"),
        (IPV4_FLOWSPEC, "destination=10.0.0.0", "an address, a slash and a length up to 32 are expected"),
        (IPV4_FLOWSPEC, "destination=10.0.0.0/-1", "an address, a slash and a length up to 32 are expected"),
        (IPV4_FLOWSPEC, "destination=10.0.0.0/8/8", "an address, a slash and a length up to 32 are expected"),
        (IPV4_FLOWSPEC, "destination=[1 2]", "destination [1, 2]: a text is expected"),
        (IPV4_FLOWSPEC, "10.0.0.0/8", "fields with names are expected"),
        (ROUTE_TARGET, "10.0.0.0/8", "fields with names are expected"),
        (EVPN, "10.0.0.0/8", "fields with names are expected"),
        (EVPN, "type=mac-ip esi=00:00:00:00:00:00:00:00:00:00 tag=1", "distinguisher, mac, address, label missing"),
        (IPV4_SR_POLICY, "color=1", "distinguisher, endpoint missing"),
    ],
)
def test_texts_of_nlri_are_refused_in_words(family: Family, text: str, complaint: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_nlri(family, text)
    assert str(caught.value).endswith(complaint)


@pytest.mark.parametrize("text", ["next-hop", "[1 2]"])
def test_attributes_without_names_are_refused_in_words(text: str) -> None:
    with pytest.raises(LocalError, match="fields with names are expected"):
        parse_attributes(text)
