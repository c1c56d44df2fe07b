"""What holds for every row of the table of families: round trips, cuts, any octets, identities."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.nlri_values import ALL_FAMILIES, any_keys, values
from pybgp.errors import LocalError
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import EVPN, IPV4_LABELLED, IPV4_VPN, LINK_STATE, VPLS, Family, parse_family
from pybgp.wire.messages import decode_update, encode, encode_updates
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.nlri import (
    FAMILIES,
    NlriContext,
    NlriError,
    decode_nlri,
    encode_nlri,
    format_nlri,
    nlri_from_json,
    nlri_to_json,
    parse_nlri,
    split_row,
    strip_path_id,
    with_path_id,
)

LABELS = NlriContext(labels=255)
#: octets from the corpus and the RFCs, and the text that they have.
GOLDEN = [
    (
        "evpn",
        "0311 0001780002010000 00000000 2078000201",
        "type=inclusive-multicast distinguisher=120.0.2.1:0 tag=0 address=120.0.2.1",
    ),
    (
        "evpn",
        "0119 0001780002010064 00000000000010000005 00000000 000000",
        "type=ethernet-auto-discovery distinguisher=120.0.2.1:100 esi=00:00:00:00:00:00:10:00:00:05 tag=0 label=0",
    ),
    (
        "vpls",
        "0011 0001c0a8c901007b 0005 0001 0008 029ce1",
        "distinguisher=192.168.201.1:123 site=5 offset=1 size=8 label_base=171233",
    ),
    ("ipv4-sr-policy", "60 00000001 000000c8 0a000002", "distinguisher=1 color=200 endpoint=10.0.0.2"),
    ("ipv4-labelled", "38 c35021 c6336465", "prefix=198.51.100.101/32 labels=[800002]"),
    (
        "ipv4-vpn",
        "70 000031 0000000400000064 0a0100",
        "distinguisher=4:100 prefix=10.1.0.0/24 labels=[3]",
    ),
    ("ipv4-flowspec", "06 0120858201db", "destination=133.130.1.219/32"),
    (
        "ipv4-flowspec",
        "0e 0118c00002 0218cb0071 04911f90",
        "destination=192.0.2.0/24 source=203.0.113.0/24 port==8080",
    ),
    ("ipv4-flowspec", "03 0c8001", "fragment=any0x1"),
    ("ipv6-flowspec", "07 013010 0db80001", "destination=0:db8:1::/16-48"),
    ("route-target", "60 00000064 0002006400000001", "length=96 origin_as=100 target=0x0002006400000001"),
    ("route-target", "00", "length=0 origin_as=0 target=0x"),
    ("ipv4-mcast-vpn", "0504 0000fde8", "kind=5 body=0x0000fde8"),
    ("ipv4-mup", "01000102 0a00", "architecture=1 kind=1 body=0x0a00"),
    ("ipv6-unicast", "20 20010db8", "2001:db8::/32"),
    (
        "link-state",
        "0001 0015 02 0000000000000002 0100 0008 0200000400000d18",
        "type=link-state kind=node protocol=isis-level-2 identifier=2"
        " descriptors=[{kind=local-node value=0x0200000400000d18}] distinguisher=null",
    ),
]


@pytest.mark.parametrize(("name", "octets", "text"), GOLDEN)
def test_golden_octets_have_their_text(name: str, octets: str, text: str) -> None:
    family, key = parse_family(name), bytes.fromhex(octets)
    assert split_row(FAMILIES[family], key, LABELS) == [key]
    assert format_nlri(family, key) == text
    assert parse_nlri(family, text) == key
    assert json.loads(json.dumps(nlri_to_json(family, key))) == nlri_to_json(family, key)


@pytest.mark.parametrize("family", ALL_FAMILIES, ids=str)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_value_octets_json_and_text_are_one(family: Family, data: st.DataObject) -> None:
    value = data.draw(values(family))
    key = encode_nlri(family, value)
    assert decode_nlri(family, key) == value
    assert nlri_from_json(family, nlri_to_json(family, key)) == key
    assert parse_nlri(family, format_nlri(family, key)) == key
    identified = with_path_id(key, 7)
    assert parse_nlri(family, format_nlri(family, identified, add_path=True), add_path=True) == identified


@pytest.mark.parametrize("add_path", [False, True])
@pytest.mark.parametrize("family", ALL_FAMILIES, ids=str)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_fields_are_split_where_they_were_joined_and_cuts_are_errors(
    family: Family, add_path: bool, data: st.DataObject
) -> None:
    keys = data.draw(st.lists(any_keys(family), min_size=1, max_size=4))
    keys = [with_path_id(key, 9) for key in keys] if add_path else keys
    field, row = b"".join(keys), FAMILIES[family]
    context = LABELS._replace(add_path=add_path)
    assert split_row(row, field, context) == keys
    ends = {sum(map(len, keys[:count])) for count in range(len(keys) + 1)}
    for cut in range(len(field)):
        if cut in ends:
            assert b"".join(split_row(row, field[:cut], context)) == field[:cut]
        else:
            with pytest.raises(NlriError):
                split_row(row, field[:cut], context)


def hops_of(family: Family) -> list[bytes]:
    """Next hops as a route carries them: 4 or 16 octets, and none where the family has none."""
    row = FAMILIES[family]
    if row.next_hop_ignored:
        return [b""]
    sizes = {size - 8 if row.distinguished_next_hop else size for size in row.next_hops}
    return [bytes.fromhex("0a000001" if size == 4 else "20010db8" + "00" * 11 + "01") for size in sizes & {4, 16}]


@pytest.mark.parametrize("add_path", [False, True])
@pytest.mark.parametrize("family", ALL_FAMILIES, ids=str)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_updates_of_the_family_are_written_and_read(family: Family, add_path: bool, data: st.DataObject) -> None:
    in_use = frozenset({family}) if add_path else frozenset()
    session = Negotiated(
        65000,
        65000,
        1,
        2,
        families=frozenset({family}),
        add_path_receive=in_use,
        add_path_send=in_use,
        label_limits=((family, 255),),
    )
    row = FAMILIES[family]
    judge = row.judge or (lambda *_: None)
    keys = data.draw(st.lists(any_keys(family).filter(lambda key: not judge(key, LABELS, ())), min_size=1, max_size=5))
    keys = [with_path_id(key, 9) for key in keys] if add_path else keys
    values = Attributes.build({1: 0, 2: AsPath.sequence(65001)}, data.draw(st.sampled_from(hops_of(family))))
    for message in encode_updates(family, keys, values, session):
        update = decode_update(message, session, AttributeStore())
        assert [(item.family, list(item.keys)) for item in update.announced] == [(family, keys)], update.faults
        assert update.attributes == values
        assert encode(update, session) == message
    for message in encode_updates(family, keys, None, session, add_path=add_path):
        update = decode_update(message, session, AttributeStore())
        front = 4 if add_path else 0
        found = [row.identity(key[front:]) for item in update.withdrawn for key in item.keys]
        assert found == [row.identity(key[front:]) for key in keys]


@pytest.mark.parametrize("family", ALL_FAMILIES, ids=str)
@settings(max_examples=60, deadline=None)
@given(octets=st.binary(max_size=60), withdrawn=st.booleans(), labels=st.sampled_from([0, 1, 3, 255]))
def test_any_octets_are_keys_or_an_error(family: Family, octets: bytes, withdrawn: bool, labels: int) -> None:
    row, context = FAMILIES[family], NlriContext(labels=labels, withdrawn=withdrawn)
    try:
        keys = split_row(row, octets, context)
    except NlriError:
        return
    assert split_row(row, b"".join(keys), context) == keys
    for key in keys:
        assert row.identity(key) == row.identity(row.withdrawal(key))
        if row.judge is not None:
            row.judge(key, context, ())
        assert parse_nlri(family, format_nlri(family, key)) == key


def test_a_stack_of_labels_is_a_list_of_numbers() -> None:
    plain = "prefix=10.0.0.0/8 labels=[100 200 300]"
    key = parse_nlri(IPV4_LABELLED, plain)
    assert key.hex(" ") == "50 00 06 40 00 0c 80 00 12 c1 0a"
    assert format_nlri(IPV4_LABELLED, key) == plain
    marked = "prefix=10.0.0.0/8 labels=[0x000642 200]"
    assert format_nlri(IPV4_LABELLED, parse_nlri(IPV4_LABELLED, marked)) == marked, "a traffic class is kept"


def test_labels_are_no_part_of_what_a_route_is() -> None:
    one = parse_nlri(IPV4_LABELLED, "prefix=10.0.0.0/8 labels=[100]")
    two = parse_nlri(IPV4_LABELLED, "prefix=10.0.0.0/8 labels=[0x000c80 200]")
    identity = FAMILIES[IPV4_LABELLED].identity
    assert identity(one) == identity(two) == b"\x08\x0a"
    vpn = parse_nlri(IPV4_VPN, "distinguisher=4:100 prefix=10.1.0.0/24 labels=[3]")
    assert FAMILIES[IPV4_VPN].identity(vpn) == bytes.fromhex("58 0000000400000064 0a0100")


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (EVPN, "type=mac-ip"),
        (EVPN, "type=none"),
        (EVPN, "10.0.0.0/8"),
        (EVPN, "type=opaque kind=300 body=0x"),
        (EVPN, "type=opaque kind=5 body=0x00"),
        (VPLS, "distinguisher=1:2 site=70000 offset=0 size=0 label_base=0"),
        (LINK_STATE, "type=opaque kind=9 body=0x00 distinguisher=1:1"),
        (IPV4_LABELLED, "prefix=10.0.0.1/8 labels=[1]"),
        (IPV4_LABELLED, "prefix=10.0.0.0/8 labels=[]"),
        (IPV4_VPN, "distinguisher=x prefix=10.0.0.0/8 labels=[1]"),
        (parse_family("ipv4-flowspec"), "port=1"),
        (parse_family("ipv4-flowspec"), "flow-label==1"),
        (parse_family("ipv4-flowspec"), "distinguisher=1:1"),
        (parse_family("route-target"), "length=31 origin_as=1 target=0x"),
        (parse_family("ipv4-unicast"), "10.0.0.0/33"),
        (Family(9, 9), "0x00"),
    ],
)
def test_bad_text_is_an_error_that_names_the_family(family: Family, text: str) -> None:
    with pytest.raises(LocalError, match=str(family)):
        parse_nlri(family, text)


def test_a_key_of_another_family_is_an_error() -> None:
    with pytest.raises(LocalError, match="vpls"):
        decode_nlri(VPLS, b"\x08\x0a")
    with pytest.raises(LocalError, match="stand behind"):
        decode_nlri(parse_family("ipv4-unicast"), b"\x08\x0a\x00")


def test_path_identifiers_are_left_alone() -> None:
    key = with_path_id(parse_nlri(VPLS, "distinguisher=1:2 site=1 offset=0 size=0 label_base=0"), 5)
    assert nlri_to_json(VPLS, key, add_path=True)["path_id"] == 5
    assert strip_path_id(key) in key
