"""Which next hop peers are told: ours, a third party's on the shared link, with or without a link-local address."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.next_hops import for_peers, has_only_link_local, is_on_link
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import parse_prefix
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes

OWN, OWN6 = bytes([10, 0, 0, 254]), ip_address("2001:db8::fe").packed
LINK_LOCAL = ip_address("fe80::1").packed
NETWORKS = tuple(parse_prefix(text)[1] for text in ("10.0.0.0/24", "2001:db8::/64"))
EXTERNAL = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, OWN, ACCEPT_ALL, link_networks=NETWORKS, third_party=True)


def sent(hop: str, profile: ExportProfile, source: Source = Source.EBGP, second: bytes = b"") -> bytes:
    said = attributes(65001).replace(next_hop=ip_address(hop).packed + second)
    found = rewrite(Path(1, source, said, said), said, profile)
    assert found is not None
    return found.next_hop


@pytest.mark.parametrize(
    ("hop", "changes", "expected"),
    [
        ("10.0.0.7", {}, "10.0.0.7"),
        ("10.0.1.7", {}, "10.0.0.254"),
        ("10.0.0.7", {"third_party": False}, "10.0.0.254"),
        ("10.0.0.7", {"link_networks": ()}, "10.0.0.254"),
        ("10.0.0.7", {"next_hop_mode": "self"}, "10.0.0.254"),
        ("10.0.1.7", {"next_hop_mode": "keep"}, "10.0.1.7"),
    ],
)
def test_a_next_hop_on_the_link_that_we_share_stays_where_that_is_allowed(
    hop: str, changes: dict[str, object], expected: str
) -> None:
    profile = replace(EXTERNAL, **changes)  # type: ignore[arg-type]  (fields by name)
    assert sent(hop, profile) == ip_address(expected).packed


def test_a_link_local_address_goes_with_the_global_one_to_peers_on_its_link() -> None:
    profile = replace(EXTERNAL, family=IPV6_UNICAST, own_next_hop=OWN6 + LINK_LOCAL)
    assert sent("2001:db8:9::7", profile, second=LINK_LOCAL) == OWN6 + LINK_LOCAL
    assert sent("2001:db8::7", profile, second=LINK_LOCAL) == ip_address("2001:db8::7").packed + LINK_LOCAL
    elsewhere = replace(profile, link_networks=(), internal=True, own_next_hop=OWN6)
    assert sent("2001:db8::7", elsewhere, second=LINK_LOCAL) == ip_address("2001:db8::7").packed


@pytest.mark.parametrize("hop", ["fe80::7", "::"])
def test_a_link_local_address_alone_is_told_to_nobody_else(hop: str) -> None:
    profile = replace(EXTERNAL, family=IPV6_UNICAST, internal=True, own_next_hop=OWN6, link_networks=())
    assert sent(hop, profile, second=LINK_LOCAL) == OWN6
    assert sent("fe80::7", profile) == OWN6


def test_addresses_and_networks() -> None:
    assert is_on_link(bytes([10, 0, 0, 9]), NETWORKS)
    assert not is_on_link(bytes([10, 0, 1, 9]), NETWORKS)
    assert not is_on_link(b"\x20\x01\x0d\xb8", NETWORKS)
    assert is_on_link(bytes(4), [b"\0"])
    assert has_only_link_local(LINK_LOCAL)
    assert not has_only_link_local(OWN6 + LINK_LOCAL)
    assert not has_only_link_local(b"")
    assert for_peers(OWN, ()) == OWN
