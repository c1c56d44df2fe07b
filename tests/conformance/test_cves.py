"""What broke others, row by row of the table of vulnerabilities: the same octets cost what they must, and little time.

Each row is read whole, cut at every octet, with every octet changed, and with its lengths one off; whatever comes,
it is a verdict or one of the library's errors, and the UPDATE behind it is still read.
"""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from pybgp.errors import BgpError, RemoteError
from pybgp.session.events import UpdateReceived
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.as_path import AsPath, decode_as_path, encode_as_path
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes, Fault
from pybgp.wire.families import (
    EVPN,
    IPV4_FLOWSPEC,
    IPV4_LABELLED,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV6_FLOWSPEC,
    IPV6_UNICAST,
    LINK_STATE,
)
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Message, Notification, Update, decode, encode_updates
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.update_encoding import message_octets
from tests.pybgp.session.session_examples import drive, notifications, of_kind, ours, session, theirs
from tests.pybgp.wire.samples import (
    GOOD,
    NEXT_HOP,
    ORIGIN,
    PATH,
    PREFIX,
    REACH,
    UNREACH,
    attribute,
    update_message,
)

SPECIFICATION = Path(__file__).parents[2].parent / "shared" / "spec" / "cves.md"
FAMILIES = frozenset(
    {IPV4_UNICAST, IPV6_UNICAST, IPV4_LABELLED, IPV4_VPN, EVPN, IPV4_FLOWSPEC, IPV6_FLOWSPEC, LINK_STATE}
)
EBGP = Negotiated(65000, 65001, 1, 2, families=FAMILIES, receive_limit=65535, send_limit=65535)
IBGP = Negotiated(65001, 65001, 1, 2, families=FAMILIES, receive_limit=65535, send_limit=65535)
OLD = Negotiated(65000, 65001, 1, 2, families=FAMILIES, asn4=False)
LABELS = Negotiated(65000, 65001, 1, 2, families=FAMILIES, label_limits=((IPV4_LABELLED, 255), (IPV4_VPN, 255)))
ADD_PATH = Negotiated(65000, 65001, 1, 2, families=FAMILIES, add_path_receive=frozenset({IPV4_UNICAST}))
SENTINEL = update_message(GOOD, b"\x18\xc6\x33\x64")
#: seconds of CPU for one message, whatever its length (spec: 10 ms for 4096 octets, 150 ms for 65535).
BUDGETS = ((4096, 0.01), (65535, 0.15))


class Row(NamedTuple):
    """An id of the table, octets, and what they cost: an error pair, a verdict, or nothing."""

    id: str
    message: bytes
    cost: tuple[int, int] | Fault | None
    on: Negotiated = EBGP
    #: the length in the header is the one that the row is about.
    framed: bool = True


def open_message(parameters: str, *, length: int | None = None) -> bytes:
    octets = bytes.fromhex(parameters)
    count = len(octets) if length is None else length
    return message_octets(MessageType.OPEN, bytes.fromhex("04 fde9 005a 0a000002") + bytes([count]) + octets)


def capability(octets: str) -> bytes:
    field = bytes.fromhex(octets)
    return open_message((b"\x02" + bytes([len(field)]) + field).hex())


def extra(octets: str, *, base: bytes = GOOD, nlri: bytes = PREFIX) -> bytes:
    return update_message(base + bytes.fromhex(octets), nlri)


def reach(family: str, hop: str, nlri: str) -> bytes:
    value = bytes.fromhex(family) + bytes([len(bytes.fromhex(hop))]) + bytes.fromhex(hop) + b"\0" + bytes.fromhex(nlri)
    return update_message(attribute(0x90, 14, value) + ORIGIN + PATH)


def path(segments: bytes, *, base: bytes = ORIGIN + NEXT_HOP) -> bytes:
    return update_message(attribute(0x50, 2, segments) + base, PREFIX)


def segment(kind: int, *asns: int) -> bytes:
    return bytes([kind, len(asns)]) + struct.pack(f">{len(asns)}I", *asns)


def flowspec(nlri: str) -> bytes:
    return reach("000185", "", nlri)


