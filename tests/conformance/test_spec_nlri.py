"""Every family: its next hops by length, its NLRI valid and with each rule broken once, announced and withdrawn.

Written from the specification's text (sections 5.2 and 5.3) and its RFCs, not from the code.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Fault
from pybgp.wire.families import Family
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Update, decode, encode
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import FAMILIES, format_nlri, parse_nlri
from pybgp.wire.update_encoding import message_octets

REST = "40010100 400206 0201 0000fde9"
WITHDRAW = Fault.WITHDRAW
V6 = "20010db8" + "00" * 12
RD = "0000fde900000001"
ESI = "00112233445566778899"
NONE = "00" * 10

#: family -> (next-hop lengths, those with extended next hop besides), and one good NLRI.
HOPS: dict[str, tuple[set[int], set[int], str]] = {
    "1/1": ({4}, {16, 32}, "18c00002"),
    "1/2": ({4}, {16, 32}, "18c00002"),
    "1/4": ({4}, {16, 32}, "30 000641 c00002"),
    "2/1": ({16, 32}, set(), "20 20010db8"),
    "2/2": ({16, 32}, set(), "20 20010db8"),
    "2/4": ({16, 32}, set(), "38 000641 20010db8"),
    "1/128": ({12}, {24, 48}, f"70 000641 {RD} c00002"),
    "1/129": ({12}, {24, 48}, f"70 000641 {RD} c00002"),
    "2/128": ({24, 48}, set(), f"78 000641 {RD} 20010db8"),
    "2/129": ({24, 48}, set(), f"78 000641 {RD} 20010db8"),
    "1/5": ({4, 16}, set(), "01 0c " + RD + "0a000001"),
    "2/5": ({4, 16}, set(), "01 18 " + RD + V6),
    "1/132": ({4, 16}, set(), "60 0000fde9 0002fde900000001"),
    "25/70": ({4, 16}, set(), f"03 11 {RD} 00000000 20 0a000001"),
    "25/65": ({4, 16}, set(), f"0011 {RD} 0001 0001 0008 000640"),
    "1/133": ({0, 4, 16}, set(), "03 038106"),
    "2/133": ({0, 4, 16}, set(), "03 038106"),
    "1/134": ({0, 4, 12, 16, 24}, set(), f"0b {RD} 038106"),
    "2/134": ({0, 4, 12, 16, 24}, set(), f"0b {RD} 038106"),
    "16388/71": ({4, 16, 32}, set(), "0001 0015 02 0000000000000001 0100 0008 0200 0004 0000fde9"),
    "16388/72": ({12, 24}, set(), f"0001 001d {RD} 02 0000000000000001 0100 0008 0200 0004 0000fde9"),
    "1/73": ({4, 16}, set(), "60 00000001 00000064 0a000001"),
    "2/73": ({4, 16}, set(), "c0 00000001 00000064" + V6),
    "1/85": ({4, 16}, set(), f"01 0001 0c {RD} 18 0a0000"),
    "2/85": ({4, 16}, set(), f"01 0001 0c {RD} 18 200100"),
}


class Case(NamedTuple):
    """A field of NLRI: how many routes it announces, or what it costs."""

    family: str
    about: str
    field: str
    announced: int | Fault | tuple[int, int]
    #: what it withdraws, if it stands in MP_UNREACH; None: as many as it would announce.
    withdrawn: int | tuple[int, int] | None = None
    labels: int = 0
    add_path: bool = False


BAD = (3, 9)


def mac_ip(address: str, labels: str = "000064", *, mac: str = "30 020000000001", bits: int | None = None) -> str:
    octets = bytes.fromhex(address)
    size = 8 * len(octets) if bits is None else bits
    body = bytes.fromhex(RD + ESI + "00000000" + mac) + bytes([size]) + octets + bytes.fromhex(labels)
    return bytes([2, len(body)]).hex() + body.hex()


def ip_prefix(length: int, address: str, gateway: str, label: str = "000064", esi: str = NONE) -> str:
    body = bytes.fromhex(RD + esi + "00000000") + bytes([length]) + bytes.fromhex(address + gateway + label)
    return bytes([5, len(body)]).hex() + body.hex()


def link_state(kind: int, tlvs: str, *, more: int = 0) -> str:
    body = bytes.fromhex("02 0000000000000001" + tlvs)
    return kind.to_bytes(2, "big").hex() + (len(body) + more).to_bytes(2, "big").hex() + body.hex()


NODE = "0100 0008 0200 0004 0000fde9"
REMOTE = "0101 0008 0200 0004 0000fdea"
LONG_RULE = "03" + "0106" * 124 + "8106"
CASES = [
    # prefixes
    *(Case(f"{afi}/{safi}", "default", "00", 1) for afi in (1, 2) for safi in (1, 2)),
    *(Case(f"1/{safi}", "33 bits", "21 0a00000000", BAD) for safi in (1, 2)),
    *(Case(f"2/{safi}", "129 bits", "81" + V6 + "00", BAD) for safi in (1, 2)),
    *(Case(f"2/{safi}", "128 bits", "80" + V6, 1) for safi in (1, 2)),
    Case("2/1", "cut", "20 2001", BAD),
    Case("2/1", "255 bits", "ff" + "20" * 32, BAD),
    Case("2/1", "two", "20 20010db8 40 20010db800000001", 2),
    Case("2/1", "one good and one cut", "20 20010db8 40 20010db8", BAD),
    Case("2/1", "host bits", "1f 20010db9", 1),
    Case("2/1", "multicast", "08 ff", 0, 1),
    Case("2/1", "multicast and one that is not", "08 ff 20 20010db8", 1, 2),
    Case("2/1", "path identifiers", "00000001 20 20010db8 00000002 20 20010db8", 2, add_path=True),
    Case("2/1", "half a path identifier", "000000", BAD, add_path=True),
    Case("2/1", "a path identifier alone", "00000001", BAD, add_path=True),
    Case("2/1", "no path identifier", "20 20010db8", BAD, add_path=True),
    # labelled
    Case("1/4", "no label", "17 000641", BAD),
    Case("1/4", "a default", "18 000641", 1),
    Case("1/4", "57 bits", "39 000641 0a00000000", BAD),
    Case("1/4", "56 bits", "38 000641 0a000001", 1),
    Case("1/4", "no bottom and no counting", "30 000640 0a0000", 1),
    Case("1/4", "no bottom", "30 000640 000650", BAD, 1, labels=255),
    Case("1/4", "two labels", "48 000640 000651 0a0000", 1, BAD, labels=255),
    Case("1/4", "two labels that we did not ask for", "50 000640 000651 0a000001", BAD),
    Case("1/4", "three labels of two", "58 000640 000650 000661 0a00", WITHDRAW, BAD, labels=2),
    Case("1/4", "the label of withdrawals", "30 800000 c00002", 1),
    Case("1/4", "label 0", "30 000000 c00002", 1),
    Case("2/4", "153 bits", "99 000641" + V6 + "00", BAD),
    Case("2/4", "path identifier", "00000007 38 000641 20010db8", 1, add_path=True),
    # VPN
    Case("1/128", "a default", f"58 000641 {RD}", 1),
    Case("1/128", "87 bits", f"57 000641 {RD}", BAD),
    Case("1/128", "33 bits of prefix", f"79 000641 {RD} 0a00000000", BAD),
    Case("1/128", "RD of type 1", "70 000641 00010a0000010001 c00002", 1),
    Case("1/128", "RD of type 2", "70 000641 00020000fde90001 c00002", 1),
    Case("1/128", "RD of no known type", "70 000641 ffff0000fde90001 c00002", 1),
    Case("1/128", "cut", f"70 000641 {RD} c000", BAD),
    Case("2/128", "129 bits of prefix", f"d9 000641 {RD}" + V6 + "00", BAD),
    Case("2/128", "128 bits of prefix", f"d8 000641 {RD}" + V6, 1),
    # route targets
    Case("1/132", "default", "00", 1),
    *(Case("1/132", f"{bits} bits", f"{bits:02x} 0000fde9", BAD) for bits in (1, 8, 31)),
    Case("1/132", "32 bits", "20 0000fde9", 1),
    Case("1/132", "97 bits", "61 0000fde9 0002fde90000000100", BAD),
    Case("1/132", "cut", "60 0000fde9 0002fde9000000", BAD),
    Case("1/132", "40 bits", "28 0000fde9 00", 1),
    # Flowspec
    *(Case(family, "length 0", "00", BAD) for family in ("1/133", "2/133")),
    *(Case(family, "nothing behind the RD", "08" + RD, BAD) for family in ("1/134", "2/134")),
    Case("1/134", "half an RD", "03 0000fd", BAD),
    Case("1/133", "destination", "05 01 18 c00002", 1),
    Case("1/133", "33 bits", "07 01 21 c000020000", BAD),
    Case("1/133", "prefix cut", "04 01 18 c000", BAD),
    Case("1/133", "descending", "08 038106 01 18 c00002", BAD),
    Case("1/133", "twice the same type", "06 038106 038106", BAD),
    Case("1/133", "type 0", "03 008106", BAD),
    Case("1/133", "type 13", "03 0d8106", BAD),
    Case("1/133", "type 14", "03 0e8106", BAD),
    Case("2/133", "type 14", "03 0e8106", BAD),
    Case("2/133", "flow label", "06 0da100000001", 1),
    Case("2/133", "flow label of 1 octet, which SHOULD have 4", "03 0d8101", 1),
    Case("1/133", "no end", "03 030106", BAD),
    Case("1/133", "value runs out", "03 039106", BAD),
    Case("1/133", "8 octets", "0a 04b10000000000000050", 1),
    Case("1/133", "flags of 2 octets", "04 099101 02", 1),
    Case("1/133", "flags of 4 octets", "06 09a100000002", BAD),
    Case("1/133", "DSCP of 2 octets", "04 0b91002e", BAD),
    Case("1/133", "fragment of 2 octets", "04 0c910001", BAD),
    Case("1/133", "fragment", "03 0c8102", 1),
    Case("1/133", "first operator with AND", "03 03c106", 1),
    Case("1/133", "ranges", "07 050350 455a 81bb", 1),
    Case("1/133", "two components", "08 0118c00002 038106", 1),
    Case("1/133", "length 240 in two octets", "f0fb" + LONG_RULE, 1),
    Case("1/133", "length beyond the field", "f0fc" + LONG_RULE, BAD),
    Case("1/133", "length of one octet more than there is", "04 038106", BAD),
    Case("1/133", "half a long length", "f0", BAD),
    Case("1/133", "two rules", "03 038106 03 038111", 2),
    Case("2/133", "offset", "05 0120100db8", 1),
    Case("2/133", "offset not below the length", "03 012020", BAD),
    Case("2/133", "offset above the length", "03 012021", BAD),
    Case("2/133", "any", "03 010000", 1),
    Case("2/133", "129 bits", "14 018100" + V6 + "00", BAD),
    # EVPN
    Case("25/70", "1", f"01 19 {RD} {ESI} 00000000 000064", 1),
    *(Case("25/70", f"1 of {size}", f"01 {size:02x}" + "00" * size, BAD) for size in (0, 24, 26)),
    Case("25/70", "2", mac_ip(""), 1),
    Case("25/70", "2 of IPv4", mac_ip("0a000001"), 1),
    Case("25/70", "2 of IPv6", mac_ip(V6), 1),
    Case("25/70", "2 with two labels", mac_ip("0a000001", "000064000065"), 1),
    Case("25/70", "2 with three labels", mac_ip("0a000001", "000064000065000066"), BAD),
    Case("25/70", "2 without label", mac_ip("0a000001", ""), BAD),
    Case("25/70", "2 with a MAC of 47 bits", mac_ip("", mac="2f 020000000001"), BAD),
    Case("25/70", "2 with 24 bits of IP", mac_ip("0a0000"), BAD),
    Case("25/70", "2 with 32 bits said and none there", mac_ip("", bits=32), BAD),
    Case("25/70", "2 with none said and 32 there", mac_ip("0a000001", bits=0), BAD),
    Case("25/70", "3 of IPv6", f"03 1d {RD} 00000000 80" + V6, 1),
    Case("25/70", "3 with another length", f"03 11 {RD} 00000000 80 0a000001", BAD),
    Case("25/70", "3 without address", f"03 0d {RD} 00000000 00", BAD),
    Case("25/70", "4", f"04 17 {RD} {ESI} 20 0a000001", 1),
    Case("25/70", "4 of IPv6", f"04 23 {RD} {ESI} 80" + V6, 1),
    Case("25/70", "4 with another length", f"04 17 {RD} {ESI} 18 0a000001", BAD),
    Case("25/70", "5", ip_prefix(24, "c0000200", "00000000"), 1),
    Case("25/70", "5 of IPv6", ip_prefix(48, V6, "00" * 16), 1),
    Case("25/70", "5 of 33 bits", ip_prefix(33, "c0000200", "00000000"), WITHDRAW, 1),
    Case("25/70", "5 of 129 bits", ip_prefix(129, V6, "00" * 16), WITHDRAW, 1),
    Case("25/70", "5 without label or index", ip_prefix(24, "c0000200", "00000000", "000000"), WITHDRAW, 1),
    Case("25/70", "5 with a gateway and no label", ip_prefix(24, "c0000200", "0a000001", "000000"), 1),
    Case("25/70", "5 with a segment and a gateway", ip_prefix(24, "c0000200", "0a000001", esi=ESI), WITHDRAW, 1),
    Case("25/70", "5 with mixed addresses", ip_prefix(24, "c0000200", "00" * 16), BAD),
    Case("25/70", "6", f"06 18 {RD} 00000000 00 20 e8000001 20 0a000001 02", 1),
    Case("25/70", "6 of no originator", f"06 13 {RD} 00000000 00 20 e8000001 00 02", BAD),
    Case("25/70", "7, opaque", "07 03 010203", 1),
    Case("25/70", "unknown and a good one", f"63 02 0102 03 11 {RD} 00000000 20 0a000001", 1, 2),
    Case("25/70", "overrun", "03 11 00", BAD),
    Case("25/70", "type alone", "03", BAD),
    # BGP-LS
    Case("16388/71", "link", link_state(2, NODE + REMOTE + "0102 0008 0000000100000002"), 1),
    Case("16388/71", "IPv4 prefix", link_state(3, NODE + "0109 0004 18c00002"), 1),
    Case("16388/71", "unknown type", "ffff 0003 010203", 1),
    Case("16388/71", "TLV that overruns", link_state(1, "0100 0009 0200 0004 0000fde9"), 0, 1),
    Case("16388/71", "sub-TLV that overruns", link_state(1, "0100 0008 0200 0005 0000fde9"), 0, 1),
    Case("16388/71", "out of order", link_state(2, NODE + "0103 0004 0a000001 0102 0008" + "00" * 8), 0, 1),
    Case("16388/71", "repeated sub-TLV", link_state(1, "0100 0010" + "0200 0004 0000fde9" * 2), 0, 1),
    Case("16388/71", "bad one, then a good one", link_state(1, "0100 00ff 00") + link_state(1, NODE), 1, 2),
    Case("16388/71", "outer length beyond the field", link_state(1, NODE, more=1), BAD),
    Case("16388/71", "half a header", "0001 00", BAD),
    Case("16388/72", "half an RD", "0001 0004 00000000", BAD),
    # opaque ones, VPLS, SR policy
    *(Case(f"{afi}/5", "types 1 to 7", f"{kind:02x} 02 0102", 1) for afi in (1, 2) for kind in range(1, 8)),
    *(Case(f"{afi}/5", "unknown type", "08 02 0102 01 02 0102", 1, 2) for afi in (1, 2)),
    *(Case(f"{afi}/5", "overrun", "01 03 0102", BAD) for afi in (1, 2)),
    *(Case(f"{afi}/85", "overrun", "01 0001 03 0102", BAD) for afi in (1, 2)),
    *(Case(f"{afi}/85", "half a header", "01 0001", BAD) for afi in (1, 2)),
    *(Case("25/65", f"length {size}", f"{size:04x}" + "00" * size, BAD) for size in (0, 16, 18)),
    Case("25/65", "cut", "0011" + "00" * 16, BAD),
    Case("25/65", "two", "0011" + "00" * 17 + "0011" + "01" * 17, 2),
    *(Case("1/73", f"{bits} bits", f"{bits:02x}" + "00" * 24, BAD) for bits in (0, 64, 95, 97, 128)),
    Case("1/73", "cut", "60" + "00" * 11, BAD),
    *(Case("2/73", f"{bits} bits", f"{bits:02x}" + "00" * 24, BAD) for bits in (0, 64, 191, 193)),
    *(Case(family, "as the table has it", good, 1) for family, (_, _, good) in HOPS.items()),
    *(Case(family, "nothing", "", 0, 0) for family in HOPS),
]  # fmt: skip


def family_of(name: str) -> Family:
    afi, safi = name.split("/")
    return Family(int(afi), int(safi))


def session(
    name: str, *, labels: int = 0, add_path: bool = False, extended: bool = False, afd: bool = False
) -> Negotiated:
    family = family_of(name)
    chosen = frozenset({family})
    return Negotiated(
        65000,
        65001,
        1,
        2,
        families=chosen,
        add_path_receive=chosen if add_path else frozenset(),
        add_path_send=chosen if add_path else frozenset(),
        label_limits=((family, labels),) if labels else (),
        extended_next_hop=chosen if extended else frozenset(),
        options=UpdateOptions(disable_family=afd),
    )


def hop_of(name: str, size: int) -> bytes:
    address = {4: "0a000001", 16: V6[:-2] + "01", 12: "00" * 8 + "0a000001", 24: "00" * 8 + V6[:-2] + "01"}
    if size in address:
        return bytes.fromhex(address[size])
    local = "fe80" + "00" * 13 + "02"
    if size == 32:
        return bytes.fromhex(address[16] + local)
    return bytes.fromhex(address[24] + "00" * 8 + local) if size == 48 else b"\x20" * size


def update(name: str, hop: bytes, field: str) -> bytes:
    value = bytes([*family_of(name)[0].to_bytes(2, "big"), family_of(name).safi, len(hop)])
    value += hop + b"\0" + bytes.fromhex(field)
    attributes = b"\x90\x0e" + len(value).to_bytes(2, "big") + value + bytes.fromhex(REST)
    return message_octets(MessageType.UPDATE, b"\0\0" + len(attributes).to_bytes(2, "big") + attributes)


def withdrawal(name: str, field: str) -> bytes:
    value = family_of(name)[0].to_bytes(2, "big") + bytes([family_of(name).safi]) + bytes.fromhex(field)
    attributes = b"\x90\x0f" + len(value).to_bytes(2, "big") + value
    return message_octets(MessageType.UPDATE, b"\0\0" + len(attributes).to_bytes(2, "big") + attributes)


def read(octets: bytes, on: Negotiated) -> Update | tuple[int, int]:
    try:
        found = decode(octets, on, AttributeStore())
    except RemoteError as error:
        return (error.code, error.subcode)
    assert isinstance(found, Update)
    return found


def test_the_table_has_every_family_that_we_know() -> None:
    assert {family_of(name) for name in HOPS} == set(FAMILIES)


@pytest.mark.parametrize("name", HOPS)
@pytest.mark.parametrize("extended", [False, True])
def test_a_next_hop_has_one_of_the_lengths_of_its_family(name: str, extended: bool) -> None:
    lengths, more, good = HOPS[name]
    for size in range(60):
        found = read(update(name, hop_of(name, size), good), session(name, extended=extended))
        if size in lengths or (extended and size in more):
            assert isinstance(found, Update), size
            assert [len(item.keys) for item in found.announced] == [1], (size, found.faults)
        else:
            assert found == BAD, size


@pytest.mark.parametrize("name", HOPS)
def test_a_next_hop_that_overruns(name: str) -> None:
    octets = bytearray(update(name, hop_of(name, max(HOPS[name][0])), ""))
    octets[23 + 7] = 200
    assert read(bytes(octets), session(name)) == BAD


@pytest.mark.parametrize("name", HOPS)
def test_a_broken_field_can_cost_the_family_alone(name: str) -> None:
    """RFC 7606 section 2, as an option: the family is given up, the session stays."""
    broken = next((case.field for case in CASES if case.family == name and case.announced == BAD), "ff")
    found = read(update(name, hop_of(name, max(HOPS[name][0])), broken), session(name, afd=True))
    assert isinstance(found, Update)
    assert found.disabled == (family_of(name),)
    assert not found.announced
    assert not found.withdrawn


def names(case: Case) -> str:
    return f"{case.family} {case.about}"


@pytest.mark.parametrize("case", CASES, ids=names)
def test_announced(case: Case) -> None:
    on = session(case.family, labels=case.labels, add_path=case.add_path)
    found = read(update(case.family, hop_of(case.family, max(HOPS[case.family][0])), case.field), on)
    if isinstance(case.announced, tuple):
        assert found == case.announced
        return
    assert isinstance(found, Update), found
    worst = max((fault.fault for fault in found.faults), default=None)
    if isinstance(case.announced, Fault):
        assert worst == case.announced
        assert not found.announced
        assert sum(len(item.keys) for item in found.withdrawn) >= 1
        return
    assert worst in (None, Fault.DISCARD), found.faults
    keys = [key for item in found.announced for key in item.keys]
    assert len(keys) == case.announced
    family = family_of(case.family)
    for key in keys:
        shown = format_nlri(family, key, add_path=case.add_path)
        assert parse_nlri(family, shown, add_path=case.add_path) == key
    if keys:
        again = read(encode(found, on), on)
        assert isinstance(again, Update)
        assert [key for item in again.announced for key in item.keys] == keys


@pytest.mark.parametrize("case", CASES, ids=names)
def test_withdrawn(case: Case) -> None:
    """What cannot be split costs the session here too; what a route means is not judged when it goes away."""
    if not case.field:
        return
    expected = case.withdrawn
    if expected is None:
        expected = 1 if isinstance(case.announced, Fault) else case.announced
    on = session(case.family, labels=case.labels, add_path=case.add_path)
    found = read(withdrawal(case.family, case.field), on)
    if isinstance(expected, tuple):
        assert found == expected
        return
    assert isinstance(found, Update), found
    assert sum(len(item.keys) for item in found.withdrawn) == expected
    assert not found.announced


@pytest.mark.parametrize("name", HOPS)
def test_nothing_withdrawn_is_end_of_rib(name: str) -> None:
    found = read(withdrawal(name, ""), session(name))
    assert isinstance(found, Update)
    assert found.end_of_rib == family_of(name)


@pytest.mark.parametrize("name", HOPS)
def test_a_family_that_was_not_negotiated_is_ignored(name: str) -> None:
    other = session("2/2" if name == "1/2" else "1/2")
    for octets in (update(name, hop_of(name, max(HOPS[name][0])), HOPS[name][2]), withdrawal(name, HOPS[name][2])):
        found = read(octets, other)
        assert isinstance(found, Update)
        assert not found.announced
        assert not found.withdrawn
        assert max(fault.fault for fault in found.faults) == Fault.DISCARD
