from __future__ import annotations

from math import inf

import pytest

from pybgp.rib.graceful_restart import REFRESH_TIME, RESTARTING_PEER_TIME, Retention, SelectionDeferral
from pybgp.wire.capabilities import GracefulRestart, LongLivedGracefulRestart
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family

BOTH = frozenset({IPV4_UNICAST, IPV6_UNICAST})


def restart(*kept: Family, restarting: bool = False) -> GracefulRestart:
    families = tuple((family, family in kept) for family in (IPV4_UNICAST, IPV6_UNICAST))
    return GracefulRestart(restarting, True, 120, families)


def lost(now: float = 0.0, restart_time: float = 120.0, stale_time: float = 180.0) -> Retention:
    retention = Retention()
    retention.lost(BOTH, restart_time, stale_time, now)
    return retention


def test_what_the_peer_did_not_keep_goes_when_it_returns() -> None:
    assert lost().returned(restart(IPV4_UNICAST), BOTH) == {IPV6_UNICAST}
    assert lost().returned(restart(), BOTH) == BOTH
    assert lost().returned(None, BOTH) == BOTH
    assert lost().returned(restart(IPV4_UNICAST, IPV6_UNICAST), frozenset({IPV6_UNICAST})) == {IPV4_UNICAST}


def test_the_restart_timer_ends_at_the_session_and_the_stale_timer_runs_on() -> None:
    retention = lost()
    assert retention.next_deadline() == 120
    assert not retention.expire(119.9).gone
    retention.returned(restart(IPV4_UNICAST, IPV6_UNICAST), BOTH)
    assert retention.next_deadline() == 180
    assert retention.end_of_rib(IPV4_UNICAST)
    assert not retention.end_of_rib(IPV4_UNICAST)
    assert retention.expire(180).gone == {IPV6_UNICAST}
    assert retention.next_deadline() == inf


def test_the_restart_timer_takes_everything() -> None:
    retention = lost()
    assert retention.expire(120).gone == BOTH
    assert not retention.expire(1000).gone


def test_a_second_failure_does_not_extend_the_stale_time() -> None:
    retention = lost(now=0.0)
    retention.lost(BOTH, 120.0, 180.0, now=100.0)
    assert retention.stale_deadline == 180
    retention.lost(frozenset(), 0.0, 0.0, now=110.0)
    assert retention.next_deadline() == inf


def test_a_refresh_is_bounded_and_an_end_without_a_beginning_is_ignored() -> None:
    retention = Retention()
    assert not retention.end_refresh(IPV4_UNICAST)
    retention.begin_refresh(IPV4_UNICAST, 10.0)
    assert retention.next_deadline() == 10 + REFRESH_TIME
    assert retention.end_refresh(IPV4_UNICAST)
    retention.begin_refresh(IPV4_UNICAST, 10.0)
    assert retention.expire(10 + REFRESH_TIME).gone == {IPV4_UNICAST}
    assert not retention.end_refresh(IPV4_UNICAST)


def long_lived(*kept: Family) -> LongLivedGracefulRestart:
    return LongLivedGracefulRestart(tuple((family, family in kept, 3600) for family in BOTH))


def long_lost(**times: float) -> Retention:
    """A peer that both families were kept for; only IPv4 may stay for an hour after the restart time."""
    retention = Retention()
    assert not retention.lost(BOTH, 120.0, times.get("stale_time", 180.0), 0.0, {IPV4_UNICAST: 3600.0})
    return retention


def test_after_the_restart_time_a_family_with_a_longer_one_goes_on() -> None:
    retention = long_lost()
    assert retention.next_deadline() == 120
    assert retention.expire(120) == ({IPV6_UNICAST}, {IPV4_UNICAST})
    assert retention.next_deadline() == 3720
    assert retention.expire(3719) == (set(), set())
    assert retention.expire(3720) == ({IPV4_UNICAST}, set())
    assert retention.next_deadline() == inf


def test_a_stale_time_below_the_restart_time_ends_it() -> None:
    assert long_lost(stale_time=30.0).next_deadline() == 30
    assert long_lost(stale_time=30.0).expire(30) == ({IPV6_UNICAST}, {IPV4_UNICAST})


def test_without_a_restart_time_the_long_one_begins_at_once() -> None:
    retention = Retention()
    assert retention.lost(BOTH, 0.0, 180.0, 10.0, {IPV4_UNICAST: 3600.0}) == {IPV4_UNICAST}
    assert retention.expire(10) == ({IPV6_UNICAST}, set())
    assert retention.next_deadline() == 3610


def test_a_family_that_only_the_long_lived_capability_names_has_no_restart_time() -> None:
    retention = Retention()
    begun = retention.lost(frozenset({IPV6_UNICAST}), 120.0, 180.0, 0.0, {IPV4_UNICAST: 60.0, IPV6_UNICAST: 0.0})
    assert begun == {IPV4_UNICAST}
    assert retention.expire(60) == ({IPV4_UNICAST}, set())
    assert retention.expire(120) == ({IPV6_UNICAST}, set())


@pytest.mark.parametrize(
    ("restart_capability", "capability", "gone"),
    [
        (restart(), long_lived(IPV4_UNICAST), set()),
        (restart(IPV4_UNICAST), long_lived(IPV6_UNICAST), {IPV4_UNICAST}),
        (restart(IPV4_UNICAST), LongLivedGracefulRestart(((IPV6_UNICAST, True, 3600),)), {IPV4_UNICAST}),
        (restart(IPV4_UNICAST), None, {IPV4_UNICAST}),
        (None, long_lived(IPV4_UNICAST), {IPV4_UNICAST}),
    ],
)
def test_in_the_long_lived_period_the_new_long_lived_capability_decides(
    restart_capability: GracefulRestart | None, capability: LongLivedGracefulRestart | None, gone: set[Family]
) -> None:
    retention = long_lost()
    retention.expire(120)
    assert retention.returned(restart_capability, BOTH, capability) == gone
    assert retention.next_deadline() == (inf if gone else 3720)


