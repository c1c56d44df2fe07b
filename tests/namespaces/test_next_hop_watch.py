"""A router that follows next hops through the kernel's table: metrics choose, lost routes take paths along."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from calico_routing.configuration import parse_configuration
from calico_routing.kernel.netlink import NetlinkClient, VethEnd
from calico_routing.node_daemon import NodeDaemon
from pybgp import ACCEPT_ALL, IPV4_UNICAST, Speaker, SpeakerConfig
from pybgp.wire.nlri import parse_prefix
from tests.namespaces.isolation import needs_root

pytestmark = [pytest.mark.namespaces, needs_root, pytest.mark.usefixtures("own_namespace")]

PREFIX = "203.0.113.0/24"
ROUTER = """
[node]
as_number = 64512
router_id = "10.99.0.1"
[bgp]
listen_port = 1790
listen_addresses = ["10.99.0.1"]
[kernel]
track_next_hops = true
learn = false
[control]
socket = "{socket}"
[[peer]]
address = "10.99.0.2"
remote_as = 64512
local_address = "10.99.0.1"
port = 1790
[[peer]]
address = "10.99.0.3"
remote_as = 64512
local_address = "10.99.0.1"
port = 1790
"""


def ip(words: str) -> str:
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout


def lay_ground() -> None:
    """Addresses of three routers, and a link to somewhere else."""
    for number in (1, 2, 3):
        ip(f"address add 10.99.0.{number}/24 dev lo")
    with NetlinkClient() as client:
        client.create_veth(VethEnd("wan"), VethEnd("wan-far"))
    ip("link set wan up")
    ip("link set wan-far up")
    ip("address add 172.31.0.1/24 dev wan")


def neighbour(number: int) -> Speaker:
    """An internal peer whose routes lead through a network of its own."""
    address = f"10.99.0.{number}"
    policies = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
    speaker = Speaker(SpeakerConfig(64512, address, listen=((address, 1790),), **policies))
    speaker.configure({"router": speaker.peer("10.99.0.1", 64512, local_address=address, port=1790)})
    speaker.announce(PREFIX, next_hop=f"172.16.{number}.1")
    return speaker


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (conditions are of many kinds)
            await asyncio.sleep(0.005)


def test_paths_follow_the_kernels_routes(tmp_path: Path) -> None:
    lay_ground()
    ip("route add 172.16.2.0/24 via 172.31.0.2 metric 20")
    ip("route add 172.16.3.0/24 via 172.31.0.3 metric 30")

    async def scenario() -> None:
        daemon = NodeDaemon(parse_configuration(ROUTER.format(socket=tmp_path / "node.sock"), "node.toml", {}))
        two, three = neighbour(2), neighbour(3)

        def hop() -> str:
            assert daemon.speaker is not None
            path = daemon.speaker.best(IPV4_UNICAST).get(parse_prefix(PREFIX)[1])
            return "" if path is None else ".".join(map(str, path.next_hop))

        def gateway() -> str:
            words = ip(f"route show {PREFIX}").split()
            return words[words.index("via") + 1] if "via" in words else ""

        await daemon.start()
        try:
            async with two, three:
                await until(lambda: hop() == "172.16.2.1" and gateway() == "172.31.0.2")
                ip("route add 172.16.2.0/24 via 172.31.0.2 metric 40")
                ip("route delete 172.16.2.0/24 metric 20")
                await until(lambda: hop() == "172.16.3.1" and gateway() == "172.31.0.3")
                ip("route delete 172.16.3.0/24")
                await until(lambda: hop() == "172.16.2.1" and gateway() == "172.31.0.2")
                ip("route add default via 172.31.0.9")
                ip("route add unreachable 172.16.2.1")
                await until(lambda: hop() == "" and gateway() == "")
                assert daemon.explain(PREFIX)["candidates"][0]["rejection"] == "next hop unreachable"
                ip("route delete unreachable 172.16.2.1")
                await until(lambda: hop() == "172.16.2.1")
                ip("link set wan down")
                await until(lambda: hop() == "")
        finally:
            await daemon.close()

    asyncio.run(scenario())


def test_routes_of_bgp_lead_to_next_hops_in_the_kernel_too(tmp_path: Path) -> None:
    lay_ground()
    text = ROUTER.replace("track_next_hops = true", "track_next_hops = true\ntrack_by_bgp_routes = true")

    async def scenario() -> None:
        daemon = NodeDaemon(parse_configuration(text.format(socket=tmp_path / "node.sock"), "node.toml", {}))
        two, three = neighbour(2), neighbour(3)
        three.withdraw(PREFIX)
        three.announce("172.16.0.0/16", next_hop="172.31.0.3")

        def gateway() -> str:
            words = ip(f"route show {PREFIX}").split()
            return words[words.index("via") + 1] if "via" in words else ""

        await daemon.start()
        try:
            async with two, three:
                await until(lambda: gateway() == "172.31.0.3")
                (candidate,) = daemon.explain(PREFIX)["candidates"]
                assert candidate["next_hop_way"] == [
                    {"address": "172.16.2.1", "prefix": "172.16.0.0/16", "source": "bgp"},
                    {"address": "172.31.0.3", "prefix": "172.31.0.0/24", "source": "kernel"},
                ]
                three.announce("172.16.2.0/24", next_hop="172.31.0.4")
                await until(lambda: gateway() == "172.31.0.4")
                three.announce("172.16.2.0/24", next_hop="172.31.0.5")
                await until(lambda: gateway() == "172.31.0.5")
                three.withdraw(["172.16.2.0/24", "172.16.0.0/16"])
                await until(lambda: gateway() == "")
                assert daemon.explain(PREFIX)["candidates"][0]["rejection"] == "next hop unreachable"
        finally:
            await daemon.close()

    asyncio.run(scenario())
