"""The runtime simulator itself: derivation, order, cache, collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.calico_routing.cni.runtime import Attachment, PluginError, Runtime

#: notes what it was given and passes prevResult on; the first of a chain makes one up.
RECORDER = """#!/bin/sh
config="$(cat)"
printf '%s %s %s\\n' "$CNI_COMMAND" "$(basename "$0")" "$config" >> "$RECORD"
case "$CNI_COMMAND" in ADD) printf '{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.1/32"}]}';; esac
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    for name in ("first", "second"):
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)
    plugins = [{"type": "first", "keep": 1}, {"type": "second", "capabilities": {"portMappings": True, "mac": False}}]
    conflist = {"cniVersion": "1.0.0", "cniVersions": ["1.0.0", "1.1.0"], "name": "net", "plugins": plugins}
    record = {"RECORD": str(tmp_path / "record")}
    return Runtime(conflist, [tmp_path], tmp_path / "cache", environment=record)


def record(tmp_path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    lines = (tmp_path / "record").read_text().splitlines()
    return [(command, name, json.loads(text)) for command, name, text in (line.split(" ", 2) for line in lines)]


POD = Attachment("c1", "/run/netns/x", capabilities={"portMappings": [{"hostPort": 80}], "mac": "x", "ips": []})


def test_order_chaining_and_derivation(runtime: Runtime, tmp_path: Path) -> None:
    result = runtime.add(POD)
    runtime.check(POD)
    runtime.delete(POD)
    calls = record(tmp_path)
    assert [call[:2] for call in calls] == [
        ("ADD", "first"),
        ("ADD", "second"),
        ("CHECK", "first"),
        ("CHECK", "second"),
        ("DEL", "second"),
        ("DEL", "first"),
    ]
    first, second = calls[0][2], calls[1][2]
    assert first == {"cniVersion": "1.1.0", "name": "net", "type": "first", "keep": 1}
    assert second["runtimeConfig"] == {"portMappings": [{"hostPort": 80}]}
    assert second["capabilities"] == {"portMappings": True, "mac": False}
    assert all(call[2]["prevResult"] == result for call in calls[1:])


def test_a_repeated_delete_has_no_previous_result(runtime: Runtime, tmp_path: Path) -> None:
    runtime.add(POD)
    runtime.delete(POD)
    runtime.delete(POD)
    assert "prevResult" not in record(tmp_path)[-1][2]


def test_collection_deletes_stale_attachments_first(runtime: Runtime, tmp_path: Path) -> None:
    runtime.add(POD)
    runtime.add(Attachment("c2", "/run/netns/y"))
    runtime.gc([POD])
    assert [call[:2] for call in record(tmp_path)[4:]] == [
        ("DEL", "second"),
        ("DEL", "first"),
        ("GC", "first"),
        ("GC", "second"),
    ]
    keep = [{"containerID": "c1", "ifname": "eth0"}]
    assert record(tmp_path)[-1][2]["cni.dev/valid-attachments"] == keep
    assert record(tmp_path)[-1][2]["cni.dev/attachments"] == keep


def test_a_failure_reads_as_a_cluster_user_reads_it(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "first").write_text(
        '#!/bin/sh\necho \'{"code": 102, "msg": "no address", "details": "full"}\'\nexit 1\n'
    )
    with pytest.raises(PluginError, match=r'plugin type="first" failed \(add\): no address; full') as caught:
        runtime.add(POD)
    assert caught.value.code == 102
    (tmp_path / "first").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(PluginError, match="netplugin failed with no error message"):
        runtime.add(POD)
