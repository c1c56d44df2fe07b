"""Routes that lead to each other's next hops: whatever comes and goes, the tables come to rest, and rightly so."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from pybgp.rib.next_hop_table import NextHopRoute, NextHopTable
from pybgp.rib.path import Change
from pybgp.rib.ranking import UNREACHABLE
from pybgp.transport.next_hop_tracker import MOST_MOVES
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

HOSTS = [f"10.0.{net}.{host}" for net in range(3) for host in (1, 2)]
PREFIXES = [*(f"{host}/32" for host in HOSTS), *(f"10.0.{net}.0/24" for net in range(3)), "10.0.0.0/16"]
#: A prefix is told with a next hop, or withdrawn; of two peers if they may compete for it.
SAYS = st.tuples(st.integers(1, 2), st.sampled_from(PREFIXES), st.sampled_from([None, *HOSTS]))
LINKS = st.tuples(st.just(0), st.sampled_from(PREFIXES), st.sampled_from([None, 1, 2]))
#: Rounds of changed next hops after which a table that still moves never rests.
ROUNDS = 40


class Router:
    """A Rib whose selected routes lead to next hops."""

    def __init__(self) -> None:
        self.table = NextHopTable(depth=4)
        self.rib = rib_with(peer(1, LOCAL_AS), peer(2, LOCAL_AS), next_hop_cost=self.table.cost)
        self.table.look_among(self.rib.paths, self.rib.heard)

    def tell(self, teller: int, prefix: str, what: str | int | None) -> None:
        if teller == 0:
            if isinstance(what, int):
                self.table.put(prefix, NextHopRoute(what))
            else:
                self.table.remove(prefix)
        elif isinstance(what, str):
            said = attributes(65001, local_pref=100).replace({}, next_hop=ip_address(what).packed)
            self.publish(self.rib.apply(teller, IPV4_UNICAST, (), said, [key(prefix)]))
        else:
            self.publish(self.rib.apply(teller, IPV4_UNICAST, [key(prefix)], None, ()))

    def publish(self, changes: list[Change]) -> None:
        self.table.heed(changes)

    def rest(self, *, holds: bool = False) -> None:
        moves: Counter[bytes] = Counter()
        for _ in range(ROUNDS * MOST_MOVES if holds else ROUNDS):
            if not (moved := self.table.changed()):
                return
            self.publish(self.rib.next_hops_changed(moved))
            moves.update(moved)
            for address in moved:
                if holds and moves[address] == MOST_MOVES:
                    self.table.hold(address)
        raise AssertionError("it does not come to rest")

    def outcome(self) -> dict[tuple[int, bytes], tuple[Attributes, str]]:
        return {
            (number, raw): (path.received, path.rejection)
            for number in (1, 2)
            for raw, path in self.rib.received(number, IPV4_UNICAST).items()
        }


@given(st.lists(st.one_of(SAYS, SAYS, LINKS), max_size=20))
def test_who_can_be_reached_does_not_depend_on_how_it_came_about(
    steps: list[tuple[int, str, str | int | None]],
) -> None:
    """Each prefix is told by one peer, so that nothing but what is reachable decides."""
    owners: dict[str, int] = {}
    steps = [one if not one[0] else (owners.setdefault(one[1], one[0]), *one[1:]) for one in steps]
    router = Router()
    for step in steps:
        router.tell(*step)
        router.rest()
    latest = {(teller, prefix): (teller, prefix, what) for teller, prefix, what in steps}
    fresh = Router()
    for step in sorted(latest.values(), key=str):
        fresh.tell(*step)
    fresh.rest()
    assert router.outcome() == fresh.outcome()
    for path in (path for number in (1, 2) for path in router.rib.received(number, IPV4_UNICAST).values()):
        assert path.rejection == ("" if router.table.resolve(path.next_hop) else UNREACHABLE)


@given(st.lists(st.one_of(SAYS, SAYS, LINKS), max_size=20))
def test_paths_that_compete_come_to_rest_once_those_are_held_that_do_not(
    steps: list[tuple[int, str, str | int | None]],
) -> None:
    router = Router()
    for step in steps:
        router.tell(*step)
        router.rest(holds=True)


def test_a_path_to_where_its_own_next_hop_is_does_not_come_and_go() -> None:
    """It would win, were its next hop reached by the path that it then takes the place of."""
    router = Router()
    for step in ((1, "10.0.0.1/32", "10.0.0.1"), (0, "10.0.2.0/24", 1), (2, "10.0.0.1/32", "10.0.2.1")):
        router.tell(*step)
        router.rest()
    (best,) = router.rib.best(IPV4_UNICAST).values()
    assert best.peer == 2


def test_two_that_each_lead_by_the_other_are_held() -> None:
    router = Router()
    router.tell(0, "10.0.2.0/24", 1)
    for teller, prefix, hop in (
        (2, "10.0.0.1/32", "10.0.2.1"),
        (2, "10.0.1.1/32", "10.0.2.1"),
        (1, "10.0.0.1/32", "10.0.1.1"),
        (1, "10.0.1.1/32", "10.0.0.1"),
    ):
        router.tell(teller, prefix, hop)
        router.rest(holds=True)
    assert {path.peer for path in router.rib.best(IPV4_UNICAST).values()} == {2}
