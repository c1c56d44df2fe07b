"""Replay: a recording is fed into a session without I/O, whose clock is that of the recording."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import FormatError, RemoteError
from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.tools.recording import Moment, What
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.capabilities import (
    AddPath,
    EnhancedRouteRefresh,
    ExtendedMessage,
    FourOctetAs,
    GracefulRestart,
    Hostname,
    RouteRefresh,
)
from pybgp.wire.framing import Framer
from pybgp.wire.iana import EXTENDED_LIMIT, AddPathMode, MessageType
from pybgp.wire.messages import decode_open
from pybgp.wire.negotiated import families_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.formats.mrt import Ends
    from pybgp.session.events import Event
    from pybgp.wire.messages import Open

#: What a session does not send by itself.
_OF_THE_SPEAKER: Final = (MessageType.UPDATE, MessageType.ROUTE_REFRESH)
_TYPE: Final = 18


class Step(NamedTuple):
    """What one moment, or a timer between two, made of the session; times are those of the recording."""

    time: float
    events: Sequence[Event]
    sent: bytes
    #: None: a timer was due.
    moment: Moment | None = None


class Replayer:
    """Feeds moments into one session after the other; a new connection begins a new one.

    What the recorded speaker announced is sent again, so that timers run as they did; everything else the session
    says by itself, and may be compared with what was recorded.
    """

    def __init__(self, config: PeerConfig, *, incoming: bool = False, store: AttributeStore | None = None) -> None:
        """``config`` is that of the recorded speaker, for example from `config_of`; no timer has any jitter."""
        self.config = config
        self.session: Session | None = None
        self._incoming = incoming
        self._store = store if store is not None else AttributeStore()
        self._sent = Framer()

    def run(self, moments: Iterable[Moment]) -> Iterator[Step]:
        """Yield step by step; nothing waits."""
        for moment in moments:
            yield from self.run_timers(moment.time)
            yield self.feed(moment)

    def run_timers(self, until: float) -> Iterator[Step]:
        """Let time pass: yield what each timer does that is due before ``until``, while there is a connection."""
        session = self.session
        while (
            session is not None and session.is_connected and (due := session.next_timer()) is not None and due < until
        ):
            events = session.handle_timer(due)
            yield Step(due, events, session.data_to_send())

    def feed(self, moment: Moment) -> Step:
        """Let one thing happen."""
        if moment.what is What.CONNECTED:
            return self._connect(moment)
        session = self.session
        if session is None:
            raise FormatError(f"{moment.what.value} before there was a connection", 0)
        events: list[Event] = []
        if moment.what is What.RECEIVED:
            events = session.receive_data(moment.octets, moment.time)
        elif moment.what is What.ENDED:
            events = session.receive_eof(moment.time)
        else:
            self._send_again(session, moment)
        return Step(moment.time, events, session.data_to_send(), moment)

    def _connect(self, moment: Moment) -> Step:
        self._sent = Framer(EXTENDED_LIMIT)
        session = self.session = Session(self.config, incoming=self._incoming, store=self._store, random=lambda: 1.0)
        events = session.start(moment.time, automatic=True)
        events += session.connection_made(moment.time)
        return Step(moment.time, events, session.data_to_send(), moment)

    def _send_again(self, session: Session, moment: Moment) -> None:
        self._sent.feed(moment.octets)
        try:
            while (message := self._sent.next_message()) is not None:
                if session.state is State.ESTABLISHED and message[_TYPE] in _OF_THE_SPEAKER:
                    session.send(message, moment.time)
        except RemoteError as error:
            raise FormatError(f"what the recorded speaker sent is no BGP: {error}", 0) from error
        session.bytes_written(moment.time)


def config_of(ends: Ends, sent_open: Open, remote_as: int | None = None) -> PeerConfig:
    """Return the configuration of a speaker that sends this OPEN."""
    offered = {type(item): item for item in sent_open.capabilities}
    restart, hostname = offered.get(GracefulRestart), offered.get(Hostname)
    modes = [pair for item in sent_open.capabilities if isinstance(item, AddPath) for pair in item.families]
    return PeerConfig(
        address=str(ip_address(ends.peer_address)),
        remote_as=remote_as or ends.peer_as,
        local_as=sent_open.asn,
        router_id=sent_open.router_id,
        hold_time=sent_open.hold_time,
        families=tuple(sorted(families_of(sent_open))),
        hostname=hostname.host if isinstance(hostname, Hostname) else None,
        graceful_restart=_restart_config(restart) if isinstance(restart, GracefulRestart) else None,
        route_refresh=RouteRefresh in offered,
        enhanced_refresh=EnhancedRouteRefresh in offered,
        extended_message=ExtendedMessage in offered,
        four_octet_as=FourOctetAs in offered,
        add_path=tuple((family, AddPathMode(mode)) for family, mode in modes if mode in set(AddPathMode)),
    )


def _restart_config(restart: GracefulRestart) -> GracefulRestartConfig:
    families = tuple(family for family, _ in restart.families)
    return GracefulRestartConfig(restart.restart_time, families, restart.notification)


def first_open(moments: Iterable[Moment], what: What) -> Open:
    """Return the OPEN that one side began with; FormatError if it is not there."""
    framer = Framer()
    for moment in moments:
        if moment.what is what:
            framer.feed(moment.octets)
            try:
                message = framer.next_message()
                if message is not None:
                    return decode_open(message)
            except RemoteError as error:
                raise FormatError(f"first message {what.value}: {error}", 0) from error
    raise FormatError(f"no OPEN was {what.value}", 0)
