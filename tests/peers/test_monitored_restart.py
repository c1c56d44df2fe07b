"""BIRD is killed and comes back: `pybgp-node monitor` shows, on the helper and behind it, that no route went away."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.demo.namespaces import Namespace, join, wait_until
from tests.peers.daemons import Bird, bird_session
from tests.peers.router import Router, router_session

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.peers,
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

RESTARTER_AS, HELPER_AS, BEHIND_AS = 65001, 65002, 65003
RESTARTER, TO_RESTARTER, TO_BEHIND, BEHIND = "10.79.1.1", "10.79.1.2", "10.79.2.2", "10.79.2.3"
BLOCK, OTHER_BLOCK = "192.168.5.0/26", "192.168.6.0/26"
MORE_OF_HELPER = f"""
[[peer]]
address = "{BEHIND}"
remote_as = {BEHIND_AS}
export_policy = "marked"

[policy.marked]
default = "accept"

[[policy.marked.clause]]
set = {{ community_add = "65002:1" }}
"""


@contextmanager
def monitoring(router: Router, view: str) -> Iterator[Path]:
    """Run `pybgp-node monitor` meanwhile; its lines are in the file."""
    path = router.directory / view
    with path.open("wb") as output, router.client_process("monitor", "--view", view, stdout=output) as process:
        try:
            yield path
        finally:
            process.send_signal(signal.SIGINT)


def actions(path: Path, prefix: str) -> list[str]:
    """Return what was told of a prefix, in order."""
    lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [line["action"] for line in lines if prefix in line.get("prefixes", ())]


@contextmanager
def line_of_three() -> Iterator[tuple[Bird, Router, Router]]:
    """Run BIRD, a router of ours beside it, and another one behind that, each in its namespace."""
    places = [Namespace(f"pybgp-{os.getpid()}-{name}") for name in ("restarter", "helper", "behind")]
    with tempfile.TemporaryDirectory() as name:
        homes = [Path(name) / place.name for place in places]
        daemons: list[Bird | Router] = []
        try:
            for place in places:
                place.create()
            join(places[0], "eth0", places[1], "eth0")
            join(places[1], "eth1", places[2], "eth1")
            addresses = ((0, "eth0", RESTARTER), (1, "eth0", TO_RESTARTER), (1, "eth1", TO_BEHIND), (2, "eth1", BEHIND))
            for number, device, address in addresses:
                places[number].ip("address", "add", f"{address}/24", "dev", device)
            text = router_session(homes[1], TO_RESTARTER, RESTARTER, HELPER_AS, RESTARTER_AS, []) + MORE_OF_HELPER
            helper = Router(places[1], homes[1], text)
            behind = Router(places[2], homes[2], router_session(homes[2], BEHIND, TO_BEHIND, BEHIND_AS, HELPER_AS, []))
            restarter = Bird(places[0], homes[0], bird(BLOCK, OTHER_BLOCK))
            daemons += (behind, helper, restarter)
            for daemon in daemons:
                daemon.start()
            yield restarter, helper, behind
        finally:
            for daemon in daemons:
                daemon.stop()
            for place in places:
                place.delete()


def bird(*blocks: str) -> str:
    return bird_session(RESTARTER, TO_RESTARTER, RESTARTER_AS, HELPER_AS, blocks)


def reload(router: Router, community: str) -> None:
    """Let it mark what it exports by another community."""
    router.configure(re.sub("65002:[0-9]+", community, router.configuration_path.read_text()))
    router.client("reload")


def test_restart_refresh_and_reload_withdraw_nothing() -> None:
    """A withdrawal at the end shows that the monitors would have told of one, and that they have told of all before."""
    Bird.require()
    with line_of_three() as (restarter, helper, behind), ExitStack() as stack:
        helper.wait_established(RESTARTER, BEHIND)
        behind.wait_routes(TO_BEHIND, [BLOCK, OTHER_BLOCK])
        told, heard = (stack.enter_context(monitoring(*one)) for one in ((helper, "out"), (behind, "pre")))

        numbers = count(2)

        def are_listening() -> bool:
            reload(helper, f"65002:{next(numbers)}")
            return bool(actions(told, BLOCK) and actions(heard, BLOCK))

        wait_until(are_listening, 15, "both monitors", 0.2)

        restarter.stop(signal.SIGKILL)
        wait_until(lambda: RESTARTER not in helper.established(), 15, "the end of the session", 0.05)
        restarter.start("-R")
        helper.wait_established(RESTARTER)
        helper.client("refresh", RESTARTER)

        restarter.reconfigure(bird(BLOCK))
        for lines in (told, heard):
            wait_until(lambda lines=lines: "withdraw" in actions(lines, OTHER_BLOCK), 10, "the withdrawal")
            assert "withdraw" not in actions(lines, BLOCK)
            assert actions(lines, OTHER_BLOCK).count("withdraw") == 1
