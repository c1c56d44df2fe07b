from __future__ import annotations

import asyncio
import errno
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    FAMILY_IPV4,
    REPLACE,
    AddressEvent,
    KernelError,
    KernelEvent,
    KernelRoute,
    LinkEvent,
    NextHop,
    Operation,
    Resync,
    RouteEvent,
    RouteRun,
    TunnelUnavailableError,
)
from calico_routing.kernel.netlink import NetlinkClient, read_sysctl
from calico_routing.kernel.netlink.route_runs import key_of
from calico_routing.kernel.netlink_kernel import RUN_ROUTES, NetlinkKernel
from tests.namespaces.isolation import device_names, needs_root, private_namespace, stand_in_tunnel

pytestmark = [pytest.mark.namespaces, needs_root, pytest.mark.usefixtures("own_namespace")]

TUNNEL = (NextHop("10.0.0.12", "tunl0", onlink=True),)


def route(number: int, hops: tuple[NextHop, ...] = TUNNEL, **changes: int) -> KernelRoute:
    return KernelRoute(f"192.168.{number >> 8}.{number & 255}/32", "unicast", hops)._replace(**changes)


def ip_command(words: str) -> str:
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout


def run(scenario: Callable[[NetlinkKernel], Awaitable[None]], **options: int) -> None:
    async def main() -> None:
        kernel = NetlinkKernel(**options)
        await kernel.open()
        try:
            async with asyncio.timeout(30):
                await scenario(kernel)
        finally:
            await kernel.close()

    asyncio.run(main())


class Listener:
    """Everything that a kernel told, and a way to wait for something in it."""

    def __init__(self, kernel: NetlinkKernel) -> None:
        self.events: list[KernelEvent] = []
        self._heard = asyncio.Event()
        kernel.subscribe(self._keep)

    def _keep(self, events: Sequence[KernelEvent]) -> None:
        self.events += events
        self._heard.set()

    async def until(self, condition: Callable[[KernelEvent], bool]) -> KernelEvent:
        while True:
            for event in self.events:
                if condition(event):
                    return event
            self._heard.clear()
            await self._heard.wait()


def is_link_up(event: KernelEvent) -> bool:
    return isinstance(event, LinkEvent) and event.link.name == "lo" and event.link.up


async def all_told(listener: Listener) -> None:
    """What was caused before is told before this change of ours, which is told too."""
    ip_command("link set lo mtu 65000")
    await listener.until(lambda event: isinstance(event, LinkEvent) and event.link.mtu == 65000)


def test_a_batch_is_in_the_kernel_and_answered_when_apply_now_returns() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        answers: list[Sequence[KernelError]] = []
        kernel.apply_now([Operation(ADD, route(1)), Operation(ADD, route(2)), Operation(ADD, route(1))], answers.append)
        (errors,) = answers
        assert [(error.destination, error.error_number) for error in errors] == [("192.168.0.1/32", errno.EEXIST)]
        assert ip_command("route show proto bird").split("\n") == [
            "192.168.0.1 via 10.0.0.12 dev tunl0 onlink ",
            "192.168.0.2 via 10.0.0.12 dev tunl0 onlink ",
            "",
        ]

    run(scenario)


def test_batches_stay_in_order_and_leave_time_for_the_rest() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        turns = 0
        answered: list[str] = []

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        routes = [route(number) for number in range(5000)]
        kernel.apply_now([Operation(ADD, one) for one in routes], lambda errors: answered.append(f"add {len(errors)}"))
        kernel.apply_now(
            [Operation(DELETE, one) for one in routes[1:]], lambda errors: answered.append(f"delete {len(errors)}")
        )
        assert await kernel.apply([Operation(REPLACE, route(0, TUNNEL * 1))]) == {}
        counting.cancel()
        assert answered == ["add 0", "delete 0"]
        assert await kernel.routes(protocol=12) == [route(0)]
        assert turns > 30

    run(scenario)


