"""MRT files of the daemon: names and turns of the message log, disks that fail, tables in time and on request."""

from __future__ import annotations

import asyncio
import errno
import os
from io import FileIO
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from calico_routing import mrt_files
from calico_routing.configuration import ConfigurationError, parse_configuration
from calico_routing.control_client import DaemonAnswerError, follow
from calico_routing.mrt_files import MessageLog
from pybgp.formats.mrt import BgpMessage, PeerIndexTable, Rib, StateChange, Value, decode
from pybgp.formats.mrt_file import MrtReader
from pybgp.formats.mrt_routes import decode_bgp
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.iana import MessageType
from pybgp.wire.nlri import format_prefix
from pybgp.wire.updates import Update

from .test_reload import NETWORKS, Pair, with_pair

NOON = 1_700_049_600


class Clock:
    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


def message_log(directory: Path) -> tuple[MessageLog, Clock]:
    clock = Clock()
    return MessageLog(str(directory / "%Y/updates.%H%M%S"), 10, clock), clock


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.rglob("updates*"))}


def test_a_record_stands_in_the_file_of_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        messages, clock = message_log(tmp_path)
        messages.write(b"one")
        await messages.flush()
        assert files(tmp_path) == {"updates.120000.part": b"one"}
        messages.write(b"two")
        clock.now += 10
        messages.write(b"three")
        await messages.flush()
        assert files(tmp_path) == {"updates.120000": b"onetwo", "updates.120010.part": b"three"}
        clock.now += 10
        await messages.flush()
        assert files(tmp_path) == {"updates.120000": b"onetwo", "updates.120010": b"three"}
        messages.write(b"four")
        await messages.flush(finish=True)
        assert files(tmp_path)["updates.120020"] == b"four"

    asyncio.run(scenario())


def test_what_an_earlier_life_wrote_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        directory = tmp_path / "2023"
        directory.mkdir()
        (directory / "updates.120000").write_bytes(b"whole")
        (directory / "updates.120000.part").write_bytes(b"half")
        messages, _ = message_log(tmp_path)
        messages.write(b"new")
        await messages.flush(finish=True)
        assert files(tmp_path) == {
            "updates.120000": b"whole",
            "updates.120000.1": b"half",
            "updates.120000.2": b"new",
        }

    asyncio.run(scenario())


