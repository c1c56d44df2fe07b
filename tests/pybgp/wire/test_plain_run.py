"""What is read in one go is what the careful decoder reads message by message, and nothing else is taken."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from operator import lt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.framing import Framer
from pybgp.wire.messages import Keepalive, encode, end_of_rib
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.plain_run import Run, RunReader, can_read_runs
from pybgp.wire.updates import Update, decode_update
from tests.pybgp.wire.samples import (
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
    session,
    update_message,
)

ADD_PATH = replace(EBGP, add_path_receive=frozenset({IPV4_UNICAST}))
ANY_FIRST_AS = session(external=True, options=UpdateOptions(check_first_as=False))
SESSIONS = [
    EBGP,
    IBGP,
    ADD_PATH,
    ANY_FIRST_AS,
    replace(EBGP, families=frozenset({IPV4_UNICAST})),
    replace(EBGP, families=frozenset({IPV6_UNICAST})),
    replace(IBGP, add_path_receive=frozenset({IPV6_UNICAST})),
]
KEEPALIVE = encode(Keepalive())


def path(*asns: int) -> bytes:
    return attribute(0x40, 2, struct.pack(f">BB{len(asns)}I", 2, len(asns), *asns))


def communities(*values: int) -> bytes:
    return attribute(0xC0, 8, struct.pack(f">{len(values)}I", *values))


LONG = ORIGIN + path(65001, *range(70000, 70060)) + NEXT_HOP
MARKED = GOOD + attribute(0x80, 4, bytes(4)) + communities(7, 65001 << 16)
EXTENDED = GOOD + attribute(0xC0, 16, struct.pack(">2Q", 0x0002_FDE8_0000_0001, 0x0002_FDE8_0000_0002))
LARGE = GOOD + attribute(0xE0, 32, struct.pack(">6I", 1, 2, 3, 1, 2, 4))
#: these look ordinary and are not, or not here.
ODD_BLOCKS = {
    "AS 0": ORIGIN + path(65001, 0) + NEXT_HOP,
    "AS 0 under the long header": ORIGIN + attribute(0x50, 2, path(65001, 0)[3:]) + NEXT_HOP,
    "another first AS under the long header": ORIGIN + attribute(0x50, 2, path(65002)[3:]) + NEXT_HOP,
    "another first AS": ORIGIN + path(65002) + NEXT_HOP,
    "communities that descend": GOOD + communities(8, 7),
    "a community twice": GOOD + communities(7, 7),
    "extended communities that descend": GOOD + attribute(0xC0, 16, struct.pack(">2Q", 2, 1)),
    "large communities that descend": GOOD + attribute(0xC0, 32, struct.pack(">6I", 1, 2, 4, 1, 2, 3)),
}
#: and these do not look ordinary.
OTHER_BLOCKS = {
    "no next hop": ORIGIN + PATH,
    "next hop of a multicast group": ORIGIN + PATH + attribute(0x40, 3, b"\xe0\0\0\x01"),
    "an AS set": ORIGIN + attribute(0x40, 2, b"\x01\x01\0\0\xfd\xe9") + NEXT_HOP,
    "an unknown attribute": GOOD + attribute(0xC0, 99, b"abc"),
    "attributes out of order": PATH + ORIGIN + NEXT_HOP,
    "an origin of 3": attribute(0x40, 1, b"\x03") + PATH + NEXT_HOP,
    "a path that needs the long header": ORIGIN
    + attribute(0x50, 2, struct.pack(">BB64I", 2, 64, 65001, *range(63)))
    + NEXT_HOP,
    "an AS set under the long header": ORIGIN + attribute(0x50, 2, b"\x01\x01\0\0\xfd\xe9") + NEXT_HOP,
    "no next hop under the long header": ORIGIN + attribute(0x50, 2, PATH[3:]),
    "an attribute like a prefix": ORIGIN + attribute(0x50, 2, PATH[3:]) + NEXT_HOP + b"\x18\x0a\x01\x01",
    "multiprotocol": REACH + GOOD,
}
GOOD_BLOCKS = {
    "plain": GOOD,
    "long": LONG,
    "marked": MARKED,
    "extended": EXTENDED,
    "large": LARGE,
    "as FRR writes it": ORIGIN + attribute(0x50, 2, PATH[3:]) + NEXT_HOP + communities(7, 8),
}
FIELDS = [
    b"\x11\x0a\0\x80\x18\x0a\1\1" * 9,
    PREFIX + b"\x10\x0a\1" + PREFIX + b"\0",
    PREFIX,
    PREFIX + OTHER_PREFIX,
    b"\0",
    b"\x20\x0a\0\0\x01",
    b"\x19\x0a\0\0\x80" + PREFIX,
]
LINK_LOCAL = bytes.fromhex("fe800000000000000000000000000001")
V6_FIELDS = [
    V6_PREFIX,
    b"\0",
    b"\x2f\x24" + bytes(4) + b"\xfe",
    b"\x80\x24" + bytes(14) + b"\xff",
    b"\x40\x24" + bytes(7),
]
ODD_FIELDS = [b"", b"\x19\x0a\0\0\xff", b"\x08\x7f", b"\x08\xe0", b"\x21\x0a\0\0\0\0", b"\x18\x0a"]


@dataclass
class Said:
    """What a stream says of each family in this order, and what was wrong."""

    of: dict[object, list[tuple[object, ...]]] = field(default_factory=dict)
    error: str = ""

    def add(self, family: object, *what: object) -> None:
        self.of.setdefault(family, []).append(what)

    def hear(self, update: Update) -> None:
        for nlri in update.withdrawn:
            self.add(nlri.family, "-", *nlri.keys)
        for nlri in update.announced:
            self.add(nlri.family, "+", *map(bytes, nlri.keys), nlri.attributes)
        for fault in update.faults:
            self.add("faults", fault)


def carefully(stream: bytes, on: Negotiated) -> Said:
    """What the framer and `decode_update` make of a stream, up to an error."""
    framer, store = Framer(), AttributeStore()
    framer.feed(stream)
    found = Said()
    try:
        while (message := framer.next_message()) is not None:
            if message[18] == 2:
                found.hear(decode_update(message, on, store))
    except RemoteError as error:
        found.error = str(error)
    return found


def in_runs(stream: bytes, on: Negotiated) -> Said:
    """What runs make of it, with the careful way in between as a session takes it."""
    framer, store = Framer(), AttributeStore()
    reader = RunReader(on, store)
    framer.feed(stream)
    found = Said()
    try:
        while True:
            waiting = framer.waiting()
            if waiting is not None:
                parts, end = reader.read(*waiting)
                framer.skip(end - waiting[1])
                for part in parts:
                    if isinstance(part, bytes):
                        found.hear(decode_update(part, on, store))
                    else:
                        family, run = part
                        for attributes, keys in zip(*run, strict=True):
                            found.add(family, "+", *keys, attributes)
            message = framer.next_message()
            if message is None:
                return found
            if message[18] == 2:
                found.hear(decode_update(message, on, store))
    except RemoteError as error:
        found.error = str(error)
        return found


def taken(stream: bytes, on: Negotiated = EBGP) -> int:
    """How many UPDATEs are read in one go."""
    parts, _ = RunReader(on, AttributeStore()).read(stream, 0)
    return sum(len(part[1].attributes) for part in parts if not isinstance(part, bytes))


@pytest.mark.parametrize("name", GOOD_BLOCKS)
@pytest.mark.parametrize("on", [EBGP, IBGP])
def test_ordinary_updates_are_taken_whole(name: str, on: Negotiated) -> None:
    stream = b"".join(update_message(GOOD_BLOCKS[name], field) for field in FIELDS)
    assert taken(stream, on) == len(FIELDS)
    assert in_runs(stream, on) == carefully(stream, on)


@pytest.mark.parametrize("name", ODD_BLOCKS)
def test_what_only_looks_ordinary_is_handed_back_and_the_rest_goes_on(name: str) -> None:
    good, odd = update_message(GOOD, PREFIX), update_message(ODD_BLOCKS[name], PREFIX)
    parts, end = RunReader(EBGP, AttributeStore()).read(good + odd + good, 0)
    assert (len(parts), parts[1], end) == (3, odd, len(good + odd + good))
    assert in_runs(good + odd + good, EBGP) == carefully(good + odd + good, EBGP)


@pytest.mark.parametrize("name", OTHER_BLOCKS)
def test_what_does_not_look_ordinary_is_handed_back_too(name: str) -> None:
    """Else each would end a run, and begin a search for the next."""
    good, other = update_message(GOOD, PREFIX), update_message(OTHER_BLOCKS[name], PREFIX)
    parts, end = RunReader(EBGP, AttributeStore()).read(good + other * 3 + good, 0)
    assert (parts[1:4], len(parts), end) == ([other] * 3, 5, len(good + other * 3 + good))
    assert in_runs(good + other * 3 + good, EBGP) == carefully(good + other * 3 + good, EBGP)


def test_markers_inside_messages_are_not_searched_for_in_every_message() -> None:
    """A peer, or whose routes it passes on, could make a stream of such take the square of the time."""
    head_of_another = update_message(b"")[:-2] + b"\0\x10"
    bad = update_message(GOOD + attribute(0xC0, 99, head_of_another + b"abc"), PREFIX)
    reader, framer, searches = RunReader(EBGP, AttributeStore()), Framer(), 0
    framer.feed(bad * 600)
    while (waiting := framer.waiting()) is not None:
        before = reader._pause
        assert reader.read(*waiting) == ([], waiting[1])
        searches += not before
        framer.next_message()
    assert searches < 20
    stream = bad * 9 + update_message(GOOD, PREFIX) * 9
    assert in_runs(stream, EBGP) == carefully(stream, EBGP)


REST = ORIGIN + PATH
IPV6_BLOCKS = {
    "in front": REACH + REST + communities(7, 8),
    "an end like the marker": REACH + REST + communities(7, 0xFFFFFF),
    "as FRR writes it": REACH + ORIGIN + attribute(0x50, 2, PATH[3:]) + communities(7, 8),
    "in its place": REST + communities(7, 8) + REACH,
    "two next hops": attribute(0x80, 14, b"\0\x02\x01\x20" + V6_HOP + LINK_LOCAL + b"\0" + V6_PREFIX) + REST,
    "the long header": attribute(0x90, 14, REACH[3:]) + REST,
    "many prefixes": attribute(0x90, 14, REACH[3:-5] + b"".join(V6_FIELDS)) + REST,
}
ODD_IPV6_BLOCKS = {
    "no path": REACH + ORIGIN,
    "an AS set": REACH + ORIGIN + attribute(0x40, 2, b"\x01\x01\0\0\xfd\xe9"),
    "another first AS": REACH + ORIGIN + path(65002),
    "communities that descend": REACH + REST + communities(8, 7),
    "a classic next hop too": REACH + GOOD,
    "host bits": attribute(0x80, 14, REACH[3:-5] + b"\x1f\x20\x01\x0d\xb9") + REST,
    "a multicast prefix": attribute(0x80, 14, REACH[3:-5] + b"\x10\xff\x02") + REST,
    "a prefix cut off": attribute(0x80, 14, REACH[3:-1]) + REST,
    "no prefix": attribute(0x80, 14, REACH[3:-5]) + REST,
    "a multicast next hop": attribute(0x80, 14, b"\0\x02\x01\x10\xff" + V6_HOP[1:] + b"\0" + V6_PREFIX) + REST,
    "two next hops, both global": attribute(0x80, 14, b"\0\x02\x01\x20" + 2 * V6_HOP + b"\0" + V6_PREFIX) + REST,
    "a withdrawal": UNREACH,
    "both": REACH + UNREACH + REST,
    "multicast": attribute(0x80, 14, b"\0\x02\x02" + REACH[6:]) + REST,
    "the marker": REACH + REST + attribute(0xC0, 99, b"\xff" * 17),
}


@pytest.mark.parametrize("name", IPV6_BLOCKS)
@pytest.mark.parametrize("on", [EBGP, IBGP])
def test_updates_of_both_families_are_two_runs(name: str, on: Negotiated) -> None:
    stream = (update_message(GOOD, PREFIX) + update_message(IPV6_BLOCKS[name])) * 3
    parts, end = RunReader(on, AttributeStore()).read(stream, 0)
    assert end == len(stream)
    assert {part[0]: len(part[1].keys) for part in parts if isinstance(part, tuple)} == {
        IPV4_UNICAST: 3,
        IPV6_UNICAST: 3,
    }
    assert in_runs(stream, on) == carefully(stream, on)
    for begin, first in ((GOOD, IPV4_UNICAST), (IPV6_BLOCKS[name], IPV6_UNICAST)):
        octets = (update_message(begin, PREFIX) if first == IPV4_UNICAST else update_message(begin)) + stream
        parts, _ = RunReader(on, AttributeStore()).read(octets, 0)
        assert parts[0][0] == first, "the family that the peer began with"


@pytest.mark.parametrize("name", ODD_IPV6_BLOCKS)
def test_another_update_of_ipv6_is_handed_back_between_two_runs(name: str) -> None:
    good, odd = update_message(GOOD, PREFIX) + update_message(IPV6_BLOCKS["in front"]), ODD_IPV6_BLOCKS[name]
    stream = good + update_message(odd) + good
    parts, _ = RunReader(EBGP, AttributeStore()).read(stream, 0)
    assert len(parts) == 5 or name == "the marker"
    assert in_runs(stream, EBGP) == carefully(stream, EBGP)


@pytest.mark.parametrize(("family", "count"), [(IPV4_UNICAST, 2), (IPV6_UNICAST, 1)])
def test_what_the_session_is_not_for_is_left_to_the_careful_way(family: Family, count: int) -> None:
    stream = update_message(GOOD, PREFIX) * 2 + update_message(IPV6_BLOCKS["in front"])
    on = replace(EBGP, families=frozenset({family}))
    assert can_read_runs(on)
    assert taken(stream, on) == count
    assert in_runs(stream, on) == carefully(stream, on)


def test_path_identifiers_stay_with_their_prefixes() -> None:
    field = b"\xff\xff\xff\xff" + PREFIX + b"\0\0\0\2" + OTHER_PREFIX
    stream = update_message(GOOD, field) * 2
    ((_, run),), _ = RunReader(ADD_PATH, AttributeStore()).read(stream, 0)
    assert isinstance(run, Run)
    assert [*map(list, run.keys)] == [[field[:8], field[8:]]] * 2


def test_equal_attributes_are_one_object_with_those_of_other_messages() -> None:
    store = AttributeStore()
    ((_, run),), _ = RunReader(EBGP, store).read(update_message(GOOD, PREFIX) * 2, 0)
    update = decode_update(update_message(GOOD, PREFIX), EBGP, store)
    assert isinstance(run, Run)
    assert [attributes is update.attributes for attributes in run.attributes] == [True, True]


def test_a_path_that_a_first_peer_may_send_is_still_judged_for_a_second() -> None:
    store, stream = AttributeStore(), update_message(ORIGIN + path(65002) + NEXT_HOP, PREFIX)
    RunReader(replace(EBGP, peer_as=65002), store).read(stream, 0)
    assert RunReader(EBGP, store).read(stream, 0) == ([stream], len(stream))


def test_every_beginning_of_a_stream_gives_whole_messages_only() -> None:
    messages = [
        update_message(MARKED, FIELDS[1]),
        update_message(GOOD, PREFIX),
        KEEPALIVE,
        update_message(GOOD, PREFIX),
    ]
    stream = b"".join(messages)
    ends = [sum(map(len, messages[:count])) for count in range(len(messages) + 1)]
    for length in range(len(stream)):
        whole = max(end for end in ends if end <= length)
        _, end = RunReader(EBGP, AttributeStore()).read(stream[:length], 0)
        assert end == min(whole, ends[2])
        assert in_runs(stream[:length], EBGP) == carefully(stream[:length], EBGP)


def test_a_message_that_says_that_it_is_longer_is_no_part_of_a_run() -> None:
    good = update_message(GOOD, PREFIX)
    for place, value in ((17, good[17] + 1), (17, good[17] - 1), (22, good[22] + 1), (22, good[22] - 1), (19, 1)):
        bad = good[:place] + bytes([value]) + good[place + 1 :]
        assert RunReader(EBGP, AttributeStore()).read(bad + good, 0) == ([], 0)
        assert in_runs(bad + good, EBGP) == carefully(bad + good, EBGP)


def test_runs_are_for_sessions_where_ordinary_blocks_mean_the_same() -> None:
    assert can_read_runs(EBGP)
    assert not can_read_runs(replace(EBGP, asn4=False))
    assert not can_read_runs(replace(EBGP, families=frozenset()))
    assert not can_read_runs(session(external=True, options=UpdateOptions(discard_codes=frozenset({8}))))


COMMUNITIES = st.lists(st.sampled_from([0, 1, 2, 252, 2**31, 2**32 - 2, 2**32 - 1]), min_size=1, max_size=4)


@given(several=st.lists(COMMUNITIES, max_size=6), size=st.sampled_from([(8, 4), (16, 8), (32, 12)]))
def test_communities_are_taken_where_they_ascend(several: list[list[int]], size: tuple[int, int]) -> None:
    code, octets = size
    ordered = [all(map(lt, values, values[1:])) for values in several]
    groups = [b"".join(value.to_bytes(4, "big").rjust(octets, b"\1") for value in values) for values in several]
    stream = b"".join(update_message(GOOD + attribute(0xC0, code, group), PREFIX) for group in groups)
    assert taken(stream) == sum(ordered)
    assert in_runs(stream, EBGP) == carefully(stream, EBGP)


BLOCKS = st.sampled_from([*GOOD_BLOCKS.values()] * 2 + [*ODD_BLOCKS.values(), *OTHER_BLOCKS.values(), b""])
UPDATES = st.builds(
    update_message, BLOCKS, st.sampled_from(FIELDS * 3 + ODD_FIELDS), st.sampled_from([b"", b"", PREFIX])
)
IPV6_UPDATES = st.builds(
    update_message,
    st.sampled_from([*IPV6_BLOCKS.values()] * 3 + [*ODD_IPV6_BLOCKS.values()]),
    st.sampled_from([b"", b"", b"", PREFIX]),
)
STREAMS = st.lists(
    st.one_of(UPDATES, UPDATES, IPV6_UPDATES, st.sampled_from([KEEPALIVE, end_of_rib(IPV4_UNICAST)])), max_size=8
)


@settings(max_examples=500, deadline=None)
@given(
    messages=STREAMS,
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=2),
    on=st.sampled_from(SESSIONS),
)
def test_runs_and_single_messages_say_the_same(
    messages: list[bytes], changes: list[tuple[int, int]], on: Negotiated
) -> None:
    stream = bytearray(b"".join(messages))
    for place, value in changes:
        if stream:
            stream[place % len(stream)] = value
    assert in_runs(bytes(stream), on) == carefully(bytes(stream), on)
