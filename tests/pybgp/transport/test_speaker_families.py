"""Every address family through speakers: announced in text, relayed, replaced, explained, refreshed, withdrawn."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybgp import IPV4_UNICAST, LocalError, RouteOptions, Speaker
from pybgp.rib.path import Path
from pybgp.wire.families import EVPN, IPV4_FLOWSPEC, IPV4_LABELLED, IPV4_VPN, Family, parse_family
from pybgp.wire.nlri import FAMILIES, parse_nlri
from pybgp.wire.nlri.evpn import MacIp
from pybgp.wire.nlri.flowspec import ComponentType, FlowRule, PrefixMatch

from .test_speaker import Town, run, until

SEGMENT = "esi=00:00:00:00:00:00:00:00:00:00"
MAC = "type=mac-ip distinguisher=64501:1 tag=0 mac=02:00:00:00:00:01 address=192.0.2.1"
ROUTES = {
    "ipv4-multicast": "198.51.100.0/24",
    "ipv6-multicast": "2001:db8:1::/48",
    "ipv4-labelled": "prefix=198.51.100.0/24 labels=[100]",
    "ipv6-labelled": "prefix=2001:db8:1::/48 labels=[100]",
    "ipv4-vpn": "distinguisher=64501:1 prefix=10.0.0.0/8 labels=[1000]",
    "ipv6-vpn": "distinguisher=64501:1 prefix=2001:db8:1::/48 labels=[1000]",
    "ipv4-vpn-multicast": "distinguisher=64501:1 prefix=10.0.0.0/8 labels=[3]",
    "ipv6-vpn-multicast": "distinguisher=64501:1 prefix=2001:db8:1::/48 labels=[3]",
    "ipv4-flowspec": "destination=198.51.100.0/24 protocol==17 destination-port=>=1024&<=2048",
    "ipv6-flowspec": "destination=2001:db8:1::/48 flow-label==1",
    "ipv4-vpn-flowspec": "destination=198.51.100.0/24 distinguisher=64501:1",
    "ipv6-vpn-flowspec": "destination=2001:db8:1::/48 distinguisher=64501:1",
    "ipv4-sr-policy": "distinguisher=1 color=200 endpoint=10.0.0.2",
    "ipv6-sr-policy": "distinguisher=1 color=200 endpoint=2001:db8::2",
    "ipv4-mcast-vpn": "kind=5 body=0x0000fde8",
    "ipv6-mcast-vpn": "kind=5 body=0x0000fde8",
    "ipv4-mup": "architecture=1 kind=1 body=0x0a00",
    "ipv6-mup": "architecture=1 kind=1 body=0x0a00",
    "link-state": (
        "type=link-state kind=node protocol=isis-level-2 identifier=2"
        " descriptors=[{kind=local-node value=0x0200000400000d18}] distinguisher=null"
    ),
    "link-state-vpn": (
        "type=link-state kind=node protocol=isis-level-2 identifier=2"
        " descriptors=[{kind=local-node value=0x0200000400000d18}] distinguisher=64501:1"
    ),
    "route-target": "length=96 origin_as=64501 target=0x0002006400000001",
    "vpls": "distinguisher=64501:1 site=5 offset=1 size=8 label_base=1000",
    "evpn": f"{MAC.replace(' tag', f' {SEGMENT} tag')} label=100 second_label=null",
}
#: the same routes behind other labels.
REPLACED = {
    "ipv4-labelled": "prefix=198.51.100.0/24 labels=[200]",
    "ipv4-vpn": "distinguisher=64501:1 prefix=10.0.0.0/8 labels=[2000]",
    "vpls": "distinguisher=64501:1 site=5 offset=1 size=8 label_base=2000",
    "evpn": f"{MAC.replace(' tag', f' {SEGMENT[:-1]}7 tag')} label=200 second_label=300",
}
#: No route leads to the destinations of these flow rules.
UNCHECKED = RouteOptions(validate_flow_rules=False)
#: what those who have it are known by at the far end of an external session: themselves, or the relay.
HOPS = ("10.0.0.{}", "2001:db8::{}")


def make(place: Town, number: int) -> Speaker:
    hops = tuple(hop.format(number) for hop in HOPS)
    return place.make(number, asn=64500 + number, next_hops=hops)


def one_route(speaker: Speaker, family: Family) -> tuple[str, Path] | None:
    found = list(speaker.routes(family))
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(
    ("mine", "theirs", "arrives"),
    [(None, None, False), (3, None, False), (None, 3, False), (255, 2, False), (255, 3, True), (2, 255, True)],
)
def test_more_labels_than_a_peer_takes_are_not_sent(mine: int | None, theirs: int | None, arrives: bool) -> None:
    """RFC 8277 section 2.1: one label without the capability on both sides, with it as many as the receiver says."""

    def options(count: int | None) -> dict[str, object]:
        return {"families": (IPV4_LABELLED,), "multiple_labels": ((IPV4_LABELLED, count),) if count else ()}

    async def scenario(place: Town) -> None:
        one, two = make(place, 1), make(place, 2)
        one.announce_nlri(IPV4_LABELLED, "prefix=198.51.100.0/24 labels=[100 200 300]")
        one.announce_nlri(IPV4_LABELLED, "prefix=203.0.113.0/24 labels=[7]")
        place.join(1, 2, **options(mine))
        place.join(2, 1, **options(theirs))
        for speaker in (one, two):
            await speaker.start()
        await until(lambda: any("203.0.113.0/24" in text for text, _ in two.routes(IPV4_LABELLED)))
        texts = [text for text, _ in two.routes(IPV4_LABELLED)]
        assert any("198.51.100.0/24" in text and "100 200 300" in text for text in texts) == arrives
        assert len(texts) == 1 + arrives
        one.withdraw_nlri(IPV4_LABELLED, "prefix=198.51.100.0/24 labels=[100 200 300]")
        one.withdraw_nlri(IPV4_LABELLED, "prefix=203.0.113.0/24 labels=[7]")
        await until(lambda: not list(two.routes(IPV4_LABELLED)))

    run(scenario)


def test_the_routes_here_are_of_all_families() -> None:
    unicast = {parse_family("ipv4-unicast"), parse_family("ipv6-unicast")}
    assert {parse_family(name) for name in ROUTES} | unicast == FAMILIES.keys()


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_is_relayed_replaced_and_withdrawn(name: str) -> None:
    family, text = parse_family(name), ROUTES[name]

    async def scenario(place: Town) -> None:
        one, two, three = (make(place, number) for number in (1, 2, 3))
        one.announce_nlri(name, text, communities=["64501:7"])
        for number, others in ((1, (2,)), (2, (1, 3)), (3, (2,))):
            place.join(number, *others, families=(family,), routes=UNCHECKED)
            await place.speakers[number].start()
        await until(lambda: one_route(three, family))
        found = one_route(three, family)
        assert found is not None
        assert found[0] == text
        path = found[1]
        assert str(path.attributes.as_path) == "64502 64501"
        assert path.attributes.communities == (64501 << 16 | 7,)
        row = FAMILIES[family]
        if row.next_hop_ignored:
            assert path.next_hop == b""
        else:
            hop = str(ip_address(path.next_hop))
            assert hop in [one.format(1 if row.bound_to_next_hop else 2) for one in HOPS]
        explanation = two.explain(text, family)
        assert [(one.peer, one.chosen) for one in explanation.candidates] == [("n1", True)]
        assert {one.peer: one.reason for one in explanation.exports} == {"n1": "learned from this peer", "n3": ""}
        if name in REPLACED:
            one.announce_nlri(family, [REPLACED[name]])
            await until(lambda: (one_route(three, family) or ("",))[0] == REPLACED[name])
        one.withdraw_nlri(name, text)
        await until(lambda: not three.best(family))
        assert not two.best(family)
        assert not two.sent("n3", family)

    run(scenario)


def test_what_users_may_give() -> None:
    async def scenario(place: Town) -> None:
        one = make(place, 1)
        rule = FlowRule((PrefixMatch(ComponentType.DESTINATION, 32, bytes([192, 0, 2, 1])),))
        one.announce_nlri(IPV4_FLOWSPEC, rule, extended_communities=["rate-bytes:0:0"])
        ((text, path),) = one.routes("ipv4-flowspec")
        assert text == "destination=192.0.2.1/32"
        assert path.attributes.extended_communities == (bytes.fromhex("8006 0000 00000000"),)
        one.withdraw_nlri(IPV4_FLOWSPEC, [rule])
        assert not one.best(IPV4_FLOWSPEC)

        data = {"distinguisher": "64501:1", "prefix": "10.0.0.0/8", "labels": [77]}
        more = "distinguisher=64501:1 prefix=11.0.0.0/8 labels=[78]"
        words = ["target:64501:1", "target:2001:db8::1:2", bytes.fromhex("0002fbf500000002")]
        one.announce_nlri(IPV4_VPN, [data, more], extended_communities=words, large_communities=["1:2:3", (4, 5, 6)])
        (_, path), (_, other) = one.routes(IPV4_VPN)
        assert [len(found.attributes.extended_communities) for found in (path, other)] == [2, 2]
        assert path.attributes.get(25) == (bytes.fromhex("0002 20010db8000000000000000000000001 0002"),)
        assert path.attributes.large_communities == ((1, 2, 3), (4, 5, 6))
        one.withdraw_nlri(IPV4_VPN, [{"distinguisher": "64501:1", "prefix": "10.0.0.0/8"}, more])
        assert not one.best(IPV4_VPN)

        route = MacIp(bytes.fromhex("0000fbf500000001"), bytes(10), 0, bytes(6), b"", 10)
        one.announce_nlri("evpn", route)
        one.withdraw_nlri("evpn", "type=mac-ip distinguisher=64501:1 tag=0 mac=00:00:00:00:00:00 address=null")
        assert not one.best(EVPN)

    run(scenario)


@pytest.mark.parametrize(
    ("name", "nlri", "options", "reason"),
    [
        ("evpn", "10.0.0.0/8", {}, "evpn NLRI"),
        ("evpn", f"type=ip-prefix distinguisher=1:1 {SEGMENT} tag=0 length=8 address=10.0.0.0 gateway=0.0.0.0 label=0",
         {}, "neither label nor overlay index"),
        ("ipv4-flowspec", "destination=10.0.0.0/8", {"extended_communities": ["rate-bytes:fast"]}, "rate-bytes:fast"),
        ("ipv6-vpn", ROUTES["ipv6-vpn"], {"next_hop": "10.0.0.1"}, "next_hop"),
        ("9/9", "10.0.0.0/8", {}, "family 9/9"),
        ("ipv4-unicast", "127.0.0.0/8", {}, "no unicast destination"),
    ],
)  # fmt: skip
def test_what_no_peer_could_take_is_refused(name: str, nlri: str, options: dict[str, object], reason: str) -> None:
    async def scenario(place: Town) -> None:
        one = make(place, 1)
        with pytest.raises(LocalError, match=reason):
            one.announce_nlri(name, nlri, **options)  # type: ignore[arg-type]  (forwarded keyword arguments)

    run(scenario)


def test_routes_of_all_families_outlive_a_restart() -> None:
    families = (*map(parse_family, REPLACED), IPV4_FLOWSPEC)

    async def scenario(place: Town) -> None:
        one, two = make(place, 1), make(place, 2)
        for family in families:
            one.announce_nlri(family, ROUTES[str(family)])
        await place.full_mesh(families=families, routes=UNCHECKED)
        await until(lambda: all(two.best(family) for family in families))
        kept = {family: dict(two.best(family)) for family in families}
        await one.stop(graceful=True)
        await until(lambda: two.peers()["n1"].state != "Established")
        assert {family: dict(two.best(family)) for family in families} == kept

        again = place.make(1, asn=64501, next_hops=("10.0.0.1", "2001:db8::1"), restarting=True,
                           preserved_families=families)  # fmt: skip
        gone, *back = families
        for family in back:
            again.announce_nlri(family, ROUTES[str(family)])
        place.join(1, 2, families=families, routes=UNCHECKED)
        await again.start()
        await until(lambda: not two.best(gone))
        assert {family: dict(two.best(family)) for family in back} == {family: kept[family] for family in back}

    run(scenario)


def test_flow_rules_of_external_peers_need_a_route_of_theirs() -> None:
    families = (IPV4_UNICAST, IPV4_FLOWSPEC)

    async def scenario(place: Town) -> None:
        one, two = make(place, 1), make(place, 2)
        one.announce_nlri(IPV4_FLOWSPEC, "destination=198.51.100.7/32")
        await place.full_mesh(families=families)
        await until(lambda: two.received("n1", IPV4_FLOWSPEC))
        assert not two.best(IPV4_FLOWSPEC)
        (candidate,) = two.explain("destination=198.51.100.7/32", IPV4_FLOWSPEC).candidates
        assert "no route is known" in candidate.path.rejection
        one.announce("198.51.100.0/24")
        await until(lambda: two.best(IPV4_FLOWSPEC))
        one.withdraw("198.51.100.0/24")
        await until(lambda: not two.best(IPV4_FLOWSPEC))

    run(scenario)


def test_changes_are_told_in_text() -> None:
    async def scenario(place: Town) -> None:
        one = make(place, 1)
        one.announce_nlri("ipv4-flowspec", ROUTES["ipv4-flowspec"])
        one.announce_nlri("ipv4-labelled", ROUTES["ipv4-labelled"])
        one.withdraw_nlri("ipv4-labelled", ROUTES["ipv4-labelled"])
        assert list(map(str, place.events[1])) == [
            f"{ROUTES['ipv4-flowspec']} via this router",
            f"{ROUTES['ipv4-labelled']} via this router",
            "prefix=198.51.100.0/24 withdrawn",
        ]
        assert parse_nlri(IPV4_FLOWSPEC, ROUTES["ipv4-flowspec"]) in one.best(IPV4_FLOWSPEC)

    run(scenario)
