"""What happened on one connection, as JSON lines or as MRT: written while it happens, read in constant memory."""

from __future__ import annotations

import json
from enum import Enum
from ipaddress import ip_address
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pybgp.errors import FormatError, LocalError
from pybgp.formats.mrt import BgpMessage, Ends, StateChange, decode
from pybgp.formats.mrt_file import MrtReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pybgp.formats.mrt_file import Source

FORMAT: Final = "pybgp-recording"
VERSION: Final = 1
#: FSM states as MRT numbers them (RFC 6396 section 4.4.1).
IDLE: Final = 1
OPEN_SENT: Final = 4
#: A chunk is 64 KiB at most; anything longer is no line of ours.
_LONGEST_LINE: Final = 1024 * 1024


class What(Enum):
    """What can happen on a connection."""

    CONNECTED = "connected"
    RECEIVED = "received"
    SENT = "sent"
    #: TCP is over, whoever closed it.
    ENDED = "ended"


class Moment(NamedTuple):
    """One thing that happened, in seconds since 1970; octets as they were read or written."""

    time: float
    what: What
    octets: bytes = b""


class Recording(NamedTuple):
    """Who talked, and what happened, in order; the moments can be read once."""

    ends: Ends
    moments: Iterator[Moment]


class TextSource(Protocol):
    """What the reader of JSON lines needs of a file."""

    def readline(self, size: int, /) -> str:
        """Return the next line with its end, at most so many characters; nothing at the end."""


def parse_ends(local_address: str, remote_address: str, local_as: int, remote_as: int) -> Ends:
    """Return the two sides by their texts; LocalError names what is no address."""
    try:
        local, remote = ip_address(local_address), ip_address(remote_address)
    except ValueError as error:
        raise LocalError(f"ends of a recording: {error}") from error
    if local.version != remote.version:
        raise LocalError(f"ends of a recording: {local} and {remote} are not of one IP version")
    return Ends(remote_as, local_as, remote.packed, local.packed)


def header_line(ends: Ends) -> str:
    """Return the first line of a recording in JSON."""
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "local_address": str(ip_address(ends.local_address)),
        "remote_address": str(ip_address(ends.peer_address)),
        "local_as": ends.local_as,
        "remote_as": ends.peer_as,
    }
    return json.dumps(facts) + "\n"


def moment_line(moment: Moment) -> str:
    """Return the line of one moment."""
    facts: dict[str, Any] = {"time": round(moment.time, 6), "what": moment.what.value}
    if moment.octets:
        facts["octets"] = moment.octets.hex()
    return json.dumps(facts) + "\n"


def read_json(file: TextSource) -> Recording:
    """Read a recording of JSON lines; ``where`` of a FormatError is the number of the line."""
    first = _facts(file.readline(_LONGEST_LINE), 1)
    if (first.get("format"), first.get("version")) != (FORMAT, VERSION):
        raise FormatError(f"no {FORMAT} of version {VERSION}", 1)
    try:
        ends = parse_ends(first["local_address"], first["remote_address"], first["local_as"], first["remote_as"])
    except (KeyError, LocalError) as error:
        raise FormatError(f"first line: {error}", 1) from error
    return Recording(ends, _moments(file))


def _facts(line: str, number: int) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no JSON: {error}", number) from error
    if not isinstance(facts, dict):
        raise FormatError("no JSON object", number)
    return facts


def _moments(file: TextSource) -> Iterator[Moment]:
    number = 1
    while line := file.readline(_LONGEST_LINE):
        number += 1
        facts = _facts(line, number)
        try:
            time = float(facts["time"])
            moment = Moment(time, What(facts["what"]), bytes.fromhex(facts.get("octets", "")))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FormatError(f"moment: {error!r}", number) from error
        if not isfinite(time):
            raise FormatError(f"time {time}", number)
        yield moment


def read_mrt(file: Source, peer_address: str = "") -> Recording:
    """Read the session with one peer out of an MRT file: that with ``peer_address``, else that of the first record.

    Messages that the collector sent are there if it wrote them (the LOCAL subtypes).  A session whose beginning is
    not in the file is taken as connected just before its first message.
    """
    try:
        wanted = ip_address(peer_address).packed if peer_address else None
    except ValueError as error:
        raise LocalError(f"peer_address: {error}") from error
    moments = _mrt_moments(file, wanted)
    first = next(moments, None)
    if first is None:
        raise FormatError(f"no session with {peer_address or 'anyone'} in the file", 0)
    return Recording(first[0], (moment for _, moment in chain([first], moments)))


def _mrt_moments(file: Source, wanted: bytes | None) -> Iterator[tuple[Ends, Moment]]:
    is_connected = False
    for record in MrtReader(file):
        value = decode(record)
        if not isinstance(value, BgpMessage | StateChange):
            continue
        wanted = wanted or value.ends.peer_address
        if value.ends.peer_address != wanted:
            continue
        for moment in _told_by(value, record.time, is_connected):
            is_connected = moment.what is not What.ENDED
            yield value.ends, moment


def _told_by(value: BgpMessage | StateChange, time: float, is_connected: bool) -> Iterable[Moment]:
    if isinstance(value, BgpMessage):
        moment = Moment(time, What.SENT if value.is_local else What.RECEIVED, value.message)
        return (moment,) if is_connected else (Moment(time, What.CONNECTED), moment)
    if value.new_state == OPEN_SENT and not is_connected:
        return (Moment(time, What.CONNECTED),)
    if value.new_state == IDLE and is_connected:
        return (Moment(time, What.ENDED),)
    return ()
