"""Each cause of failure, with real processes: one clear line, the right exit status, nothing changed or lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_routing.cli.exit_codes import ExitCode
from calico_routing.cli.main import main
from calico_routing.cli.run import CODES, exit_code
from calico_routing.control_client import DaemonNotRunningError, ask, follow
from calico_routing.datastore.open import open_datastore
from calico_routing.model.resources import IPPool, Node

ROOT = Path(__file__).parents[3]
LIMIT_SECONDS = 20
DEVICE = "ip link set lo up; ip link add eth0 type veth peer name eth0p; ip link set eth0p up; ip link set eth0 up; \
ip address add 10.0.0.12/24 dev eth0"
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root for a network namespace"
)
pytestmark = [needs_root, pytest.mark.namespaces]

NODE = """[node]
name = "worker-01"
nodename_file = "{directory}/nodename"
[datastore]
url = "sqlite://{directory}/store.db"
[control]
socket = "{directory}/node.sock"
"""


def command(directory: Path, before: str = "", prefix: str = "") -> list[str]:
    program = f"{sys.executable} -m calico_routing.cli.main run -c {directory}/node.toml"
    script = f"mount --make-rprivate /; mount -t sysfs s /sys; {DEVICE}; {before}\nexec {prefix} {program}"
    return ["unshare", "-m", "-n", "sh", "-c", script]


def run(directory: Path, text: str = NODE, *, before: str = "", prefix: str = "") -> tuple[int, str]:
    """Run the agent in a namespace of its own until it gives up; return its exit status and its standard error."""
    (directory / "node.toml").write_text(text.format(directory=directory))
    done = subprocess.run(
        command(directory, before, prefix),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


def complaint(text: str) -> str:
    """Return the one line that is no log event."""
    lines = [line for line in text.splitlines() if line.startswith("pybgp-node: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0].removeprefix("pybgp-node: ")


def stored(directory: Path, kind: type[Node] | type[IPPool]) -> list[str]:
    if not (directory / "store.db").exists():
        return []
    with open_datastore(f"sqlite://{directory}/store.db") as store:
        return [item.name for item in store.list(kind).items]


def test_malformed_configuration(tmp_path: Path) -> None:
    status, error = run(tmp_path, "[node]\nname = worker\n")
    assert status == ExitCode.CONFIGURATION
    assert complaint(error) == f"{tmp_path}/node.toml:2: name: expected TOML, but: invalid value"


def test_overlapping_pools(tmp_path: Path) -> None:
    pools = '[[pool]]\ncidr = "10.1.0.0/16"\n[[pool]]\ncidr = "10.1.2.0/24"\n'
    status, error = run(tmp_path, NODE + pools)
    assert status == ExitCode.CONFIGURATION
    assert "pool.cidr: expected a prefix apart from other pools, but 10.1.2.0/24 overlaps 10.1.0.0/16" in error
    assert not stored(tmp_path, Node)


def test_a_pool_that_overlaps_a_stored_one(tmp_path: Path) -> None:
    with open_datastore(f"sqlite://{tmp_path}/store.db") as store:
        store.create(IPPool(metadata=Node().metadata.replace(name="stored"), cidr="10.1.0.0/16"))
    status, error = run(tmp_path, NODE + '[[pool]]\nname = "new"\ncidr = "10.1.2.0/24"\n')
    assert status == ExitCode.CONFIGURATION
    assert complaint(error) == "pool.cidr: 10.1.2.0/24 of pool new overlaps 10.1.0.0/16 of pool stored"
    assert stored(tmp_path, IPPool) == ["stored"]
    assert not stored(tmp_path, Node)


def test_block_size_out_of_range(tmp_path: Path) -> None:
    status, error = run(tmp_path, NODE + "[ipv4_pool]\nblock_size = 33\n")
    assert status == ExitCode.CONFIGURATION
    assert "ipv4_pool.block_size: expected a whole number from 20 to 32, not 33" in complaint(error)


def test_no_node_name(tmp_path: Path) -> None:
    without = NODE.replace('name = "worker-01"\n', "")
    nameless = "unshare -u sh -c 'echo > /proc/sys/kernel/hostname; unset HOSTNAME NODENAME; exec \"$@\"' sh"
    status, error = run(tmp_path, without, prefix=nameless)
    assert status == ExitCode.IDENTITY
    assert complaint(error).startswith("node name: the host has no name; set node.name (NODENAME)")
    status, error = run(tmp_path, without, prefix="env NODENAME='worker 01'")
    assert status == ExitCode.IDENTITY
    assert complaint(error).startswith("node name: 'worker 01' is no host name; set node.name (NODENAME)")
    assert not stored(tmp_path, Node)


def test_the_port_is_taken(tmp_path: Path) -> None:
    taker = f"{sys.executable} -c 'import socket,time; s=socket.create_server((\"0.0.0.0\",179)); time.sleep(15)' & "
    wait = "for i in 1 2 3 4 5 6 7 8 9 10; do ss -ltn | grep -q :179 && break; sleep 0.2; done; "
    end = "trap 'kill $!' EXIT"
    (tmp_path / "node.toml").write_text(NODE.format(directory=tmp_path))
    script = command(tmp_path, taker + wait + end)
    script[-1] = script[-1].replace("exec ", "")
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == ExitCode.LISTEN, done.stderr
    assert complaint(done.stderr) == "cannot listen on 0.0.0.0 port 179: another program has it (a second BGP speaker?)"
    assert not stored(tmp_path, Node)


def test_no_permission_to_change_routes(tmp_path: Path) -> None:
    status, error = run(tmp_path, prefix="setpriv --bounding-set=-net_admin --inh-caps=-net_admin")
    assert status == ExitCode.KERNEL
    assert complaint(error).startswith("change routes: needs CAP_NET_ADMIN")
    assert not (tmp_path / "store.db").exists()
    assert not (tmp_path / "node.sock").exists()


def test_no_tunnel_device(tmp_path: Path) -> None:
    probe = subprocess.run(
        ["unshare", "-n", "ip", "link", "add", "probe", "type", "ipip"], capture_output=True, check=False
    )
    if probe.returncode == 0:
        pytest.skip("this kernel has the ipip module")
    status, error = run(tmp_path, NODE + '[ipv4_pool]\nipip = "Always"\n')
    assert status == ExitCode.KERNEL
    assert complaint(error).startswith("create tunnel device tunl0: this kernel has no ipip module")
    assert not stored(tmp_path, Node)
    assert not stored(tmp_path, IPPool)


def test_two_nodes_with_one_address(tmp_path: Path) -> None:
    with open_datastore(f"sqlite://{tmp_path}/store.db") as store:
        store.create(Node(metadata=Node().metadata.replace(name="first"), ipv4_address="10.0.0.12/24"))
    status, error = run(tmp_path)
    assert status == ExitCode.IDENTITY
    assert complaint(error).startswith("node address: 10.0.0.12 is already the address of node first")
    assert stored(tmp_path, Node) == ["first"]


def test_a_corrupt_store(tmp_path: Path) -> None:
    octets = b"this is no database, it only lies here" * 200
    (tmp_path / "store.db").write_bytes(octets)
    status, error = run(tmp_path)
    assert status == ExitCode.DATASTORE
    assert str(tmp_path / "store.db") in complaint(error)
    assert (tmp_path / "store.db").read_bytes() == octets


@contextlib.contextmanager
def running(directory: Path, text: str = NODE) -> Iterator[subprocess.Popen[str]]:
    (directory / "node.toml").write_text(text.format(directory=directory))
    process = subprocess.Popen(command(directory), stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                ask(f"{directory}/node.sock", "status")
                break
            except DaemonNotRunningError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_agent_well(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as process:
        process.send_signal(number)
        _, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == ExitCode.OK, error
    assert "Traceback" not in error
    assert not (tmp_path / "node.sock").exists()


def test_a_second_agent_does_not_disturb_the_first(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        status, error = run(tmp_path)
        assert status == ExitCode.CONTROL_SOCKET
        assert complaint(error) == f"{tmp_path}/node.sock: another pybgp-node already answers here"
        assert ask(f"{tmp_path}/node.sock", "status")["process"] == process.pid


def test_every_cause_has_its_status() -> None:
    assert {exit_code(kind.__new__(kind)) for kind, _ in CODES} == {code for _, code in CODES}
    assert exit_code(ZeroDivisionError()) is ExitCode.FAILURE


def until_planned(socket: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while ask(socket, "status")["local_as"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_reload_by_signal(tmp_path: Path) -> None:
    path, socket = tmp_path / "node.toml", f"{tmp_path}/node.sock"
    with running(tmp_path) as process:
        until_planned(socket)
        good, standard_error = path.read_text(), process.stderr
        assert standard_error is not None
        path.write_text(good + "[policy.p]\ndefault = 'accpet'\n")
        process.send_signal(signal.SIGHUP)
        assert "expected one of 'accept', 'reject', not 'accpet'" in next(
            line for line in standard_error if "reload_refused" in line
        )
        path.write_text(good + "[bgp]\nimport_policy = 'p'\n[policy.p]\ndefault = 'accept'\n")
        process.send_signal(signal.SIGHUP)
        assert next(line for line in standard_error if "reloaded" in line)
        assert process.poll() is None


LEARNING = """[kernel]
import_policy = "p"
[policy.p]
[[policy.p.clause]]
match.prefix = "198.51.0.0/16 le 24"
set.tag = "TAG"
then = "accept"
"""
#: What stands in the file besides, and what is said of its last line.
MISTAKES = {
    "[policy.q": "expected TOML, but: expected ']' at the end of a table declaration",
    "[[policy.q.clause]]\nmacth.med = 5": "policy.q.clause.macth: no such key; did you mean 'match'?",
    "[[policy.q.clause]]\nmatch.med = '9-5'": "policy.q.clause.match.med: '9-5' is an impossible range; "
    "0 <= from <= to <= 4294967295 is expected",
    "[[policy.q.clause]]\nset.community_add = ['no-export', 'no-exprot']": "policy.q.clause.set.community_add: "
    "community 'no-exprot': no such community; did you mean 'no-export'?",
}


def test_a_bad_reload_leaves_the_running_policy_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file has another policy too: after a refusal new routes of the kernel are judged by the one before."""
    path, socket = tmp_path / "node.toml", f"{tmp_path}/node.sock"

    def text(tag: str) -> str:
        return (NODE + LEARNING).format(directory=tmp_path).replace("TAG", tag)

    def until_tagged(tag: str, count: int) -> None:
        deadline, wanted = time.monotonic() + LIMIT_SECONDS, {f"198.51.{number}.0/24": tag for number in range(count)}
        while wanted != (
            found := {row["prefix"]: row["label"] for row in follow(socket, "routes", {}) if "label" in row}
        ):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    with running(tmp_path, text("first")) as process:
        way = ["nsenter", "-n", "-t", str(process.pid), "ip", "route", "add", "via", "10.0.0.1", "proto", "static"]
        assert process.stderr is not None
        until_planned(socket)
        for number, (mistake, said) in enumerate(MISTAKES.items()):
            path.write_text(text("second") + mistake)
            told = f"{path}:{len(path.read_text().splitlines())}: {said}"
            process.send_signal(signal.SIGHUP)
            assert told in next(line for line in process.stderr if "reload_refused" in line).replace("\\'", "'")
            assert main(["reload", "--socket", socket]) == 1
            assert capsys.readouterr() == ("", f"pybgp-node: nothing was changed: {told}\n")
            assert next(line for line in process.stderr if "reload_refused" in line)
            subprocess.run([*way, f"198.51.{number}.0/24"], check=True)
            until_tagged("first", number + 1)
        path.write_text(text("second"))
        process.send_signal(signal.SIGHUP)
        until_tagged("second", len(MISTAKES))
