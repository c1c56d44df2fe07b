"""The answer to `pybgp-node peer NAME`: all that is known of one neighbour (spec section 17); pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

from calico_routing.capability_text import capability_text, facts
from calico_routing.daemon_status import peer_document
from pybgp.errors import ErrorCode
from pybgp.rib.policy.attribute_text import attribute_name
from pybgp.wire.attributes import Fault
from pybgp.wire.families import Family
from pybgp.wire.nlri import PATH_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping

    from pybgp.rib.exported import Exported
    from pybgp.rib.path import Path
    from pybgp.session.config import PeerConfig
    from pybgp.session.neighbor import Transition
    from pybgp.transport.peer_status import ErrorDetail, PeerStatus
    from pybgp.wire.messages import Open

    class Tables(Protocol):
        """What is asked of a Speaker."""

        def families(self) -> list[Family]:
            """Return the families that have a table."""

        def best(self, family: Family) -> Mapping[bytes, Path]:
            """Return the Loc-RIB."""

        def received(self, peer: str, family: Family) -> Mapping[bytes, Path]:
            """Return what a peer sent."""

        def stale_count(self, peer: str, family: Family) -> int:
            """Return how many routes wait to be refreshed."""

        def has_path_ids(self, peer: str, family: Family) -> bool:
            """Whether the keys of `received` carry path identifiers."""

        def sent_keys(self, peer: str, family: Family) -> list[bytes]:
            """Return what a peer may hold."""

        def sent_for(self, peer: str, family: Family) -> Callable[[bytes], Exported | None]:
            """Return what tells what a peer holds."""


VERSION: Final = 1
#: Routes counted between two looks at the clock.
_COUNTED_AT_ONCE: Final = 2_000


def detail_document(
    name: str, status: PeerStatus, config: PeerConfig | None, prefixes: Mapping[str, Any], backlog: int
) -> dict[str, Any]:
    """Return everything about one neighbour; ``prefixes`` is what `count_prefixes` found."""
    return {
        "version": VERSION,
        **peer_document(name, status, config),
        "retry_counter": status.retry_counter,
        "octets": {"received": status.octets_received, "sent": status.octets_sent},
        "queue": {"octets": status.queued_octets, "prefixes": backlog},
        "timers": {timer: round(seconds, 3) for timer, seconds in (status.timers or {}).items()},
        "last_error_sent": error_document(status.last_error_sent),
        "last_error_received": error_document(status.last_error_received),
        "open_sent": open_document(status.open_sent),
        "open_received": open_document(status.open_received),
        "in_force": plain(status.negotiated),
        "faults": [
            fault_document(code, fault, count) for (code, fault), count in sorted((status.faults or {}).items())
        ],
        "last_malformed": status.last_malformed.hex(),
        "prefixes": dict(prefixes),
        "history": [transition_document(entry) for entry in status.history],
    }


def fault_document(code: int, fault: int, count: int) -> dict[str, Any]:
    """Return how often something was wrong with an attribute, or with an UPDATE as a whole."""
    name = attribute_name(code) if code else "update"
    return {"attribute": name, "code": code, "treatment": Fault(fault).name.lower(), "count": count}


def error_document(error: ErrorDetail | None) -> dict[str, Any] | None:
    """Return a NOTIFICATION in full."""
    if error is None:
        return None
    name = ErrorCode(error.code).name if error.code in set(ErrorCode) else str(error.code)
    return {
        "code": error.code,
        "subcode": error.subcode,
        "name": name.lower().replace("_", "-"),
        "text": error.text,
        "data": error.data.hex(),
    }


def open_document(message: Open | None) -> dict[str, Any] | None:
    """Return an OPEN with its capabilities by name."""
    if message is None:
        return None
    return {
        "version": message.version,
        "as": message.asn,
        "hold_time": message.hold_time,
        "router_id": plain(message.router_id),
        "capabilities": [
            {"name": type(capability).__name__, **plain(capability), "code": int(capability.code)}
            for capability in message.capabilities
        ],
    }


def transition_document(entry: Transition) -> dict[str, Any]:
    """Return one step of the state machine."""
    return {
        "time": entry.time,
        "incoming": entry.incoming,
        "from": str(entry.old),
        "event": entry.cause.name.lower().replace("_", "-"),
        "number": int(entry.cause),
        "to": str(entry.new),
    }


def plain(value: Any) -> Any:  # whatever a message or a fact of a session consists of
    """Return what JSON can say of a value: names for families and enumerations, hexadecimal for octets."""
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, Family):
        return str(value)
    if isinstance(value, Enum):
        return value.name.lower().replace("_", "-")
    if isinstance(value, int):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    items = sorted(value) if isinstance(value, frozenset | set) else value
    return [plain(item) for item in items]


def count_prefixes(tables: Tables, peer: str, in_use: Collection[Family]) -> Generator[None, None, dict[str, Any]]:
    """Count the routes of a peer by family; yield now and then, so that the caller can look at the time.

    Told are the families of the session, and those that routes are kept of while it is down.
    """
    counted: dict[str, Any] = {}
    for family in sorted({*tables.families(), *in_use}):
        routes = tables.received(peer, family)
        if not routes and family not in in_use:
            continue
        rejected: Counter[str] = Counter()
        active = 0
        best = tables.best(family)
        front = PATH_ID_LENGTH if tables.has_path_ids(peer, family) else 0
        for keys in _bundles(routes):
            for raw in keys:
                path = routes.get(raw)
                if path is None:
                    continue
                if path.rejection:
                    rejected[path.rejection] += 1
                elif best.get(raw[front:]) is path:
                    active += 1
            yield
        held = tables.sent_for(peer, family)
        sent = 0
        for keys in _bundles(tables.sent_keys(peer, family)):
            sent += sum(held(key) is not None for key in keys)
            yield
        received = len(routes)
        counted[str(family)] = {
            "received": received,
            "accepted": max(0, received - sum(rejected.values())),
            "active": active,
            "sent": sent,
            "stale": tables.stale_count(peer, family),
            "rejected": dict(rejected),
        }
    return counted


def _bundles(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(list(keys))
    while bundle := list(islice(rest, _COUNTED_AT_ONCE)):
        yield bundle


def render_peer(document: Mapping[str, Any]) -> str:
    """Return the document as text for people."""
    lines = [
        f"{document['name']}: {document['address']} AS {document['remote_as']}, {document['state']}",
        f"  {document['protocol_state']} since {_time(document['since'])}"
        + (f", {document['last_error']}" if document["last_error"] else ""),
        f"  sessions so far {document['established_count']}, ConnectRetryCounter {document['retry_counter']}",
    ]
    lines += [f"  {timer} timer: {seconds} s left" for timer, seconds in document["timers"].items()]
    for side in ("sent", "received"):
        if (error := document[f"last_error_{side}"]) is not None:
            lines.append(
                f"  last error {side}: {error['name']}/{error['subcode']} {error['text']} {error['data']}".rstrip()
            )
        if (opened := document[f"open_{side}"]) is not None:
            lines.append(f"  capabilities {side}:{'' if opened['capabilities'] else ' none'}")
            lines += [f"    {capability_text(capability)}" for capability in opened["capabilities"]]
    if (in_force := document["in_force"]) is not None:
        lines += ["  in force:", *(f"    {fact}" for fact in facts(in_force))]
    for direction in ("received", "sent"):
        counts = " ".join(f"{name}={count}" for name, count in document[direction].items())
        lines.append(f"  messages {direction}: {counts}, {document['octets'][direction]} octets")
    queue = document["queue"]
    lines.append(f"  queued: {queue['octets']} octets, {queue['prefixes']} prefixes")
    lines += [line for entry in document["prefixes"].items() for line in _prefix_lines(*entry)]
    lines += [f"  {fault['attribute']}: {fault['treatment']} {fault['count']} times" for fault in document["faults"]]
    if document["last_malformed"]:
        lines.append(f"  last malformed message: {document['last_malformed']}")
    lines += [
        f"  {_time(entry['time'])} {entry['from']} -> {entry['to']}: {entry['event']}"
        + (" (incoming)" if entry["incoming"] else "")
        for entry in document["history"]
    ]
    return "\n".join(lines) + "\n"


def _prefix_lines(family: str, counts: Mapping[str, Any]) -> Iterator[str]:
    numbers = " ".join(f"{name}={count}" for name, count in counts.items() if name != "rejected")
    yield f"  {family}: {numbers} rejected={sum(counts['rejected'].values())}"
    for reason, count in counts["rejected"].items():
        yield f"    {reason}: {count}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
