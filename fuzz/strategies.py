"""Hypothesis strategies: every value of the wire, and octets that were valid once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from pybgp.wire.as_path import AsPath, Segment, joined
from pybgp.wire.attributes import Attributes
from pybgp.wire.capabilities import (
    AddPath,
    Capability,
    EnhancedRouteRefresh,
    ExtendedMessage,
    ExtendedNextHop,
    FourOctetAs,
    GracefulRestart,
    Hostname,
    LongLivedGracefulRestart,
    MultipleLabels,
    MultiprotocolCapability,
    OpaqueCapability,
    OutboundRouteFilter,
    PathsLimit,
    RoleCapability,
    RouteRefresh,
    SoftwareVersion,
)
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AttributeCode, CapabilityCode, Origin, SegmentType
from pybgp.wire.messages import Keepalive, Notification, Open, Update
from pybgp.wire.messages import RouteRefresh as RouteRefreshMessage
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import is_odd, with_path_id
from pybgp.wire.updates import NlriSet

octets = st.integers(0, 0xFF)
shorts = st.integers(0, 0xFFFF)
longs = st.integers(0, 0xFFFFFFFF)
asns = st.one_of(st.integers(1, 0xFFFF), st.integers(1, 0xFFFFFFFF))
families = st.builds(Family, shorts, octets)
our_families = st.sampled_from([IPV4_UNICAST, IPV6_UNICAST])


def _address(family: Family, length: int, bits: int) -> bytes:
    longest = 32 if family == IPV4_UNICAST else 128
    kept = bits >> (longest - length) << (longest - length) if length else 0
    return bytes([length]) + kept.to_bytes(longest // 8, "big")[: (length + 7) // 8]


@st.composite
def keys(draw: st.DrawFn, family: Family, *, add_path: bool = False) -> bytes:
    """A prefix key; a unicast one, because others are ignored on receipt."""
    longest = 32 if family == IPV4_UNICAST else 128
    made = st.builds(_address, st.just(family), st.integers(0, longest), st.integers(0, 2**longest - 1))
    key = draw(made.filter(lambda key: not is_odd(family, key)))
    return with_path_id(key, draw(longs)) if add_path else key


segments = st.builds(Segment, st.sampled_from(SegmentType), st.lists(asns, min_size=1, max_size=8).map(tuple))
as_paths = st.lists(segments, max_size=4).map(lambda found: AsPath(joined(found)))
sequences = st.lists(asns, max_size=300).map(lambda found: AsPath(joined(AsPath.sequence(*found).segments)))
next_hops_v4 = st.builds(
    lambda first, rest: bytes([first]) + rest, st.integers(1, 126), st.binary(min_size=3, max_size=3)
)
next_hops_v6 = st.builds(
    lambda first, link: b"\x20\x01" + first + link,
    st.binary(min_size=14, max_size=14),
    st.one_of(st.just(b""), st.binary(min_size=14, max_size=14).map(lambda rest: b"\xfe\x80" + rest)),
)
optional_values: dict[int, st.SearchStrategy[Any]] = {
    AttributeCode.MED: longs,
    AttributeCode.LOCAL_PREF: longs,
    AttributeCode.ATOMIC_AGGREGATE: st.just(True),
    AttributeCode.AGGREGATOR: st.tuples(asns, longs),
    AttributeCode.COMMUNITIES: st.lists(longs, min_size=1, max_size=80),
    AttributeCode.ORIGINATOR_ID: longs,
    AttributeCode.CLUSTER_LIST: st.lists(longs, min_size=1, max_size=10).map(tuple),
    AttributeCode.EXTENDED_COMMUNITIES: st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=10),
    AttributeCode.LARGE_COMMUNITIES: st.lists(st.tuples(longs, longs, longs), min_size=1, max_size=10),
}
attribute_values = st.fixed_dictionaries(
    {AttributeCode.ORIGIN: st.sampled_from(Origin), AttributeCode.AS_PATH: st.one_of(as_paths, sequences)},
    optional=optional_values,
)


def attributes(family: Family = IPV4_UNICAST) -> st.SearchStrategy[Attributes]:
    """A whole set, with a next hop that fits the family."""
    hops = next_hops_v4 if family == IPV4_UNICAST else next_hops_v6
    return st.builds(Attributes.build, attribute_values, hops)


def _pairs(second: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.tuples(families, second), max_size=5).map(tuple)


_pairs_of_octets = st.lists(st.tuples(octets, octets), max_size=4).map(tuple)
_typed_codes = {int(code) for code in CapabilityCode}
_names = st.text(max_size=16).filter(lambda name: len(name.encode()) <= 64)
capabilities: st.SearchStrategy[Capability] = st.one_of(
    st.builds(MultiprotocolCapability, families),
    st.builds(RouteRefresh, st.sampled_from([2, 128])),
    st.builds(ExtendedNextHop, st.lists(st.tuples(st.builds(Family, shorts, shorts), shorts), max_size=5).map(tuple)),
    st.builds(ExtendedMessage),
    st.builds(GracefulRestart, st.booleans(), st.booleans(), st.integers(0, 4095), _pairs(st.booleans())),
    st.builds(AddPath, _pairs(octets)),
    st.builds(EnhancedRouteRefresh),
    st.builds(
        LongLivedGracefulRestart,
        st.lists(st.tuples(families, st.booleans(), st.integers(0, 0xFFFFFF)), max_size=5).map(tuple),
    ),
    st.builds(Hostname, _names, _names),
    st.builds(
        OutboundRouteFilter,
        st.lists(st.tuples(families, _pairs_of_octets), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(MultipleLabels, _pairs(octets)),
    st.builds(RoleCapability, octets),
    st.builds(SoftwareVersion, _names),
    st.builds(PathsLimit, _pairs(shorts)),
    st.builds(OpaqueCapability, octets.filter(lambda code: code not in _typed_codes), st.binary(max_size=40)),
)


@st.composite
def opens(draw: st.DrawFn) -> Open:
    """An OPEN that could be sent; the 4-octet capability tells the truth."""
    asn = draw(asns)
    found = draw(st.lists(capabilities, max_size=12))
    if asn > 0xFFFF or draw(st.booleans()):
        found.insert(draw(st.integers(0, len(found))), FourOctetAs(asn))
    hold_time = draw(st.one_of(st.just(0), st.integers(3, 0xFFFF)))
    return Open(asn, hold_time, draw(st.integers(1, 0xFFFFFFFF)), tuple(found))


notifications = st.one_of(
    st.builds(Notification, octets, octets, st.binary(max_size=60)),
    st.builds(Notification.with_text, st.sampled_from([2, 4]), st.text(max_size=60)),
)
refreshes = st.builds(RouteRefreshMessage, families, octets)


@st.composite
def sessions(draw: st.DrawFn) -> Negotiated:
    """An internal session with any mixture of what changes the encoding."""
    both = frozenset({IPV4_UNICAST, IPV6_UNICAST})
    add_path = frozenset(draw(st.sets(our_families)))
    limit = draw(st.sampled_from([4096, 65535]))
    return Negotiated(
        local_as=65000,
        peer_as=65000,
        local_id=1,
        peer_id=2,
        families=both,
        asn4=draw(st.booleans()),
        add_path_receive=add_path,
        add_path_send=add_path,
        receive_limit=limit,
        send_limit=limit,
        extended_next_hop=frozenset(draw(st.sets(st.just(IPV4_UNICAST)))),
        options=UpdateOptions(allow_as_sets=True, confederation=True),
    )


@st.composite
def updates(draw: st.DrawFn, session: Negotiated) -> Update:
    """An UPDATE of one kind, as we send them: the attributes are the caller's to intern."""
    family = draw(our_families)
    add_path = family in session.add_path_receive
    found = draw(st.lists(keys(family, add_path=add_path), min_size=1, max_size=30))
    kind = draw(st.sampled_from(["announce", "withdraw", "end"]))
    if kind == "end":
        return Update(end_of_rib=family)
    if kind == "withdraw":
        return Update(withdrawn=(NlriSet(family, found),))
    has_long_hop = family == IPV6_UNICAST or (family in session.extended_next_hop and draw(st.booleans()))
    chosen = draw(attributes(IPV6_UNICAST if has_long_hop else IPV4_UNICAST))
    return Update(announced=(NlriSet(family, found, chosen),), attributes=chosen)


messages = st.one_of(opens(), notifications, refreshes, st.builds(Keepalive))


@st.composite
def damaged(draw: st.DrawFn, valid: st.SearchStrategy[bytes]) -> bytes:
    """Octets that were valid, then changed in a few places."""
    found = bytearray(draw(valid))
    for _ in range(draw(st.integers(0, 6))):
        position = draw(st.integers(0, len(found)))
        edit = draw(st.sampled_from(["set", "insert", "delete", "repeat"]))
        if edit == "insert":
            found[position:position] = draw(st.binary(min_size=1, max_size=8))
        elif edit == "delete":
            del found[position : position + draw(st.integers(1, 8))]
        elif edit == "repeat":
            found[position:position] = found[position : position + draw(st.integers(1, 40))]
        elif position < len(found):
            found[position] = draw(octets)
    return bytes(found)


def any_octets(valid: st.SearchStrategy[bytes], seeds: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """Noise, damaged values of ours, and damaged octets of others where there are any."""
    choices = [st.binary(max_size=80), damaged(valid)]
    if seeds:
        choices.append(damaged(st.sampled_from(seeds)))
    return st.one_of(choices)
