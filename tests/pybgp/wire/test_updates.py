"""UPDATE: fields and families in, packed messages out."""

from __future__ import annotations

from itertools import permutations

import pytest

from pybgp.errors import LocalError, RemoteError
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes, Fault
from pybgp.wire.families import EVPN, IPV4_UNICAST, IPV4_VPN, IPV6_UNICAST, Family
from pybgp.wire.framing import Framer
from pybgp.wire.messages import decode, decode_update, encode, encode_updates, end_of_rib
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import parse_nlri, with_path_id
from pybgp.wire.update_encoding import AttributesTooLongError
from pybgp.wire.updates import NlriSet, OpaqueNlri, Update

from .samples import (
    BOTH,
    EBGP,
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
    update_message,
)

VALUES = Attributes.build({1: 0, 2: AsPath.sequence(65001)}, b"\x0a\0\0\x01")
VALUES_V6 = Attributes.build({1: 0, 2: AsPath.sequence(65001)}, V6_HOP)


def sets(update: Update) -> tuple[list[tuple[Family, list[bytes]]], list[tuple[Family, list[bytes]]]]:
    withdrawn = [(item.family, list(item.keys)) for item in update.withdrawn]
    return withdrawn, [(item.family, list(item.keys)) for item in update.announced]


def test_an_announcement() -> None:
    update = read_update(GOOD, PREFIX + OTHER_PREFIX)
    assert sets(update) == ([], [(IPV4_UNICAST, [PREFIX, OTHER_PREFIX])])
    assert update.attributes == VALUES
    assert update.announced[0].attributes is update.attributes
    assert not update.faults


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_reachable_routes_of_ipv6_stand_anywhere_among_the_attributes(order: tuple[int, ...]) -> None:
    parts = (REACH, ORIGIN, PATH, attribute(0xC0, 8, b"\xfd\xe9\0\x01"))
    update = read_update(b"".join(parts[number] for number in order))
    assert sets(update) == ([], [(IPV6_UNICAST, [V6_PREFIX])])
    assert update.attributes == VALUES_V6.replace({8: (0xFDE90001,)})
    assert not update.faults


@pytest.mark.parametrize("hop", [bytes((127, 0, 0, 1)), bytes((127, 9, 9, 9)), bytes(15) + b"\x01"])
def test_a_next_hop_of_loopback_is_for_tests_on_one_machine(hop: bytes) -> None:
    family, key = (IPV4_UNICAST, PREFIX) if len(hop) == 4 else (IPV6_UNICAST, V6_PREFIX)
    octets = encode_updates(family, [key], VALUES.replace(next_hop=hop), EBGP)[0]
    ends = {"local_as": 64512, "peer_as": 65001, "families": frozenset({IPV4_UNICAST, IPV6_UNICAST})}
    assert decode_update(octets, Negotiated(**ends)).withdrawn  # type: ignore[arg-type]
    taken = decode_update(octets, Negotiated(**ends, options=UpdateOptions(loopback_next_hop=True)))  # type: ignore[arg-type]
    assert [one.family for one in taken.announced] == [family]
    assert taken.attributes is not None
    assert taken.attributes.next_hop == hop


def test_who_reads_a_single_message_needs_no_store() -> None:
    octets = update_message(GOOD, PREFIX)
    alone = decode_update(octets, EBGP)
    assert alone.attributes == VALUES
    assert decode(octets, EBGP) == alone == decode_update(octets, EBGP, AttributeStore())
    assert decode_update(octets, Negotiated(local_as=64512, peer_as=65001)) == alone
    with pytest.raises(LocalError, match="no meaning before both OPENs"):
        decode(octets)


def test_withdrawals() -> None:
    assert sets(read_update(withdrawn=PREFIX)) == ([(IPV4_UNICAST, [PREFIX])], [])
    assert sets(read_update(UNREACH)) == ([(IPV6_UNICAST, [V6_PREFIX])], [])


def test_both_at_once() -> None:
    update = read_update(GOOD, OTHER_PREFIX, PREFIX)
    assert sets(update) == ([(IPV4_UNICAST, [PREFIX])], [(IPV4_UNICAST, [OTHER_PREFIX])])


