"""Links, addresses, routes and neighbours by name, one synchronous request each: what a CNI call needs."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.kernel.netlink.codec import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    RTM_NEWROUTE,
)
from calico_routing.kernel.netlink.connection import NetlinkSocket
from calico_routing.kernel.netlink.errors import KernelError
from calico_routing.kernel.netlink.links import (
    DUMP_LINKS,
    decode_address,
    decode_link,
    decode_neighbour,
    dump_addresses,
    dump_neighbours,
    encode_address,
    encode_link,
    encode_neighbour,
    encode_new_link,
    encode_veth,
)
from calico_routing.kernel.netlink.routes import RouteEncoder, decode_route, dump_routes
from calico_routing.kernel.netlink.values import TABLE_MAIN, InterfaceAddress, KernelRoute, Link, Neighbour

if TYPE_CHECKING:
    from collections.abc import Mapping

CREATE_ONLY: Final = NLM_F_CREATE | NLM_F_EXCL
CREATE_OR_REPLACE: Final = NLM_F_CREATE | NLM_F_REPLACE


class VethEnd(NamedTuple):
    """One end of a veth pair that is to be made; ``namespace`` is a file descriptor, None for the socket's own.

    Neither end can be born up: the kernel wants both to exist first.
    """

    name: str
    mtu: int = 0
    address: str = ""
    namespace: int | None = None

    def encode(self) -> bytes:
        """Its attributes."""
        return encode_link(name=self.name, mtu=self.mtu, address=self.address, namespace=self.namespace)


class NetlinkClient(NetlinkSocket):
    """A NetlinkSocket that speaks in links, addresses, routes and neighbours.

    ``NetlinkClient(namespace=fd)`` works inside the namespace behind the descriptor; the process stays where it is.
    """

    __slots__ = ()

    def links(self) -> list[Link]:
        """Every device."""
        return self.dump(RTM_GETLINK, DUMP_LINKS, "list links", decode_link)

    def link(self, name: str) -> Link | None:
        """One device by name, None where there is none."""
        try:
            datagram, answer = self.query(RTM_GETLINK, encode_link(name=name), f"find link {name}")
        except KernelError as error:
            if error.error_number == errno.ENODEV:
                return None
            raise
        return decode_link(datagram, answer.start, answer.end)

    def create_veth(self, end: VethEnd, peer: VethEnd) -> None:
        """A veth pair with both ends born where they belong; EEXIST where a name is taken."""
        body = encode_veth(end.encode(), peer.encode())
        self.request(RTM_NEWLINK, CREATE_ONLY, body, f"create veth {end.name} with peer {peer.name}")

    def create_link(self, name: str, kind: str, *, mtu: int = 0, up: bool | None = None) -> None:
        """A device of a kind that needs no options (dummy, bridge, ipip)."""
        body = encode_new_link(encode_link(name=name, mtu=mtu, up=up), kind)
        self.request(RTM_NEWLINK, CREATE_ONLY, body, f"create {kind} device {name}")

    def set_link(
        self,
        index: int,
        *,
        name: str = "",
        up: bool | None = None,
        mtu: int = 0,
        address: str = "",
        namespace: int | None = None,
    ) -> None:
        """Change what is named, leave the rest."""
        body = encode_link(index=index, name=name, up=up, mtu=mtu, address=address, namespace=namespace)
        self.request(RTM_NEWLINK, 0, body, f"set link {index}")

    def delete_link(self, name: str) -> bool:
        """Remove a device (a veth takes its peer along); False where there is none."""
        try:
            self.request(RTM_DELLINK, 0, encode_link(name=name), f"delete link {name}")
        except KernelError as error:
            if error.error_number == errno.ENODEV:
                return False
            raise
        return True

    def addresses(self, index: int = 0) -> list[InterfaceAddress]:
        """Every address, of one device where its index is given."""
        found = self.dump(RTM_GETADDR, dump_addresses(), "list addresses", decode_address)
        return [address for address in found if index in (0, address.ifindex)]

    def add_address(self, address: InterfaceAddress) -> None:
        """EEXIST where the device has it."""
        what = f"add address {address.address} to link {address.ifindex}"
        self.request(RTM_NEWADDR, CREATE_ONLY, encode_address(address), what)

    def delete_address(self, address: InterfaceAddress) -> None:
        """EADDRNOTAVAIL where the device has it not."""
        what = f"delete address {address.address} from link {address.ifindex}"
        self.request(RTM_DELADDR, 0, encode_address(address), what)

    def routes(
        self, *, family: int = socket.AF_INET, protocol: int | None = None, table: int = TABLE_MAIN
    ) -> list[KernelRoute]:
        """The routes of one family and table, with device names."""
        names = {link.ifindex: link.name for link in self.links()}

        def decode(buffer: bytes, start: int, end: int) -> KernelRoute | None:
            return decode_route(buffer, start, end, names)

        body = dump_routes(family, protocol=protocol, table=table)
        return self.dump(RTM_GETROUTE, body, "list routes", decode)

    def add_route(self, route: KernelRoute) -> None:
        """EEXIST where one of that destination and metric is there, whoever made it."""
        self._set_route(CREATE_ONLY, route, "add")

    def replace_route(self, route: KernelRoute) -> None:
        """Add, or atomically take the place of the route of that destination and metric."""
        self._set_route(CREATE_OR_REPLACE, route, "replace")

    def delete_route(self, route: KernelRoute) -> None:
        """ESRCH where there is none of that protocol (and next hop, where exactly one is named)."""
        encoder = RouteEncoder(self._device_indexes(route))
        what = f"delete route {describe(route)}"
        self.request(RTM_DELROUTE, 0, encoder.encode_deletion(route), what, destination=route.destination)

    def neighbours(self, *, family: int = socket.AF_INET, index: int = 0) -> list[Neighbour]:
        """The neighbour table, of one device where its index is given."""
        found = self.dump(RTM_GETNEIGH, dump_neighbours(family), "list neighbours", decode_neighbour)
        return [neighbour for neighbour in found if index in (0, neighbour.ifindex)]

    def replace_neighbour(self, neighbour: Neighbour) -> None:
        """Add or overwrite; a permanent one by default."""
        what = f"set neighbour {neighbour.address}"
        self.request(RTM_NEWNEIGH, CREATE_OR_REPLACE, encode_neighbour(neighbour), what)

    def delete_neighbour(self, neighbour: Neighbour) -> None:
        """ENOENT where there is none."""
        self.request(RTM_DELNEIGH, 0, encode_neighbour(neighbour), f"delete neighbour {neighbour.address}")

    def _set_route(self, flags: int, route: KernelRoute, verb: str) -> None:
        encoder = RouteEncoder(self._device_indexes(route))
        what = f"{verb} route {describe(route)}"
        self.request(RTM_NEWROUTE, flags, encoder.encode(route), what, destination=route.destination)

    def _device_indexes(self, route: KernelRoute) -> Mapping[str, int]:
        found = (self.link(hop.device) for hop in route.next_hops if hop.device)
        return {link.name: link.ifindex for link in found if link}


def describe(route: KernelRoute) -> str:
    """A route as ``ip route`` would say it, in short."""
    words = [route.destination] if route.kind in ("unicast", "unspecified") else [route.kind, route.destination]
    for hop in route.next_hops:
        words += ["via", hop.gateway] if hop.gateway else []
        words += ["dev", hop.device] if hop.device else []
    return " ".join(words)
