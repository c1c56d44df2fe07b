"""BIRD 2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from examples.demo.namespaces import run
from pybgp.wire.families import (
    IPV4_FLOWSPEC,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV6_FLOWSPEC,
    IPV6_UNICAST,
    IPV6_VPN,
    Family,
)
from tests.peers.daemons import Bird
from tests.peers.interop.column import Column
from tests.peers.interop.plan import (
    HOLD_TIME,
    LONG_LIVED_TIME,
    RESTART_TIME,
    SHORT_RESTART_TIME,
    THEIR_ADDRESS,
    THEIR_AS,
    THEIR_MARKED,
    THEIR_PREFIX,
    THEIR_V6_PREFIX,
    SessionPlan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANNELS: Final = {
    IPV4_UNICAST: ("ipv4", "master4"),
    IPV6_UNICAST: ("ipv6", "master6"),
    IPV4_FLOWSPEC: ("flow4", "flowtab4"),
    IPV6_FLOWSPEC: ("flow6", "flowtab6"),
    IPV4_VPN: ("vpn4 mpls", "vpntab4"),
    IPV6_VPN: ("vpn6 mpls", "vpntab6"),
}


class BirdColumn(Column):
    """Every session is a protocol instance of its own."""

    title = "BIRD"
    daemon_kind = Bird
    daemon: Bird
    families = frozenset(CHANNELS)
    own: ClassVar[Mapping[Family, tuple[str, ...]]] = {
        IPV4_FLOWSPEC: ("destination=203.0.113.0/24 protocol==6 destination-port==80",),
        IPV4_VPN: ("prefix=192.168.7.0/24",),
    }

    def configuration(self, plans: Sequence[SessionPlan]) -> str:
        sessions = "\n".join(map(session, plans))
        return f"""
router id {THEIR_ADDRESS};
graceful restart wait 10;
flow4 table flowtab4; flow6 table flowtab6; vpn4 table vpntab4; vpn6 table vpntab6;
protocol device {{ }}
protocol bfd {{ interface "eth0" {{ min rx interval 100 ms; min tx interval 300 ms; multiplier 3; }}; }}
protocol static prefixes4 {{ ipv4;
  route {THEIR_PREFIX} blackhole;
  route {THEIR_MARKED} blackhole {{
    bgp_community.add((64513,100)); bgp_large_community.add((64513,1,4294967295)); bgp_ext_community.add((rt,64513,7));
    bgp_path.prepend(4200000099);
  }};
}}
protocol static prefixes6 {{ ipv6; route {THEIR_V6_PREFIX} blackhole; }}
protocol static flows4 {{ flow4; route flow4 {{ dst 203.0.113.0/24; proto = 6; dport = 80; }}; }}
protocol static flows6 {{ flow6; route flow6 {{ dst 2001:db8:f::/48; next header = 17; }}; }}
protocol static vpns4 {{ vpn4; route 64513:7 192.168.7.0/24 via 10.77.0.28 mpls 7007; }}
{sessions}
"""

    def _protocol(self, plan: SessionPlan) -> str:
        return self.daemon.client("show", "protocols", "all", f"peer_{plan.name}")

    def status(self, plan: SessionPlan) -> str:
        return self._protocol(plan)

    def is_up(self, plan: SessionPlan) -> bool:
        return "BGP state:          Established" in self._protocol(plan)

    def heard(self, plan: SessionPlan, family: Family) -> str:
        text = self.daemon.client("show", "route", "protocol", f"peer_{plan.name}", "table", CHANNELS[family][1], "all")
        return with_colons(text)

    def everything(self, prefix: str) -> str:
        return with_colons(self.daemon.client("show", "route", prefix, "all"))

    def bfd_sessions(self) -> str:
        return self.daemon.client("show", "bfd", "sessions")

    def refuses(self, configuration: str) -> str:
        return run("bird", "-p", "-c", self.scratch(f"router id 192.0.2.1;\n{configuration}"), check=False)

    def ask_refresh(self, plan: SessionPlan, family: Family) -> None:
        self.daemon.client("reload", "in", f"peer_{plan.name}")

    def shut_down(self, plan: SessionPlan) -> None:
        self.daemon.client("disable", f"peer_{plan.name}", f'"{self.shutdown_text}"')

    def start_again(self) -> None:
        self.daemon.start("-R")


def with_colons(text: str) -> str:
    """Return BIRD's answer with communities such as (64512, 1, 2) as everybody else writes them."""
    return re.sub(r"\((\w+(?:, ?\w+)+)\)", lambda found: re.sub(", ?", ":", found[1]), text)


def session(plan: SessionPlan) -> str:
    """Return one protocol."""
    options = []
    if plan.password:
        options.append(f'password "{plan.password}"; ')
    if plan.ttl_security:
        options.append("ttl security on;")
    if plan.their_role:
        options.append(f"local role {plan.their_role};")
    if plan.bfd:
        options.append("bfd on;")
    options.append("graceful restart on;" if plan.graceful_restart else "graceful restart off;")
    options.append(f"graceful restart time {SHORT_RESTART_TIME if plan.long_lived else RESTART_TIME};")
    if plan.long_lived:
        options.append(f"long lived graceful restart on; long lived stale time {LONG_LIVED_TIME};")
    channels = "\n".join(channel(plan, family) for family in plan.families)
    return f"""
protocol bgp peer_{plan.name} {{
  local {plan.their_address} as {THEIR_AS}; neighbor {plan.our_address} as {plan.asn};
  hold time {HOLD_TIME}; connect delay time 1; connect retry time 3; error wait time 1,2;
  enable extended messages on; {" ".join(options)}
{channels}
}}"""


def channel(plan: SessionPlan, family: Family) -> str:
    """Return one family of a session."""
    name, table = CHANNELS[family]
    options = ["import all;", "export all;", f"table {table};"]
    if plan.add_path:
        options.append("add paths on;")
    if plan.extended_next_hop and family == IPV4_UNICAST:
        options.append("extended next hop on; next hop self;")
    return f"  {name} {{ {' '.join(options)} }};"