def test_runs_and_batches_stay_in_order_and_every_refusal_finds_its_route() -> None:
    """Also where there are more refusals than fit into the receive buffer at once."""
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        failed: list[KernelError] = []
        keys = [key_of(route(number).destination)[1] for number in range(2 * RUN_ROUTES)]
        kernel._request_client.refusals_held = 100
        kernel.apply_run(RouteRun(ADD, FAMILY_IPV4, keys[:1500], route(0)), failed.extend)
        assert await kernel.apply([Operation(DELETE, route(7))]) == {}
        kernel.apply_run(RouteRun(ADD, FAMILY_IPV4, keys, route(0)), failed.extend)
        assert await kernel.apply([]) == {}
        assert {error.error_number for error in failed} == {errno.EEXIST}
        assert sorted(error.destination for error in failed) == sorted(
            route(number).destination for number in range(1500) if number != 7
        )
        assert len(await kernel.routes(protocol=12)) == len(keys)
        failed.clear()
        kernel.apply_run(RouteRun(DELETE, FAMILY_IPV4, keys[::-1], route(0)), failed.extend)
        assert await kernel.apply([]) == {}
        assert failed == []
        assert await kernel.routes(protocol=12) == []

    run(scenario)


def test_many_runs_in_one_turn_leave_time_for_the_rest() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        answered: list[int] = []
        keys = [key_of(route(number).destination)[1] for number in range(4000)]
        for start in range(0, 4000, 100):
            hundred = RouteRun(ADD, FAMILY_IPV4, keys[start : start + 100], route(0))
            kernel.apply_run(hundred, lambda errors: answered.append(len(errors)))
        assert RUN_ROUTES // 200 < len(answered) <= RUN_ROUTES // 100
        await kernel.apply([])
        assert answered == [0] * 40
        await asyncio.sleep(0)
        for number in range(600):
            kernel.apply_now([Operation(DELETE, route(number))], lambda errors: answered.append(len(errors)))
            await asyncio.sleep(0)
            assert len(answered) == 41 + number, "one by one they never wait"

    run(scenario)


def test_a_run_over_a_device_that_is_not_there_is_refused_route_by_route() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        answers: list[Sequence[KernelError]] = []
        keys = [key_of(route(number).destination)[1] for number in range(3)]
        for action in (ADD, DELETE):
            kernel.apply_run(RouteRun(action, FAMILY_IPV4, keys, route(0)), answers.append)
        assert [[(error.destination, error.name) for error in errors] for errors in answers] == [
            [(route(number).destination, "ENODEV") for number in range(3)],
            [],
        ]

    run(scenario)


def test_failures_come_by_destination_and_the_rest_is_done() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        bad = KernelRoute("10.1.0.0/16", next_hops=(NextHop("1.2.3.4", "tunl0"),))
        lost = KernelRoute("10.2.0.0/16", next_hops=(NextHop("1.2.3.4", "eth9"),))
        errors = await kernel.apply([Operation(ADD, one) for one in (bad, lost, route(3))])
        assert {key: error.error_number for key, error in errors.items()} == {
            "10.1.0.0/16": errno.ENETUNREACH,
            "10.2.0.0/16": errno.ENODEV,
        }
        assert str(errors["10.1.0.0/16"]).startswith("add route 10.1.0.0/16 via 1.2.3.4 dev tunl0: Nexthop has invalid")
        assert await kernel.routes(protocol=12) == [route(3)]

    run(scenario)


def test_deleting_what_is_gone_is_fine_and_foreign_routes_are_not_deleted() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        ip_command("route add 192.168.0.1 via 10.0.0.12 dev tunl0 onlink proto static")
        assert await kernel.apply([Operation(DELETE, route(1)), Operation(DELETE, route(2))]) == {}
        assert [one.protocol for one in await kernel.routes() if one.protocol != 2] == [4]

    run(scenario)


