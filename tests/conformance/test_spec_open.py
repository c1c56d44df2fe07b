"""OPEN and capabilities: every check of the specification's sections 2 and 3, valid and broken once, seen from outside.

Written from the text, not from the code: a peer's OPEN goes into a session in OpenSent, and what it sends back is read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from pybgp.session.config import PeerConfig
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.capabilities import decode_capabilities, encode_capabilities
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AddPathMode, MessageType, Role
from pybgp.wire.messages import Notification, Open, decode_open, encode
from pybgp.wire.negotiated import negotiate
from pybgp.wire.update_encoding import message_octets
from tests.pybgp.session.session_examples import KEEPALIVE, messages, session

CONFIG = PeerConfig("192.0.2.2", remote_as=65002, local_as=65001, router_id=0x0A000001)
IBGP = replace(CONFIG, remote_as=65001)
BOTH = replace(CONFIG, families=(IPV4_UNICAST, IPV6_UNICAST))
CUSTOMER = replace(CONFIG, role=Role.CUSTOMER)
AS4 = "4104 0000fdea"


class Case(NamedTuple):
    """A peer's OPEN, and the NOTIFICATION it gets (code, subcode, data); None: the session goes on."""

    about: str
    octets: bytes
    answer: tuple[int, int, str] | None
    on: PeerConfig = CONFIG


def open_(
    parameters: str = "",
    *,
    version: int = 4,
    asn: int = 65002,
    hold_time: int = 90,
    identifier: int = 0x0A000002,
    length: int | None = None,
) -> bytes:
    field = bytes.fromhex(parameters)
    count = len(field) if length is None else length
    fixed = bytes([version]) + asn.to_bytes(2, "big") + hold_time.to_bytes(2, "big") + identifier.to_bytes(4, "big")
    return message_octets(MessageType.OPEN, fixed + bytes([count]) + field)


def offering(*capabilities: str, asn: int = 65002, **fields: int) -> bytes:
    """One capabilities parameter."""
    field = bytes.fromhex("".join(capabilities))
    return open_((bytes([2, len(field)]) + field).hex(), asn=asn, **fields)


def extended(total: int, parameters: str, length: int = 255) -> bytes:
    return open_("ff" + total.to_bytes(2, "big").hex() + parameters, length=length)


