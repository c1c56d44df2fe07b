"""The pod's veth pair, addresses, routes and kernel settings (Calico section 3.3)."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.workload import FIRST_INTERFACE
from calico_routing.kernel.netlink.client import CREATE_ONLY, NetlinkClient
from calico_routing.kernel.netlink.codec import (
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    attribute_text,
    attribute_u32,
    attributes,
    text_of,
)
from calico_routing.kernel.netlink.errors import KernelError, kernel_error
from calico_routing.kernel.netlink.links import (
    DUMP_LINKS,
    INTERFACE,
    decode_link,
    encode_address,
    encode_link,
    encode_veth,
)
from calico_routing.kernel.netlink.namespaces import CLONE_NEWNET, EnteredNamespace
from calico_routing.kernel.netlink.routes import RouteEncoder
from calico_routing.kernel.netlink.sysctl import write_sysctl
from calico_routing.kernel.netlink.values import (
    PROTOCOL_BOOT,
    SCOPE_LINK,
    InterfaceAddress,
    KernelRoute,
    Link,
    NextHop,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST_MAC = "ee:ee:ee:ee:ee:ee"
GATEWAY_IPV4 = "169.254.1.1"
#: the link-local address that follows from HOST_MAC.
GATEWAY_IPV6 = "fe80::ecee:eeff:feee:eeee"
DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")
FURTHER_METRIC = 1024
OWN_NAMESPACE = "/proc/thread-self/ns/net"

NS_GET_NSTYPE = 0xB703
IFLA_IFALIAS = 20
IFLA_NUM_TX_QUEUES = 31
IFLA_NUM_RX_QUEUES = 32
AF_INET, AF_INET6 = 2, 10

Request = tuple[int, int, bytes]


class PodLink(NamedTuple):
    """What one attachment looks like in the kernel."""

    host_name: str
    ifname: str
    owner: str
    mtu: int
    addresses: tuple[str, ...]
    destinations: tuple[str, ...]
    mac: str = ""
    forwarding: bool = False

    @property
    def families(self) -> frozenset[int]:
        """The address families in use."""
        return frozenset(map(family_of, self.addresses))


class OwnedLink(NamedTuple):
    """A device with the alias that says whose it is."""

    link: Link
    owner: str


def family_of(text: str) -> int:
    """The family of an address or prefix."""
    return AF_INET6 if ":" in text else AF_INET


def open_namespace(path: str) -> int:
    """A descriptor of the network namespace; code 8 when there is none at the path."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CniError(
            ErrorCode.INVALID_NAMESPACE,
            f"cannot open network namespace {path}: {error.strerror}",
            "the runtime must create it before it calls the plugin",
        ) from error
    if is_network_namespace(descriptor):
        return descriptor
    os.close(descriptor)
    raise CniError(
        ErrorCode.INVALID_NAMESPACE,
        f"{path} is no network namespace",
        "the runtime must set CNI_NETNS to one such as /run/netns/NAME",
    )


def is_network_namespace(descriptor: int) -> bool:
    """Whether the descriptor is a network namespace at all (ioctl_ns(2))."""
    try:
        return fcntl.ioctl(descriptor, NS_GET_NSTYPE) == CLONE_NEWNET
    except OSError:
        return False


def is_own_namespace(descriptor: int) -> bool:
    """Whether the descriptor is the namespace in which this process runs."""
    there, here = os.fstat(descriptor), os.stat(OWN_NAMESPACE)  # noqa: PTH116 - pathlib would cost 3 ms
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def connect(plan: PodLink, namespace: int, is_orphan: Callable[[str], bool]) -> str:
    """Make the pair and everything on it; the pod's MAC. A stale host end of the same name is replaced."""
    with NetlinkClient() as host:
        host.delete_link(plan.host_name)
        _create_pair(host, plan, namespace)
        end = _required_link(host, plan.host_name)
        _tune_host_end(plan)
        host.set_link(end.ifindex, up=True, address=HOST_MAC if end.address != HOST_MAC else "")
        if AF_INET6 in plan.families:
            _add_gateway_address(host, end.ifindex)
        mac = _furnish_pod_end(plan, namespace)
        for address in plan.addresses:
            _add_host_route(host, end, address, is_orphan)
    return mac


def _create_pair(host: NetlinkClient, plan: PodLink, namespace: int) -> None:
    """Both ends born in their namespaces, and the owner's mark, in one system call: no kill can part them."""
    queues = attribute_u32(IFLA_NUM_TX_QUEUES, 1) + attribute_u32(IFLA_NUM_RX_QUEUES, 1)
    end = encode_link(name=plan.host_name, mtu=plan.mtu, address=HOST_MAC) + queues
    peer = encode_link(name=plan.ifname, mtu=plan.mtu, address=plan.mac, namespace=namespace) + queues
    mark = encode_link(name=plan.host_name) + attribute_text(IFLA_IFALIAS, plan.owner)
    _do(
        host,
        [
            (
                f"create veth {plan.host_name} with peer {plan.ifname}",
                (RTM_NEWLINK, CREATE_ONLY, encode_veth(end, peer)),
            ),
            (f"set the alias of {plan.host_name}", (RTM_NEWLINK, 0, mark)),
        ],
    )


