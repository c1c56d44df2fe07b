"""RFC 7606, verdict by verdict: what a malformed UPDATE costs (spec sections 5 and 14)."""

from __future__ import annotations

import pytest

from pybgp.errors import ErrorCode, RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes, Fault
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Update, decode_update
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.update_encoding import message_octets
from tests.pybgp.wire.samples import (
    EBGP,
    EMPTY_PATH,
    GOOD,
    IBGP,
    NEXT_HOP,
    ORIGIN,
    OTHER_PREFIX,
    PATH,
    PREFIX,
    REACH,
    UNREACH,
    V6_HOP,
    V6_PREFIX,
    attribute,
    read_update,
    session,
)

AFD = session(external=True, options=UpdateOptions(disable_family=True))


def verdict(update: Update) -> int:
    return max((fault.fault for fault in update.faults), default=0)


def is_withdrawn(update: Update, *keys: bytes) -> bool:
    """Everything announced became a withdrawal, and no attributes are left to use."""
    gone = [key for item in update.withdrawn for key in item.keys]
    return gone == list(keys) and not update.announced and update.attributes is None


def reset(octets: bytes, nlri: bytes = b"", withdrawn: bytes = b"", *, on: Negotiated = EBGP) -> tuple[int, bytes]:
    """The subcode and data of the NOTIFICATION."""
    with pytest.raises(RemoteError) as caught:
        read_update(octets, nlri, withdrawn, on=on)
    assert caught.value.code == ErrorCode.UPDATE_MESSAGE
    return caught.value.subcode, caught.value.data


def as_path(octets: str) -> bytes:
    return attribute(0x40, 2, bytes.fromhex(octets))


#: name -> (the bad attribute, its code, subcode of the error).
WITHDRAWN = {
    "origin length 0": (attribute(0x40, 1, b""), 1, 5),
    "origin length 2": (attribute(0x40, 1, b"\0\0"), 1, 5),
    "origin value": (attribute(0x40, 1, b"\x03"), 1, 6),
    "origin flags": (attribute(0xC0, 1, b"\0"), 1, 4),
    "path cut": (as_path("0201 0000fd"), 2, 11),
    "path overrun": (as_path("0202 0000fde9"), 2, 11),
    "path one octet": (as_path("0201 0000fde9 02"), 2, 11),
    "path count 0": (as_path("0200 0201 0000fde9"), 2, 11),
    "path type 0": (as_path("0001 0000fde9"), 2, 11),
    "path type 5": (as_path("0201 0000fde9 0501 00000001"), 2, 11),
    "path AS 0": (as_path("0202 0000fde9 00000000"), 2, 11),
    "path empty from outside": (EMPTY_PATH, 2, 11),
    "path of another AS": (as_path("0201 0000fdea"), 2, 11),
    "path confederation": (as_path("0301 0000fde9"), 2, 11),
    "path set": (as_path("0201 0000fde9 0101 00000001"), 2, 11),
    "path flags": (attribute(0xC0, 2, PATH[3:]), 2, 4),
    "next hop length 3": (attribute(0x40, 3, b"\x0a\0\0"), 3, 5),
    "next hop length 5": (attribute(0x40, 3, b"\x0a\0\0\1\0"), 3, 5),
    "next hop 0": (attribute(0x40, 3, bytes(4)), 3, 8),
    "next hop loopback": (attribute(0x40, 3, b"\x7f\0\0\1"), 3, 8),
    "next hop multicast": (attribute(0x40, 3, b"\xe0\0\0\1"), 3, 8),
    "next hop class E": (attribute(0x40, 3, b"\xf0\0\0\1"), 3, 8),
    "next hop flags": (attribute(0x80, 3, b"\x0a\0\0\1"), 3, 4),
    "med length": (attribute(0x80, 4, b"\0\0\0"), 4, 5),
    "med length 0": (attribute(0x80, 4, b""), 4, 5),
    "med flags": (attribute(0x40, 4, bytes(4)), 4, 4),
    "communities length": (attribute(0xC0, 8, bytes(5)), 8, 5),
    "communities length 0": (attribute(0xC0, 8, b""), 8, 5),
    "communities flags": (attribute(0x80, 8, bytes(4)), 8, 4),
    "extended communities length": (attribute(0xC0, 16, bytes(12)), 16, 5),
    "extended communities length 0": (attribute(0xC0, 16, b""), 16, 5),
    "large communities length": (attribute(0xC0, 32, bytes(13)), 32, 5),
    "large communities length 0": (attribute(0xC0, 32, b""), 32, 5),
    "large communities flags": (attribute(0x40, 32, bytes(12)), 32, 4),
}
INTERNAL_WITHDRAWN = {
    "local pref length": (attribute(0x40, 5, b"\0"), 5, 5),
    "local pref flags": (attribute(0xC0, 5, bytes(4)), 5, 4),
    "originator length": (attribute(0x80, 9, bytes(5)), 9, 5),
    "originator flags": (attribute(0x40, 9, bytes(4)), 9, 4),
    "cluster list length": (attribute(0x80, 10, bytes(6)), 10, 5),
    "cluster list length 0": (attribute(0x80, 10, b""), 10, 5),
}
DISCARDED = {
    "atomic aggregate length": attribute(0x40, 6, b"\0"),
    "atomic aggregate flags": attribute(0x80, 6, b""),
    "aggregator length 6": attribute(0xC0, 7, bytes(6)),
    "aggregator length 0": attribute(0xC0, 7, b""),
    "aggregator AS 0": attribute(0xC0, 7, bytes(4) + b"\x0a\0\0\1"),
    "aggregator flags": attribute(0x80, 7, bytes(8)),
    "AS4_PATH from a new speaker": attribute(0xC0, 17, b"\x02\x01\0\0\0\1"),
    "AS4_PATH malformed": attribute(0xC0, 17, b"\x02\x05\0\0\0\1"),
    "AS4_AGGREGATOR from a new speaker": attribute(0xC0, 18, b"\0\0\0\1\0\0\0\1"),
    "AS4_AGGREGATOR length": attribute(0xC0, 18, b"\0"),
    "local pref from outside": attribute(0x40, 5, b"\0"),
    "originator from outside": attribute(0x80, 9, b"\0"),
    "cluster list from outside": attribute(0x80, 10, b"\0"),
}


