"""Daemons of others take several paths to a prefix from us (RFC 7911), and hear of each that goes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.demo.namespaces import Namespace, wait_until
from tests.namespaces.cable import cable
from tests.peers.daemons import Bird, Daemon, Frr, bird_session, frr_session

ROOT = Path(__file__).parents[2]
OURS, THEIRS = "10.77.0.1", "10.77.0.2"
PREFIX = "192.0.2.0/24"
PATIENCE = 30.0

pytestmark = [
    pytest.mark.peers,
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

#: A speaker with three paths to a prefix; each line that it reads takes the path of that number back.
SPEAKER = f"""
import asyncio, sys
from pybgp import ACCEPT_ALL, IPV4_UNICAST, RouteOptions, Speaker, SpeakerConfig
from pybgp.wire.iana import AddPathMode

async def main():
    speaker = Speaker(SpeakerConfig(64512, "{OURS}", listen=(("{OURS}", 179),), import_policy=ACCEPT_ALL,
                                    export_policy=ACCEPT_ALL))
    for number in (1, 2, 3):
        speaker.announce("{PREFIX}", label=str(number), as_path=[65000 + number], preference=200 + number)
    routes = RouteOptions(add_path_send="all")
    speaker.configure({{"them": speaker.peer("{THEIRS}", 64513, local_address="{OURS}", routes=routes,
                                             add_path=((IPV4_UNICAST, AddPathMode.SEND),), connect_retry_time=0.5)}})
    async with speaker:
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            speaker.withdraw("{PREFIX}", label=line.strip())
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def places() -> Iterator[tuple[Namespace, Namespace, Path]]:
    with tempfile.TemporaryDirectory() as name, cable("paths", [f"{OURS}/24"], [f"{THEIRS}/24"]) as both:
        Path(name).chmod(0o755)
        yield *both, Path(name)


def bird_paths(them: Any) -> set[str]:
    return set(re.findall(r"BGP\.as_path: (.*)", them.client("show", "route", "all", "for", PREFIX)))


def frr_paths(them: Any) -> set[str]:
    table = (them.client("show bgp ipv4 unicast") or {}).get("routes") or {}
    return {path["path"] for path in table.get(PREFIX, [])}


@pytest.mark.parametrize("kind", ["bird", "frr"])
def test_all_paths_arrive_and_one_goes(places: tuple[Namespace, Namespace, Path], kind: str) -> None:
    ours, theirs, directory = places
    them: Daemon
    if kind == "bird":
        Bird.require()
        text = bird_session(THEIRS, OURS, 64513, 64512, []).replace("ipv4 { import", "ipv4 { add paths rx; import")
        them, paths = Bird(theirs, directory / "bird", text), bird_paths
    else:
        Frr.require()
        them, paths = Frr(theirs, directory / "frr", frr_session(THEIRS, OURS, 64513, 64512, [])), frr_paths
    reading, writing = os.pipe()
    command = ["nsenter", f"--net={ours.path}", "--", sys.executable, "-c", SPEAKER]
    with (directory / "output").open("w") as output:
        us = subprocess.Popen(command, stdin=reading, stdout=output, stderr=output, cwd=ROOT)
    os.close(reading)
    try:
        them.start()
        everything = {f"64512 6500{number}" for number in (1, 2, 3)}
        wait_until(lambda: paths(them) == everything, PATIENCE, f"three paths at {kind}")
        os.write(writing, b"2\n")
        wait_until(lambda: paths(them) == everything - {"64512 65002"}, PATIENCE, f"two paths at {kind}")
    finally:
        os.close(writing)
        us.kill()
        us.wait()
        them.stop()
