"""The decision process against a literal reading of its sixteen steps, for any candidates in any order of arrival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.rib.decision import DecisionOptions, rank_by
from pybgp.rib.measure import measure
from pybgp.rib.path import Path, Source
from pybgp.rib.plain_rank import PlainRank
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.tables import Rib
from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.measures import Aigp, Tlv
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import SegmentType
from pybgp.wire.nlri import with_path_id
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PREFIX = key("10.1.0.0/16")
MOST = 2**64 - 1
IPV6 = bytes.fromhex("20010db8000000000000000000000001")
#: Two external peers of one AS, two of one router, an internal pair, a member of the confederation, IPv6, ADD-PATH.
PEERS: dict[int, RibPeer] = {
    1: peer(1, 65001, router_id=9),
    2: peer(2, 65001, router_id=8),
    3: peer(3, 65002, router_id=8),
    4: peer(4, router_id=7),
    5: peer(5, router_id=8, add_path=True),
    6: replace(peer(6, 65006, router_id=8), member=True),
    7: replace(peer(7, 65002, router_id=8), address=IPV6),
}


@dataclass(frozen=True)
class Said:
    """One candidate: who says it, under which identifier, and what."""

    number: int
    identifier: int
    attributes: Attributes

    @property
    def raw(self) -> bytes:
        return with_path_id(PREFIX, self.identifier) if self.number == 5 else PREFIX


SEGMENTS = st.lists(
    st.builds(
        Segment,
        st.sampled_from([SegmentType.SEQUENCE, SegmentType.SEQUENCE, SegmentType.SET, SegmentType.CONFED_SEQUENCE]),
        st.lists(st.sampled_from([65001, 65002, 65003]), min_size=1, max_size=2).map(tuple),
    ),
    max_size=2,
)
AIGPS = st.sampled_from(
    [Aigp.of(0), Aigp.of(5), Aigp.of(6), Aigp.of(MOST - 2), Aigp.of(MOST - 1), Aigp((Tlv(9, b""),)), None, None, None]
)
MAYBE = st.booleans()


@st.composite
def candidates(draw: st.DrawFn) -> Said:
    number = draw(st.sampled_from(sorted(PEERS)))
    values: dict[int, object] = {1: draw(st.sampled_from([0, 0, 2])), 2: AsPath(tuple(draw(SEGMENTS)))}
    if draw(MAYBE):
        values[4] = draw(st.sampled_from([0, 1, 2, 2**32 - 1]))
    if number in (4, 5, 6) and draw(MAYBE):
        values[5] = draw(st.sampled_from([0, 100, 101]))
    if draw(st.integers(0, 4)) == 0:
        values[8] = (0xFFFF0006,)
    if number in (4, 5):
        if draw(MAYBE):
            values[9] = draw(st.sampled_from([6, 7, 8]))
        if draw(MAYBE):
            values[10] = draw(st.sampled_from([(1,), (1, 2)]))
    if (metric := draw(AIGPS)) is not None:
        values[26] = metric
    hop = bytes([10, 0, 0, draw(st.integers(100, 103))])
    return Said(number, draw(st.integers(1, 2)), Attributes.build(values, hop))


@st.composite
def close_candidates(draw: st.DrawFn) -> Said:
    """Internal ones that only MED and the originator tell apart."""
    values: dict[int, object] = {1: 0, 2: AsPath.sequence(draw(st.sampled_from([65001, 65002])))}
    values |= {4: draw(st.integers(0, 2)), 9: draw(st.integers(1, 9))}
    return Said(
        draw(st.sampled_from([4, 5])), draw(st.integers(1, 3)), Attributes.build(values, bytes([10, 0, 0, 100]))
    )


SETS = st.one_of(
    st.lists(kind, min_size=1, max_size=5, unique_by=lambda said: (said.number, said.raw))
    for kind in (candidates(), close_candidates())
)
COSTS = st.fixed_dictionaries({bytes([10, 0, 0, hop]): st.sampled_from([0, 1, 2, None]) for hop in range(100, 104)})
OPTIONS = st.builds(DecisionOptions, MAYBE, MAYBE, MAYBE, MAYBE, ignore_aigp=MAYBE)


class Oracle:
    """Spec section 7, step by step: each keeps the winners only, and notes at which step the others left."""

    def __init__(self, paths: Sequence[Path], costs: dict[bytes, int | None], options: DecisionOptions) -> None:
        self.options = options
        self.costs = costs
        self.left = [path for path in paths if path.source is Source.LOCAL or costs[path.next_hop] is not None]
        self.lost: dict[int, str] = {}
        self.equals: list[Path] = []

    def cost(self, path: Path) -> int:
        return 0 if path.source is Source.LOCAL else self.costs[path.next_hop] or 0

    def keep(self, step: str, value: Callable[[Path], object]) -> None:
        if self.left:
            best = min(value(path) for path in self.left)  # type: ignore[type-var]  (numbers and tuples of them)
            self.drop(step, [path for path in self.left if value(path) != best])

    def drop(self, step: str, losers: list[Path]) -> None:
        self.lost |= {id(path): step for path in losers}
        self.left = [path for path in self.left if id(path) not in self.lost]

    def metric(self, path: Path) -> tuple[bool, int]:
        value = path.attributes.get(26)
        metric = value.metric if isinstance(value, Aigp) else None
        return (True, 0) if metric is None else (False, min(metric + self.cost(path), MOST))

    def med(self, path: Path) -> int:
        missing = 2**32 - 1 if self.options.missing_med_is_worst else 0
        return missing if path.attributes.med is None else path.attributes.med

    def compare_med(self) -> None:
        if self.options.always_compare_med:
            self.keep("MED", self.med)
            return
        lowest: dict[int, int] = {}
        for path in self.left:
            lowest[neighbor(path)] = min(self.med(path), lowest.get(neighbor(path), 2**32))
        self.drop("MED", [path for path in self.left if self.med(path) > lowest[neighbor(path)]])

    def decide(self) -> Path | None:
        self.keep("long-lived stale", lambda path: 0xFFFF0006 in path.attributes.communities)
        self.keep("preference", lambda path: -path.preference)
        self.keep("local preference", local_preference)
        self.keep("locally originated", lambda path: path.source is not Source.LOCAL)
        if not self.options.ignore_aigp:
            self.keep("AIGP", self.metric)
        if not self.options.ignore_as_path_length:
            self.keep("AS path length", length)
        self.keep("origin", lambda path: path.attributes.origin)
        self.compare_med()
        self.keep("external", lambda path: path.source is not Source.EBGP)
        self.keep("cost to next hop", self.cost)
        self.equals = list(self.left)
        self.keep("router id", router_id)
        self.keep("cluster list length", lambda path: len(path.attributes.cluster_list))
        self.keep("peer address", lambda path: (len(address(path)), address(path)))
        return self.left[0] if self.left else None


def local_preference(path: Path) -> int:
    value = path.attributes.local_pref
    return -(100 if value is None else value)


def length(path: Path) -> int:
    counts = {SegmentType.SEQUENCE: len, SegmentType.SET: lambda _: 1}
    return sum(counts[kind](asns) for kind, asns in path.attributes.as_path.segments if kind in counts)


def neighbor(path: Path) -> int:
    for kind, asns in path.attributes.as_path.segments:
        if kind == SegmentType.SEQUENCE:
            return asns[0]
        if kind == SegmentType.SET:
            break
    return LOCAL_AS


def router_id(path: Path) -> int:
    originator_id = path.attributes.originator_id
    return (PEERS[path.peer].router_id if path.peer else 0) if originator_id is None else originator_id


def address(path: Path) -> bytes:
    return PEERS[path.peer].address if path.peer else b""


def filled(order: Sequence[Said | None], costs: dict[bytes, int | None], options: DecisionOptions, most: int) -> Rib:
    rib = rib_with(*PEERS.values(), options=options, next_hop_cost=costs.get, maximum_paths=most)
    own = Attributes.build({1: 0, 2: attributes().as_path})
    for said in order:
        if said is None:
            rib.announce_local(IPV4_UNICAST, [PREFIX], own, preference=100)
        else:
            rib.apply(said.number, IPV4_UNICAST, (), said.attributes, [said.raw])
    return rib


@settings(max_examples=400, deadline=None)
@given(data=st.data(), told=SETS, with_own=st.integers(0, 5), costs=COSTS, options=OPTIONS)
def test_the_decision_is_the_oracles(
    data: st.DataObject, told: list[Said], with_own: int, costs: dict[bytes, int | None], options: DecisionOptions
) -> None:
    everything: list[Said | None] = [*told, *([None] if with_own == 0 else [])]
    order = data.draw(st.permutations(everything))
    rib = filled(order, costs, options, 1)
    heard = rib.heard(IPV4_UNICAST, PREFIX)
    oracle = Oracle(heard, costs, options)
    expected = oracle.decide()
    best = rib.best(IPV4_UNICAST).get(PREFIX)
    if expected is None or best is None:
        assert expected is best
        return
    assert any(best is path for path in oracle.left)
    # Among paths of one ADD-PATH peer that tie, the lower identifier wins: those are heard in that order.
    assert best is expected
    losses = {id(loss.path): loss for loss in rib.explain(IPV4_UNICAST, PREFIX)}
    assert {at: loss.step for at, loss in losses.items()} == {
        **oracle.lost,
        **{id(path): "path-id" for path in oracle.left if path is not best},
    }
    several = filled(order, costs, options, 8)
    shared = {(path.peer, path.attributes) for path in several.paths(IPV4_UNICAST, PREFIX)}
    assert shared == {
        (path.peer, path.attributes)
        for path in oracle.equals
        if options.multipath_relax or path.attributes.as_path == best.attributes.as_path
    }


@settings(max_examples=300, deadline=None)
@given(data=st.data(), told=SETS, costs=COSTS, options=OPTIONS)
def test_candidates_may_come_and_go(
    data: st.DataObject, told: list[Said], costs: dict[bytes, int | None], options: DecisionOptions
) -> None:
    rib = filled(told, costs, options, 1)
    away: set[Said] = set()
    for said in data.draw(st.lists(st.sampled_from(told), max_size=6)):
        if said in away:
            rib.apply(said.number, IPV4_UNICAST, (), said.attributes, [said.raw])
        else:
            rib.apply(said.number, IPV4_UNICAST, [said.raw], None, ())
        away ^= {said}
        assert rib.best(IPV4_UNICAST).get(PREFIX) is Oracle(rib.heard(IPV4_UNICAST, PREFIX), costs, options).decide()


def rank_of(path: Path) -> tuple[int, ...]:
    return path.order, path.rank, path.med, path.neighbor_as, path.cost


#: mostly ordinary: one sequence, and what may stand behind it; long ones have lengths of two octets.
ORDINARY = st.fixed_dictionaries(
    {1: st.integers(0, 2), 2: st.lists(st.integers(1, 70_000), max_size=70).map(lambda asns: AsPath.sequence(*asns))},
    optional={
        4: st.sampled_from([0, 1, 2**32 - 1]),
        5: st.sampled_from([0, 100, 2**32 - 1]),
        8: st.sampled_from([(7,), tuple(range(80)), (0xFFFF0006,)]),
        9: st.just(6),
        26: st.just(Aigp.of(5)),
    },
)


@settings(max_examples=100, deadline=None)
@given(
    number=st.sampled_from(sorted(PEERS)),
    values=ORDINARY,
    preference=st.sampled_from([100, 100, 100, 7]),
    cost=st.integers(0, 2),
    options=OPTIONS,
)
def test_a_plain_rank_is_the_rank(
    number: int, values: dict[int, object], preference: int, cost: int, options: DecisionOptions
) -> None:
    teller, said = PEERS[number], Attributes.build(values)
    path, other = [Path(number, teller.source, said, said, preference=preference) for _ in range(2)]
    measured, leading_as = measure(other, teller, cost, options)
    rank_by(other, measured, LOCAL_AS if leading_as is None else leading_as, options)
    is_plain = PlainRank(options).rank(path, teller, cost)
    is_ordinary = 0 < said.as_path.length < 64 and preference == 100 and not {9, 26} & values.keys()
    assert is_plain == (is_ordinary and values.get(8) != (0xFFFF0006,))
    assert not is_plain or rank_of(path) == rank_of(other)