def test_adding_never_overwrites_a_foreign_route() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        ip_command("route add blackhole 192.168.0.1 proto static")
        errors = await kernel.apply([Operation(ADD, route(1))])
        assert errors["192.168.0.1/32"].error_number == errno.EEXIST
        assert [one.kind for one in await kernel.routes() if one.protocol != 2] == ["blackhole"]

    run(scenario)


def test_what_is_still_queued_when_the_kernel_is_closed_is_refused() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        pending = asyncio.create_task(kernel.apply([Operation(ADD, route(number)) for number in range(3000)]))
        await asyncio.sleep(0)
        await kernel.close()
        refused = await pending
        assert 0 < len(refused) < 3000
        assert {error.reason for error in refused.values()} == {"closed meanwhile"}

    run(scenario)


def test_a_report_that_raises_does_not_stop_the_queue() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        def careless(errors: Sequence[KernelError]) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            kernel.apply_now([Operation(ADD, KernelRoute("10.1.0.0/16", "blackhole"))], careless)
        with pytest.raises(KeyError):
            kernel.apply_now([Operation(ADD, KernelRoute("10.2.0.0/16", "no such kind"))], careless)
        assert await kernel.apply([Operation(ADD, KernelRoute("10.3.0.0/16", "blackhole"))]) == {}

    run(scenario)


def test_a_device_made_a_moment_ago_can_be_used() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        stand_in_tunnel("fresh0")
        assert await kernel.apply([Operation(ADD, route(1, (NextHop("10.0.0.1", "fresh0", onlink=True),)))]) == {}

    run(scenario)


def test_a_device_that_was_made_again_has_another_number() -> None:
    onto = route(1, (NextHop("10.0.0.12", "leg0", onlink=True),))

    async def scenario(kernel: NetlinkKernel) -> None:
        stand_in_tunnel("leg0")
        listener = Listener(kernel)
        assert await kernel.apply([Operation(ADD, onto)]) == {}
        ip_command("link del leg0")
        await listener.until(lambda event: isinstance(event, LinkEvent) and event.deleted)
        errors = await kernel.apply([Operation(ADD, onto)])
        assert errors["192.168.0.1/32"].error_number == errno.ENODEV
        stand_in_tunnel("other0")
        stand_in_tunnel("leg0")
        assert await kernel.apply([Operation(ADD, onto)]) == {}
        assert await kernel.routes(protocol=12) == [onto]

    run(scenario)


def test_others_changes_are_told_in_order_and_ours_are_not() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        listener = Listener(kernel)
        kernel.apply_now([Operation(ADD, route(1)), Operation(REPLACE, KernelRoute("10.9.0.0/16", "blackhole"))], list)
        ip_command("route add blackhole 192.168.9.0/26")
        ip_command("route replace unreachable 192.168.9.0/26")
        ip_command("route del 192.168.0.1")
        kernel.apply_now([Operation(DELETE, KernelRoute("10.9.0.0/16", "blackhole"))], list)
        ip_command("route del unreachable 192.168.9.0/26")
        await all_told(listener)
        hole = KernelRoute("192.168.9.0/26", "blackhole", protocol=3)
        wall = hole._replace(kind="unreachable")
        told = [event for event in listener.events if isinstance(event, RouteEvent) and event.route.table == 254]
        assert [event for event in told if ":" not in event.route.destination] == [
            RouteEvent(hole),
            RouteEvent(wall, replaces=True),
            RouteEvent(route(1), deleted=True),
            RouteEvent(wall, deleted=True),
        ]

    run(scenario)


def test_an_event_is_told_in_the_turn_in_which_it_is_read() -> None:
    """The first turn asks the selector and finds our step already queued; the second reads."""

    async def scenario(kernel: NetlinkKernel) -> None:
        listener = Listener(kernel)
        with NetlinkClient() as other:
            other.add_route(KernelRoute("10.9.0.0/16", "blackhole", protocol=3))
        assert listener.events == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert listener.events == [RouteEvent(KernelRoute("10.9.0.0/16", "blackhole", protocol=3))]

    run(scenario)


