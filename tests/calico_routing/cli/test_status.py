"""`pybgp-node status` against a daemon that answers, one that does not, and none."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_routing.cli.main import main

DOCUMENT = {
    "node": "worker-01",
    "peers": [
        {
            "name": "Mesh_10_0_0_11",
            "address": "10.0.0.11",
            "port": None,
            "state": "Established",
            "protocol_state": "up",
            "since": 0.0,
            "last_error": "",
        }
    ],
}


@contextlib.contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(100)
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_the_agent_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--socket", str(tmp_path / "none.sock")]) == 1
    assert capsys.readouterr().out == "Calico process is not running.\n"


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.sock"
    with answering(path, json.dumps(DOCUMENT).encode()):
        assert main(["status", "--socket", str(path)]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Calico process is running.\n\nIPv4 BGP status\n+---")
    assert "| 10.0.0.11    | node-to-node mesh | up    | 1970-01-01 | Established |" in output
    assert output.endswith("IPv6 BGP status\nNo IPv6 peers found.\n\n")


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.sock"
    with answering(path, json.dumps(DOCUMENT).encode()):
        assert main(["status", "--socket", str(path), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT


@pytest.mark.parametrize("answer", [b"", b"[]", b"{"])
def test_a_strange_answer(tmp_path: Path, answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.sock"
    with answering(path, answer):
        assert main(["status", "--socket", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"pybgp-node: {path}: ")


def test_what_the_agent_refuses_is_said_in_its_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.sock"
    with answering(path, b'{"error": "the speaker is not running"}'):
        assert main(["status", "--socket", str(path)]) == 1
    assert capsys.readouterr().err == "pybgp-node: the speaker is not running\n"


def test_the_socket_comes_from_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[control]\nsocket = "{tmp_path}/other.sock"\n')
    with answering(tmp_path / "other.sock", json.dumps(DOCUMENT).encode()):
        assert main(["status", "-c", str(config)]) == 0
    config.write_text("[control]\nsocket = 5\n")
    assert main(["status", "-c", str(config)]) == 2
    assert capsys.readouterr().err.startswith(f"pybgp-node: {config}:2: control.socket: expected a text")