def link_state(descriptors: str, *, length_off: int = 0) -> bytes:
    body = bytes.fromhex("02 0000000000000000" + descriptors)
    return reach("400447", "0a000001", (b"\0\1" + (len(body) + length_off).to_bytes(2, "big") + body).hex())


LONG = segment(2, *[65001] * 255)
#: a MAC/IP route, and an IP prefix of 33 bits.
MAC_IP = "0221" + "0000" + "00" * 6 + "00" * 10 + "00000000" + "30" + "020000000001" + "00" + "000064"
IP_PREFIX_33 = "0522" + "0000" + "00" * 6 + "00" * 10 + "00000000" + "21" + "0a000000" + "00000000" + "000064"
REFRESH = bytes.fromhex("0001 00 01 01")
LONG_REFRESH = REFRESH + bytes.fromhex("80 ffff 00")
MANY_FILTERS = b"\0\1\0\1" + b"\1\x80" + b"\x0f\xff" * 2000
SHORT_PATH = bytes.fromhex("400204 0201fde9")
CONFED_AS4_PATH = attribute(0xC0, 17, segment(3, 70000) + segment(2, 70001))
BAD_AS4_PATH = bytes.fromhex("c01103020100")
ZERO_SID = bytes.fromhex("c02814" + "00" * 20)
RULE_ALONE = attribute(0x80, 14, bytes.fromhex("000185 00 00 03 038106"))
RULE_GONE = attribute(0x80, 15, bytes.fromhex("000185 03 038106"))
LYING_HOP = bytes.fromhex("800e0a 000201 ff 0000000000 00")
TEXT = ("é" * 127).encode() + b"x"

