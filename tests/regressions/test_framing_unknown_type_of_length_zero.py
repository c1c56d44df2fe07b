"""Found by the session fuzz target: an unknown type with length 0 came out as an empty message."""

from __future__ import annotations

import pytest

from pybgp.errors import RemoteError
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MARKER


@pytest.mark.parametrize("kind", [0, 6, 255])
def test_length_zero_is_an_error_for_any_type(kind: int) -> None:
    framer = Framer()
    framer.feed(MARKER + b"\0\0" + bytes([kind]))
    with pytest.raises(RemoteError) as raised:
        framer.next_message()
    assert (raised.value.code, raised.value.subcode) == (1, 2)
