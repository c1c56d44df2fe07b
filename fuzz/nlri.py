"""Any octets as an NLRI field: both splits agree, and every key survives its text."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.strategies import any_octets, keys
from fuzz.target import Target, seeds
from pybgp.errors import RemoteError
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_prefix, is_odd, parse_prefix, split_careful, split_fast, strip_path_id


def check(octets: bytes) -> None:
    for family in (IPV4_UNICAST, IPV6_UNICAST):
        for add_path in (False, True):
            fast = split_fast(family, octets, add_path)
            try:
                careful = split_careful(family, octets, add_path)
            except RemoteError:
                assert fast is None
                continue
            odd = any(is_odd(family, key, add_path=add_path) for key in careful)
            is_clean = b"".join(careful) == octets and not odd
            assert fast == (careful if is_clean else None)
            for key in careful:
                text = format_prefix(family, key, add_path=add_path)
                assert parse_prefix(text) == (family, strip_path_id(key) if add_path else key)


FIELDS = st.one_of(
    [
        st.lists(keys(family, add_path=add_path), max_size=12).map(b"".join)
        for family in (IPV4_UNICAST, IPV6_UNICAST)
        for add_path in (False, True)
    ]
)
TARGET = Target("nlri", any_octets(FIELDS, seeds("nlri")), check)
