"""The commands of the control socket against two running routers: what each answers, as JSON and for people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from calico_routing.cli.main import main
from calico_routing.control_client import DaemonAnswerError, follow

from .test_reload import NETWORKS, POLICY, Pair, with_pair

Run = Callable[..., Awaitable[tuple[int, str, str]]]


def with_commands(
    directory: Path, capsys: pytest.CaptureFixture[str], scenario: Callable[[Pair, Run], Awaitable[None]]
) -> None:
    """Run a scenario that may run commands against the second of two routers."""

    async def body(routers: Pair) -> None:
        async def run(*words: str, router: int = 2) -> tuple[int, str, str]:
            socket = str(directory / f"10.99.0.{router}.sock")
            status = await asyncio.to_thread(main, [*words, "--socket", socket])
            captured = capsys.readouterr()
            return status, captured.out, captured.err

        await scenario(routers, run)

    with structlog.testing.capture_logs():
        with_pair(directory, body)


async def as_json(run: Run, *words: str, router: int = 2) -> Any:
    status, out, err = await run(*words, "-o", "json", router=router)
    assert status == 0, err
    return json.loads(out)


def test_routes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        await routers.rewrite("import_policy = 'in'\n" + POLICY.format(refused=NETWORKS[:1], mark=5))
        found = await as_json(run, "routes")
        assert found["version"] == 1
        assert found["count"] == 3
        assert [route["prefix"] for route in found["routes"]] == NETWORKS[1:]
        assert found["routes"][2] == {
            "family": "ipv4-unicast",
            "prefix": NETWORKS[3],
            "peer": "10.99.0.1",
            "source": "ebgp",
            "best": True,
            "rejection": "",
            "preference": 100,
            "label": "",
            "attributes": {"origin": "igp", "as-path": "64601", "communities": "65000:5", "next-hop": "10.99.0.1"},
        }
        received = await as_json(run, "routes", "--received", "10.99.0.1")
        assert [(route["prefix"], route["rejection"]) for route in received["routes"]] == [
            (NETWORKS[0], "rejected by import policy"),
            *((network, "") for network in NETWORKS[1:]),
        ]
        for rejected in (
            await as_json(run, "routes", "--rejected"),
            await as_json(run, "routes", "--received", "10.99.0.1", "--rejected"),
        ):
            assert [route["prefix"] for route in rejected["routes"]] == NETWORKS[:1]
        sent = await as_json(run, "routes", "--sent", "10.99.0.2", router=1)
        assert [(route["prefix"], route["peer"]) for route in sent["routes"]] == [(one, "local") for one in NETWORKS]
        assert (await as_json(run, "routes", "--sent", "10.99.0.1"))["routes"] == []

        one = await as_json(run, "routes", NETWORKS[2])
        assert [route["prefix"] for route in one["routes"]] == [NETWORKS[2]]
        covering = await as_json(run, "routes", "203.0.1.77")
        assert [route["prefix"] for route in covering["routes"]] == [NETWORKS[1]]
        inside = await as_json(run, "routes", "203.0.2.0/23", "--longer")
        assert [route["prefix"] for route in inside["routes"]] == NETWORKS[2:]
        assert (await as_json(run, "routes", "--family", "ipv6-unicast"))["routes"] == []

        status, out, _ = await run("routes")
        lines = out.splitlines()
        assert status == 0
        assert lines[0].split() == ["PREFIX", "NEXT", "HOP", "FROM", "LOCALPREF", "MED", "AS", "PATH"]
        assert lines[3].split() == [">", NETWORKS[3], "10.99.0.1", "10.99.0.1", "64601", "i"]
        assert (await run("routes", "198.51.100.0/24"))[1] == "No routes.\n"

    with_commands(tmp_path, capsys, scenario)


def test_a_peer_with_a_name_is_found_by_its_address_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        await routers.rewrite("name = 'first'\n")
        await routers.until(lambda: len(routers.routes()) == len(NETWORKS))
        by_name = await as_json(run, "routes", "--received", "first")
        by_address = await as_json(run, "routes", "--received", "10.99.0.1")
        assert by_address["routes"] == by_name["routes"] != []
        assert (await as_json(run, "routes", "--sent", "10.99.0.1"))["routes"] == []

    with_commands(tmp_path, capsys, scenario)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["203.0.1.0/33"], "prefix '203.0.1.0/33'"),
        (["203.0.1.1/24"], "has host bits set"),
        (["hello"], "prefix 'hello': a prefix such as 10.0.0.0/8 or an address expected"),
        (["203.0.1.1", "--longer"], "routes longer: a prefix such as 10.0.0.0/8 expected"),
        (["--family", "ipv5"], "family 'ipv5'"),
        (["--received", "nobody"], "peer 'nobody': no such peer; known are 10.99.0.1"),
        (["203.0.1.0/24", "--family", "ipv6-unicast"], "prefix '203.0.1.0/24': not one of ipv6-unicast"),
        (["--sent", "10.99.0.1", "--rejected"], "what is rejected is never sent"),
    ],
)
def test_a_wrong_question(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str) -> None:
    async def scenario(_: Pair, run: Run) -> None:
        status, out, err = await run("routes", *words)
        assert (status, out) == (1, "")
        assert complaint in err
        assert err.count("\n") == 1

    with_commands(tmp_path, capsys, scenario)


def test_peers_and_peer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        await routers.rewrite("import_policy = 'in'\n" + POLICY.format(refused=NETWORKS[:1], mark=5))
        (found,) = (await as_json(run, "peers"))["peers"]
        assert (found["name"], found["state"], found["prefixes_received"]) == ("10.99.0.1", "Established", 4)
        _, out, _ = await run("peers")
        assert out.splitlines()[1].split()[:4] == ["10.99.0.1", "10.99.0.1", "64601", "Established"]

        detail = await as_json(run, "peer", "10.99.0.1")
        assert detail["prefixes"]["ipv4-unicast"] == {
            "received": 4,
            "accepted": 3,
            "active": 3,
            "sent": 0,
            "stale": 0,
            "rejected": {"rejected by import policy": 1},
        }
        (sent,) = (await as_json(run, "peer", "10.99.0.2", router=1))["prefixes"].values()
        assert sent["sent"] == 4
        assert {capability["name"] for capability in detail["open_received"]["capabilities"]} >= {
            "FourOctetAs",
            "RouteRefresh",
            "GracefulRestart",
        }
        assert detail["in_force"]["families"] == ["ipv4-unicast"]
        assert detail["timers"].keys() >= {"hold", "keepalive"}
        assert detail["received"]["OPEN"] == detail["sent"]["OPEN"] == 1
        assert detail["octets"]["received"] > 100
        assert detail["queue"] == {"octets": 0, "prefixes": 0}
        assert [entry["to"] for entry in detail["history"]][-3:] == ["OpenSent", "OpenConfirm", "Established"]
        assert detail["history"][-1]["event"] == "keepalive-received"
        _, out, _ = await run("peer", "10.99.0.1")
        assert "received=4 accepted=3 active=3 sent=0 stale=0 rejected=1" in out
        assert "rejected by import policy: 1" in out
        lines = [line.strip() for line in out.splitlines()]
        assert {"ipv4-unicast", "4-octet AS 64601", "route refresh"} <= set(
            lines[lines.index("capabilities received:") :]
        )
        assert {"AS 64602 with AS 64601", "hold time 240 s"} <= set(lines[lines.index("in force:") :])
        assert not {"True", "False", "None", "{", "["} & set(out.replace("=", " ").split())
        status, _, err = await run("peer", "nobody")
        assert (status, err) == (1, "pybgp-node: peer 'nobody': no such peer; known are 10.99.0.1\n")

    with_commands(tmp_path, capsys, scenario)


def test_what_root_may_do_with_a_peer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        def state(router: int) -> str:
            return str(routers.daemons[router].status()["peers"][0]["state"])

        assert (await run("disable", "10.99.0.1", "--message", "new fibre tonight"))[0] == 0
        await routers.until(lambda: state(0) != "Established" and state(1) == "Idle")
        told = await as_json(run, "peer", "10.99.0.2", router=1)
        assert (told["last_error_received"]["code"], told["last_error_received"]["subcode"]) == (6, 9)  # RFC 8538
        assert "new fibre tonight" in told["last_error_received"]["text"]
        (disabled,) = (await as_json(run, "peers"))["peers"]
        assert disabled["disabled"]
        assert disabled["last_error"] == "BGP Error: Administrative shutdown: new fibre tonight"
        await routers.rewrite("hold_time = 90\n")
        assert state(1) == "Idle"

        assert (await run("enable", "10.99.0.1"))[0] == 0
        await routers.until(lambda: state(1) == "Established")
        assert not (await as_json(run, "peers"))["peers"][0]["disabled"]

        before = (await as_json(run, "peer", "10.99.0.1"))["received"]
        assert (await run("refresh", "10.99.0.1", "--direction", "in"))[0] == 0
        await routers.until(lambda: routers.daemons[1].status()["peers"][0]["received"]["UPDATE"] > before["UPDATE"])
        before = (await as_json(run, "peer", "10.99.0.2", router=1))["sent"]
        assert (await run("refresh", "10.99.0.2", "--direction", "out", router=1))[0] == 0
        await routers.until(lambda: routers.daemons[0].status()["peers"][0]["sent"]["UPDATE"] > before["UPDATE"])

        assert (await run("reset", "10.99.0.1", "--message", "x"))[0] == 0
        await routers.until(lambda: routers.sessions() == [3, 2])  # the second router made its peer anew
        status, _, err = await run("reset", "10.99.0.1", "--message", "x" * 256)
        assert (status, err) == (1, "pybgp-node: message: at most 255 octets expected (RFC 9003)\n")

    with_commands(tmp_path, capsys, scenario)


def test_monitor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        found: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []

        def read(socket: str, into: list[dict[str, Any]], views: list[str]) -> None:
            for document in follow(str(tmp_path / socket), "monitor", {"views": views}):
                into.append(document)
                if (document.get("action"), document.get("view")) == ("withdraw", views[-1]):
                    return

        loop = asyncio.get_running_loop()
        watching = [
            loop.run_in_executor(None, read, "10.99.0.2.sock", found, ["pre", "post", "loc"]),
            loop.run_in_executor(None, read, "10.99.0.1.sock", told, ["out"]),
        ]
        await routers.until(lambda: bool(found and told))
        assert (await run("refresh", "10.99.0.2", "--direction", "out", router=1))[0] == 0
        await routers.until(lambda: len(told) > 1)
        speaker = routers.daemons[0]._speaker
        assert speaker is not None
        speaker.announce("198.51.100.0/24")
        await routers.until(lambda: "198.51.100.0/24" in routers.routes())
        speaker.withdraw("198.51.100.0/24")
        await asyncio.gather(*watching)
        assert found[0] == {"version": 1, "views": ["pre", "post", "loc"]}
        assert [event["sequence"] for event in found[1:]] == list(range(1, len(found)))
        routes = [event for event in found if event.get("prefixes") == ["198.51.100.0/24"]]
        assert [(event["view"], event["action"]) for event in routes][:3] == [
            ("loc", "add"),
            ("pre", "add"),
            ("post", "add"),
        ]
        assert [event["action"] for event in told[1:]] == ["announce", "announce", "withdraw"]
        assert sorted(told[1]["prefixes"]) == NETWORKS, "a refresh tells everything again"
        assert told[2]["attributes"] == {"origin": "igp", "as-path": "64601", "next-hop": "10.99.0.1"}
        assert told[3].keys() == {"sequence", "time", "event", "peer", "family", "view", "action", "prefixes"}
        assert (told[3]["peer"], told[3]["prefixes"]) == ("10.99.0.2", ["198.51.100.0/24"])
        (added,) = [event for event in found[1:] if (event.get("view"), event.get("action")) == ("loc", "add")]
        assert (added["prefixes"], added["peer"], added["cause"]) == (["198.51.100.0/24"], "10.99.0.1", "update")
        assert added["attributes"]["as-path"] == "64601"

    with_commands(tmp_path, capsys, scenario)


def test_monitor_goes_on_when_a_session_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        socket = str(tmp_path / "10.99.0.2.sock")
        told: list[dict[str, Any]] = []

        def read() -> None:
            for document in follow(socket, "monitor", {"views": ["loc"]}):
                told.append(document)
                if document.get("to") == "Established":
                    return

        watching = asyncio.get_running_loop().run_in_executor(None, read)
        await routers.until(lambda: bool(told))
        assert (await run("reset", "10.99.0.1", "--message", "for a while"))[0] == 0
        await watching
        first, last = told[1], told[-1]
        assert (first["event"], first["peer"], first["from"]) == ("peer", "10.99.0.1", "Established")
        assert first["error"] == "BGP Error: Administrative reset: for a while"
        assert (last["event"], last["cause"], last["error"]) == ("peer", "keepalive-received", "")

    with_commands(tmp_path, capsys, scenario)


def test_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        await routers.rewrite("import_policy = 'in'\n" + POLICY.format(refused=NETWORKS[:1], mark=5))
        await routers.until(lambda: routers.routes() == set(NETWORKS[1:]))
        found = (await as_json(run, "history", NETWORKS[0]))["changes"]
        assert [(one["action"], one["cause"], one["by"], one["from"]) for one in found] == [
            ("add", "update", "10.99.0.1", "10.99.0.1"),
            ("withdraw", "import-policy", "10.99.0.1", None),
        ]
        everything = await as_json(run, "history")
        assert everything["count"] == 6
        of_peer = (await as_json(run, "history", "--peer", "10.99.0.1"))["changes"]
        assert [one["to"] for one in of_peer if one["action"] == "session"][-1] == "Established"
        assert sum(one["action"] != "session" for one in of_peer) == 6
        assert [one["time"] for one in of_peer] == sorted(one["time"] for one in of_peer)
        _, out, _ = await run("history", NETWORKS[0])
        assert out.splitlines()[1].endswith(f"withdraw {NETWORKS[0]}: import-policy of 10.99.0.1")
        status, _, err = await run("history", "nonsense")
        assert (status, err.count("\n")) == (1, 1)

    with_commands(tmp_path, capsys, scenario)


def test_reload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        path = tmp_path / "10.99.0.2.toml"
        path.write_text(routers.text + "import_policy = 'in'\n" + POLICY.format(refused=NETWORKS[:1], mark=5))
        status, out, _ = await run("reload")
        assert (status, out) == (0, "reloaded: 1 peers, 1 policies\n")
        await routers.until(lambda: routers.routes() == set(NETWORKS[1:]))
        path.write_text(routers.text + "import_policy = 'on'\n" + POLICY.format(refused=NETWORKS[:2], mark=5))
        status, _, err = await run("reload")
        assert status == 1
        assert err.startswith(f"pybgp-node: nothing was changed: {path}:")
        assert routers.routes() == set(NETWORKS[1:])

    with_commands(tmp_path, capsys, scenario)


def test_a_dry_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair, run: Run) -> None:
        path, other = tmp_path / "10.99.0.2.toml", tmp_path / "other.toml"
        use = "import_policy = 'in'\n"
        path.write_text(
            routers.text.replace("networks = []", "networks = ['192.0.2.0/24']")
            + use
            + POLICY.format(refused=NETWORKS[:1], mark=5)
        )
        found = await as_json(run, "reload", "--dry-run")
        assert found["networks_added"] == ["192.0.2.0/24"]
        assert {(one["peer"], one["direction"], one["change"], one["prefix"]) for one in found["differences"]} == {
            ("10.99.0.1", "import", "rejected", NETWORKS[0]),
            ("10.99.0.1", "import", "changed", NETWORKS[3]),
        }
        assert found["summary"] == [{"peer": "10.99.0.1", "direction": "import", "rejected": 1, "changed": 1}]
        assert routers.routes() == set(NETWORKS)
        _, out, _ = await run("reload", "--dry-run")
        assert out.splitlines()[0] == "network would be announced: 192.0.2.0/24"
        assert f"10.99.0.1 import rejected {NETWORKS[0]} (rejected by import policy)" in out
        assert f"10.99.0.1 import changed {NETWORKS[3]}: communities none -> 65000:5" in out
        assert set(out.splitlines()[-1].removeprefix("10.99.0.1 import: ").split(", ")) == {"1 rejected", "1 changed"}

        await routers.daemons[1].reload()
        await routers.until(lambda: routers.routes() == set(NETWORKS[1:]))
        other.write_text(POLICY.format(refused=NETWORKS[1:2], mark=5))
        status, out, _ = await run("policy", "--dry-run", str(other))
        assert status == 0
        assert set(out.splitlines()[:2]) == {
            f"10.99.0.1 import accepted {NETWORKS[0]}",
            f"10.99.0.1 import rejected {NETWORKS[1]} (rejected by import policy)",
        }
        other.write_text("[policy.out]\ndefault = 'reject'\n[bgp]\nexport_policy = 'out'\n")
        _, out, _ = await run("policy", "--dry-run", str(other))
        assert out == "10.99.0.1 export withdrawn 192.0.2.0/24\n10.99.0.1 export: 1 withdrawn\n"
        other.write_text("[policy.in]\ndefault = 'accpet'\n")
        status, _, err = await run("policy", "--dry-run", str(other))
        assert status == 1
        assert err.startswith(f"pybgp-node: nothing was changed: {other}:2:")
        assert routers.routes() == set(NETWORKS[1:])
        assert routers.sessions() == [1, 1]
        assert (await run("policy", "--dry-run", str(path)))[1] == "No route would fare otherwise.\n"

    with_commands(tmp_path, capsys, scenario)


def test_arguments_of_the_wrong_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(_: Pair, run: Run) -> None:
        del run
        socket = str(tmp_path / "10.99.0.2.sock")
        for word, arguments, complaint in (
            ("routes", {"longer": 1}, "routes longer: true or false expected, not 1"),
            ("routes", {"prefx": "10.0.0.0/8"}, "routes: no such argument 'prefx'"),
            ("peer", {"peer": 7}, "peer 7: a text expected"),
            ("refresh", {"peer": "10.99.0.1", "direction": "up"}, "direction 'up': one of in, out, both expected"),
        ):
            with pytest.raises(DaemonAnswerError, match=complaint):
                await asyncio.to_thread(lambda word=word, arguments=arguments: list(follow(socket, word, arguments)))

    with_commands(tmp_path, capsys, scenario)
