"""Short ways to set up a store and to ask for addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calico_routing.datastore.interface import Datastore, NotFoundError
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.check import check_store, load_contents
from calico_routing.ipam.requests import AssignRequest
from calico_routing.model.blocks import parse_network
from calico_routing.model.resources import BlockAffinity, IPAMBlock, IPAMConfig, IPAMHandle, IPPool, Metadata, Node


class Clock:
    """A time that goes on by a millisecond whenever it is asked."""

    def __init__(self) -> None:
        self.now = 1_766_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Cluster:
    """A store with an allocator, and what tests ask of them."""

    def __init__(self, store: Datastore, *, nodes: str = "a b c") -> None:
        self.store = store
        self.allocator = Allocator(store, Clock())
        for name in nodes.split():
            self.add_node(name)

    def add_node(self, name: str, labels: Mapping[str, str] | None = None) -> Node:
        return self.store.create(Node(metadata=Metadata(name=name, labels=dict(labels or {}))))

    def add_pool(self, cidr: str, name: str = "pool", **fields: Any) -> IPPool:
        return self.store.create(IPPool(metadata=Metadata(name=name), cidr=cidr, **fields))

    def set_config(self, **fields: Any) -> IPAMConfig:
        try:
            return self.store.update(self.store.get(IPAMConfig, "default").replace(**fields))
        except NotFoundError:
            return self.store.create(IPAMConfig(metadata=Metadata(name="default"), **fields))

    def assign(self, host: str = "a", count: int = 1, handle: str = "h", **fields: Any) -> list[str]:
        """Return the addresses without their prefix length."""
        request = AssignRequest(host=host, handle=handle, num4=count, **fields)
        return [address.partition("/")[0] for address in self.allocator.auto_assign(request).ipv4.addresses]

    def messages(self, host: str = "a", count: int = 1, handle: str = "h", **fields: Any) -> str:
        request = AssignRequest(host=host, handle=handle, num4=count, **fields)
        return self.allocator.auto_assign(request).ipv4.shortfall

    def blocks(self) -> dict[str, IPAMBlock]:
        return {block.cidr: block for block in self.store.list(IPAMBlock).items}

    def affinities(self) -> dict[tuple[str, str], str]:
        return {(entry.node, entry.cidr): entry.state for entry in self.store.list(BlockAffinity).items}

    def handles(self) -> dict[str, dict[str, int]]:
        return {handle.handle_id: dict(handle.block) for handle in self.store.list(IPAMHandle).items}

    def block_of(self, address: str) -> IPAMBlock:
        version = 6 if ":" in address else 4
        number = parse_network(address).first
        return next(block for block in self.blocks().values() if parse_network(block.cidr).holds(version, number))

    def assert_sound(self, *, settled: bool = True) -> None:
        assert check_store(load_contents(self.store), settled=settled) == []
