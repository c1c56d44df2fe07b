"""Route reflection between running speakers (RFC 4456)."""

from __future__ import annotations

import pytest

from pybgp import IPV4_UNICAST, LocalError, RouteOptions, Speaker, SpeakerConfig
from pybgp.rib.path import Path
from pybgp.rib.policy import REJECT_ALL
from tests.pybgp.transport.test_peer_options import connect, start
from tests.pybgp.transport.test_speaker import Town, key, run, until

CLIENT = RouteOptions(reflector_client=True)
CLUSTER = "1.0.0.1"
CLUSTER_NUMBER = 0x01000001


def link(place: Town, reflector: int, other: int, options: RouteOptions) -> None:
    connect(place, reflector, other, 64512, routes=options)
    connect(place, other, reflector, 64512)


def router_number(number: int) -> int:
    return 0x0A000000 + number


def path_of(speaker: Speaker, prefix: str) -> Path | None:
    return speaker.best(IPV4_UNICAST).get(key(prefix))


def export_reason(speaker: Speaker, peer: str, prefix: str) -> str:
    return next(export.reason for export in speaker.explain(prefix).exports if export.peer == peer)


def test_who_hears_whom() -> None:
    """Speaker 1 reflects for 2 and 3; 4 and 5 are no clients, 6 is outside."""

    async def scenario(place: Town) -> None:
        one = place.make(1, cluster_id=CLUSTER)
        for number in (2, 3, 4, 5):
            place.make(number).announce(f"192.0.{number}.0/24", local_pref=number * 100, med=number)
            link(place, 1, number, CLIENT if number < 4 else RouteOptions())
        outside = place.make(6, asn=64999)
        outside.announce("192.0.6.0/24")
        connect(place, 1, 6, 64999)
        connect(place, 6, 1, 64512)
        await start(place)
        everything = {f"192.0.{number}.0/24" for number in range(2, 7)}
        for number, deaf_to in ((1, {}), (2, {}), (3, {}), (4, {"192.0.5.0/24"}), (5, {"192.0.4.0/24"}), (6, {})):
            heard = everything - set(deaf_to)
            await until(lambda number=number, heard=heard: place.seen(number) == heard)

        path = path_of(place.speakers[4], "192.0.2.0/24")
        assert path is not None
        assert path.attributes.originator_id == router_number(2)
        assert path.attributes.cluster_list == (CLUSTER_NUMBER,)
        assert path.next_hop == bytes([10, 0, 0, 2])
        assert (path.attributes.local_pref, path.attributes.med, str(path.attributes.as_path)) == (200, 2, "")
        outward = path_of(outside, "192.0.2.0/24")
        assert outward is not None
        assert outward.attributes.originator_id is None
        assert outward.attributes.cluster_list == ()
        inward = path_of(place.speakers[2], "192.0.6.0/24")
        assert inward is not None
        assert inward.attributes.originator_id is None, "an external route is announced, not reflected"
        assert export_reason(one, "n5", "192.0.4.0/24").endswith(
            "neither it nor this one is a route reflector client (RFC 4456)"
        )
        assert export_reason(one, "n2", "192.0.2.0/24") == "learned from this peer"
        assert export_reason(one, "n5", "192.0.2.0/24") == ""
        groups = {place_.group for place_ in one._work.exporter._exits.values()}
        assert len(groups) == 3, "clients, other internal peers and external ones are a group each"

    run(scenario)


def test_two_reflectors_of_one_cluster_do_not_loop() -> None:
    async def scenario(place: Town) -> None:
        for number in (1, 2):
            place.make(number, cluster_id=CLUSTER)
        client = place.make(3)
        client.announce("192.0.3.0/24")
        link(place, 1, 3, CLIENT)
        link(place, 2, 3, CLIENT)
        link(place, 1, 2, RouteOptions())
        await start(place)
        one, two = place.speakers[1], place.speakers[2]
        for speaker, other in ((one, "n2"), (two, "n1")):
            await until(lambda speaker=speaker, other=other: speaker.received(other, IPV4_UNICAST))
            (path,) = speaker.received(other, IPV4_UNICAST).values()
            assert path.rejection == "own cluster in CLUSTER_LIST"
        assert place.seen(3) == {"192.0.3.0/24"}

    run(scenario)


def test_a_chain_of_clusters_names_each_and_keeps_the_originator() -> None:
    """3 is a client of 1, 1 of 2, 4 of 2; what 4 hears has passed two clusters, and 3 is not told its own route."""

    async def scenario(place: Town) -> None:
        for number in (1, 2):
            place.make(number)
        place.make(3).announce("192.0.3.0/24")
        place.make(4)
        link(place, 1, 3, CLIENT)
        link(place, 2, 1, CLIENT)
        link(place, 2, 4, CLIENT)
        link(place, 2, 3, CLIENT)
        place.speakers[2].set_import_policy(REJECT_ALL, peer="n3")
        await start(place)
        await until(lambda: path_of(place.speakers[4], "192.0.3.0/24"))
        path = path_of(place.speakers[4], "192.0.3.0/24")
        assert path is not None
        assert path.attributes.originator_id == router_number(3)
        assert path.attributes.cluster_list == (router_number(2), router_number(1))
        two = place.speakers[2]
        assert (
            export_reason(two, "n3", "192.0.3.0/24") == "the peer itself brought the route into the AS (ORIGINATOR_ID)"
        )
        assert two.sent("n3", IPV4_UNICAST) == {}

    run(scenario)


@pytest.mark.parametrize(("mode", "hop"), [("default", 3), ("self", 3), ("keep", 3), ("force-self", 1)])
def test_the_next_hop_of_a_reflected_route_changes_by_force_only(mode: object, hop: int) -> None:
    async def scenario(place: Town) -> None:
        place.make(1)
        place.make(2)
        place.make(3).announce("192.0.3.0/24")
        link(place, 1, 2, RouteOptions(reflector_client=True, next_hop=mode))  # type: ignore[arg-type]  (a literal)
        link(place, 1, 3, RouteOptions())
        await start(place)
        await until(lambda: path_of(place.speakers[2], "192.0.3.0/24"))
        path = path_of(place.speakers[2], "192.0.3.0/24")
        assert path is not None
        assert path.next_hop == bytes([10, 0, 0, hop])

    run(scenario)


def test_clients_are_internal_and_clusters_have_a_name() -> None:
    speaker = Speaker(SpeakerConfig(64512, "10.0.0.1"))
    with pytest.raises(LocalError, match="reflector_client: AS 64512 expected, as ours is, not 65001"):
        speaker.peer("192.0.2.1", 65001, routes=CLIENT)
    for text in ("one", "0.0.0.0"):
        with pytest.raises(LocalError, match="cluster_id"):
            SpeakerConfig(64512, "10.0.0.1", cluster_id=text)
