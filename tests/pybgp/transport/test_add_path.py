"""Several paths to a prefix from speaker to speaker (RFC 7911)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybgp import IPV4_UNICAST, LocalError, RouteOptions, Speaker
from pybgp.rib.path_choice import PathChoice
from pybgp.transport.peering import path_choice
from pybgp.wire.families import EVPN, IPV6_UNICAST, Family
from pybgp.wire.iana import AddPathMode
from pybgp.wire.nlri import path_id

from .test_speaker import Town, key, run, until

PREFIX = "192.0.2.0/24"
HUB, FAR = 5, 6


def options(send: Any = "all", *families: Family) -> dict[str, Any]:
    families = families or (IPV4_UNICAST,)
    both = tuple((family, AddPathMode.BOTH) for family in families)
    return {"families": families, "add_path": both, "routes": RouteOptions(add_path_send=send)}


def held(speaker: Speaker, prefix: str = PREFIX) -> dict[int, str]:
    """What the far one has from the hub: path identifier to AS path."""
    found = speaker.received(f"n{HUB}", IPV4_UNICAST)
    return {path_id(raw): str(path.received.as_path) for raw, path in found.items() if raw[4:] == key(prefix)}


async def star(place: Town, *tellers: int, send: Any = "all", **hub: Any) -> None:
    """Tellers in AS 64501 and so on, a hub between, and a far one; only the hub and the far one use identifiers."""
    middle = place.make(HUB, asn=64505, **hub)
    far = place.make(FAR, asn=64506)
    for number in tellers:
        place.make(number, asn=64500 + number).announce(PREFIX)
        place.join(number, HUB)
    settings = {"connect_retry_time": 0.3, "idle_hold_time": 0.1, "port": place.port}
    peers = {
        f"n{number}": middle.peer(f"127.0.1.{number}", 64500 + number, local_address=f"127.0.1.{HUB}", **settings)
        for number in tellers
    }
    sends, receives = ({"add_path": ((IPV4_UNICAST, mode),)} for mode in (AddPathMode.SEND, AddPathMode.RECEIVE))
    far_options = {**settings, **options(send), **sends}
    peers["n6"] = middle.peer("127.0.1.6", 64506, local_address="127.0.1.5", **far_options)
    middle.configure(peers)
    place.join(FAR, HUB, **{**options(), **receives})
    for speaker in place.speakers.values():
        await speaker.start()
    await until(lambda: far.peers()["n5"].state == "Established")


def test_a_default_route_goes_with_all_paths_and_in_place_of_others() -> None:
    """It comes and goes within the session."""

    async def scenario(place: Town) -> None:
        await star(place, 1, 2)
        far, hub = place.speakers[FAR], place.speakers[HUB]
        place.speakers[1].announce("0.0.0.0/0")
        await until(lambda: len(held(far)) == 2 and len(held(far, "0.0.0.0/0")) == 1)
        before = held(far)
        configs = {name: peering.config for name, peering in hub._peerings.items()}
        default = replace(configs["n6"], routes=replace(configs["n6"].routes, default_originate=True))
        hub.configure({**configs, "n6": default})
        await until(lambda: list(held(far, "0.0.0.0/0").values()) == ["64505"])
        assert held(far) == before
        (told,) = (export for export in hub.explain("0.0.0.0/0").exports if export.peer == "n6")
        assert told.attributes is not None
        place.speakers[2].announce("0.0.0.0/0")
        place.speakers[2].withdraw(PREFIX)
        await until(lambda: len(held(far)) == 1)
        assert list(held(far, "0.0.0.0/0").values()) == ["64505"]
        hub.configure(configs)
        await until(lambda: set(held(far, "0.0.0.0/0").values()) == {"64505 64501", "64505 64502"})
        assert far.peers()["n5"].established_count == 1

    run(scenario)


def test_all_paths_are_sent_and_each_goes_alone() -> None:
    async def scenario(place: Town) -> None:
        await star(place, 1, 2, 3)
        far, hub = place.speakers[FAR], place.speakers[HUB]
        await until(lambda: len(held(far)) == 3)
        stream = hub.events(("out",))
        before = held(far)
        assert set(before.values()) == {"64505 64501", "64505 64502", "64505 64503"}
        assert 0 not in before
        gone = next(one for one, text in before.items() if text == "64505 64502")
        place.speakers[2].withdraw(PREFIX)
        await until(lambda: len(held(far)) == 2)
        assert held(far) == {one: text for one, text in before.items() if one != gone}
        stream.close()
        told = [one async for one in stream if one.peer == "n6"]
        assert [(one.action, one.has_path_ids, list(map(path_id, one.keys))) for one in told] == [
            ("withdraw", True, [gone])
        ]
        place.speakers[2].announce(PREFIX, med=5)
        await until(lambda: len(held(far)) == 3)
        hub.set_export_policy(None, peer="n6")
        assert len(hub.sent("n6", IPV4_UNICAST)) == 3

    run(scenario)


def test_a_refresh_and_a_new_session_bring_all_paths() -> None:
    async def scenario(place: Town) -> None:
        await star(place, 1, 2)
        far, hub = place.speakers[FAR], place.speakers[HUB]
        await until(lambda: len(held(far)) == 2)
        before = held(far)
        far.refresh_peer("n5")
        far.announce("198.51.100.0/24")
        await until(lambda: hub.best(IPV4_UNICAST).get(key("198.51.100.0/24")))
        assert held(far) == before
        hub.reset_peer("n6")
        await until(lambda: not held(far))
        await until(lambda: len(held(far)) == 2)

    run(scenario)


def test_the_best_two_and_the_best_of_each_as() -> None:
    async def scenario(place: Town) -> None:
        await star(place, 1, 2, 3, send="best-2")
        far = place.speakers[FAR]
        place.speakers[1].announce(PREFIX, as_path=[64999])
        await until(lambda: set(held(far).values()) == {"64505 64502", "64505 64503"})
        place.speakers[2].withdraw(PREFIX)
        await until(lambda: set(held(far).values()) == {"64505 64501 64999", "64505 64503"})

    run(scenario)


def test_who_told_us_a_path_is_sent_the_others() -> None:
    async def scenario(place: Town) -> None:
        await star(place, 1, 2)
        far, hub = place.speakers[FAR], place.speakers[HUB]
        far.announce(PREFIX)
        await until(lambda: len(hub.explain(PREFIX).candidates) == 3)
        await until(lambda: set(held(far).values()) == {"64505 64501", "64505 64502"})
        assert len(hub.sent("n6", IPV4_UNICAST)) == 2
        told = {(row.path_of, row.reason) for row in hub.explain(PREFIX).exports if row.peer == "n6"}
        assert told == {("n1", ""), ("n2", ""), ("n6", "learned from this peer")}
        identifiers = {row.path_id for row in hub.explain(PREFIX).exports if row.peer == "n6" and row.attributes}
        assert identifiers == {path_id(raw) for raw in hub.sent("n6", IPV4_UNICAST)}

    run(scenario)


def test_a_restart_sends_no_path_before_its_end() -> None:
    async def scenario(place: Town) -> None:
        await star(place, 1, 2, restarting=True, selection_deferral_time=30.0)
        far, hub = place.speakers[FAR], place.speakers[HUB]
        hub.announce("198.51.100.0/24")
        await until(lambda: far.received("n5", IPV4_UNICAST))
        if not hub.restart_complete.is_set():
            assert not held(far)
        await until(hub.restart_complete.is_set)
        await until(lambda: len(held(far)) == 2)

    run(scenario)


def test_paths_of_evpn_routes_are_told_apart_too() -> None:
    text = "type=mac-ip distinguisher=1:1 esi=00:00:00:00:00:00:00:00:00:00 tag=0 mac=02:00:00:00:00:01 address=null"

    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        for number in (1, 2):
            one.announce_nlri(EVPN, f"{text} label={number} second_label=null", label=f"source {number}")
        await place.full_mesh(**options({EVPN: "all"}, EVPN))
        await until(lambda: len(two.received("n1", EVPN)) == 2)
        assert {path.received.details[-1] for path in two.received("n1", EVPN).values()} == {1, 2}
        one.withdraw_nlri(EVPN, text, label="source 1")
        await until(lambda: len(two.received("n1", EVPN)) == 1)
        ((_, path),) = two.routes(EVPN)
        assert path.received.details[-1] == 2

    run(scenario)


def test_choices_are_read_and_others_refused() -> None:
    assert path_choice("all") == PathChoice()
    assert path_choice("best-3") == PathChoice(3)
    assert path_choice("best-per-as") == PathChoice(per_as=True)
    assert path_choice("best") is path_choice("best-1") is None
    several = RouteOptions(add_path_send={IPV4_UNICAST: "all"})
    assert [several.paths_to_send(family) for family in (IPV4_UNICAST, IPV6_UNICAST)] == ["all", "best"]
    for wrong in ("some", "best-0", {IPV4_UNICAST: "best-x"}):
        with pytest.raises(LocalError, match="add_path_send"):
            RouteOptions(add_path_send=wrong)
