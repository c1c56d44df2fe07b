"""Origin validation against the text of RFC 6811 read literally, over random payloads and routes."""

from __future__ import annotations

from ipaddress import IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.rtr import vrps
from pybgp.rpki.pdu import Vrp
from pybgp.rpki.validation_table import AffectedRoutes, ValidationState, ValidationTable
from pybgp.wire.families import IPV4_UNICAST, Family

#: Few bits and few ASes, so that payloads and routes meet often.
_lengths = st.integers(0, 12)
_asns = st.integers(0, 3)


def _key(length: int, bits: int) -> bytes:
    network = IPv4Network((bits << 20 >> (32 - length) << (32 - length) if length else 0, length))
    return bytes([length]) + network.network_address.packed[: (length + 7) // 8]


keys = st.builds(_key, _lengths, st.integers(0, 0xFFF))
close_vrps = st.builds(
    lambda key, more, asn: Vrp(IPV4_UNICAST, key, key[0] + more, asn), keys, st.integers(0, 6), _asns
)


def bits(key: bytes) -> str:
    return "".join(f"{octet:08b}" for octet in key[1:])[: key[0]]


def oracle(payloads: list[Vrp], family: Family, key: bytes, origin: int | None) -> ValidationState:
    """RFC 6811 section 2, sentence by sentence."""
    covering = [vrp for vrp in payloads if vrp.family == family and bits(key).startswith(bits(vrp.key))]
    matched = [vrp for vrp in covering if key[0] <= vrp.max_length and vrp.asn == origin and vrp.asn != 0]
    if matched:
        return ValidationState.VALID
    return ValidationState.INVALID if covering else ValidationState.NOT_FOUND


@settings(max_examples=200, deadline=None)
@given(
    payloads=st.lists(close_vrps | vrps, max_size=30, unique=True),
    withdrawn=st.integers(0, 30),
    routes=st.lists(st.tuples(keys, st.none() | _asns), max_size=20),
)
def test_every_route_has_the_state_of_the_text(
    payloads: list[Vrp], withdrawn: int, routes: list[tuple[bytes, int | None]]
) -> None:
    table = ValidationTable()
    table.apply(payloads, [])
    table.apply([], payloads[:withdrawn])
    kept = payloads[withdrawn:]
    assert set(table) == set(kept)
    for key, origin in routes:
        assert table.validate(IPV4_UNICAST, key, origin) is oracle(kept, IPV4_UNICAST, key, origin)
    for vrp in payloads:
        assert table.validate(vrp.family, vrp.key, vrp.asn) is oracle(kept, vrp.family, vrp.key, vrp.asn)


@settings(max_examples=200, deadline=None)
@given(
    before=st.lists(close_vrps, max_size=20, unique=True),
    after=st.lists(close_vrps, max_size=20, unique=True),
    routes=st.lists(st.tuples(keys, _asns), max_size=30),
)
def test_whatever_changes_its_state_is_among_the_concerned(
    before: list[Vrp], after: list[Vrp], routes: list[tuple[bytes, int]]
) -> None:
    table = ValidationTable()
    table.apply(before, [])
    old = [table.validate(IPV4_UNICAST, key, origin) for key, origin in routes]
    changed = table.apply([vrp for vrp in after if vrp not in before], [vrp for vrp in before if vrp not in after])
    assert set(changed) == set(before) ^ set(after)
    concerned = set(AffectedRoutes(changed).among(IPV4_UNICAST, [key for key, _ in routes]))
    inside = {key for key, _ in routes for vrp in changed if bits(key).startswith(bits(vrp.key))}
    assert concerned == inside
    for (key, origin), state in zip(routes, old, strict=True):
        assert key in concerned or table.validate(IPV4_UNICAST, key, origin) is state
