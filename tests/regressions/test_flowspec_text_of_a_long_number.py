"""A number of more than 64 bits in the text of a flow specification ended in StopIteration."""

from __future__ import annotations

import pytest

from pybgp.errors import LocalError
from pybgp.wire.families import IPV4_FLOWSPEC
from pybgp.wire.nlri import format_nlri, parse_nlri


def test_a_number_of_65_bits_is_an_error_that_says_so() -> None:
    with pytest.raises(LocalError, match="eight octets"):
        parse_nlri(IPV4_FLOWSPEC, f"port=={1 << 64}")
    longest = f"port=={(1 << 64) - 1}"
    assert format_nlri(IPV4_FLOWSPEC, parse_nlri(IPV4_FLOWSPEC, longest)) == longest
