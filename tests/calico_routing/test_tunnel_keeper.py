"""The tunnel device is made, followed, repaired and given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from calico_routing.kernel.interface import Link, TunnelUnavailableError
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.node_plan import TunnelWish
from calico_routing.tunnel_keeper import DEVICE, TunnelKeeper, derive_mtu

PATTERN = r"^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)"
WISH = TunnelWish(True, "192.168.5.0", 1440)


def keep(kernel: MemoryKernel, wish: TunnelWish, body: Callable[[TunnelKeeper, list[bool]], Awaitable[None]]) -> None:
    async def run() -> None:
        heard: list[bool] = []
        keeper = TunnelKeeper(kernel, PATTERN, heard.append)
        kernel.subscribe(keeper.on_events)
        await keeper.start(wish)
        try:
            async with asyncio.timeout(10):
                await body(keeper, heard)
        finally:
            await keeper.stop()

    asyncio.run(run())


async def state(kernel: MemoryKernel) -> tuple[Link | None, list[str]]:
    link = next((one for one in await kernel.links() if one.name == DEVICE), None)
    return link, [one.address for one in await kernel.addresses() if one.label == DEVICE]


async def until(kernel: MemoryKernel, addresses: list[str], mtu: int) -> None:
    while True:
        link, found = await state(kernel)
        if found == addresses and link is not None and link.mtu == mtu:
            return
        await asyncio.sleep(0.01)


def test_it_is_made_and_follows_the_wish() -> None:
    kernel = MemoryKernel()

    async def body(keeper: TunnelKeeper, heard: list[bool]) -> None:
        link, addresses = await state(kernel)
        assert link is not None
        assert (link.up, link.mtu, addresses, heard) == (True, 1440, ["192.168.5.0/32"], [True])
        keeper.set_wish(TunnelWish(True, "192.168.6.0", 1400))
        await until(kernel, ["192.168.6.0/32"], 1400)
        keeper.set_wish(TunnelWish(False, "", 1400))
        await until(kernel, [], 1400)
        assert heard[-1] is False

    keep(kernel, WISH, body)


def test_without_a_wish_nothing_is_made() -> None:
    kernel = MemoryKernel()

    async def body(_: TunnelKeeper, heard: list[bool]) -> None:
        assert await state(kernel) == (None, [])
        assert heard == [False]

    keep(kernel, TunnelWish(), body)


def test_a_device_that_somebody_takes_down_comes_back() -> None:
    kernel = MemoryKernel()

    async def body(_: TunnelKeeper, heard: list[bool]) -> None:
        kernel.set_link(DEVICE, up=False)
        while True:
            link, _ = await state(kernel)
            if link is not None and link.up:
                break
            await asyncio.sleep(0.01)
        assert heard[-1] is True

    keep(kernel, WISH, body)


def test_without_ipip_the_start_fails() -> None:
    async def body(_keeper: TunnelKeeper, _heard: list[bool]) -> None:
        raise AssertionError("started")

    with pytest.raises(TunnelUnavailableError, match="no ipip module"):
        keep(MemoryKernel(has_ipip=False), WISH, body)


def test_a_wish_that_comes_true_too_late_is_told_and_tried_again() -> None:
    kernel = MemoryKernel(has_ipip=False)

    async def body(keeper: TunnelKeeper, heard: list[bool]) -> None:
        keeper.set_wish(WISH)
        while len(heard) < 2:  # noqa: ASYNC110 - the keeper tells by calling back
            await asyncio.sleep(0.01)
        assert heard == [False, False]

    keep(kernel, TunnelWish(), body)


def test_the_mtu_follows_the_devices() -> None:
    links = [
        Link(1, "lo", up=True, mtu=65536),
        Link(2, "eth0", up=True, mtu=1500),
        Link(3, "ens160", up=True, mtu=9000),
        Link(4, "eth1", up=False, mtu=1280),
        Link(5, "docker0", up=True, mtu=1200),
    ]
    assert derive_mtu(links, PATTERN) == 1480
    assert derive_mtu(links[:1], PATTERN) == 1440


def test_an_mtu_of_zero_is_derived_when_a_device_changes() -> None:
    kernel = MemoryKernel()

    async def body(_: TunnelKeeper, _heard: list[bool]) -> None:
        await until(kernel, ["192.168.5.0/32"], 1440)
        kernel.add_link("eth0")
        await until(kernel, ["192.168.5.0/32"], 1480)

    keep(kernel, WISH._replace(mtu=0), body)