def with_bad(bad: bytes) -> bytes:
    """A good block in which the bad attribute stands in place of its good one, or behind the others."""
    good = {1: ORIGIN, 2: PATH, 3: NEXT_HOP}
    good[bad[1]] = bad
    return b"".join(good[code] for code in sorted(good))


@pytest.mark.parametrize("name", WITHDRAWN)
def test_treat_as_withdraw(name: str) -> None:
    bad, code, subcode = WITHDRAWN[name]
    update = read_update(with_bad(bad), PREFIX)
    assert verdict(update) == Fault.WITHDRAW
    assert is_withdrawn(update, PREFIX)
    fault = update.faults[0]
    assert (fault.code, fault.subcode, fault.attribute) == (code, subcode, bad)


@pytest.mark.parametrize("name", INTERNAL_WITHDRAWN)
def test_treat_as_withdraw_inside(name: str) -> None:
    bad, code, subcode = INTERNAL_WITHDRAWN[name]
    update = read_update(with_bad(bad), PREFIX, on=IBGP)
    assert is_withdrawn(update, PREFIX)
    assert (update.faults[0].code, update.faults[0].subcode) == (code, subcode)


@pytest.mark.parametrize("name", DISCARDED)
def test_attribute_discard(name: str) -> None:
    update = read_update(with_bad(DISCARDED[name]), PREFIX)
    assert verdict(update) == Fault.DISCARD
    assert update.attributes is not None
    assert update.attributes.codes() == [1, 2]
    assert [list(item.keys) for item in update.announced] == [[PREFIX]]


@pytest.mark.parametrize("name", [name for name in WITHDRAWN if not name.startswith("next hop")])
def test_the_same_for_multiprotocol_routes(name: str) -> None:
    bad, _, _ = WITHDRAWN[name]
    update = read_update(REACH + with_bad(bad))
    assert is_withdrawn(update, V6_PREFIX)


