from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.kernel.netlink import codec
from calico_routing.kernel.netlink.errors import CapabilityMissingError, KernelError, kernel_error

#: What a kernel 6.18 answered to a route whose gateway is not on the device, with NETLINK_CAP_ACK and NETLINK_EXT_ACK.
REFUSAL = bytes.fromhex(
    "440000000200000313000000051500009bffffff34000000180005041300000000000000"
    "200001004e657874686f702068617320696e76616c6964206761746577617900"
)


def acknowledgements(datagram: bytes) -> list[codec.Acknowledgement]:
    return [codec.decode_acknowledgement(datagram, message) for message in codec.split_messages(datagram)]


def test_a_recorded_refusal_has_number_and_text() -> None:
    assert acknowledgements(REFUSAL) == [codec.Acknowledgement(19, 101, "Nexthop has invalid gateway")]


def test_a_refusal_that_echoes_the_whole_request_has_its_text_behind_the_echo() -> None:
    request = codec.message(codec.RTM_NEWROUTE, 0, 7, bytes(20))
    text = codec.attribute_text(codec.NLMSGERR_ATTR_MSG, "no")
    body = pack("=i", -22) + request + text
    datagram = codec.message(codec.NLMSG_ERROR, codec.NLM_F_ACK_TLVS, 7, body)
    assert acknowledgements(datagram) == [codec.Acknowledgement(7, 22, "no")]


def test_the_end_of_a_dump_may_carry_an_error() -> None:
    datagram = codec.message(codec.NLMSG_DONE, 0, 3, pack("=i", -2))
    assert acknowledgements(datagram) == [codec.Acknowledgement(3, 2, "")]
    assert acknowledgements(codec.message(codec.NLMSG_DONE, 0, 3, b"")) == [codec.Acknowledgement(3, 0, "")]


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.binary(max_size=40))
    )
)
def test_messages_round_trip(messages: list[tuple[int, int, int, bytes]]) -> None:
    datagram = b"".join(codec.message(*parts) for parts in messages)
    found = [
        (one.kind, one.flags, one.sequence, datagram[one.start : one.end]) for one in codec.split_messages(datagram)
    ]
    assert found == messages


@given(st.dictionaries(st.integers(1, codec.NLA_TYPE_MASK), st.binary(max_size=40)))
def test_attributes_round_trip(payloads: dict[int, bytes]) -> None:
    body = b"".join(codec.attribute(kind, payload) for kind, payload in payloads.items())
    assert codec.attributes(body, 0, len(body)) == payloads


def test_every_cut_of_a_message_is_an_error_and_nothing_else() -> None:
    for size in range(1, len(REFUSAL)):
        with pytest.raises(KernelError, match="malformed"):
            acknowledgements(REFUSAL[:size])


@given(st.binary(max_size=200))
def test_any_octets_are_messages_or_a_clean_error(octets: bytes) -> None:
    try:
        acknowledgements(octets)
    except KernelError as error:
        assert "malformed" in str(error)


def test_an_error_says_what_was_attempted_the_kernels_text_and_the_number() -> None:
    error = kernel_error(101, "add route 10.0.0.0/8", "Nexthop has invalid gateway", destination="10.0.0.0/8")
    assert str(error) == "add route 10.0.0.0/8: Nexthop has invalid gateway (ENETUNREACH)"
    assert error.error_number == 101
    assert error.destination == "10.0.0.0/8"
    assert str(kernel_error(17, "add")) == "add: File exists (EEXIST)"


@pytest.mark.parametrize("number", [1, 13])
def test_a_missing_capability_is_named(number: int) -> None:
    error = kernel_error(number, "create veth a", "")
    assert isinstance(error, CapabilityMissingError)
    assert "needs CAP_NET_ADMIN" in str(error)
