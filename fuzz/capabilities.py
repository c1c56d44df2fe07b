"""Any octets as capabilities: a list or a clean error, and the list is written and read as the same."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.strategies import any_octets, capabilities
from fuzz.target import Target, seeds
from pybgp.errors import RemoteError
from pybgp.wire.capabilities import decode_capabilities, encode_capabilities


def check(octets: bytes) -> None:
    try:
        found = decode_capabilities(octets)
    except RemoteError:
        return
    assert decode_capabilities(encode_capabilities(found)) == found


VALID = st.lists(capabilities, max_size=6).map(encode_capabilities)
TARGET = Target("capabilities", any_octets(VALID, seeds("capability")), check)
