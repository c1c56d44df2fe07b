"""Two speakers over a network that loses connections come together, and stay (spec section 13, property 9)."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.events import SessionDown, SessionUp
from pybgp.session.state_machine import State
from tests.properties.fake_network import Network

#: Long enough for the hold timer of a connection that died silently, and the longest rest after it.
TIME_TO_CONVERGE = 240.0
TIME_TO_STAY = 100.0
sides = st.fixed_dictionaries(
    {
        "hold_time": st.sampled_from([0, 9, 90]),
        "graceful_restart": st.sampled_from([None, GracefulRestartConfig(), GracefulRestartConfig(notification=False)]),
        "connect_delay": st.sampled_from([0.0, 0.5]),
        "call_at_start": st.booleans(),
        "delay_open_time": st.sampled_from([0.0, 0.0, 0.2]),
    }
)


def configs(left: dict[str, object], right: dict[str, object], passive: int, ids: int) -> list[PeerConfig]:
    """Two sides that fit together; at most one of them waits."""
    router_ids = [(1, 2), (2, 1), (7, 7)][ids]
    return [
        PeerConfig(
            address=f"192.0.2.{2 - side}",
            remote_as=65002 - side,
            local_as=65001 + side,
            router_id=router_ids[side],
            passive=passive == side,
            **options,  # type: ignore[arg-type]
        )
        for side, options in enumerate((left, right))
    ]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**32),
    sides,
    sides,
    st.sampled_from([0, 1, 2, 2, 2]),
    st.integers(0, 2),
    st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(0, 1)), max_size=8),
    st.floats(0.0, 2.0),
)
def test_two_neighbours_converge_whatever_the_network_does(
    seed: int,
    left: dict[str, object],
    right: dict[str, object],
    passive: int,
    ids: int,
    faults: list[tuple[float, int]],
    head_start: float,
) -> None:
    network = Network(seed, *configs(left, right, passive, ids))
    first, second = network.nodes
    # Without a hold time a connection that died silently is never noticed: only told losses then.
    silent_losses_are_noticed = left["hold_time"] and right["hold_time"]
    if not silent_losses_are_noticed:
        network.random.random = lambda: 0.5  # type: ignore[method-assign]
    network.later(0.0, lambda: first.run(first.neighbor.start(first.now)))
    network.later(head_start, lambda: second.run(second.neighbor.start(second.now)))
    for at, side in faults:
        node = network.nodes[side]
        network.later(at, lambda node=node: network.cut(node))  # type: ignore[misc]
    network.run_until(20.0 + TIME_TO_CONVERGE)
    states = [node.neighbor.state for node in network.nodes]
    assert states == [State.ESTABLISHED, State.ESTABLISHED], [list(node.neighbor.history) for node in network.nodes]
    here, there = first.neighbor.established, second.neighbor.established
    assert here is not None
    assert there is not None
    end = first.ends[here]
    assert end.other is not None
    assert end.other.session is there
    for node in network.nodes:
        node.events.clear()
    network.run_until(network.time + TIME_TO_STAY)
    assert [node.events for node in network.nodes] == [[], []]
    assert all(len(node.ends) == 1 for node in network.nodes)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2), st.floats(0.0, 100.0))
def test_a_waiting_side_that_calls_is_up_at_once_however_long_it_was_away(seed: int, ids: int, away: float) -> None:
    """The other side tries again only every few seconds by then."""
    network = Network(seed, *configs({"call_at_start": True}, {}, 0, ids))
    network.latency = lambda: 0.01  # type: ignore[method-assign]
    late, early = network.nodes
    network.later(0.0, lambda: early.run(early.neighbor.start(early.now)))
    network.later(away, lambda: late.run(late.neighbor.start(late.now)))
    network.run_until(away + 1.0)
    assert [node.neighbor.state for node in network.nodes] == [State.ESTABLISHED, State.ESTABLISHED]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2))
def test_two_active_neighbours_without_faults_are_up_within_two_seconds_and_never_fall(seed: int, ids: int) -> None:
    plain: dict[str, object] = {"graceful_restart": GracefulRestartConfig()}
    network = Network(seed, *configs(plain, plain, 2, ids))
    for node in network.nodes:
        node.run(node.neighbor.start(node.now))
    network.run_until(4.0)
    for node in network.nodes:
        kinds = [type(event) for event in node.events]
        assert kinds == [SessionUp], list(node.neighbor.history)
        assert SessionDown not in kinds
