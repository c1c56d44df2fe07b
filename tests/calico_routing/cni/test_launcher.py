"""A plugin process from the outside: what a runtime or a person sees before any network is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calico_routing.cni.versions import SUPPORTED_VERSIONS

ROOT = Path(__file__).parents[3]
START = f"import sys; sys.path.append({str(ROOT)!r}); from calico_routing.cni.launcher import main; "
CONFIG = {"cniVersion": "1.1.0", "name": "net", "type": "calico"}
#: what a CNI process must never load: measured, each costs more than the work itself (dataclasses loads inspect).
TOO_HEAVY = {
    "argparse",
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "hashlib",
    "http",
    "inspect",
    "logging",
    "pathlib",
    "pyroute2",
    "random",
    "ssl",
    "structlog",
    "subprocess",
    "tempfile",
    "threading",
    "unittest",
    "urllib",
    "uuid",
    "pybgp",
}


def call(
    command: str | None, stdin: bytes = b"", plugin: str = "calico", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    variables = {"CNI_COMMAND": command} if command is not None else {}
    code = START + f"sys.exit(main({plugin!r}))"
    return subprocess.run(
        [sys.executable, "-IS", "-c", code],
        env={**variables, **environment},
        input=stdin,
        capture_output=True,
        check=False,
    )


def error_of(process: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert process.returncode == 1, process
    (line,) = process.stdout.decode().splitlines()
    document: dict[str, Any] = json.loads(line)
    assert document["msg"]
    return document


@pytest.mark.parametrize("plugin", ["calico", "calico-ipam"])
def test_version_with_dummies(plugin: str) -> None:
    process = call(
        "VERSION", plugin=plugin, CNI_IFNAME="dummy", CNI_NETNS="dummy", CNI_PATH="dummy", CNI_CONTAINERID=""
    )
    assert process.returncode == 0
    assert json.loads(process.stdout) == {"cniVersion": "1.1.0", "supportedVersions": list(SUPPORTED_VERSIONS)}


def test_run_by_hand() -> None:
    process = call(None)
    assert (process.returncode, process.stdout) == (0, b"")
    assert b"calico" in process.stderr
    assert b"1.1.0" in process.stderr


@pytest.mark.parametrize("plugin", ["calico", "calico-ipam"])
@pytest.mark.parametrize(
    ("command", "stdin", "environment", "code"),
    [
        ("ADD", b"", {}, 4),
        ("NOTHING", b"", {}, 4),
        ("STATUS", b"", {"CNI_PATH": "/bin"}, 6),
        ("STATUS", b"{}", {"CNI_PATH": "/bin"}, 7),
        ("STATUS", b'{"name": "n", "cniVersion": "1.0.0"}', {"CNI_PATH": "/bin"}, 1),
        ("STATUS", b'{"name": "n", "cniVersion": "9.9"}', {"CNI_PATH": "/bin"}, 1),
        ("STATUS", json.dumps(CONFIG | {"datastore_type": "etcdv3"}).encode(), {"CNI_PATH": "/bin"}, 50),
        ("GC", json.dumps(CONFIG | {"cniVersion": "0.4.0"}).encode(), {"CNI_PATH": "/bin"}, 1),
        ("STATUS", json.dumps(CONFIG | {"mtu": "big"}).encode(), {"CNI_PATH": "/bin"}, 7),
    ],
)
def test_errors_are_json_on_stdout(
    plugin: str, command: str, stdin: bytes, environment: dict[str, str], code: int, tmp_path: Path
) -> None:
    if b"etcdv3" in stdin:
        (tmp_path / "nodename").write_text("n1")
        stdin = stdin.replace(b'"etcdv3"', f'"etcdv3", "nodename_file": "{tmp_path}/nodename"'.encode())
    document = error_of(call(command, stdin, plugin, **environment))
    assert document["code"] == code


def test_the_error_repeats_the_version_of_the_configuration() -> None:
    stdin = b'{"name": "n", "cniVersion": "0.3.1"}'
    assert error_of(call("STATUS", stdin, CNI_PATH="/bin"))["cniVersion"] == "0.3.1"


ATTACHMENT = {"CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_PATH": "/bin"}


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_our_own_namespace_is_refused_before_anything_is_done(command: str) -> None:
    stdin = json.dumps(CONFIG).encode()
    document = error_of(call(command, stdin, CNI_NETNS=f"/proc/{os.getpid()}/ns/net", **ATTACHMENT))
    assert document["code"] == 8


def test_a_namespace_that_is_not_there() -> None:
    document = error_of(call("ADD", json.dumps(CONFIG).encode(), CNI_NETNS="/no/such/netns", **ATTACHMENT))
    assert document["code"] == 8


def test_a_closed_stdin() -> None:
    code = START + "import os; os.close(0); sys.exit(main('calico'))"
    environment = {"CNI_COMMAND": "STATUS", "CNI_PATH": "/bin"}
    process = subprocess.run([sys.executable, "-IS", "-c", code], env=environment, capture_output=True, check=False)
    assert error_of(process)["code"] == 5


def test_the_call_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "log" / "cni.log"
    stdin = json.dumps(CONFIG | {"log_file_path": str(log), "nodename_file": str(tmp_path / "absent")}).encode()
    trace = {"TRACEPARENT": "00-abc-def-01"}
    error_of(call("STATUS", stdin, CNI_PATH="/bin", **trace))
    (line,) = log.read_text().splitlines()
    entry = json.loads(line)
    assert (entry["command"], entry["plugin"], entry["level"], entry["code"]) == ("STATUS", "calico", "error", 50)
    assert entry["traceparent"] == "00-abc-def-01"


def test_a_log_that_cannot_be_written_is_no_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = CONFIG | {"log_file_path": str(tmp_path / "file" / "cni.log"), "nodename_file": str(tmp_path / "absent")}
    process = call("STATUS", json.dumps(config).encode(), CNI_PATH="/bin")
    assert error_of(process)["code"] == 50
    assert b"warning: cannot write" in process.stderr


def test_the_log_level_can_silence_success(tmp_path: Path) -> None:
    from calico_routing.cni import call_log

    path = tmp_path / "cni.log"
    document = {"log_file_path": str(path), "log_level": "Error"}
    call_log.write("calico", {}, document, None, 0.1)
    assert not path.exists()
    call_log.write("calico", {}, document | {"log_level": "info"}, None, 0.1)
    assert path.exists()


def test_a_full_log_makes_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from calico_routing.cni import call_log

    monkeypatch.setattr(call_log, "MAX_OCTETS", 10)
    path = tmp_path / "cni.log"
    for _ in range(2):
        call_log.write("calico", {}, {"log_file_path": str(path)}, None, 0.1)
    assert not path.exists()
    assert len((tmp_path / "cni.log.1").read_text().splitlines()) == 2


@pytest.mark.parametrize("module", ["routing_plugin", "ipam_plugin", "launcher"])
def test_nothing_heavy_is_loaded(module: str) -> None:
    code = f"import sys; sys.path.append({str(ROOT)!r}); import calico_routing.cni.{module}; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, check=True)
    loaded = set(process.stdout.decode().split())
    assert f"calico_routing.cni.{module}" in loaded
    assert loaded & TOO_HEAVY == set()


def test_version_loads_next_to_nothing() -> None:
    code = START + "main('calico'); print(*sys.modules, file=sys.stderr)"
    environment = {"CNI_COMMAND": "VERSION"}
    process = subprocess.run([sys.executable, "-IS", "-c", code], env=environment, capture_output=True, check=True)
    loaded = set(process.stderr.decode().split())
    assert not loaded & {"json", "re", "enum", "socket", "typing", "calico_routing.model"}