ROWS = (
    # A. header and OPEN
    Row("CVE-2022-40302", open_message("ff00"), (2, 0)),
    Row("CVE-2022-40318", open_message("ff 0001 02", length=255), (2, 0)),
    Row("CVE-2022-43681", message_octets(MessageType.OPEN, open_message("")[19:-1]), (1, 2)),
    Row("CVE-2022-43681", open_message("02"), (2, 0)),
    Row("FRR 66845c2 (2026-06)", open_message("ff 000b 02 0008 4104 0000fde9 4600", length=255), None),
    Row("FRR 66845c2 (2026-06)", open_message("ff 000b 02 0008 4104 0000fde9 4600", length=1), None),
    Row("CVE-2012-1820", capability("0306 00010001 ff 40"), (2, 0)),
    Row("CVE-2012-0255", capability("4102 fde9"), (2, 0)),
    Row("FRR e1bb4ba (2026-03)", capability("4105 0000fde900"), (2, 0)),
    Row("CVE-2018-5381", capability("0104 ffff00ff" * 40), None),
    Row("CVE-2024-31949", message_octets(6, bytes.fromhex("00 0001 0104 00")), (1, 3)),  # type: ignore[arg-type]
    Row("CVE-2025-43971", capability("4b02 ff 61"), None),
    Row("FRR 5d7af51, b685ab5 (2024-06), b528017 (2026-04)", capability("4902 ff 61"), None),
    Row("CVE-2023-31489", capability("4708 0001018000000a ff"), (2, 0)),
    Row("CVE-2023-41360", message_octets(MessageType.ROUTE_REFRESH, REFRESH), (1, 2)),
    Row(
        "FRR 7a11059 (2026-03)",
        message_octets(MessageType.ROUTE_REFRESH, LONG_REFRESH),
        (1, 2),
    ),
    Row("CVE-2019-16159", message_octets(MessageType.NOTIFICATION, b"\x06\x02\xff" + TEXT), None),
    Row("GoBGP f0f24a2 (2026-03), f42a936 (2025-10)", b"\0" + SENTINEL[1:], (1, 1)),
    *(
        Row("GoBGP f0f24a2 (2026-03), f42a936 (2025-10)", b"\xff" * 16 + bytes([0, length, 4]), (1, 2), framed=False)
        for length in range(19)
    ),
    Row("header fuzz", b"\xff" * 16 + b"\0\x13\2", (1, 2), framed=False),
    Row("header fuzz", b"\xff" * 18 + b"\4", (1, 2), framed=False),
    *(Row("header fuzz", b"\xff" * 16 + bytes([0, 19, kind]), (1, 3), framed=False) for kind in (0, 6, 255)),
    # B. structure and mandatory attributes
    Row("CVE-2023-46753", update_message(bytes.fromhex("c01f10" + "00" * 16), PREFIX), Fault.WITHDRAW),
    Row("CVE-2023-47234", update_message(UNREACH, PREFIX), Fault.WITHDRAW),
    Row("CVE-2023-47235", update_message(bytes.fromhex("400105")), (3, 1)),
    Row("CVE-2023-46752", update_message(bytes.fromhex("800e0500020110 00") + ORIGIN + PATH), (3, 9)),
    Row("CVE-2023-41358", update_message(b"", PREFIX), Fault.WITHDRAW),
    Row("CVE-2026-37462", message_octets(MessageType.UPDATE, b"\0\0\xff\xff" + GOOD), (3, 1)),
    Row("CVE-2026-41642", extra("40630100"), (3, 2)),
    Row(
        "CVE-2026-41643",
        update_message(BAD_AS4_PATH + ORIGIN + SHORT_PATH + NEXT_HOP, PREFIX),
        Fault.DISCARD,
        OLD,
    ),
    Row("CVE-2026-30405", update_message(ORIGIN + PATH + bytes.fromhex("400300"), PREFIX), Fault.WITHDRAW),
    Row("CVE-2026-30405", update_message(ORIGIN + PATH + bytes.fromhex("4003010a"), PREFIX), Fault.WITHDRAW),
    Row("CVE-2023-4481", extra("c008 03 fde900"), Fault.WITHDRAW),
    Row("CVE-2023-38283", extra("c008 ff 0000"), Fault.WITHDRAW),
    Row("CVE-2023-40457", extra("c020 05 0000000000"), Fault.WITHDRAW),
    Row("IPv4 + MP both", update_message(REACH + UNREACH + GOOD, PREFIX), None),
    Row("duplicate attributes", update_message(ORIGIN + GOOD, PREFIX), None),
    Row("duplicate attributes", update_message(REACH + REACH + GOOD), (3, 1)),
    # C. paths, communities, aggregates
    Row("Feb 2009 long path (AS 47868)", path(LONG * 2), None),
    Row("CVE-2025-20115", path(segment(3, *[65001] * 255)), Fault.WITHDRAW),
    Row("CVE-2017-16227", path(LONG + segment(2, 1)), None),
    Row("CVE-2026-49943", path(LONG * 12), None),
    Row(
        "Jan 2009 AS4_PATH confed",
        update_message(
            ORIGIN
            + bytes.fromhex("400204 0201fde9")
            + NEXT_HOP
            + attribute(0xC0, 17, segment(3, 70000) + segment(2, 70001)),
            PREFIX,
        ),
        None,
        OLD,
    ),
    Row("CVE-2009-1168 / -2049", path(LONG * 40), None),
    Row("CVE-2011-3327", extra("c01008 99ff00000000ffff"), None),
    Row("CVE-2010-1674", extra("c01007 0002fde8000000"), Fault.WITHDRAW),
    Row("CVE-2010-2948", message_octets(MessageType.ROUTE_REFRESH, MANY_FILTERS), (1, 2)),
    Row("CVE-2010-2949", path(segment(5, 65001)), Fault.WITHDRAW),
    Row("CVE-2018-5379", extra("c063 01 01 c063 01 02"), None),
    Row("CVE-2018-5380", message_octets(MessageType.NOTIFICATION, b"\xff\xff"), None),
    Row("CVE-2016-2342", reach("000180", "00" * 8 + "0a000001", "ff 000011" + "00" * 8 + "0a"), (3, 9)),
    Row("AS 0", path(segment(2, 65001, 0)), Fault.WITHDRAW),
    Row("AS 0", extra("c00708 00000000 0a000001"), Fault.DISCARD),
    # D. TLVs
    Row("CVE-2023-38802", extra("c01708 0008 0040 00000000"), Fault.WITHDRAW),
    Row("CVE-2024-44070", extra("c01707 0008 0003 06ff00"), Fault.WITHDRAW),
    Row("CVE-2024-21598, CVE-2024-30395", extra("c01705 0008 0001 06"), Fault.WITHDRAW),
    Row("May 2025 Prefix-SID", extra("c02814" + "00" * 20), Fault.DISCARD, EBGP),
    Row(
        "May 2025 Prefix-SID",
        update_message(GOOD + ZERO_SID, b"\x10\xc0\0"),
        Fault.DISCARD,
        IBGP,
    ),
    Row("CVE-2024-31948, FRR ba6a8f1 + babb23b (2024-03)", extra("c02807 05 00ff 00010015"), Fault.DISCARD, IBGP),
    Row("CVE-2023-31490", extra("c02803 01 0007"), Fault.DISCARD, IBGP),
    Row("CVE-2019-5892", extra("c0ff05 0102030405"), None),
    Row("Aug 2010 attribute 99 (CVE-2010-3035)", extra("d063 0bb8" + "ab" * 3000), None),
    Row("CVE-2009-2055", extra("c008 05 0000000000"), Fault.WITHDRAW),
    Row("Oct 2025 OTC (35)", extra("d023 0400" + "00" * 1024), Fault.WITHDRAW),
    Row("attribute 28 (2023)", extra("c01c03 ffffff"), None),
    Row("CVE-2026-37459", extra("c0270a 0001 01 00 0001 0003 0000"), Fault.DISCARD),
    Row("FRR 972fff7 (2026-01), debe2f1 (2026-07)", extra("c02706 0001 01 05 0a00"), Fault.DISCARD),
    Row("FRR 972fff7 (2026-01), debe2f1 (2026-07)", extra("c02707 0001 01 00 000100"), Fault.DISCARD),
    Row("CVE-2026-37461", extra("c01913" + "00" * 19), Fault.WITHDRAW),
    Row("AIGP", extra("801a02 0100"), Fault.DISCARD),
    Row("AIGP", extra("801a03 01 0002"), Fault.DISCARD),
    Row("AIGP", extra("801a0b 01 000b ffffffffffffffff"), Fault.DISCARD),
    Row("BGP-LS TLVs", link_state("0100 00ff 0200 0004 0000fde9"), Fault.DISCARD),
    Row("BGP-LS TLVs", link_state("0100 0008 0203 00ff 00000000"), Fault.DISCARD),
    Row("BGP-LS TLVs", link_state("0100 0000", length_off=4), (3, 9)),
    Row("BGP-LS TLVs", extra("801d06 0400 00ff 0000"), Fault.DISCARD),
    Row("SRv6 unknown sub-TLV", extra("c0280a 05 0007 00 630000 630000"), None, IBGP),
    # E. NLRI
    Row("CVE-2023-38406", flowspec("00"), (3, 9)),
    Row(
        "CVE-2023-41909 / FRR cfd04dc (2023-04)",
        update_message(RULE_ALONE),
        Fault.WITHDRAW,
    ),
    Row(
        "CVE-2023-41909 / FRR cfd04dc (2023-04)",
        update_message(RULE_GONE),
        None,
    ),
    Row("CVE-2026-37457", flowspec("f1f5 03" + "0106" * 249 + "8106"), None),
    Row("CVE-2025-43970 family, GoBGP d856321, a06cf9d", flowspec("03 03 b1 06"), (3, 9)),
    Row("BIRD 2026 flowspec", flowspec("04 01 ff 0a 00"), (3, 9)),
    Row("CVE-2023-38407 / FRR 7404a91 (2023-03)", reach("000104", "0a000001", "30 000010 000020"), (3, 9), LABELS),
    Row("FRR 8a7d85e (2026-03)", reach("000104", "0a000001", "17 000011"), (3, 9)),
    Row("GoBGP 7b3e555 (2026-05)", reach("000104", "0a000001", "38 000010 00 0a0000"), (3, 9), LABELS),
    Row("CVE-2019-16019, -16022, -15989", reach("001946", "0a000001", MAC_IP[:-2]), (3, 9)),
    Row("CVE-2019-16019, -16022, -15989", reach("001946", "0a000001", MAC_IP), None),
    Row("GoBGP 69da7bf (2026-07)", reach("001946", "0a000001", IP_PREFIX_33), Fault.WITHDRAW),
    Row("prefix length", update_message(GOOD, b"\x21\x0a\0\0\0\0"), (3, 10)),
    Row("prefix length", update_message(GOOD, b"\x18\x0a\0"), (3, 10)),
    Row("prefix length", update_message(withdrawn=b"\x21\x0a\0\0\0\0"), (3, 10)),
    Row("prefix length", reach("000201", "20010db8" + "00" * 12, "81" + "00" * 17), (3, 9)),
    Row("default route withdrawn", update_message(GOOD, b"\0", b"\0"), None),
    Row("path-id mismatch", update_message(GOOD, PREFIX), (3, 10), ADD_PATH),
    Row(
        "tcpdump/Wireshark decoders",
        update_message(LYING_HOP + ORIGIN + PATH),
        (3, 9),
    ),
)
#: rows that have a test of their own below.
BY_FUNCTION = {
    "CVE-2018-5378": "test_cve_2018_5378_a_notification_quotes_one_attribute",
    "CVE-2023-44186": "test_cve_2023_44186_long_paths_reach_two_octet_peers",
    "CVE-2016-4049 / FRR 553f44e (2026-05)": "test_cve_2016_4049_attributes_that_do_not_fit_are_an_error",
    "CVE-2022-37032": "test_cve_2022_37032_notification_data_is_bounded",
}
#: rows about sessions, tables and programs, and the modules in which their tests are.
ELSEWHERE = {
    "BIRD 2.17.1 / CVE-2025-59688": "test_bird_2_17_1_cve_2025_59688_connections_to_a_disabled_neighbour",
    "OpenBSD 7.3 errata 009": "test_openbsd_7_3_errata_009_nothing_is_read_after_a_limit_closed_the_session",
    "CVE-2026-37460": "test_cve_2026_37460_attributes_of_rfapi_are_opaque",
    "CVE-2026-5107": "test_cve_2026_5107_a_mac_route_stays_in_its_family",
    "BIRD BMP off-by-one": "test_bird_bmp_off_by_one_the_longest_update_passes",
    "CVE-2024-55553": "test_cve_2024_55553_one_change_for_an_update_larger_than_any_read",
    "GoBGP a550fe7, 0378ad6": "test_gobgp_a550fe7_and_0378ad6_no_length_is_believed",
    "BIRD RTR max length": "test_bird_rtr_max_length_is_error_0_and_ends_the_session",
    "CVE-2026-7736, CVE-2025-43972/3 (K), GoBGP 5153baf (2025-02), b015c35 (2025-12)": (
        "test_cve_2026_7736_cve_2025_43972_lengths_in_mrt_are_bounded_by_their_record"
    ),
    "BMP short messages": "test_bmp_short_messages_are_typed_errors",
    "CVE-2020-1662": "test_cve_2020_1662_a_peer_that_flaps_at_its_limit",
    "zombie peers": "test_zombie_peers_are_found_by_the_send_hold_timer",
    "FRR a2ae427 (2026-06)": "test_frr_a2ae427_the_threshold_of_a_limit_does_not_overflow",
    "CVE-2022-37035": "test_cve_2022_37035_a_connection_that_closes_while_it_is_read",
    "hold time 1, 2; 0 one-sided": "test_hold_time_0_of_one_side_stops_both_timers",
    "flood of ROUTE-REFRESH": "test_flood_of_route_refresh",
    "Calico #9575": "test_calico_9575_the_f_bit_follows_what_was_kept_in_every_first_open",
}
HOMES = (
    "tests/conformance/test_cves_sessions.py",
    "tests/regressions/test_cves_rtr.py",
    "tests/pybgp/formats/test_bmp.py",
)