def test_a_full_disk_costs_the_rest_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was whole before stays readable, both errors are told once, and the next file is tried."""
    write = mrt_files._write

    def full(file: FileIO, octets: bytes) -> None:
        write(file, octets[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def scenario() -> None:
        messages, clock = message_log(tmp_path)
        messages.write(b"one")
        await messages.flush()
        monkeypatch.setattr(mrt_files, "_write", full)
        messages.write(b"two")
        await messages.flush()
        monkeypatch.setattr(mrt_files, "_write", write)
        messages.write(b"three")
        await messages.flush()
        clock.now += 10
        messages.write(b"four")
        await messages.flush(finish=True)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert files(tmp_path) == {"updates.120000": b"one", "updates.120010": b"four"}
    assert [(entry["event"], entry.get("error"), entry.get("messages")) for entry in logs] == [
        ("mrt_messages_failed", "No space left on device", None),
        ("mrt_messages_lost", None, 2),
    ]


def test_a_disk_that_hangs_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mrt_files, "MOST_WAITING", 5)

    async def scenario() -> None:
        messages, _ = message_log(tmp_path)
        for octet in b"123456789":
            messages.write(bytes([octet]))
        await messages.flush(finish=True)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert files(tmp_path) == {"updates.120000": b"123456"}
    assert [entry["messages"] for entry in logs] == [3]


MRT = """
[mrt]
table_file = "{directory}/tables/rib.%H%M%S"
table_interval = 1
message_file = "{directory}/messages/updates.%H%M%S"
message_interval = 1
"""


def values(path: Path) -> list[Value]:
    with path.open("rb") as file:
        return list(map(decode, MrtReader(file)))


def prefixes(found: list[Value]) -> set[str]:
    assert isinstance(found[0], PeerIndexTable)
    return {format_prefix(rib.family, rib.nlri) for rib in found[1:] if isinstance(rib, Rib)}


def test_a_router_writes_what_it_is_told_to(tmp_path: Path) -> None:
    async def scenario(routers: Pair) -> None:
        def tables() -> list[list[Value]]:
            paths = [path for path in tmp_path.glob("tables/rib.*") if not path.name.endswith(".part")]
            return [found for found in map(values, paths) if prefixes(found) == set(NETWORKS)]

        await routers.until(lambda: bool(tables()))
        index = tables()[0][0]
        assert isinstance(index, PeerIndexTable)
        assert [peer.asn for peer in index.peers] == [64602, 64601]

        socket, file = str(tmp_path / "10.99.0.2.sock"), tmp_path / "now" / "rib.mrt"

        def ask(**arguments: object) -> list[dict[str, object]]:
            return list(follow(socket, "mrt-dump", arguments))

        (answer,) = await asyncio.to_thread(ask, file=str(file))
        assert (answer["file"], answer["octets"]) == (str(file), file.stat().st_size)
        assert prefixes(values(file)) == set(NETWORKS)
        await asyncio.to_thread(ask, file=str(file), families=["ipv6-unicast"])
        assert prefixes(values(file)) == set(), "it takes the place of the older one"
        for wrong, complaint in (
            ({"file": str(file / "below")}, f"{file}: File exists"),
            ({"file": "rib.mrt"}, "file 'rib.mrt': an absolute name expected"),
            ({"file": str(file), "families": ["evpn"]}, "family evpn: one of ipv4-unicast"),
            ({"file": str(file), "families": 4}, "families 4: a list of names expected"),
        ):
            with pytest.raises(DaemonAnswerError, match=complaint):
                await asyncio.to_thread(ask, **wrong)
        assert [path.name for path in file.parent.iterdir()] == ["rib.mrt"]

    with_pair(tmp_path, scenario, MRT.format(directory=tmp_path))
    assert not list(tmp_path.rglob("*.part"))
    heard = [value for path in sorted(tmp_path.glob("messages/*")) for value in values(path)]
    assert {type(value) for value in heard} == {BgpMessage, StateChange}
    sessions = [value for value in heard if isinstance(value, BgpMessage)]
    assert {value.ends.peer_as for value in sessions} == {64601}
    updates = [decode_bgp(value, AttributeStore()) for value in sessions if not value.is_local]
    announced = {
        format_prefix(nlri.family, key)
        for update in updates
        if isinstance(update, Update)
        for nlri in update.announced
        for key in nlri.keys
    }
    assert announced == set(NETWORKS)
    assert {value.message[18] for value in sessions if value.is_local} == {MessageType.OPEN}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("table_file = 'rib.mrt'", "mrt.table_file: expected an absolute file name"),
        ("table_file = '/var/'", "mrt.table_file: expected an absolute file name, .* not '/var/'"),
        ("message_file = '/tmp/m'", "mrt.message_file: expected a time that differs every 300 seconds, not '/tmp/m'"),
        ("table_file = '/tmp/%Y'", "mrt.table_file: expected a time that differs every 7200 seconds, not '/tmp/%Y'"),
        ("table_interval = 0", "mrt.table_interval: expected a whole number from 1 to 604800, not 0"),
        ("families = []", r"mrt.families: expected a list that is not empty, each item one of .*, not \[\]"),
        ("families = ['evpn']", 'mrt.families: expected a list that is not empty, each item one of "ipv4-unicast"'),
        ("table_file = '/a.%H%M'\nmessage_file = '/a.%H%M'", "mrt.message_file: expected another name than"),
    ],
)
def test_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as error:
        parse_configuration(f"[mrt]\n{text}", "node.toml", {})
    assert len(error.value.problems) == 1
    assert parse_configuration("[mrt]\ntable_file = '/latest.mrt'", "node.toml", {}).mrt.table_file == "/latest.mrt"