@pytest.mark.parametrize("name", [name for name in WITHDRAWN if name.startswith("next hop")])
def test_next_hop_does_not_matter_where_mp_reach_carries_everything(name: str) -> None:
    bad, _, _ = WITHDRAWN[name]
    update = read_update(REACH + with_bad(bad))
    assert not update.faults
    assert update.attributes is not None
    assert update.attributes.next_hop == V6_HOP
    mixed = read_update(REACH + with_bad(bad), PREFIX)
    assert is_withdrawn(mixed, PREFIX, V6_PREFIX)


@pytest.mark.parametrize("name", WITHDRAWN)
def test_without_reachable_nlri_the_session_is_reset(name: str) -> None:
    """Section 5.2: the NLRI cannot be trusted; the subcode is that of the first error."""
    bad, _, subcode = WITHDRAWN[name]
    data = b"" if subcode == 11 else bad
    assert reset(with_bad(bad)) == (subcode, data)
    assert reset(with_bad(bad), withdrawn=PREFIX) == (subcode, data)
    assert reset(UNREACH + with_bad(bad)) == (subcode, data)


@pytest.mark.parametrize("name", DISCARDED)
def test_a_discarded_attribute_does_not_cost_a_withdrawal(name: str) -> None:
    update = read_update(UNREACH + with_bad(DISCARDED[name]), withdrawn=PREFIX)
    assert verdict(update) == Fault.DISCARD
    assert [item.family for item in update.withdrawn] == [IPV4_UNICAST, IPV6_UNICAST]


def test_withdrawals_of_the_message_are_applied_as_usual() -> None:
    update = read_update(with_bad(WITHDRAWN["origin value"][0]), PREFIX, OTHER_PREFIX)
    assert is_withdrawn(update, OTHER_PREFIX, PREFIX)


@pytest.mark.parametrize(("octets", "missing"), [(PATH + NEXT_HOP, 1), (ORIGIN + NEXT_HOP, 2), (ORIGIN + PATH, 3)])
def test_missing_mandatory_attributes(octets: bytes, missing: int) -> None:
    update = read_update(octets, PREFIX)
    assert is_withdrawn(update, PREFIX)
    assert [(fault.code, fault.subcode, fault.attribute) for fault in update.faults] == [(missing, 3, bytes([missing]))]


def test_no_attributes_at_all() -> None:
    update = read_update(b"", PREFIX)
    assert is_withdrawn(update, PREFIX)
    assert [fault.code for fault in update.faults] == [1, 2, 3]


def test_nothing_is_mandatory_without_reachable_nlri() -> None:
    assert not read_update(NEXT_HOP, withdrawn=PREFIX).faults
    assert not read_update(REACH + ORIGIN + PATH).faults


OVERRUNS = {
    "one octet": b"\x40",
    "two octets": b"\x40\x01",
    "no value": b"\x40\x01\x01",
    "value too long": b"\xc0\x08\x08" + bytes(4),
    "extended length cut": b"\xd0\x08\x00",
    "extended value too long": b"\xd0\x08\xff\xff" + bytes(4),
    "mp reach too long": b"\x80\x0e\xff" + bytes(6),
}


@pytest.mark.parametrize("name", OVERRUNS)
def test_an_attribute_that_overruns(name: str) -> None:
    """Section 4: not a reset where the NLRI can be found (Junos, FRR, OpenBGPD and EXOS did in 2023)."""
    update = read_update(GOOD + OVERRUNS[name], PREFIX)
    assert is_withdrawn(update, PREFIX)
    assert update.faults[0].subcode == 1
    assert is_withdrawn(read_update(REACH + GOOD + OVERRUNS[name]), V6_PREFIX)


@pytest.mark.parametrize("name", OVERRUNS)
def test_an_overrun_without_reachable_nlri(name: str) -> None:
    assert reset(OVERRUNS[name]) == (1, b"")
    assert reset(UNREACH + OVERRUNS[name]) == (1, b"")
    assert reset(GOOD + OVERRUNS[name], withdrawn=PREFIX) == (1, b"")


def test_what_stood_before_the_break_counts() -> None:
    update = read_update(attribute(0x40, 1, b"\x07") + PATH + NEXT_HOP + b"\x40", PREFIX)
    assert [fault.subcode for fault in update.faults] == [6, 1]


