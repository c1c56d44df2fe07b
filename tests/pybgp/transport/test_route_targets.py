"""VPN routes go only where somebody has asked for their target (RFC 4684)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from pybgp import RouteOptions, Speaker
from pybgp.rib import route_targets
from pybgp.transport import route_work
from pybgp.wire.families import EVPN, IPV4_VPN, ROUTE_TARGET

from .test_speaker import Town, run, until

FAMILIES = (ROUTE_TARGET, IPV4_VPN, EVPN)
MAC = "type=mac-ip distinguisher=64512:1 esi=00:00:00:00:00:00:00:00:00:00 tag=0 mac=02:00:00:00:00:01 address=null"


def member(number: int) -> str:
    return f"length=96 origin_as=64512 target=0x0002fc00{number:08x}"


def prefix(number: int) -> str:
    return f"distinguisher=64512:{number} prefix=10.{number}.0.0/16 labels=[{number}]"


def vpn(speaker: Speaker) -> set[str]:
    return {text for text, _ in speaker.routes(IPV4_VPN)}


def teller(place: Town) -> Speaker:
    one = place.make(1)
    for number in (1, 2):
        one.announce_nlri(IPV4_VPN, prefix(number), extended_communities=[f"target:64512:{number}"])
    one.announce_nlri(EVPN, f"{MAC} label=1", extended_communities=["target:64512:2"])
    return one


def test_only_routes_with_a_wanted_target_are_sent() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = teller(place), place.make(2), place.make(3)
        two.announce_nlri(ROUTE_TARGET, member(1))
        three.announce_nlri(ROUTE_TARGET, "length=0 origin_as=0 target=0x")
        await place.full_mesh(families=FAMILIES)
        await until(lambda: vpn(two) == {prefix(1)} and vpn(three) == {prefix(1), prefix(2)})
        assert three.best(EVPN)
        assert not two.best(EVPN)

        two.announce_nlri(ROUTE_TARGET, member(2))
        await until(lambda: vpn(two) == {prefix(1), prefix(2)} and two.best(EVPN))
        two.withdraw_nlri(ROUTE_TARGET, member(1))
        await until(lambda: vpn(two) == {prefix(2)})
        one.announce_nlri(IPV4_VPN, prefix(2), extended_communities=["target:64512:1"])
        await until(lambda: not vpn(two))
        exports = {export.peer: export for export in one.explain(prefix(2), IPV4_VPN).exports}
        assert exports["n2"].attributes is None
        assert exports["n3"].attributes is not None

    run(scenario)


def test_clients_of_a_reflector_that_are_members_of_one_target_hear_of_each_other() -> None:
    """RFC 4684 section 3.2: the reflector sends a membership back to the client whose it is."""
    hub_number = 5

    async def scenario(place: Town) -> None:
        clients = [place.make(number) for number in (1, 2)]
        hub = place.make(hub_number)
        for number, client in enumerate(clients, 1):
            client.announce_nlri(ROUTE_TARGET, member(7))
            client.announce_nlri(IPV4_VPN, prefix(number), extended_communities=["target:64512:7"])
            place.join(number, hub_number, families=FAMILIES)
        place.join(hub_number, 1, 2, families=FAMILIES, routes=RouteOptions(reflector_client=True))
        for speaker in place.speakers.values():
            await speaker.start()
        for client in clients:
            await until(lambda client=client: vpn(client) == {prefix(1), prefix(2)})
        ((_, path),) = [(key, path) for key, path in clients[0].received(f"n{hub_number}", ROUTE_TARGET).items()]
        assert path.received.originator_id == hub.config.router_number
        assert {export.reason for export in hub.explain(member(7), ROUTE_TARGET).exports} == {""}
        for client in clients:
            client.withdraw_nlri(ROUTE_TARGET, member(7))
        for client in clients:
            await until(lambda client=client: len(vpn(client)) == 1 and not client.best(ROUTE_TARGET))

    run(scenario)


def test_a_reflector_tells_its_mesh_that_clients_are_members_whoever_else_is() -> None:
    """RFC 4684 section 3.2 ii: 1 and 2 are no clients, and the membership of 1 is the best; 3 is a client."""
    hub_number = 5

    async def scenario(place: Town) -> None:
        one, two, client = (place.make(number) for number in (1, 2, 3))
        hub = place.make(hub_number)
        for speaker in (one, client):
            speaker.announce_nlri(ROUTE_TARGET, member(7))
        client.announce_nlri(ROUTE_TARGET, member(8))
        two.announce_nlri(IPV4_VPN, prefix(2), extended_communities=["target:64512:7"])
        for number in (1, 2, 3):
            place.join(number, hub_number, families=FAMILIES)
        place.join(hub_number, 1, 2, 3, families=FAMILIES)
        of_client = hub._peerings["n3"].config
        others = {name: hub._peerings[name].config for name in ("n1", "n2")}
        hub.configure({**others, "n3": replace(of_client, routes=RouteOptions(reflector_client=True))})
        for speaker in place.speakers.values():
            await speaker.start()
        await until(lambda: vpn(client) == {prefix(2)})
        assert not vpn(one), "2 and 1 are no clients: in a mesh they would talk to each other"

        def heard(speaker: Speaker) -> list[int | None]:
            received = speaker.received(f"n{hub_number}", ROUTE_TARGET).values()
            return [path.received.originator_id for path in received]

        by_client = client.config.router_number
        (best,) = (path.peer for text, path in hub.routes(ROUTE_TARGET) if text == member(7))
        assert hub.names()[best] == "n1"
        await until(lambda: heard(one) == heard(two) == [by_client, by_client])
        client.withdraw_nlri(ROUTE_TARGET, member(7))
        await until(lambda: heard(one) == heard(two) == [by_client])
        await until(lambda: not vpn(client))

    run(scenario)


def test_without_the_family_everything_is_sent() -> None:
    async def scenario(place: Town) -> None:
        teller(place)
        two = place.make(2)
        await place.full_mesh(families=(IPV4_VPN,))
        await until(lambda: vpn(two) == {prefix(1), prefix(2)})

    run(scenario)


@pytest.mark.parametrize("is_restarting", [False, True])
def test_who_never_says_that_memberships_are_complete_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, is_restarting: bool
) -> None:
    assert route_targets.MEMBERSHIP_TIME == 60
    monkeypatch.setattr(route_work, "MEMBERSHIP_TIME", 0.3)
    if not is_restarting:
        # A peer that sends no End-of-RIB of the family.
        monkeypatch.setattr(route_work.RouteWork, "_end_of_rib", without_targets(route_work.RouteWork._end_of_rib))

    async def scenario(place: Town) -> None:
        teller(place)
        options: dict[str, Any] = {"restarting": True, "selection_deferral_time": 5.0} if is_restarting else {}
        two = place.make(2, **options)
        two.announce_nlri(ROUTE_TARGET, member(2))
        with capture_logs() as logs:
            await place.full_mesh(families=FAMILIES)
            await until(lambda: vpn(two) == {prefix(2)} and two.restart_complete.is_set())
        assert ("targets_incomplete" in {entry["event"] for entry in logs}) is not is_restarting

    run(scenario)


def without_targets(end_of_rib: Any) -> Any:
    def heard(work: Any, peering: Any, family: Any) -> None:
        if family != ROUTE_TARGET:
            end_of_rib(work, peering, family)

    return heard
