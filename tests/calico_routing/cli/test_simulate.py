"""`pybgp-node sim`: the time line, its end, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from calico_routing.cli.main import main

EXAMPLE = Path(__file__).parents[3] / "examples" / "topology.toml"


@pytest.fixture
def log_settings() -> Iterator[None]:
    """Let the log of this process be afterwards what it was: a simulation is silent."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def simulate(*arguments: str, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "calico_routing.cli.main", "sim", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
    )


def test_the_time_line_is_the_same_in_every_process() -> None:
    arguments = (str(EXAMPLE), "--seed", "7", "--kill", "east3@10s", "--start", "east3@15s", "--until", "39s")
    first, second = (simulate(*arguments, hash_seed=seed) for seed in (1, 2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    lines = first.stdout.splitlines()
    assert any(line.split() == ["10.000", "east3", "killed"] for line in lines)
    assert any("east1" in line and "192.168.1.128/26 lost" in line for line in lines)
    assert lines[-2] == "after 39 s: 5 nodes run, 10 of their 10 session ends are up"
    assert lines[-1] == "every chosen route leads to its destination"
    assert first.stdout != simulate(*arguments[:2], "8", *arguments[3:]).stdout


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "calico_routing.cli.main", "sim", str(EXAMPLE), "--until", "5"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert answer.returncode == 1
    assert answer.stderr == "pybgp-node: standard output: No space left on device\n"


def test_json_lines_say_the_same() -> None:
    answer = simulate(str(EXAMPLE), "-o", "json", "--until", "10", "--cut", "east1:east2@3s", "--heal", "east1:east2@4")
    assert answer.returncode == 0, answer.stderr
    moments = [json.loads(line) for line in answer.stdout.splitlines()]
    assert {"time": 3.0, "node": "east1", "kind": "cut", "text": "from east2"} in moments
    assert moments[-1]["kind"] == "end"
    assert moments[-1]["problems"] == []


def test_packets_that_end_nowhere_are_the_status(tmp_path: Path) -> None:
    """Without an IGP that tells, a router still believes in a dead line until its hold timer ends."""
    topology = tmp_path / "line.toml"
    topology.write_text(
        '[node.a]\nas = 1\nnetworks = ["192.0.2.0/24"]\n[node.b]\nas = 2\n[node.c]\nas = 3\n'
        '[[link]]\nnodes = ["a", "b"]\n[[link]]\nnodes = ["b", "c"]\n'
        '[[event]]\nat = 10\ncut = ["a", "b"]\n'
    )
    answer = simulate(str(topology), "--until", "10.01s")
    assert answer.returncode == 1
    assert "c to 192.0.2.0/24: black hole (c b)" in answer.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["/nonexistent/topology.toml"], "No such file"),
        ([str(EXAMPLE), "--kill", "north@5s"], "node 'north'"),
        ([str(EXAMPLE), "--kill", "east1"], "kill 'east1': a time expected"),
        ([str(EXAMPLE), "--cut", "east1@5s"], "2 operands expected, not 1"),
        ([str(EXAMPLE), "--until", "soon"], "time 'soon'"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], complaint: str) -> None:
    answer = simulate(*arguments)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert complaint in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["[node.a", "x = " + "[" * 3000])
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, text: str) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(text)
    answer = simulate(str(broken))
    assert (answer.returncode, len(answer.stderr.splitlines())) == (2, 1)
    assert str(broken) in answer.stderr


def test_it_ends_quietly_when_nobody_reads_any_more() -> None:
    command = [sys.executable, "-m", "calico_routing.cli.main", "sim", str(EXAMPLE), "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[node.a]\n\nas = 0\n", "TOPOLOGY:3: node.a: local_as 0: 1 to 4294967295 expected"),
        ("[node.a]\n[[mesh]]\ncount = 1\n[[mesh]]\nnodes = []\nlatency = 'x'\n", "TOPOLOGY:4: mesh[1]: nodes (a list"),
        (
            "[node.a]\n[policy.p]\n[[policy.p.clause]]\nmatch.foo = 1\n",
            "TOPOLOGY:4: policy.p.clause[0].match.foo: no such key;",
        ),
        ("[node.a]\n[[event]]\nat = 1\nkill = 'b'\n", "TOPOLOGY: node 'b': there is none"),
        ("[node.a]\n[node.b]\n[[link]]\nnodes = ['a', 'b']\nhold_time = 2\n", "TOPOLOGY: hold_time 2: "),
    ],
)
@pytest.mark.usefixtures("log_settings")
def test_a_mistake_in_the_file_has_its_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    topology = tmp_path / "topology.toml"
    topology.write_text(text)
    assert main(["sim", str(topology)]) == 2
    err = capfd.readouterr().err.replace(str(topology), "TOPOLOGY")
    assert err.startswith(f"pybgp-node: {complaint}")
    assert err.count("\n") == 1
