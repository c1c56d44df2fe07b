"""A speaker of ours in the lab: one session with the daemon, and everything that was heard and said on it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pybgp import IPV4_UNICAST, GracefulRestartConfig, Speaker, SpeakerConfig, parse_prefix
from pybgp.bfd.config import BfdConfig
from pybgp.session.config import LongLivedConfig
from pybgp.session.events import SessionDown
from pybgp.wire.iana import AddPathMode, AttributeCode, MessageType, Role
from pybgp.wire.nlri import format_key, strip_path_id
from tests.peers.interop.plan import HOLD_TIME, LONG_LIVED_TIME, RESTART_TIME, SHORT_RESTART_TIME, SessionPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pybgp import Change, Path
    from pybgp.session.config import PeerConfig
    from pybgp.session.events import Event
    from pybgp.transport.peer import Peer, PeerStatus
    from pybgp.wire.families import Family
    from pybgp.wire.messages import Open
    from pybgp.wire.negotiated import Negotiated

THEM: Final = "them"
WATCHER: Final = "watcher"
PATIENCE: Final = 20.0


async def until(is_so: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that our side sees at once."""
    try:
        async with asyncio.timeout(seconds):
            while not is_so():  # noqa: ASYNC110  (many things may make it true)
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise TimeoutError(f"ours: not within {seconds:g} s: {what}") from error


