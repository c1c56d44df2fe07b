"""ExaBGP 4: it has no table, so what it heard is what it told its process."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

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
from tests.peers.daemons import Daemon
from tests.peers.interop.column import Column
from tests.peers.interop.plan import (
    HOLD_TIME,
    RESTART_TIME,
    THEIR_ADDRESS,
    THEIR_AS,
    THEIR_MARKED,
    THEIR_PREFIX,
    THEIR_V6,
    THEIR_V6_PREFIX,
    SessionPlan,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from examples.demo.namespaces import Namespace

FAMILIES: Final = {
    IPV4_UNICAST: "ipv4 unicast",
    IPV6_UNICAST: "ipv6 unicast",
    IPV4_VPN: "ipv4 mpls-vpn",
    IPV6_VPN: "ipv6 mpls-vpn",
    IPV4_FLOWSPEC: "ipv4 flow",
    IPV6_FLOWSPEC: "ipv6 flow",
    EVPN: "l2vpn evpn",
}
MARKS: Final = (
    "as-path [64513 4200000099] community [64513:100] large-community [64513:1:4294967295]"
    " extended-community [target:64513:7]"
)
ROUTES: Final = {
    IPV4_UNICAST: (
        f"ipv4 {{ unicast {THEIR_PREFIX} next-hop HOP PATH; unicast {THEIR_MARKED} next-hop HOP {MARKS}; }}"
    ),
    IPV6_UNICAST: f"ipv6 {{ unicast {THEIR_V6_PREFIX} next-hop {THEIR_V6}; }}",
}
#: The section `announce { ipv4 { mpls-vpn ... } }` of 4.2.21 writes the route into the classic NLRI field.
VPN: Final = f"""
  static {{
    route 192.168.7.0/24 rd 64513:7 label 7007 next-hop {THEIR_ADDRESS} extended-community [target:64513:7];
  }}"""
FLOWS: Final = {
    IPV4_FLOWSPEC: (
        "flow { route one {"
        " match { destination 203.0.113.0/24; protocol tcp; destination-port =80; } then { discard; } } }"
    ),
    IPV6_FLOWSPEC: ("flow { route two { match { destination 2001:db8:f::/48; next-header udp; } then { discard; } } }"),
}


class ExaBgp(Daemon):
    """ExaBGP with one process that writes down what it is told, and passes on what is asked."""

    package = "exabgp"
    program = "exabgp"

    def __init__(self, namespace: Namespace, directory: Path, configuration: str) -> None:
        super().__init__(namespace, directory, configuration)
        self.events = directory / "events"
        self.orders = directory / "orders"
        os.mkfifo(self.orders)
        script = directory / "process"
        script.write_text(f"#!/bin/sh\ncat <>{self.orders} &\nexec cat >>{self.events}\n")
        script.chmod(0o755)

    def command(self) -> Sequence[str]:
        settings = {
            "daemon.daemonize": "false",
            "daemon.user": "root",
            "daemon.drop": "false",
            "api.cli": "false",
            "api.ack": "false",
            "tcp.bind": f"{THEIR_ADDRESS} {THEIR_V6}",
            "tcp.port": "179",
            "log.all": "false",
        }
        words = (f"exabgp.{key}={value}" for key, value in settings.items())
        return ["env", *words, "exabgp", str(self.configuration_path)]

    def order(self, text: str) -> None:
        """Have it do something."""
        with self.orders.open("w") as pipe:
            pipe.write(f"{text}\n")

    def told(self) -> Iterator[dict[str, Any]]:
        """Yield what it told its process."""
        for line in self.events.read_text().splitlines() if self.events.exists() else ():
            # What it writes of a ROUTE-REFRESH is no JSON, and the last line may not be finished.
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def established(self) -> set[str]:
        return {event["neighbor"]["address"]["peer"] for event in self.told() if event["type"] == "state"}

    def routes_from(self, peer: str) -> set[str]:
        return set()


class ExaBgpColumn(Column):
    """One neighbor block per session."""

    title = "ExaBGP"
    daemon_kind = ExaBgp
    daemon: ExaBgp
    families = frozenset(FAMILIES)
    wide_path = (THEIR_MARKED, 4200000099)
    several_paths = THEIR_PREFIX
    passes_on = False
    marks = False
    #: It takes no text from us.
    shutdown_text = "Administrative Shutdown"
    shows_communities = (r'"community": \[\[64512, 100\]\]', "target:64512:7")
    own: ClassVar[Mapping[Family, tuple[str, ...]]] = {
        IPV4_FLOWSPEC: ("destination=203.0.113.0/24 protocol==6 destination-port==80",),
        IPV4_VPN: ("distinguisher=64513:7 prefix=192.168.7.0/24 labels=[7007]",),
    }
    lacks = frozenset({"role", "long_lived", "bfd"})

    def configuration(self, plans: Sequence[SessionPlan]) -> str:
        process = f"process log {{ run {self.directory}/process; encoder json; }}"
        return "\n".join((process, *map(neighbor, plans)))

    def _told(self, plan: SessionPlan) -> Iterator[dict[str, Any]]:
        for event in self.daemon.told():
            if event.get("neighbor", {}).get("address", {}).get("peer") == plan.our_address:
                yield event

    def status(self, plan: SessionPlan) -> str:
        return "\n".join(json.dumps(event) for event in self._told(plan) if event["type"] != "update")

    def is_up(self, plan: SessionPlan) -> bool:
        states = [event["neighbor"]["state"] for event in self._told(plan) if event["type"] == "state"]
        return states[-1:] == ["up"]

    def heard(self, plan: SessionPlan, family: Family) -> str:
        """Keep the last word on each route, as a table would."""
        table: dict[str, str] = {}
        name = FAMILIES[family]
        for event in self._told(plan):
            if event["type"] == "state" and event["neighbor"]["state"] == "down":
                table.clear()
            update = event["neighbor"].get("message", {}).get("update", {})
            attributes = json.dumps(update.get("attribute", {}))
            for nlri in update.get("withdraw", {}).get(name, ()):
                table.pop(json.dumps(nlri), None)
            for next_hop, routes in update.get("announce", {}).get(name, {}).items():
                for nlri in routes:
                    table[json.dumps(nlri)] = f"{json.dumps(nlri)} via {next_hop} {attributes}"
        return "\n".join(table.values())

    def everything(self, prefix: str) -> str:
        return ""

    def ended(self, plan: SessionPlan) -> str:
        # It tells of the next connection only, which it takes at once.
        return "ended" if self.status(plan).count('"state": "connected"') > 1 else "up"

    def said(self, plan: SessionPlan) -> str:
        found = re.findall(r'"data": "0x([0-9A-F]+)"', self.status(plan))
        return "\n".join(bytes.fromhex(data).decode(errors="replace") for data in found)

    def announce_many(self) -> bool:
        plan = next(plan for plan in self.plans if plan.name == "second")
        many = " ".join(f"64513:{number}" for number in range(1200))
        order = f"announce route 10.140.0.0/24 next-hop {THEIR_ADDRESS} community [ {many} ]"
        self.daemon.order(f"neighbor {plan.our_address} {order}")
        return True

    def ask_refresh(self, plan: SessionPlan, family: Family) -> None:
        self.daemon.order(f"neighbor {plan.our_address} announce route-refresh {FAMILIES[family]}")

    def shut_down(self, plan: SessionPlan) -> None:
        self.daemon.order(f"neighbor {plan.our_address} teardown 2")


def neighbor(plan: SessionPlan) -> str:
    """Return one neighbor block."""
    capabilities = [
        "asn4 enable",
        "route-refresh enable",
        "multi-session disable",
        "operational disable",
        "extended-message enable",
        f"nexthop {'enable' if plan.extended_next_hop else 'disable'}",
        f"add-path {'send/receive' if plan.add_path else 'disable'}",
    ]
    if plan.graceful_restart:
        capabilities.append(f"graceful-restart {RESTART_TIME}")
    lines = [
        "router-id 10.77.0.2",
        f"local-address {plan.their_address}",
        f"local-as {THEIR_AS}",
        f"peer-as {plan.asn}",
        f"hold-time {HOLD_TIME}",
        "adj-rib-out true",
    ]
    if plan.password:
        lines.append(f'md5-password "{plan.password}"')
    if plan.ttl_security:
        lines += ["incoming-ttl 255", "outgoing-ttl 255"]
    else:
        # After a collision it may wait for ever with an OPEN unsent.  Its TTL, it sets on connections of its own only.
        lines.append("passive true")
    hop = THEIR_V6 if plan.extended_next_hop else THEIR_ADDRESS
    path = "path-information 1" if plan.add_path else ""
    routes = " ".join(ROUTES[family] for family in plan.families if family in ROUTES)
    routes = routes.replace("HOP", hop).replace("PATH", path)
    if plan.add_path:
        routes += f" ipv4 {{ unicast {THEIR_PREFIX} next-hop {hop} path-information 2 as-path [64513 64999]; }}"
    families = " ".join(f"{FAMILIES[family]};" for family in plan.families)
    return f"""
neighbor {plan.our_address} {{
  {" ".join(f"{line};" for line in lines)}
  capability {{ {" ".join(f"{line};" for line in capabilities)} }}
  family {{ {families} }}
  {"nexthop { ipv4 unicast ipv6; }" if plan.extended_next_hop else ""}
  announce {{ {routes} }}
  {VPN if IPV4_VPN in plan.families else ""}
  {" ".join(FLOWS[family] for family in plan.families if family in FLOWS)}
  api {{ processes [ log ]; neighbor-changes; receive {{ parsed; open; update; notification; refresh; }} }}
}}"""
