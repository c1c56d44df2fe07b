"""Every capability in an operator's words."""

from __future__ import annotations

import pytest

from calico_routing.capability_text import capability_text, facts
from calico_routing.peer_detail import open_document, plain
from pybgp.wire import capabilities as known
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import Role
from pybgp.wire.messages import Open
from pybgp.wire.negotiated import Negotiated


@pytest.mark.parametrize(
    ("capability", "text"),
    [
        (known.MultiprotocolCapability(IPV6_UNICAST), "ipv6-unicast"),
        (known.RouteRefresh(), "route refresh"),
        (known.RouteRefresh(128), "route refresh (code 128)"),
        (known.OutboundRouteFilter(((IPV4_UNICAST, ((64, 3),)),)), "outbound route filters: ipv4-unicast"),
        (known.MultipleLabels(((IPV4_UNICAST, 3),)), "labels: ipv4-unicast 3"),
        (known.RoleCapability(3), "role customer"),
        (known.RoleCapability(9), "role 9"),
        (known.ExtendedNextHop(((IPV4_UNICAST, 2),)), "next hops: ipv4-unicast by IPv6"),
        (known.ExtendedMessage(), "extended messages"),
        (
            known.GracefulRestart(True, True, 120, ((IPV4_UNICAST, True), (IPV6_UNICAST, False))),
            "graceful restart 120 s, restarting, also after NOTIFICATIONs: ipv4-unicast kept, ipv6-unicast",
        ),
        (known.GracefulRestart(), "graceful restart 0 s"),
        (known.FourOctetAs(4200000001), "4-octet AS 4200000001"),
        (
            known.AddPath(((IPV4_UNICAST, 3), (IPV6_UNICAST, 1))),
            "ADD-PATH: ipv4-unicast both ways, ipv6-unicast receive",
        ),
        (known.EnhancedRouteRefresh(), "enhanced route refresh"),
        (
            known.LongLivedGracefulRestart(((IPV4_UNICAST, True, 86400),)),
            "long-lived graceful restart: ipv4-unicast 86400 s kept",
        ),
        (known.Hostname("edge", "example.net"), "host name edge.example.net"),
        (known.SoftwareVersion("FRR 8.4"), "software FRR 8.4"),
        (known.PathsLimit(((IPV4_UNICAST, 5),)), "paths: ipv4-unicast 5"),
        (known.OpaqueCapability(77, b"\x01\x02"), "capability 77 0102"),
        (known.OpaqueCapability(77), "capability 77"),
    ],
)
def test_a_capability(capability: known.Capability, text: str) -> None:
    document = open_document(Open(64512, 90, 1, (capability,)))
    assert document is not None
    assert [capability_text(one) for one in document["capabilities"]] == [text]


def test_what_is_in_force() -> None:
    negotiated = Negotiated(
        64512,
        64513,
        local_id=0x0A000001,
        peer_id=0x0A000002,
        add_path_send=frozenset({IPV4_UNICAST}),
        enhanced_refresh=True,
        graceful_restart=known.GracefulRestart(restart_time=30),
        long_lived=known.LongLivedGracefulRestart(((IPV4_UNICAST, False, 60),)),
        peer_label_limits=((IPV4_UNICAST, 2),),
        local_role=Role.PROVIDER,
        peer_role=Role.CUSTOMER,
        peer_hostname="edge",
    )
    assert list(facts(plain(negotiated))) == [
        "AS 64512 with AS 64513",
        "identifiers 10.0.0.1 and 10.0.0.2",
        "ipv4-unicast",
        "ADD-PATH sent: ipv4-unicast",
        "hold time 90 s",
        "4-octet AS numbers",
        "route refresh",
        "enhanced route refresh",
        "messages of 4096 octets in, 4096 out",
        "the peer's graceful restart 30 s",
        "its long-lived graceful restart: ipv4-unicast 60 s",
        "local role provider",
        "peer role customer",
        "labels sent: ipv4-unicast 2",
        "the peer is edge",
    ]