@pytest.mark.parametrize("parts", list(permutations([REACH, UNREACH, ORIGIN, PATH])))
def test_the_order_of_attributes_does_not_matter(parts: tuple[bytes, ...]) -> None:
    update = read_update(b"".join(parts))
    assert sets(update) == ([(IPV6_UNICAST, [V6_PREFIX])], [(IPV6_UNICAST, [V6_PREFIX])])
    assert update.attributes == VALUES_V6
    assert not update.faults


def test_a_message_that_mixes_both_ways_has_two_next_hops() -> None:
    update = read_update(REACH + GOOD, PREFIX)
    assert sets(update)[1] == [(IPV4_UNICAST, [PREFIX]), (IPV6_UNICAST, [V6_PREFIX])]
    assert [item.attributes and item.attributes.next_hop for item in update.announced] == [b"\x0a\0\0\x01", V6_HOP]


def test_the_same_block_in_both_ways_one_after_the_other() -> None:
    store = AttributeStore()
    for _ in range(2):
        classic = decode_update(update_message(GOOD, PREFIX), EBGP, store)
        multi = decode_update(update_message(REACH + GOOD), EBGP, store)
        assert classic.attributes == VALUES
        assert multi.attributes == VALUES_V6


@pytest.mark.parametrize(
    ("octets", "family"),
    [(end_of_rib(IPV4_UNICAST), IPV4_UNICAST), (end_of_rib(IPV6_UNICAST), IPV6_UNICAST)],
)
def test_end_of_rib(octets: bytes, family: Family) -> None:
    update = decode_update(octets, EBGP, AttributeStore())
    assert update == Update(end_of_rib=family)
    assert encode(update, EBGP) == octets


def test_octets_of_end_of_rib() -> None:
    assert end_of_rib(IPV4_UNICAST).hex() == "ff" * 16 + "0017" + "02" + "00000000"
    assert end_of_rib(IPV6_UNICAST).hex() == "ff" * 16 + "001d" + "02" + "00000006" + "800f03000201"


def test_an_end_of_rib_beside_something_else_is_none() -> None:
    empty_unreach = attribute(0x80, 15, b"\0\x02\x01")
    assert read_update(empty_unreach + ORIGIN).end_of_rib is None
    assert read_update(empty_unreach, withdrawn=PREFIX).end_of_rib is None
    extended = attribute(0x90, 15, b"\0\x02\x01")
    assert read_update(extended).end_of_rib == IPV6_UNICAST


@pytest.mark.parametrize("receive", [frozenset({IPV4_UNICAST}), BOTH])
def test_path_identifiers_are_part_of_the_key(receive: frozenset[Family]) -> None:
    on = session(external=True, add_path_receive=receive)
    keys = [with_path_id(PREFIX, 1), with_path_id(PREFIX, 2)]
    field = b"".join(keys)
    assert sets(read_update(GOOD, field, on=on))[1] == [(IPV4_UNICAST, keys)]
    assert sets(read_update(withdrawn=field, on=on))[0] == [(IPV4_UNICAST, keys)]
    v6 = [with_path_id(V6_PREFIX, 9)] if IPV6_UNICAST in receive else [V6_PREFIX]
    reach = attribute(0x80, 14, b"\0\x02\x01\x10" + V6_HOP + b"\0" + v6[0])
    assert sets(read_update(reach + ORIGIN + PATH, on=on))[1] == [(IPV6_UNICAST, v6)]


def test_a_family_that_was_not_negotiated_is_ignored() -> None:
    only_v4 = session(external=True, families=frozenset({IPV4_UNICAST}))
    update = read_update(REACH + UNREACH + GOOD, PREFIX, on=only_v4)
    assert sets(update) == ([], [(IPV4_UNICAST, [PREFIX])])
    assert [fault.code for fault in update.faults] == [14, 15]
    only_v6 = session(external=True, families=frozenset({IPV6_UNICAST}))
    update = read_update(GOOD, PREFIX, OTHER_PREFIX, on=only_v6)
    assert sets(update) == ([], [])
    assert "not negotiated" in update.faults[0].reason
    for family, code, context in ((IPV4_UNICAST, 0, only_v6), (IPV6_UNICAST, 15, only_v4)):
        update = decode_update(end_of_rib(family), context, AttributeStore())
        (fault,) = update.faults
        reason = f"End-of-RIB of {family}, which was not negotiated, is ignored"
        assert (update.end_of_rib, fault.code, fault.fault, fault.reason) == (None, code, Fault.DISCARD, reason)