MP4, MP6 = "0104 0001 00 01", "0104 0002 00 01"
CASES = [
    Case("nothing offered", open_(), None),
    Case("four octets", offering(AS4), None),
    *(Case("version", open_(version=version), (2, 1, "0004")) for version in (0, 1, 2, 3, 5, 255)),
    # AS numbers
    Case("another AS", open_(asn=65003), (2, 2, "")),
    Case("another AS in the capability", offering("4104 0000fdeb"), (2, 2, "")),
    Case("another AS in the field, the capability counts", offering(AS4, asn=23456), None),
    Case("AS 0 in the field", open_(asn=0), (2, 2, "")),
    Case("AS 0 in the field, a good capability", offering(AS4, asn=0), (2, 2, "")),
    Case("AS 0 in the capability", offering("4104 00000000"), (2, 2, "")),
    Case("AS_TRANS alone", open_(asn=23456), (2, 2, "")),
    Case("AS_TRANS as configured", open_(asn=23456), None, replace(CONFIG, remote_as=23456)),
    Case("large AS", offering("4104 fffffffe", asn=23456), None, replace(CONFIG, remote_as=0xFFFFFFFE)),
    # identifiers
    Case("identifier 0", open_(identifier=0), (2, 3, "")),
    Case("our own identifier outside", open_(identifier=0x0A000001), None),
    Case("our own identifier inside", open_(asn=65001, identifier=0x0A000001), (2, 3, ""), IBGP),
    *(Case("any identifier", open_(identifier=number), None) for number in (1, 0x7F000001, 0xE0000001, 0xFFFFFFFF)),
    # hold time
    *(Case("hold time", open_(hold_time=seconds), (2, 6, f"{seconds:04x}")) for seconds in (1, 2)),
    *(Case("hold time", open_(hold_time=seconds), None) for seconds in (0, 3, 65535)),
    Case("hold time below ours", open_(hold_time=9), (2, 6, "0009"), replace(CONFIG, minimum_hold_time=10)),
    # parameters
    *(Case("parameter", open_(f"{kind:02x} 01 00"), (2, 4, "")) for kind in (0, 1, 3, 254)),
    Case("parameter behind a good one", open_("02 02 0200 01 00"), (2, 4, "")),
    Case("255 as a later parameter", open_("02 02 0200 ff 00"), (2, 4, "")),
    Case("255 as a later long parameter", extended(8, "02 0002 0200 ff 0000"), (2, 4, "")),
    Case("two parameters", open_("02 02 0200 02 06" + AS4), None),
    Case("an empty one", open_("02 00"), None),
    Case("parameter overruns", open_("02 07" + AS4), (2, 0, "")),
    Case("type alone", open_("02"), (2, 0, "")),
    Case("octets behind", open_("02 06" + AS4 + "0000", length=8), (2, 0, "")),
    Case("octets missing", open_("02 06" + AS4, length=9), (2, 0, "")),
    Case("nothing announced, something there", open_("02 06" + AS4, length=0), (2, 0, "")),
    Case("capability overruns", open_("02 06 4105 0000fdea"), (2, 0, "")),
    Case("capability code alone", open_("02 01 41"), (2, 0, "")),
    Case("long parameters", extended(9, "02 0006" + AS4), None),
    Case("long parameters, any length octet", extended(9, "02 0006" + AS4, length=1), None),
    Case("long parameters, none", extended(0, ""), None),
    Case("long parameters cut", extended(9, "02 0006" + AS4[:-2]), (2, 0, "")),
    Case("long parameters, octets behind", extended(9, "02 0006" + AS4 + "00"), (2, 0, "")),
    Case("long parameter overruns", extended(9, "02 0007" + AS4), (2, 0, "")),
    *(Case("long marker cut", open_("ff00"[: 2 * size], length=255), (2, 0, "")) for size in (1, 2)),
    Case("long header cut", extended(2, "02 00"), (2, 0, "")),
    # capabilities with fixed lengths
    *(Case("MP", offering(f"01{size:02x}" + "00" * size), (2, 0, "")) for size in (0, 1, 3, 5, 8)),
    *(Case("four octets", offering(f"41{size:02x}" + "01" * size), (2, 0, "")) for size in (0, 2, 3, 5)),
    *(Case("GR", offering(f"40{size:02x}" + "00" * size), (2, 0, "")) for size in (0, 1, 3, 4, 5, 7)),
    *(Case("GR", offering(f"40{size:02x}" + "00" * size), None) for size in (2, 6, 10)),
    *(Case("ADD-PATH", offering(f"45{size:02x}" + "00" * size), (2, 0, "")) for size in (1, 3, 5)),
    *(Case("LLGR", offering(f"47{size:02x}" + "00" * size), (2, 0, "")) for size in (1, 6, 8)),
    *(Case("LLGR", offering(f"47{size:02x}" + "00" * size), None) for size in (0, 7, 14)),
    *(Case("next hop", offering(f"05{size:02x}" + "00" * size), (2, 0, "")) for size in (1, 4, 5, 7)),
    *(Case("labels", offering(f"08{size:02x}" + "00" * size), (2, 0, "")) for size in (1, 3, 5)),
    *(Case("role", offering(f"09{size:02x}" + "00" * size), (2, 0, "")) for size in (0, 2)),
    Case("ORF", offering("0307 0001 00 01 01 40 03"), None),
    Case("ORF overruns", offering("0307 0001 00 01 02 40 03"), (2, 0, "")),
    Case("FQDN", offering("4904 01 61 01 62"), None),
    *(Case("FQDN overruns", offering(value), None) for value in ("4900", "4901 05", "4903 05 6162", "4903 01 61 05")),
    *(Case("version text", offering(value), None) for value in ("4b00", "4b02 ff 61", "4b01 00", "4b02 01 61")),
    *(Case("paths limit", offering(value), None) for value in ("4c00", "4c05 0001 01 0005", "4c04 0001 01 00")),
    *(Case("unknown", offering(f"{code:02x}02 0102"), None) for code in (7, 10, 66, 67, 72, 74, 77, 127, 200, 255)),
    *(Case("nothing in it", offering(f"{code:02x}00"), None) for code in (2, 6, 70, 128)),
    # families
    Case("none in common", offering(MP6), (2, 7, "0104 0001 00 01")),
    Case("none in common with two", offering("0104 0019 00 46"), (2, 7, "0104 0001 00 01 0104 0002 00 01"), BOTH),
    Case("none in common, which may be", offering(MP6), None, replace(CONFIG, require_common_family=False)),
    Case("an unknown one besides", offering(MP4, "0104 ffff 00 ff"), None),
    # what is required
    Case("required and there", offering(AS4), None, replace(CONFIG, required_capabilities=frozenset({65}))),
    Case("required", open_(), (2, 7, "4104 0000fde9"), replace(CONFIG, required_capabilities=frozenset({65}))),
    # roles
    Case("a role that fits", offering("0901 00"), None, CUSTOMER),
    *(Case("a role that does not", offering(f"0901 {role:02x}"), (2, 11, ""), CUSTOMER) for role in (1, 2, 3, 4, 5, 9)),
    Case("two that differ", offering("0901 00 0901 03"), (2, 11, ""), CUSTOMER),
    Case("the same twice", offering("0901 00 0901 00"), None, CUSTOMER),
    Case("none", open_(), None, CUSTOMER),
    Case("none, strictly", open_(), (2, 11, ""), replace(CUSTOMER, strict_role=True)),
    *(
        Case("pairs", offering(f"0901 {theirs:02x}"), None if fits else (2, 11, ""), replace(CONFIG, role=Role(ours)))
        for ours in range(5)
        for theirs in range(5)
        for fits in [(ours, theirs) in {(0, 3), (3, 0), (1, 2), (2, 1), (4, 4)}]
    ),
    Case("a role inside counts for nothing", offering("0901 04", asn=65001), None, IBGP),
]


