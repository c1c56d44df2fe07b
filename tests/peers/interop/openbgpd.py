"""OpenBGPD, portable edition."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from examples.demo.namespaces import run
from pybgp.wire.families import IPV4_UNICAST, IPV4_VPN, IPV6_UNICAST, IPV6_VPN, Family
from tests.peers.daemons import OpenBgpd
from tests.peers.interop.column import Column
from tests.peers.interop.plan import (
    HOLD_TIME,
    THEIR_ADDRESS,
    THEIR_AS,
    THEIR_MARKED,
    THEIR_PREFIX,
    THEIR_V6,
    THEIR_V6_PREFIX,
    SessionPlan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAMILIES: Final = {
    IPV4_UNICAST: "IPv4 unicast",
    IPV6_UNICAST: "IPv6 unicast",
    IPV4_VPN: "IPv4 vpn",
    IPV6_VPN: "IPv6 vpn",
}
TABLES: Final = {IPV4_UNICAST: "inet", IPV6_UNICAST: "inet6", IPV4_VPN: "vpnv4", IPV6_VPN: "vpnv6"}


class OpenBgpdColumn(Column):
    """One neighbor block per session."""

    title = "OpenBGPD"
    daemon_kind = OpenBgpd
    daemon: OpenBgpd
    families = frozenset(FAMILIES)
    own: ClassVar[Mapping[Family, tuple[str, ...]]] = {IPV4_VPN: ("prefix=10.200.6.0/24 labels=[1000]",)}
    #: The portable edition signs what it opens; its listener takes connections without a signature.
    guards_its_port = False
    answers = False
    lacks = frozenset({"extended_next_hop", "long_lived", "bfd"})

    def configuration(self, plans: Sequence[SessionPlan]) -> str:
        marks = "community 64513:100 large-community 64513:1:4294967295 ext-community rt 64513:7"
        neighbors = "\n".join(map(neighbor, plans))
        return f"""
AS {THEIR_AS}
router-id {THEIR_ADDRESS}
listen on {THEIR_ADDRESS}
listen on {THEIR_V6}
fib-update no
holdtime {HOLD_TIME}
network {THEIR_PREFIX}
network {THEIR_MARKED} set {{ {marks} }}
network {THEIR_V6_PREFIX}
{neighbors}
allow to any
allow from any
"""

    def _ask(self, *words: str) -> str:
        return self.daemon.ask("bgpctl", "-s", str(self.directory / "control"), *words)

    def status(self, plan: SessionPlan) -> str:
        return self._ask("show", "neighbor", plan.our_address)

    def is_up(self, plan: SessionPlan) -> bool:
        return "BGP state = Established" in self.status(plan)

    def heard(self, plan: SessionPlan, family: Family) -> str:
        return self._ask("show", "rib", "detail", "neighbor", plan.our_address, TABLES[family])

    def everything(self, prefix: str) -> str:
        return self._ask("show", "rib", "detail", prefix)

    def refuses(self, configuration: str) -> str:
        return run("/usr/sbin/bgpd", "-n", "-f", self.scratch(f"AS 64513\n{configuration}"), check=False)

    def ask_refresh(self, plan: SessionPlan, family: Family) -> None:
        self._ask("neighbor", plan.our_address, "refresh")

    def shut_down(self, plan: SessionPlan) -> None:
        self._ask("neighbor", plan.our_address, "down", self.shutdown_text)


def neighbor(plan: SessionPlan) -> str:
    """Return one neighbor block."""
    lines = [f"remote-as {plan.asn}", f"local-address {plan.their_address}"]
    lines += [f"announce {FAMILIES[family]}" for family in plan.families]
    if IPV4_UNICAST not in plan.families:
        lines.append("announce IPv4 none")
    lines.append("announce enhanced refresh yes")
    if plan.password:
        lines.append(f"tcp md5sig password {plan.password}")
    if plan.ttl_security:
        lines.append("ttl-security yes")
    if plan.add_path:
        lines += ["announce add-path recv yes", "announce add-path send all"]
    if plan.their_role:
        lines.append(f"announce policy {plan.their_role}")
    lines.append(f"announce restart {'yes' if plan.graceful_restart else 'no'}")
    body = "\n".join(f"  {line}" for line in lines)
    return f"neighbor {plan.our_address} {{\n{body}\n}}"