@pytest.mark.parametrize("first", [REACH, UNREACH])
@pytest.mark.parametrize("between", [b"", ORIGIN + PATH])
def test_a_second_mp_attribute(first: bytes, between: bytes) -> None:
    assert reset(first + between + first + GOOD, PREFIX) == (1, b"")
    assert reset(ORIGIN + first + between + first, PREFIX) == (1, b"")


def test_any_other_duplicate_loses() -> None:
    update = read_update(GOOD + attribute(0x40, 1, b"\x09") + attribute(0x40, 3, b""), PREFIX)
    assert not update.faults
    assert update.attributes is not None
    assert update.attributes.origin == 0


@pytest.mark.parametrize(
    ("withdrawn", "nlri"),
    [(b"\x21" + bytes(5), b""), (b"", b"\x21" + bytes(5)), (b"\x18\x0a", b""), (b"", b"\x18\x0a"), (b"\xff", b"")],
)
def test_classic_fields_that_cannot_be_split(withdrawn: bytes, nlri: bytes) -> None:
    assert reset(GOOD, nlri, withdrawn) == (10, b"")


def mp_reach(value: bytes, flags: int = 0x80) -> bytes:
    return attribute(flags, 14, value)


BAD_REACH = {
    "flags transitive": mp_reach(REACH[3:], 0xC0),
    "flags well-known": mp_reach(REACH[3:], 0x40),
    "length 0": mp_reach(b""),
    "length 4": mp_reach(b"\0\x02\x01\x00"),
    "next hop beyond the end": mp_reach(b"\0\x02\x01\x10" + bytes(8)),
    "no reserved octet": mp_reach(b"\0\x02\x01\x10" + V6_HOP),
    "next hop of 4": mp_reach(b"\0\x02\x01\x04\x0a\0\0\1\0" + V6_PREFIX),
    "next hop of 0": mp_reach(b"\0\x02\x01\x00\0" + V6_PREFIX),
    "next hop of 24": mp_reach(b"\0\x02\x01\x18" + bytes(24) + b"\0" + V6_PREFIX),
    "prefix too long": mp_reach(b"\0\x02\x01\x10" + V6_HOP + b"\0\x81" + bytes(17)),
    "prefix cut": mp_reach(b"\0\x02\x01\x10" + V6_HOP + b"\0\x20\x20"),
}
BAD_UNREACH = {
    "flags transitive": attribute(0xC0, 15, UNREACH[3:]),
    "length 2": attribute(0x80, 15, b"\0\x02"),
    "length 0": attribute(0x80, 15, b""),
    "prefix too long": attribute(0x80, 15, b"\0\x02\x01\xff"),
    "prefix cut": attribute(0x80, 15, b"\0\x02\x01\x20\x20"),
}


@pytest.mark.parametrize("name", BAD_REACH)
@pytest.mark.parametrize("leading", [True, False])
def test_a_malformed_mp_reach(name: str, leading: bool) -> None:
    bad = BAD_REACH[name]
    octets = bad + GOOD if leading else GOOD + bad
    assert reset(octets) == (9, bad)
    assert reset(octets, PREFIX) == (9, bad)


@pytest.mark.parametrize("name", BAD_UNREACH)
def test_a_malformed_mp_unreach(name: str) -> None:
    bad = BAD_UNREACH[name]
    assert reset(bad) == (9, bad)
    assert reset(bad + GOOD, PREFIX) == (9, bad)


READABLE = [name for name in BAD_REACH if not name.startswith("length")]


@pytest.mark.parametrize("name", READABLE)
def test_the_family_may_be_given_up_instead(name: str) -> None:
    """AFI/SAFI disable (section 2), where the operator allows it and the family can be read."""
    update = read_update(BAD_REACH[name] + GOOD, PREFIX, on=AFD)
    assert update.disabled == (IPV6_UNICAST,)
    assert verdict(update) == Fault.DISABLE_FAMILY
    assert [(item.family, list(item.keys)) for item in update.announced] == [(IPV4_UNICAST, [PREFIX])]


