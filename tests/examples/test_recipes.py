"""Every recipe of the guide runs, does what it says against a peer, a cache or a file, and ends as it should."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pybgp import ACCEPT_ALL, EVPN, IPV4_FLOWSPEC, BgpError, BmpConfig, Fault, Speaker, SpeakerConfig, Vrp, parse_prefix
from pybgp.formats.mrt import Ends, IndexedPeer, PeerIndexTable, Rib, RibEntry
from pybgp.formats.mrt_file import MrtWriter
from pybgp.tools.recorder import JsonRecorder
from pybgp.wire.iana import CeaseSubcode
from pybgp.wire.messages import decode_update
from pybgp.wire.negotiated import Negotiated
from tests.conformance.corpus import CORPUS, cases
from tests.examples.recipe_runs import OURS, RECIPES, THEIRS, finished, recipe, router, session
from tests.pybgp.transport.rtr_cache import RtrCache
from tests.pybgp.transport.test_speaker import free_port

PREFIX = "203.0.113.7/32"
NO_CORPUS = pytest.mark.skipif(not CORPUS.is_dir(), reason="no ../shared/corpus")


def test_every_recipe_is_run_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in RECIPES.glob("*.py") if f'"{path.name}"' not in source] == []


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_wrong_use_says_what_is_wrong(path: Path) -> None:
    code, lines, errors = asyncio.run(finished(path.name, "--no-such-option"))
    assert (code, lines) == (2, [])
    assert errors.splitlines()[-1].startswith(f"{path.name}: error: ")


def test_an_address_that_is_none_is_one_line() -> None:
    words = ("nowhere", "203.0.113.7/32", "--check", "true", "--local-as", OURS, "--remote-as", THEIRS)
    code, lines, errors = asyncio.run(finished("announce_with_health_check.py", *words, "--router-id", "192.0.2.10"))
    assert (code, lines) == (1, [])
    assert errors == "announce_with_health_check: address 'nowhere': an IP address expected\n"


def test_announce_with_health_check(tmp_path: Path) -> None:
    healthy = tmp_path / "healthy"

    async def scenario() -> None:
        checks = (
            "--check",
            f"test -e {healthy}",
            "--interval",
            0.05,
            "--rise",
            2,
            "--fall",
            2,
            "--community",
            "64512:7",
        )
        prefixes = ("203.0.113.7/32", "2001:db8:7::7/128")
        async with (
            router() as peer,
            recipe("announce_with_health_check.py", peer.address, *prefixes, *session(peer), *checks) as run,
        ):
            await peer.established()
            await peer.wait_withdrawn("203.0.113.7/32")
            healthy.touch()
            attributes = await peer.wait_announced("203.0.113.7/32")
            assert attributes.communities == (64512 << 16 | 7,)
            healthy.unlink()
            await peer.wait_withdrawn("203.0.113.7/32")
            assert await run.line("unhealthy") == f"unhealthy: withdrawn {' '.join(prefixes)}"
            assert await run.end() == 0
            assert (await peer.wait_notification()).subcode == CeaseSubcode.ADMINISTRATIVE_SHUTDOWN

    asyncio.run(scenario())


def test_a_check_that_hangs_is_killed_with_all_its_children() -> None:
    async def scenario() -> list[str]:
        # What a check prints, the recipe does not keep from its own output.
        words = ("--check", "sleep 1000 & echo started $!; wait", "--timeout", 0.1, "--interval", 0.02)
        async with router() as peer:
            async with recipe("announce_with_health_check.py", peer.address, PREFIX, *session(peer), *words) as run:
                await peer.established()
                found = [await run.line("started ") for _ in range(3)]
                assert peer.announced() == []
                assert await run.end(signal.SIGINT) == 0
                return [line.split()[1] for line in found]

    assert not [pid for pid in asyncio.run(scenario()) if is_running(pid)]


def is_running(pid: str) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_route_collector_and_its_files_as_csv(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with router() as peer:
            words = (f"{peer.address},{THEIRS},{peer.port}", "--local-as", OURS, "--router-id", "192.0.2.10")
            async with recipe("route_collector.py", *words, "--directory", tmp_path) as run:
                await peer.established()
                peer.announce("198.51.100.0/24", med=7, communities=["64513:1"])
                peer.announce("2001:db8:1::/48")
                peer.withdraw("198.51.100.0/24")
                peer.send_malformed(Fault.WITHDRAW, "198.51.100.0/24")
                peer.end_of_rib()
                peer.notify(text="that was all")
                await peer.wait_closed()
                await peer.wait_connections(2)
                await peer.established()
                assert await run.end(signal.SIGINT) == 0
            lines = [json.loads(line) for line in (tmp_path / "updates.jsonl").read_text().splitlines()]
            assert [line["type"] for line in lines][:9] == ["up", *["update"] * 6, "down", "up"]
            assert lines[1]["announced"] == {"ipv4-unicast": ["198.51.100.0/24"]}
            assert lines[1]["attributes"]["multi-exit-disc"] == 7
            assert lines[2]["announced"] == {"ipv6-unicast": ["2001:db8:1::/48"]}
            assert lines[3]["withdrawn"] == {"ipv4-unicast": ["198.51.100.0/24"]}
            assert "ORIGIN" in lines[4]["faults"][0]
            assert lines[5]["end_of_rib"] == "ipv4-unicast"
            assert "that was all" in lines[7]["text"]
        code, rows, errors = await finished("mrt_to_csv.py", tmp_path / f"{peer.address}.mrt")
        assert (code, errors) == (0, "")
        found = [(row["kind"], row["nlri"], row["med"]) for row in csv.DictReader(io.StringIO("\n".join(rows)))]
        assert found == [
            ("announce", "198.51.100.0/24", "7"),
            ("announce", "2001:db8:1::/48", ""),
            ("withdraw", "198.51.100.0/24", ""),
            ("withdraw", "198.51.100.0/24", ""),
        ]

    asyncio.run(scenario())


def test_blackhole(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("198.51.100.7/32  # a host\n\ndestination=2001:db8:7::/48 protocol==17\n")

    async def scenario() -> None:
        async with router() as peer, recipe("blackhole.py", peer.address, rules, *session(peer)) as run:
            attributes = await peer.wait_announced("destination=198.51.100.7/32", IPV4_FLOWSPEC)
            assert attributes.extended_communities == (bytes.fromhex("8006000000000000"),)
            await peer.wait_announced("destination=2001:db8:7::/48 protocol==17", "ipv6-flowspec")
            rules.write_text("destination=198.51.100.0/24 protocol==17 source-port==53\n")
            run.process.send_signal(signal.SIGHUP)
            await peer.wait_announced("destination=198.51.100.0/24 protocol==17 source-port==53", IPV4_FLOWSPEC)
            await peer.wait_withdrawn("destination=198.51.100.7/32", IPV4_FLOWSPEC)
            rules.write_text("198.51.100.0/33\n")
            run.process.send_signal(signal.SIGHUP)
            assert f"{rules}:1: " in await run.error_line("the rules stay as they are")
            assert len(peer.announced()) == 1
            assert await run.end() == 0
        code, lines, errors = await finished("blackhole.py", "192.0.2.1", rules, *session(peer))
        assert (code, lines) == (1, [])
        assert errors.startswith(f"blackhole: {rules}:1: ")
        assert errors.count("\n") == 1
        rules.write_bytes(b"\xff\xfe")
        code, lines, errors = await finished("blackhole.py", "192.0.2.1", rules, *session(peer))
        assert (code, lines, errors.count("\n")) == (1, [], 1)

    asyncio.run(scenario())


def table_file(path: Path) -> None:
    """A table of two peers, and one route that a peer sent later."""
    peers = (IndexedPeer(1, bytes((192, 0, 2, 1)), 64513), IndexedPeer(2, bytes((192, 0, 2, 2)), 64514))
    with path.open("wb") as file:
        writer = MrtWriter(file)
        writer.write(PeerIndexTable(7, b"test", peers), 1_700_000_000)
        octets = bytes.fromhex("4001010040020a02020000fc010000fc02400304c000020180040400000005")
        entries = tuple(RibEntry(number, 1_700_000_000, octets) for number in (0, 1))
        writer.write_rib(
            Rib(0, parse_prefix("0.0.0.0/0")[0], parse_prefix("198.51.100.0/24")[1], entries), 1_700_000_001
        )


def test_mrt_to_csv(tmp_path: Path) -> None:
    table_file(tmp_path / "table.mrt")
    code, lines, errors = asyncio.run(finished("mrt_to_csv.py", tmp_path / "table.mrt"))
    assert (code, errors) == (0, "")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [(row["kind"], row["peer"], row["peer_as"], row["nlri"]) for row in rows] == [
        ("table", "192.0.2.1", "64513", "198.51.100.0/24"),
        ("table", "192.0.2.2", "64514", "198.51.100.0/24"),
    ]
    assert (rows[0]["time"], rows[0]["as_path"], rows[0]["next_hop"]) == (
        "1700000001.000000",
        "64513 64514",
        "192.0.2.1",
    )
    assert (rows[0]["med"], rows[0]["origin"], rows[0]["path_id"]) == ("5", "igp", "")


def test_mrt_to_csv_of_a_broken_file_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mrt"
    broken.write_bytes(b"\0" * 40)
    code, _, errors = asyncio.run(finished("mrt_to_csv.py", broken))
    assert code == 1
    assert errors.splitlines()[-1].startswith("mrt_to_csv: ")
    code, _, errors = asyncio.run(finished("mrt_to_csv.py", tmp_path / "missing"))
    assert (code, errors.count("\n")) == (1, 1)


@NO_CORPUS
@pytest.mark.parametrize(
    "name",
    [
        "bgpkit__examples__local_only__updates.bz2",
        "bgpdump__test_data__updates.20020722.2238.gz",
        "os-ken__os_ken__tests__packet_data__mrt__updates.20161101.0000.bz2",
    ],
)
def test_mrt_to_csv_of_updates_of_others(name: str) -> None:
    known = {one["file"]: one["facts"] for one in json.loads((CORPUS / "mrt" / "FILES.json").read_text())}
    code, lines, errors = asyncio.run(finished("mrt_to_csv.py", CORPUS / "mrt" / name))
    assert (code, errors) == (0, "")
    kinds = [line.split(",")[1] for line in lines[1:]]
    assert kinds.count("announce") == known[name]["announced"]
    assert kinds.count("withdraw") == known[name]["withdrawn"]


@NO_CORPUS
@pytest.mark.parametrize(
    ("name", "rows", "path_ids"),
    [
        ("bgpdump__test_data__bview.ipv4_unicast_add_path.gz", 62, True),
        ("mrtparse__samples__openbgpd_rib_table", 31, False),
        ("mrtparse__samples__openbgpd_rib_table-mp", 31, False),
    ],
)
def test_mrt_to_csv_of_tables_of_others(name: str, rows: int, path_ids: bool) -> None:
    code, lines, errors = asyncio.run(finished("mrt_to_csv.py", CORPUS / "mrt" / name))
    assert (code, errors) == (0, "")
    found = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert len(found) == rows
    assert {row["kind"] for row in found} == {"table"}
    assert all(row["peer_as"] and row["nlri"] for row in found)
    assert {bool(row["path_id"]) for row in found} == {path_ids}


def test_bmp_collector() -> None:
    async def scenario() -> None:
        port = free_port()
        async with recipe("bmp_collector.py", "--listen", "127.0.0.1", "--port", port) as run, router() as peer:
            station = BmpConfig("127.0.0.1", port, first_retry_time=0.1, longest_retry_time=0.1)
            config = SpeakerConfig(OURS, "192.0.2.1", bmp_stations=(station,), import_policy=ACCEPT_ALL)
            speaker = Speaker(config)
            speaker.configure({"router": speaker.peer(peer.address, THEIRS, port=peer.port)})
            async with speaker:
                assert (await run.json('"initiation"'))["router"] == "127.0.0.1"
                await peer.established()
                peer.announce("198.51.100.0/24", med=7)
                found = await run.json("198.51.100.0/24")
                assert found["announced"] == {"ipv4-unicast": ["198.51.100.0/24"]}
                assert found["attributes"]["multi-exit-disc"] == 7
                assert any('"peer_up"' in line for line in run.lines)
                peer.close()
                assert (await run.json('"peer_down"'))["peer_as"] == THEIRS
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await run.error_line("127.0.0.1")).startswith("bmp_collector: 127.0.0.1: octet ")
            writer.close()
            assert await run.end() == 0

    asyncio.run(scenario())


def test_origin_validation() -> None:
    async def scenario() -> None:
        cache = RtrCache()
        cache.set([Vrp(*parse_prefix("198.51.100.0/24"), 24, THEIRS)])
        async with cache.serving(), router() as peer:
            words = (peer.address, f"127.0.0.1,{cache.port}", *session(peer))
            async with recipe("origin_validation.py", *words) as run:
                assert await run.error_line("payloads") == "1 payloads from 127.0.0.1"
                await peer.established()
                peer.announce("198.51.100.0/25")
                peer.announce(["198.51.100.0/24", "203.0.113.0/24"])
                found = await run.line("203.0.113.0/24")
                if "198.51.100.0/24" not in found:
                    assert run.lines[-2].endswith("valid")
                assert found.endswith("not-found")
                assert not any("/25" in line for line in run.lines)
                cache.set([Vrp(*parse_prefix("198.51.100.0/24"), 24, 64999)])
                assert await run.line("withdrawn") == "198.51.100.0/24 withdrawn"
                cache.set([])
                assert (await run.line("198.51.100.0/2")).endswith("not-found")
                assert await run.end() == 0

    asyncio.run(scenario())


def test_policy_in_python() -> None:
    async def scenario() -> None:
        async with router() as peer:
            words = (peer.address, *session(peer), "--customer", THEIRS)
            async with recipe("policy_in_python.py", *words) as run:
                await peer.established()
                peer.announce("10.1.0.0/16")
                peer.announce("203.0.113.0/24", as_path=[THEIRS] * 51)
                peer.announce("203.0.113.9/32")
                peer.announce("198.51.100.7/32", communities=["blackhole"])
                peer.announce("198.51.100.0/24")
                assert (await run.line("198.51.100.7/32")).endswith(
                    "via 192.0.2.1 as-path 64513 local-pref 100 blackhole"
                )
                assert (await run.line("198.51.100.0/24")).endswith("local-pref 200 customer")
                assert len(run.lines) == 2
                run.process.send_signal(signal.SIGUSR1)
                assert await run.error_line("10.1.0.0/16: ") == "10.1.0.0/16: refused by bogons"
                assert await run.error_line("203.0.113.0/24: ") == "203.0.113.0/24: refused by long-paths"
                assert await run.end() == 0

    asyncio.run(scenario())


def test_your_peering_passes_and_can_fail(tmp_path: Path) -> None:
    code, _, errors = asyncio.run(finished("test_your_peering.py"))
    assert (code, errors.splitlines()[-1]) == (0, "OK")

    async def broken() -> int:
        source = (RECIPES / "test_your_peering.py").read_text()
        changed = source.replace("self.speaker.withdraw(SERVICE)", "self.undrain()").replace(
            "remote_as=OUR_AS) as", "remote_as=OUR_AS, patience=0.5) as"
        )
        assert changed != source
        (tmp_path / "test_broken.py").write_text(changed)
        command = (sys.executable, tmp_path / "test_broken.py", "OnASocket")
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=RECIPES.parents[1],
            env={"PYTHONPATH": str(RECIPES.parents[1])},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert b"a withdrawal of 203.0.113.7/32: not within 0.5 s" in said
        return process.returncode or 0

    assert asyncio.run(broken()) == 1


MAC = (
    "type=mac-ip distinguisher=64513:1 esi=00:00:00:00:00:00:00:00:00:00 tag=0 mac=02:00:5e:10:00:01"
    " address=null label=100 second_label=null"
)
MULTICAST = "type=inclusive-multicast distinguisher=64513:1 tag=0 address=192.0.2.1"


def test_evpn_dump() -> None:
    async def scenario() -> None:
        async with router(OURS) as peer:
            words = (peer.address, *session(peer))
            async with recipe("evpn_dump.py", *words, "--follow", "--json") as run:
                await peer.established()
                peer.announce_nlri(EVPN, [MAC, MULTICAST], extended_communities=["target:64513:1"])
                peer.end_of_rib()
                found = await run.json("mac-ip")
                assert (found["route"]["mac"], found["route"]["label"]) == ("02:00:5e:10:00:01", 100)
                assert found["attributes"]["extended-communities"] == ["target:64513:1"]
                if len(run.lines) == 1:
                    await run.line("inclusive-multicast")
                peer.withdraw_nlri(EVPN, MAC)
                gone = await run.json('"-"')
                assert (gone["route"]["type"], gone["attributes"]) == ("mac-ip", None)
                assert await run.end() == 0
        async with (
            router(OURS) as peer,
            recipe("evpn_dump.py", peer.address, *session(peer), "--type", "mac-ip") as run,
        ):
            await peer.established()
            peer.announce_nlri(EVPN, [MAC, MULTICAST])
            peer.end_of_rib()
            assert (await run.line("+ ")).startswith("+ type=mac-ip ")
            assert await run.process.wait() == 0
        code, _, errors = await finished("evpn_dump.py", "127.0.0.1", *session(peer), "--wait", "0.2")
        assert code == 1
        assert errors.splitlines()[-1].startswith(
            "evpn_dump: 127.0.0.1: no whole table within 0.2 s: Socket: Connection ref"
        )

    asyncio.run(scenario())


@NO_CORPUS
def test_evpn_dump_of_what_others_sent() -> None:
    """The valid UPDATEs of the corpus with EVPN routes and an empty AS path, through a session."""
    alone = Negotiated(local_as=OURS, peer_as=OURS, families=frozenset({EVPN}))
    messages = []
    for case in cases("update"):
        if case.valid is True:
            with suppress(BgpError):
                if any(one.family == EVPN for one in decode_update(case.octets, alone).announced):
                    messages.append(case.octets)
    assert messages

    async def scenario() -> None:
        async with router(OURS) as peer:
            async with recipe("evpn_dump.py", peer.address, *session(peer), "--json") as run:
                await peer.established()
                for octets in messages:
                    peer.send(octets)
                peer.end_of_rib()
                output, _ = await run.process.communicate()
            assert run.process.returncode == 0
            kinds = {json.loads(line)["route"]["type"] for line in output.decode().splitlines()}
            assert {"mac-ip", "inclusive-multicast"} <= kinds

    asyncio.run(scenario())


def test_exabgp_process(tmp_path: Path) -> None:
    script = tmp_path / "process.sh"
    script.write_text(
        "echo announce route 198.51.100.0/24 next-hop 192.0.2.9 med 100 origin incomplete"
        " 'community [64512:1 64512:2]'\n"
        "echo neighbor 127.0.0.2 announce attributes next-hop self 'as-path [ 64512 64512 ]'"
        " nlri 203.0.113.0/24 10.0.0.0/8\n"
        "echo announce flow route nonsense\n"
        "echo announce route 192.0.2.0/24 next-hop self med many\n"
        "read line <&0\n"
        "echo withdraw route 10.0.0.0/8\n"
        "exec sleep 1000\n"
    )

    async def scenario() -> None:
        async with router() as peer:
            words = (*session(peer), "--", "sh", script)
            async with recipe("exabgp_process.py", peer.address, *words, stdin=asyncio.subprocess.PIPE) as run:
                attributes = await peer.wait_announced("198.51.100.0/24")
                assert (attributes.med, attributes.origin.name) == (100, "INCOMPLETE")
                assert attributes.communities == (64512 << 16 | 1, 64512 << 16 | 2)
                attributes = await peer.wait_announced("203.0.113.0/24")
                assert list(attributes.as_path) == [64512] * 3
                assert await run.error_line("flow") == (
                    "exabgp_process: command 'announce flow route nonsense': announce or withdraw, "
                    "then route or attributes expected"
                )
                assert (await run.error_line("many")).startswith("exabgp_process: med 'many': invalid literal")
                await peer.wait_announced("10.0.0.0/8")
                assert run.process.stdin is not None
                run.process.stdin.write(b"go on\n")
                await peer.wait_withdrawn("10.0.0.0/8")
                assert sorted(peer.announced()) == ["198.51.100.0/24", "203.0.113.0/24"]
                assert await run.end() == 0

    asyncio.run(scenario())


def test_replay_crash(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"

    async def scenario() -> bytes:
        async with router() as peer:
            speaker = Speaker(SpeakerConfig(OURS, "192.0.2.1"))
            speaker.configure({"router": speaker.peer(peer.address, THEIRS, port=peer.port)})
            with path.open("w") as file:
                recorded: list[JsonRecorder] = []

                def begin(ends: Ends) -> JsonRecorder | None:
                    if not recorded:
                        recorded.append(JsonRecorder(file, ends, time.time))
                        return recorded[0]
                    return None

                speaker.record("router", begin)
                async with speaker:
                    await peer.established()
                    peer.announce("198.51.100.0/24")
                    peer.send_malformed(Fault.WITHDRAW)
                    peer.send_malformed(Fault.RESET)
                    notification = await peer.wait_notification()
                    await peer.wait_connections(2)
                    return bytes((notification.code, notification.subcode))

    code, subcode = asyncio.run(scenario())
    status, lines, errors = asyncio.run(finished("replay_crash.py", path))
    assert (status, errors) == (1, "")
    told = [line[13:] for line in lines]
    assert any(line.startswith("up: ") for line in told)
    assert "UPDATE: 1 announced, 0 withdrawn" in told
    assert any("WITHDRAW ORIGIN" in line for line in told)
    assert any(line.startswith("down: protocol error: BGP Error: ") for line in told)
    assert any(
        f"code={code}" in line.replace("<ErrorCode.UPDATE_MESSAGE: 3>", "3") and f"subcode={subcode}" in line
        for line in told
    )
    assert "octets received begin ffffffff" in told[-2] or "octets received begin ffffffff" in told[-3]
    status, lines, _ = asyncio.run(finished("replay_crash.py", path, "--quiet"))
    assert (status, len(lines)) == (1, 2)
    path.write_text(path.read_text()[:-20])
    status, _, errors = asyncio.run(finished("replay_crash.py", path))
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith("replay_crash: ")