def _tune_host_end(plan: PodLink) -> None:
    name = plan.host_name
    if AF_INET in plan.families:
        _try_sysctl(f"net/ipv4/neigh/{name}/proxy_delay", "0")
        for setting in ("route_localnet", "proxy_arp", "forwarding"):
            write_sysctl(f"net/ipv4/conf/{name}/{setting}", "1")
    if AF_INET6 in plan.families:
        for setting, value in (("accept_dad", "0"), ("disable_ipv6", "0"), ("proxy_ndp", "1"), ("forwarding", "1")):
            write_sysctl(f"net/ipv6/conf/{name}/{setting}", value)
    _try_sysctl(f"net/ipv6/conf/{name}/accept_ra", "0")


def _add_gateway_address(host: NetlinkClient, ifindex: int) -> None:
    """Calico waits for the kernel to form this address; given by hand it is there at once."""
    address = InterfaceAddress(f"{GATEWAY_IPV6}/64", ifindex, scope=SCOPE_LINK)
    try:
        host.add_address(address)
    except KernelError as error:
        if error.error_number != errno.EEXIST:
            raise


def _furnish_pod_end(plan: PodLink, namespace: int) -> str:
    with EnteredNamespace(namespace):
        _tune_pod_end(plan)
    with NetlinkClient(namespace=namespace) as pod:
        end = _required_link(pod, plan.ifname)
        encoder = RouteEncoder({plan.ifname: end.ifindex})
        steps = [(f"set {plan.ifname} up", (RTM_NEWLINK, 0, encode_link(index=end.ifindex, up=True)))]
        steps += [
            (f"add route {route.destination} in the pod", (RTM_NEWROUTE, CREATE_ONLY, encoder.encode(route)))
            for route in pod_routes(plan, _metric(plan, end))
        ]
        steps += [
            (f"add address {text} in the pod", (RTM_NEWADDR, CREATE_ONLY, encode_address(_address(text, end.ifindex))))
            for text in plan.addresses
        ]
        _do(pod, steps)
    return end.address


def _metric(plan: PodLink, end: Link) -> int:
    """Further interfaces of a pod stand behind the first: equal routes cannot be twice."""
    return 0 if plan.ifname == FIRST_INTERFACE else FURTHER_METRIC + end.ifindex


def _address(text: str, ifindex: int) -> InterfaceAddress:
    return InterfaceAddress(text, ifindex)


def _tune_pod_end(plan: PodLink) -> None:
    forwarding = "1" if plan.forwarding else "0"
    if AF_INET in plan.families:
        write_sysctl("net/ipv4/ip_forward", forwarding)
    if AF_INET6 in plan.families:
        for name in ("all", "default", "lo"):
            write_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "0")
        write_sysctl(f"net/ipv6/conf/{plan.ifname}/accept_dad", "0")
        write_sysctl("net/ipv6/conf/all/forwarding", forwarding)


def pod_routes(plan: PodLink, metric: int = 0) -> list[KernelRoute]:
    """The way to the gateway that nobody has, then every destination through it."""
    routes = []
    if AF_INET in plan.families:
        hop = NextHop(device=plan.ifname)
        gateway_route = KernelRoute(f"{GATEWAY_IPV4}/32", next_hops=(hop,), protocol=PROTOCOL_BOOT, scope=SCOPE_LINK)
        routes.append(gateway_route._replace(metric=metric))
    for destination in plan.destinations:
        if family_of(destination) in plan.families:
            gateway = GATEWAY_IPV6 if family_of(destination) == AF_INET6 else GATEWAY_IPV4
            hop = NextHop(gateway=gateway, device=plan.ifname)
            routes.append(KernelRoute(destination, next_hops=(hop,), protocol=PROTOCOL_BOOT, metric=metric))
    return routes


def host_route(host_name: str, address: str) -> KernelRoute:
    """The pod's own /32 or /128 on the node."""
    hop = NextHop(device=host_name)
    return KernelRoute(address, next_hops=(hop,), protocol=PROTOCOL_BOOT, scope=SCOPE_LINK)


def _add_host_route(host: NetlinkClient, end: Link, address: str, is_orphan: Callable[[str], bool]) -> None:
    route = host_route(end.name, address)
    body = RouteEncoder({end.name: end.ifindex}).encode(route)
    what = f"add route {address} dev {end.name}"
    refusals = host.send_batch([(RTM_NEWROUTE, CREATE_ONLY, body)])
    for refusal in refusals:
        if refusal.error_number != errno.EEXIST:
            raise kernel_error(refusal.error_number, what, refusal.text)
        device = _device_of_route(host, address)
        if device == end.name:
            continue
        if not is_orphan(device):
            raise CniError(
                ErrorCode.NETLINK,
                f"route {address} exists already on {device}",
                f"{device} belongs to another workload; delete the pod behind it or the route, then try again",
            )
        host.replace_route(route)