def test_a_family_that_cannot_be_read_still_costs_the_session() -> None:
    assert reset(BAD_REACH["length 4"] + GOOD, on=AFD)[0] == 9
    assert reset(BAD_UNREACH["length 2"], on=AFD)[0] == 9
    only_v4 = session(families=frozenset({IPV4_UNICAST}), options=UpdateOptions(disable_family=True))
    assert reset(BAD_REACH["flags transitive"] + GOOD, on=only_v4)[0] == 9


@pytest.mark.parametrize("name", ["flags transitive", "prefix too long", "prefix cut"])
def test_giving_up_a_family_by_its_withdrawals(name: str) -> None:
    assert read_update(BAD_UNREACH[name], on=AFD).disabled == (IPV6_UNICAST,)


def test_a_next_hop_of_mp_reach_that_is_no_host() -> None:
    octets = mp_reach(b"\0\x02\x01\x10" + bytes(16) + b"\0" + V6_PREFIX)
    assert is_withdrawn(read_update(octets + ORIGIN + PATH), V6_PREFIX)


def test_as_sets_where_they_are_allowed() -> None:
    on = session(external=True, options=UpdateOptions(allow_as_sets=True))
    update = read_update(with_bad(WITHDRAWN["path set"][0]), PREFIX, on=on)
    assert not update.faults
    assert str(update.attributes and update.attributes.as_path) == "65001 {1}"


def test_an_as_set_in_as4_path_costs_the_routes() -> None:
    """RFC 9774 section 3."""
    old = session(external=True, asn4=False)
    path = attribute(0x40, 2, bytes.fromhex("0201fde9"))
    as4_path = attribute(0xC0, 17, bytes.fromhex("0101 00030d40"))
    assert is_withdrawn(read_update(ORIGIN + path + NEXT_HOP + as4_path, PREFIX, on=old), PREFIX)


@pytest.mark.parametrize("value", ["", "0201", "0201 0003", "0200 0000 0000", "0901 00030d40", "0201 00000000"])
def test_a_malformed_as4_path_is_discarded(value: str) -> None:
    old = session(external=True, asn4=False)
    path = attribute(0x40, 2, bytes.fromhex("0201fde9"))
    update = read_update(ORIGIN + path + NEXT_HOP + attribute(0xC0, 17, bytes.fromhex(value)), PREFIX, on=old)
    assert verdict(update) == Fault.DISCARD
    assert str(update.attributes and update.attributes.as_path) == "65001"


def test_wrong_flags_of_the_four_octet_attributes() -> None:
    """Section 3.c: treat-as-withdraw, for they are not in the list of milder ones."""
    assert is_withdrawn(read_update(GOOD + attribute(0x80, 17, b"\x02\x01\0\0\0\1"), PREFIX), PREFIX)
    assert is_withdrawn(read_update(GOOD + attribute(0x40, 18, bytes(8)), PREFIX), PREFIX)


@pytest.mark.parametrize("octets", [attribute(0x60, 1, b"\0") + PATH + NEXT_HOP, GOOD + attribute(0xA0, 4, bytes(4))])
def test_the_partial_bit_costs_nothing(octets: bytes) -> None:
    assert not read_update(octets, PREFIX).faults


@pytest.mark.parametrize(
    "lengths", ["0001 0000", "0000 0001", "ffff 0000", "0000 ffff", "ffff ffff", "0003 0000 00", "0000 0005 40"]
)
def test_lengths_that_do_not_add_up(lengths: str) -> None:
    octets = message_octets(MessageType.UPDATE, bytes.fromhex(lengths))
    with pytest.raises(RemoteError) as caught:
        decode_update(octets, EBGP, AttributeStore())
    assert (caught.value.code, caught.value.subcode, caught.value.data) == (3, 1, b"")


def test_a_corrupt_attribute_is_never_forwarded() -> None:
    """What is discarded is not in the block that goes on (BIRD's OTC of 2025, IOS XR's attribute 99)."""
    update = read_update(GOOD + DISCARDED["aggregator length 6"] + attribute(0xC0, 99, b"as it came"), PREFIX)
    assert isinstance(update.attributes, Attributes)
    assert update.attributes.codes() == [1, 2, 99]
    assert update.attributes.get(99) == b"as it came"
