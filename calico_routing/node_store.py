"""The node's side of its datastore: registered before anything is changed, and kept right while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from calico_routing.datastore.interface import Datastore, DatastoreError, NotFoundError
from calico_routing.datastore.open import MEMORY, open_datastore
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.tunnel_address import ensure_ipip_tunnel_address
from calico_routing.listen_check import check_listen
from calico_routing.model.bgp import DEFAULT, NODE_PREFIX, BGPConfiguration
from calico_routing.node_plan import ANY_IPV4, BIND_NODE_IP
from calico_routing.peering import BGP_PORT
from calico_routing.startup import save_node, start_up, wants_tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from calico_routing.autodetection import Surroundings
    from calico_routing.configuration import Configuration
    from calico_routing.model.nodes import Node

    T = TypeVar("T")

DATASTORE_RETRY_SECONDS: Final = 1.0
TUNNEL_ADDRESS_RETRY_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class NodeStore:
    """What the node reads and writes about itself; calls that may wait run in a thread, one after the other."""

    def __init__(
        self, configuration: Configuration, open_store: Callable[[], AbstractContextManager[Datastore]] | None
    ) -> None:
        """Nothing is opened before something is asked; without ``open_store`` the configuration says which store."""
        self.open: Callable[[], AbstractContextManager[Datastore]] = open_store or self._open_configured
        self._configuration = configuration
        self._memory: Datastore | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="datastore")

    def close(self) -> None:
        """Begin nothing more."""
        self._worker.shutdown(wait=False)

    async def prepare(self, name: str, around: Surroundings, make_tunnel: Callable[[], Awaitable[None]]) -> None:
        """Register the node; with WAIT_FOR_DATASTORE again and again until the store answers.

        ``make_tunnel`` is called if a pool wants the tunnel device, before anything is written.
        """
        while True:
            try:
                if await self._in_worker(self._check, name):
                    await make_tunnel()
                await self._in_worker(self._register, name, around)
            except DatastoreError as error:
                if not self._configuration.datastore.wait:
                    raise
                log.warning("datastore_unavailable", error=str(error), retry_seconds=DATASTORE_RETRY_SECONDS)
                await asyncio.sleep(DATASTORE_RETRY_SECONDS)
            else:
                return

    async def renew_tunnel_address(self, name: str) -> None:
        """Pools or the own node changed: the address may be another now (spec section 2.8)."""

        def renew() -> Node:
            with self.open() as store:
                return ensure_ipip_tunnel_address(store, Allocator(store), name)

        while True:
            try:
                await self._in_worker(renew)
            except (DatastoreError, IpamError) as error:
                log.warning("tunnel_address_failed", error=str(error), retry_seconds=TUNNEL_ADDRESS_RETRY_SECONDS)
                await asyncio.sleep(TUNNEL_ADDRESS_RETRY_SECONDS)
            else:
                return

    async def save(self, name: str, configuration: Configuration, around: Surroundings) -> None:
        """Write the node's addresses as they are found now."""

        def save() -> Node:
            with self.open() as store:
                return save_node(store, name, configuration, around)

        await self._in_worker(save)

    def _check(self, name: str) -> bool:
        """Refuse a port that is taken; tell whether a pool wants the tunnel."""
        with self.open() as store:
            check_listen(self._listen_places(store, name))
            return wants_tunnel(store, self._configuration)

    def _register(self, name: str, around: Surroundings) -> None:
        with self.open() as store:
            start_up(store, self._configuration, name, around)
            ensure_ipip_tunnel_address(store, Allocator(store), name)

    def _listen_places(self, store: Datastore, name: str) -> list[tuple[str, int]]:
        """Where the speaker will listen, as far as is known before the node has registered itself."""
        bgp = self._configuration.bgp
        port, addresses = bgp.listen_port or BGP_PORT, bgp.listen_addresses or (ANY_IPV4,)
        for resource in (DEFAULT, NODE_PREFIX + name):
            with contextlib.suppress(NotFoundError):
                settings = store.get(BGPConfiguration, resource)
                port = settings.listen_port or port
                addresses = () if settings.bind_mode == BIND_NODE_IP else addresses
        return [(address, port) for address in addresses]

    def _open_configured(self) -> AbstractContextManager[Datastore]:
        """Return a handle of its own for whoever asks; a store in memory is one for all."""
        url = self._configuration.datastore_url
        if url != MEMORY:
            return open_datastore(url or "")
        if self._memory is None:
            self._memory = open_datastore(MEMORY)
        return contextlib.nullcontext(self._memory)

    async def _in_worker(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)
