"""Each condition and each action by itself, on one route."""

from __future__ import annotations

import pytest

from pybgp.errors import LocalError
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import (
    AddCommunities,
    AsPathContains,
    AsPathLength,
    AsPathMatch,
    CommunityMatch,
    DeleteCommunities,
    FamilyMatch,
    LocalPrefMatch,
    MedMatch,
    NeighborAsMatch,
    NextHopMatch,
    NumberRange,
    OriginAsMatch,
    OriginMatch,
    PeerMatch,
    PrefixSet,
    Prepend,
    PrependLastAs,
    PrependOwn,
    Route,
    SetCommunities,
    SetLocalPref,
    SetMed,
    SetNextHop,
    SetOrigin,
    SetPreference,
    SetTag,
    SourceMatch,
    TagMatch,
    ValidationMatch,
    parse_pattern,
)
from pybgp.rib.policy.action import Action
from pybgp.rib.policy.community_pattern import parse_exact
from pybgp.rib.policy.match import Match
from pybgp.rib.rib_peer import RibPeer
from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attributes import Attributes
from pybgp.wire.communities import LargeCommunity
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AttributeCode, Origin, SegmentType

TELLER = RibPeer(3, bytes([10, 0, 0, 3]), 64512, 65001, 7, name="upstream")
NO_EXPORT = 0xFFFFFF01
TARGET = bytes.fromhex("0002fde800000064")
EVERYTHING = {
    AttributeCode.ORIGIN: Origin.EGP,
    AttributeCode.AS_PATH: AsPath.sequence(65001, 65002, 65010),
    AttributeCode.MED: 50,
    AttributeCode.LOCAL_PREF: 150,
    AttributeCode.COMMUNITIES: (65001 << 16 | 7, NO_EXPORT),
    AttributeCode.EXTENDED_COMMUNITIES: (TARGET,),
    AttributeCode.LARGE_COMMUNITIES: (LargeCommunity(65001, 1, 2),),
}


def route(
    values: dict[AttributeCode, object] | None = None,
    *,
    hop: bytes = bytes([192, 0, 2, 9]),
    source: Source = Source.EBGP,
    family: Family = IPV4_UNICAST,
    label: str = "",
    teller: RibPeer | None = TELLER,
) -> Route:
    found = Attributes.build(EVERYTHING if values is None else values, hop)
    number = 0 if source is Source.LOCAL else 3
    return Route(Path(number, source, found, found, label=label, teller=teller), family, internal=False)


def numbers(low: int, high: int | None = None) -> tuple[NumberRange, ...]:
    return (NumberRange(low, low if high is None else high),)


def communities(*texts: str, every: bool = False) -> CommunityMatch:
    return CommunityMatch(tuple(map(parse_pattern, texts)), every)


def next_hops(*texts: str) -> NextHopMatch:
    return NextHopMatch(PrefixSet.of(*(f"{text} le 128" if ":" in text else f"{text} le 32" for text in texts)))


@pytest.mark.parametrize(
    "match",
    [
        FamilyMatch(frozenset({IPV4_UNICAST})),
        AsPathMatch(("^65001 ",)),
        AsPathMatch(("nothing", "_65010$")),
        AsPathMatch(("_65002_",)),
        AsPathContains(numbers(65002)),
        AsPathLength(numbers(2, 3)),
        OriginAsMatch(numbers(65010)),
        NeighborAsMatch(numbers(65000, 65001)),
        communities("65001:*"),
        communities("no-export", "rt:1:1"),
        communities("no-export", "rt:65000:100", "65001:*:2", every=True),
        next_hops("192.0.2.0/24"),
        MedMatch(numbers(50)),
        LocalPrefMatch(numbers(100, 200)),
        OriginMatch(frozenset({Origin.EGP, Origin.IGP})),
        PeerMatch(frozenset({"upstream"})),
        PeerMatch(frozenset({"10.0.0.3"})),
        SourceMatch(frozenset({Source.EBGP})),
        TagMatch(frozenset({"", "x"})),
    ],
    ids=str,
)
def test_conditions_that_hold(match: Match) -> None:
    assert match.test(route())


