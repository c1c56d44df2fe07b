"""Any octets as one message: a value or a clean error; and what was read is written and read as the same."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.strategies import any_octets, attributes, keys, messages
from fuzz.target import Target, seeds
from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.messages import Message, Update, decode, encode, encode_updates
from pybgp.wire.negotiated import Negotiated

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


def check(octets: bytes) -> None:
    for session in (OLD_SESSION, SESSION):
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
