"""A configuration read again: what is taken over, what waits, and two running routers that feel only differences."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import structlog.testing

from calico_routing.configuration import ConfigurationError, load_configuration, parse_configuration
from calico_routing.configuration.options import PEER_OPTIONS
from calico_routing.kernel.interface import KernelRoute, NextHop
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.node_daemon import NodeDaemon
from calico_routing.node_plan import plan_router
from calico_routing.reload import needs_restart, reloaded
from pybgp.errors import LocalError
from pybgp.session.config import PeerConfig
from pybgp.wire.communities import parse_community
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.nlri import parse_prefix

from .test_node_daemon import LIMIT_SECONDS, ROUTER, free_port, in_own_network

NETWORKS = [f"203.0.{number}.0/24" for number in range(4)]
AGGREGATE = "203.0.0.0/22"
POLICY = """
[policy.in]
default = "accept"
[[policy.in.clause]]
match.prefix = {refused}
then = "reject"
[[policy.in.clause]]
match.prefix = "203.0.3.0/24"
set.community_add = "65000:{mark}"
"""


def test_what_is_taken_over() -> None:
    running = parse_configuration("[bgp]\nhold_time = 90\n[node]\nname = 'a'", "node.toml", {})
    fresh = parse_configuration(
        "[bgp]\nhold_time = 60\nnetworks = ['10.0.0.0/8']\nimport_policy = 'p'\n[policy.p]\n"
        "[node]\nname = 'b'\n[[pool]]\ncidr = '10.0.0.0/16'",
        "node.toml",
        {},
    )
    merged = reloaded(running, fresh)
    assert (merged.bgp.hold_time, merged.node.name) == (90, "a")
    assert (merged.bgp.networks, merged.bgp.import_policy, list(merged.policies)) == (("10.0.0.0/8",), "p", ["p"])
    assert list(needs_restart(running, fresh)) == ["node.name", "pools", "bgp.hold_time"]
    assert not list(needs_restart(running, running))


class Pair:
    """Two plain routers; the first announces, the second has the policy, and a file that can be rewritten.

    ``kernel`` is that of the second.
    """

    def __init__(self, directory: Path, addition: str = "") -> None:
        self.directory = directory
        self.port = free_port()
        first = self._daemon("10.99.0.1", "10.99.0.2", NETWORKS)
        self.daemons = [first, self._daemon("10.99.0.2", "10.99.0.1", [], addition)]

    def _daemon(self, own: str, peer: str, networks: list[str], addition: str = "") -> NodeDaemon:
        path = self.directory / f"{own}.toml"
        self.text = ROUTER.format(
            local_as=64600 + int(own[-1]),
            remote_as=64600 + int(peer[-1]),
            address=own,
            peer=peer,
            port=self.port,
            networks=networks,
            socket=self.directory / f"{own}.sock",
        )
        self.text += addition
        path.write_text(self.text)
        self.kernel = kernel = MemoryKernel()
        kernel.add_link("lan", address=f"{own}/24")
        kernel.foreign_add(KernelRoute("10.99.0.0/24", next_hops=(NextHop(None, "lan"),), protocol=2, scope=253))
        return NodeDaemon(
            load_configuration(str(path), {}), kernel=kernel, load=lambda: load_configuration(str(path), {})
        )

    async def rewrite(self, addition: str) -> None:
        """Change the second router's file and tell it."""
        (self.directory / "10.99.0.2.toml").write_text(self.text + addition)
        with suppress(ConfigurationError):
            await self.daemons[1].reload()

    def routes(self) -> set[str]:
        return set(self.kernel.table()) - {"10.99.0.0/24"}

    def communities(self, prefix: str) -> tuple[int, ...]:
        speaker = self.daemons[1]._speaker
        assert speaker is not None
        return speaker.best(IPV4_UNICAST)[parse_prefix(prefix)[1]].attributes.communities

    def sessions(self) -> list[int]:
        return [peer["established_count"] for daemon in self.daemons for peer in daemon.status()["peers"]]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():  # noqa: ASYNC110  (conditions are of many kinds)
                await asyncio.sleep(0.005)