def test_links_and_addresses_are_told_too() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        listener = Listener(kernel)
        stand_in_tunnel("leg0")
        ip_command("addr add 10.7.0.1/24 dev leg0")
        ip_command("addr del 10.7.0.1/24 dev leg0")
        ip_command("link del leg0")
        await listener.until(lambda event: isinstance(event, LinkEvent) and event.deleted and event.link.name == "leg0")
        told = [event.deleted for event in listener.events if isinstance(event, AddressEvent) and "10.7" in str(event)]
        assert told == [False, True]
        assert "leg0" not in [link.name for link in await kernel.links()]
        assert "127.0.0.1/8" in [address.address for address in await kernel.addresses()]

    run(scenario)


def test_events_can_be_iterated() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        events = kernel.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        ip_command("route add blackhole 10.9.0.0/16")
        assert await first == RouteEvent(KernelRoute("10.9.0.0/16", "blackhole", protocol=3))
        await events.aclose()  # type: ignore[attr-defined]
        assert kernel._subscribers == []

    run(scenario)


def test_an_overflow_becomes_a_resync_and_events_go_on() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel) -> None:
        listener = Listener(kernel)
        with NetlinkClient() as other:
            for number in range(5000):
                other.add_route(KernelRoute(f"10.{number >> 8}.{number & 255}.0/24", "blackhole", protocol=3))
        await listener.until(lambda event: isinstance(event, Resync))
        assert sum(isinstance(event, RouteEvent) for event in listener.events) < 5000
        ip_command("route add blackhole 11.0.0.0/8")
        await listener.until(lambda event: isinstance(event, RouteEvent) and event.route.destination == "11.0.0.0/8")
        assert len(await kernel.routes(protocol=3)) == 5001

    run(scenario, event_buffer=4096)


def test_with_the_usual_buffer_the_same_storm_loses_nothing() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        listener = Listener(kernel)
        with NetlinkClient() as other:
            for number in range(5000):
                other.add_route(KernelRoute(f"10.{number >> 8}.{number & 255}.0/24", "blackhole", protocol=3))
        await all_told(listener)
        assert sum(isinstance(event, RouteEvent) for event in listener.events) == 5000
        assert not any(isinstance(event, Resync) for event in listener.events)

    run(scenario)


def test_the_tunnel_gets_its_mtu_one_address_and_goes_up() -> None:
    with NetlinkClient() as client:
        stand_in_tunnel()
        link = client.link("tunl0")
        assert link is not None
        client.set_link(link.ifindex, up=False)

    async def scenario(kernel: NetlinkKernel) -> None:
        await kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0")
        shown = ip_command("addr show tunl0")
        assert "mtu 1440" in shown
        assert "inet 192.168.5.0/32 brd 192.168.5.0 scope global tunl0" in shown
        assert "UP" in shown
        ip_command("addr add 192.168.7.7/32 dev tunl0")
        listener = Listener(kernel)
        kernel.apply_now([Operation(ADD, route(1))], list)
        await kernel.ensure_tunnel("tunl0", 1400, "192.168.5.64")
        addresses = [one.address for one in await kernel.addresses() if one.label == "tunl0"]
        assert addresses == ["192.168.5.64/32"]
        assert await kernel.routes(protocol=12) == [route(1)], "changing the address costs no route"
        await all_told(listener)
        listener.events.clear()
        await kernel.ensure_tunnel("tunl0", 1400, "192.168.5.64")
        await asyncio.sleep(0)
        assert listener.events == [], "the second time nothing is left to do"
        await kernel.ensure_tunnel("tunl0", 1400, None)
        assert [one for one in await kernel.addresses() if one.label == "tunl0"] == []

    run(scenario)


def test_without_the_device_and_without_an_address_nothing_is_done() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        await kernel.ensure_tunnel("tunl0", 1440, None)
        assert device_names() == ["lo"]

    run(scenario)