def read(row: Row, octets: bytes) -> Message | None:
    framer = Framer(row.on.receive_limit)
    framer.feed(octets)
    message = framer.next_message()
    return None if message is None else decode(message, row.on, AttributeStore())


def cost_of(row: Row) -> tuple[int, int] | Fault | None:
    try:
        message = read(row, row.message)
    except RemoteError as error:
        return (error.code, error.subcode)
    faults = message.faults if isinstance(message, Update) else ()
    return max((fault.fault for fault in faults), default=None)


def names() -> list[str]:
    return [f"{row.id} {place}" for place, row in enumerate(ROWS)]


@pytest.mark.parametrize("row", ROWS, ids=names())
def test_the_octets_cost_what_they_must(row: Row) -> None:
    assert cost_of(row) == row.cost
    if row.cost is Fault.WITHDRAW:
        update = read(row, row.message)
        assert isinstance(update, Update)
        assert update.withdrawn
        assert not update.announced


@pytest.mark.parametrize("row", [row for row in ROWS if not isinstance(row.cost, tuple)], ids=lambda row: row.id)
def test_the_update_behind_it_is_read(row: Row) -> None:
    """What does not cost the session leaves the stream where it was."""
    framer = Framer(row.on.receive_limit)
    framer.feed(row.message + SENTINEL)
    first, second = framer.next_message(), framer.next_message()
    assert (first, second) == (row.message, SENTINEL)


