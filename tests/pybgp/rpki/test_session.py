"""One cache over time: queries, versions, intervals, errors, and answers that count whole or not at all (RFC 8210)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import LocalError
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
    RtrErrorCode,
    SerialNotify,
    SerialQuery,
    Vrp,
    decode,
    encode,
)
from pybgp.rpki.session import Close, Connect, Event, Failed, PayloadChanged, Session, State
from pybgp.wire.families import IPV4_UNICAST

ONE = Vrp(IPV4_UNICAST, b"\x08\x0a", 24, 65001)
TWO = Vrp(IPV4_UNICAST, b"\x18\xc0\x00\x02", 24, 65002)
KEY = RouterKey(bytes(20), 65001, b"key")
TIMES = Intervals(100, 10, 1000)


def put(*payloads: object) -> list[Pdu]:
    return [Record(True, payload) for payload in payloads]  # type: ignore[arg-type]


def take(*payloads: object) -> list[Pdu]:
    return [Record(False, payload) for payload in payloads]  # type: ignore[arg-type]


def answer(*records: Pdu, serial: int = 1, session: int = 7, times: Intervals = TIMES) -> list[Pdu]:
    return [CacheResponse(session), *records, EndOfData(session, serial, times)]


def hear(session: Session, pdus: list[Pdu], now: float = 0.0, version: int | None = None) -> list[Event]:
    number = session.version if version is None else version
    return session.receive_data(b"".join(encode(pdu, number) for pdu in pdus), now)


def said(session: Session) -> list[tuple[int, Pdu]]:
    reader = PduReader()
    reader.feed(session.data_to_send())
    found = []
    while (pdu := reader.next_pdu()) is not None:
        found.append((pdu[0], decode(pdu[1])))
    return found


def asking(version: int = 1) -> Session:
    session = Session(version=version)
    assert session.start(0.0) == [Connect()]
    assert session.connection_made(0.0) == []
    assert said(session) == [(version, ResetQuery())]
    return session


def synchronized(*payloads: object, version: int = 1) -> Session:
    session = asking(version)
    hear(session, answer(*put(*payloads or (ONE,))))
    assert session.state is State.SYNCHRONIZED
    return session


def error_of(session: Session) -> RtrErrorCode:
    (report,) = [pdu for _, pdu in said(session) if isinstance(pdu, ErrorReport)]
    return RtrErrorCode(report.code)


def test_everything_is_asked_for_first_and_counts_when_all_of_it_is_there() -> None:
    session = asking()
    assert hear(session, [CacheResponse(7), *put(ONE, TWO)]) == []
    assert len(session.payloads) == 0
    (event,) = hear(session, [EndOfData(7, 1, TIMES)])
    assert isinstance(event, PayloadChanged)
    assert (set(event.announced), set(event.withdrawn)) == ({ONE, TWO}, set())
    assert set(session.payloads) == {ONE, TWO}
    assert (session.serial, session.next_timer()) == (1, 100.0)


def test_then_only_what_is_new() -> None:
    session = synchronized()
    assert session.handle_timer(99.9) == []
    session.handle_timer(100.0)
    assert said(session) == [(1, SerialQuery(7, 1))]
    (event,) = hear(session, answer(*take(ONE), *put(TWO), serial=2), 101.0)
    assert event == PayloadChanged({TWO}, {ONE})
    assert (session.serial, session.next_timer()) == (2, 201.0)


def test_a_new_load_changes_only_what_differs() -> None:
    session = synchronized(ONE, TWO)
    session.handle_timer(100.0)
    said(session)
    hear(session, [CacheReset()], 100.0)
    assert said(session) == [(1, ResetQuery())]
    (event,) = hear(session, answer(*put(TWO, KEY), serial=9, session=8), 101.0)
    assert event == PayloadChanged({KEY}, {ONE})
    assert set(session.payloads) == {TWO, KEY}


def test_the_order_inside_an_answer_does_not_matter_in_the_end() -> None:
    session = synchronized()
    session.handle_timer(100.0)
    (event,) = hear(session, answer(*take(ONE), *put(ONE), *put(TWO), *take(TWO)), 100.0)
    assert event == PayloadChanged(set(), set())


def test_a_notify_is_answered_by_a_query() -> None:
    session = synchronized()
    hear(session, [SerialNotify(7, 1)])
    assert said(session) == []
    hear(session, [SerialNotify(7, 2)])
    assert said(session) == [(1, SerialQuery(7, 1))]
    hear(session, [CacheResponse(7), SerialNotify(7, 3), EndOfData(7, 2, TIMES)])
    assert said(session) == [(1, SerialQuery(7, 2))]
    hear(session, answer(serial=3))
    assert said(session) == []


def test_serial_numbers_may_wrap() -> None:
    session = asking()
    hear(session, answer(serial=0xFFFFFFFF))
    hear(session, [SerialNotify(7, 0)])
    assert said(session) == [(1, SerialQuery(7, 0xFFFFFFFF))]
    hear(session, answer(serial=0))
    assert session.serial == 0


@pytest.mark.parametrize("version", [0, 1, 2])
def test_every_version_from_the_first_on(version: int) -> None:
    session = asking(version)
    end = EndOfData(7, 1, None if version == 0 else TIMES)
    hear(session, [CacheResponse(7), *put(ONE), end])
    assert set(session.payloads) == {ONE}
    assert session.next_timer() == (3600.0 if version == 0 else 100.0)


@pytest.mark.parametrize(("offered", "answered"), [(2, 1), (2, 0), (1, 0)])
def test_an_answer_of_a_lower_version_is_taken(offered: int, answered: int) -> None:
    session = asking(offered)
    assert hear(session, [SerialNotify(3, 3)], version=answered) == []
    hear(session, [CacheResponse(7), *put(ONE), EndOfData(7, 1, TIMES if answered else None)], version=answered)
    assert (session.version, session.state) == (answered, State.SYNCHRONIZED)
    hear(session, [SerialNotify(7, 2)])
    assert said(session) == [(answered, SerialQuery(7, 1))]


def test_a_lower_version_in_answer_to_a_serial_query_begins_anew() -> None:
    session = synchronized()
    session.connection_lost(1.0, "gone")
    session.handle_timer(session.next_timer() or 0.0)
    session.connection_made(7.0)
    assert said(session) == [(1, SerialQuery(7, 1))]
    assert hear(session, [CacheResponse(7)], 7.0, version=0) == [Close(), Connect()]
    session.connection_made(7.0)
    assert said(session) == [(0, ResetQuery())]


@pytest.mark.parametrize("version", [0, 1])
def test_unsupported_version_downgrades(version: int) -> None:
    session = asking(2)
    assert hear(session, [ErrorReport(4)], version=version) == [Close(), Connect()]
    session.connection_made(0.0)
    assert said(session) == [(version, ResetQuery())]


def test_a_cache_that_just_closes_is_asked_in_a_lower_version_and_from_the_top_again() -> None:
    session = asking(1)
    assert session.connection_lost(0.0, "closed") == [Connect()]
    session.connection_made(0.0)
    assert said(session) == [(0, ResetQuery())]
    assert session.connection_lost(1.0, "closed") == [Failed("closed")]
    assert session.next_timer() == 601.0
    assert session.handle_timer(601.0) == [Connect()]
    session.connection_made(601.0)
    assert said(session) == [(1, ResetQuery())]


def test_no_lower_version_than_0() -> None:
    session = asking(0)
    assert hear(session, [ErrorReport(4)]) == [Close(), Failed("Received: UNSUPPORTED_VERSION")]


def test_a_higher_version_than_offered_is_refused() -> None:
    session = asking(0)
    hear(session, [CacheResponse(7)], version=1)
    assert error_of(session) is RtrErrorCode.UNEXPECTED_VERSION


def test_once_settled_the_version_stays() -> None:
    session = synchronized()
    assert Close() in hear(session, [SerialNotify(7, 2)], version=0)
    assert error_of(session) is RtrErrorCode.UNEXPECTED_VERSION
    assert set(session.payloads) == {ONE}


@pytest.mark.parametrize(
    ("pdus", "code"),
    [
        (put(ONE), RtrErrorCode.CORRUPT_DATA),
        ([EndOfData(7, 1, TIMES)], RtrErrorCode.CORRUPT_DATA),
        ([CacheResponse(7), CacheResponse(7)], RtrErrorCode.CORRUPT_DATA),
        ([CacheResponse(7), EndOfData(8, 1, TIMES)], RtrErrorCode.CORRUPT_DATA),
        ([CacheResponse(7), *put(ONE, ONE)], RtrErrorCode.DUPLICATE_ANNOUNCEMENT),
        ([CacheResponse(7), *put(KEY, KEY)], RtrErrorCode.DUPLICATE_ANNOUNCEMENT),
        ([CacheResponse(7), *take(ONE)], RtrErrorCode.UNKNOWN_WITHDRAWAL),
        ([CacheResponse(7), *put(ONE), *take(ONE, ONE)], RtrErrorCode.UNKNOWN_WITHDRAWAL),
        ([CacheReset()], RtrErrorCode.INVALID_REQUEST),
        ([ResetQuery()], RtrErrorCode.INVALID_REQUEST),
        ([SerialQuery(7, 1)], RtrErrorCode.INVALID_REQUEST),
    ],
)
def test_what_a_cache_must_not_say_to_a_reset_query(pdus: list[Pdu], code: RtrErrorCode) -> None:
    session = asking()
    events = hear(session, pdus, 5.0)
    assert error_of(session) is code
    assert events[0] == Close()
    assert session.state is State.WAITING
    assert session.next_timer() == 605.0
    assert session.last_error.startswith(f"Sent: {code.name}")
    assert len(session.payloads) == 0


@pytest.mark.parametrize(
    ("records", "code"),
    [(put(ONE), RtrErrorCode.DUPLICATE_ANNOUNCEMENT), (take(TWO), RtrErrorCode.UNKNOWN_WITHDRAWAL)],
)
def test_changes_are_checked_against_what_is_there(records: list[Pdu], code: RtrErrorCode) -> None:
    session = synchronized()
    session.handle_timer(100.0)
    said(session)
    hear(session, answer(*records), 100.0)
    assert error_of(session) is code
    assert set(session.payloads) == {ONE}
    session.handle_timer(session.next_timer() or 0.0)
    session.connection_made(111.0)
    assert said(session) == [(1, ResetQuery())]


@pytest.mark.parametrize("pdus", [[CacheResponse(8)], [SerialNotify(8, 5)]], ids=["response", "notify"])
def test_another_session_flushes_everything(pdus: list[Pdu]) -> None:
    session = synchronized()
    if isinstance(pdus[0], CacheResponse):
        session.handle_timer(100.0)
        said(session)
    events = hear(session, pdus, 100.0)
    assert PayloadChanged((), [ONE]) in events
    assert error_of(session) is RtrErrorCode.CORRUPT_DATA
    assert len(session.payloads) == 0


def test_an_error_report_is_not_answered_and_a_broken_one_neither() -> None:
    for octets in (encode(ErrorReport(0, b"", "you")), bytes.fromhex("010a000000000010 00000001 00000000")):
        session = synchronized()
        events = session.receive_data(octets, 1.0)
        assert events[0] == Close()
        assert session.data_to_send() == b""
        assert set(session.payloads) == {ONE}
    assert session.state is State.WAITING


def test_no_data_available_keeps_the_connection_and_what_we_have() -> None:
    session = synchronized()
    session.handle_timer(100.0)
    said(session)
    assert hear(session, [ErrorReport(2, b"", "later")], 100.0) == [Failed("Received: NO_DATA_AVAILABLE: later")]
    assert set(session.payloads) == {ONE}
    assert session.next_timer() == 110.0
    assert session.handle_timer(110.0) == []
    assert said(session) == [(1, SerialQuery(7, 1))]


def test_an_unknown_error_code_is_fatal() -> None:
    assert hear(synchronized(), [ErrorReport(99)]) == [Close(), Failed("Received: error 99")]


def test_data_expire() -> None:
    session = synchronized()
    assert session.connection_lost(50.0, "gone") == [Failed("gone")]
    assert session.next_timer() == 55.0
    assert session.handle_timer(55.0) == [Connect()]
    assert session.connection_lost(55.0, "refused") == [Failed("refused")]
    assert session.next_timer() == 65.0
    events = session.handle_timer(1000.0)
    assert events == [PayloadChanged((), [ONE]), Connect()]
    session.connection_made(1000.0)
    assert said(session) == [(1, ResetQuery())]


def test_data_that_expire_while_changes_come_in_are_asked_for_anew() -> None:
    session = synchronized()
    session.handle_timer(999.0)
    hear(session, [CacheResponse(7), *put(TWO)], 999.5)
    assert session.handle_timer(1000.0) == [PayloadChanged((), [ONE]), Close(), Connect()]
    session.connection_made(1000.0)
    assert said(session) == [(1, ResetQuery())]


def test_a_cache_that_falls_silent_is_left() -> None:
    session = asking()
    hear(session, [CacheResponse(7)], 30.0)
    assert session.handle_timer(89.0) == []
    assert session.handle_timer(90.0) == [Close(), Failed("no answer for 60 s")]
    assert session.next_timer() == 690.0


def test_stop_withdraws_everything() -> None:
    session = synchronized()
    assert session.stop() == [Close(), PayloadChanged((), [ONE])]
    assert (session.next_timer(), session.stop()) == (None, [])
    assert session.receive_data(b"\xff" * 8, 0.0) == []
    assert session.connection_lost(0.0, "late") == []
    assert session.start(1.0) == [Connect()]


def test_a_new_aspa_replaces_the_old_one() -> None:
    old, new, other = Aspa(65000, (1, 2)), Aspa(65000, (3,)), Aspa(65010, (4,))
    session = synchronized(old, other, version=2)
    session.handle_timer(100.0)
    (event,) = hear(session, answer(*put(new), *take(Aspa(65010, ())), serial=2), 100.0)
    assert event == PayloadChanged([new], [old, other])
    assert set(session.payloads) == {new}
    hear(session, [SerialNotify(7, 3)], 101.0)
    said(session)
    hear(session, answer(*take(Aspa(65010, ()))), 101.0)
    assert error_of(session) is RtrErrorCode.UNKNOWN_WITHDRAWAL


def test_aspas_that_a_full_load_does_not_name_are_gone() -> None:
    one, two = Aspa(65000, (1,)), Aspa(65010, (4,))
    session = synchronized(one, two, version=2)
    session.handle_timer(100.0)
    hear(session, [CacheReset()], 100.0)
    (event,) = hear(session, answer(*put(one)), 100.0)
    assert event == PayloadChanged(set(), [two])


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(LocalError, match="version 3: 0 to 2 expected"):
        Session(version=3)


payloads = st.sets(st.builds(Vrp, st.just(IPV4_UNICAST), st.just(b"\x08\x0a"), st.integers(8, 12), st.integers(1, 4)))


@given(tables=st.lists(payloads, min_size=1, max_size=6), resets=st.lists(st.booleans(), min_size=6, max_size=6))
def test_whatever_a_cache_goes_through_we_hold_what_it_holds(tables: list[set[Vrp]], resets: list[bool]) -> None:
    session = asking()
    now, held, told = 0.0, set[Vrp](), set[object]()
    for serial, (table, is_reset) in enumerate(zip(tables, resets, strict=False)):
        if serial:
            now += 100.0
            session.handle_timer(now)
            if is_reset:
                hear(session, [CacheReset()], now)
        base = set() if is_reset or not serial else held
        events = hear(session, answer(*take(*base - table), *put(*table - base), serial=serial), now)
        for event in events:
            if isinstance(event, PayloadChanged):
                assert told.isdisjoint(event.announced)
                assert told >= set(event.withdrawn)
                told = (told | set(event.announced)) - set(event.withdrawn)
        held = table
        assert set(session.payloads) == told == held
