"""A peer without I/O that follows a script: a real `Session`, and the means to say anything beside it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any, Unpack

from pybgp.errors import BgpError, ErrorCode, LocalError, RemoteError
from pybgp.session.config import PeerConfig
from pybgp.session.events import Close, SessionDown, UpdateReceived
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.testing.malformed import malformed_update
from pybgp.transport.announcements import RouteWords, by_family, known_family, own_attributes, own_keys, own_routes
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.iana import EXTENDED_LIMIT, CeaseSubcode, MessageType
from pybgp.wire.messages import Keepalive, Message, Notification, RouteRefresh, Update, decode, encode
from pybgp.wire.negotiated import UpdateOptions
from pybgp.wire.nlri import FAMILIES, format_key, parse_key, parse_prefix, strip_path_id, with_path_id
from pybgp.wire.routes import encode_routes, routes_of
from pybgp.wire.update_encoding import end_of_rib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.session.events import Event
    from pybgp.wire.attributes import Attributes, Fault
    from pybgp.wire.families import Family
    from pybgp.wire.messages import Open
    from pybgp.wire.negotiated import Negotiated

_TYPE = 18
_KEEPALIVE = encode(Keepalive())
_DEFAULT_LOCAL_PREF = 100
#: What a peer calls its next hop where a test names none (RFC 5737, RFC 3849).
_NEXT_HOPS = {IPV4_UNICAST: "192.0.2.254", IPV6_UNICAST: "2001:db8::254"}


class ScriptedPeer:
    """A BGP peer for tests: octets and the time go in, octets come out; what it heard is there to look at.

    The session is a real one: it opens, keeps itself alive, and judges what it hears.  Everything that a test says
    goes out as it is, right or wrong, in the order in which it is said.
    """

    def __init__(
        self,
        local_as: int,
        remote_as: int,
        *,
        router_id: str = "192.0.2.254",
        answers: bool = True,
        **options: Any,  # the fields of PeerConfig
    ) -> None:
        """``remote_as`` is that of what is tested; ``options`` are fields of `PeerConfig`, ``families`` all by default.

        ``answers`` False: no session at all, so that nothing is sent but what the test says.
        """
        options.setdefault("families", tuple(FAMILIES))
        options.setdefault("address", "192.0.2.1")
        options.setdefault("send_hold_time", 0.0)
        options.setdefault("update_options", UpdateOptions(loopback_next_hop=True))
        number = int(IPv4Address(router_id))
        self.config = PeerConfig(remote_as=remote_as, local_as=local_as, router_id=number, **options)
        self.local_as = local_as
        self.remote_as = remote_as
        #: How many connections there were.
        self.connections = 0
        #: Whether what is tested may send: see `stop_reading`.
        self.is_reading = True
        #: Set when the connection shall be closed; ``aborts``: by a reset.
        self.wants_close = False
        self.aborts = False
        self._answers = answers
        self._is_silent = False
        self._forget()

    def _forget(self) -> None:
        """Begin a connection with empty hands."""
        #: Everything heard on this connection: its UPDATEs, all its messages, its octets.
        self.received: list[Update] = []
        self.messages: list[Message] = []
        self.octets = bytearray()
        #: Routes that the other side has announced and not withdrawn, by family and key (with path identifiers).
        self.routes: dict[Family, dict[bytes, Attributes]] = {}
        #: Families whose End-of-RIB was heard (RFC 4724 section 2).
        self.ended_ribs: set[Family] = set()
        self._session: Session | None = None
        self._store = AttributeStore()
        self._framer: Framer | None = Framer(EXTENDED_LIMIT)
        self._outgoing: list[bytes] = []
        self._is_connected = False

    # Octets and time

    def connection_made(self, now: float) -> None:
        """A connection is up: begin a session of its own on it."""
        self._forget()
        self.connections += 1
        self.wants_close = self.aborts = self._is_silent = False
        self.is_reading = self._is_connected = True
        if self._answers:
            self._session = Session(self.config, incoming=True, store=self._store, random=lambda: 1.0)
            self._note(self._session.start(now))
            self._note(self._session.connection_made(now))

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Hear what the other side sent."""
        octets = bytes(data)
        self.octets += octets
        for message in self._messages(octets):
            self._hear(message, now)

    def receive_eof(self, now: float) -> None:
        """The other side sends no more."""
        self._is_connected = False
        if self._session is not None:
            self._note(self._session.receive_eof(now))

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._session is None:
            return
        if not self.is_reading and self.is_established:
            # Who does not read must not miss what waits unread, or the peer would end the session itself.
            self._note(self._session.receive_data(_KEEPALIVE, now))
        self._note(self._session.handle_timer(now))

    def next_timer(self) -> float | None:
        """When ``handle_timer`` wants to be called; None: not before something else happens."""
        return self._session.next_timer() if self._session is not None else None

    def data_to_send(self) -> bytes:
        """Return and forget the octets that shall leave now."""
        self._take_session_output()
        octets = b"".join(self._outgoing)
        self._outgoing.clear()
        return octets

    # What can be asked

    @property
    def state(self) -> State:
        """The state of the session; Idle without one."""
        return self._session.state if self._session is not None else State.IDLE

    @property
    def is_connected(self) -> bool:
        """Whether a connection is up, and neither side has ended it."""
        return self._is_connected and not self.wants_close

    @property
    def is_established(self) -> bool:
        """Whether the session is up now."""
        return self.state is State.ESTABLISHED

    @property
    def negotiated(self) -> Negotiated:
        """What both OPENs agreed on; LocalError before."""
        if self._session is None or self._session.negotiated is None:
            raise LocalError(f"peer AS {self.local_as}: nothing is negotiated in {self.state}")
        return self._session.negotiated

    @property
    def open_received(self) -> Open | None:
        """The OPEN of the other side; None before."""
        return self._session.open_received if self._session is not None else None

    @property
    def notification(self) -> Notification | None:
        """The NOTIFICATION that the other side ended this connection with; None: none yet."""
        return next((one for one in self.messages if isinstance(one, Notification)), None)

    def route(self, nlri: str, family: Family | str | None = None) -> Attributes | None:
        """Return what the other side announces for a prefix, or NLRI of a family; of several paths the first."""
        wanted, key = parse_prefix(nlri) if family is None else _parsed(family, nlri)
        table = self.routes.get(wanted, {})
        if not self._has_path_ids(wanted):
            return table.get(key)
        return next((found for known, found in table.items() if strip_path_id(known) == key), None)

    def announced(self) -> list[str]:
        """Return everything that the other side announces now, as text."""
        return [
            format_key(family, strip_path_id(key) if self._has_path_ids(family) else key, attributes.details)
            for family, table in self.routes.items()
            for key, attributes in table.items()
        ]

    # What it says

    def announce(
        self,
        prefixes: str | Iterable[str],
        *,
        next_hop: str | None = None,
        path_id: int = 1,
        **words: Unpack[RouteWords],
    ) -> None:
        """Announce prefixes; ``words`` as of `Speaker.announce`, with ``as_path`` exactly as it shall be on the wire.

        Left out, the path is our AS number toward an external peer and empty within the AS.
        """
        for family, keys in by_family(prefixes).items():
            attributes = self._attributes(next_hop or _NEXT_HOPS[family], words)
            self._say(family, keys, attributes, path_id)

    def announce_nlri(
        self,
        family: Family | str,
        nlri: Any,  # text, plain data or typed value, or several of them
        *,
        next_hop: str | None = None,
        path_id: int = 1,
        **words: Unpack[RouteWords],
    ) -> None:
        """Announce NLRI of any family, given as `Speaker.announce_nlri` takes them."""
        family = known_family(family)
        hop = next_hop or _next_hop_of(family)
        for attributes, keys in own_routes(family, nlri, self._attributes(hop, words)):
            self._say(family, keys, attributes, path_id)

    def withdraw(self, prefixes: str | Iterable[str], *, path_id: int = 1) -> None:
        """Take prefixes back."""
        for family, keys in by_family(prefixes).items():
            self._say(family, keys, None, path_id)

    def withdraw_nlri(self, family: Family | str, nlri: Any, *, path_id: int = 1) -> None:
        """Take NLRI of any family back."""
        family = known_family(family)
        self._say(family, own_keys(family, nlri), None, path_id)

    def end_of_rib(self, *families: Family) -> None:
        """Say that all is said, in these families or in all that were negotiated (RFC 4724 section 2)."""
        for family in families or sorted(self.negotiated.families):
            self.send(end_of_rib(family))

    def refresh(self, family: Family = IPV4_UNICAST) -> None:
        """Ask for all routes again (RFC 2918)."""
        self.send(encode(RouteRefresh(family)))

    def notify(self, code: int = ErrorCode.CEASE, subcode: int = 0, data: bytes = b"", *, text: str = "") -> None:
        """Send a NOTIFICATION and close; ``text`` makes it an administrative shutdown with these words (RFC 9003)."""
        message = Notification(code, subcode, data)
        if text:
            message = Notification.with_text(CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, text)
        self.send(encode(message))
        self.close()

    def send(self, octets: bytes) -> None:
        """Send any octets at all, after what was said before."""
        if not self.is_connected:
            raise LocalError(f"peer AS {self.local_as}: no connection to send {len(octets)} octets on")
        self._take_session_output()
        self._outgoing.append(octets)
        self._acted()

    # How it misbehaves

    def send_malformed(self, fault: Fault, prefix: str = "198.51.100.0/24") -> None:
        """Announce a prefix by an UPDATE that must cost exactly this much; see `malformed_update`."""
        self.send(malformed_update(fault, prefix, self.negotiated))

    def stop_reading(self) -> None:
        """Take no more octets, so that the other side cannot send, and go on with our KEEPALIVEs (RFC 9687)."""
        self.is_reading = False
        self._acted()

    def read_again(self) -> None:
        """Take octets again, those that waited first."""
        self.is_reading = True
        self._acted()

    def fall_silent(self) -> None:
        """Go on reading and say nothing more by itself: no KEEPALIVE, no NOTIFICATION, no close."""
        self._take_session_output()
        self._is_silent = True
        self._acted()

    def close(self) -> None:
        """Close the connection after what was said, without a NOTIFICATION."""
        self._take_session_output()
        self.wants_close = True
        self._acted()

    def abort(self) -> None:
        """Reset the connection; what was said may be lost."""
        self.aborts = True
        self.close()

    # Inside

    def _acted(self) -> None:
        """Something was said or done; whoever does I/O looks after it here."""

    def _take_session_output(self) -> None:
        """Put what the session wants to say behind what was said before; nothing more once we close or are silent."""
        octets = self._session.data_to_send() if self._session is not None else b""
        if octets and not self._is_silent and not self.wants_close:
            self._outgoing.append(octets)

    def _note(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, UpdateReceived):
                self._take_in(event.update)
            elif isinstance(event, SessionDown):
                self.routes.clear()
            elif isinstance(event, Close) and not self._is_silent:
                self._take_session_output()
                self.wants_close = True
                self.aborts |= event.abort

    def _take_in(self, update: Update) -> None:
        self.received.append(update)
        self.messages.append(update)
        add_path = self.negotiated.add_path_receive
        for family, keys, _ in routes_of(update.withdrawn, add_path):
            table = self.routes.get(family, {})
            for key in keys:
                table.pop(key, None)
        for family, keys, attributes in routes_of(update.announced, add_path):
            found = attributes or update.attributes
            if found is not None:
                self.routes.setdefault(family, {}).update(dict.fromkeys(keys, found))
        if update.end_of_rib is not None:
            self.ended_ribs.add(update.end_of_rib)

    def _messages(self, octets: bytes) -> Iterator[bytes]:
        """Cut octets into messages; what has no form any more goes to the session as it came."""
        if self._framer is None:
            yield octets
            return
        self._framer.feed(octets)
        try:
            while (message := self._framer.next_message()) is not None:
                yield message
        except RemoteError:
            self._framer = None
            yield octets

    def _hear(self, message: bytes, now: float) -> None:
        if self._framer is not None and message[_TYPE] != MessageType.UPDATE:
            # A malformed one stands in the octets, and the session tells the other side what is wrong with it.
            with suppress(BgpError):
                self.messages.append(decode(message))
        if self._session is not None:
            self._note(self._session.receive_data(message, now))

    def _has_path_ids(self, family: Family) -> bool:
        negotiated = self._session.negotiated if self._session is not None else None
        return negotiated is not None and family in negotiated.add_path_receive

    def _attributes(self, next_hop: str | None, words: RouteWords) -> Attributes:
        internal = self.local_as == self.remote_as
        words.setdefault("as_path", () if internal else (self.local_as,))
        if internal:
            words.setdefault("local_pref", _DEFAULT_LOCAL_PREF)
        return own_attributes(next_hop, words)

    def _say(self, family: Family, keys: Sequence[bytes], attributes: Attributes | None, path_id: int) -> None:
        negotiated = self.negotiated
        add_path = family in negotiated.add_path_send
        if add_path:
            keys = [with_path_id(key, path_id) for key in keys]
        for message in encode_routes(family, keys, attributes, negotiated, add_path=add_path):
            self.send(message)


def _parsed(family: Family | str, nlri: str) -> tuple[Family, bytes]:
    family = known_family(family)
    return family, parse_key(family, nlri)


def _next_hop_of(family: Family) -> str | None:
    """Return the first address of ours that the family has room for; None: it wants no next hop."""
    row = FAMILIES[family]
    return next((text for text in _NEXT_HOPS.values() if row.takes_next_hop(ip_address(text).packed)), None)
