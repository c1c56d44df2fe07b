"""Every row of the table of path attributes, valid and with each of its rules broken once, on each kind of session.

Written from the specification's text (sections 5, 5.1, 5.5 to 5.7, 14) and its RFCs, not from the code: octets in, a
verdict out.
Each case is read beside good attributes with a route in the classic field, with one in MP_REACH, and with no route.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Fault
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Update, decode, encode_updates
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.update_encoding import message_octets

FAMILIES = frozenset({IPV4_UNICAST, IPV6_UNICAST})


def session(peer_as: int, *, asn4: bool = True, **options: bool) -> Negotiated:
    """AS 65000 is ours."""
    return Negotiated(
        65000, peer_as, 1, 2, families=FAMILIES, asn4=asn4, receive_limit=65535, options=UpdateOptions(**options)
    )


EBGP, IBGP, OLD = session(65001), session(65000), session(65001, asn4=False)
AIGP_ON, SETS_ON = session(65000, aigp=True), session(65001, allow_as_sets=True)
CONFEDERATION = session(65000, confederation=True)
OLD_SETS_ON = session(65001, asn4=False, allow_as_sets=True)
WITHDRAW, DISCARD = Fault.WITHDRAW, Fault.DISCARD
ORIGIN, HOP = "40010100", "4003040a000001"
PATHS = {EBGP: "400206 0201 0000fde9", OLD: "400204 0201 fde9"}
REACH = "800e1a 000201 10 20010db8000000000000000000000001 00 20 20010db8"
PREFIX = "18c00002"
TUNNEL = "0007000c 060a 00000000 0001 0a000001"


class Case(NamedTuple):
    """Octets of attributes beside the mandatory ones (or instead of one of them), and what they cost."""

    about: str
    octets: str
    cost: Fault | tuple[int, int] | None
    on: Negotiated = EBGP
    #: the subcode with which a message without any route resets (RFC 7606 section 5.2).
    subcode: int = 0


def both(about: str, octets: str, cost: Fault | tuple[int, int] | None, subcode: int = 0) -> list[Case]:
    return [Case(about, octets, cost, EBGP, subcode), Case(about, octets, cost, IBGP, subcode)]


def sized(code: int, flags: int, value: str) -> str:
    octets = bytes.fromhex(value)
    return bytes([flags | 0x10, code]).hex() + len(octets).to_bytes(2, "big").hex() + octets.hex()


#: type, right flags, a good value, the subcode of a bad length; what a wrong length and wrong flags cost.
GOOD = (
    (1, 0x40, "00", WITHDRAW, WITHDRAW, EBGP),
    (2, 0x40, "02010000fde9", WITHDRAW, WITHDRAW, EBGP),
    (3, 0x40, "0a000001", WITHDRAW, WITHDRAW, EBGP),
    (4, 0x80, "0000000a", WITHDRAW, WITHDRAW, EBGP),
    (5, 0x40, "00000064", WITHDRAW, WITHDRAW, IBGP),
    (6, 0x40, "", DISCARD, DISCARD, EBGP),
    (7, 0xC0, "0000fde90a000001", DISCARD, DISCARD, EBGP),
    (8, 0xC0, "fde90001", WITHDRAW, WITHDRAW, EBGP),
    (9, 0x80, "0a000001", WITHDRAW, WITHDRAW, IBGP),
    (10, 0x80, "0a000001", WITHDRAW, WITHDRAW, IBGP),
    (16, 0xC0, "0002fde900000001", WITHDRAW, WITHDRAW, EBGP),
    (17, 0xC0, "02010000fde9", DISCARD, WITHDRAW, OLD),
    (18, 0xC0, "0000fde90a000001", DISCARD, WITHDRAW, OLD),
    (22, 0xC0, "00060000100a000001", WITHDRAW, WITHDRAW, EBGP),
    (23, 0xC0, TUNNEL, WITHDRAW, WITHDRAW, EBGP),
    (24, 0x80, None, WITHDRAW, WITHDRAW, EBGP),
    (25, 0xC0, "0002" + "20010db8" + "00" * 12 + "0001", WITHDRAW, WITHDRAW, EBGP),
    (26, 0x80, "01000b000000000000000a", DISCARD, DISCARD, AIGP_ON),
    (27, 0xC0, "0a000001000010", WITHDRAW, WITHDRAW, EBGP),
    (29, 0x80, "04000001 80", DISCARD, WITHDRAW, EBGP),
    (32, 0xC0, "0000fde90000000100000002", WITHDRAW, WITHDRAW, EBGP),
    (35, 0xC0, "0000fde9", WITHDRAW, WITHDRAW, EBGP),
    (38, 0xC0, "01 00000001 01 04 0a000001", DISCARD, WITHDRAW, EBGP),
    (40, 0xC0, "010007 00 0000 00000001", DISCARD, WITHDRAW, IBGP),
    (128, 0xC0, "0000fde9 40010100", WITHDRAW, WITHDRAW, EBGP),
)

CASES: list[Case] = [
    # 1 ORIGIN
    *(case for value in ("00", "01", "02") for case in both(f"ORIGIN {value}", "400101" + value, None)),
    *both("ORIGIN 3", "40010103", WITHDRAW, 6),
    *both("ORIGIN 255", "400101ff", WITHDRAW, 6),
    *both("ORIGIN of two octets", "4001020000", WITHDRAW, 5),
    *both("ORIGIN of none", "400100", WITHDRAW, 5),
    *both("partial bit on ORIGIN", "60010100", None),
    *both("extended length on ORIGIN", "5001000100", None),
    # 2 AS_PATH
    Case("two segments", "400210 0201 0000fde9 0202 0000fdea 0000fdeb", None),
    Case("empty path from outside", "400200", WITHDRAW, EBGP, 11),
    Case("empty path from inside", "400200", None, IBGP),
    Case("another first AS", "400206 0201 0000fdea", WITHDRAW, EBGP, 11),
    Case("another first AS from inside", "400206 0201 0000fdea", None, IBGP),
    Case("AS 0", "40020a 0202 0000fde9 00000000", WITHDRAW, EBGP, 11),
    Case("AS 0 inside", "400206 0201 00000000", WITHDRAW, IBGP, 11),
    Case("segment of none", "400208 0201 0000fde9 0200", WITHDRAW, EBGP, 11),
    Case("unknown segment", "40020c 0201 0000fde9 0501 0000fdea", WITHDRAW, EBGP, 11),
    Case("segment type 0", "40020c 0201 0000fde9 0001 0000fdea", WITHDRAW, EBGP, 11),
    Case("segment overruns", "400206 0202 0000fde9", WITHDRAW, EBGP, 11),
    Case("one octet left over", "400207 0201 0000fde9 02", WITHDRAW, EBGP, 11),
    Case("two-octet numbers on a four-octet session", "400204 0201 fde9", WITHDRAW, EBGP, 11),
    Case("AS_SET", "40020c 0201 0000fde9 0101 0000fdea", WITHDRAW, EBGP, 11),
    Case("AS_SET allowed", "40020c 0201 0000fde9 0101 0000fdea", None, SETS_ON),
    Case("confederation from outside", "40020c 0301 0000fde8 0201 0000fde9", WITHDRAW, EBGP, 11),
    Case("confederation from outside, behind", "40020c 0201 0000fde9 0301 0000fde8", WITHDRAW, EBGP, 11),
    Case("confederation from a member", "40020c 0301 0000fde8 0201 0000fde9", None, CONFEDERATION),
    Case("confederation set from a member", "40020c 0401 0000fde8 0201 0000fde9", WITHDRAW, CONFEDERATION, 11),
    Case("two-octet path", "400206 0202 fde9 fdea", None, OLD),
    Case("two-octet AS 0", "400206 0202 fde9 0000", WITHDRAW, OLD, 11),
    Case("four-octet numbers on a two-octet session", "400206 0201 0000fde9", WITHDRAW, OLD, 11),
    # 3 NEXT_HOP
    *(
        case
        for address in ("00000000", "00000001", "7f000001", "e0000001", "efffffff", "f0000001", "ffffffff")
        for case in both(f"NEXT_HOP {address}", "400304" + address, WITHDRAW, 8)
    ),
    *(case for address in ("01020304", "0a000001", "dfffffff") for case in both(address, "400304" + address, None)),
    *(
        case
        for value in ("", "0a", "0a0000", "0a00000100", "20010db8" + "00" * 11 + "01")
        for case in both("NEXT_HOP length", sized(3, 0x40, value), WITHDRAW, 5)
    ),
    # 4, 5, 9, 10
    *(case for length in (0, 1, 3, 5) for case in both("MED", sized(4, 0x80, "00" * length), WITHDRAW, 5)),
    *(Case("LOCAL_PREF inside", sized(5, 0x40, "00" * length), WITHDRAW, IBGP, 5) for length in (0, 3, 5, 8)),
    *(Case("LOCAL_PREF outside", sized(5, 0x40, "00" * length), DISCARD) for length in (0, 3, 4, 5, 8)),
    *(Case("ORIGINATOR_ID inside", sized(9, 0x80, "00" * length), WITHDRAW, IBGP, 5) for length in (0, 3, 5, 16)),
    *(Case("ORIGINATOR_ID outside", sized(9, 0x80, "01" * length), DISCARD) for length in (0, 3, 4, 5)),
    *(Case("CLUSTER_LIST inside", sized(10, 0x80, "01" * length), WITHDRAW, IBGP, 5) for length in (0, 3, 5, 9)),
    *(Case("CLUSTER_LIST outside", sized(10, 0x80, "01" * length), DISCARD) for length in (0, 3, 4, 8)),
    Case("CLUSTER_LIST of 70", sized(10, 0x80, "0a000001" * 70), None, IBGP),
    # 6, 7
    *both("ATOMIC_AGGREGATE with a value", "40060100", DISCARD),
    *(Case("AGGREGATOR length", sized(7, 0xC0, "01" * length), DISCARD) for length in (0, 1, 6, 7, 9)),
    *(Case("AGGREGATOR length", sized(7, 0xC0, "01" * length), DISCARD, OLD) for length in (0, 5, 7, 8)),
    Case("AGGREGATOR", sized(7, 0xC0, "fde9 0a000001"), None, OLD),
    Case("AGGREGATOR AS 0", sized(7, 0xC0, "00000000 0a000001"), DISCARD),
    Case("AGGREGATOR AS 0", sized(7, 0xC0, "0000 0a000001"), DISCARD, OLD),
    # communities of four kinds
    *(Case("COMMUNITIES", sized(8, 0xC0, "01" * length), WITHDRAW, EBGP, 5) for length in (0, 1, 3, 5, 257)),
    *(Case("COMMUNITIES", sized(8, 0xC0, "01" * length), None) for length in (4, 8, 256, 1024)),
    *(Case("EXTENDED", sized(16, 0xC0, "01" * length), WITHDRAW, EBGP, 5) for length in (0, 4, 7, 9, 12)),
    Case("EXTENDED of unknown types", sized(16, 0xC0, "ffee010203040506" + "3f7f000000000000"), None),
    *(Case("IPV6 EXTENDED", sized(25, 0xC0, "01" * length), WITHDRAW, EBGP, 5) for length in (0, 8, 19, 21, 39)),
    *(Case("LARGE", sized(32, 0xC0, "01" * length), WITHDRAW, EBGP, 5) for length in (0, 4, 11, 13, 16)),
    Case("LARGE twice the same", sized(32, 0xC0, "0000fde90000000100000002" * 2), None),
    # 17, 18
    Case("AS4_PATH from a new speaker", sized(17, 0xC0, "0201 0000fde9"), DISCARD),
    Case("AS4_AGGREGATOR from a new speaker", sized(18, 0xC0, "0000fde9 0a000001"), DISCARD),
    *(
        Case("AS4_PATH", sized(17, 0xC0, value), DISCARD, OLD)
        for value in ("", "0200", "0201 0000", "0201 0000fde9 0000", "0901 0000fde9", "0201 00000000", "0203 0000fde9")
    ),
    Case("AS4_PATH with a set", sized(17, 0xC0, "0101 00011170"), WITHDRAW, OLD, 11),
    Case("AS4_PATH with a set, allowed", sized(17, 0xC0, "0101 00011170"), None, OLD_SETS_ON),
    Case("AS4_PATH with a confederation", sized(17, 0xC0, "0301 00011170 0201 00011171"), None, OLD),
    *(Case("AS4_AGGREGATOR", sized(18, 0xC0, "01" * length), DISCARD, OLD) for length in (0, 6, 7, 9)),
    # 22 PMSI
    Case("PMSI none", sized(22, 0xC0, "00 00 000000"), None),
    Case("PMSI ingress replication of IPv6", sized(22, 0xC0, "00 06 000000 20010db8" + "00" * 12), None),
    Case("PMSI RSVP", sized(22, 0xC0, "00 01 000000 0a000001 0000 0001 0a000002"), None),
    Case("PMSI PIM-SSM", sized(22, 0xC0, "00 03 000000 0a000001 e8000001"), None),
    Case("PMSI above 7", sized(22, 0xC0, "00 0b 000000 ff"), None),
    *(Case("PMSI", sized(22, 0xC0, "00" * length), WITHDRAW, EBGP, 5) for length in (1, 4)),
    *(
        Case("PMSI identifier", sized(22, 0xC0, value), WITHDRAW, EBGP, 9)
        for value in ("00 06 000000 0a0000", "00 06 000000", "00 03 000000 0a000001", "00 01 000000 0a000001")
    ),
    # 23 tunnels
    Case("tunnel with colour", sized(23, 0xC0, "0008 000a 0408 030b 0000 00000001"), WITHDRAW, EBGP, 9),
    Case("one tunnel of two with an end", sized(23, 0xC0, "0008 000a 0408 030b 0000 00000001" + TUNNEL), None),
    Case("a policy has its end elsewhere", sized(23, 0xC0, "000f 0008 0c06 0000 00000064"), None),
    Case("an end of no known family", sized(23, 0xC0, "0007 000c 060a 00000000 0009 0a000001"), WITHDRAW, EBGP, 9),
    Case("the next hop as the end", sized(23, 0xC0, "0007 0008 0606 00000000 0000"), None),
    Case("unknown tunnel", sized(23, 0xC0, "7fff 000c 060a 00000000 0001 0a000001"), None),
    Case("unknown sub-TLV", sized(23, 0xC0, "0007 0010 060a 00000000 0001 0a000001 7d02 0102"), None),
    Case("long sub-TLV", sized(23, 0xC0, "0007 0011 060a 00000000 0001 0a000001 c8 0002 0102"), None),
    *(
        Case("tunnel", sized(23, 0xC0, value), WITHDRAW, EBGP, 9)
        for value in (
            "00",
            "0007",
            "0007 00",
            "0007 000d 060a 00000000 0001 0a000001",
            "0007 000c 060b 00000000 0001 0a000001",
            "0007 000d 060a 00000000 0001 0a000001 7d",
            "0007 000c 060a 00000000 0001 0a000001 00",
        )
    ),
    # 26 AIGP
    Case("AIGP on a session without it", sized(26, 0x80, "01000b000000000000000a"), DISCARD),
    Case("AIGP and another TLV", sized(26, 0x80, "01000b000000000000000a 020004ff"), None, AIGP_ON),
    Case("AIGP twice", sized(26, 0x80, "01000b000000000000000a 01000b0000000000000014"), None, AIGP_ON),
    *(
        Case("AIGP", sized(26, 0x80, value), DISCARD, AIGP_ON)
        for value in (
            "01",
            "0100",
            "010000",
            "010002",
            "01000a0000000000000a",
            "01000c00000000000000000a",
            "01000b0000000000",
            "01000bffffffffffffffff",
            "01000b000000000000000a02",
            "01000b000000000000000a020002",
        )
    ),
    # 27, 29
    Case("labels of IPv6", sized(27, 0xC0, "20010db8" + "00" * 11 + "01" + "000010"), None),
    *(Case("labels", sized(27, 0xC0, "0a" * length), WITHDRAW, EBGP, 5) for length in (1, 3, 4, 6, 8)),
    *(
        Case("BGP-LS", sized(29, 0x80, value), DISCARD)
        for value in ("04", "0400 00", "0400 0002 80", "0400 0001 80 04")
    ),
    Case("BGP-LS of unknown TLVs out of order", sized(29, 0x80, "ffff 0000 0400 0001 80"), None),
    # 35, 38, 39, 40
    *(Case("OTC", sized(35, 0xC0, "01" * length), WITHDRAW, EBGP) for length in (0, 1, 3, 5, 8)),
    Case("OTC 0", sized(35, 0xC0, "00000000"), WITHDRAW, EBGP),
    *(
        Case("BFD", sized(38, 0xC0, value), DISCARD)
        for value in ("01 00000001", "01 00000001 01 05 0a000001", "01 00000001 01 04 0a000001 02", "01" * 10)
    ),
    *(
        Case("next hop capabilities", sized(39, 0xC0, value), DISCARD)
        for value in ("0001 01", "0001 01 04 0a0000", "0001 01 04 0a000001 0001", "0001 01 04 0a000001 0001 0003 0000")
    ),
    Case("next hop capabilities", sized(39, 0xC0, "0001 01 04 0a000001 0001 0001 00"), None),
    Case("PREFIX_SID from outside", sized(40, 0xC0, "010007 00 0000 00000001"), DISCARD),
    Case("PREFIX_SID, SRGB", sized(40, 0xC0, "010007 00 0000 00000001 030008 0000 003e80 001f40"), None, IBGP),
    Case("PREFIX_SID, unknown", sized(40, 0xC0, "010007 00 0000 00000001 630002 0102"), None, IBGP),
    Case(
        "PREFIX_SID, SRv6", sized(40, 0xC0, "050019 00 010015 00" + "20010db8" + "00" * 12 + "00 0011 00"), None, IBGP
    ),
    *(
        Case("PREFIX_SID", sized(40, 0xC0, value), DISCARD, IBGP)
        for value in (
            "01",
            "0100",
            "010006 00 0000 000000",
            "010008 00 0000 00000001 00",
            "010007 00 0000 000000",
            "030002 0000",
            "030007 0000 003e80 00",
            "000000" * 4,
            "050001",
            "050005 00 0100ff 00",
        )
    ),
    # 128 ATTR_SET
    Case("ATTR_SET alone", sized(128, 0xC0, "0000fde9"), None),
    Case("ATTR_SET, a next hop inside is ignored", sized(128, 0xC0, "0000fde9 40030100"), None),
    Case("ATTR_SET, two-octet session", sized(128, 0xC0, "0000fde9 400206 0201 00011170"), None, OLD),
    *(
        Case("ATTR_SET", sized(128, 0xC0, value), WITHDRAW)
        for value in (
            "0000fd",
            "0000fde9 40",
            "0000fde9 400105",
            "0000fde9 40010103",
            "0000fde9 c0010100",
            "0000fde9 800f03 000101",
            "0000fde9 800e05 000101 00 00",
            "0000fde9 400204 0201fde9",
            "0000fde9 400204 0200 0000",
        )
    ),
    # unknown ones
    Case("unknown well-known", "40630100", (3, 2)),
    Case("unknown without any flag", "00630100", (3, 2)),
    Case("unknown transitive", "c0630100", None),
    Case("unknown transitive of length 0", "c06300", None),
    Case("unknown non-transitive", "80630100", None),
    Case("type 0, optional", "c0000100", None),
    Case("type 0, well-known", "40000100", (3, 2)),
    *(Case(f"deprecated {code}", sized(code, 0xC0, "01"), None) for code in (11, 12, 13, 19, 20, 21, 28, 30, 31)),
    *(Case(f"deprecated {code}", sized(code, 0xC0, "01"), None) for code in (36, 129, 241, 242, 243, 255)),
    # the walk
    Case("value overruns", "c0080800000000", WITHDRAW, EBGP, 1),
    Case("flags alone", "c0", WITHDRAW, EBGP, 1),
    Case("flags and type alone", "c008", WITHDRAW, EBGP, 1),
    Case("half an extended length", "d00800", WITHDRAW, EBGP, 1),
    Case("a second COMMUNITIES", "c00804fde90001 c00804fde90002", None),
    Case("a second one that is malformed", "c00804fde90001 c00803fde900", None),
]
for code, flags, good, _, on_flags, on in GOOD:
    if good is not None:
        CASES.append(Case(f"{code} as it should be", sized(code, flags, good), None, on))
        CASES += [
            Case(f"{code} with flags {wrong:#04x}", sized(code, wrong, good), on_flags, on, 4)
            for wrong in {0, 0x40, 0x80, 0xC0} - {flags}
        ]
        CASES.append(Case(f"{code}, partial", sized(code, flags | 0x20, good), None, on))
        CASES.append(Case(f"{code}, low flags", sized(code, flags | 0x0F, good), None, on))


def block(case: Case, *, hop: bool) -> bytes:
    """The mandatory attributes that the case does not give itself, the good ones first."""
    path = PATHS.get(OLD if not case.on.asn4 else EBGP, "")
    given = {bytes.fromhex(case.octets)[1]} if len(bytes.fromhex(case.octets)) > 1 else set()
    found = [octets for code, octets in ((1, ORIGIN), (2, path), (3, HOP if hop else "")) if code not in given]
    return bytes.fromhex("".join(found) + case.octets)


def cost(octets: bytes, nlri: str, on: Negotiated) -> tuple[Fault | tuple[int, int] | None, Update | None, bytes]:
    body = b"\0\0" + len(octets).to_bytes(2, "big") + octets + bytes.fromhex(nlri)
    try:
        update = decode(message_octets(MessageType.UPDATE, body), on, AttributeStore())
    except RemoteError as error:
        return (error.code, error.subcode), None, error.data
    assert isinstance(update, Update)
    return max((fault.fault for fault in update.faults), default=None), update, b""


def names(case: Case) -> str:
    return (
        f"{case.about}-{case.octets.replace(' ', '')[:40]}-{'i' if case.on.internal else 'e'}{4 if case.on.asn4 else 2}"
    )


@pytest.mark.parametrize("case", CASES, ids=names)
def test_with_a_route_in_the_classic_field(case: Case) -> None:
    found, update, data = cost(block(case, hop=True), PREFIX, case.on)
    assert found == case.cost
    if update is None:
        assert data == bytes.fromhex(case.octets)
        return
    assert [item.family for item in update.announced] == ([] if found is WITHDRAW else [IPV4_UNICAST])
    assert [list(item.keys) for item in update.withdrawn] == ([[bytes.fromhex(PREFIX)]] if found is WITHDRAW else [])
    if update.announced and case.on.asn4:
        assert update.attributes is not None
        again = encode_updates(IPV4_UNICAST, [bytes.fromhex(PREFIX)], update.attributes, case.on)
        read_again = decode(again[0], case.on, AttributeStore())
        assert isinstance(read_again, Update)
        assert read_again.attributes == update.attributes
        assert read_again.faults == ()


@pytest.mark.parametrize("case", [case for case in CASES if bytes.fromhex(case.octets)[1:2] != b"\3"], ids=names)
def test_with_a_route_in_mp_reach(case: Case) -> None:
    """NEXT_HOP is neither needed nor judged (spec section 5.1)."""
    found, update, _ = cost(bytes.fromhex(REACH) + block(case, hop=False), "", case.on)
    assert found == case.cost
    if update is not None:
        assert [item.family for item in update.withdrawn or update.announced] == [IPV6_UNICAST]
        assert bool(update.withdrawn) == (found is WITHDRAW)


@pytest.mark.parametrize("case", CASES, ids=names)
def test_with_no_route_at_all(case: Case) -> None:
    """RFC 7606 section 5.2: what is stronger than discarding resets, as nobody knows what to withdraw."""
    found, update, _ = cost(block(case, hop=True), "", case.on)
    if isinstance(case.cost, tuple):
        assert found == case.cost
    elif case.cost is WITHDRAW:
        assert isinstance(found, tuple)
        assert found[0] == 3
        assert case.subcode in (0, found[1])
    else:
        assert found == case.cost
        assert update is not None
        assert not update.withdrawn


@pytest.mark.parametrize("case", CASES, ids=names)
def test_beside_a_withdrawal_only(case: Case) -> None:
    """A withdrawal is no reachable route; if nothing resets, it is applied."""
    octets = block(case, hop=True)
    body = bytes.fromhex("0004" + PREFIX) + len(octets).to_bytes(2, "big") + octets
    try:
        update = decode(message_octets(MessageType.UPDATE, body), case.on, AttributeStore())
    except RemoteError as error:
        assert case.cost is WITHDRAW or (error.code, error.subcode) == case.cost
        return
    assert isinstance(update, Update)
    assert case.cost in (None, DISCARD)
    assert [list(item.keys) for item in update.withdrawn] == [[bytes.fromhex(PREFIX)]]
