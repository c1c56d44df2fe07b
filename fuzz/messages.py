"""Any octets as one message: a value or a clean error; and what was read is written and read as the same.

The short ways through an UPDATE and the walk agree, whatever it looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from fuzz.strategies import any_octets, attributes, keys, messages
from fuzz.target import Target, seeds
from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.messages import Message, Update, decode, encode, encode_updates
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.updates import decode_update, walk_update

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILIES = frozenset({IPV4_UNICAST, IPV6_UNICAST})
SESSION = Negotiated(65000, 65000, 1, 2, families=FAMILIES, enhanced_refresh=True)
#: the same to a peer of two-octet AS numbers, with path identifiers.
OLD_SESSION = Negotiated(65000, 65001, 1, 2, families=FAMILIES, asn4=False, add_path_receive=FAMILIES)


def read_again(octets: bytes) -> list[Message]:
    """Every message in the octets."""
    framer, store = Framer(), AttributeStore()
    found: list[Message] = []
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        found.append(decode(message, SESSION, store))
    return found


def outcome(read: Callable[[bytes, Negotiated, AttributeStore], Update], octets: bytes, session: Negotiated) -> object:
    """An UPDATE, or what the session ends with."""
    try:
        return read(octets, session, AttributeStore())
    except RemoteError as error:
        return error.code, error.subcode, error.data, str(error)


def check_ways(octets: bytes, session: Negotiated) -> None:
    """Both ways of reading an UPDATE say the same."""
    short, walked = outcome(decode_update, octets, session), outcome(walk_update, octets, session)
    assert short == walked, f"{octets.hex()}: {short} is not {walked}"


def check(octets: bytes) -> None:
    for session in (OLD_SESSION, SESSION):
        check_ways(octets, session)
        try:
            message = decode(octets, session, AttributeStore())
        except RemoteError:
            message = None
    if message is None:
        return
    if isinstance(message, Update):
        missing = message.attributes is not None and not {1, 2} <= set(message.attributes.codes())
        if missing or not (message.announced or message.withdrawn or message.end_of_rib):
            return
    once = encode(message, SESSION)
    again = b"".join(encode(item, SESSION) for item in read_again(once))
    assert again == once, f"{once.hex()} became {again.hex()}"


def whole_updates() -> st.SearchStrategy[bytes]:
    made = [
        st.builds(
            lambda found, chosen, family=family: encode_updates(family, found, chosen, SESSION)[0],
            st.lists(keys(family), min_size=1, max_size=5),
            st.one_of(st.none(), attributes(family)),
        )
        for family in sorted(FAMILIES)
    ]
    return st.one_of(made)


VALID = st.one_of(messages.map(encode), whole_updates())
KINDS = ("open", "update", "notification", "keepalive", "route-refresh", "other")
TARGET = Target("messages", any_octets(VALID, seeds(*KINDS)), check)
