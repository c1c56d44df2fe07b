from __future__ import annotations

from math import inf

from pybgp.rib.graceful_restart import REFRESH_TIME, Retention, SelectionDeferral
from pybgp.wire.capabilities import GracefulRestart
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
    assert retention.expire(119.9) == set()
    retention.returned(restart(IPV4_UNICAST, IPV6_UNICAST), BOTH)
    assert retention.next_deadline() == 180
    assert retention.end_of_rib(IPV4_UNICAST)
    assert not retention.end_of_rib(IPV4_UNICAST)
    assert retention.expire(180) == {IPV6_UNICAST}
    assert retention.next_deadline() == inf


def test_the_restart_timer_takes_everything() -> None:
    retention = lost()
    assert retention.expire(120) == BOTH
    assert retention.expire(1000) == set()


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
    assert retention.expire(10 + REFRESH_TIME) == {IPV4_UNICAST}
    assert not retention.end_refresh(IPV4_UNICAST)


def test_a_restart_waits_for_end_of_rib_of_every_family() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.session_up(1, BOTH, restart(IPV4_UNICAST))
    assert not deferral.check(100.0)
    deferral.end_of_rib(1, IPV4_UNICAST)
    assert not deferral.check(100.0)
    deferral.end_of_rib(1, IPV6_UNICAST)
    assert deferral.check(100.0)
    assert not deferral.check(100.0)
    assert deferral.next_deadline() == inf


def test_peers_that_do_not_help_or_restart_themselves_are_not_waited_for() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    for peer in (1, 2, 3):
        deferral.expect(peer, 0.0)
    deferral.session_up(1, BOTH, None)
    deferral.session_up(2, BOTH, restart(restarting=True))
    assert not deferral.check(1.0)
    deferral.forget(3)
    assert deferral.check(1.0)


def test_an_absent_peer_is_waited_for_briefly_and_a_silent_one_until_the_end() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.expect(2, 0.0)
    deferral.session_up(2, BOTH, restart())
    assert deferral.next_deadline() == 15
    assert not deferral.check(15.0)
    assert deferral.next_deadline() == 120
    assert deferral.check(120.0)


def test_a_peer_lost_during_the_restart_may_come_back() -> None:
    deferral = SelectionDeferral(120.0, 15.0, now=0.0)
    deferral.expect(1, 0.0)
    deferral.session_up(1, BOTH, restart())
    deferral.session_down(1, 10.0)
    assert not deferral.check(20.0)
    assert deferral.check(25.0)