def test_a_family_that_we_do_not_take_apart_stays_opaque() -> None:
    other = Family(25, 66)
    on = session(external=True, families=frozenset({other}))
    reach = attribute(0x80, 14, b"\0\x19\x42\x04\x0a\0\0\x01\0body")
    update = read_update(reach + ORIGIN + PATH, on=on)
    assert update.opaque == (OpaqueNlri(other, b"body", b"\x0a\0\0\x01"),)
    assert update.attributes is not None
    update = read_update(attribute(0x80, 15, b"\0\x19\x42body"), on=on)
    assert update.opaque == (OpaqueNlri(other, b"body", is_withdrawn=True),)
    update = read_update(reach + ORIGIN, on=on)
    assert update.opaque == (OpaqueNlri(other, b"body", b"\x0a\0\0\x01", is_withdrawn=True),)


def test_opaque_families_are_written_as_they_came() -> None:
    on = session(external=True, families=frozenset({Family(25, 66)}))
    reach = attribute(0x80, 14, b"\0\x19\x42\x04\x0a\0\0\x01\0body")
    assert encode(read_update(reach + ORIGIN + PATH, on=on), on) == update_message(reach + ORIGIN + PATH)
    unreach = attribute(0x80, 15, b"\0\x19\x42body")
    assert encode(read_update(unreach, on=on), on) == update_message(unreach)


def labelled_session() -> Negotiated:
    return session(external=True, families=frozenset({IPV4_VPN, EVPN}))


def test_a_vpn_next_hop_loses_its_distinguisher_and_gets_it_back() -> None:
    key = parse_nlri(IPV4_VPN, "distinguisher=4:100 prefix=10.1.0.0/24 labels=[3]")
    reach = attribute(0x80, 14, b"\0\1\x80\x0c" + bytes(8) + b"\x0a\0\0\x01\0" + key)
    update = read_update(reach + ORIGIN + PATH, on=labelled_session())
    assert sets(update) == ([], [(IPV4_VPN, [key])])
    assert update.attributes is not None
    assert update.attributes.next_hop == b"\x0a\0\0\x01"
    assert encode(update, labelled_session()) == update_message(reach + ORIGIN + PATH)


def test_withdrawals_of_labelled_families_carry_the_label_of_withdrawals() -> None:
    key = parse_nlri(IPV4_VPN, "distinguisher=4:100 prefix=10.1.0.0/24 labels=[3]")
    messages = encode_updates(IPV4_VPN, [with_path_id(key, 1)], None, EBGP, add_path=True)
    identified = with_path_id(key[:1] + b"\x80\0\0" + key[4:], 1)
    assert messages == [update_message(attribute(0x80, 15, b"\0\1\x80" + identified))]
    assert encode_updates(IPV4_VPN, [key], None, EBGP)[0].endswith(identified[4:])


def test_an_nlri_that_is_wrong_in_itself_costs_the_routes() -> None:
    """RFC 9136 section 3.1: neither label nor overlay index."""
    text = "type=ip-prefix distinguisher=1:1 esi=00:00:00:00:00:00:00:00:00:00 tag=0 length=24 address=10.0.0.0"
    key = parse_nlri(EVPN, f"{text} gateway=0.0.0.0 label=0")
    reach = attribute(0x80, 14, b"\0\x19\x46\x04\x0a\0\0\x01\0" + key)
    on = labelled_session()
    update = read_update(reach + ORIGIN + PATH, on=on)
    assert sets(update) == ([(EVPN, [key])], [])
    router_mac = attribute(0xC0, 16, bytes.fromhex("0603 020000000001"))
    assert sets(read_update(reach + ORIGIN + PATH + router_mac, on=on)) == ([], [(EVPN, [key])])
    multicast_mac = attribute(0xC0, 16, bytes.fromhex("0603 030000000001"))
    assert sets(read_update(reach + ORIGIN + PATH + multicast_mac, on=on))[1] == []


def test_unknown_route_types_are_left_out_one_by_one() -> None:
    known = parse_nlri(EVPN, "type=inclusive-multicast distinguisher=1:1 tag=0 address=192.0.2.1")
    reach = attribute(0x80, 14, b"\0\x19\x46\x04\x0a\0\0\x01\0" + b"\xc8\x01\x00" + known)
    update = read_update(reach + ORIGIN + PATH, on=labelled_session())
    assert sets(update) == ([], [(EVPN, [known])])
    assert "route type 200" in update.faults[0].reason


