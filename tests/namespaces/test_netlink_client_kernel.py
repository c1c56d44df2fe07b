from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from calico_routing.kernel.netlink import (
    PROTOCOL_BOOT,
    SCOPE_LINK,
    CapabilityMissingError,
    EnteredNamespace,
    InterfaceAddress,
    KernelError,
    KernelRoute,
    Neighbour,
    NetlinkClient,
    NextHop,
    VethEnd,
    read_sysctl,
    write_sysctl,
)
from calico_routing.kernel.netlink.codec import RTM_GETROUTE
from calico_routing.kernel.netlink.connection import BATCH_MESSAGES
from calico_routing.kernel.netlink.routes import RouteEncoder, dump_routes
from tests.namespaces.isolation import another_namespace, device_names, needs_root, stand_in_tunnel

pytestmark = [pytest.mark.namespaces, needs_root, pytest.mark.usefixtures("own_namespace")]

MAC = "ee:ee:ee:ee:ee:ee"


def ip_command(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def index_of(client: NetlinkClient, name: str) -> int:
    link = client.link(name)
    assert link is not None, name
    return link.ifindex


def test_a_pod_is_connected_as_calico_does_it() -> None:
    with another_namespace() as pod, NetlinkClient() as host, NetlinkClient(namespace=pod) as inside:
        host.create_veth(VethEnd("cali1", mtu=1440, address=MAC), VethEnd("eth0", mtu=1440, namespace=pod))
        host.set_link(index_of(host, "cali1"), up=True)
        inside.set_link(index_of(inside, "eth0"), up=True)
        inside.add_route(KernelRoute("169.254.1.1/32", "unicast", (NextHop(None, "eth0"),), 3, scope=SCOPE_LINK))
        inside.add_route(KernelRoute("0.0.0.0/0", "unicast", (NextHop("169.254.1.1", "eth0"),), 3))
        inside.add_address(InterfaceAddress("192.168.5.1/32", index_of(inside, "eth0")))
        host.add_route(KernelRoute("192.168.5.1/32", "unicast", (NextHop(None, "cali1"),), 3, scope=SCOPE_LINK))

        link = host.link("cali1")
        assert link is not None
        assert (link.kind, link.up, link.carrier, link.mtu, link.address) == ("veth", True, True, 1440, MAC)
        assert link.peer_index == index_of(inside, "eth0")
        assert ip_command("-4", "route", "show").split("\n") == ["192.168.5.1 dev cali1 scope link ", ""]
        with EnteredNamespace(pod):
            assert ip_command("-4", "route", "show").split("\n") == [
                "default via 169.254.1.1 dev eth0 ",
                "169.254.1.1 dev eth0 scope link ",
                "",
            ]
            assert "inet 192.168.5.1/32 scope global eth0" in ip_command("addr", "show", "eth0")
        assert "192.168.5.1/32" in [address.address for address in inside.addresses(index_of(inside, "eth0"))]
        assert host.delete_link("cali1")
        assert inside.link("eth0") is None
        assert not host.delete_link("cali1")


def test_static_neighbours_are_set_listed_and_deleted() -> None:
    stand_in_tunnel("cali1")
    with NetlinkClient() as client:
        index = index_of(client, "cali1")
        neighbour = Neighbour("10.0.0.12", index, MAC)
        client.replace_neighbour(neighbour)
        assert neighbour in client.neighbours(index=index)
        client.delete_neighbour(neighbour)
        assert neighbour not in client.neighbours(index=index)


def test_a_link_is_renamed_moved_and_given_an_address() -> None:
    with another_namespace() as pod, NetlinkClient() as host, NetlinkClient(namespace=pod) as inside:
        host.create_veth(VethEnd("cali1"), VethEnd("temporary"))
        host.set_link(index_of(host, "temporary"), name="eth0", address="02:00:00:00:00:07", mtu=1400)
        host.set_link(index_of(host, "eth0"), namespace=pod)
        assert host.link("eth0") is None
        link = inside.link("eth0")
        assert link is not None
        assert (link.address, link.mtu) == ("02:00:00:00:00:07", 1400)
        assert {link.name for link in inside.links()} >= {"lo", "eth0"}


REFUSALS: list[tuple[Callable[[NetlinkClient], None], int, str]] = [
    (
        lambda client: client.add_route(KernelRoute("10.0.0.0/24", next_hops=(NextHop("1.2.3.4", "tunl0"),))),
        errno.ENETUNREACH,
        "add route 10.0.0.0/24 via 1.2.3.4 dev tunl0: Nexthop has invalid gateway (ENETUNREACH)",
    ),
    (
        lambda client: client.add_route(KernelRoute("10.0.0.1/24", next_hops=(NextHop(None, "tunl0"),))),
        errno.EINVAL,
        "add route 10.0.0.1/24 dev tunl0: Invalid prefix for given prefix length (EINVAL)",
    ),
    (
        lambda client: client.add_route(KernelRoute("10.0.0.0/24", next_hops=(NextHop(None, "eth7"),))),
        errno.ENODEV,
        "find device eth7: no such device (ENODEV)",
    ),
    (
        lambda client: client.delete_route(KernelRoute("10.3.3.0/24")),
        errno.ESRCH,
        "delete route 10.3.3.0/24: No such process (ESRCH)",
    ),
    (
        lambda client: client.create_veth(VethEnd("tunl0"), VethEnd("other")),
        errno.EEXIST,
        "create veth tunl0 with peer other: File exists (EEXIST)",
    ),
    (
        lambda client: client.create_link("x", "nonsense"),
        errno.EOPNOTSUPP,
        "create nonsense device x: Unknown device type",
    ),
]


@pytest.mark.parametrize(("attempt", "number", "text"), REFUSALS, ids=[row[2].partition(":")[0] for row in REFUSALS])
def test_a_refusal_speaks_the_kernels_words(attempt: Callable[[NetlinkClient], None], number: int, text: str) -> None:
    stand_in_tunnel()
    with NetlinkClient() as client:
        with pytest.raises(KernelError) as refused:
            attempt(client)
        assert refused.value.error_number == number
        assert str(refused.value).startswith(text)
        assert client.link("tunl0") is not None, "the socket works on"


def test_without_the_capability_the_error_says_so() -> None:
    script = (
        "from calico_routing.kernel.netlink import *\n"
        "try: NetlinkClient().create_link('x', 'dummy')\n"
        "except CapabilityMissingError as error: print(error)"
    )
    command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", script]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stdout == "create dummy device x: needs CAP_NET_ADMIN (run as root, or grant it) (EPERM)\n"
    assert issubclass(CapabilityMissingError, KernelError)


def many_routes(count: int) -> list[KernelRoute]:
    hop = (NextHop("10.0.0.12", "tunl0", onlink=True),)
    return [KernelRoute(f"172.16.{number >> 8}.{number & 255}/32", "unicast", hop) for number in range(count)]


def test_a_large_batch_reports_exactly_its_refusals() -> None:
    stand_in_tunnel()
    routes = many_routes(3 * BATCH_MESSAGES + 7)
    with NetlinkClient() as client:
        encoder = RouteEncoder({"tunl0": index_of(client, "tunl0")})
        for taken in (0, BATCH_MESSAGES, len(routes) - 1):
            client.add_route(routes[taken])
        refusals = client.send_batch([(24, 0x600, encoder.encode(route)) for route in routes])
        assert [(refusal.position, refusal.error_number) for refusal in refusals] == [
            (taken, errno.EEXIST) for taken in (0, BATCH_MESSAGES, len(routes) - 1)
        ]
        assert sorted(client.routes(protocol=12)) == sorted(routes)
        assert client.send_batch([(25, 0, encoder.encode_deletion(route)) for route in routes]) == []
        assert client.routes(protocol=12) == []


def test_the_kernel_filters_a_dump_by_protocol_and_table() -> None:
    stand_in_tunnel()
    hop = (NextHop(None, "tunl0"),)
    routes = [
        KernelRoute("10.1.0.0/16", "unicast", hop, 12, scope=SCOPE_LINK),
        KernelRoute("10.2.0.0/16", "unicast", hop, 3, scope=SCOPE_LINK),
        KernelRoute("10.3.0.0/16", "unicast", hop, 12, 1000, scope=SCOPE_LINK),
        KernelRoute("10.4.0.0/16", "blackhole", (), 12, 100),
    ]
    with NetlinkClient() as client:
        for route in routes:
            client.add_route(route)
        assert client.routes(protocol=12) == routes[:1]
        assert client.routes() == routes[:2]
        assert client.routes(table=1000) == [routes[2]]
        assert client.routes(table=100, protocol=12) == [routes[3]]


def test_an_abandoned_dump_does_not_disturb_the_next() -> None:
    stand_in_tunnel()
    routes = many_routes(3000)
    with NetlinkClient() as client:
        encoder = RouteEncoder({"tunl0": index_of(client, "tunl0")})
        client.send_batch([(24, 0x600, encoder.encode(route)) for route in routes])
        slices = client.dump_slices(RTM_GETROUTE, dump_routes(2, protocol=12, table=254), "list routes")
        next(slices)
        slices.close()
        assert len(client.routes(protocol=12)) == len(routes)


def test_a_dump_under_change_is_repeated_and_complete() -> None:
    """A route outside the changing ones is never missing, whatever the kernel flags."""
    stand_in_tunnel()
    routes = many_routes(2000)
    with NetlinkClient() as client, NetlinkClient() as writer:
        encoder = RouteEncoder({"tunl0": index_of(client, "tunl0")})
        client.send_batch([(24, 0x600, encoder.encode(route)) for route in routes])
        extra = KernelRoute("10.0.0.0/8", "blackhole")
        dumped = 0
        for _ in client.dump_slices(RTM_GETROUTE, dump_routes(2, protocol=12, table=254), "list routes"):
            dumped += 1
            (writer.add_route if dumped % 2 else writer.delete_route)(extra)
        assert dumped > 1
        assert {route.destination for route in client.routes(protocol=12)} >= {route.destination for route in routes}


def test_a_table_that_does_not_exist_is_an_error_at_once() -> None:
    with NetlinkClient() as client, pytest.raises(KernelError, match="ENOENT"):
        client.routes(table=4711)


def test_settings_are_those_of_the_entered_namespace() -> None:
    write_sysctl("net/ipv4/ip_forward", "0")
    with another_namespace() as pod:
        with EnteredNamespace(pod):
            # A new one has what the machine has.
            write_sysctl("net/ipv4/ip_forward", "0")
            assert write_sysctl("net/ipv4/ip_forward", "1")
            assert not write_sysctl("net/ipv4/ip_forward", "1")
        assert read_sysctl("net/ipv4/ip_forward") == "0"
        with EnteredNamespace(pod):
            assert read_sysctl("net/ipv4/ip_forward") == "1"


def test_a_setting_that_is_not_there_is_named() -> None:
    with pytest.raises(KernelError, match="read sysctl net/ipv4/conf/nope/proxy_arp: No such file"):
        write_sysctl("net/ipv4/conf/nope/proxy_arp", "1")


def test_a_route_with_several_next_hops_is_read_back_as_it_was_written() -> None:
    stand_in_tunnel()
    hops = (NextHop("10.0.0.12", "tunl0", onlink=True), NextHop("10.0.0.13", "tunl0", onlink=True, weight=3))
    route = KernelRoute("192.168.5.0/26", "unicast", hops, PROTOCOL_BOOT)
    with NetlinkClient() as client:
        client.replace_route(route)
        client.replace_route(route._replace(next_hops=hops[::-1]))
        assert client.routes() == [route]
        shown = ip_command("route", "show", "192.168.5.0/26")
        assert "nexthop via 10.0.0.13 dev tunl0 weight 3 onlink" in shown


def test_entering_something_that_is_no_namespace_leaves_us_where_we_are() -> None:
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(KernelError, match="enter network namespace"), EnteredNamespace(descriptor):
            pass
    finally:
        os.close(descriptor)
    assert device_names() == ["lo"]
