"""`pybgp-node check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from calico_routing.cli.main import main


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[node]\nname = "x"\n')
    assert main(["check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: good; a node of sqlite:///var/lib/calico/datastore.db\n"
    path.write_text('[node]\nas_number = 1\nip = "127.0.0.1"\n[[peer]]\naddress = "192.0.2.1"\nremote_as = 1\n')
    assert main(["check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: good; a plain BGP router\n"


def test_a_warning_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[[policy.p.clause]]\nthen = "accept"\n[[policy.p.clause]]\nthen = "reject"\n')
    assert main(["check", "-c", str(path)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}:3: policy.p.clause: never reached: clause clause-1 decides")
    assert line.endswith(" (a warning)")


def test_every_problem_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[bgp]\nhold_time = 1\n[ipv4_pool]\nblock_size = 33\n")
    assert main(["check", "-c", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:2: bgp.hold_time: expected 0 or a whole number of seconds from 3 to 65535, not 1",
        f"{path}:4: ipv4_pool.block_size: expected a whole number from 20 to 32, not 33",
    ]


PEER = "[node]\nas_number = 64512\n[[peer]]\naddress = '192.0.2.1'\nremote_as = 64512\n"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[node]\nrouter_id = '0.0.0.0'", 2, 'node.router_id: expected "hash" or an IPv4 address other than 0.0.0.0'),
        ("[bgp]\ncluster_id = '0.0.0.0'", 2, "bgp.cluster_id: expected an IPv4 address other than 0.0.0.0"),
        (
            "[bgp]\nhold_time = true",
            2,
            "bgp.hold_time: expected 0 or a whole number of seconds from 3 to 65535, not true",
        ),
        (PEER + "role = 'provider'", 6, "peer.role: expected another remote_as than our own, 64512"),
        (PEER.replace("192.0.2.1", "224.0.0.5"), 4, "peer.address: expected the address of a host, not '224.0.0.5'"),
        (PEER.replace("192.0.2.1", "::"), 4, "peer.address: expected the address of a host, not '::'"),
        (
            "[datastore]\nurl = 'none'",
            2,
            "node.as_number (AS): expected an AS number, because there is no datastore",
        ),
        (
            "[prefix_set.a]\nfile = '/nowhere'",
            2,
            "prefix_set.a.file: /nowhere: cannot be read: No such file",
        ),
    ],
)
def test_what_a_speaker_would_refuse_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, problem: str
) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    assert main(["check", "-c", str(path)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{path}:{line}: {problem}")


def test_a_password_is_never_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, password = tmp_path / "node.toml", "hunter2" * 12
    path.write_text(f"{PEER}password = '{password}'\n[secrets]\na = '{password}'\nb = 12345\n")
    assert main(["check", "-c", str(path)]) == 2
    said = capsys.readouterr().err
    assert [line.partition(": ")[2] for line in said.splitlines()] == [
        "peer.password: expected a text of 1 to 80 octets",
        "secrets.a: expected a text of 1 to 80 octets",
        "secrets.b: expected a text of 1 to 80 octets",
    ]
    assert "hunter2" not in said
    assert "12345" not in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[node]\nname = 'a/b'", "{path}:2: node name: 'a/b' is no host name"),
        ("[node]\nip = '10.0.0.1/33'", "{path}:2: node address: IP: expected an address, autodetect or none"),
        ("[node]\nip6 = '::1'", "{path}:2: node address: IP6: expected an address that other nodes can reach"),
        ("[datastore]\nurl = 'etcd://x'", "{path}:2: datastore 'etcd://x' is neither"),
        ("[ipv4_pool]\nnode_selector = 'has('", "IPPool default-ipv4-ippool: spec.nodeSelector: must be a selector"),
    ],
)
def test_what_would_end_the_start_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    assert main(["check", "-c", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(problem.format(path=path))


def test_detection_methods_are_checked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[node]\nip_autodetection_method = "guess"\n')
    monkeypatch.setenv("IP6_AUTODETECTION_METHOD", "interface=(")
    assert main(["check", "-c", str(path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{path}:2: node.ip_autodetection_method: expected one of first-found")
    assert second.startswith("environment variable IP6_AUTODETECTION_METHOD: node.ip6_autodetection_method: expected a")
