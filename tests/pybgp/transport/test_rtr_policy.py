"""A cache, a policy and two speakers: a route goes when it becomes invalid, and returns when it is valid again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from pybgp import ACCEPT_ALL, IPV4_UNICAST, Speaker, SpeakerConfig, parse_prefix
from pybgp.rib.policy import Clause, RoutePolicy, ValidationMatch, Verdict
from pybgp.rpki.pdu import Vrp
from pybgp.rpki.validation_table import AffectedRoutes, ValidationTable
from pybgp.transport.rtr_client import RtrClient
from tests.pybgp.transport.rtr_cache import RtrCache

PATIENCE = 20.0
HERE, THERE = "127.0.1.91", "127.0.1.92"
HIJACKED = Vrp(*parse_prefix("198.51.100.0/24"), 24, 64999)


def test_routes_follow_the_cache() -> None:
    async def scenario() -> None:
        with socket.socket() as probe:
            probe.bind((HERE, 0))
            port = probe.getsockname()[1]
        table, cache = ValidationTable(), RtrCache()
        cache.set([])
        refuse = Clause("invalid", (ValidationMatch(frozenset({"invalid"})),), then=Verdict.REJECT)
        policy = RoutePolicy("origins", [refuse], default=Verdict.ACCEPT, validator=table.validate)
        config = SpeakerConfig(64501, "10.0.0.1", listen=((HERE, port),), import_policy=policy)
        here = Speaker(config)
        there = Speaker(SpeakerConfig(64502, "10.0.0.2", next_hops=("10.0.0.2",), export_policy=ACCEPT_ALL))
        here.configure({"there": here.peer(THERE, 64502, passive=True)})
        there.configure({"here": there.peer(HERE, 64501, local_address=THERE, port=port)})
        there.announce(["198.51.100.0/24", "203.0.113.0/24"])

        def changed(vrps: Sequence[Vrp]) -> None:
            here.judge_again(AffectedRoutes(vrps).among)

        async with cache.serving(), asyncio.timeout(PATIENCE):
            client = RtrClient("127.0.0.1", table, port=cache.port, on_change=changed)
            async with client, here, there:
                await client.synchronized.wait()
                watch = here.watch("198.51.100.0/24")
                assert str(await anext(watch)).startswith("198.51.100.0/24 via 10.0.0.2")
                cache.set([HIJACKED])
                assert str(await anext(watch)) == "198.51.100.0/24 withdrawn"
                assert list(here.best(IPV4_UNICAST)) == [parse_prefix("203.0.113.0/24")[1]]
                cache.set([])
                assert str(await anext(watch)).startswith("198.51.100.0/24 via 10.0.0.2")

    asyncio.run(scenario())