def test_plain_and_careful_ways_agree_about_ipv6() -> None:
    """The same attributes in another order take the careful way."""
    for hop in (V6_HOP, V6_HOP + b"\xfe\x80" + bytes(13) + b"\1"):
        value = b"\0\x02\x01" + bytes([len(hop)]) + hop + b"\0" + V6_PREFIX
        for flags in (0x80, 0x90):
            reach = attribute(flags, 14, value)
            plain, careful = read_update(reach + ORIGIN + PATH), read_update(ORIGIN + PATH + reach)
            assert sets(plain) == sets(careful) == ([], [(IPV6_UNICAST, [V6_PREFIX])])
            assert plain.attributes == careful.attributes


def test_odd_prefixes_are_ignored_one_by_one() -> None:
    update = read_update(GOOD, PREFIX + b"\x08\x7f" + OTHER_PREFIX + b"\x04\xe0")
    assert sets(update)[1] == [(IPV4_UNICAST, [PREFIX, OTHER_PREFIX])]
    assert len(update.faults) == 2
    assert update.attributes is not None


def test_stray_host_bits_do_not_make_another_prefix() -> None:
    assert sets(read_update(GOOD, b"\x08\x0a" + b"\x07\x0b"))[1] == [(IPV4_UNICAST, [b"\x08\x0a", b"\x07\x0a"])]


@pytest.mark.parametrize(
    ("hop", "kept"),
    [
        (V6_HOP, V6_HOP),
        (V6_HOP + bytes.fromhex("fe80") + bytes(14), V6_HOP + bytes.fromhex("fe80") + bytes(14)),
        (V6_HOP + V6_HOP, V6_HOP),
        (bytes.fromhex("fe80") + bytes(13) + b"\1", bytes.fromhex("fe80") + bytes(13) + b"\1"),
    ],
)
def test_ipv6_next_hops(hop: bytes, kept: bytes) -> None:
    """RFC 2545 section 3: a second address that is not link-local is left out."""
    reach = attribute(0x80, 14, b"\0\x02\x01" + bytes([len(hop)]) + hop + b"\0" + V6_PREFIX)
    update = read_update(reach + ORIGIN + PATH)
    assert update.attributes is not None
    assert update.attributes.next_hop == kept


def test_ipv4_by_an_ipv6_next_hop() -> None:
    """RFC 8950: only where it was negotiated."""
    reach = attribute(0x80, 14, b"\0\x01\x01\x10" + V6_HOP + b"\0" + PREFIX)
    on = session(external=True, extended_next_hop=frozenset({IPV4_UNICAST}))
    update = read_update(reach + ORIGIN + PATH, on=on)
    assert sets(update)[1] == [(IPV4_UNICAST, [PREFIX])]
    assert encode(update, on) == update_message(reach + ORIGIN + PATH)
    with pytest.raises(RemoteError):
        read_update(reach + ORIGIN + PATH)


def test_octets_of_an_announcement() -> None:
    assert encode_updates(IPV4_UNICAST, [PREFIX], VALUES, EBGP) == [update_message(GOOD, PREFIX)]
    assert encode_updates(IPV6_UNICAST, [V6_PREFIX], VALUES_V6, EBGP) == [update_message(REACH + ORIGIN + PATH)]
    assert encode_updates(IPV4_UNICAST, [PREFIX], None, EBGP) == [update_message(withdrawn=PREFIX)]
    assert encode_updates(IPV6_UNICAST, [V6_PREFIX], None, EBGP) == [update_message(UNREACH)]
    assert encode_updates(IPV4_UNICAST, [], VALUES, EBGP) == []


def unpacked(messages: list[bytes], limit: int) -> list[bytes]:
    """Every key in the messages, each message whole and within the limit."""
    framer, store, found = Framer(limit), AttributeStore(), []
    on = session(external=True)
    for message in messages:
        framer.feed(message)
        octets = framer.next_message()
        assert octets == message
        update = decode_update(octets, on, store)
        found += [key for item in (*update.withdrawn, *update.announced) for key in item.keys]
    return found


