"""Whatever we write, we read as the same; and writing what was read is a fixed point (spec section 13)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz import strategies
from fuzz.messages import check_ways
from pybgp.wire.as_path import decode_as_path, encode_as_path, merge_as4_path
from pybgp.wire.attribute_block import read_block, walk_block
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.capabilities import Capability, decode_capabilities, encode_capabilities
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MARKER
from pybgp.wire.messages import Message, Open, Update, decode, encode, encode_open, encode_updates
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import format_prefix, parse_prefix, split
from tests.conformance.rewriting import fields, split_messages
from tests.pybgp.wire.samples import attribute, update_message

SESSION = Negotiated(65000, 65000, 1, 2, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))
LENIENT = UpdateOptions(allow_as_sets=True, confederation=True)


@given(strategies.messages)
def test_messages(message: Message) -> None:
    assert decode(encode(message)) == message


@given(strategies.opens())
def test_opens_in_the_extended_form(message: Open) -> None:
    assert decode(encode_open(message, extended=True)) == message


@given(st.lists(strategies.capabilities, max_size=8))
def test_capabilities(capabilities: list[Capability]) -> None:
    assert decode_capabilities(encode_capabilities(capabilities)) == capabilities


@given(st.data())
def test_updates(data: st.DataObject) -> None:
    session = data.draw(strategies.sessions())
    update = data.draw(strategies.updates(session))
    store = AttributeStore()
    octets = encode(update, session)
    found = decode(octets, session, store)
    assert isinstance(found, Update)
    assert [(item.family, list(item.keys)) for item in found.withdrawn] == list(
        map(tuple, (i[:2] for i in update.withdrawn))
    )
    assert [(item.family, list(item.keys)) for item in found.announced] == list(
        map(tuple, (i[:2] for i in update.announced))
    )
    assert found.end_of_rib == update.end_of_rib
    assert not found.faults
    assert found.attributes == in_old_form(update.attributes, session)
    again = encode(found, session)
    assert decode(again, session, store) == found
    if found.attributes == update.attributes:
        assert again == octets


def in_old_form(attributes: Attributes | None, session: Negotiated) -> Attributes | None:
    """What is left of a path after a 2-octet session: the numbers stay, neighbouring sequences may join."""
    if attributes is None or session.asn4:
        return attributes
    path = attributes.as_path
    narrow = decode_as_path(encode_as_path(path, 2), 2)
    if narrow == path:
        return attributes
    outside = path.without_confederations()
    if all(asn <= 0xFFFF for asn in outside):
        return attributes.replace({2: narrow})
    return attributes.replace({2: merge_as4_path(narrow, outside)})


@given(st.data())
def test_both_ways_of_reading_an_update_agree(data: st.DataObject) -> None:
    """Its attributes in any order, whole or damaged."""
    session = data.draw(strategies.sessions())
    for message in split_messages(encode(data.draw(strategies.updates(session)), session)):
        withdrawn, attributes, nlri = fields(message)
        shuffled = data.draw(st.permutations([attribute(*item) for item in attributes]))
        octets = update_message(b"".join(shuffled), nlri, withdrawn)
        check_ways(octets, session)
        check_ways(MARKER + data.draw(strategies.damaged(st.just(octets[16:]))), session)


@given(strategies.attributes(), st.booleans(), st.booleans(), st.booleans())
def test_both_ways_of_judging_a_block_agree(attributes: Attributes, lenient: bool, internal: bool, asn4: bool) -> None:
    options = LENIENT if lenient else UpdateOptions()
    first_as = attributes.as_path.first or 65001
    context = Negotiated(65000, 65000 if internal else first_as, 1, 2, options=options, asn4=asn4).context
    octets = attributes.encoded(asn4=asn4, classic_next_hop=True)
    short, walked = read_block(octets, context), walk_block(octets, context)
    assert (short.canonical, short.next_hop, short.faults, short.worst) == (
        walked.canonical,
        walked.next_hop,
        walked.faults,
        walked.worst,
    )
    if lenient and internal and asn4:
        assert (short.canonical, short.next_hop) == (attributes.block, attributes.next_hop)


@given(strategies.attribute_values)
def test_typed_values(values: dict[int, object]) -> None:
    attributes = Attributes.build(values)
    assert Attributes.build({code: attributes.get(code) for code in values}) == attributes
    assert attributes.replace(drop=values.keys()) == Attributes(b"")


@given(st.data())
def test_prefixes(data: st.DataObject) -> None:
    family = data.draw(strategies.our_families)
    add_path = data.draw(st.booleans())
    keys = data.draw(st.lists(strategies.keys(family, add_path=add_path)))
    assert split(family, b"".join(keys), add_path=add_path) == keys
    for key in keys:
        assert parse_prefix(format_prefix(family, key, add_path=add_path)) == (family, key[4:] if add_path else key)


@given(st.data())
def test_packing_loses_nothing_and_keeps_the_limit(data: st.DataObject) -> None:
    session = data.draw(strategies.sessions())
    family = data.draw(strategies.our_families)
    add_path = family in session.add_path_receive
    keys = data.draw(st.lists(strategies.keys(family, add_path=add_path), max_size=30)) * data.draw(st.integers(1, 60))
    attributes = data.draw(st.one_of(st.none(), strategies.attributes(family)))
    framer, store, found = Framer(session.receive_limit), AttributeStore(), []
    for message in encode_updates(family, keys, attributes, session):
        framer.feed(message)
        octets = framer.next_message()
        assert octets == message
        update = decode(octets, session, store)
        assert isinstance(update, Update)
        found += [key for item in (*update.withdrawn, *update.announced) for key in item.keys]
    assert found == keys


@given(strategies.as_paths, st.integers(1, 0xFFFFFFFF), st.integers(0, 300))
def test_prepending_adds_to_the_length(path: strategies.AsPath, asn: int, count: int) -> None:
    longer = path.prepend(asn, count)
    assert longer.length == path.length + count
    assert decode_as_path(encode_as_path(longer)) == longer
    assert list(longer) == [asn] * count + list(path)
