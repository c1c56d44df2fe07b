"""Any octets as a stream: fed whole or octet by octet it gives the same messages and the same error."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from fuzz.messages import VALID
from fuzz.strategies import any_octets
from fuzz.target import Target
from pybgp.errors import RemoteError
from pybgp.wire.framing import Framer


def outcome(chunks: Iterable[bytes]) -> tuple[list[bytes], str]:
    """The messages of a stream and the error that ended it."""
    framer, found = Framer(), []
    try:
        for chunk in chunks:
            framer.feed(chunk)
            while (message := framer.next_message()) is not None:
                found.append(message)
    except RemoteError as error:
        return found, f"{type(error).__name__} {error.code}/{error.subcode} {error.data.hex()}"
    return found, ""


def check(octets: bytes) -> None:
    whole = outcome([octets])
    assert whole == outcome(octets[place : place + 1] for place in range(len(octets)))
    assert whole == outcome([octets[:23], octets[23:]])
    assert octets.startswith(b"".join(whole[0]))


TARGET = Target("framing", any_octets(st.lists(VALID, max_size=4).map(b"".join)), check)
