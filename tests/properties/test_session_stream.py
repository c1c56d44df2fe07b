"""However a stream of octets is cut, a session makes the same of it (spec section 13, property 3)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.messages import VALID
from fuzz.session import KEEPALIVE, STATES, TARGET, THEIR_OPEN, check, outcome
from pybgp.session.state_machine import State
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.messages import end_of_rib

streams = st.lists(st.one_of(VALID, st.just(KEEPALIVE), st.just(end_of_rib(IPV4_UNICAST))), max_size=8).map(b"".join)


@settings(max_examples=100, deadline=None)
@given(streams, st.lists(st.integers(0, 4000), max_size=8), st.booleans())
def test_any_split_gives_the_same_events(stream: bytes, places: list[int], with_opening: bool) -> None:
    stream = THEIR_OPEN + KEEPALIVE + stream if with_opening else stream
    cuts = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(cuts)]
    for state in STATES:
        assert outcome(state, chunks) == outcome(state, [stream])


def test_an_opening_octet_by_octet() -> None:
    stream = THEIR_OPEN + KEEPALIVE + end_of_rib(IPV4_UNICAST)
    events, sent, state, timers = outcome(State.OPEN_SENT, (stream[place : place + 1] for place in range(len(stream))))
    assert state is State.ESTABLISHED
    assert events[-1].startswith("update")
    assert sent == KEEPALIVE
    assert set(timers) == {"hold", "keepalive", "send_hold"}


@settings(max_examples=100, deadline=None)
@given(TARGET.inputs)
def test_no_octets_raise_and_no_notification_is_answered(octets: bytes) -> None:
    check(octets)
