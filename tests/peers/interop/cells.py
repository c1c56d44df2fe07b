"""What each feature's cell does: a short scenario on sessions that are up, checked on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

from pybgp import IPV4_UNICAST, IPV6_UNICAST, parse_policies, parse_prefix
from pybgp.session.events import DownReason
from pybgp.session.retention import is_hard_reset
from pybgp.wire.families import EVPN, IPV4_FLOWSPEC, IPV4_VPN
from pybgp.wire.iana import AttributeCode, CeaseSubcode, Role, WellKnownCommunity
from tests.peers.interop.plan import THEIR_AS, THEIR_MARKED, THEIR_PREFIX, THEIR_V6_PREFIX
from tests.peers.interop.station import THEM, Station, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.peers.interop.column import Column

MARKED: Final = "10.200.1.0/24"
SHARED: Final = "10.200.2.0/24"
SEVERAL: Final = "10.200.3.0/24"
LONG_PATH: Final = "10.200.4.0/24"
TEMPORARY: Final = "10.200.5.0/24"
#: So many prefixes do not fit into 4096 octets.
MANY: Final = 1500
OUR_EVPN: Final = (
    "type=mac-ip distinguisher=64501:1 esi=00:00:00:00:00:00:00:00:00:00 tag=0 mac=02:00:00:00:00:01"
    " address=192.0.2.1 label=100 second_label=null",
    "type=inclusive-multicast distinguisher=64501:1 tag=0 address=192.0.2.1",
)
OUR_FLOW: Final = "destination=203.0.113.128/25 protocol==17"
OUR_VPN: Final = "distinguisher=64501:1 prefix=10.200.6.0/24 labels=[1000]"
#: Nobody has this hardware address.
NOWHERE: Final = "02:00:00:00:99:99"
LESS: Final = f"""
[[policy.less.clause]]
match.prefix = ["{THEIR_MARKED}"]
then = "reject"
[[policy.less.clause]]
then = "accept"
"""
WORDS: Final = "back at noon"


def bulk(index: int) -> list[str]:
    """Return many prefixes that only one station has."""
    return [f"10.{150 + index}.{number >> 6}.{(number & 63) << 2}/30" for number in range(MANY)]


class Town:
    """A daemon and all our stations."""

    def __init__(self, column: Column, stations: dict[str, Station]) -> None:
        """All sessions are up."""
        self.column = column
        self.stations = stations

    def __getitem__(self, name: str) -> Station:
        """Return a station by name."""
        return self.stations[name]


def prepare(station: Station) -> None:
    """Announce what the cells look for, before the sessions come up."""
    plan, announce, nlri = station.plan, station.speaker.announce, station.speaker.announce_nlri
    if IPV4_UNICAST in plan.families:
        announce(plan.prefix)
    if IPV6_UNICAST in plan.families:
        announce(plan.v6_prefix)
    if plan.name == "base":
        announce(
            MARKED,
            communities=["64512:100"],
            large_communities=["64512:1:4294967295"],
            extended_communities=["target:64512:7"],
        )
    if plan.name == "two_octet":
        announce(LONG_PATH, as_path=(4200000002, 64999))
    if plan.name == "add_path":
        for number in (65001, 65002):
            announce(SEVERAL, as_path=(number,), label=str(number), preference=number)
    if plan.name in {"base", "second"}:
        announce(SHARED)
    if plan.name == "evpn":
        nlri(EVPN, OUR_EVPN, extended_communities=["target:64501:1"])
    if plan.name == "flowspec":
        nlri(IPV4_FLOWSPEC, OUR_FLOW, extended_communities=["rate-bytes:0:0"])
    if plan.name == "vpn":
        nlri(IPV4_VPN, OUR_VPN, extended_communities=["target:64501:1"])


# Families and attributes


async def ipv4(town: Town) -> None:
    base, column = town["base"], town.column
    await base.wait_prefixes(THEIR_PREFIX)
    await column.hears(base.plan, IPV4_UNICAST, r"10\.11\.0\.0/24")
    base.speaker.announce(TEMPORARY)
    await column.hears(base.plan, IPV4_UNICAST, r"10\.200\.5\.0/24")
    base.speaker.withdraw(TEMPORARY)
    await column.unhears(base.plan, IPV4_UNICAST, r"10\.200\.5\.0/24")


async def ipv6(town: Town) -> None:
    station = town["v6"]
    await station.wait_prefixes(THEIR_V6_PREFIX)
    await town.column.hears(station.plan, IPV6_UNICAST, r"2001:db8:f00::/64")


async def four_octet(town: Town) -> None:
    prefix, asn = town.column.wide_path
    negotiated = await town["second"].agreed()
    assert negotiated.asn4
    assert negotiated.local_as == 4200000001
    await town["base"].wait_prefixes(prefix)
    assert asn in list(town["base"].value(prefix, AttributeCode.AS_PATH))
    await town.column.hears(town["second"].plan, IPV4_UNICAST, r"10\.12\.0\.0/24", r"4200000001")


async def two_octet(town: Town) -> None:
    prefix, asn = town.column.wide_path
    station = town["two_octet"]
    negotiated = await station.agreed()
    assert not negotiated.asn4
    await station.wait_prefixes(prefix)
    assert asn in list(station.value(prefix, AttributeCode.AS_PATH))
    await town.column.hears(station.plan, IPV4_UNICAST, r"10\.200\.4\.0/24", r"64613,? 4200000002,? 64999")


async def communities(town: Town) -> None:
    base = town["base"]
    await base.wait_prefixes(THEIR_MARKED)
    assert THEIR_AS << 16 | 100 in base.value(THEIR_MARKED, AttributeCode.COMMUNITIES)
    assert bytes.fromhex("0002fc0100000007") in base.value(THEIR_MARKED, AttributeCode.EXTENDED_COMMUNITIES)
    await town.column.hears(base.plan, IPV4_UNICAST, *town.column.shows_communities)


async def large_communities(town: Town) -> None:
    base = town["base"]
    await base.wait_prefixes(THEIR_MARKED)
    assert (THEIR_AS, 1, 4294967295) in base.value(THEIR_MARKED, AttributeCode.LARGE_COMMUNITIES)
    await town.column.hears(base.plan, IPV4_UNICAST, r"64512[:, ]+1[:, ]+4294967295")


async def add_path_in(town: Town) -> None:
    station, prefix = town["add_path"], town.column.several_paths
    negotiated = await station.agreed()
    assert IPV4_UNICAST in negotiated.add_path_receive
    await until(lambda: len(station.received(IPV4_UNICAST).get(prefix, ())) == 2, f"two paths to {prefix}")
    await town.column.wait_up(station.plan)


async def add_path_out(town: Town) -> None:
    station, column = town["add_path"], town.column
    negotiated = await station.agreed()
    assert IPV4_UNICAST in negotiated.add_path_send
    await column.hears(station.plan, IPV4_UNICAST, r"64614,? 65001\b", r"64614,? 65002\b")
    station.speaker.withdraw(SEVERAL, label="65001")
    await column.unhears(station.plan, IPV4_UNICAST, r"64614,? 65001\b")
    await column.hears(station.plan, IPV4_UNICAST, r"64614,? 65002\b")


async def extended_next_hop(town: Town) -> None:
    station = town["extended_next_hop"]
    await station.wait_prefixes(THEIR_PREFIX)
    path = station.path(THEIR_PREFIX)
    assert path is not None
    assert path.attributes.next_hop[:16].hex() == "fd77" + "0" * 27 + "2"
    # Of a global and a link-local address (RFC 2545 section 3), ExaBGP shows the second.
    await town.column.hears(station.plan, IPV4_UNICAST, r"10\.18\.0\.0/24", r"fd77::12|via fe80:")


async def extended_message(town: Town) -> None:
    base, second, column = town["base"], town["second"], town.column
    base.speaker.announce(bulk(0))
    await until(lambda: base.log.longest["sent"] > 4096, "a long message sent")
    # Beside those stand the few that the station announces anyway.
    await column.sees(lambda: "all" if column.count(base.plan) >= MANY else "some", "^all$")
    await asyncio.to_thread(column.announce_many)
    await until(lambda: second.log.longest["received"] > 4096, "a long message from the daemon")
    base.speaker.withdraw(bulk(0))


# Refresh


def tells_again(station: Station, seen: int) -> bool:
    """Whether the daemon named its prefix in an UPDATE since then."""
    _, key = parse_prefix(THEIR_PREFIX)
    return any(key in update for update in station.log.updates[seen:])


async def unanswered(station: Station) -> None:
    """Ask for everything again, and see that nothing comes while two KEEPALIVEs do."""
    await station.wait_prefixes(THEIR_PREFIX)
    updates, keepalives = len(station.log.updates), station.log.counts["received", 4]
    station.speaker.refresh_peer(THEM, [IPV4_UNICAST])
    await until(lambda: station.log.counts["received", 4] >= keepalives + 2, "two KEEPALIVEs")
    assert not tells_again(station, updates)


async def ours_refreshed(station: Station, marks: tuple[int, ...]) -> None:
    """Ask for everything again; nothing of it may be missed meanwhile."""
    await station.wait_prefixes(THEIR_PREFIX)
    history, seen, updates = len(station.history), len(station.log.refreshes), len(station.log.updates)
    station.speaker.refresh_peer(THEM, [IPV4_UNICAST])
    await until(lambda: tells_again(station, updates), "routes again")
    for mark in marks:
        await until(lambda mark=mark: ("received", mark) in station.log.refreshes[seen:], f"mark {mark}")
    assert (THEIR_PREFIX, False) not in station.history[history:]


async def theirs_refreshed(town: Town, station: Station, *, enhanced: bool) -> None:
    """Be asked for everything again; the third party behind the daemon must not notice."""
    plan, column, watcher = station.plan, town.column, town["watcher"]
    await column.hears(plan, IPV4_UNICAST, plan.prefix.replace(".", r"\."))
    history, seen, updates = len(watcher.history), len(station.log.refreshes), station.log.counts["sent", 2]
    await asyncio.to_thread(column.ask_refresh, plan, IPV4_UNICAST)
    await until(lambda: ("received", 0) in station.log.refreshes[seen:], "the daemon's request")
    await until(lambda: station.log.counts["sent", 2] > updates, "routes again")
    if enhanced:
        await until(lambda: ("sent", 2) in station.log.refreshes[seen:], "our mark of the end")
        assert ("sent", 1) in station.log.refreshes[seen:]
    await column.hears(plan, IPV4_UNICAST, plan.prefix.replace(".", r"\."))
    assert (plan.prefix, False) not in watcher.history[history:]


async def refresh(town: Town) -> None:
    station = town["plain_refresh"]
    await (ours_refreshed(station, ()) if town.column.answers else unanswered(station))
    if town.column.asks:
        await theirs_refreshed(town, station, enhanced=False)


async def enhanced_refresh(town: Town) -> None:
    # With graceful restart: without End-of-RIB before it, some end no refresh by a mark.
    station = town["hard_reset"]
    negotiated = await station.agreed()
    assert negotiated.enhanced_refresh
    marks = (1, 2) if town.column.marks else ()
    await (ours_refreshed(station, marks) if town.column.answers else unanswered(station))
    await theirs_refreshed(town, station, enhanced=True)


# Security


def plain_connect(source: str, target: str, *, seconds: float = 1.5) -> bool:
    """Try TCP without any option."""
    with socket.socket() as connection:
        connection.settimeout(seconds)
        connection.bind((source, 0))
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection.connect((target, 179))
            return True
    return False


async def md5(town: Town) -> None:
    station, column = town["md5"], town.column
    await station.wait_prefixes(THEIR_PREFIX)
    await column.hears(station.plan, IPV4_UNICAST, r"10\.16\.0\.0/24")
    ours, theirs = station.plan.our_address, station.plan.their_address
    if column.guards_its_port:
        assert not await asyncio.to_thread(plain_connect_inside, column.lab.ours, ours, theirs)
    assert not await asyncio.to_thread(plain_connect_inside, column.lab.theirs, theirs, ours)


def plain_connect_inside(namespace: Any, source: str, target: str) -> bool:
    """Try from a namespace; run in a thread of its own."""
    with namespace.entered():
        return plain_connect(source, target)


async def gtsm(town: Town) -> None:
    station, column = town["gtsm"], town.column
    await station.wait_prefixes(THEIR_PREFIX)
    await column.hears(station.plan, IPV4_UNICAST, r"10\.17\.0\.0/24")
    # Our kernel takes nothing below 255 on this session, so what arrived left the daemon with 255.
    await station.wait_up()


async def role(town: Town) -> None:
    station = town["role"]
    negotiated = await station.agreed()
    assert negotiated.peer_role is Role.PROVIDER
    await station.wait_prefixes(THEIR_PREFIX)
    assert station.value(THEIR_PREFIX, AttributeCode.ONLY_TO_CUSTOMER) == THEIR_AS
    await town.column.sees(lambda: town.column.status(station.plan), r"(?i)role:? customer")


# Other families


async def exchange(town: Town, name: str, family: Any, *patterns: str) -> None:
    """See the daemon's own routes, or ours as it passes them on, and ours in its table."""
    for pattern in town.column.own.get(family, ()):
        await until(
            lambda pattern=pattern: any(pattern in text for text in town["watcher"].received(family)),
            f"{family}: {pattern} among {list(town['watcher'].received(family))}",
        )
    await town.column.hears(town[name].plan, family, *patterns)


