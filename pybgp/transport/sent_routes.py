"""What the octets that we write tell a peer: the routes in them, read as the peer reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pybgp.formats.mrt_routes import LENIENT
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MessageType
from pybgp.wire.routes import routes_of
from pybgp.wire.updates import decode_update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated
    from pybgp.wire.updates import NlriSet

#: Nothing is refused: this is about what was said.
_ANYTHING: Final = replace(LENIENT, loopback_next_hop=True)
_TYPE: Final = 18


def other_side(negotiated: Negotiated) -> Negotiated:
    """Return the session as the peer sees it."""
    return replace(
        negotiated,
        local_as=negotiated.peer_as,
        peer_as=negotiated.local_as,
        add_path_receive=negotiated.add_path_send,
        add_path_send=negotiated.add_path_receive,
        receive_limit=negotiated.send_limit,
        send_limit=negotiated.receive_limit,
        label_limits=negotiated.peer_label_limits,
        peer_label_limits=negotiated.label_limits,
        options=_ANYTHING,
    )


def routes_in(octets: bytes, negotiated: Negotiated) -> Iterator[NlriSet | Family]:
    """Yield the routes in whole messages to a peer, withdrawn ones without attributes; a family is its End-of-RIB.

    Raises RemoteError for octets that are no messages of this session.
    """
    reader, store, framer = other_side(negotiated), AttributeStore(), Framer(negotiated.send_limit)
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        if message[_TYPE] != MessageType.UPDATE:
            continue
        update = decode_update(message, reader, store)
        yield from routes_of(update.withdrawn, reader.add_path_receive)
        yield from routes_of(update.announced, reader.add_path_receive)
        if update.end_of_rib is not None:
            yield update.end_of_rib
