"""The table of address families: one row each (spec sections 5.2 and 5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pybgp.wire.nlri.evpn as evpn
import pybgp.wire.nlri.flowspec as flowspec
import pybgp.wire.nlri.labelled as labelled
import pybgp.wire.nlri.layer2 as layer2
import pybgp.wire.nlri.link_state as link_state
import pybgp.wire.nlri.opaque as opaque
import pybgp.wire.nlri.prefixes as prefixes
import pybgp.wire.nlri.route_target as route_target
import pybgp.wire.nlri.sr_policy as sr_policy
from pybgp.wire.families import (
    EVPN,
    IPV4_FLOWSPEC,
    IPV4_LABELLED,
    IPV4_MCAST_VPN,
    IPV4_MULTICAST,
    IPV4_MUP,
    IPV4_SR_POLICY,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV4_VPN_FLOWSPEC,
    IPV4_VPN_MULTICAST,
    IPV6_FLOWSPEC,
    IPV6_LABELLED,
    IPV6_MCAST_VPN,
    IPV6_MULTICAST,
    IPV6_MUP,
    IPV6_SR_POLICY,
    IPV6_UNICAST,
    IPV6_VPN,
    IPV6_VPN_FLOWSPEC,
    IPV6_VPN_MULTICAST,
    LINK_STATE,
    LINK_STATE_VPN,
    ROUTE_TARGET,
    VPLS,
    Family,
)
from pybgp.wire.nlri.row import NlriFamily

if TYPE_CHECKING:
    from collections.abc import Mapping

_IPV6_HOPS: Final = (16, 32)
_EITHER: Final = (4, 16)
_FLOWSPEC_HOPS: Final = (0, 4, 16)
_VPN_FLOWSPEC_HOPS: Final = (0, 4, 12, 16, 24)


def _itself(nlri: bytes) -> bytes:
    return nlri


def _prefix(family: Family) -> NlriFamily:
    return NlriFamily(
        family,
        prefixes.reader(family),
        (4,) if family.afi == 1 else _IPV6_HOPS,
        _itself,
        _itself,
        prefixes.prefix_form(family),
        extended_next_hops=_IPV6_HOPS if family.afi == 1 else (),
        judge=prefixes.judge(family),
    )


def _labelled(family: Family) -> NlriFamily:
    size = 4 if family.afi == 1 else 16
    return NlriFamily(
        family,
        labelled.reader(size, 0),
        (4,) if size == 4 else _IPV6_HOPS,
        labelled.decode_labelled,
        labelled.encode_labelled,
        labelled.labelled_form(size),
        extended_next_hops=_IPV6_HOPS if size == 4 else (),
        details=labelled.DETAILS,
        judge=labelled.judge,
        withdrawal=labelled.withdrawal,
        bound_to_next_hop=True,
    )


def _vpn(family: Family) -> NlriFamily:
    size = 4 if family.afi == 1 else 16
    return NlriFamily(
        family,
        labelled.reader(size, 8),
        (12,) if size == 4 else (24, 48),
        labelled.decode_vpn,
        labelled.encode_vpn,
        labelled.vpn_form(size),
        extended_next_hops=(24, 48) if size == 4 else (),
        details=labelled.DETAILS,
        judge=labelled.judge,
        withdrawal=labelled.withdrawal,
        distinguished_next_hop=True,
        bound_to_next_hop=True,
    )


def _flowspec(family: Family, *, vpn: bool = False) -> NlriFamily:
    size = 4 if family.afi == 1 else 16
    return NlriFamily(
        family,
        flowspec.reader(size, vpn=vpn),
        _VPN_FLOWSPEC_HOPS if vpn else _FLOWSPEC_HOPS,
        flowspec.decoder(size, vpn=vpn),
        flowspec.encoder(size, vpn=vpn),
        flowspec.form(size),
        next_hop_ignored=True,
    )


def _link_state(family: Family, *, vpn: bool) -> NlriFamily:
    return NlriFamily(
        family,
        link_state.read_vpn if vpn else link_state.read,
        (12, 24) if vpn else (4, 16, 32),
        link_state.decoder(vpn=vpn),
        link_state.encoder(vpn=vpn),
        link_state.FORM,
        judge=link_state.judge(vpn=vpn),
        distinguished_next_hop=vpn,
    )


def _sr_policy(family: Family) -> NlriFamily:
    size = 4 if family.afi == 1 else 16
    read, form = sr_policy.reader(size), sr_policy.form(size)
    return NlriFamily(family, read, _EITHER, sr_policy.decode, sr_policy.encode, form)


def _mcast_vpn(family: Family) -> NlriFamily:
    decode, encode = opaque.decode_mcast_vpn, opaque.encode_mcast_vpn
    form, judge = opaque.MCAST_VPN_FORM, opaque.judge_mcast_vpn
    read = opaque.read_mcast_vpn
    return NlriFamily(family, read, _EITHER, decode, encode, form, judge=judge, bound_to_next_hop=True)


def _mup(family: Family) -> NlriFamily:
    decode, encode = opaque.decode_mup, opaque.encode_mup
    return NlriFamily(family, opaque.read_mup, _EITHER, decode, encode, opaque.MUP_FORM, bound_to_next_hop=True)


_ROWS: Final = (
    *map(_prefix, (IPV4_UNICAST, IPV6_UNICAST, IPV4_MULTICAST, IPV6_MULTICAST)),
    *map(_labelled, (IPV4_LABELLED, IPV6_LABELLED)),
    *map(_vpn, (IPV4_VPN, IPV6_VPN, IPV4_VPN_MULTICAST, IPV6_VPN_MULTICAST)),
    *map(_flowspec, (IPV4_FLOWSPEC, IPV6_FLOWSPEC)),
    _flowspec(IPV4_VPN_FLOWSPEC, vpn=True),
    _flowspec(IPV6_VPN_FLOWSPEC, vpn=True),
    *map(_sr_policy, (IPV4_SR_POLICY, IPV6_SR_POLICY)),
    *map(_mcast_vpn, (IPV4_MCAST_VPN, IPV6_MCAST_VPN)),
    *map(_mup, (IPV4_MUP, IPV6_MUP)),
    _link_state(LINK_STATE, vpn=False),
    _link_state(LINK_STATE_VPN, vpn=True),
    NlriFamily(ROUTE_TARGET, route_target.read, _EITHER, route_target.decode, route_target.encode, route_target.FORM),
    NlriFamily(
        VPLS,
        layer2.read,
        _EITHER,
        layer2.decode,
        layer2.encode,
        layer2.FORM,
        details=layer2.DETAILS,
        bound_to_next_hop=True,
    ),
    NlriFamily(
        EVPN,
        evpn.read,
        _EITHER,
        evpn.decode,
        evpn.encode,
        evpn.FORM,
        details=evpn.DETAILS,
        judge=evpn.judge,
        bound_to_next_hop=True,
    ),
)
FAMILIES: Final[Mapping[Family, NlriFamily]] = {row.family: row for row in _ROWS}
