from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    KernelError,
    KernelEvent,
    KernelRoute,
    LinkEvent,
    NextHop,
    Operation,
    Resync,
    RouteEvent,
    TunnelUnavailableError,
)
from calico_routing.kernel.memory_kernel import MemoryKernel

WAY = KernelRoute("192.168.1.0/26", next_hops=(NextHop("10.0.0.12", "tunl0", onlink=True),))
FOREIGN = WAY._replace(protocol=3)


def run(scenario: Callable[[MemoryKernel], Awaitable[None]]) -> None:
    async def main() -> None:
        kernel = MemoryKernel()
        await kernel.open()
        await scenario(kernel)
        await kernel.close()

    asyncio.run(main())


def refusals(kernel: MemoryKernel, *operations: Operation) -> list[str]:
    answers: list[KernelError] = []
    kernel.apply_now(operations, answers.extend)
    return [error.name for error in answers]


def test_it_refuses_as_a_kernel_does() -> None:
    async def scenario(kernel: MemoryKernel) -> None:
        assert refusals(kernel, Operation(ADD, WAY)) == ["ENODEV"]
        kernel.add_link("tunl0", up=False)
        assert refusals(kernel, Operation(ADD, WAY)) == ["ENETDOWN"]
        kernel.set_link("tunl0", up=True)
        unreachable = WAY._replace(next_hops=(NextHop("10.0.0.12", "tunl0"),))
        assert refusals(kernel, Operation(ADD, unreachable)) == ["ENETUNREACH"]
        assert refusals(kernel, Operation(ADD, WAY._replace(destination="192.168.1.1/26"))) == ["EINVAL"]
        assert refusals(kernel, Operation(ADD, WAY), Operation(ADD, FOREIGN)) == ["EEXIST"]
        assert refusals(kernel, Operation(DELETE, FOREIGN)) == []
        assert kernel.table() == {WAY.destination: WAY}

    run(scenario)


def test_subscribers_hear_of_others_and_not_of_us() -> None:
    async def scenario(kernel: MemoryKernel) -> None:
        kernel.add_link("tunl0")
        told: list[KernelEvent] = []
        unsubscribe = kernel.subscribe(told.extend)
        await kernel.apply([Operation(ADD, WAY)])
        kernel.foreign_replace(FOREIGN)
        kernel.foreign_delete(WAY.destination)
        kernel.lose_events()
        unsubscribe()
        unsubscribe()
        kernel.lose_events()
        assert told == [
            RouteEvent(FOREIGN, replaces=True),
            RouteEvent(FOREIGN, deleted=True),
            Resync("events were lost"),
        ]

    run(scenario)


def test_events_can_be_iterated() -> None:
    async def scenario(kernel: MemoryKernel) -> None:
        events = kernel.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        link = kernel.add_link("ens160", address="10.0.0.11/24")
        assert await first == LinkEvent(link)
        assert [address.address for address in await kernel.addresses()] == ["10.0.0.11/24"]

    run(scenario)


def test_the_tunnel_is_made_changed_and_emptied() -> None:
    async def scenario(kernel: MemoryKernel) -> None:
        await kernel.ensure_tunnel("tunl0", 1440, None)
        assert [link.name for link in await kernel.links()] == ["lo"]
        await kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0")
        await kernel.ensure_tunnel("tunl0", 1400, "192.168.5.64")
        assert [address.address for address in await kernel.addresses()] == ["192.168.5.64/32"]
        assert [link.mtu for link in await kernel.links() if link.name == "tunl0"] == [1400]
        await kernel.ensure_tunnel("tunl0", 1400, None)
        assert await kernel.addresses() == []
        await kernel.write_sysctl("net/ipv4/ip_forward", "1")
        assert kernel.sysctls == {"net/ipv4/ip_forward": "1"}

    run(scenario)


def test_without_ipip_the_tunnel_is_unavailable() -> None:
    kernel = MemoryKernel(has_ipip=False)
    with pytest.raises(TunnelUnavailableError, match="this kernel has no ipip module"):
        asyncio.run(kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0"))


def test_a_test_can_wait_for_a_route() -> None:
    async def scenario(kernel: MemoryKernel) -> None:
        kernel.add_link("tunl0")
        waiting = asyncio.create_task(kernel.until(lambda: bool(kernel.table())))
        await asyncio.sleep(0)
        await kernel.apply([Operation(ADD, WAY)])
        await waiting

    run(scenario)
