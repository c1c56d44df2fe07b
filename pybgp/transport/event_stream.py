"""What happens in a speaker as a numbered stream: states of peers, routes by view, End-of-RIB, limits, failures."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from pybgp.errors import BgpError, LocalError
from pybgp.rib.path import Addition
from pybgp.session.events import RunReceived, StateChanged, UpdateReceived
from pybgp.transport.sent_routes import routes_in
from pybgp.wire.routes import routes_of
from pybgp.wire.updates import NlriSet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence

    from pybgp.rib.path import Change, Path
    from pybgp.rib.tables import Rib
    from pybgp.session.events import Event
    from pybgp.transport.cause import Cause
    from pybgp.transport.peering import Peering
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

#: What peers sent, what import policy left of it, what was chosen, and what peers are told.
PRE: Final = "pre"
POST: Final = "post"
LOC: Final = "loc"
OUT: Final = "out"
VIEWS: Final = (PRE, POST, LOC, OUT)
PEER: Final = "peer"
ROUTE: Final = "route"
END_OF_RIB: Final = "end-of-rib"
LIMIT: Final = "limit"
POLICY_ERROR: Final = "policy-error"
GAP: Final = "gap"
ADD: Final = "add"
REPLACE: Final = "replace"
WITHDRAW: Final = "withdraw"
#: Of the view "out": whether the peer held a route before is not looked up.
ANNOUNCE: Final = "announce"
#: Prefixes that may wait for a slow reader.
DEFAULT_LIMIT: Final = 100_000

log = structlog.get_logger("pybgp")


class Happening(NamedTuple):
    """One thing that happened; ``sequence`` counts within a stream, so that a loss shows.  Times are wall-clock."""

    sequence: int
    time: float
    kind: str
    peer: str = ""
    family: Family | None = None
    view: str = ""
    action: str = ""
    keys: Sequence[bytes] = ()
    attributes: Attributes | None = None
    #: The path of a view behind the import policy.
    path: Path | None = None
    cause: Cause | None = None
    #: States, the reason of an end, what a limit or a policy says; of a gap, how much was lost.
    detail: dict[str, Any] | None = None
    #: The keys carry path identifiers (RFC 7911 section 3).
    has_path_ids: bool = False


class EventStream:
    """The events of one reader; one that is too slow gets a gap as its last event, and no more."""

    def __init__(self, views: Collection[str], limit: int, leave: Callable[[EventStream], None]) -> None:
        """``limit`` is how many prefixes and other events may wait; ``leave`` ends the subscription."""
        if unknown := set(views) - set(VIEWS):
            raise LocalError(f"view {min(unknown)!r}: one of {', '.join(VIEWS)} expected")
        self.views = frozenset(views)
        self._limit = limit
        self._leave = leave
        self._waiting: deque[Happening] = deque()
        #: how many waiting events share one sequence of keys, which counts once: what several peers are told.
        self._sharing: dict[int, int] = {}
        self._count = 0
        self._sequence = 0
        self._is_over = False
        self._filled = asyncio.Event()

    def put(self, happening: Happening) -> None:
        """Number an event and keep it for the reader; beyond the limit it and all that waits is lost."""
        if self._is_over:
            return
        self._sequence += 1
        self._waiting.append(happening._replace(sequence=self._sequence))
        keys = happening.keys
        sharing = self._sharing[id(keys)] = self._sharing.get(id(keys), 0) + 1
        self._count += 1 if sharing > 1 else 1 + len(keys)
        if self._count > self._limit:
            lost = {"lost": len(self._waiting), "first": self._waiting[0].sequence}
            self._waiting.clear()
            self._waiting.append(Happening(self._sequence + 1, happening.time, GAP, detail=lost))
            self.close()
        self._filled.set()

    def _take(self) -> Happening:
        happening = self._waiting.popleft()
        keys = happening.keys
        sharing = self._sharing.pop(id(keys), 1) - 1
        if sharing:
            self._sharing[id(keys)] = sharing
        self._count -= 1 if sharing else 1 + len(keys)
        return happening

    def close(self) -> None:
        """Hear nothing more; what waits can still be read."""
        self._is_over = True
        self._leave(self)
        self._filled.set()

    async def __aiter__(self) -> AsyncIterator[Happening]:
        """Yield events as they come, until `close`."""
        while True:
            while self._waiting:
                yield self._take()
            if self._is_over:
                return
            self._filled.clear()
            await self._filled.wait()


class Heard(NamedTuple):
    """What an UPDATE is about to do to the routes of a peer."""

    family: Family
    attributes: Attributes | None
    keys: Sequence[bytes]
    #: Those that are there already, and those of them that the import policy let through.
    present: frozenset[bytes]
    accepted: frozenset[bytes]
    has_path_ids: bool


class EventHub:
    """Turns what a speaker notices into events, if anybody reads them."""

    def __init__(self, rib: Rib, clock: Callable[[], float]) -> None:
        """``clock`` tells the wall-clock time."""
        self._rib = rib
        self._clock = clock
        self._streams: list[EventStream] = []
        self._failures = 0
        #: what was written last, and what it says: the members of an update group are written the same octets.
        self._written = b""
        self._said: list[NlriSet | Family] = []

    @property
    def is_watched(self) -> bool:
        """Whether anybody reads."""
        return bool(self._streams)

    def subscribe(self, views: Collection[str], limit: int) -> EventStream:
        """Return a stream of all that happens from now on."""
        stream = EventStream(views, limit, self._leave)
        self._streams.append(stream)
        self._failures = self._rib.policy_failures
        return stream

    def close(self) -> None:
        """End every stream: nothing will happen any more."""
        for stream in tuple(self._streams):
            stream.close()

    def _leave(self, stream: EventStream) -> None:
        self._streams = [one for one in self._streams if one is not stream]
        self._written, self._said = b"", []

    # What a speaker notices

    def before(self, peering: Peering, event: Event) -> list[Heard]:
        """Look at the routes that an event is about to change."""
        if not any(stream.views & {PRE, POST} for stream in self._streams):
            return []
        events = event.updates() if isinstance(event, RunReceived) else (event,)
        return [heard for one in events if isinstance(one, UpdateReceived) for heard in self._look(peering, one)]

    def _look(self, peering: Peering, event: UpdateReceived) -> Iterator[Heard]:
        negotiated = peering.negotiated
        add_path = negotiated.add_path_receive if negotiated is not None else ()
        for nlri in (*routes_of(event.update.withdrawn, add_path), *routes_of(event.update.announced, add_path)):
            routes = self._rib.received(peering.number, nlri.family)
            found = {key: path for key in nlri.keys if (path := routes.get(key)) is not None}
            accepted = frozenset(key for key, path in found.items() if not path.rejection)
            has_path_ids = nlri.family in add_path
            yield Heard(nlri.family, nlri.attributes, nlri.keys, frozenset(found), accepted, has_path_ids)

    def after(self, peering: Peering, event: Event, heard: Sequence[Heard]) -> None:
        """Tell what an event did."""
        for one in heard:
            self._tell_received(peering, one)
            self._tell_accepted(peering, one)
        if isinstance(event, StateChanged):
            cause = event.cause.name.lower().replace("_", "-")
            detail = {"from": str(event.old), "to": str(event.new), "cause": cause, "error": event.text}
            self._tell(Happening(0, self._clock(), PEER, peering.name, detail=detail))
        elif isinstance(event, UpdateReceived) and event.update.end_of_rib is not None:
            self._tell(Happening(0, self._clock(), END_OF_RIB, peering.name, event.update.end_of_rib))
        self._tell_failures(peering.name)

    def changed(self, changes: Sequence[Change], cause: Cause) -> None:
        """Tell of changes of the Loc-RIB."""
        now = self._clock()
        for change in changes:
            path = change.path
            action = WITHDRAW if path is None else ADD if isinstance(change, Addition) else REPLACE
            attributes = path.attributes if path is not None else None
            self._tell(
                Happening(0, now, ROUTE, cause.peer, change.family, LOC, action, change.keys, attributes, path, cause)
            )

    def sent(self, peering: Peering, octets: bytes) -> None:
        """Tell what a peer is told; ``octets`` are whole messages that were just handed to its session."""
        negotiated = peering.peer.negotiated
        if negotiated is None or not any(OUT in stream.views for stream in self._streams):
            return
        if octets is not self._written:
            try:
                self._said = list(routes_in(octets, negotiated))
            except BgpError:
                log.exception("sent_messages_unreadable", peer=peering.name)
                self._said = []
            self._written = octets
        now, name = self._clock(), peering.name
        for said in self._said:
            if not isinstance(said, NlriSet):
                self._tell(Happening(0, now, END_OF_RIB, name, said, OUT))
                continue
            family, keys, attributes = said
            action = WITHDRAW if attributes is None else ANNOUNCE
            told = Happening(0, now, ROUTE, name, family, OUT, action, keys, attributes)
            self._tell(told._replace(has_path_ids=family in negotiated.add_path_send))

    def limit(self, peer: str, family: Family, text: str) -> None:
        """Tell that a peer came near its limit of prefixes, or beyond it."""
        self._tell(Happening(0, self._clock(), LIMIT, peer, family, detail={"text": text}))

    # Inside

    def _tell(self, happening: Happening) -> None:
        for stream in self._streams:
            if not happening.view or happening.view in stream.views:
                stream.put(happening)

    def _tell_received(self, peering: Peering, heard: Heard) -> None:
        told = Happening(0, self._clock(), ROUTE, peering.name, heard.family, PRE, attributes=heard.attributes)
        told = told._replace(has_path_ids=heard.has_path_ids)
        fresh = [key for key in heard.keys if key not in heard.present]
        known = [key for key in heard.keys if key in heard.present]
        if heard.attributes is not None and fresh:
            self._tell(told._replace(action=ADD, keys=fresh))
        if known:
            self._tell(told._replace(action=WITHDRAW if heard.attributes is None else REPLACE, keys=known))

    def _tell_accepted(self, peering: Peering, heard: Heard) -> None:
        """Group the prefixes of an UPDATE by what import policy made of them."""
        routes = self._rib.received(peering.number, heard.family)
        groups: dict[tuple[str, Path | None], list[bytes]] = {}
        for key in heard.keys:
            path = routes.get(key)
            if path is not None and not path.rejection:
                groups.setdefault((REPLACE if key in heard.accepted else ADD, path), []).append(key)
            elif key in heard.accepted:
                groups.setdefault((WITHDRAW, None), []).append(key)
        for (action, path), keys in groups.items():
            attributes = path.attributes if path is not None else None
            told = Happening(0, self._clock(), ROUTE, peering.name, heard.family, POST, action, keys, attributes, path)
            self._tell(told._replace(has_path_ids=heard.has_path_ids))

    def _tell_failures(self, peer: str) -> None:
        """A policy that raised has rejected its routes."""
        failures = self._rib.policy_failures
        if failures != self._failures:
            detail = {"failures": failures - self._failures, "total": failures}
            self._failures = failures
            self._tell(Happening(0, self._clock(), POLICY_ERROR, peer, detail=detail))