def test_a_kernel_without_ipip_says_so_in_one_line() -> None:
    with NetlinkClient() as client:
        try:
            client.create_link("probe0", "ipip")
            pytest.skip("this kernel has ipip")
        except KernelError as error:
            if error.error_number != errno.EOPNOTSUPP:
                pytest.skip("this kernel has ipip")

    async def scenario(kernel: NetlinkKernel) -> None:
        with pytest.raises(TunnelUnavailableError, match="create tunnel device tunl0: this kernel has no ipip module"):
            await kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0")

    run(scenario)


def test_forwarding_is_switched_on() -> None:
    async def scenario(kernel: NetlinkKernel) -> None:
        await kernel.write_sysctl("net/ipv4/ip_forward", "1")
        assert read_sysctl("net/ipv4/ip_forward") == "1"

    run(scenario)


def test_ipv6_and_several_next_hops_are_read_back_as_written() -> None:
    stand_in_tunnel()
    routes = [
        route(1, (NextHop("10.0.0.12", "tunl0", onlink=True), NextHop("10.0.0.13", "tunl0", onlink=True))),
        KernelRoute("fd00:9::/64", "blackhole", metric=1024),
        KernelRoute("fd00:8::/64", "unicast", (NextHop("fd00::7", "tunl0", onlink=True),), metric=1024),
    ]

    async def scenario(kernel: NetlinkKernel) -> None:
        assert await kernel.apply([Operation(ADD, one) for one in routes]) == {}
        assert sorted(await kernel.routes(protocol=12)) == sorted(routes)
        assert await kernel.apply([Operation(REPLACE, one) for one in routes]) == {}
        assert sorted(await kernel.routes(protocol=12)) == sorted(routes)
        assert await kernel.apply([Operation(DELETE, one) for one in routes]) == {}
        assert await kernel.routes(protocol=12) == []

    run(scenario)


def skip_without_ipip() -> None:
    with NetlinkClient() as client:
        link = client.link("tunl0")
        if link is None or link.kind != "ipip":
            pytest.skip("this kernel has no ipip")


def test_the_real_tunnel_device_is_used() -> None:
    skip_without_ipip()

    async def scenario(kernel: NetlinkKernel) -> None:
        await kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0")
        assert await kernel.apply([Operation(ADD, route(1))]) == {}
        assert ip_command("route show proto bird") == "192.168.0.1 via 10.0.0.12 dev tunl0 onlink \n"
        assert "link/ipip 0.0.0.0 brd 0.0.0.0" in ip_command("addr show tunl0")

    run(scenario)


def test_a_device_that_does_the_same_under_another_name_is_in_the_way() -> None:
    skip_without_ipip()

    async def scenario(kernel: NetlinkKernel) -> None:
        ip_command("link set tunl0 name tunl9")
        with pytest.raises(TunnelUnavailableError, match="create tunnel device tunl0: another device takes all"):
            await kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0")

    run(scenario)


def test_the_tunnel_device_is_made_where_new_namespaces_have_none() -> None:
    skip_without_ipip()
    if "User Mode Linux" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("would change a setting of the whole machine")
    setting = ["nsenter", "--net=/proc/1/ns/net", "sysctl", "-q", "-w", "net.core.fb_tunnels_only_for_init_net"]
    subprocess.run([*setting[:-1], f"{setting[-1]}=2"], check=True)
    try:
        with private_namespace():

            async def scenario(kernel: NetlinkKernel) -> None:
                assert "tunl0" not in [link.name for link in await kernel.links()]
                await kernel.ensure_tunnel("tunl0", 1440, "192.168.5.0")
                assert await kernel.apply([Operation(ADD, route(1))]) == {}
                assert "inet 192.168.5.0/32" in ip_command("addr show tunl0")

            run(scenario)
    finally:
        subprocess.run([*setting[:-1], f"{setting[-1]}=0"], check=True)
