"""Hypothesis strategies: a typed value of every address family."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pybgp.wire.families import Family
from pybgp.wire.forms import prefix_octets
from pybgp.wire.nlri import FAMILIES, encode_nlri
from pybgp.wire.nlri.evpn import (
    EthernetAutoDiscovery,
    EthernetSegment,
    InclusiveMulticast,
    IpPrefix,
    MacIp,
    OpaqueRoute,
    SelectiveMulticast,
)
from pybgp.wire.nlri.flowspec import ComponentType, FlowRule, PrefixMatch, Term, ValueMatch
from pybgp.wire.nlri.labelled import LabelledPrefix, VpnPrefix, label
from pybgp.wire.nlri.layer2 import VplsBlock
from pybgp.wire.nlri.link_state import LinkState, LinkStateKind, OpaqueLinkState, Tlv, write_tlvs
from pybgp.wire.nlri.opaque import McastVpnRoute, MupRoute
from pybgp.wire.nlri.route_target import RouteTargetMembership
from pybgp.wire.nlri.sr_policy import SrPolicy


def number(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


def octets(*sizes: int) -> st.SearchStrategy[bytes]:
    return st.sampled_from(sizes).flatmap(lambda size: st.binary(min_size=size, max_size=size))


distinguishers = st.one_of(
    octets(6).map(lambda rest: b"\0\0" + rest),
    octets(6).map(lambda rest: b"\0\x01" + rest),
    octets(6).map(lambda rest: b"\0\x02" + rest),
    octets(8),
)
tlvs = st.lists(st.builds(Tlv, number(16), st.binary(max_size=12)), max_size=4)
node_values = st.lists(number(16), unique=True, max_size=3).map(
    lambda kinds: write_tlvs(tuple(Tlv(kind, b"\1\2\3\4") for kind in sorted(kinds)))
)


@st.composite
def prefixes(draw: st.DrawFn, size: int) -> tuple[int, bytes]:
    length = draw(st.integers(0, 8 * size))
    return length, prefix_octets(draw(octets(size)), length)


def plain(size: int) -> st.SearchStrategy[bytes]:
    return prefixes(size).map(lambda found: bytes([found[0]]) + found[1])


@st.composite
def stacks(draw: st.DrawFn, most: int) -> tuple[int, ...]:
    numbers = draw(st.lists(st.integers(0, (1 << 19) - 1), min_size=1, max_size=most))
    return (*(label(found, bottom=False) for found in numbers[:-1]), label(numbers[-1]))


def labelled(size: int) -> st.SearchStrategy[LabelledPrefix]:
    return st.builds(lambda labels, found: LabelledPrefix(labels, *found), stacks(4), prefixes(size))


def vpn(size: int) -> st.SearchStrategy[VpnPrefix]:
    return st.builds(lambda labels, rd, found: VpnPrefix(labels, rd, *found), stacks(2), distinguishers, prefixes(size))


@st.composite
def matches(draw: st.DrawFn, kind: int, size: int) -> Any:
    if kind in (ComponentType.DESTINATION, ComponentType.SOURCE):
        length = draw(st.integers(0, 8 * size))
        offset = draw(st.integers(0, max(length - 1, 0))) if size == 16 else 0
        bits = length - offset
        return PrefixMatch(kind, length, prefix_octets(draw(octets((bits + 7) // 8)), bits), offset)
    is_bitmask = kind in (ComponentType.TCP_FLAGS, ComponentType.FRAGMENT)
    sizes = {ComponentType.TCP_FLAGS: (1, 2), ComponentType.DSCP: (1,), ComponentType.FRAGMENT: (1,)}
    terms = []
    for place in range(draw(st.integers(1, 4))):
        width = draw(st.sampled_from(sizes.get(ComponentType(kind), (1, 2, 4, 8))))
        operator = draw(number(2 if is_bitmask else 3))
        terms.append(Term(operator, draw(number(8 * width)), width, place > 0 and draw(st.booleans())))
    return ValueMatch(kind, tuple(terms))


@st.composite
def rules(draw: st.DrawFn, size: int, vpn: bool) -> FlowRule:
    last = ComponentType.FRAGMENT if size == 4 else ComponentType.FLOW_LABEL
    kinds = sorted(draw(st.sets(st.integers(1, last), min_size=1, max_size=6)))
    return FlowRule(tuple(draw(matches(kind, size)) for kind in kinds), draw(distinguishers) if vpn else None)


_esi = octets(10)
evpn_routes = st.one_of(
    st.builds(EthernetAutoDiscovery, distinguishers, _esi, number(32), number(24)),
    st.builds(
        MacIp,
        distinguishers,
        _esi,
        number(32),
        octets(6),
        octets(0, 4, 16),
        number(24),
        st.one_of(st.none(), number(24)),
    ),
    st.builds(InclusiveMulticast, distinguishers, number(32), octets(4, 16)),
    st.builds(EthernetSegment, distinguishers, _esi, octets(4, 16)),
    st.sampled_from([4, 16]).flatmap(
        lambda size: st.builds(
            lambda rd, esi, tag, found, gateway, vni: IpPrefix(
                rd, esi, tag, found[0], found[1].ljust(size, b"\0"), gateway, vni
            ),
            distinguishers,
            _esi,
            number(32),
            prefixes(size),
            octets(size),
            number(24),
        )
    ),
    st.builds(
        SelectiveMulticast, distinguishers, number(32), octets(0, 4, 16), octets(0, 4, 16), octets(4, 16), number(8)
    ),
    st.builds(OpaqueRoute, st.integers(7, 255), st.binary(max_size=40)),
)


@st.composite
def link_states(draw: st.DrawFn, vpn: bool) -> Any:
    distinguisher = draw(distinguishers) if vpn else None
    if draw(st.booleans()):
        return OpaqueLinkState(draw(st.integers(7, 0xFFFF)), draw(st.binary(max_size=40)), distinguisher)
    found = [tlv for tlv in draw(tlvs) if tlv.kind not in (256, 257)]
    found += [Tlv(kind, draw(node_values)) for kind in (256, 257)]
    kind = draw(st.sampled_from(LinkStateKind))
    return LinkState(kind, draw(number(8)), draw(number(64)), tuple(sorted(found)), distinguisher)


@st.composite
def memberships(draw: st.DrawFn) -> RouteTargetMembership:
    length = draw(st.sampled_from([0, *range(32, 97)]))
    if not length:
        return RouteTargetMembership(0)
    return RouteTargetMembership(length, draw(number(32)), prefix_octets(draw(octets(8)), length - 32))


def values(family: Family) -> st.SearchStrategy[Any]:
    """Any value that an NLRI of the family can have."""
    size = 4 if family.afi == 1 else 16
    made: dict[int, st.SearchStrategy[Any]] = {
        1: plain(size),
        2: plain(size),
        4: labelled(size),
        5: st.builds(McastVpnRoute, st.integers(1, 7), st.binary(max_size=40)),
        65: st.builds(VplsBlock, distinguishers, number(16), number(16), number(16), number(24)),
        70: evpn_routes,
        71: link_states(vpn=False),
        72: link_states(vpn=True),
        73: st.builds(SrPolicy, number(32), number(32), octets(size)),
        85: st.builds(MupRoute, number(8), number(16), st.binary(max_size=40)),
        128: vpn(size),
        129: vpn(size),
        132: memberships(),
        133: rules(size, vpn=False),
        134: rules(size, vpn=True),
    }
    return made[family.safi]


def any_keys(family: Family) -> st.SearchStrategy[bytes]:
    """Any key of the family, without a path identifier."""
    return values(family).map(lambda value: encode_nlri(family, value))


ALL_FAMILIES = tuple(FAMILIES)