async def evpn(town: Town) -> None:
    await exchange(town, "evpn", EVPN, "02:00:00:00:00:01", r"192\.0\.2\.1")


async def flowspec(town: Town) -> None:
    await exchange(town, "flowspec", IPV4_FLOWSPEC, r"203\.0\.113\.128/25")


async def vpn(town: Town) -> None:
    await exchange(town, "vpn", IPV4_VPN, r"10\.200\.6\.0/24")


# Ends


async def their_text(town: Town) -> None:
    station = town["they_end"]
    await asyncio.to_thread(town.column.shut_down, station.plan)
    await until(lambda: station.ends, "the end of the session")
    received = station.status.last_error_received
    assert received is not None
    assert received.subcode == CeaseSubcode.ADMINISTRATIVE_SHUTDOWN
    assert town.column.shutdown_text in received.text, received
    await town.column.sees(lambda: town.column.ended(station.plan), "^ended$")


async def our_text(town: Town) -> None:
    station = town["we_end"]
    station.speaker.shut_down_peer(THEM, WORDS)
    await town.column.sees(lambda: town.column.said(station.plan), WORDS)
    await town.column.sees(lambda: "up" if town.column.is_up(station.plan) else "down", "^down$")


async def hard_reset(town: Town) -> None:
    station, column, watcher = town["hard_reset"], town.column, town["watcher"]
    prefix = station.plan.prefix
    negotiated = await station.agreed()
    assert negotiated.notification_in_force
    await watcher.wait_prefixes(prefix)
    history = len(watcher.history)
    station.speaker.reset_peer(THEM, "a soft one")
    await until(lambda: station.ends, "the end of the session")
    assert station.ends[0].routes_retained, "our part of RFC 8538"
    await station.wait_up()
    await column.wait_up(station.plan)
    await column.hears(station.plan, IPV4_UNICAST, prefix.replace(".", r"\."))
    assert (prefix, False) not in watcher.history[history:], "a NOTIFICATION cost routes"
    station.speaker.shut_down_peer(THEM, "a hard one")
    await until(lambda: (prefix, False) in watcher.history[history:], "the withdrawal after a hard reset")
    station.speaker.start_peer(THEM)
    await station.wait_up()
    await station.wait_prefixes(THEIR_PREFIX)
    ends = len(station.ends)
    await asyncio.to_thread(column.shut_down, station.plan)
    await until(lambda: len(station.ends) > ends, "the end by the daemon")
    received = station.ends[ends].received
    assert received is not None, station.ends[ends].text
    # A plain Cease is no reason to drop routes where both said so (RFC 8538 section 4).
    assert is_hard_reset(received) == column.sends_hard_resets, received
    assert station.ends[ends].routes_retained != column.sends_hard_resets
    if column.sends_hard_resets:
        await until(lambda: station.path(THEIR_PREFIX) is None, "its routes gone")


