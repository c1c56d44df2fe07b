"""Running another IPAM plugin as the specification says: same stdin, same environment (CNI section 4)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from calico_routing.cni.errors import CniError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READ_OCTETS = 65536


def find_plugin(plugin_type: str, plugin_path: Sequence[str]) -> str:
    """The executable of that name in CNI_PATH."""
    if not plugin_type or "/" in plugin_type:
        raise CniError(ErrorCode.INVALID_CONFIGURATION, f"invalid plugin type {plugin_type!r}", "correct ipam.type")
    for directory in plugin_path:
        path = f"{directory}/{plugin_type}"
        if os.access(path, os.X_OK):
            return path
    raise CniError(
        ErrorCode.INVALID_CONFIGURATION,
        f"failed to find plugin {plugin_type!r} in path [{' '.join(plugin_path)}]",
        "install the plugin or correct ipam.type in the network configuration",
    )


def run_plugin(path: str, document: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    """Run one plugin to its end; its JSON answer, or None when it printed nothing; its error keeps its code."""
    status, output = _run(path, json.dumps(document).encode(), environment)
    answer = _decode(path, output)
    if status == 0:
        return answer
    name = os.path.basename(path)  # noqa: PTH119 - pathlib costs more than this whole module
    if not isinstance(answer, dict):
        raise CniError(
            ErrorCode.INTERNAL, f"plugin {name} failed with status {status} and no error message", "see its stderr"
        )
    code, details = answer.get("code"), str(answer.get("details", ""))
    raise CniError(
        code if isinstance(code, int) else ErrorCode.INTERNAL,
        str(answer.get("msg", "")) or f"plugin {name} failed without a message",
        f"{details} (from the IPAM plugin {name})".strip(),
    )


def _run(path: str, stdin: bytes, environment: Mapping[str, str]) -> tuple[int, bytes]:
    """Spawn without threads or selectors: stdin is a file in memory, stderr is ours."""
    source = os.memfd_create("cni-stdin")
    reader, writer = os.pipe()
    try:
        os.write(source, stdin)
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, writer, 1)]
        process = os.posix_spawn(path, [path], environment, file_actions=actions)
    except OSError as error:
        os.close(reader)
        raise CniError(ErrorCode.INTERNAL, f"cannot run {path}: {error.strerror}", "check the plugin file") from error
    finally:
        os.close(writer)
        os.close(source)
    output = _read_to_end(reader)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), output


def _read_to_end(reader: int) -> bytes:
    chunks = []
    with open(reader, "rb", buffering=0) as stream:
        while chunk := stream.read(READ_OCTETS):
            chunks.append(chunk)
    return b"".join(chunks)


def _decode(path: str, output: bytes) -> Any:
    if not output.strip():
        return None
    try:
        return json.loads(output)
    except ValueError as error:
        raise CniError(
            ErrorCode.DECODING, f"cannot decode the output of {path}: {error}", f"it began with {output[:80]!r}"
        ) from error