def test_before_the_long_lived_period_the_forwarding_bit_of_graceful_restart_decides() -> None:
    assert long_lost().returned(restart(IPV6_UNICAST), BOTH, long_lived(IPV4_UNICAST)) == {IPV4_UNICAST}
    retention = long_lost()
    assert retention.returned(restart(IPV4_UNICAST), BOTH, long_lived()) == {IPV6_UNICAST}
    assert retention.expire(180) == ({IPV4_UNICAST}, set()), "the session is up: what it did not refresh goes"


def test_the_long_lived_time_runs_on_until_end_of_rib() -> None:
    retention = long_lost()
    retention.expire(120)
    retention.returned(restart(), BOTH, long_lived(IPV4_UNICAST))
    assert retention.next_deadline() == 3720
    assert retention.end_of_rib(IPV4_UNICAST)
    assert retention.next_deadline() == inf
    assert not retention.lost(BOTH, 120.0, 180.0, 4000.0, {IPV4_UNICAST: 7200.0})
    assert retention.expire(4120) == ({IPV6_UNICAST}, {IPV4_UNICAST})
    assert retention.next_deadline() == 4120 + 7200


def test_the_long_lived_time_may_end_while_the_peer_is_sending() -> None:
    retention = long_lost()
    retention.expire(120)
    retention.returned(restart(), BOTH, long_lived(IPV4_UNICAST))
    assert retention.expire(3720) == ({IPV4_UNICAST}, set())
    assert not retention.end_of_rib(IPV4_UNICAST)


def test_a_second_failure_neither_stops_nor_renews_the_long_lived_time() -> None:
    retention = long_lost()
    retention.expire(120)
    retention.returned(restart(), BOTH, long_lived(IPV4_UNICAST))
    assert not retention.lost(BOTH, 120.0, 180.0, 3000.0, {IPV4_UNICAST: 7200.0})
    assert retention.expire(3120) == ({IPV6_UNICAST}, {IPV4_UNICAST}), "what came meanwhile is marked too"
    assert retention.next_deadline() == 3720
    assert retention.expire(3720) == ({IPV4_UNICAST}, set())


def test_a_long_lived_time_that_ended_does_not_begin_again_with_the_restart_time() -> None:
    retention = long_lost()
    retention.expire(120)
    retention.returned(restart(), BOTH, long_lived(IPV4_UNICAST))
    retention.lost(BOTH, 120.0, 180.0, 3700.0, {IPV4_UNICAST: 3600.0})
    assert retention.expire(3720) == ({IPV4_UNICAST}, set())
    assert retention.expire(3820) == ({IPV6_UNICAST}, set())
    assert retention.next_deadline() == inf


def test_a_second_failure_that_keeps_nothing_ends_the_long_lived_time() -> None:
    retention = long_lost()
    retention.expire(120)
    retention.returned(restart(), BOTH, long_lived(IPV4_UNICAST))
    assert not retention.lost(frozenset(), 0.0, 0.0, 3000.0)
    assert retention.next_deadline() == inf


def test_a_restart_waits_for_end_of_rib_of_every_family() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.session_up(1, BOTH, restart(IPV4_UNICAST), 1.0)
    assert not deferral.check(100.0)
    deferral.end_of_rib(1, IPV4_UNICAST)
    assert not deferral.check(100.0)
    deferral.end_of_rib(1, IPV6_UNICAST)
    assert deferral.check(100.0)
    assert not deferral.check(100.0)
    assert deferral.next_deadline() == inf


def test_peers_that_do_not_help_are_not_waited_for() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.expect(2, 0.0)
    deferral.session_up(1, BOTH, None, 1.0)
    assert not deferral.check(1.0)
    deferral.forget(2)
    assert deferral.check(1.0)


def test_a_peer_that_restarts_too_is_waited_for_a_moment() -> None:
    """Two that wait for each other must end; but FRR says that it restarts for minutes after it has."""
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    for peer in (1, 2):
        deferral.session_up(peer, [IPV4_UNICAST], restart(restarting=True), 1.0 * peer)
    assert not deferral.check(2.0)
    deferral.end_of_rib(2, IPV4_UNICAST)
    assert deferral.next_deadline() == 1.0 + RESTARTING_PEER_TIME
    assert not deferral.check(3.9)
    assert deferral.check(4.0)
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.session_up(1, [IPV4_UNICAST], restart(restarting=True), 1.0)
    deferral.session_down(1, 2.0)
    assert deferral.next_deadline() == 17.0
    deferral.session_up(1, [IPV4_UNICAST], restart(restarting=True), 3.0)
    deferral.end_of_rib(1, IPV4_UNICAST)
    assert deferral.check(3.0)


def test_an_absent_peer_is_waited_for_briefly_and_a_silent_one_until_the_end() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.expect(2, 0.0)
    deferral.session_up(2, BOTH, restart(), 1.0)
    assert deferral.next_deadline() == 15
    assert not deferral.check(15.0)
    assert deferral.next_deadline() == 120
    assert deferral.check(120.0)


def test_a_peer_lost_during_the_restart_may_come_back() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.session_up(1, BOTH, restart(), 1.0)
    deferral.session_down(1, 10.0)
    assert not deferral.check(20.0)
    assert deferral.check(25.0)