class MessageLog:
    """Counts messages by direction and type, and remembers the longest, every UPDATE heard and every ROUTE-REFRESH."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.counts: Counter[tuple[str, int]] = Counter()
        self.longest: Counter[str] = Counter()
        #: Every UPDATE from the other side.
        self.updates: list[bytes] = []
        #: (direction, subtype) in their order.
        self.refreshes: list[tuple[str, int]] = []

    def note(self, direction: str, message: bytes) -> None:
        """Take one message."""
        self.counts[direction, message[18]] += 1
        self.longest[direction] = max(self.longest[direction], len(message))
        if message[18] == MessageType.UPDATE and direction == "received":
            self.updates.append(message)
        if message[18] == MessageType.ROUTE_REFRESH:
            self.refreshes.append((direction, message[21]))


class ConnectionTap:
    """Cuts the octets of one connection into messages: two may be open at a time."""

    def __init__(self, log: MessageLog) -> None:
        """Begin with a new connection."""
        self._log = log
        self._rest = {"received": b"", "sent": b""}

    def received(self, octets: bytes) -> None:
        """The daemon sent this."""
        self._take("received", octets)

    def sent(self, octets: bytes) -> None:
        """We sent this."""
        self._take("sent", octets)

    def ended(self) -> None:
        """TCP is over."""

    def _take(self, direction: str, octets: bytes) -> None:
        rest = self._rest[direction] + octets
        while len(rest) >= 19 and len(rest) >= (length := int.from_bytes(rest[16:18], "big")):
            self._log.note(direction, rest[:length])
            rest = rest[length:]
        self._rest[direction] = rest


class Station:
    """One of our speakers, at its own address, with the daemon as its peer `them`."""

    def __init__(self, plan: SessionPlan, **speaker: Any) -> None:
        """Nothing is opened before `start`; it must be called inside the namespace."""
        self.plan = plan
        self.log = MessageLog()
        self.ends: list[SessionDown] = []
        #: Everything that the Loc-RIB said: the prefix, and whether it was still reachable.
        self.history: list[tuple[str, bool]] = []
        router_id = f"10.77.0.{plan.index}"
        self.speaker = Speaker(
            SpeakerConfig(
                local_as=plan.asn,
                router_id=router_id,
                listen=((plan.our_address, 179),),
                require_ebgp_policy=False,
                next_hops=(f"fd77::{plan.index:x}",),
                **speaker,
            )
        )
        self.peers: dict[str, PeerConfig] = {
            THEM: self.speaker.peer(plan.their_address, plan.their_as, **self._options())
        }
        #: The speaker that watches from behind, if the plan wants one.
        self.behind: Station | None = None
        if plan.watched:
            self.behind = Station(plan.behind)
            behind = self.behind.plan
            self.peers[WATCHER] = self.speaker.peer(
                behind.our_address,
                behind.asn,
                local_address=plan.our_address,
                families=plan.families,
                graceful_restart=GracefulRestartConfig(RESTART_TIME),
                long_lived=LongLivedConfig(LONG_LIVED_TIME),
                connect_retry_time=2.0,
                ttl=64,
            )

        self.speaker.on_event(self._heard)
        self.speaker.on_change(self._changed)

    def _options(self) -> dict[str, Any]:
        plan = self.plan
        options: dict[str, Any] = {
            "local_address": plan.our_address,
            "families": plan.families,
            "hold_time": HOLD_TIME,
            "connect_retry_time": 2.0,
            "maximum_idle_hold_time": 2.0,
            "password": plan.password,
            "ttl": None if plan.ttl_security else 64,
            "ttl_security_hops": 1 if plan.ttl_security else None,
        }
        if plan.add_path:
            options["add_path"] = tuple((family, AddPathMode.BOTH) for family in plan.families)
        if plan.extended_next_hop:
            options["extended_next_hop"] = (IPV4_UNICAST,)
        if plan.graceful_restart:
            # Where it is to become long-lived, the short part is over soon, whatever the daemon asks for.
            times = (SHORT_RESTART_TIME,) * 2 if plan.long_lived else (RESTART_TIME, RESTART_TIME)
            options["graceful_restart"] = GracefulRestartConfig(times[0], maximum_restart_time=times[1])
        if plan.long_lived:
            options["long_lived"] = LongLivedConfig(LONG_LIVED_TIME)
        if plan.their_role is not None:
            options["role"] = {"provider": Role.CUSTOMER, "customer": Role.PROVIDER}[plan.their_role]
        if plan.bfd:
            # Ours decides when the daemon misses us, and here many speakers share one thread; the daemon's is 3.
            options["bfd"] = BfdConfig(transmit_interval=0.3, receive_interval=0.3, multiplier=10)
        return {**options, **plan.ours}

    def _heard(self, name: str, _: Peer, event: Event) -> None:
        if name == THEM and isinstance(event, SessionDown):
            self.ends.append(event)

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            for key in change.keys:
                self.history.append((format_key(change.family, key), change.path is not None))

    async def start(self) -> None:
        """Listen and dial."""
        self.speaker.configure(self.peers)
        self.speaker.record(THEM, lambda _: ConnectionTap(self.log))
        await self.speaker.start()
        if self.behind is not None:
            await self.behind.start()

    async def stop(self, **how: Any) -> None:
        """End every session."""
        await self.speaker.stop(**how)
        if self.behind is not None:
            await self.behind.stop()

    @property
    def status(self) -> PeerStatus:
        """Our view of the session."""
        return self.speaker.peers()[THEM]

    @property
    def is_up(self) -> bool:
        """Whether we call the session Established."""
        return self.status.state == "Established"

    async def wait_up(self) -> None:
        """Wait for the session; the error says what it is instead."""
        try:
            await until(lambda: self.is_up, "session")
        except TimeoutError as error:
            raise TimeoutError(f"{self.plan.name}: no session: {self.status.info}") from error

    async def agreed(self) -> Negotiated:
        """What both OPENs agreed on, once the session is up: at the start a second connection may replace the first."""
        await self.wait_up()
        negotiated = self.status.negotiated
        assert negotiated is not None
        return negotiated

    async def heard_open(self) -> Open:
        """The daemon's OPEN, once the session is up."""
        await self.wait_up()
        message = self.status.open_received
        assert message is not None
        return message

    def received(self, family: Family) -> Mapping[str, list[Path]]:
        """What the daemon sent, by the text of the prefix; several paths with ADD-PATH."""
        negotiated = self.status.negotiated
        add_path = negotiated is not None and family in negotiated.add_path_receive
        found: dict[str, list[Path]] = {}
        for key, path in self.speaker.received(THEM, family).items():
            plain = strip_path_id(key) if add_path else key
            found.setdefault(format_key(family, plain, path.attributes.details), []).append(path)
        return found

    def path(self, prefix: str) -> Path | None:
        """The daemon's path to a prefix."""
        family, _ = parse_prefix(prefix)
        return next(iter(self.received(family).get(prefix, ())), None)

    async def wait_prefixes(self, *prefixes: str) -> None:
        """Wait until the daemon has announced all of these."""
        for prefix in prefixes:
            await until(lambda prefix=prefix: self.path(prefix), f"{self.plan.name}: {prefix} from the daemon")

    def value(self, prefix: str, code: AttributeCode) -> Any:
        """One attribute of the daemon's path to a prefix; None without it."""
        path = self.path(prefix)
        return None if path is None else path.attributes.get(code)

    def stale(self, family: Family) -> bool:
        """Whether routes of the daemon are kept from an earlier session."""
        work, number = self.speaker._work, self.speaker._peerings[THEM].number
        return bool(work.rib.stale_count(number, family))
