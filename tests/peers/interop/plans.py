"""All sessions that every daemon has with us, as far as it has words for them."""

from __future__ import annotations

from typing import Any, Final

from pybgp import RouteOptions
from pybgp.wire.families import EVPN, IPV4_FLOWSPEC, IPV4_UNICAST, IPV4_VPN, IPV6_FLOWSPEC, IPV6_UNICAST
from tests.peers.interop.plan import PASSWORD, SessionPlan

TRUSTING: Final = {"routes": RouteOptions(validate_flow_rules=False)}
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "base": {},
    "second": {"our_as": 4200000001},
    "two_octet": {"ours": {"four_octet_as": False}},
    "add_path": {"add_path": True, "ours": {"routes": RouteOptions(add_path_send="all")}},
    "v6": {"families": (IPV6_UNICAST,), "over_v6": True},
    "md5": {"password": PASSWORD},
    "gtsm": {"ttl_security": True},
    "extended_next_hop": {"over_v6": True, "extended_next_hop": True},
    "plain_refresh": {"ours": {"enhanced_refresh": False}},
    "role": {"their_role": "provider"},
    "evpn": {"families": (IPV4_UNICAST, EVPN)},
    "flowspec": {"families": (IPV4_UNICAST, IPV4_FLOWSPEC), "ours": TRUSTING},
    "vpn": {"families": (IPV4_UNICAST, IPV4_VPN)},
    "they_end": {},
    "we_end": {},
    "they_restart": {"graceful_restart": True, "watched": True},
    "we_restart": {"graceful_restart": True},
    "their_long_restart": {"graceful_restart": True, "long_lived": True, "watched": True},
    "our_long_restart": {"graceful_restart": True, "long_lived": True},
    "hard_reset": {"graceful_restart": True},
    "bfd": {"bfd": True},
    #: Sees what the daemon passes on: the third party of what happens on other sessions.
    "watcher": {
        "families": (EVPN, IPV4_VPN, IPV4_FLOWSPEC, IPV6_FLOWSPEC, IPV6_UNICAST, IPV4_UNICAST),
        "graceful_restart": True,
        "long_lived": True,
        "ours": TRUSTING,
    },
}
PLANS: Final = tuple(SessionPlan(name, index, **options) for index, (name, options) in enumerate(OPTIONS.items(), 11))
