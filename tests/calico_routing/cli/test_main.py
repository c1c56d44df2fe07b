"""The command line: default command, help, version, and how fast it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calico_routing.cli.main import main, with_command

HEAVY = {"asyncio", "structlog", "pyroute2", "pybgp.transport.speaker", "calico_routing.node_daemon"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["run"]),
        (["-c", "x"], ["run", "-c", "x"]),
        (["status"], ["status"]),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
        (["check", "-c", "x"], ["check", "-c", "x"]),
    ],
)
def test_run_is_the_default(arguments: list[str], expected: list[str]) -> None:
    assert with_command(arguments) == expected


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("pybgp-node ")


@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["check"], ["install-cni"]])
def test_help_names_the_exit_statuses(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "exit status:" in text or command == ["install-cni"]


def test_a_wrong_option_is_a_wrong_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--no-such-option"])
    assert ended.value.code == 2
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["['--help']", "['status', '--socket', '/nonexistent/node.sock']"])
def test_small_commands_load_nothing_heavy(command: str) -> None:
    code = f"""
import sys
from calico_routing.cli.main import main
try:
    main({command})
except SystemExit:
    pass
print("loaded:", *sorted({HEAVY!r} & set(sys.modules)))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
