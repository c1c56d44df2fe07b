"""The RTR client against a small cache on loopback, well behaved and not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from pybgp.rpki.pdu import CacheResponse, ErrorReport, Intervals, Record, ResetQuery, SerialQuery, Vrp, encode
from pybgp.rpki.session import State
from pybgp.rpki.validation_table import ValidationState, ValidationTable
from pybgp.transport.rtr_client import RtrClient
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from tests.pybgp.transport.rtr_cache import SESSION, RtrCache

PATIENCE = 20.0
ONE = Vrp(IPV4_UNICAST, b"\x08\x0a", 24, 65001)
TWO = Vrp(IPV6_UNICAST, b"\x20\x20\x01\x0d\xb8", 48, 65002)
ROUTE = (IPV4_UNICAST, b"\x18\x0a\x01\x02")
SOON = Intervals(retry=1)


class Changes:
    """Remembers what a client reports, and wakes those who wait."""

    def __init__(self) -> None:
        self.batches: list[list[Vrp]] = []
        self._news = asyncio.Event()

    def __call__(self, changed: Sequence[Vrp]) -> None:
        self.batches.append(list(changed))
        self._news.set()

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def fed(cache: RtrCache, **options: int) -> AsyncIterator[tuple[RtrClient, ValidationTable, Changes]]:
    table, changes = ValidationTable(), Changes()
    client = RtrClient("127.0.0.1", table, port=cache.port, intervals=SOON, on_change=changes, **options)
    async with client, asyncio.timeout(PATIENCE):
        yield client, table, changes


def test_the_table_follows_the_cache() -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set({ONE})
        async with cache.serving(), fed(cache) as (client, table, changes):
            await client.synchronized.wait()
            assert table.validate(*ROUTE, 65001) is ValidationState.VALID
            cache.set({ONE, TWO})
            await changes.until(lambda: TWO in set(table))
            cache.set({TWO})
            await changes.until(lambda: ONE not in set(table))
            assert table.validate(*ROUTE, 65001) is ValidationState.NOT_FOUND
            assert changes.batches == [[ONE], [TWO], [ONE]]
            assert [type(query) for query in cache.queries] == [ResetQuery, SerialQuery, SerialQuery]
        assert len(table) == 0

    asyncio.run(scenario())


def test_a_large_answer_is_one_change() -> None:
    """CVE-2024-55553: not one revalidation per read."""

    async def scenario() -> None:
        cache = RtrCache()
        cache.set(Vrp(IPV4_UNICAST, b"\x18\x0a" + number.to_bytes(2, "big"), 24, 65001) for number in range(20_000))
        async with cache.serving(), fed(cache) as (client, table, changes):
            await client.synchronized.wait()
            assert [len(batch) for batch in changes.batches] == [20_000]
            assert len(table) == 20_000

    asyncio.run(scenario())


def test_a_client_may_be_stopped_while_it_takes_an_answer_in() -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set(Vrp(IPV4_UNICAST, b"\x18\x0a" + number.to_bytes(2, "big"), 24, 65001) for number in range(25_000))
        table = ValidationTable()
        async with cache.serving(), asyncio.timeout(PATIENCE):
            client = RtrClient("127.0.0.1", table, port=cache.port)
            client.start()
            while not len(table):  # noqa: ASYNC110
                await asyncio.sleep(0)
            client.stop()
            assert len(table) == 0
            stopper = RtrClient("127.0.0.1", table, port=cache.port, on_change=lambda _: stopper.stop())
            stopper.start()
            await stopper.synchronized.wait()
            assert len(table) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("highest", [0, 1])
def test_a_cache_of_a_lower_version(highest: int) -> None:
    async def scenario() -> None:
        cache = RtrCache(highest)
        cache.set({ONE})
        async with cache.serving(), fed(cache, version=2) as (client, table, _):
            await client.synchronized.wait()
            assert (client.session.version, list(table)) == (highest, [ONE])

    asyncio.run(scenario())


def test_a_lost_connection_is_opened_again_and_only_news_are_asked_for() -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set({ONE})
        async with cache.serving(), fed(cache) as (client, table, changes):
            await client.synchronized.wait()
            cache.set({ONE, TWO}, notify=False)
            cache.drop()
            await changes.until(lambda: TWO in set(table))
            assert cache.queries[-1] == SerialQuery(SESSION, 1)

    asyncio.run(scenario())


def test_a_cache_that_is_not_there_yet() -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set({ONE})
        async with cache.serving():
            pass
        async with fed(cache) as (client, table, _):
            while client.session.state is not State.WAITING:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert client.session.last_error == "Socket: Connection refused"
            async with cache.serving():
                await client.synchronized.wait()
                assert list(table) == [ONE]

    asyncio.run(scenario())


TOO_LONG = bytes.fromhex("01040000ffffffff")
MAXIMUM_BELOW_LENGTH = encode(CacheResponse(SESSION)) + bytes.fromhex("0104000000000014 01181700 c0000200 0000fde8")
TWICE = encode(CacheResponse(SESSION)) + 2 * encode(Record(True, ONE))


@pytest.mark.parametrize(
    ("octets", "code"),
    [(TOO_LONG, 0), (MAXIMUM_BELOW_LENGTH, 0), (TWICE, 7), (bytes.fromhex("0163000000000008"), 5)],
    ids=["length", "maximum length", "duplicate", "type"],
)
def test_a_cache_that_misbehaves_is_told_and_asked_again(octets: bytes, code: int) -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set({ONE})
        cache.faults = [lambda _: octets]
        async with cache.serving(), fed(cache) as (client, table, _):
            await client.synchronized.wait()
            assert list(table) == [ONE]
            assert [report.code for report in cache.reports] == [code]
            assert cache.queries == [ResetQuery(), ResetQuery()]

    asyncio.run(scenario())


def test_no_data_available_is_asked_again() -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set({ONE})
        cache.faults = [lambda _: encode(ErrorReport(2, b"", "not yet"))]
        async with cache.serving(), fed(cache) as (client, table, _):
            await client.synchronized.wait()
            assert list(table) == [ONE]
            assert cache.reports == []

    asyncio.run(scenario())


def test_two_caches_feed_one_table() -> None:
    async def scenario() -> None:
        caches = [RtrCache(), RtrCache()]
        caches[0].set({ONE})
        caches[1].set({ONE, TWO})
        table = ValidationTable()
        async with caches[0].serving(), caches[1].serving(), asyncio.timeout(PATIENCE):
            clients = [RtrClient("127.0.0.1", table, port=cache.port) for cache in caches]
            for client in clients:
                client.start()
                await client.synchronized.wait()
            assert set(table) == {ONE, TWO}
            clients[1].stop()
            assert set(table) == {ONE}
            clients[0].stop()
            assert set(table) == set()

    asyncio.run(scenario())