async def bfd(town: Town) -> None:
    station, column = town["bfd"], town.column
    await until(lambda: (seen := station.speaker.bfd(THEM)) is not None and seen.state.name == "UP", "BFD up")
    await column.sees(column.bfd_sessions, rf"{station.plan.our_address}\D.*(?i:up)")
    await station.wait_up()
    ends = len(station.ends)
    cut = ("neigh", "replace", station.plan.our_address, "lladdr", NOWHERE, "dev", "eth0")
    await asyncio.to_thread(column.lab.theirs.ip, *cut)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await until(lambda: len(station.ends) > ends, "the end of the session", seconds=5)
    seconds = loop.time() - started
    sent = station.ends[ends].sent
    assert sent is not None, station.ends[ends].text
    assert sent.subcode == CeaseSubcode.BFD_DOWN
    # 3 x 300 ms, and what a busy machine adds.
    assert seconds < 1.5, f"{seconds:.2f} s"
    await column.sees(lambda: "up" if column.is_up(station.plan) else "down", "^down$")


async def policy_reload(town: Town) -> None:
    """Import and export policies change; only what they concern is felt behind us and behind the daemon."""
    station, watcher, column = town["they_restart"], town["watcher"], town.column
    behind = station.behind
    assert behind is not None
    await until(lambda: behind.path(THEIR_MARKED) and behind.path(THEIR_PREFIX), "both prefixes behind us")
    if column.passes_on:
        await watcher.wait_prefixes(station.plan.prefix)
    ours, theirs = len(behind.history), len(watcher.history)
    policies = parse_policies(LESS)
    station.speaker.set_import_policy(policies["less"], peer=THEM)
    await until(lambda: (THEIR_MARKED, False) in behind.history[ours:], "the rejected prefix gone")
    station.speaker.set_import_policy(None, peer=THEM)
    await until(lambda: (THEIR_MARKED, True) in behind.history[ours:], "the rejected prefix back")
    assert (THEIR_PREFIX, False) not in behind.history[ours:]
    assert (station.plan.prefix, False) not in watcher.history[theirs:]
    await column.wait_up(station.plan)