@pytest.mark.parametrize("limit", [4096, 65535])
@pytest.mark.parametrize("announce", [True, False])
@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
def test_packing_fills_every_message(family: Family, announce: bool, limit: int) -> None:
    """No message is too long, and none but the last could hold another key."""
    if family == IPV4_UNICAST:
        keys = [b"\x18" + number.to_bytes(3, "big") for number in range(0x010000, 0x010000 + 40_000)]
    else:
        keys = [b"\x30\x20\x01" + number.to_bytes(4, "big") for number in range(40_000)]
    values = (VALUES if family == IPV4_UNICAST else VALUES_V6) if announce else None
    messages = encode_updates(family, keys, values, session(external=True, send_limit=limit))
    assert unpacked(messages, limit) == keys
    assert all(limit - len(keys[0]) < len(message) <= limit for message in messages[:-1])


@pytest.mark.parametrize("spare", range(-1, 8))
@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
def test_the_last_octet_of_a_message_is_used(family: Family, spare: int) -> None:
    """Attributes grown octet by octet: one prefix fits until there is no room, then the error says so."""
    key = PREFIX if family == IPV4_UNICAST else V6_PREFIX
    base = VALUES if family == IPV4_UNICAST else VALUES_V6
    empty = len(encode_updates(family, [key], base.replace({99: bytes(300)}), EBGP)[0])
    values = base.replace({99: bytes(300 + 4096 - empty - spare)})
    if spare < 0:
        with pytest.raises(AttributesTooLongError, match=r"attributes leave \d+ octets, \d+ are needed"):
            encode_updates(family, [key], values, EBGP)
    else:
        messages = encode_updates(family, [key, key], values, EBGP)
        assert [len(message) for message in messages] == (
            [4096 - spare] * 2 if spare < len(key) else [4096 - spare + len(key)]
        )
        assert unpacked(messages, 4096) == [key, key]


def test_no_room_at_all() -> None:
    values = VALUES.replace({99: bytes(5000)})
    for family, hop in ((IPV4_UNICAST, VALUES.next_hop), (IPV6_UNICAST, V6_HOP)):
        with pytest.raises(AttributesTooLongError):
            encode_updates(family, [PREFIX, PREFIX], values.replace(next_hop=hop), EBGP)


@pytest.mark.parametrize(
    ("family", "values"),
    [
        (IPV4_UNICAST, Attributes.build({1: 0}, b"\x0a\0\0\1")),
        (IPV4_UNICAST, Attributes.build({2: AsPath()}, b"\x0a\0\0\1")),
        (IPV4_UNICAST, VALUES.replace(next_hop=b"")),
        (IPV6_UNICAST, VALUES),
        (IPV6_UNICAST, VALUES.replace(next_hop=bytes(5))),
    ],
)
def test_what_nobody_could_read_is_not_written(family: Family, values: Attributes) -> None:
    with pytest.raises(LocalError):
        encode_updates(family, [PREFIX], values, EBGP)


def test_an_update_of_several_kinds_becomes_several_messages() -> None:
    update = Update(
        withdrawn=(NlriSet(IPV4_UNICAST, [PREFIX]), NlriSet(IPV6_UNICAST, [V6_PREFIX])),
        announced=(NlriSet(IPV4_UNICAST, [OTHER_PREFIX]), NlriSet(IPV6_UNICAST, [V6_PREFIX], VALUES_V6)),
        attributes=VALUES,
        end_of_rib=IPV4_UNICAST,
    )
    expected = [
        update_message(withdrawn=PREFIX),
        update_message(UNREACH),
        update_message(GOOD, OTHER_PREFIX),
        update_message(REACH + ORIGIN + PATH),
        end_of_rib(IPV4_UNICAST),
    ]
    assert encode(update, EBGP) == b"".join(expected)
    with pytest.raises(LocalError):
        encode(Update(announced=(NlriSet(IPV4_UNICAST, [PREFIX]),)), EBGP)


def test_a_two_octet_session_both_ways() -> None:
    old = session(external=True, asn4=False)
    values = Attributes.build({1: 0, 2: AsPath.sequence(65001, 200000), 7: (300000, 1)}, b"\x0a\0\0\x01")
    message = encode_updates(IPV4_UNICAST, [PREFIX], values, old)[0]
    assert decode_update(message, old, AttributeStore()).attributes == values


def test_local_pref_is_optional_inside() -> None:
    assert not read_update(ORIGIN + attribute(0x40, 2, b"") + NEXT_HOP, PREFIX, on=IBGP).faults
