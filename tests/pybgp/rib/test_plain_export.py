"""What leaves in one step is what the careful way makes of it, to the octet."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.exported import Provenance
from pybgp.rib.path import Path
from pybgp.rib.plain_export import PlainExport, PlainlyExported, leaves_plainly
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL
from pybgp.rib.rib_peer import RibPeer
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.measures import Aigp
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import Role, WellKnownCommunity
from pybgp.wire.update_encoding import announcements, encode_updates
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer

HOP = bytes([10, 0, 0, 254])
EXTERNAL = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, HOP, ACCEPT_ALL)
INTERNAL = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, HOP, ACCEPT_ALL, cluster_id=77)
CLIENTS = replace(INTERNAL, reflector_client=True)
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


@settings(max_examples=600)
@given(received=routes(), teller=st.sampled_from(TELLERS), profile=profiles())
def test_the_short_way_ends_where_the_long_one_does(
    received: Attributes, teller: RibPeer, profile: ExportProfile
) -> None:
    path = path_of(teller, received)
    plain = PlainExport(profile) if leaves_plainly(profile) else None
    leaving = next(plain.leaving([path])) if plain is not None else None
    if plain is None or leaving is None:
        return
    careful = rewrite(path, received, profile)
    assert careful is not None
    octets, provenance = leaving
    assert octets == careful.encoded(classic_next_hop=True)
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


@pytest.mark.parametrize("community", [0xFFFFFF01, 0xFFFFFF02, 0xFFFF0006, 0xFFFF0000])
def test_communities_that_mean_something_take_the_long_way(community: int) -> None:
    for teller, profile in ((TELLERS[0], EXTERNAL), (TELLERS[0], INTERNAL), (TELLERS[1], CLIENTS)):
        path = path_of(teller, attributes(65001, local_pref=100, communities=(7, community)))
        assert list(PlainExport(profile).leaving([path, None])) == [None, None]


@pytest.mark.parametrize(
    "profile",
    [
        replace(EXTERNAL, policy=REJECT_ALL),
        replace(EXTERNAL, family=IPV6_UNICAST),
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


def test_announcements_are_packed_to_the_limit() -> None:
    found = attributes(65001)
    keys = [key(f"10.{number // 256}.{number % 256}.0/24") for number in range(2000)]
    octets = found.encoded(classic_next_hop=True)
    packed = encode_updates(IPV4_UNICAST, keys, found, EXTERNAL)
    assert [len(message) <= 4096 for message in packed] == [True, True]
    assert announcements([(octets, keys)], 4096) == b"".join(packed)
    several = [(octets, keys[:3]), (octets, keys), (octets, keys[3:4])]
    parts = [encode_updates(IPV4_UNICAST, part, found, EXTERNAL) for _, part in several]
    assert announcements(several, 4096) == b"".join(chain.from_iterable(parts))