def session_in(row: Row) -> Session:
    """A session that waits for the octets: for an OPEN, or established with every family."""
    remote_as = row.on.peer_as
    families = tuple(sorted(FAMILIES))
    config = ours(remote_as=remote_as, local_as=row.on.local_as, families=families)
    peer = theirs(remote_as=row.on.local_as, local_as=remote_as, families=families, enhanced_refresh=False)
    is_open = row.message[18:19] == bytes([MessageType.OPEN])
    return drive(session(config), State.OPEN_SENT if is_open else State.ESTABLISHED, peer=peer)


@pytest.mark.parametrize("row", [row for row in ROWS if row.on in (EBGP, IBGP)], ids=lambda row: row.id)
def test_a_session_says_it_once_however_the_octets_come(row: Row) -> None:
    """One NOTIFICATION and nothing read behind it, or the UPDATE behind is delivered; none answers a NOTIFICATION."""
    length = len(row.message)
    for place in {*range(1, length, max(1, length // 40)), length}:
        machine = session_in(row)
        if machine.state is State.OPEN_SENT and not isinstance(row.cost, tuple):
            continue
        stream = row.message + SENTINEL
        events = machine.receive_data(stream[:place], 1.0) + machine.receive_data(stream[place:], 1.0)
        said = [(item.code, item.subcode) for item in notifications(machine.data_to_send())]
        keys = [
            key for event in of_kind(events, UpdateReceived) for item in event.update.announced for key in item.keys
        ]
        is_read = b"\x18\xc6\x33\x64" in keys
        if isinstance(row.cost, tuple):
            assert (said, is_read, machine.state) == ([row.cost], False, State.IDLE)
        elif row.message[18] == MessageType.NOTIFICATION:
            assert (said, is_read, machine.state) == ([], False, State.IDLE)
        else:
            assert (said, is_read, machine.state) == ([], True, State.ESTABLISHED)


def mutations(octets: bytes) -> Iterator[bytes]:
    """Every octet one more, one less, zero and full, and every cut, with the length in the header put right."""
    step = max(1, len(octets) // 300)
    for place in range(19, len(octets), step):
        for value in (octets[place] + 1 & 0xFF, octets[place] - 1 & 0xFF, 0, 0xFF):
            yield octets[:place] + bytes([value]) + octets[place + 1 :]
        yield octets[:16] + place.to_bytes(2, "big") + octets[18:place]


@pytest.mark.parametrize("row", ROWS, ids=names())
def test_nothing_like_it_raises_anything_else(row: Row) -> None:
    for octets in mutations(row.message) if row.framed else ():
        try:
            read(row, octets)
        except BgpError:
            continue


def stretched(row: Row) -> Iterator[bytes]:
    """The same octets, and messages of each allowed length filled with their attributes or parameters."""
    yield row.message
    if row.framed and row.message[18] == MessageType.UPDATE and len(row.message) > 30:
        front = row.message[:23]
        for limit in (4096, 65535):
            filling = (row.message[23:] * (limit // (len(row.message) - 23) + 1))[: limit - 23]
            yield front[:16] + limit.to_bytes(2, "big") + front[18:21] + (limit - 23).to_bytes(2, "big") + filling


@pytest.mark.parametrize("row", ROWS, ids=names())
def test_time_and_memory_are_bounded(row: Row) -> None:
    on = row._replace(on=row.on if row.on.receive_limit == 65535 else EBGP)
    for octets in stretched(on):
        budget = next(seconds for length, seconds in BUDGETS if len(octets) <= length)
        best = min(elapsed(on, octets) for _ in range(3))
        assert best < budget, f"{best:.3f} s for {len(octets)} octets"
    tracemalloc.start()
    try:
        elapsed(on, row.message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000 + 200 * len(row.message)


def elapsed(row: Row, octets: bytes) -> float:
    start = time.process_time()
    with suppress(BgpError):
        read(row, octets)
    return time.process_time() - start


def test_cve_2018_5378_a_notification_quotes_one_attribute() -> None:
    with pytest.raises(RemoteError) as caught:
        decode(extra("40630100" + "c00804 0000fde9"), EBGP, AttributeStore())
    assert caught.value.data == bytes.fromhex("40630100")


def test_cve_2023_44186_long_paths_reach_two_octet_peers() -> None:
    """RFC 6793 section 4.2.2: AS_TRANS in the short path, the truth in AS4_PATH."""
    long = AsPath.sequence(65000, *[4200000000] * 600)
    values = Attributes.build({1: 0, 2: long}, b"\x0a\0\0\1")
    octets = encode_updates(IPV4_UNICAST, [PREFIX], values, OLD)[0]
    heard = Negotiated(65001, 65000, 2, 1, families=FAMILIES, asn4=False)
    update = decode(octets, heard, AttributeStore())
    assert isinstance(update, Update)
    assert update.attributes is not None
    assert update.attributes.as_path == AsPath(decode_as_path(encode_as_path(long)).segments)


def test_long_paths_grow_by_whole_segments() -> None:
    """A segment of 255 is full, of a confederation too: another is begun (RFC 4271 section 5.1.2)."""
    grown = decode_as_path(LONG).prepend(65000)
    assert [len(part.asns) for part in grown.segments] == [1, 255]
    assert decode_as_path(encode_as_path(grown)) == grown


def test_cve_2016_4049_attributes_that_do_not_fit_are_an_error() -> None:
    values = Attributes.build({1: 0, 2: AsPath.sequence(65001), 99: bytes(4090)}, b"\x0a\0\0\1")
    with pytest.raises(BgpError, match="attributes leave 0 octets"):
        encode_updates(IPV4_UNICAST, [PREFIX], values, Negotiated(65000, 65001, 1, 2))


def test_cve_2022_37032_notification_data_is_bounded() -> None:
    for length in range(21, 280):
        octets = message_octets(MessageType.NOTIFICATION, b"\x06\x02\xff" + b"a" * (length - 21))
        message = decode(octets)
        assert isinstance(message, Notification)
        assert message.shutdown_text == ("a" * 255 if length == 276 else None)


def test_unknown_attributes_go_on_octet_by_octet() -> None:
    """Aug 2010: optional, transitive, more than 255 octets; only the partial bit is added."""
    update = decode(extra("d063 0bb8" + "ab" * 3000), EBGP, AttributeStore())
    assert isinstance(update, Update)
    assert update.attributes is not None
    sent = encode_updates(IPV4_UNICAST, [PREFIX], update.attributes, EBGP)[0]
    assert bytes.fromhex("f063 0bb8" + "ab" * 3000) in sent


def test_otc_is_written_with_four_octets() -> None:
    assert Attributes.build({35: 65001}).block == bytes.fromhex("c023 04 0000fde9")


def test_every_row_of_the_table_has_its_test() -> None:
    if not SPECIFICATION.is_file():
        pytest.skip("the table of vulnerabilities is not beside the repository")
    text = SPECIFICATION.read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| id |", "|---"))]
    stated = [line.split("|")[1].strip() for line in lines]
    known = {row.id for row in ROWS} | BY_FUNCTION.keys() | ELSEWHERE.keys()
    assert not [name for name in stated if name not in known]
    assert len(stated) == 97
    assert all(name in globals() for name in BY_FUNCTION.values())
    homes = "".join((Path(__file__).parents[2] / home).read_text() for home in HOMES)
    assert not [name for name in ELSEWHERE.values() if f"def {name}(" not in homes]