# Restarts

STALE: Final = r"(?i)llgr.?stale|65535:6\b"


def is_marked(station: Station, prefix: str) -> bool:
    """Whether a station has a prefix as a route that is stale for long."""
    marks = station.value(prefix, AttributeCode.COMMUNITIES) or ()
    return WellKnownCommunity.LLGR_STALE in marks


async def returned(station: Station) -> Station:
    """Return a station's successor, which says that its routes were kept."""
    successor = Station(station.plan, restarting=True, preserved_families=station.plan.families)
    prepare(successor)
    await successor.start()
    await successor.wait_up()
    return successor


async def our_restart(town: Town) -> None:
    station, column, watcher = town["we_restart"], town.column, town["watcher"]
    prefix, shown = station.plan.prefix, station.plan.prefix.replace(".", r"\.")
    await watcher.wait_prefixes(prefix)
    history = len(watcher.history)
    await station.stop(graceful=True)
    await column.sees(lambda: "up" if column.is_up(station.plan) else "down", "^down$")
    await column.sees(lambda: column.everything(prefix), shown)
    successor = town.stations["we_restart"] = await returned(station)
    await column.wait_up(station.plan)
    await until(successor.speaker.restart_complete.is_set, "the end of our restart")
    await column.hears(station.plan, IPV4_UNICAST, shown)
    await successor.wait_prefixes(THEIR_PREFIX)
    assert (prefix, False) not in watcher.history[history:], "a withdrawn route reached the third party"
    assert watcher.path(prefix) is not None