def heard(case: Case) -> tuple[Session, list[Notification]]:
    machine = session(case.on)
    machine.start(0.0)
    machine.connection_made(0.0)
    machine.data_to_send()
    machine.receive_data(case.octets, 1.0)
    return machine, [item for item in messages(machine.data_to_send()) if isinstance(item, Notification)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.about} {case.octets[19:].hex()[:48]}")
def test_an_open_is_answered(case: Case) -> None:
    machine, sent = heard(case)
    if case.answer is None:
        assert sent == []
        assert machine.state is State.OPEN_CONFIRM
        machine.receive_data(KEEPALIVE, 2.0)
        assert machine.state is State.ESTABLISHED
    else:
        code, subcode, data = case.answer
        assert sent == [Notification(code, subcode, bytes.fromhex(data))]
        assert machine.state is State.IDLE


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.answer is None], ids=lambda case: case.octets[19:].hex()
)
def test_what_is_accepted_is_written_again(case: Case) -> None:
    found = decode_open(case.octets)
    assert decode_open(encode(found)) == found


@pytest.mark.parametrize("length", range(19, 29))
def test_an_open_that_is_too_short(length: int) -> None:
    octets = b"\xff" * 16 + length.to_bytes(2, "big") + b"\1" + open_()[19:length]
    machine, sent = heard(Case("short", octets, None))
    assert sent == [Notification(1, 2, length.to_bytes(2, "big"))]
    assert machine.state is State.IDLE


@pytest.mark.parametrize("limit", [4097, 65535])
def test_an_open_is_never_longer_than_4096(limit: int) -> None:
    """RFC 8654 section 4, whatever was advertised."""
    octets = b"\xff" * 16 + limit.to_bytes(2, "big") + b"\1"
    _, sent = heard(Case("long", octets, None, replace(CONFIG, extended_message=True)))
    assert sent == [Notification(1, 2, limit.to_bytes(2, "big"))]


def in_force(*capabilities: str, on: PeerConfig = BOTH) -> Any:
    machine, sent = heard(Case("", offering(*capabilities), None, on))
    assert sent == []
    return machine.negotiated


def test_a_peer_without_families_speaks_ipv4_alone() -> None:
    assert in_force(AS4).families == {IPV4_UNICAST}


def test_a_peer_that_names_families_speaks_no_others() -> None:
    assert in_force(MP6).families == {IPV6_UNICAST}
    assert in_force(MP4, MP6).families == {IPV4_UNICAST, IPV6_UNICAST}


