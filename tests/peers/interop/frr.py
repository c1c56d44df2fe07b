"""FRR: zebra, bgpd and bfdd of one instance, without kernel routes."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import TYPE_CHECKING, ClassVar, Final

from pybgp.wire.families import (
    EVPN,
    IPV4_FLOWSPEC,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV6_FLOWSPEC,
    IPV6_UNICAST,
    IPV6_VPN,
    Family,
)
from tests.peers.daemons import Frr
from tests.peers.interop.column import Column
from tests.peers.interop.plan import (
    HOLD_TIME,
    LONG_LIVED_TIME,
    PASSWORD,
    RESTART_TIME,
    THEIR_ADDRESS,
    THEIR_AS,
    THEIR_MARKED,
    THEIR_PREFIX,
    THEIR_V6_PREFIX,
    SessionPlan,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

FAMILIES: Final = {
    IPV4_UNICAST: "ipv4 unicast",
    IPV6_UNICAST: "ipv6 unicast",
    IPV4_VPN: "ipv4 vpn",
    IPV6_VPN: "ipv6 vpn",
    IPV4_FLOWSPEC: "ipv4 flowspec",
    IPV6_FLOWSPEC: "ipv6 flowspec",
    EVPN: "l2vpn evpn",
}
FEW: Final = 12
NETWORKS: Final = {
    IPV4_UNICAST: f"network {THEIR_PREFIX}\n  network {THEIR_MARKED} route-map MARKED",
    IPV6_UNICAST: f"network {THEIR_V6_PREFIX}",
    IPV4_VPN: "network 192.168.7.0/24 rd 64513:7 label 7007",
}


class FrrSuite(Frr):
    """bgpd with zebra, which knows the interfaces, and bfdd."""

    def start(self, *more: str) -> None:
        self.helpers: list[subprocess.Popen[bytes]] = []
        zebra_socket = f"{self.directory}/no-zebra"
        for name, *own in (("zebra",), ("bfdd", "--bfdctl", f"{self.directory}/bfdd.sock")):
            files = ["-f", "/dev/null", "-i", str(self.directory / f"{name}.pid"), "-z", zebra_socket]
            words = [f"/usr/lib/frr/{name}", "-u", "frr", "-g", "frr", *files, "--vty_socket", str(self.directory)]
            with self.output_path.open("ab") as output:
                helper = self.namespace.spawn(
                    *words, *own, "-P", "0", stdout=output, stderr=output, start_new_session=True
                )
            self.helpers.append(helper)
        deadline = time.monotonic() + 10
        while not (self.directory / "no-zebra").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.start_bgpd(*more)

    def start_bgpd(self, *more: str) -> None:
        """Start bgpd alone."""
        super().start(*more)

    def stop(self, number: int = signal.SIGTERM) -> None:
        super().stop(number)
        if number == signal.SIGTERM:
            for helper in getattr(self, "helpers", ()):
                helper.send_signal(number)
                helper.wait(5)

    def show(self, *words: str) -> str:
        """Ask bgpd through vtysh, in text."""
        return self.ask("vtysh", "--vty_socket", str(self.directory), "-d", "bgpd", *words)


class FrrColumn(Column):
    """One bgpd with all sessions."""

    title = "FRR"
    daemon_kind = FrrSuite
    daemon: FrrSuite
    families = frozenset(FAMILIES)
    #: A bgpd that starts again may have to wait for zebra, and knows no interfaces until then.
    takes_link_local = False
    own: ClassVar[Mapping[Family, tuple[str, ...]]] = {
        EVPN: ("type=mac-ip", "type=inclusive-multicast"),
        IPV4_FLOWSPEC: ("destination=203.0.113.128/25 protocol==17",),
        IPV4_VPN: ("prefix=192.168.7.0/24 labels=[7007]",),
    }

    def configuration(self, plans: Sequence[SessionPlan]) -> str:
        neighbors = "\n".join(line for plan in plans for line in neighbor(plan))
        families = "\n".join(
            f" address-family {name}\n  {NETWORKS.get(family, '')}\n"
            + "\n".join(line for plan in plans if family in plan.families for line in activation(plan, family))
            + "\n exit-address-family"
            for family, name in FAMILIES.items()
        )
        return f"""
