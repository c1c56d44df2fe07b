"""One line per call in the log file that the configuration names; stdout belongs to the answer."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calico_routing.cni.errors import CniError

MAX_OCTETS = 100 * 1024 * 1024
#: least severe first; a level writes itself and what stands behind it.
LEVELS = ("debug", "info", "warning", "error")
TRACE_VARIABLES = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")


def write(
    plugin: str,
    environment: Mapping[str, str],
    document: Mapping[str, Any],
    failure: CniError | None,
    seconds: float,
) -> None:
    """Append what was asked and how it ended; a log that cannot be written never fails a call."""
    path = document.get("log_file_path")
    level = "error" if failure else "info"
    if not isinstance(path, str) or not path or not _wanted(level, document.get("log_level")):
        return
    try:
        _append(path, json.dumps(_entry(plugin, environment, document, failure, seconds) | {"level": level}))
    except OSError as error:
        sys.stderr.write(f"warning: cannot write {path}: {error.strerror}\n")


def _wanted(level: str, configured: object) -> bool:
    lowest = str(configured).lower() if configured else "info"
    return LEVELS.index(level) >= (LEVELS.index(lowest) if lowest in LEVELS else LEVELS.index("info"))


def _entry(
    plugin: str,
    environment: Mapping[str, str],
    document: Mapping[str, Any],
    failure: CniError | None,
    seconds: float,
) -> dict[str, object]:
    entry: dict[str, object] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "plugin": plugin,
        "command": environment.get("CNI_COMMAND", ""),
        "network": document.get("name", ""),
        "container": environment.get("CNI_CONTAINERID", ""),
        "interface": environment.get("CNI_IFNAME", ""),
        "arguments": environment.get("CNI_ARGS", ""),
        "seconds": round(seconds, 4),
    }
    entry |= {name.lower(): environment[name] for name in TRACE_VARIABLES if environment.get(name)}
    return entry | ({"code": failure.code, "error": str(failure)} if failure else {})


def _append(path: str, line: str) -> None:
    """O_APPEND keeps the lines of parallel calls whole; a full file makes way once."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # noqa: PTH103, PTH120 - pathlib costs 3 ms
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.fstat(descriptor).st_size > MAX_OCTETS:
            os.replace(path, f"{path}.1")  # noqa: PTH105 - pathlib costs 3 ms
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)
