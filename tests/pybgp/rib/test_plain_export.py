"""What leaves in one step is what the careful way makes of it, to the octet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.exported import Provenance
from pybgp.rib.member import Member
from pybgp.rib.path import Path
from pybgp.rib.plain_export import PlainExport, PlainlyExported, leaves_plainly
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.measures import Aigp
from pybgp.wire.families import IPV4_MULTICAST, IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.iana import Role, WellKnownCommunity
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.updates import decode_update
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

HOP = bytes([10, 0, 0, 254])
EXTERNAL = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, HOP, ACCEPT_ALL)
INTERNAL = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, HOP, ACCEPT_ALL, cluster_id=77)
CLIENTS = replace(INTERNAL, reflector_client=True)
GLOBAL = bytes.fromhex("20010db8000000000000000000000001")
LINK_LOCAL = bytes.fromhex("fe800000000000000000000000000001")
HOPS6 = [GLOBAL, GLOBAL[:-1] + b"\xff", LINK_LOCAL, GLOBAL + LINK_LOCAL]


def to_ipv6(profile: ExportProfile) -> ExportProfile:
    return replace(profile, family=IPV6_UNICAST, own_next_hop=HOPS6[1] if profile.own_next_hop else b"")


TELLERS = [
    peer(1, 65001),
    peer(2, router_id=0x0A000002),
    replace(peer(3), reflector_client=True),
    replace(peer(4, 65004), member=True),
]


@st.composite
def routes(draw: st.DrawFn) -> Attributes:
    asns = draw(st.lists(st.sampled_from([65001, 70000]), min_size=0, max_size=3))
    asns += [7] * draw(st.sampled_from([0, 0, 0, 55, 58, 59, 60, 61, 62, 63, 64, 70, 1100]))
    values: dict[str, object] = {"origin": draw(st.integers(0, 2))}
    for name, strategy in {
        "med": st.integers(0, 9),
        "local_pref": st.sampled_from([100, 200]),
        "communities": st.sampled_from(
            [(7,), (7, 9), (WellKnownCommunity.NO_EXPORT,), (0xFFFF0006,), tuple(range(80))]
        ),
        "extended_communities": st.sampled_from([(bytes(8),), (b"\x40" + bytes(7),)]),
        "large_communities": st.just(((1, 2, 3),)),
        "originator_id": st.just(9),
        "cluster_list": st.just((5,)),
        "aigp": st.just(Aigp.of(5)),
    }.items():
        if draw(st.integers(0, 3)) == 0:
            values[name] = draw(strategy)
    return attributes(*asns, hop=draw(st.sampled_from([1, 2])), **values)


@st.composite
def profiles(draw: st.DrawFn) -> ExportProfile:
    return replace(
        draw(st.sampled_from([EXTERNAL, INTERNAL, CLIENTS])),
        next_hop_mode=draw(st.sampled_from(["default", "default", "self", "force-self", "keep"])),
        aigp=draw(st.booleans()),
        long_lived=draw(st.booleans()),
        transparent=draw(st.sampled_from([False, False, True])),
        third_party=draw(st.sampled_from([False, False, True])),
        link_networks=(key("10.0.0.0/24"),),
        send_limit=draw(st.sampled_from([4096, 300])),
    )


def path_of(teller: RibPeer, received: Attributes) -> Path:
    return Path(teller.number, teller.source, received, received, teller=teller)


@settings(max_examples=800)
@given(received=routes(), teller=st.sampled_from(TELLERS), profile=profiles(), hop6=st.sampled_from([None, *HOPS6]))
def test_the_short_way_ends_where_the_long_one_does(
    received: Attributes, teller: RibPeer, profile: ExportProfile, hop6: bytes | None
) -> None:
    if hop6 is not None:
        received, profile = received.replace(next_hop=hop6), to_ipv6(profile)
    path = path_of(teller, received)
    plain = PlainExport(profile) if leaves_plainly(profile) else None
    leaving = next(plain.leaving([path])) if plain is not None else None
    if plain is None or leaving is None:
        return
    careful = rewrite(path, received, profile)
    assert careful is not None
    octets, provenance = leaving
    assert octets == careful.encoded(classic_next_hop=hop6 is None)
    originator = careful.originator_id if teller.internal else None
    assert provenance == Provenance(teller.number, careful.next_hop, originator)
    assert PlainlyExported(plain, path, provenance).attributes == careful


@pytest.mark.parametrize(
    ("teller", "received", "profile"),
    [
        (TELLERS[0], attributes(65001, 70000, communities=(7, 9), med=3), EXTERNAL),
        (TELLERS[1], attributes(65001, local_pref=200), EXTERNAL),
        (TELLERS[0], attributes(65001, med=3, large_communities=((1, 2, 3),)), INTERNAL),
        (TELLERS[1], attributes(65001, local_pref=100, extended_communities=(bytes(8),)), CLIENTS),
        (TELLERS[2], attributes(local_pref=100), INTERNAL),
    ],
)
def test_ordinary_paths_take_the_short_way(teller: RibPeer, received: Attributes, profile: ExportProfile) -> None:
    path = path_of(teller, received)
    assert PlainExport(profile).attributes(path) == rewrite(path, received, profile)


def test_ordinary_paths_of_ipv6_take_the_short_way_unless_their_next_hop_is_of_one_link() -> None:
    for teller, profile in ((TELLERS[0], EXTERNAL), (TELLERS[0], INTERNAL), (TELLERS[1], CLIENTS)):
        plain, given = PlainExport(to_ipv6(profile)), attributes(65001, local_pref=100)
        paths = [path_of(teller, given.replace(next_hop=hop)) for hop in HOPS6]
        takes = [leaving is not None for leaving in plain.leaving(paths)]
        assert takes == [True, True, not profile.internal, not profile.internal]


@pytest.mark.parametrize("community", [0xFFFFFF01, 0xFFFFFF02, 0xFFFF0006, 0xFFFF0000])
def test_communities_that_mean_something_take_the_long_way(community: int) -> None:
    for teller, profile in ((TELLERS[0], EXTERNAL), (TELLERS[0], INTERNAL), (TELLERS[1], CLIENTS)):
        path = path_of(teller, attributes(65001, local_pref=100, communities=(7, community)))
        assert list(PlainExport(profile).leaving([path, None])) == [None, None]


@pytest.mark.parametrize(
    "profile",
    [
        replace(EXTERNAL, policy=REJECT_ALL),
        replace(EXTERNAL, family=IPV4_MULTICAST),
        replace(EXTERNAL, family=IPV6_UNICAST, own_next_hop=HOP),
        replace(EXTERNAL, asn4=False),
        replace(EXTERNAL, add_path=True),
        replace(EXTERNAL, shutting_down=True),
        replace(EXTERNAL, local_role=Role.PROVIDER),
        replace(EXTERNAL, own_as=64999),
        replace(EXTERNAL, private_as="remove"),
        replace(EXTERNAL, next_hop_mode="keep"),
        replace(EXTERNAL, own_next_hop=b""),
        replace(EXTERNAL, transparent=True),
        replace(EXTERNAL, third_party=True),
        replace(INTERNAL, next_hop_mode="self"),
        replace(INTERNAL, member=True, internal=False),
    ],
)
def test_special_wishes_take_the_long_way(profile: ExportProfile) -> None:
    assert not leaves_plainly(profile)


def test_what_stands_in_front_of_prefixes_is_family_and_next_hop() -> None:
    assert PlainExport(EXTERNAL).front(HOP) == b""
    assert PlainExport(to_ipv6(EXTERNAL)).front(GLOBAL) == b"\0\x02\x01\x10" + GLOBAL + b"\0"


@pytest.mark.parametrize("profile", [EXTERNAL, CLIENTS])
def test_a_group_of_ipv6_says_by_the_short_way_what_it_says_by_the_long_one(profile: ExportProfile) -> None:
    own_as = LOCAL_AS if profile.internal else 65009
    negotiated = Negotiated(own_as, LOCAL_AS, 9, 1, families=frozenset({IPV6_UNICAST}))
    keys = [key(f"2001:db8:{number:x}::/48") for number in range(40)]
    rib = rib_with(*(replace(one, reflector_client=True) for one in TELLERS[:2]))
    groups = [UpdateGroup(to_ipv6(profile), rib.best(IPV6_UNICAST)) for _ in range(2)]
    groups[1]._plain = None
    tables: list[dict[bytes, Attributes]] = [{}, {}]
    for group in groups:
        group.add(Member(9, GLOBAL[:-1] + b"\x09"))
    for number, gone, hop, some in (
        (1, 0, 0, keys[:30]),
        (2, 0, 1, keys[20:]),
        (1, 5, 1, keys[:9]),
        (2, 40, 1, keys[39:]),
    ):
        said = attributes(65000 + number, 65001, local_pref=90 + number).replace(next_hop=HOPS6[hop])
        changes = rib.apply(number, IPV6_UNICAST, keys[30 : 30 + gone], said, some)
        for group, table in zip(groups, tables, strict=True):
            group.enqueue_changes(changes)
            framer = Framer()
            framer.feed(b"".join(octets for _, octets in group.flush()))
            while (message := framer.next_message()) is not None:
                update = decode_update(message, negotiated, AttributeStore())
                assert not update.faults
                for nlri in update.withdrawn:
                    for one in nlri.keys:
                        del table[one]
                for nlri in update.announced:
                    assert nlri.attributes is not None
                    table.update(dict.fromkeys(nlri.keys, nlri.attributes))
    assert tables[0] == tables[1] != {}
    assert groups[0]._plainly
