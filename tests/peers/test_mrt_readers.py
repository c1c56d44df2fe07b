"""MRT files of ours, both families and several paths, read by bgpdump and by OpenBGPD's bgpctl.

What makes IPv6 hard to read is the short MP_REACH_NLRI of tables, a next hop and nothing else (RFC 6396 section 4.3.4).
BIRD 2 writes MRT and reads none, so does FRR; GoBGP takes the short form for the long one (see test_mrt).
"""

from __future__ import annotations

import re
import subprocess
import time
from abc import ABC, abstractmethod
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pybgp import IPV4_UNICAST, IPV6_UNICAST, AsPath, Attributes, RouteOptions, SpeakerConfig
from pybgp.rib.tables import Rib
from pybgp.tools.recorder import MrtRecorder
from pybgp.transport.table_dump import TableDump
from pybgp.wire.iana import AddPathMode, AttributeCode
from tests.peers.daemons import require_program
from tests.pybgp.transport.test_speaker import Town, key, run, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.peers

FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)
FOUR, SIX = "198.51.100.0/24", "2001:db8:1::/48"
MARK = "Communities: (65000:.*)"
#: How bgpctl begins the lines of an UPDATE.
ACTIONS = {"NLRI prefixes": "A", "MP Reach": "A", "Withdrawn": "W", "MP Unreach": "W"}
#: What a reader says: "A" or "W" of a message or "B" of a table, prefix, path identifier, AS path, next hop, community.
Said = tuple[str, str, str, str, str, str]


class Reader(ABC):
    program: str
    package: str

    @abstractmethod
    def read(self, path: Path) -> list[Said]: ...

    def ask(self, *words: str) -> str:
        require_program(self.program, self.package)
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=True, timeout=10).stdout


class Bgpdump(Reader):
    program = package = "bgpdump"

    def read(self, path: Path) -> list[Said]:
        found = []
        for line in self.ask("-m", str(path)).splitlines():
            kind, _, action, _, _, *words = line.split("|")
            if action != "STATE":
                prefix, identifier = words.pop(0), words.pop(0) if kind.endswith("_AP") else ""
                as_path, _, hop, _, _, communities = words[:6] if action != "W" else [""] * 6
                found.append((action, prefix, identifier, as_path, hop, communities))
        return found


class Bgpctl(Reader):
    program, package = "bgpctl", "openbgpd"

    def read(self, path: Path) -> list[Said]:
        text = self.ask("show", "mrt", "detail", "file", str(path))
        return [*self._table(text), *self._messages(text)]

    def _table(self, text: str) -> Iterator[Said]:
        for block in text.split("BGP routing table entry for ")[1:]:
            prefix, as_path, hop = block.split("\n")[:3]
            identifier, address = found(r"Path-Id: (\d+)", hop), found(r"Nexthop (\S+)", hop)
            yield "B", prefix, identifier, as_path.strip(), address, found(MARK, block)

    def _messages(self, text: str) -> Iterator[Said]:
        for block in re.split(r"^(?=\d+\.\d+ )", text, flags=re.MULTILINE):
            as_path, hop, community = (
                found(r"AS-Path: (.*)", block),
                found(r"(?i:nexthop): (\S+)", block),
                found(MARK, block),
            )
            for line in block.splitlines():
                action = next((action for begin, action in ACTIONS.items() if line.strip().startswith(begin)), "")
                routes = re.findall(r"(\S+/\d+)(?: path-id (\d+))?", line) if action else ()
                for prefix, identifier in routes:
                    yield action, prefix, identifier, *(("", "", "") if action == "W" else (as_path, hop, community))


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return "" if match is None else match[1]


READERS = pytest.mark.parametrize("reader", [Bgpdump(), Bgpctl()], ids=lambda reader: reader.program)


@READERS
def test_both_families_with_next_hops_of_one_address_and_of_two(reader: Reader, tmp_path: Path) -> None:
    rib = Rib(64501, 1)
    for prefix, hops in (
        (FOUR, ("10.0.0.9",)),
        (SIX, ("2001:db8::9",)),
        ("2001:db8:2::/48", ("2001:db8::9", "fe80::9")),
    ):
        values = {
            AttributeCode.ORIGIN: 0,
            AttributeCode.AS_PATH: AsPath.sequence(64510, 4200000001),
            AttributeCode.COMMUNITIES: (65000 << 16 | 7,),
        }
        attributes = Attributes.build(values, b"".join(ip_address(hop).packed for hop in hops))
        rib.announce_local(IPV6_UNICAST if ":" in prefix else IPV4_UNICAST, [key(prefix)], attributes, preference=200)
    file = tmp_path / "rib.mrt"
    dump = TableDump(rib, SpeakerConfig(64501, "10.0.0.1"), (), FAMILIES, int(time.time()))
    file.write_bytes(b"".join(dump.octets("view")))
    rest = ("64510 4200000001", "2001:db8::9", "65000:7")
    assert reader.read(file) == [
        ("B", FOUR, "", "64510 4200000001", "10.0.0.9", "65000:7"),
        ("B", SIX, "", *rest),
        ("B", "2001:db8:2::/48", "", *rest),
    ]


@pytest.fixture(scope="module", params=[False, True], ids=["one path", "several paths"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bool]:
    """What a session was told, and the table meanwhile: (messages, table, whether there are path identifiers)."""
    several = bool(request.param)
    directory = tmp_path_factory.mktemp("mrt")
    messages, table = directory / "messages.mrt", directory / "table.mrt"
    options = {"families": FAMILIES}
    options |= {"add_path": tuple((family, AddPathMode.BOTH) for family in FAMILIES)} if several else {}

    async def scenario(place: Town) -> None:
        one = place.make(1, asn=64501)
        two = place.make(2, asn=64502, next_hops=("10.0.0.2", "2001:db8::2"))
        place.join(1, 2, **options)
        place.join(2, 1, routes=RouteOptions(add_path_send="all"), **options)
        for prefix in (FOUR, SIX):
            two.announce(prefix, communities=["65000:7"])
            two.announce(prefix, label="longer", as_path=[4200000001])
        with messages.open("wb") as file:
            one.record("n2", lambda ends: MrtRecorder(file, ends, time.time, both_ways=False))
            await one.start()
            await two.start()
            count = 2 if several else 1
            await until(lambda: all(len(one.received("n2", family)) == count for family in FAMILIES))
            table.write_bytes(b"".join(one.dump_tables(FAMILIES)))
            two.withdraw([FOUR, SIX])
            two.withdraw([FOUR, SIX], label="longer")
            await until(lambda: not any(one.received("n2", family) for family in FAMILIES))

    run(scenario)
    return messages, table, several


@READERS
def test_what_a_session_was_told(reader: Reader, files: tuple[Path, Path, bool]) -> None:
    messages, table, several = files
    expected = {
        (prefix, identifier, as_path, hop, communities)
        for prefix, hop in ((FOUR, "10.0.0.2"), (SIX, "2001:db8::2"))
        for identifier, as_path, communities in (("1", "64502", "65000:7"), ("2", "64502 4200000001", ""))
    }
    if not several:
        expected = {(one[0], "", *one[2:]) for one in expected if one[1] == "1"}
    assert {said[1:] for said in reader.read(table)} == expected
    assert {said[0] for said in reader.read(table)} == {"B"}
    heard = reader.read(messages)
    assert {said[1:] for said in heard if said[0] == "A"} >= expected
    assert {said[1:3] for said in heard if said[0] == "W"} == {one[:2] for one in expected}
