"""GoBGP."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from examples.demo.namespaces import wait_until
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
from tests.peers.daemons import GoBgp
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
    THEIR_V6,
    THEIR_V6_PREFIX,
    SessionPlan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The name in the configuration, and the one on the command line.
FAMILIES: Final = {
    IPV4_UNICAST: ("ipv4-unicast", "ipv4"),
    IPV6_UNICAST: ("ipv6-unicast", "ipv6"),
    IPV4_VPN: ("l3vpn-ipv4-unicast", "vpnv4"),
    IPV6_VPN: ("l3vpn-ipv6-unicast", "vpnv6"),
    IPV4_FLOWSPEC: ("ipv4-flowspec", "ipv4-flowspec"),
    IPV6_FLOWSPEC: ("ipv6-flowspec", "ipv6-flowspec"),
    EVPN: ("l2vpn-evpn", "evpn"),
}
MARKS: Final = "community 64513:100 large-community 64513:1:4294967295 rt 64513:7"
OWN_ROUTES: Final = (
    f"{THEIR_PREFIX}",
    f"{THEIR_MARKED} aspath 4200000099 {MARKS}",
    f"-a ipv6 {THEIR_V6_PREFIX} nexthop {THEIR_V6}",
    "-a ipv4-flowspec match destination 203.0.113.0/24 protocol tcp destination-port ==80 then discard",
    "-a ipv6-flowspec match destination 2001:db8:f::/48 protocol udp then discard",
    "-a vpnv4 192.168.7.0/24 label 7007 rd 64513:7 rt 64513:7",
    "-a evpn macadv 02:00:00:00:00:99 192.0.2.99 etag 0 label 1099 rd 64513:9 rt 64513:9 encap vxlan",
    "-a evpn multicast 10.77.0.2 etag 0 rd 64513:9 rt 64513:9",
    "-a evpn prefix 192.168.9.0/24 etag 0 label 1099 rd 64513:9 rt 64513:9",
)


class GoBgpColumn(Column):
    """Own routes are announced through its API."""

    title = "GoBGP"
    daemon_kind = GoBgp
    daemon: GoBgp
    families = frozenset(FAMILIES)
    #: `softresetin` looks at what it has again, and asks nobody.
    asks = False
    sends_hard_resets = False
    shows_communities = ("64512:100", r"Extcomms: \[64512:7\]")
    own: ClassVar[Mapping[Family, tuple[str, ...]]] = {
        EVPN: (
            "type=mac-ip distinguisher=64513:9",
            "type=inclusive-multicast distinguisher=64513:9",
            "type=ip-prefix distinguisher=64513:9",
        ),
        IPV4_FLOWSPEC: ("destination=203.0.113.0/24 protocol==6 destination-port==80",),
        IPV4_VPN: ("distinguisher=64513:7 prefix=192.168.7.0/24 labels=[7007]",),
    }

    def configuration(self, plans: Sequence[SessionPlan]) -> str:
        sessions = "\n".join(map(neighbor, plans))
        return f"""
[global.config]
  as = {THEIR_AS}
  router-id = "{THEIR_ADDRESS}"
  local-address-list = ["{THEIR_ADDRESS}", "{THEIR_V6}"]
{sessions}
"""

    def _ask(self, *words: str) -> str:
        return self.daemon.ask("gobgp", *words)

    def start(self) -> None:
        super().start()
        self._announce()

    def _announce(self) -> None:
        wait_until(lambda: "AS:" in self._ask("global"), 15, "gobgpd's API", 0.1)
        for route in OWN_ROUTES:
            self.daemon.ask("gobgp", "global", "rib", "add", *route.split(), check=True)

    def status(self, plan: SessionPlan) -> str:
        return self._ask("neighbor", plan.our_address)

    def is_up(self, plan: SessionPlan) -> bool:
        return "BGP state = ESTABLISHED" in self.status(plan)

    def heard(self, plan: SessionPlan, family: Family) -> str:
        return self._ask("neighbor", plan.our_address, "adj-in", "-a", FAMILIES[family][1])

    def everything(self, prefix: str) -> str:
        return self._ask("global", "rib", prefix)

    def ask_refresh(self, plan: SessionPlan, family: Family) -> None:
        self._ask("neighbor", plan.our_address, "softresetin", "-a", FAMILIES[family][1])

    def shut_down(self, plan: SessionPlan) -> None:
        self._ask("neighbor", plan.our_address, "shutdown", "--reason", self.shutdown_text)

    def start_again(self) -> None:
        # Its routes come by its API: were there neighbours before them, it would say that it has no more to say.
        self.lab.theirs.write_sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1)
        self.lab.theirs.ip("link", "set", "eth0", "down")
        self.daemon.start("-r")
        self._announce()
        self.lab.theirs.ip("link", "set", "eth0", "up")


def neighbor(plan: SessionPlan) -> str:
    """Return one neighbor's tables."""
    password = f'\n    auth-password = "{plan.password}"' if plan.password else ""
    security = "\n  [neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255" if plan.ttl_security else ""
    restart = (
        f"""
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = {SHORT_RESTART_TIME if plan.long_lived else RESTART_TIME}
    deferral-time = 10
    notification-enabled = true
    long-lived-enabled = {str(plan.long_lived).lower()}"""
        if plan.graceful_restart
        else ""
    )
    families = "".join(afi_safi(plan, family) for family in plan.families)
    return f"""
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{plan.our_address}"
    peer-as = {plan.asn}{password}
  [neighbors.timers.config]
    hold-time = {HOLD_TIME}
    keepalive-interval = {HOLD_TIME // 3}
    connect-retry = 2
    idle-hold-time-after-reset = 2
  [neighbors.transport.config]
    local-address = "{plan.their_address}"{security}{restart}{families}"""


def afi_safi(plan: SessionPlan, family: Family) -> str:
    """Return one family of a neighbor."""
    text = f"""
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "{FAMILIES[family][0]}\""""
    if plan.graceful_restart:
        text += "\n    [neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true"
    if plan.long_lived:
        text += "\n    [neighbors.afi-safis.long-lived-graceful-restart.config]\n      enabled = true"
        text += f"\n      restart-time = {LONG_LIVED_TIME}"
    if plan.add_path:
        text += "\n    [neighbors.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8"
    return text
