"""What the matrix says of each cell: it works, unless it stands here with the reason and the evidence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.wire.capabilities import GracefulRestart
from pybgp.wire.iana import CapabilityCode
from tests.peers.interop.station import THEM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.peers.interop.cells import Town


class Lack(NamedTuple):
    """Why a cell cannot be filled, and what shows that."""

    reason: str
    evidence: Callable[[Town], Awaitable[None]]


def says_nothing_of(code: CapabilityCode, reason: str, *, station: str = "base") -> Lack:
    """Its OPEN, on a session on which ours names the capability where we can, does not."""

    async def evidence(town: Town) -> None:
        said = await town[station].heard_open()
        assert code not in {capability.code for capability in said.capabilities}

    return Lack(reason, evidence)


def helps_nobody(reason: str, *, families: bool = False) -> Lack:
    """Its graceful restart capability lacks the N bit, or (with ``families``) any family."""

    async def evidence(town: Town) -> None:
        said = await town["hard_reset"].heard_open()
        (found,) = [item for item in said.capabilities if isinstance(item, GracefulRestart)]
        if families:
            assert found.families == ()
        else:
            assert not found.notification

    return Lack(reason, evidence)


def refuses(lines: str, complaint: str, reason: str) -> Lack:
    """It has no words for it: it refuses the configuration."""

    async def evidence(town: Town) -> None:
        said = await asyncio.to_thread(town.column.refuses, lines)
        assert complaint in said, said

    return Lack(reason, evidence)


def listens_for_no_bfd(reason: str) -> Lack:
    """Nobody in its namespace listens on the port of BFD (RFC 5881 section 4)."""

    async def evidence(town: Town) -> None:
        said = await asyncio.to_thread(town.column.lab.theirs.run, "ss", "-lun")
        assert ":3784" not in said

    return Lack(reason, evidence)


def keeps_no_table(reason: str) -> Lack:
    """What it heard, it only tells: there is nothing to keep or to pass on."""

    async def evidence(town: Town) -> None:
        assert town["watcher"].path(town["we_restart"].plan.prefix) is None

    return Lack(reason, evidence)


def cannot_read_our_text(reason: str) -> Lack:
    """It takes a Cease with text for a message that cannot be read, and says so."""

    async def evidence(town: Town) -> None:
        station = town["we_end"]
        station.speaker.shut_down_peer(THEM, "back at noon")
        await town.column.sees(lambda: town.column.status(station.plan), "can not decode update message of type")

    return Lack(reason, evidence)


_CODE: Final = CapabilityCode
_NO_BFD: Final = "it has no BFD"
LACKS: Final[dict[tuple[str, str], Lack]] = {
    ("evpn", "BIRD"): refuses("protocol bgp { evpn { }; }", "syntax error", "no EVPN family"),
    ("hard_reset", "BIRD"): helps_nobody("no N bit (RFC 8538)"),
    ("extended_message", "GoBGP"): says_nothing_of(_CODE.EXTENDED_MESSAGE, "not offered"),
    ("enhanced_refresh", "GoBGP"): says_nothing_of(_CODE.ENHANCED_ROUTE_REFRESH, "not offered"),
    ("role", "GoBGP"): says_nothing_of(_CODE.ROLE, "no roles", station="role"),
    ("bfd", "GoBGP"): listens_for_no_bfd(_NO_BFD),
    ("extended_next_hop", "OpenBGPD"): says_nothing_of(_CODE.EXTENDED_NEXT_HOP, "not offered"),
    ("extended_message", "OpenBGPD"): says_nothing_of(_CODE.EXTENDED_MESSAGE, "not offered"),
    ("evpn", "OpenBGPD"): refuses("neighbor 192.0.2.1 { announce L2VPN evpn }", "syntax error", "no EVPN family"),
    ("flowspec", "OpenBGPD"): refuses("neighbor 192.0.2.1 { announce IPv4 flowspec }", "syntax error", "no Flowspec"),
    ("their_restart", "OpenBGPD"): helps_nobody("it helps, but does not ask for help", families=True),
    ("their_long_restart", "OpenBGPD"): says_nothing_of(
        _CODE.LONG_LIVED_GRACEFUL_RESTART, "no long-lived restart", station="hard_reset"
    ),
    ("our_long_restart", "OpenBGPD"): says_nothing_of(
        _CODE.LONG_LIVED_GRACEFUL_RESTART, "no long-lived restart", station="hard_reset"
    ),
    ("hard_reset", "OpenBGPD"): helps_nobody("no N bit (RFC 8538)"),
    ("bfd", "OpenBGPD"): listens_for_no_bfd(_NO_BFD),
    ("role", "ExaBGP"): says_nothing_of(_CODE.ROLE, "no roles"),
    ("our_restart", "ExaBGP"): keeps_no_table("it keeps no table"),
    ("their_long_restart", "ExaBGP"): says_nothing_of(
        _CODE.LONG_LIVED_GRACEFUL_RESTART, "no long-lived restart", station="hard_reset"
    ),
    ("our_long_restart", "ExaBGP"): says_nothing_of(
        _CODE.LONG_LIVED_GRACEFUL_RESTART, "no long-lived restart", station="hard_reset"
    ),
    ("our_text", "ExaBGP"): cannot_read_our_text("a Cease with text ends in a TypeError under Python 3"),
    ("hard_reset", "ExaBGP"): helps_nobody("no N bit (RFC 8538)"),
    ("bfd", "ExaBGP"): listens_for_no_bfd(_NO_BFD),
}

#: Cells that work in part, or only so: what is missing is the daemon's, and the scenario checks as much as there is.
PARTLY: Final[dict[tuple[str, str], str]] = {
    ("ipv6", "OpenBGPD"): "over IPv6; over IPv4 it sends no IPv6 routes here",
    ("refresh", "GoBGP"): "it answers; it has no command that asks",
    ("refresh", "OpenBGPD"): "it asks and is answered; it counts our request and sends nothing (nor does it to BIRD)",
    ("enhanced_refresh", "OpenBGPD"): "as with plain refresh: it asks and is answered",
    ("enhanced_refresh", "ExaBGP"): "its own answer has no marks",
    ("md5", "OpenBGPD"): "the portable edition signs what it opens; its listener also takes unsigned connections",
    ("evpn", "FRR"): "it passes on ours; routes of its own need VXLAN devices in its kernel",
    ("evpn", "ExaBGP"): "it only receives",
    ("flowspec", "FRR"): "it passes on ours; it has no command for rules of its own",
    ("vpn", "OpenBGPD"): "it passes on ours; routes of its own need an MPLS device",
    ("their_text", "ExaBGP"): "its text is fixed",
    ("our_long_restart", "FRR"): "if the neighbours with long-lived restart have update groups of their own",
    (
        "hard_reset",
        "GoBGP",
    ): "it heeds both; its own shutdown is a plain Cease: its routes are kept for a while",
    ("policy_reload", "ExaBGP"): "watched behind us only: it passes nothing on",
}
