"""One cache without I/O: octets and the time go in, queries and changed payloads come out (RFC 8210)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.errors import LocalError
from pybgp.rpki.payload_set import PayloadSet, Transaction
from pybgp.rpki.pdu import (
    LATEST_VERSION,
    CacheReset,
    CacheResponse,
    EndOfData,
    ErrorReport,
    Intervals,
    Payload,
    Pdu,
    PduReader,
    PduType,
    Record,
    ResetQuery,
    RtrError,
    RtrErrorCode,
    SerialNotify,
    SerialQuery,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Collection

#: A cache that says nothing for so long when it is asked has died without a word.
RESPONSE_TIME: Final = 60.0
#: A connection lost while nothing was asked is opened again after this, or the retry interval if that is shorter.
_RECONNECT_TIME: Final = 5.0
#: How much of an erroneous PDU goes back (RFC 8210 section 5.11).
_LONGEST_QUOTE: Final = 1024


class State(Enum):
    """What happens between us and the cache."""

    STOPPED = "stopped"
    WAITING = "waiting"
    CONNECTING = "connecting"
    QUERYING = "querying"
    RECEIVING = "receiving"
    SYNCHRONIZED = "synchronized"


class Connect(NamedTuple):
    """The shell shall open a connection to the cache."""


class Close(NamedTuple):
    """The shell shall close the connection, or the attempt to open it, after what there is to send."""


class PayloadChanged(NamedTuple):
    """The cache said all it had to say (both may be empty), or its data expired."""

    announced: Collection[Payload]
    withdrawn: Collection[Payload]


class Failed(NamedTuple):
    """The cache could not be asked; its data stay until they expire."""

    text: str


Event: TypeAlias = Connect | Close | PayloadChanged | Failed


class Session:
    """What one cache says, over all connections to it; a cache's error does not raise."""

    def __init__(self, *, version: int = 1, intervals: Intervals | None = None) -> None:
        """``version`` is the highest that is offered; ``intervals`` hold until the cache names its own."""
        if not 0 <= version <= LATEST_VERSION:
            raise LocalError(f"version {version}: 0 to {LATEST_VERSION} expected")
        self.state = State.STOPPED
        self.intervals = (intervals or Intervals()).bounded()
        self.last_error = ""
        #: The version in force, or that is offered next.
        self.version = version
        self.serial: int | None = None
        self.payloads = PayloadSet()
        self._first_version = version
        self._session: int | None = None
        self._is_settled = False
        self._was_full = False
        self._transaction: Transaction | None = None
        self._notified: int | None = None
        self._reader = PduReader()
        self._query_at: float | None = None
        self._answer_by: float | None = None
        self._expires_at: float | None = None
        self._outgoing: list[bytes] = []
        self._events: list[Event] = []

    # What happens to a session.

    def start(self, now: float) -> list[Event]:
        """Ask for a connection."""
        if self.state is State.STOPPED:
            self._connect(now)
        return self._take_events()

    def stop(self) -> list[Event]:
        """End for good; what the cache said is withdrawn."""
        if self.state in (State.CONNECTING, State.QUERYING, State.RECEIVING, State.SYNCHRONIZED):
            self._events.append(Close())
        self.state = State.STOPPED
        self._query_at = self._answer_by = None
        self._flush()
        return self._take_events()

    def connection_made(self, now: float) -> list[Event]:
        """The connection is there: a query goes first (RFC 8210 section 7)."""
        self._reader = PduReader()
        self._outgoing.clear()
        self._is_settled = False
        self._query(now)
        return self._take_events()

    def connection_lost(self, now: float, cause: str) -> list[Event]:
        """The connection is gone, or was never there."""
        if self.state is State.SYNCHRONIZED:
            self._wait(now, min(_RECONNECT_TIME, self.intervals.retry), cause)
        elif self.state is State.QUERYING and not self._is_settled and self.version > 0:
            self._start_over(self.version - 1, now)
        elif self.state in (State.CONNECTING, State.QUERYING, State.RECEIVING):
            self.version = self._first_version
            self._wait(now, self.intervals.retry, cause)
        return self._take_events()

    def receive_data(self, data: bytes | memoryview, now: float) -> list[Event]:
        """Octets arrived; payloads count when all of an answer is there."""
        if self.state not in (State.QUERYING, State.RECEIVING, State.SYNCHRONIZED):
            return []
        if self._answer_by is not None:
            self._answer_by = now + RESPONSE_TIME
        self._reader.feed(data)
        try:
            while self.state in (State.QUERYING, State.RECEIVING, State.SYNCHRONIZED):
                found = self._reader.next_pdu()
                if found is None:
                    break
                self._receive(*found, now)
        except RtrError as error:
            self._refuse(error, now)
        return self._take_events()

    def handle_timer(self, now: float) -> list[Event]:
        """Act on every timer that is due."""
        if self._expires_at is not None and now >= self._expires_at:
            self._expire(now)
        if self._answer_by is not None and now >= self._answer_by:
            self._drop(now, f"no answer for {RESPONSE_TIME:g} s")
        if self._query_at is not None and now >= self._query_at:
            if self.state is State.WAITING:
                self._connect(now)
            else:
                self._query(now)
        return self._take_events()

    def next_timer(self) -> float | None:
        """When ``handle_timer`` wants to be called; None: not before something else happens."""
        deadlines = [at for at in (self._expires_at, self._answer_by, self._query_at) if at is not None]
        return min(deadlines, default=None)

    def data_to_send(self) -> bytes:
        """Return what is to be sent now, and forget it."""
        octets = b"".join(self._outgoing)
        self._outgoing.clear()
        return octets

    # Asking.

    def _connect(self, now: float) -> None:
        self.state = State.CONNECTING
        self._query_at = None
        self._answer_by = now + RESPONSE_TIME
        self._events.append(Connect())

    def _query(self, now: float) -> None:
        """Ask for what is new, or for everything if we have nothing to add it to (RFC 8210 section 8)."""
        self._was_full = self._session is None or self.serial is None
        query: Pdu = ResetQuery() if self._was_full else SerialQuery(self._session or 0, self.serial or 0)
        self._send(query)
        self.state = State.QUERYING
        self._query_at = self._notified = None
        self._answer_by = now + RESPONSE_TIME

    def _send(self, pdu: Pdu) -> None:
        self._outgoing.append(encode(pdu, self.version))

    # Hearing.

    def _receive(self, version: int, octets: bytes, now: float) -> None:
        pdu = decode(octets)
        if isinstance(pdu, ErrorReport):
            self._heed(pdu, version, now)
            return
        if not self._is_settled:
            if isinstance(pdu, SerialNotify):
                return
            if not self._settle(version, octets, now):
                return
        if version != self.version:
            raise RtrError(RtrErrorCode.UNEXPECTED_VERSION, octets, f"version {version} instead of {self.version}")
        match pdu:
            case Record():
                if self._transaction is None:
                    raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, "payload outside an answer")
                self._transaction.add(pdu, octets)
            case SerialNotify():
                self._heed_notify(pdu, octets, now)
            case CacheResponse():
                self._begin(pdu, octets)
            case EndOfData():
                self._end(pdu, octets, now)
            case CacheReset() if self.state is State.QUERYING and not self._was_full:
                self._session = self.serial = None
                self._query(now)
            case _:
                raise RtrError(
                    RtrErrorCode.INVALID_REQUEST, octets, f"{type(pdu).__name__} in state {self.state.value}"
                )

    def _settle(self, version: int, octets: bytes, now: float) -> bool:
        """The first answer decides on the version; False if it has to be asked for anew (RFC 8210 section 7)."""
        if version > self.version:
            raise RtrError(RtrErrorCode.UNEXPECTED_VERSION, octets, f"version {version}, {self.version} was offered")
        if version < self.version and not self._was_full:
            # Serial numbers of two versions have nothing in common.
            self._events.append(Close())
            self._start_over(version, now)
            return False
        self.version = version
        self._is_settled = True
        return True

    def _start_over(self, version: int, now: float) -> None:
        """Ask for everything on a new connection, in this version."""
        self.version = version
        self._session = self.serial = None
        self._transaction = None
        self._connect(now)

    def _begin(self, response: CacheResponse, octets: bytes) -> None:
        if self.state is not State.QUERYING:
            raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"answer in state {self.state.value}")
        if not self._was_full and response.session != self._session:
            self._flush()
            raise RtrError(
                RtrErrorCode.CORRUPT_DATA, octets, f"session {response.session} answers for session {self._session}"
            )
        self._session = response.session
        self._transaction = self.payloads.transaction(full=self._was_full)
        self.state = State.RECEIVING

    def _end(self, end: EndOfData, octets: bytes, now: float) -> None:
        if self._transaction is None or end.session != self._session:
            raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"end of data of session {end.session}")
        transaction, self._transaction = self._transaction, None
        self._events.append(PayloadChanged(*self.payloads.apply(transaction)))
        self.serial = end.serial
        if end.intervals is not None:
            self.intervals = end.intervals.bounded()
        self.state = State.SYNCHRONIZED
        self.last_error = ""
        self._answer_by = None
        self._query_at = now + self.intervals.refresh
        self._expires_at = now + self.intervals.expire
        if self._notified not in (None, end.serial):
            self._query(now)

    def _heed_notify(self, notify: SerialNotify, octets: bytes, now: float) -> None:
        if notify.session != self._session:
            self._flush()
            raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"notify of session {notify.session}")
        if self.state is not State.SYNCHRONIZED:
            self._notified = notify.serial
        elif notify.serial != self.serial:
            self._query(now)

    def _heed(self, report: ErrorReport, version: int, now: float) -> None:
        """An error report is never answered; all but one end the connection (RFC 8210 section 12)."""
        if report.code == RtrErrorCode.NO_DATA_AVAILABLE:
            self._is_settled = True
            self.version = min(self.version, version)
            self._transaction = None
            self.state = State.SYNCHRONIZED
            self._fail(now, self.intervals.retry, _words(report))
        elif report.code == RtrErrorCode.UNSUPPORTED_VERSION and not self._is_settled and self.version > 0:
            self._events.append(Close())
            self._start_over(min(version, self.version - 1), now)
        else:
            self._session = self.serial = None
            self._drop(now, _words(report))

    # Failing.

    def _refuse(self, error: RtrError, now: float) -> None:
        """Tell the cache what it did wrong, unless that was an error report, and begin anew later with a full load."""
        if error.pdu[1:2] != bytes((PduType.ERROR_REPORT,)):
            self._send(ErrorReport(error.code, error.pdu[:_LONGEST_QUOTE], error.reason))
        self._session = self.serial = None
        self._drop(now, f"Sent: {error}")

    def _drop(self, now: float, text: str) -> None:
        self._events.append(Close())
        self._wait(now, self.intervals.retry, text)

    def _wait(self, now: float, seconds: float, text: str) -> None:
        self._transaction = None
        self.state = State.WAITING
        self._fail(now, seconds, text)

    def _fail(self, now: float, seconds: float, text: str) -> None:
        self._answer_by = None
        self._query_at = now + seconds
        self.last_error = text
        self._events.append(Failed(text))

    def _expire(self, now: float) -> None:
        """The data are too old; an answer that would only have changed them is no longer of use."""
        self._flush()
        if self.state in (State.QUERYING, State.RECEIVING) and not self._was_full:
            self._events.append(Close())
            self._start_over(self.version, now)

    def _flush(self) -> None:
        """Forget what the cache said."""
        self._session = self.serial = None
        self._expires_at = None
        withdrawn = self.payloads.clear()
        if withdrawn:
            self._events.append(PayloadChanged((), withdrawn))

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _words(report: ErrorReport) -> str:
    try:
        name = RtrErrorCode(report.code).name
    except ValueError:
        name = f"error {report.code}"
    return f"Received: {name}: {report.text}".removesuffix(": ")