async def our_long_restart(town: Town) -> None:
    station, column, watcher = town["our_long_restart"], town.column, town["watcher"]
    prefix, shown = station.plan.prefix, station.plan.prefix.replace(".", r"\.")
    await watcher.wait_prefixes(prefix)
    history = len(watcher.history)
    await station.stop(graceful=True)
    await until(lambda: is_marked(watcher, prefix), f"{prefix} marked as stale for long")
    await column.sees(lambda: column.everything(prefix), STALE)
    successor = town.stations["our_long_restart"] = await returned(station)
    await column.wait_up(station.plan)
    await until(lambda: watcher.path(prefix) and not is_marked(watcher, prefix), f"{prefix} without the mark")
    await column.hears(station.plan, IPV4_UNICAST, shown)
    await successor.wait_prefixes(THEIR_PREFIX)
    assert (prefix, False) not in watcher.history[history:], "a withdrawn route reached the third party"


async def their_absence(town: Town) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """End the daemon without a word and start it again; both cells of it are told from what was seen meanwhile."""
    column = town.column
    short, long = town.stations.get("they_restart"), town.stations.get("their_long_restart")
    concerned = [station for station in (short, long) if station is not None]
    for station in concerned:
        assert station.behind is not None
        await until(lambda station=station: station.behind.path(THEIR_PREFIX), "the daemon's prefix behind us")
        station.ends.clear()
        station.behind.history.clear()
    await asyncio.to_thread(column.kill)
    for station in concerned:
        await until(lambda station=station: station.ends, "the end of the session")
    long_marked = False
    if long is not None and long.behind is not None:
        behind = long.behind
        with contextlib.suppress(TimeoutError):
            await until(lambda: is_marked(behind, THEIR_PREFIX), "the mark", seconds=10)
            long_marked = True
    kept = {station.plan.name: station.path(THEIR_PREFIX) is not None for station in concerned}
    await asyncio.to_thread(column.start_again)

    async def back(station: Station) -> None:
        behind = station.behind
        assert behind is not None
        assert station.ends[0].reason in {DownReason.TCP_FAILED, DownReason.SUPERSEDED}
        assert IPV4_UNICAST in station.ends[0].retained
        assert kept[station.plan.name]
        await station.wait_up()
        await column.wait_up(station.plan)
        await station.wait_prefixes(THEIR_PREFIX)
        await column.hears(station.plan, IPV4_UNICAST, station.plan.prefix.replace(".", r"\."))
        await until(lambda: not station.stale(IPV4_UNICAST), "nothing stale any more")
        assert (THEIR_PREFIX, False) not in behind.history, "a withdrawn route reached the third party"
        assert behind.path(THEIR_PREFIX) is not None

    async def their_restart() -> None:
        assert short is not None
        await back(short)

    async def their_long_restart() -> None:
        assert long is not None
        assert long.behind is not None
        assert long_marked
        await back(long)
        behind = long.behind
        await until(lambda: not is_marked(behind, THEIR_PREFIX), "the mark gone behind us")

    return {"their_restart": their_restart, "their_long_restart": their_long_restart}


#: Cells that leave every session as it was; all at once.
QUIET: Final = {
    "ipv4": ipv4,
    "ipv6": ipv6,
    "four_octet": four_octet,
    "two_octet": two_octet,
    "communities": communities,
    "large_communities": large_communities,
    "add_path_in": add_path_in,
    "add_path_out": add_path_out,
    "extended_next_hop": extended_next_hop,
    "extended_message": extended_message,
    "refresh": refresh,
    "enhanced_refresh": enhanced_refresh,
    "md5": md5,
    "gtsm": gtsm,
    "role": role,
    "evpn": evpn,
    "flowspec": flowspec,
    "vpn": vpn,
    "policy_reload": policy_reload,
}
#: Cells that end sessions of their own.
ENDING: Final = {
    "their_text": their_text,
    "our_text": our_text,
    "hard_reset": hard_reset,
    "bfd": bfd,
    "our_restart": our_restart,
    "our_long_restart": our_long_restart,
}
#: Cells that need the daemon gone.
ABSENCE: Final = ("their_restart", "their_long_restart")
