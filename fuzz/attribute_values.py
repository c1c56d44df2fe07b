"""Hypothesis strategies: a typed value of every path attribute that has a row."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fuzz.nlri_values import number, octets
from pybgp.wire.attributes.attribute_set import AttributeSet, InnerAttribute
from pybgp.wire.attributes.measures import Aigp, BfdDiscriminator, NextHopCapability, Tlv
from pybgp.wire.attributes.segment_routing import PrefixSidTlv
from pybgp.wire.attributes.tunnels import PeLabel, PmsiTunnel, SubTlv, Tunnel
from pybgp.wire.families import Family
from pybgp.wire.iana import AttributeCode

short = st.binary(max_size=12)


def tlvs(bits: int, *, least: int = 0) -> st.SearchStrategy[tuple[Tlv, ...]]:
    return st.lists(st.builds(Tlv, number(bits), short), min_size=least, max_size=4).map(tuple)


def _some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, min_size=1, max_size=4).map(tuple)


_pmsi = st.one_of(
    st.builds(PmsiTunnel, number(8), st.sampled_from([3, 4, 5]), number(24), octets(8, 32)),
    st.builds(PmsiTunnel, number(8), st.just(6), number(24), octets(4, 16)),
    st.builds(PmsiTunnel, number(8), st.just(1), number(24), octets(12, 24)),
    st.builds(PmsiTunnel, number(8), st.integers(8, 255), number(24), short),
    octets(4).map(lambda root: PmsiTunnel(0, 2, 1, b"\x06\0\1\x04" + root + b"\0\1x")),
)
_metric = st.integers(0, 2**64 - 2).map(lambda metric: Tlv(1, metric.to_bytes(8, "big")))
_aigp = st.builds(
    lambda metric, others: Aigp((metric, *others)),
    _metric,
    st.lists(st.builds(Tlv, st.integers(2, 255), short), max_size=3),
)
_STRUCTURE = b"\x01\0\x06\x20\x10\x10\0\x10\x40"
_sid = octets(16).map(lambda sid: b"\0\x01\0\x1e\0" + sid + b"\0\0\x13\0" + _STRUCTURE)
_prefix_sid = st.builds(
    lambda index, services, others: (PrefixSidTlv(1, index), PrefixSidTlv(5, services), *others),
    octets(7),
    _sid,
    st.lists(st.builds(PrefixSidTlv, st.integers(7, 255), short), max_size=2),
)
_inner = st.one_of(
    st.builds(InnerAttribute, st.just(0x40), st.just(1), st.sampled_from([b"\0", b"\1", b"\2"])),
    st.builds(InnerAttribute, st.just(0x80), st.just(4), octets(4)),
    st.builds(InnerAttribute, st.just(0xC0), st.integers(200, 240), short),
)
_facts = st.builds(
    lambda endpoint, others: (SubTlv(6, bytes(5) + b"\1" + endpoint), *others),
    octets(4),
    st.lists(st.builds(SubTlv, number(8), short), max_size=3),
)
VALUES: dict[int, st.SearchStrategy[Any]] = {
    AttributeCode.PMSI_TUNNEL: _pmsi,
    AttributeCode.TUNNEL_ENCAPSULATION: _some(st.builds(Tunnel, number(16), _facts)),
    AttributeCode.TRAFFIC_ENGINEERING: st.binary(min_size=1, max_size=40),
    AttributeCode.IPV6_EXTENDED_COMMUNITIES: st.sets(octets(20), min_size=1, max_size=4).map(sorted).map(tuple),
    AttributeCode.AIGP: _aigp,
    AttributeCode.PE_DISTINGUISHER_LABELS: _some(
        st.builds(PeLabel, octets(3).map(lambda rest: b"\x0a" + rest), number(24))
    ),
    AttributeCode.LINK_STATE: tlvs(16, least=1),
    AttributeCode.ONLY_TO_CUSTOMER: st.integers(1, 2**32 - 1),
    AttributeCode.BFD_DISCRIMINATOR: st.builds(
        lambda mode, discriminator, address, others: BfdDiscriminator(mode, discriminator, (Tlv(1, address), *others)),
        number(8),
        number(32),
        octets(4, 16),
        tlvs(8),
    ),
    AttributeCode.NEXT_HOP_CAPABILITY: st.builds(
        NextHopCapability, st.builds(Family, number(16), number(8)), octets(0, 4, 16), tlvs(16)
    ),
    AttributeCode.PREFIX_SID: _prefix_sid,
    AttributeCode.ATTRIBUTE_SET: st.builds(
        lambda asn, found: AttributeSet(asn, tuple(found)), number(32), st.lists(_inner, max_size=3)
    ),
}
