"""Capabilities: octets of each code, what is malformed, what stays opaque."""

from __future__ import annotations

import pytest

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.capabilities import (
    CAPABILITIES,
    AddPath,
    Capability,
    EnhancedRouteRefresh,
    ExtendedMessage,
    ExtendedNextHop,
    FourOctetAs,
    GracefulRestart,
    Hostname,
    LongLivedGracefulRestart,
    MultipleLabels,
    MultiprotocolCapability,
    OpaqueCapability,
    OutboundRouteFilter,
    PathsLimit,
    RoleCapability,
    RouteRefresh,
    SoftwareVersion,
    decode_capabilities,
    decode_capability,
    encode_capability,
)
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import CapabilityCode

GOLDEN: list[tuple[Capability, str]] = [
    (MultiprotocolCapability(IPV6_UNICAST), "0104 00020001"),
    (RouteRefresh(), "0200"),
    (RouteRefresh(128), "8000"),
    (ExtendedNextHop(((IPV4_UNICAST, 2),)), "0506 000100010002"),
    (ExtendedMessage(), "0600"),
    (GracefulRestart(restart_time=120), "4002 0078"),
    (GracefulRestart(True, True, 4095, ((IPV4_UNICAST, True), (IPV6_UNICAST, False))), "400a cfff 00010180 00020100"),
    (FourOctetAs(4200000000), "4104 fa56ea00"),
    (AddPath(((IPV4_UNICAST, 3), (IPV6_UNICAST, 1))), "4508 00010103 00020101"),
    (EnhancedRouteRefresh(), "4600"),
    (LongLivedGracefulRestart(), "4700"),
    (LongLivedGracefulRestart(((IPV4_UNICAST, True, 0x010203),)), "4707 00010180 010203"),
    (Hostname("node", "lan"), "4909 04 6e6f6465 03 6c616e"),
    (OutboundRouteFilter(((IPV4_UNICAST, ((64, 3), (128, 1))),)), "0309 0001000102 4003 8001"),
    (MultipleLabels(((IPV4_UNICAST, 3),)), "0804 00010103"),
    (RoleCapability(3), "0901 03"),
    (SoftwareVersion("abc"), "4b04 03616263"),
    (PathsLimit(((IPV4_UNICAST, 300),)), "4c05 000101012c"),
    (OpaqueCapability(66, b"\x03abc"), "4204 03616263"),
]


@pytest.mark.parametrize(("capability", "octets"), GOLDEN, ids=lambda value: str(value)[:40])
def test_octets_of_each(capability: Capability, octets: str) -> None:
    wire = bytes.fromhex(octets)
    assert encode_capability(capability) == wire
    assert decode_capability(wire[0], wire[2:]) == capability
    assert decode_capabilities(wire) == [capability]


def test_every_code_has_a_golden_vector() -> None:
    assert {capability.code for capability, _ in GOLDEN} >= set(CAPABILITIES) == {int(code) for code in CapabilityCode}


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (1, "000100"),
        (1, "0001000100"),
        (2, "00"),
        (128, "00"),
        (5, "0001000100"),
        (6, "00"),
        (64, ""),
        (64, "0078000101"),
        (65, "000000"),
        (65, "0000000000"),
        (69, "000101"),
        (70, "00"),
        (71, "000101800000"),
        (3, ""),
        (3, "00010001"),
        (3, "0001000102400380"),
        (8, "000101"),
        (9, ""),
        (9, "0000"),
    ],
)
def test_a_wrong_length_ends_the_session(code: int, value: str) -> None:
    with pytest.raises(RemoteError) as caught:
        decode_capability(code, bytes.fromhex(value))
    assert (caught.value.code, caught.value.subcode) == (ErrorCode.OPEN_MESSAGE, 0)


@pytest.mark.parametrize(
    ("code", "value"),
    [(75, ""), (75, "ff61"), (75, "0061"), (75, "01ff"), (76, "0001010001ff"), (3, "0001000100ff"), (3, "0001050100")],
)
def test_what_is_only_for_people_or_cannot_be_written_again_is_kept_unread(code: int, value: str) -> None:
    octets = bytes.fromhex(value)
    assert decode_capability(code, octets) == OpaqueCapability(code, octets)
    assert encode_capability(decode_capability(code, octets))[2:] == octets


@pytest.mark.parametrize(
    "value", ["", "05", "056e6f", "016e", "016e05", "016e0161ff", "01ff00", "41" + "61" * 65 + "00"]
)
def test_a_malformed_hostname_is_kept_unread(value: str) -> None:
    octets = bytes.fromhex(value)
    assert decode_capability(73, octets) == OpaqueCapability(73, octets)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_cut_list(cut: int) -> None:
    field = bytes.fromhex("010400010001 4104 0000fde8")
    if cut == 6:
        assert decode_capabilities(field[:cut]) == [MultiprotocolCapability(IPV4_UNICAST)]
    else:
        with pytest.raises(RemoteError):
            decode_capabilities(field[:cut])


@pytest.mark.parametrize(
    "capability",
    [
        GracefulRestart(restart_time=4096),
        GracefulRestart(restart_time=-1),
        FourOctetAs(2**32),
        LongLivedGracefulRestart(((IPV4_UNICAST, True, 2**24),)),
        Hostname("x" * 65),
        AddPath(((IPV4_UNICAST, 256),)),
        OpaqueCapability(99, bytes(256)),
        AddPath(((IPV4_UNICAST, 1),) * 64),
    ],
)
def test_what_does_not_fit_is_our_own_fault(capability: Capability) -> None:
    with pytest.raises(LocalError):
        encode_capability(capability)