@pytest.mark.parametrize(
    "match",
    [
        FamilyMatch(frozenset({IPV6_UNICAST})),
        AsPathMatch(("_6500_", "^65002")),
        AsPathContains(numbers(65003)),
        AsPathLength(numbers(4, 9)),
        OriginAsMatch(numbers(65001)),
        NeighborAsMatch(numbers(65010)),
        communities("65002:*", "rt:65000:101", "65001:2:*"),
        communities("no-export", "rt:65000:101", every=True),
        next_hops("198.51.100.0/24", "::/0"),
        MedMatch(numbers(51, 60)),
        LocalPrefMatch(numbers(0, 149)),
        OriginMatch(frozenset({Origin.INCOMPLETE})),
        PeerMatch(frozenset({"10.0.0.4", "downstream"})),
        SourceMatch(frozenset({Source.LOCAL, Source.IBGP})),
        TagMatch(frozenset({"x"})),
    ],
    ids=str,
)
def test_conditions_that_do_not_hold(match: Match) -> None:
    assert not match.test(route())


def test_an_absent_value_is_in_no_range() -> None:
    bare = route({}, hop=b"")
    everything = numbers(0, 2**32 - 1)
    assert not MedMatch(everything).test(bare)
    assert not LocalPrefMatch(everything).test(bare)
    assert not next_hops("0.0.0.0/0", "::/0").test(bare)
    assert not NeighborAsMatch(everything).test(bare)
    assert OriginMatch(frozenset({Origin.INCOMPLETE})).test(bare)


def test_the_origin_of_an_empty_path_is_ours_and_that_of_a_set_nobodys() -> None:
    assert route({}).origin_as == 64512
    path = AsPath((Segment(SegmentType.SEQUENCE, (65001,)), Segment(SegmentType.SET, (1, 2))))
    assert route({AttributeCode.AS_PATH: path}).origin_as is None
    assert AsPathMatch((r"\{1,2\}$",)).test(route({AttributeCode.AS_PATH: path}))
    assert AsPathMatch(("_2_",)).test(route({AttributeCode.AS_PATH: path}))


def test_a_bad_expression_is_named() -> None:
    with pytest.raises(LocalError, match=r"as_path '\(': no regular expression"):
        AsPathMatch(("65001", "("))


def test_validation_asks_for_each_prefix() -> None:
    asked = []

    def validate(family: Family, key: bytes, origin: int | None) -> str:
        asked.append((key, origin))
        return "invalid" if key == b"\x08\x0a" else "valid"

    judged = route()
    judged.validator = validate
    assert list(ValidationMatch(frozenset({"invalid"})).inside(judged, [b"\x08\x0a", b"\x08\x0b"])) == [b"\x08\x0a"]
    assert asked == [(b"\x08\x0a", 65010), (b"\x08\x0b", 65010)]
    assert list(ValidationMatch(frozenset({"not-found"})).inside(route(), [b"\x00"])) == [b"\x00"]


def exact(*texts: str) -> tuple[object, ...]:
    return tuple(map(parse_exact, texts))


def after(action: Action, **options: object) -> Attributes:
    changed = route(**options)  # type: ignore[arg-type]  (forwarded keyword arguments)
    action.perform(changed)
    return changed.attributes


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (SetLocalPref(300), 300),
        (SetLocalPref(10, relative=True), 160),
        (SetLocalPref(-200, relative=True), 0),
        (SetLocalPref(2**32, relative=True), 2**32 - 1),
    ],
)
def test_local_pref(action: Action, expected: int) -> None:
    assert after(action).local_pref == expected


def test_an_absent_local_pref_counts_as_100() -> None:
    assert after(SetLocalPref(5, relative=True), values={}).local_pref == 105