@asynccontextmanager
async def pair(directory: Path, addition: str = "") -> AsyncIterator[Pair]:
    found = Pair(directory, addition)
    try:
        for daemon in found.daemons:
            await daemon.start()
        await found.until(lambda: found.routes() == set(NETWORKS))
        yield found
    finally:
        for daemon in found.daemons:
            await daemon.close()


def with_pair(directory: Path, scenario: Callable[[Pair], Awaitable[None]], addition: str = "") -> None:
    async def main() -> None:
        async with pair(directory, addition) as routers:
            await scenario(routers)

    in_own_network(main)


def test_a_reload_changes_what_differs_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        changes: list[str] = []
        speaker = routers.daemons[1]._speaker
        assert speaker is not None
        speaker.on_change(lambda found: changes.extend(prefix for change in found for prefix in change.prefixes))
        use = "import_policy = 'in'\n"
        await routers.rewrite(use + POLICY.format(refused=NETWORKS[:1], mark=1))
        assert routers.routes() == set(NETWORKS[1:])
        assert sorted(changes) == [NETWORKS[0], NETWORKS[3]]
        assert routers.communities(NETWORKS[3]) == (parse_community("65000:1"),)
        changes.clear()
        await routers.rewrite(use + POLICY.format(refused=NETWORKS[:1], mark=1))
        assert not changes
        await routers.rewrite(use + POLICY.format(refused=NETWORKS[1:2], mark=2))
        assert routers.routes() == {NETWORKS[0], *NETWORKS[2:]}
        assert sorted(changes) == [NETWORKS[0], NETWORKS[1], NETWORKS[3]]
        await routers.rewrite("")
        assert routers.routes() == set(NETWORKS)
        assert not routers.communities(NETWORKS[3])
        assert routers.sessions() == [1, 1]

    with_pair(tmp_path, scenario)


