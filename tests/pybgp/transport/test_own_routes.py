"""What a speaker originates by itself: aggregates, default routes, and prefixes under conditions."""

from __future__ import annotations

import pytest

from pybgp import (
    IPV4_UNICAST,
    REJECT_ALL,
    Aggregate,
    Condition,
    LocalError,
    PythonClause,
    Route,
    RouteOptions,
    RoutePolicy,
    Speaker,
    Verdict,
)
from pybgp.rib.path import Path
from tests.pybgp.transport.test_peer_options import connect, start
from tests.pybgp.transport.test_speaker import Town, key, run, until

DEFAULT = "0.0.0.0/0"


def chain(place: Town, options: RouteOptions | None = None) -> tuple[Speaker, Speaker, Speaker]:
    """1 tells 2, 2 tells 3, each another AS; ``options`` are those of 2 toward 3."""
    speakers = [place.make(number, asn=64500 + number) for number in (1, 2, 3)]
    for one, two in ((1, 2), (2, 1), (2, 3), (3, 2)):
        connect(place, one, two, 64500 + two, routes=options if options and (one, two) == (2, 3) else RouteOptions())
    return speakers[0], speakers[1], speakers[2]


def path_of(speaker: Speaker, prefix: str) -> Path | None:
    return speaker.best(IPV4_UNICAST).get(key(prefix))


def test_an_aggregate_stands_for_what_is_inside_it() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = chain(place)
        one.announce(["10.1.0.0/16", "10.2.0.0/16", "192.0.2.0/24"])
        two.set_aggregates([Aggregate("10.0.0.0/8")])
        await start(place)
        everything = {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "192.0.2.0/24"}
        await until(lambda: place.seen(3) == everything)
        path = path_of(three, "10.0.0.0/8")
        assert path is not None
        assert str(path.attributes.as_path) == "64502"
        assert path.attributes.aggregator == (64502, 0x0A000002)
        assert path.attributes.atomic_aggregate
        two.set_aggregates([Aggregate("10.0.0.0/8", summary_only=True)])
        await until(lambda: place.seen(3) == {"10.0.0.0/8", "192.0.2.0/24"})
        reasons = {export.peer: export.reason for export in two.explain("10.1.0.0/16").exports}
        assert reasons["n3"] == "an aggregate stands for it"
        one.withdraw(["10.1.0.0/16", "10.2.0.0/16"])
        await until(lambda: place.seen(3) == {"192.0.2.0/24"})
        one.announce("10.3.0.0/16")
        await until(lambda: place.seen(3) == {"10.0.0.0/8", "192.0.2.0/24"})
        two.set_aggregates([])
        await until(lambda: place.seen(3) == {"10.3.0.0/16", "192.0.2.0/24"})

    run(scenario)


def test_a_default_route_for_one_peer_whatever_else_there_is() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = chain(place, RouteOptions(default_originate=True))
        one.announce([DEFAULT, "192.0.2.0/24"])
        await start(place)
        await until(lambda: place.seen(3) == {DEFAULT, "192.0.2.0/24"})
        path = path_of(three, DEFAULT)
        assert path is not None
        assert str(path.attributes.as_path) == "64502", "not the one of the tables"
        assert path.next_hop == bytes([10, 0, 0, 2])
        (export,) = [export for export in two.explain(DEFAULT).exports if export.peer == "n3"]
        assert (export.reason, str(export.attributes and export.attributes.as_path)) == ("", "64502")
        two.set_export_policy(REJECT_ALL, peer="n3")
        await until(lambda: place.seen(3) == {DEFAULT})
        one.withdraw(DEFAULT)
        await until(lambda: path_of(two, DEFAULT) is None)
        one.announce("198.51.100.0/24")
        await until(lambda: path_of(two, "198.51.100.0/24"))
        assert place.seen(3) == {DEFAULT}
        assert DEFAULT not in place.seen(2)
        assert DEFAULT not in place.seen(1)

    run(scenario)


@pytest.mark.parametrize("when", ["present", "absent"])
def test_a_prefix_is_told_while_another_is_there_or_not(when: str) -> None:
    condition = Condition(("10.0.0.0/8 le 24",), when, ("192.0.2.0/24",))  # type: ignore[arg-type]  (a literal)

    async def scenario(place: Town) -> None:
        one, two, _ = chain(place, RouteOptions(conditions=(condition,)))
        one.announce(["10.1.0.0/16", "198.51.100.0/24"])
        await start(place)
        without, told = {"198.51.100.0/24"}, {"198.51.100.0/24", "10.1.0.0/16"}
        other = {"192.0.2.0/24"}
        await until(lambda: place.seen(3) == (without if when == "present" else told))
        for _ in range(2):
            one.announce("192.0.2.0/24")
            await until(lambda: place.seen(3) == (told if when == "present" else without) | other)
            one.withdraw("192.0.2.0/24")
            await until(lambda: place.seen(3) == (without if when == "present" else told))
        (export,) = [export for export in two.explain("10.1.0.0/16").exports if export.peer == "n3"]
        assert export.reason == ("the condition that it is told under does not hold" if when == "present" else "")

    run(scenario)


def test_a_policy_sees_what_is_left() -> None:
    """The peer's own policy is asked behind the conditions, and its changes stay."""

    def mark(route: Route) -> Verdict:
        route.set(8, (7,))
        return Verdict.ACCEPT

    policy = RoutePolicy("mark", (PythonClause("mark", mark),))
    condition = Condition(("10.0.0.0/8 le 24",), "present", ("192.0.2.0/24",))

    async def scenario(place: Town) -> None:
        one, two, three = chain(place, RouteOptions(conditions=(condition,)))
        two.set_export_policy(policy, peer="n3")
        one.announce(["10.1.0.0/16", "198.51.100.0/24"])
        await start(place)
        await until(lambda: place.seen(3) == {"198.51.100.0/24"})
        path = path_of(three, "198.51.100.0/24")
        assert path is not None
        assert path.attributes.communities == (7,)

    run(scenario)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (((), "present", ("10.0.0.0/8",)), "advertise: at least one"),
        ((("10.0.0.0/8",), "sometimes", ("10.0.0.0/8",)), "when 'sometimes'"),
        ((("10.0.0.0/8",), "absent", ("ten",)), "ten"),
        ((("10.0.0.0/8 le",), "absent", ("10.0.0.0/8",)), "only ge LENGTH and le LENGTH"),
        ((("10.0.0.0/8 ge 20 le 10",), "absent", ("10.0.0.0/8",)), "only ge LENGTH and le LENGTH"),
        ((("10.0.0.0/8 le 33",), "absent", ("10.0.0.0/8",)), "8 to 32 expected"),
        ((("10.0.0.0/8 up 33",), "absent", ("10.0.0.0/8",)), "only ge LENGTH and le LENGTH"),
    ],
)
def test_conditions_that_cannot_be(words: tuple[tuple[str, ...], str, tuple[str, ...]], complaint: str) -> None:
    with pytest.raises(LocalError, match=complaint):
        Condition(*words)  # type: ignore[arg-type]  (a literal)