hostname frr
log stdout
router bgp {THEIR_AS}
 bgp router-id {THEIR_ADDRESS}
 bgp log-neighbor-changes
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 bgp graceful-restart preserve-fw-state
 bgp graceful-restart restart-time {RESTART_TIME}
 bgp long-lived-graceful-restart stale-time {LONG_LIVED_TIME}
 timers bgp {HOLD_TIME // 3} {HOLD_TIME}
{neighbors}
{families}
exit
route-map MARKED permit 10
 set community 64513:100
 set large-community 64513:1:4294967295
 set extcommunity rt 64513:7
 set as-path prepend 4200000099
exit
"""

    def status(self, plan: SessionPlan) -> str:
        return self.daemon.show("-c", f"show bgp neighbors {plan.our_address}")

    def is_up(self, plan: SessionPlan) -> bool:
        return "BGP state = Established" in self.status(plan)

    def heard(self, plan: SessionPlan, family: Family) -> str:
        name = FAMILIES[family]
        if family in {IPV4_UNICAST, IPV6_UNICAST}:
            text = self.daemon.show("-c", f"show bgp {name} neighbors {plan.our_address} routes json")
            try:
                found = json.loads(text)
            except ValueError:
                return ""
            # The list has no communities; each prefix has, and a table of more than a few is only counted.
            prefixes = [f"show bgp {name} {prefix}" for prefix in found.get("routes", ())][:FEW]
            details = self.daemon.show(*(word for line in prefixes for word in ("-c", line))) if prefixes else ""
            return f"{text}\n{details}"
        if family in {IPV4_FLOWSPEC, IPV6_FLOWSPEC}:
            return self.daemon.show("-c", f"show bgp {name} detail")
        return self.daemon.show("-c", f"show bgp {name}", "-c", f"show bgp {name} json")

    def everything(self, prefix: str) -> str:
        return self.daemon.show("-c", f"show bgp ipv4 unicast {prefix}")

    def bfd_sessions(self) -> str:
        words = ("vtysh", "--vty_socket", str(self.directory), "-d", "bfdd", "-c", "show bfd peers brief")
        return self.daemon.ask(*words)

    def count(self, plan: SessionPlan) -> int:
        found = re.search(r"(\d+) accepted prefixes", self.status(plan))
        return int(found[1]) if found else 0

    def ask_refresh(self, plan: SessionPlan, family: Family) -> None:
        self.daemon.show("-c", f"clear bgp {FAMILIES[family]} {plan.our_address} soft in")

    def shut_down(self, plan: SessionPlan) -> None:
        lines = [
            "configure",
            f"router bgp {THEIR_AS}",
            f"neighbor {plan.our_address} shutdown message {self.shutdown_text}",
        ]
        self.daemon.show(*(word for line in lines for word in ("-c", line)))

    def start_again(self) -> None:
        self.daemon.start_bgpd()


def neighbor(plan: SessionPlan) -> list[str]:
    """Return what stands above the address families."""
    lines = [f"remote-as {plan.asn}", "timers connect 2", "disable-connected-check"]
    if plan.password:
        lines.append(f"password {PASSWORD}")
    if plan.ttl_security:
        lines.append("ttl-security hops 1")
    if plan.their_role:
        lines.append(f"local-role {plan.their_role}")
    if plan.extended_next_hop:
        lines.append("capability extended-nexthop")
    if plan.bfd:
        lines.append("bfd 3 300 300")
    if plan.name == "watcher":
        # 8.4.4 asks the first member of an update group whether all of them have long-lived graceful restart (RFC
        # 9494 section 4.3); an interval of its own gives the watcher a group of its own.
        lines.append("advertisement-interval 1")
    lines.append("graceful-restart" if plan.graceful_restart else "graceful-restart-disable")
    return [f" neighbor {plan.our_address} {line}" for line in lines]


def activation(plan: SessionPlan, family: Family) -> list[str]:
    """Return what stands inside an address family."""
    lines = ["activate", "send-community all" if family in {IPV4_UNICAST, IPV6_UNICAST} else ""]
    if plan.add_path:
        lines.append("addpath-tx-all-paths")
    if family in {IPV4_UNICAST, IPV6_UNICAST}:
        lines.append("soft-reconfiguration inbound" if plan.name == "long_lived" else "")
    return [f"  neighbor {plan.our_address} {line}" for line in lines if line]