def test_a_bad_reload_leaves_everything_as_it_is(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        use = "import_policy = 'in'\n"
        await routers.rewrite(use + POLICY.format(refused=NETWORKS[:1], mark=1))
        with suppress(LocalError), structlog.testing.capture_logs() as logs:
            (tmp_path / "10.99.0.2.toml").write_text("")  # a router that lost its peers is none
            await routers.daemons[1].reload()
        assert [line["event"] for line in logs] == ["reload_refused"]
        with pytest.raises(ConfigurationError, match="/dev/null: cannot be read: it is no regular file"):
            await routers.daemons[1].preview("/dev/null")
        for bad in ("import_policy = 'on'\n" + POLICY, "this is no TOML", use + POLICY.replace("reject", "drop")):
            with structlog.testing.capture_logs() as logs:
                await routers.rewrite(bad.format(refused=[], mark=2))
            (refused,) = [line for line in logs if line["event"] == "reload_refused"]
            assert str(tmp_path / "10.99.0.2.toml:") in refused["problems"][0]
            assert routers.routes() == set(NETWORKS[1:])
            assert routers.communities(NETWORKS[3]) == (parse_community("65000:1"),)
        assert routers.sessions() == [1, 1]

    with_pair(tmp_path, scenario)


def test_an_export_policy_is_reloaded_too(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        path = tmp_path / "10.99.0.1.toml"
        text = path.read_text().replace("[bgp]", "[bgp]\nexport_policy = 'in'")
        path.write_text(text + POLICY.format(refused=NETWORKS[:2], mark=7))
        await routers.daemons[0].reload()
        await routers.until(lambda: routers.routes() == set(NETWORKS[2:]))
        await routers.until(lambda: routers.communities(NETWORKS[3]) == (parse_community("65000:7"),))
        assert routers.sessions() == [1, 1]

    with_pair(tmp_path, scenario)


def test_what_a_peer_is_sent_changes_within_its_session(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        path, heard, default = tmp_path / "10.99.0.1.toml", routers.daemons[1].speaker, parse_prefix("0.0.0.0/0")[1]
        assert heard is not None
        text = path.read_text()
        path.write_text(text.replace("[[peer]]", "[[peer]]\ndefault_originate = true\ndescription = 'the other'"))
        lines = [json.loads(line) for line in await routers.daemons[0].preview("") if line]
        assert lines[0]["peers_changed"] == ["10.99.0.2"]
        assert lines[0]["peers_restarted"] == []
        await routers.daemons[0].reload()
        await routers.until(lambda: default in heard.best(IPV4_UNICAST))
        aggregate = f"[[aggregate]]\nprefix = '{AGGREGATE}'\nsummary_only = true\n"
        path.write_text(text.replace("[[peer]]", f"{aggregate}[[peer]]"))
        assert (await routers.daemons[0].reload())["needs_restart"] == []
        await routers.until(lambda: routers.routes() == {AGGREGATE})
        assert routers.sessions() == [1, 1]

    with_pair(tmp_path, scenario)


def test_what_only_a_new_start_changes_is_told(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        path = tmp_path / "10.99.0.2.toml"
        routers.text = path.read_text().replace("[bgp]", "[bgp]\nhold_time = 30")
        with structlog.testing.capture_logs() as logs:
            await routers.rewrite("")
        assert [line["needs_restart"] for line in logs if line["event"] == "reload_incomplete"] == [["bgp.hold_time"]]
        assert routers.sessions() == [1, 1]

    with_pair(tmp_path, scenario)


def test_which_routes_are_taken_changes_within_the_session_too(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        await routers.rewrite("prefix_limit = 2\nprefix_limit_discard = true\nallow_own_as = 1\naigp = true\n")
        networks = [f"198.51.{number}.0/24" for number in range(2)]
        speaker = routers.daemons[0].speaker
        assert speaker is not None
        speaker.announce(networks, as_path=[64602])
        await routers.until(lambda: speaker.is_settled)
        assert routers.routes() == set(NETWORKS), "what is there stays, and no more is taken"
        await routers.rewrite("allow_own_as = 1\nenforce_first_as = false\n")
        await routers.until(lambda: routers.routes() == {*NETWORKS, *networks})
        await routers.rewrite("")
        await routers.until(lambda: routers.routes() == set(NETWORKS))
        assert routers.sessions() == [1, 1]

    with_pair(tmp_path, scenario)


#: Of each key of a peer a value that is not the default, and what it needs beside it.
OTHER_VALUES = {
    "local_address": "'192.0.2.9'", "port": "1790", "passive": "true", "remote_as": "64600", "local_as": "64777",
    "hold_time": "30", "password": "'word'", "ttl_security_hops": "1", "families": "['ipv6-unicast']",
    "description": "'words'", "import_policy": "'p'", "export_policy": "'p'", "keepalive_time": "9",
    "allow_own_as": "1", "local_as_mode": "'prepend'", "as_override": "true", "private_as": "'remove'",
    "next_hop": "'self'", "reflector_client": "true\nremote_as = 64600", "route_server_client": "true",
    "per_client_best": "true\nroute_server_client = true", "default_originate": "true",
    "conditions": "[{ advertise = ['10.0.0.0/8'], when = 'absent', of = ['192.0.2.0/24'] }]",
    "enforce_first_as": "false", "long_lived_stale_time": "9", "send_stale": "true", "aigp": "true",
    "prefix_limit": "9", "prefix_limit_discard": "true\nprefix_limit = 9",
    "prefix_limit_restart_time": "9\nprefix_limit = 9", "send_limit": "9", "third_party_next_hop": "true",
    "validate_flow_rules": "true", "add_path_receive": "true", "add_path_send": "'all'", "role": "'peer'",
    "strict_role": "true",
}  # fmt: skip
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_page_says_of_every_key_of_a_peer_what_a_reload_does() -> None:
    table = OPERATIONS.read_text("utf-8").partition("| keys of a peer |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    told = {key: what for keys, what in rows for key in re.findall("[a-z_0-9]+", keys)}
    assert told.keys() == OTHER_VALUES.keys() | {"address"} == {option.key for option in PEER_OPTIONS} - {"name"}

    def peer(lines: str) -> PeerConfig:
        beside = "" if "remote_as" in lines else "remote_as = 64601\n"
        text = f"[node]\nas_number = 64600\n[policy.p]\n[[peer]]\naddress = '192.0.2.1'\n{beside}{lines}"
        (found,) = plan_router(parse_configuration(text, "node.toml", {}), "192.0.2.9/24").peers.values()
        return found

    for key, value in OTHER_VALUES.items():
        lines = f"{key} = {value}"
        _, _, beside = lines.partition("\n")
        assert peer(beside).keeps_session(peer(lines)) is ("new one" not in told[key]), key