def _device_of_route(host: NetlinkClient, address: str) -> str:
    for route in host.routes(family=family_of(address)):
        if route.destination == address:
            return next((hop.device for hop in route.next_hops if hop.device), route.kind)
    return ""


def _required_link(client: NetlinkClient, name: str) -> Link:
    link = client.link(name)
    if link is None:
        raise KernelError(errno.ENODEV, f"find link {name}", "it is gone again; did something else delete it?")
    return link


def _do(client: NetlinkClient, steps: Sequence[tuple[str, Request]]) -> None:
    """A batch in one system call; the first refusal is raised in the words of its step."""
    for refusal in client.send_batch([request for _, request in steps]):
        raise kernel_error(refusal.error_number, steps[refusal.position][0], refusal.text)


def _try_sysctl(path: str, value: str) -> None:
    """Settings that are good to have; without them the pod still has its network."""
    try:
        write_sysctl(path, value)
    except KernelError as error:
        sys.stderr.write(f"warning: {error}\n")


def find_owned_link(client: NetlinkClient, name: str) -> OwnedLink | None:
    """The device of that name and its owner."""
    try:
        datagram, answer = client.query(RTM_GETLINK, encode_link(name=name), f"find link {name}")
    except KernelError as error:
        if error.error_number == errno.ENODEV:
            return None
        raise
    return decode_owned_link(datagram, answer.start, answer.end)


def decode_owned_link(buffer: bytes, start: int, end: int) -> OwnedLink | None:
    """RTM_NEWLINK with its alias."""
    link = decode_link(buffer, start, end)
    alias = attributes(buffer, start + INTERFACE.size, end).get(IFLA_IFALIAS, b"")
    return OwnedLink(link, text_of(alias)) if link else None


def owned_links(client: NetlinkClient) -> list[OwnedLink]:
    """Every device that carries an alias."""
    return [entry for entry in client.dump(RTM_GETLINK, DUMP_LINKS, "list links", decode_owned_link) if entry.owner]


def remove_link(client: NetlinkClient, ifindex: int) -> None:
    """By number, so that a device which took over the name meanwhile is safe; absent is success."""
    body = encode_link(index=ifindex)
    for refusal in client.send_batch([(RTM_DELLINK, 0, body)]):
        if refusal.error_number != errno.ENODEV:
            raise kernel_error(refusal.error_number, f"delete link {ifindex}", refusal.text)


def remove_host_end(name: str, owner: str) -> None:
    """The host end with its peer, if it is the owner's."""
    with NetlinkClient() as host:
        found = find_owned_link(host, name)
        if found and found.owner == owner:
            remove_link(host, found.link.ifindex)


def find_pod_end(namespace: int, ifname: str) -> Link | None:
    """The interface in the pod."""
    with NetlinkClient(namespace=namespace) as pod:
        return pod.link(ifname)


def problems(plan: PodLink, namespace: int) -> list[str]:
    """How the kernel differs from what ADD made; more than was made is no problem (CNI section 3, CHECK)."""
    return [*_pod_problems(plan, namespace), *_host_problems(plan)]


def _pod_problems(plan: PodLink, namespace: int) -> list[str]:
    with NetlinkClient(namespace=namespace) as pod:
        end = pod.link(plan.ifname)
        if end is None:
            return [f"{plan.ifname} is missing in the pod"]
        found = [] if end.up else [f"{plan.ifname} is down in the pod"]
        present = {address.address for address in pod.addresses(end.ifindex)}
        found += [f"address {text} is missing on {plan.ifname}" for text in plan.addresses if text not in present]
        return found + _missing_routes(pod, pod_routes(plan), "in the pod")


def _host_problems(plan: PodLink) -> list[str]:
    with NetlinkClient() as host:
        end = host.link(plan.host_name)
        if end is None:
            return [f"{plan.host_name} is missing on the host"]
        found = [] if end.up else [f"{plan.host_name} is down on the host"]
        wanted = [host_route(plan.host_name, address) for address in plan.addresses]
        return found + _missing_routes(host, wanted, "on the host")


def _missing_routes(client: NetlinkClient, wanted: Sequence[KernelRoute], where: str) -> list[str]:
    families = {family_of(route.destination) for route in wanted}
    present = {
        (route.destination, hop.device)
        for family in families
        for route in client.routes(family=family)
        for hop in route.next_hops
    }
    return [
        f"route {route.destination} dev {route.next_hops[0].device} is missing {where}"
        for route in wanted
        if (route.destination, route.next_hops[0].device) not in present
    ]
