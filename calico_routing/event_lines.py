"""What `pybgp-node monitor` and `history` print: events and past changes as lines of JSON; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pybgp.rib.path import Addition
from pybgp.rib.policy.attribute_text import attribute_texts
from pybgp.wire.nlri import PATH_ID_LENGTH, format_key, path_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.path import Change
    from pybgp.session.neighbor import Transition
    from pybgp.transport.cause import Cause
    from pybgp.transport.event_stream import Happening
    from pybgp.transport.route_history import Entry
    from pybgp.wire.families import Family

VERSION: Final = 1
#: Prefixes in one line; what an event says of more is told in several, with the same number.
PREFIXES_IN_A_LINE: Final = 1_000


def event_lines(happening: Happening) -> Iterator[str]:
    """Yield the line of an event, or several of one with very many prefixes."""
    document: dict[str, Any] = {"sequence": happening.sequence, "time": happening.time, "event": happening.kind}
    if happening.peer:
        document["peer"] = happening.peer
    if happening.family is not None:
        document["family"] = str(happening.family)
    if happening.detail is not None:
        document |= happening.detail
    if happening.view:
        document["view"] = happening.view
    if happening.kind != "route" or happening.family is None:
        yield json.dumps(document) + "\n"
        return
    document["action"] = happening.action
    if happening.cause is not None:
        document["cause"] = happening.cause.kind
    if happening.attributes is not None:
        document["attributes"] = attribute_texts(happening.attributes)
    raw, keys = happening.has_path_ids, happening.keys
    for start in range(0, len(keys), PREFIXES_IN_A_LINE):
        part = keys[start : start + PREFIXES_IN_A_LINE]
        document["prefixes"] = [_text(happening.family, key, raw) for key in part]
        if raw:
            document["path_ids"] = [path_id(key) for key in part]
        if len(keys) > PREFIXES_IN_A_LINE:
            document["part"] = start // PREFIXES_IN_A_LINE + 1
        yield json.dumps(document) + "\n"


def _text(family: Family, key: bytes, raw: bool) -> str:
    return format_key(family, key[PATH_ID_LENGTH:] if raw else key)


def history_lines(
    found: Iterable[tuple[Entry, Change] | None],
    names: Mapping[int, str],
    transitions: Sequence[Transition] = (),
    only: bytes | None = None,
) -> Iterator[str]:
    """Yield the changes in order of time, ``transitions`` of a session among them; ``only``: of this prefix alone."""
    waiting = sorted(transitions, key=lambda one: one.time)[::-1]
    count = 0
    for one in found:
        if one is None:
            yield ""
            continue
        entry, change = one
        while waiting and waiting[-1].time <= entry.time:
            count += 1
            yield _transition(waiting.pop())
        front = _change_front(entry.time, entry.cause, change, names)
        for key in change.keys if only is None else (only,):
            count += 1
            yield front + json.dumps(format_key(change.family, key)) + "}\n"
    for transition in reversed(waiting):
        count += 1
        yield _transition(transition)
    yield json.dumps({"end": True, "count": count}) + "\n"


def _change_front(time: float, cause: Cause, change: Change, names: Mapping[int, str]) -> str:
    """Return a line up to its prefix, which alone differs within a change."""
    path = change.path
    action = "withdraw" if path is None else "add" if isinstance(change, Addition) else "replace"
    document = {
        "time": time,
        "action": action,
        "cause": cause.kind,
        "by": cause.peer,
        "from": None if path is None else names.get(path.peer, str(path.peer)),
        "attributes": None if path is None else attribute_texts(path.attributes),
        "family": str(change.family),
    }
    return json.dumps(document)[:-1] + ', "prefix": '


def _transition(transition: Transition) -> str:
    document = {
        "time": transition.time,
        "action": "session",
        "from": str(transition.old),
        "to": str(transition.new),
        "cause": transition.cause.name.lower().replace("_", "-"),
        "incoming": transition.incoming,
    }
    return json.dumps(document) + "\n"
