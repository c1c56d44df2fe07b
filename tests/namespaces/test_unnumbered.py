"""A session over a link that has no addresses but link-local ones: with ourselves, and with FRR."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.demo import namespaces
from examples.demo.namespaces import Namespace, join
from tests.peers.router import Router

ROOT = Path(__file__).parents[2]
FRR = Path("/usr/lib/frr")
PATIENCE = 40.0

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

#: A speaker that announces a prefix over eth0, and prints what it has, once per change.
SPEAKER = """
import asyncio, sys
from pybgp import ACCEPT_ALL, IPV4_UNICAST, IPV6_UNICAST, LinkPeer, Speaker, SpeakerConfig

async def main(number, remote_as):
    families = (IPV4_UNICAST, IPV6_UNICAST)
    speaker = Speaker(SpeakerConfig(
        64500 + number, f"10.0.0.{number}", listen=(("::", 179),), import_policy=ACCEPT_ALL, export_policy=ACCEPT_ALL,
    ))
    speaker.announce([f"192.0.2.{number}/32", f"2001:db8::{number}/128"])
    template = speaker.peer("fe80::1", remote_as, families=families, extended_next_hop=(IPV4_UNICAST,),
                            connect_retry_time=0.5)
    speaker.configure_links({"link": LinkPeer("eth0", template)})
    speaker.configure({})
    speaker.on_peer(lambda name, status: print(name, status.state, status.last_error, flush=True))
    speaker.on_change(lambda changes: print(*changes, sep="\\n", flush=True))
    async with speaker:
        await asyncio.Event().wait()

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


def wait_until(is_so: Callable[[], object], said: Callable[[], str]) -> None:
    try:
        namespaces.wait_until(is_so, PATIENCE, "the other side")
    except Exception as error:
        raise AssertionError(said()) from error


@pytest.fixture
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    left, right = (Namespace(f"pybgp-link-{os.getpid()}-{side}") for side in ("left", "right"))
    try:
        for namespace in (left, right):
            namespace.create()
        join(left, "eth0", right, "eth0")
        yield left, right
    finally:
        left.delete()
        right.delete()


class Program:
    """A speaker in a namespace, and what it printed."""

    def __init__(self, place: Namespace, log: Path, number: int, remote_as: int) -> None:
        self.log = log
        with log.open("w") as output:
            self.process = place.spawn(
                sys.executable, "-c", SPEAKER, str(number), str(remote_as), stdout=output, stderr=output, cwd=ROOT
            )

    def said(self) -> str:
        return self.log.read_text()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def link_local(place: Namespace) -> str:
    found = [
        address["local"]
        for link in place.ip_json("address", "show", "dev", "eth0")
        for address in link["addr_info"]
        if address["scope"] == "link" and not address.get("tentative")
    ]
    return str(found[0]) if found else ""


def test_two_speakers_find_each_other(ends: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    left, right = ends
    one = Program(left, tmp_path / "one", 1, 64502)
    two = Program(right, tmp_path / "two", 2, 64501)

    def both() -> str:
        return one.said() + two.said()

    try:
        wait_until(
            lambda: "192.0.2.2/32 via" in one.said() and "192.0.2.1/32 via" in two.said(),
            lambda: one.said() + two.said(),
        )
        wait_until(
            lambda: "2001:db8::2/128 via" in one.said() and "2001:db8::1/128 via" in two.said(),
            lambda: one.said() + two.said(),
        )
        assert f"192.0.2.2/32 via {link_local(right)} as-path 64502" in one.said()
        assert "link Established" in two.said()
        # Another router takes the place of the first: it has another address.
        two.stop()
        right.ip("link", "set", "eth0", "down")
        right.ip("link", "set", "eth0", "address", "02:00:00:00:77:77", "up")
        one.log.write_text("")
        two = Program(right, tmp_path / "two again", 2, 64501)
        wait_until(lambda: "192.0.2.1/32 via" in two.said(), both)
        wait_until(lambda: f"192.0.2.2/32 via {link_local(right)}" in one.said(), one.said)
    finally:
        one.stop()
        two.stop()


NODE = """
[node]
as_number = 64501
router_id = "10.0.0.1"
[bgp]
networks = ["192.0.2.1/32"]
[control]
socket = "{socket}"
[[link]]
name = "spine"
interface = "eth0"
remote_as = 64502
import_policy = "all"
export_policy = "all"
[policy.all]
default = "accept"
"""


def test_the_daemon_finds_who_its_configuration_does_not_name(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    left, right = ends
    node = Router(left, tmp_path / "node", NODE.format(socket=tmp_path / "node" / "control"))
    two = Program(right, tmp_path / "two", 2, 64501)
    try:
        node.start()
        wait_until(lambda: "192.0.2.1/32 via" in two.said(), lambda: two.said() + node.report())
        assert f"192.0.2.1/32 via {link_local(left)} as-path 64501" in two.said()
    finally:
        node.stop()
        two.stop()


BGPD = """
router bgp 64502
 bgp router-id 10.0.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor eth0 interface remote-as external
 address-family ipv4 unicast
  network 192.0.2.2/32
  neighbor eth0 activate
 address-family ipv6 unicast
  network 2001:db8::2/128
  neighbor eth0 activate
"""


@pytest.mark.skipif(not (FRR / "zebra").exists(), reason="FRR is not installed")
def test_frr_finds_us_and_we_find_it(ends: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    left, right = ends
    tmp_path.chmod(0o755)
    folder = tmp_path / "frr"
    folder.mkdir()
    (folder / "bgpd.conf").write_text(BGPD)
    (folder / "zebra.conf").write_text("")
    shutil.chown(folder, "frr", "frr")
    for parent in (tmp_path, *tmp_path.parents):
        if parent != Path("/tmp") and parent != Path("/"):
            parent.chmod(0o755)
    daemons: list[subprocess.Popen[Any]] = []
    common = ["-u", "frr", "-g", "frr", "-z", str(folder / "zserv.api"), "--vty_socket", str(folder), "-P", "0"]
    one = Program(left, tmp_path / "one", 1, 64502)
    try:
        for name in ("zebra", "bgpd"):
            files = ["-f", str(folder / f"{name}.conf"), "-i", str(folder / f"{name}.pid")]
            with (tmp_path / f"{name}.log").open("w") as output:
                daemons.append(right.spawn(str(FRR / name), *files, *common, stdout=output, stderr=output))
            wait_until(lambda name=name: (folder / f"{name}.vty").exists(), one.said)

        def theirs() -> str:
            return right.run("vtysh", "--vty_socket", str(folder), "-c", "show bgp ipv4 unicast json", check=False)

        wait_until(lambda: "192.0.2.2/32 via" in one.said(), one.said)
        wait_until(lambda: "2001:db8::2/128 via" in one.said(), one.said)
        assert f"192.0.2.2/32 via {link_local(right)} as-path 64502" in one.said()
        wait_until(lambda: "192.0.2.1/32" in theirs(), lambda: theirs() + one.said())
        (path,) = json.loads(theirs())["routes"]["192.0.2.1/32"]
        assert path["valid"]
        assert path["nexthops"][0]["ip"] == link_local(left)
    finally:
        one.stop()
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