def test_hold_time_is_the_smaller_and_zero_means_none() -> None:
    for ours, theirs, expected in ((90, 30, 30), (90, 240, 90), (90, 0, 0), (0, 90, 0)):
        machine, _ = heard(Case("", open_(hold_time=theirs), None, replace(CONFIG, hold_time=ours)))
        assert machine.negotiated is not None
        assert machine.negotiated.hold_time == expected
        if not expected:
            assert not {"hold", "keepalive"} & {name.lower() for name, left in machine.timers(1.0).items() if left}


def test_extended_messages_count_by_direction() -> None:
    """We take long ones if *we* said so, and send them if the *peer* did (RFC 8654 section 4)."""
    on = replace(BOTH, extended_message=True)
    assert (in_force(MP4, on=on).receive_limit, in_force(MP4, on=on).send_limit) == (65535, 4096)
    off = replace(BOTH, extended_message=False)
    assert (in_force("0600", MP4, on=off).receive_limit, in_force("0600", MP4, on=off).send_limit) == (4096, 65535)


@pytest.mark.parametrize(("mode", "sends"), [(1, False), (2, True), (3, True), (0, False), (4, False), (255, False)])
def test_an_unknown_mode_of_add_path_drops_its_tuple_alone(mode: int, sends: bool) -> None:
    on = replace(BOTH, add_path=((IPV4_UNICAST, AddPathMode.BOTH), (IPV6_UNICAST, AddPathMode.BOTH)))
    found = in_force(MP4, MP6, f"4508 0001 01 {mode:02x} 0002 01 03", on=on)
    assert (IPV4_UNICAST in found.add_path_receive) == sends
    assert IPV6_UNICAST in found.add_path_receive


def test_long_lived_restart_counts_only_beside_graceful_restart() -> None:
    lived = "4707 0001 01 80 000e10"
    assert in_force(MP4, lived).long_lived is None
    assert in_force(MP4, lived, "4006 0078 0001 01 80").long_lived is not None


def test_the_last_graceful_restart_counts() -> None:
    found = in_force(MP4, "4002 0078", "4006 8078 0001 01 80").graceful_restart
    assert found is not None
    assert (found.restart_state, found.restart_time, found.families) == (True, 120, ((IPV4_UNICAST, True),))


def test_next_hop_tuples_that_rfc_8950_does_not_allow_are_ignored() -> None:
    def agreed(tuples: str) -> frozenset[Family]:
        value = bytes.fromhex(tuples)
        field = bytes.fromhex(MP4 + MP6) + bytes([5, len(value)]) + value
        ours, theirs = (Open(asn, 90, asn, tuple(decode_capabilities(field))) for asn in (65001, 65002))
        return negotiate(ours, theirs).extended_next_hop

    assert agreed("0001 0001 0002") == {IPV4_UNICAST}
    assert agreed("0001 0001 0002 0002 0001 0001") == {IPV4_UNICAST}
    for other in ("", "0002 0001 0001", "0001 0001 0001", "0001 0085 0002", "0001 0101 0002"):
        assert agreed(other) == set(), other


@pytest.mark.parametrize("field", ["", "0104 0001 00 01", "0104 0001 ff 01", "0200", "8000", "0600", "4600"])
def test_capabilities_are_written_as_they_came_but_for_reserved_octets(field: str) -> None:
    octets = bytes.fromhex(field)
    assert encode_capabilities(decode_capabilities(octets)) == octets.replace(b"\xff", b"\0")


def test_a_large_as_stands_as_as_trans_in_the_field() -> None:
    machine = session(replace(CONFIG, local_as=4200000000))
    machine.start(0.0)
    machine.connection_made(0.0)
    octets = machine.data_to_send()
    assert octets[20:22] == (23456).to_bytes(2, "big")
    (said,) = [message for message in messages(octets) if isinstance(message, Open)]
    assert said.asn == 4200000000


def test_long_parameters_are_written_only_where_they_are_needed() -> None:
    families = tuple(Family(1, number) for number in range(1, 60))
    said = decode_capabilities(b"".join(b"\1\4\0\1\0" + bytes([family.safi]) for family in families))
    octets = encode(Open(65001, 90, 1, tuple(said)))
    assert octets[28:30] == b"\xff\xff"
    assert decode_open(octets).capabilities == tuple(said)
    assert encode(Open(65001, 90, 1, tuple(said[:3])))[28] < 255
