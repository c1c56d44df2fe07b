"""Any octets from a cache, however they are cut: the same outcome, errors of the protocol only, nothing half done."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from fuzz.strategies import any_octets, asns, keys, longs, shorts
from fuzz.target import Target, seeds
from pybgp.rpki.pdu import (
    Aspa,
    CacheReset,
    CacheResponse,
    EndOfData,
    ErrorReport,
    Intervals,
    Pdu,
    PduReader,
    Record,
    ResetQuery,
    RouterKey,
    RtrError,
    SerialNotify,
    SerialQuery,
    Vrp,
    decode,
    encode,
)
from pybgp.rpki.session import Close, PayloadChanged, Session, State
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family


def _vrp(family: Family, key: bytes, more: int, asn: int) -> Vrp:
    longest = 32 if family == IPV4_UNICAST else 128
    return Vrp(family, key, min(longest, key[0] + more), asn)


vrps = st.one_of(
    [
        st.builds(_vrp, st.just(family), keys(family), st.integers(0, 128), st.one_of(st.just(0), asns))
        for family in (IPV4_UNICAST, IPV6_UNICAST)
    ]
)
router_keys = st.builds(RouterKey, st.binary(min_size=20, max_size=20), asns, st.binary(max_size=100))
aspas = st.builds(
    lambda customer, providers: Aspa(customer, tuple(sorted(providers - {customer}))), asns, st.sets(asns, max_size=8)
)
records_v0 = st.builds(Record, st.booleans(), vrps)
records_v1 = st.builds(Record, st.booleans(), vrps | router_keys)
records_v2 = records_v1 | aspas.map(lambda aspa: Record(bool(aspa.providers), aspa))
_plain = st.one_of(
    st.builds(SerialNotify, shorts, longs),
    st.builds(SerialQuery, shorts, longs),
    st.just(ResetQuery()),
    st.builds(CacheResponse, shorts),
    st.just(CacheReset()),
    st.builds(ErrorReport, shorts, st.binary(max_size=40), st.text(max_size=20)),
)
_ends = st.builds(EndOfData, shorts, longs, st.builds(Intervals, longs, longs, longs))
#: (version, PDU).
pdus: st.SearchStrategy[tuple[int, Pdu]] = st.one_of(
    st.tuples(st.just(0), _plain | records_v0 | st.builds(EndOfData, shorts, longs)),
    st.tuples(st.just(1), _plain | records_v1 | _ends),
    st.tuples(st.just(2), _plain | records_v2 | _ends),
)


def session_in(state: State) -> Session:
    """A session of version 1 that asked, or has what it asked for."""
    session = Session()
    session.start(0.0)
    session.connection_made(0.0)
    session.data_to_send()
    if state is State.SYNCHRONIZED:
        answer = (CacheResponse(7), Record(True, Vrp(IPV4_UNICAST, b"\x08\x0a", 24, 65001)), EndOfData(7, 1))
        session.receive_data(b"".join(encode(pdu) for pdu in answer), 0.0)
    assert session.state is state
    return session


def outcome(state: State, chunks: Iterable[bytes]) -> tuple[list[str], bytes, State, set[object]]:
    session = session_in(state)
    events = [event for chunk in chunks for event in session.receive_data(chunk, 1.0)]
    assert sum(isinstance(event, PayloadChanged) for event in events) <= sum(len(chunk) for chunk in chunks)
    assert session.state is not State.WAITING or any(isinstance(event, Close) for event in events)
    words = [
        f"{sorted(map(str, event.announced))}" if isinstance(event, PayloadChanged) else str(event) for event in events
    ]
    return words, session.data_to_send(), session.state, set(session.payloads)


def check(octets: bytes) -> None:
    reader = PduReader()
    reader.feed(octets)
    try:
        while (found := reader.next_pdu()) is not None:
            version, data = found
            pdu = decode(data)
            again = encode(pdu, version)
            assert decode(again) == pdu or isinstance(pdu, ErrorReport)
    except RtrError as error:
        assert len(error.pdu) <= len(octets)
    for state in (State.QUERYING, State.SYNCHRONIZED):
        whole = outcome(state, [octets])
        assert whole == outcome(state, [octets[place : place + 1] for place in range(len(octets))])


_STREAMS = st.lists(pdus, max_size=8).map(lambda found: b"".join(encode(pdu, version) for version, pdu in found))
TARGET = Target("rtr", any_octets(_STREAMS, seeds("rtr", folders=("rtr",))), check)
