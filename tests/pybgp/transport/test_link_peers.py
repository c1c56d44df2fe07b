"""Neighbours that are found on a link; the finding itself needs a network namespace (tests/namespaces)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from pybgp import LinkPeer, LocalError, Speaker
from pybgp.transport.router_discovery import RouterDiscovery, advertisement, is_advertisement, solicitation

from .test_speaker import Town, run, until

LINK_LOCAL = bytes.fromhex("fe80" + "00" * 13 + "07")


def link(speaker: Speaker, **options: Any) -> LinkPeer:
    return LinkPeer("lo", speaker.peer("fe80::1", 64502, **options), discover=False)


def address(speaker: Speaker) -> str:
    (peering,) = speaker._peerings.values()
    return peering.config.address


def test_a_neighbour_is_a_peer_once_it_is_found() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        one.configure_links({"uplink": link(one)})
        await one.start()
        assert not one.peers()
        one.link_neighbor("uplink", "fe80::2%lo")
        assert list(one.peers()) == ["uplink"]
        one.configure({"static": one.peer("127.0.1.9", 64509, port=place.port)})
        assert set(one.peers()) == {"uplink", "static"}
        one.configure({})
        assert address(one) == "fe80::2%lo"
        peering = one._peerings["uplink"]
        one.link_neighbor("uplink", "fe80::2%lo")
        assert one._peerings["uplink"] is peering
        one.link_neighbor("uplink", "fe80::3%lo")
        assert address(one) == "fe80::3%lo"
        one.configure_links({"uplink": link(one)})
        assert address(one) == "fe80::3%lo"
        peering = one._peerings["uplink"]
        one.configure_links({"uplink": link(one, description="to the spine")})
        assert one._peerings["uplink"] is peering
        assert one.peers()["uplink"].description == "to the spine"
        one.configure_links({"uplink": link(one, hold_time=30)})
        assert not one.peers()
        one.configure_links({})
        assert not one.peers()

    run(scenario)


def test_wrong_names_and_addresses_are_refused() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        one.configure_links({"uplink": link(one)})
        for wrong in ("192.0.2.1", "2001:db8::1%lo", "fe80::2", "fe80::2%eth7"):
            with pytest.raises(LocalError, match=wrong.partition("%")[0]):
                one.link_neighbor("uplink", wrong)
        with pytest.raises(LocalError, match="downlink"):
            one.link_neighbor("downlink", "fe80::2%lo")
        with pytest.raises(LocalError, match="interface"):
            LinkPeer("a name that is too long", one.peer("fe80::1", 64502))
        one.configure({"static": one.peer("127.0.1.9", 64509)})
        with pytest.raises(LocalError, match="static"):
            one.configure_links({"static": link(one)})

    run(scenario)


def test_only_routers_of_the_link_are_heard() -> None:
    message = advertisement()
    assert is_advertisement(message, 255, LINK_LOCAL)
    assert not is_advertisement(message, 254, LINK_LOCAL)
    assert not is_advertisement(message, 255, bytes.fromhex("2001") + LINK_LOCAL[2:])
    assert not is_advertisement(solicitation(), 255, LINK_LOCAL)
    assert not is_advertisement(message[:-1], 255, LINK_LOCAL)
    assert not is_advertisement(b"\x86\x01" + message[2:], 255, LINK_LOCAL)
    # Hosts must not take us for their way out: the router lifetime is 0.
    assert message[6:8] == b"\0\0"


def test_an_interface_that_is_not_there_is_reported_once() -> None:
    async def main() -> list[str]:
        discovery = RouterDiscovery("no-such-link", lambda _: None)
        with capture_logs() as logs:
            discovery.start()
            discovery._tick()
            await until(lambda: logs)
        discovery.stop()
        return [str(entry["event"]) for entry in logs]

    assert asyncio.run(main()) == ["router_discovery_failed"]
