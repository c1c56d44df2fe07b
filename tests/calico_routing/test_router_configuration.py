"""`pybgp-node` as a plain router, all from TOML: groups, dynamic neighbours, RPKI caches and monitoring stations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from calico_routing.configuration import Configuration, ConfigurationError, load_configuration, parse_configuration
from calico_routing.kernel.interface import KernelRoute, NextHop
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.node_daemon import NodeDaemon
from calico_routing.node_plan import plan_router
from pybgp.rpki.pdu import Vrp
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import parse_prefix
from tests.pybgp.transport.rtr_cache import RtrCache

from .test_node_daemon import LIMIT_SECONDS, ROUTER, free_port, in_own_network

NETWORKS = ["198.51.100.0/24", "203.0.113.0/24"]
HOST = """
[node]
as_number = 64601
router_id = "10.99.0.1"
[bgp]
listen_port = {port}
listen_addresses = ["10.99.0.1"]
[control]
socket = "{socket}"
[group.customers]
remote_as = 64602
hold_time = 30
import_policy = "origins"
[[dynamic]]
name = "rack"
prefix = "10.99.0.0/24"
group = "customers"
limit = 5
[[rpki]]
host = "127.0.0.1"
port = {rpki}
[[rpki]]
host = "127.0.0.1"
port = {silent}
[[bmp]]
host = "127.0.0.1"
port = {bmp}
[policy.origins]
default = "accept"
[[policy.origins.clause]]
match.validation = "invalid"
then = "reject"
"""


def problem(text: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse_configuration(text, "node.toml", {})
    return "\n".join(map(str, error.value.problems))


def router(text: str) -> Configuration:
    return parse_configuration("[node]\nas_number = 64600\n" + text, "node.toml", {})


def test_a_peer_has_what_its_group_says_unless_it_says_otherwise() -> None:
    group = "[group.g]\nremote_as = 64601\nhold_time = 30\nreflector_client = false\n"
    peers = (
        "[[peer]]\naddress = '192.0.2.1'\ngroup = 'g'\n[[peer]]\naddress = '192.0.2.2'\ngroup = 'g'\nhold_time = 60\n"
    )
    one, two = router(group + peers).peers
    assert (one.remote_as, one.hold_time) == (64601, 30)
    assert (two.remote_as, two.hold_time) == (64601, 60)


def test_a_link_is_made_of_its_table_and_group() -> None:
    text = (
        "[group.g]\nhold_time = 30\n[[link]]\nname = 'spine'\ninterface = 'eth1'\nremote_as = 64601\ngroup = 'g'\n"
        "[node]\nas_number = 64600\n"
    )
    configuration = parse_configuration(text, "node.toml", {})
    assert configuration.datastore_url is None
    plan = plan_router(configuration, "192.0.2.1/24")
    found = plan.links["spine"]
    assert (found.interface, found.discover) == ("eth1", True)
    template = found.template
    assert (template.remote_as, template.local_as, template.hold_time) == (64601, 64600, 30)
    assert set(template.families) == {IPV4_UNICAST, IPV6_UNICAST}
    assert template.extended_next_hop == (IPV4_UNICAST,)
    assert "::" in {address for address, _ in plan.speaker.listen}
    assert "interface missing" in problem("[[link]]\nname = 'x'\nremote_as = 1")


def test_a_dynamic_neighbour_is_made_of_its_table_and_group() -> None:
    text = (
        "[group.g]\nport = 1790\nhold_time = 30\n[[dynamic]]\nname = 'r'\nprefix = '2001:db8::/64'\nremote_as = 64601\n"
    )
    plan = plan_router(router(text + "group = 'g'\nlimit = 7\nimport_policy = 'p'\n[policy.p]\n"), "192.0.2.9/24")
    found = plan.dynamic["r"]
    assert (found.prefix, found.limit, found.template.remote_as) == ("2001:db8::/64", 7, 64601)
    assert (found.template.hold_time, found.template.port) == (30, 179)
    assert [str(family) for family in found.template.families] == ["ipv6-unicast"]
    assert plan.policies.peers["r"].import_policy is not None
    assert ("::", 179) in plan.speaker.listen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[group.cust]\n[[peer]]\naddress = '192.0.2.1'\nremote_as = 1\ngroup = 'cost'",
            "node.toml:5: peer.group: expected the name of a [group.NAME] table, not 'cost'; did you mean 'cust'?",
        ),
        ("[group.g]\naddress = '192.0.2.1'", "node.toml:2: group.g.address: no such key"),
        ("[group]\ng = 5", "node.toml:1: group: expected [group.NAME] tables"),
        (
            "[[dynamic]]\nname = 'r'\nremote_as = 1",
            "node.toml:1: dynamic: prefix missing; a dynamic table needs name and prefix and remote_as",
        ),
        (
            "[[dynamic]]\nname = 'r'\nprefix = '10.0.0.1/8'\nremote_as = 1",
            "node.toml:3: dynamic.prefix: expected a prefix such as 10.0.0.0/8 without host bits, not '10.0.0.1/8'",
        ),
        (
            "[[dynamic]]\npassive = true\nname = 'r'\nprefix = '10.0.0.0/8'\nremote_as = 1",
            "dynamic.passive: no such key",
        ),
        (
            "[datastore]\nurl = 'none'\n[[dynamic]]\nname = 'r'\nprefix = '10.0.0.0/8'\nremote_as = 1",
            "node.toml:3: dynamic.local_as: expected here, or node.as_number (AS), because there is no datastore",
        ),
        (
            "[kernel]\nimport_policy = 'p'\n[[policy.p.clause]]\nset.tag = 'k'\nthen = 'next'\n"
            "[[policy.p.clause]]\nthen = 'accept'\nset.med = 5",
            "node.toml:8: policy.p.clause.set.med: "
            "routes of the kernel take no set but tag, and kernel.import_policy names this policy",
        ),
        (
            "[kernel]\nexport_policy = 'p'\n[[policy.p.clause]]\nset.tag = 'k'\nset.kernel_metric = 5\n"
            "[[policy.p.clause]]\nset.kernel_source = '192.0.2.1'\nset.community_add = '65000:1'",
            "node.toml:8: policy.p.clause.set.community_add: routes to the kernel take no set but kernel_metric, "
            "kernel_source and tag, and kernel.export_policy names this policy",
        ),
        (
            "[[link]]\nname = 'l'\ninterface = 'e'\nremote_as = 1\nlocal_as = 2\nexport_policy = 'p'\n"
            "[[policy.p.clause]]\nset.kernel_metric = 5",
            "node.toml:8: policy.p.clause.set.kernel_metric: "
            "only routes to the kernel take this, and link.export_policy names this policy",
        ),
        (
            "[[peer]]\naddress = '10.0.0.1'\nremote_as = 1\nlocal_as = 2\nexport_policy = 'p'\nimport_policy = 'p'\n"
            "[[policy.p.clause]]\nset.next_hop = 'self'",
            'node.toml:8: policy.p.clause.set.next_hop: expected "peer" or an address, because routes that come in '
            "have no use for 'self', and peer.import_policy names this policy",
        ),
        ("[[rpki]]\nport = 323", "node.toml:1: rpki: host missing; a rpki table needs host"),
        ("[[rpki]]\nhost = 'a'\nversion = 3", "node.toml:3: rpki.version: expected a whole number from 0 to 2, not 3"),
        ("[[bmp]]\nhost = 'a'", "node.toml:1: bmp: port missing; a bmp table needs host and port"),
        (
            "[[dynamic]]\nname = 'r'\nprefix = '10.0.0.0/8'\nremote_as = 1\nexport_policy = 'out'\n[policy.oout]\n",
            "node.toml:5: dynamic.export_policy: expected the name of a [policy.NAME] table, not 'out'; "
            "did you mean 'oout'?",
        ),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    assert expected in problem(text)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():  # noqa: ASYNC110  (conditions are of many kinds)
            await asyncio.sleep(0.005)


def daemon(path: Path, text: str, own: str) -> tuple[NodeDaemon, MemoryKernel]:
    path.write_text(text)
    kernel = MemoryKernel()
    kernel.add_link("lan", address=f"{own}/24")
    kernel.foreign_add(KernelRoute("10.99.0.0/24", next_hops=(NextHop(None, "lan"),), protocol=2, scope=253))
    load = lambda: load_configuration(str(path), {})  # noqa: E731
    return NodeDaemon(load(), kernel=kernel, load=load), kernel


def test_a_router_of_toml_alone(tmp_path: Path) -> None:
    async def main() -> None:
        port, silent, cache, told = free_port(), free_port(), RtrCache(), bytearray()
        hijacked = Vrp(*parse_prefix(NETWORKS[0]), 24, 64999)
        cache.set([hijacked])

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while octets := await reader.read(4096):
                told.extend(octets)
            writer.close()

        station = await asyncio.start_server(listen, "127.0.0.1", 0)
        async with cache.serving(), station:
            bmp = station.sockets[0].getsockname()[1]
            text = HOST.format(port=port, rpki=cache.port, silent=silent, bmp=bmp, socket=tmp_path / "host.sock")
            host, kernel = daemon(tmp_path / "host.toml", text, "10.99.0.1")
            text = ROUTER.format(
                local_as=64602,
                remote_as=64601,
                address="10.99.0.2",
                peer="10.99.0.1",
                port=port,
                networks=NETWORKS,
                socket=tmp_path / "guest.sock",
            )
            guest, _ = daemon(tmp_path / "guest.toml", text, "10.99.0.2")

            def routes() -> set[str]:
                return set(kernel.table()) - {"10.99.0.0/24"}

            try:
                await host.start()
                await until(lambda: host.status()["rpki"][0]["synchronized"])
                await guest.start()
                await until(lambda: routes() == {NETWORKS[1]})
                (peer,) = host.status()["peers"]
                assert (peer["name"], peer["hold_time"], peer["remote_as"]) == ("rack/10.99.0.2", 30, 64602)
                assert host.status()["rpki"] == [
                    {"host": "127.0.0.1", "port": cache.port, "synchronized": True, "serial": 1, "payloads": 1},
                    {"host": "127.0.0.1", "port": silent, "synchronized": False, "serial": None, "payloads": 0},
                ]
                cache.set([])
                await until(lambda: routes() == set(NETWORKS))
                cache.set([hijacked])
                await until(lambda: routes() == {NETWORKS[1]})

                path = tmp_path / "host.toml"
                path.write_text(path.read_text().replace('"invalid"', '"valid"'))
                await host.reload()
                await until(lambda: routes() == set(NETWORKS))
                assert [one["established_count"] for one in host.status()["peers"]] == [1]
                await until(lambda: bytes([198, 51, 100]) in told)
                assert b"pybgp-node" in told
            finally:
                await guest.close()
                await host.close()

    in_own_network(main)


KERNEL = """
[kernel]
table = 100
protocol = 186
export_policy = "documentation"
learn_table = 200
learn_protocols = [4]
import_policy = "statics"
[policy.documentation]
[[policy.documentation.clause]]
match.prefix = "198.51.0.0/16 le 24"
then = "accept"
[policy.statics]
[[policy.statics.clause]]
match.prefix = "10.0.0.0/8 le 24"
then = "accept"
"""


def test_kernel_tables_and_policies(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()

        def text(own: int, networks: list[str], more: str = "") -> str:
            return (
                ROUTER.format(
                    local_as=64600 + own,
                    remote_as=64603 - own,
                    address=f"10.99.0.{own}",
                    peer=f"10.99.0.{3 - own}",
                    port=port,
                    networks=networks,
                    socket=tmp_path / f"{own}.sock",
                )
                + more
            )

        one, kernel = daemon(tmp_path / "1.toml", text(1, [], KERNEL), "10.99.0.1")
        two, other = daemon(tmp_path / "2.toml", text(2, NETWORKS), "10.99.0.2")
        way = (NextHop("10.99.0.2", "lan"),)
        stranger = KernelRoute("203.0.113.0/25", next_hops=way, table=100, protocol=12)
        leftover = KernelRoute("192.0.2.0/24", next_hops=way, table=100, protocol=186)
        kernel.foreign_add(stranger)
        kernel.foreign_add(leftover)
        for prefix, protocol, table in (
            ("10.1.0.0/24", 4, 200),
            ("10.2.0.0/24", 16, 200),
            ("172.16.0.0/24", 4, 200),
            ("10.3.0.0/24", 4, 254),
        ):
            kernel.foreign_add(KernelRoute(prefix, next_hops=way, protocol=protocol, table=table))
        try:
            await one.start()
            await two.start()
            wanted = KernelRoute(NETWORKS[0], next_hops=way, table=100, protocol=186)
            expected = {NETWORKS[0]: wanted, stranger.destination: stranger}
            await until(lambda: kernel.table(100) == expected)
            assert NETWORKS[0] not in kernel.table()
            await until(lambda: "10.1.0.0/24" in other.table())
            assert not other.table().keys() & {"10.2.0.0/24", "10.3.0.0/24", "172.16.0.0/24"}
            kernel.foreign_add(KernelRoute("10.4.0.0/24", next_hops=way, protocol=4, table=200))
            await until(lambda: "10.4.0.0/24" in other.table())

            path = tmp_path / "1.toml"
            path.write_text(path.read_text().replace("198.51.0.0/16 le 24", "203.0.0.0/16 le 24"))
            result = await one.reload()
            assert result["needs_restart"] == []
            await until(lambda: kernel.table(100).keys() == {NETWORKS[1], stranger.destination})
            explained = one.explain(NETWORKS[1])
            assert explained["kernel"]["installed"] == f"{NETWORKS[1]} via 10.99.0.2 dev lan proto 186"
        finally:
            await two.close()
            await one.close()

    in_own_network(main)
