"""Tests of peering code, with a fake peer for the router: real time on a socket, or virtual time in memory.

python test_your_peering.py            # the standard library's runner; pytest finds the same tests
"""

import asyncio
import unittest
from collections.abc import Awaitable, Callable

from pybgp import ACCEPT_ALL, REJECT_ALL, Fault, Speaker, SpeakerConfig
from pybgp.errors import ErrorCode
from pybgp.testing import FakePeer, MemoryNetwork, run_in_virtual_time
from pybgp.transport.peer import Peer

OUR_AS, ROUTER_AS = 64512, 64513
SERVICE = "203.0.113.7/32"


class AnycastService:
    """The code under test: announces a service address, and takes it back while it is drained."""

    def __init__(self, router: str, port: int = 179, make_peer: Callable[..., Peer] = Peer) -> None:
        config = SpeakerConfig(OUR_AS, "192.0.2.10", import_policy=REJECT_ALL, export_policy=ACCEPT_ALL)
        self.speaker = Speaker(config, make_peer=make_peer)
        self.speaker.configure({"router": self.speaker.peer(router, ROUTER_AS, port=port, hold_time=30)})
        self.undrain()

    def drain(self) -> None:
        self.speaker.withdraw(SERVICE)

    def undrain(self) -> None:
        self.speaker.announce(SERVICE, next_hop="192.0.2.10", communities=["64512:7"])


class OnASocket(unittest.IsolatedAsyncioTestCase):
    """As it will run: TCP on loopback."""

    async def test_the_address_is_announced_and_drained(self) -> None:
        async with FakePeer(ROUTER_AS, remote_as=OUR_AS) as router:
            service = AnycastService(router.address, router.port)
            async with service.speaker:
                attributes = await router.wait_announced(SERVICE)
                self.assertEqual(list(attributes.as_path), [OUR_AS])
                self.assertEqual(attributes.communities, (64512 << 16 | 7,))
                service.drain()
                await router.wait_withdrawn(SERVICE)
                service.undrain()
                await router.wait_announced(SERVICE)

    async def test_a_route_of_the_router_is_not_taken(self) -> None:
        async with FakePeer(ROUTER_AS, remote_as=OUR_AS) as router:
            service = AnycastService(router.address, router.port)
            async with service.speaker:
                await router.established()
                router.announce("0.0.0.0/0")
                router.notify(text="that was all")
                await router.wait_connections(2)
                self.assertEqual([nlri for nlri, _ in service.speaker.routes("ipv4-unicast")], [SERVICE])


class InVirtualTime(unittest.TestCase):
    """What takes minutes in the world takes none here, and is the same every time."""

    def play(self, scene: Callable[[AnycastService, FakePeer], Awaitable[None]]) -> None:
        async def scenario() -> None:
            network = MemoryNetwork()
            async with FakePeer(
                ROUTER_AS, remote_as=OUR_AS, address="192.0.2.1", network=network, patience=900
            ) as router:
                service = AnycastService(router.address, make_peer=network.make_peer)
                async with service.speaker:
                    await router.wait_announced(SERVICE)
                    await scene(service, router)

        run_in_virtual_time(scenario())

    def test_a_router_that_falls_silent_is_noticed_by_the_hold_timer(self) -> None:
        async def scene(_: AnycastService, router: FakePeer) -> None:
            begun = asyncio.get_running_loop().time()
            router.fall_silent()
            notification = await router.wait_notification()
            self.assertEqual(notification.code, ErrorCode.HOLD_TIMER_EXPIRED)
            self.assertLess(asyncio.get_running_loop().time() - begun, 31)

        self.play(scene)

    def test_it_comes_back_after_whatever_the_router_does(self) -> None:
        async def scene(_: AnycastService, router: FakePeer) -> None:
            ways: list[Callable[[], None]] = [
                lambda: router.notify(text="maintenance"),
                router.close,
                router.abort,
                lambda: router.send(bytes(19)),
                lambda: router.send_malformed(Fault.RESET),
            ]
            for count, misbehave in enumerate(ways, 2):
                misbehave()
                await router.wait_connections(count)
                await router.wait_announced(SERVICE)

        self.play(scene)

    def test_a_malformed_route_does_not_cost_the_session(self) -> None:
        async def scene(_: AnycastService, router: FakePeer) -> None:
            router.send_malformed(Fault.WITHDRAW)
            await asyncio.sleep(600)
            self.assertEqual(router.connections, 1)
            self.assertTrue(router.is_established)

        self.play(scene)


if __name__ == "__main__":
    unittest.main()
