"""Neighbours that announce too much."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from pybgp import IPV4_UNICAST, PrefixLimit, RouteOptions, Speaker
from pybgp.transport.peer import Peer
from pybgp.transport.prefix_limits import PrefixGuard
from tests.pybgp.session.session_examples import ours
from tests.pybgp.transport.test_speaker import Town, run, until

PREFIXES = [f"10.{number}.0.0/16" for number in range(6)]


def limited(limit: PrefixLimit) -> RouteOptions:
    return RouteOptions(receive_limit=limit)


async def meet(place: Town, limit: PrefixLimit) -> tuple[Speaker, Speaker]:
    one, two = place.make(1), place.make(2)
    place.join(1, 2, routes=limited(limit))
    place.join(2, 1)
    await one.start()
    await two.start()
    await until(lambda: one.peers()["n2"].state == "Established")
    return one, two


def test_beyond_the_limit_the_session_ends_and_stays_down_until_it_is_started() -> None:
    async def scenario(place: Town) -> None:
        one, two = await meet(place, PrefixLimit(3))
        two.announce(PREFIXES[:3])
        await until(lambda: len(place.seen(1)) == 3)
        two.announce(PREFIXES)
        await until(lambda: place.seen(1) == set())
        status = one.peers()["n2"]
        assert status.info == "Idle Error: more than 3 prefixes of ipv4-unicast"
        assert status.protocol_state == "down"
        assert status.last_error_sent is not None
        # N is in force, so that the end is a hard one: 6/1 and its data inside 6/9 (RFC 8538 section 3.1).
        assert (status.last_error_sent.code, status.last_error_sent.subcode) == (6, 9)
        assert status.last_error_sent.data == bytes([6, 1, 0, 1, 1, 0, 0, 0, 3])
        await until(lambda: "Maximum number of prefixes" in two.peers()["n1"].last_error)
        two.withdraw(PREFIXES[2:])
        one.start_peer("n2")
        await until(lambda: place.seen(1) == set(PREFIXES[:2]))

    run(scenario)


def test_it_may_come_back_by_itself() -> None:
    async def scenario(place: Town) -> None:
        one, two = await meet(place, PrefixLimit(3, restart_time=0.3))
        two.announce(PREFIXES)
        await until(lambda: one.peers()["n2"].protocol_state == "down")
        two.withdraw(PREFIXES[3:])
        await until(lambda: place.seen(1) == set(PREFIXES[:3]))

    run(scenario)


def test_or_do_without_the_rest() -> None:
    async def scenario(place: Town) -> None:
        one, two = await meet(place, PrefixLimit(3, discard=True))
        two.announce(PREFIXES[:2])
        await until(lambda: len(place.seen(1)) == 2)
        two.announce(PREFIXES[2:])
        two.announce("192.0.2.0/24")
        # What has not left yet would leave behind the withdrawal.
        await until(lambda: two._work.exporter.is_idle and len(place.seen(1)) == 3)
        two.withdraw(PREFIXES[:2])
        await until(lambda: len(place.seen(1)) == 1)
        assert one.peers()["n2"].established_count == 1
        assert one._peerings["n2"].guard is not None
        assert one._peerings["n2"].guard.over == {IPV4_UNICAST}

    run(scenario)


def test_a_peer_is_sent_no_more_than_it_may_have() -> None:
    async def scenario(place: Town) -> None:
        one, _ = place.make(1), place.make(2)
        place.join(1, 2, routes=RouteOptions(send_limit=2))
        place.join(2, 1)
        with capture_logs() as logs:
            for speaker in place.speakers.values():
                await speaker.start()
            one.announce(PREFIXES)
            await until(lambda: len(place.seen(2)) == 2)
            assert len(one.sent("n2", IPV4_UNICAST)) == 2
            reasons = {prefix: one.explain(prefix).exports[0].reason for prefix in PREFIXES}
            assert {prefix for prefix, reason in reasons.items() if not reason} == set(place.seen(2))
            assert {reason for reason in reasons.values() if reason} == {"beyond the limit of 2 prefixes"}
            one.withdraw(sorted(place.seen(2)))
            await until(lambda: len(place.seen(2)) == 2 and len(one.sent("n2", IPV4_UNICAST)) == 2)
        assert {"event": "send_limit_reached", "family": "ipv4-unicast", "maximum": 2, "log_level": "error"} in logs

    run(scenario)


@pytest.fixture
def guard() -> PrefixGuard:
    config = ours()
    return PrefixGuard("n2", Peer(config, lambda peer, event: None), PrefixLimit(4, 50, discard=True))


def test_a_warning_is_given_once_each_time_the_limit_comes_near(guard: PrefixGuard) -> None:
    keys = [bytes([8, number]) for number in range(10)]
    with capture_logs() as logs:
        assert guard.admit(IPV4_UNICAST, (), keys[:1]) == keys[:1]
        assert not logs
        for present in (1, 2):
            guard.admit(IPV4_UNICAST, keys[:present], [keys[present]])
        assert [(entry["event"], entry["count"]) for entry in logs] == [("prefix_limit_near", 2)]
        guard.admit(IPV4_UNICAST, (), keys[:1])
        guard.admit(IPV4_UNICAST, keys[:1], keys[1:2])
        assert len(logs) == 2


def test_what_is_there_may_change_although_the_limit_is_reached(guard: PrefixGuard) -> None:
    keys = [bytes([8, number]) for number in range(6)]
    assert guard.admit(IPV4_UNICAST, keys[:4], keys[:4]) == keys[:4]
    assert guard.admit(IPV4_UNICAST, keys[:3], keys) == keys[:4]
    assert guard.admit(IPV4_UNICAST, keys[:4], [keys[5], keys[0], keys[5]]) == [keys[0]]
