"""Keeps the tunnel device as the plan wants it, and puts it right when somebody changes it (spec section 5.1)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import structlog

from calico_routing.kernel.interface import AddressEvent, KernelError, LinkEvent
from calico_routing.node_plan import TunnelWish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from calico_routing.kernel.interface import Kernel, KernelEvent, Link

DEVICE: Final = "tunl0"
#: What IPIP adds to a packet, and the MTU of a host none of whose devices counts (spec section 5.1).
OVERHEAD: Final = 20
MTU_WITHOUT_DEVICES: Final = 1460
#: Changes of the device are gathered for this long before it is looked at.
SETTLE_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


def derive_mtu(links: Iterable[Link], pattern: str) -> int:
    """Return the tunnel's MTU for a host: the smallest of the devices that count, minus the outer header."""
    wanted = re.compile(pattern)
    sizes = [link.mtu for link in links if link.up and wanted.search(link.name)]
    return min(sizes, default=MTU_WITHOUT_DEVICES) - OVERHEAD


class TunnelKeeper:
    """One task that makes the device right whenever the wish or the device changes."""

    def __init__(self, kernel: Kernel, mtu_pattern: str, on_available: Callable[[bool], None]) -> None:
        """`on_available` hears whether routes may lead through the device."""
        self._kernel = kernel
        self._mtu_pattern = mtu_pattern
        self._on_available = on_available
        self._wish = TunnelWish()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._problem = ""

    async def start(self, wish: TunnelWish) -> None:
        """Make the device right once, and keep it so; raises KernelError where that is impossible."""
        self._wish = wish
        await self._settle()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave the device as it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def set_wish(self, wish: TunnelWish) -> None:
        """Want the device to be another way."""
        if wish != self._wish:
            self._wish = wish
            self._wake.set()

    def on_events(self, events: Sequence[KernelEvent]) -> None:
        """Look again when the device, one of its addresses, or a device that its MTU follows has changed."""
        for event in events:
            link_changed = isinstance(event, LinkEvent) and (event.link.name == DEVICE or self._wish.mtu == 0)
            if link_changed or isinstance(event, AddressEvent):
                self._wake.set()
                return

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._wake.clear()
            try:
                await self._settle()
            except KernelError as error:
                self._report(str(error))
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.error("tunnel_unavailable", device=DEVICE, error=problem)
        self._problem = problem
        self._on_available(False)

    async def _settle(self) -> None:
        wish = self._wish
        address = wish.address if wish.wanted and wish.address else None
        mtu = wish.mtu or derive_mtu(await self._kernel.links(), self._mtu_pattern)
        await self._kernel.ensure_tunnel(DEVICE, mtu, address)
        if wish.wanted and self._problem:
            log.info("tunnel_available", device=DEVICE, mtu=mtu, address=address)
        self._problem = ""
        self._on_available(wish.wanted)