def test_med() -> None:
    assert after(SetMed(7)).med == 7
    assert after(SetMed(-60, relative=True)).med == 0
    assert after(SetMed(None)).med is None
    assert after(SetMed(3, relative=True), values={}).med == 3


def test_preference_and_tag() -> None:
    changed = route()
    for action in (SetPreference(120), SetPreference(5, relative=True), SetTag("customer")):
        action.perform(changed)
    passed = changed.passed([b"\0"])
    assert (passed.preference, passed.tag, passed.keep_next_hop) == (125, "customer", False)


def test_next_hops() -> None:
    changed = route()
    SetNextHop("198.51.100.1").perform(changed)
    assert changed.passed(())[0].next_hop == bytes([198, 51, 100, 1])
    assert changed.keep_next_hop
    SetNextHop("peer").perform(changed)
    assert (changed.next_hop, changed.keep_next_hop) == (TELLER.address, True)
    SetNextHop("self").perform(changed)
    assert (changed.next_hop, changed.keep_next_hop) == (b"", False)
    SetNextHop("unchanged").perform(changed)
    assert not changed.keep_next_hop, "there is none to keep"
    kept = route()
    SetNextHop("unchanged").perform(kept)
    assert (kept.next_hop_text, kept.keep_next_hop) == ("192.0.2.9", True)


def test_our_own_route_has_no_peer_for_a_next_hop() -> None:
    own = route(source=Source.LOCAL, hop=b"", teller=RibPeer(0, b"", 64512, 64512, 1))
    SetNextHop("peer").perform(own)
    assert (own.next_hop, own.keep_next_hop, own.is_own) == (b"", False, True)


def test_prepending() -> None:
    assert list(after(Prepend((1, 2))).as_path) == [1, 2, 65001, 65002, 65010]
    assert list(after(PrependOwn(2)).as_path)[:3] == [64512, 64512, 65001]
    assert list(after(PrependLastAs(2)).as_path)[:3] == [65001] * 3
    assert not list(after(PrependLastAs(2), values={}).as_path)
    assert list(after(PrependOwn(1), values={}).as_path) == [64512]
    assert not list(after(PrependOwn(1), values={}, teller=None).as_path)
    assert after(PrependOwn(300)).as_path.length == 303


def test_communities() -> None:
    added = after(AddCommunities(exact("blackhole", "65001:7", "rt:1:2", "1:2:3")))  # type: ignore[arg-type]
    assert set(added.communities) == {65001 << 16 | 7, NO_EXPORT, 0xFFFF029A}
    assert added.extended_communities == (bytes.fromhex("0002000100000002"), TARGET)
    assert LargeCommunity(1, 2, 3) in added.large_communities
    deleted = after(DeleteCommunities(tuple(map(parse_pattern, ("65001:*", "rt:*:*", "5:*:*")))))
    assert deleted.communities == (NO_EXPORT,)
    assert AttributeCode.EXTENDED_COMMUNITIES not in deleted
    assert deleted.large_communities == (LargeCommunity(65001, 1, 2),)
    replaced = after(SetCommunities(exact("1:1", "1:1:1")))  # type: ignore[arg-type]
    assert replaced.communities == (1 << 16 | 1,)
    assert AttributeCode.EXTENDED_COMMUNITIES not in replaced
    assert replaced.large_communities == (LargeCommunity(1, 1, 1),)
    assert not after(SetCommunities(())).communities


def test_origin() -> None:
    assert after(SetOrigin(Origin.IGP)).origin is Origin.IGP


def test_a_later_action_sees_an_earlier_one() -> None:
    changed = route()
    for action in (SetCommunities(exact("1:1")), AddCommunities(exact("1:2")), Prepend((9,)), PrependLastAs(1)):  # type: ignore[arg-type]
        action.perform(changed)
    assert communities("1:1", "1:2", every=True).test(changed)
    assert changed.as_path_text == "9 9 65001 65002 65010"
    assert changed.attributes.communities == (0x10001, 0x10002)
