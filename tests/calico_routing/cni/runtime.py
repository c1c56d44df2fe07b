"""A container runtime in small: derives configurations, chains plugins, caches results (CNI sections 2 to 4).

Its behaviour is libcni's, as recorded: the capabilities stay in the plugin's configuration, prevResult on CHECK and DEL
is the last plugin's ADD result for every plugin, DEL runs in reverse order, GC deletes stale cached attachments first.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Document = dict[str, Any]
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Attachment:
    """One container on the network."""

    container_id: str
    netns: str
    ifname: str = "eth0"
    args: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Document:
        return {"containerID": self.container_id, "ifname": self.ifname}


class PluginError(Exception):
    """A plugin ended with a status other than 0; the text is what a cluster's user reads."""

    def __init__(self, plugin: str, command: str, status: int, output: str, stderr: str) -> None:
        self.plugin, self.command, self.status, self.stderr = plugin, command, status, stderr
        self.document: Document = json.loads(output) if output.strip() else {}
        text = "; ".join(filter(None, (self.document.get("msg", ""), self.document.get("details", ""))))
        reason = text or stderr or "netplugin failed with no error message"
        super().__init__(f'plugin type="{plugin}" failed ({command.lower()}): {reason}')

    @property
    def code(self) -> int:
        return int(self.document.get("code", 0))


class Runtime:
    """One host's runtime with one network."""

    def __init__(
        self,
        conflist: Mapping[str, Any],
        plugin_path: Sequence[Path],
        cache: Path,
        *,
        enter: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.conflist = conflist
        self.name: str = conflist["name"]
        self.version: str = max(conflist.get("cniVersions", [conflist["cniVersion"]]), key=version_key)
        self.plugin_path = [str(path) for path in plugin_path]
        self._cache = cache
        self._enter = list(enter)
        self._environment = dict(os.environ) | dict(environment or {})

    def add(self, attachment: Attachment) -> Document:
        """ADD of every plugin in order, each with its predecessor's result; the last result is cached."""
        previous: Document | None = None
        for entry in self.conflist["plugins"]:
            config = self.derive(entry, attachment.capabilities, previous)
            previous = json.loads(self.execute("ADD", entry["type"], config, attachment))
        assert previous is not None
        self._cache_file(attachment).write_text(
            json.dumps(
                {
                    "kind": "cniCacheV1",
                    "networkName": self.name,
                    "ifName": attachment.ifname,
                    "containerId": attachment.container_id,
                    "netns": attachment.netns,
                    "cniArgs": attachment.args,
                    "capabilityArgs": dict(attachment.capabilities),
                    "result": previous,
                }
            )
        )
        return previous

    def check(self, attachment: Attachment) -> None:
        """CHECK of every plugin in order with the cached final result."""
        if self.conflist.get("disableCheck"):
            return
        previous = self.cached(attachment)
        assert previous is not None, "never added"
        for entry in self.conflist["plugins"]:
            self.execute("CHECK", entry["type"], self.derive(entry, attachment.capabilities, previous), attachment)

    def delete(self, attachment: Attachment) -> None:
        """DEL of every plugin in reverse order; a repeated DEL comes without prevResult."""
        previous = self.cached(attachment)
        for entry in reversed(self.conflist["plugins"]):
            self.execute("DEL", entry["type"], self.derive(entry, attachment.capabilities, previous), attachment)
        self._cache_file(attachment).unlink(missing_ok=True)

    def gc(self, valid: Iterable[Attachment]) -> None:
        """DEL of stale cached attachments, then GC of every plugin with the list under both of its names."""
        keep = [attachment.key for attachment in valid]
        for stale in self._cached_attachments():
            if stale.key not in keep:
                self.delete(stale)
        for entry in self.conflist["plugins"]:
            config = self.derive(entry, {}, None)
            config |= {"cni.dev/valid-attachments": keep, "cni.dev/attachments": keep}
            self.execute("GC", entry["type"], config, None)

    def status(self) -> None:
        """STATUS of every plugin in order."""
        for entry in self.conflist["plugins"]:
            self.execute("STATUS", entry["type"], self.derive(entry, {}, None), None)

    def versions(self, plugin: str) -> list[str]:
        """VERSION with the dummy values that libcni sends."""
        answer = json.loads(
            self.execute("VERSION", plugin, {"cniVersion": self.version}, Attachment("", "dummy", "dummy"))
        )
        supported: list[str] = answer["supportedVersions"]
        return supported

    def cached(self, attachment: Attachment) -> Document | None:
        path = self._cache_file(attachment)
        return json.loads(path.read_text())["result"] if path.exists() else None

    def derive(self, entry: Mapping[str, Any], capabilities: Mapping[str, Any], previous: Document | None) -> Document:
        """One plugin's configuration: its entry, name and version of the list, what it declared to take."""
        config: Document = {**entry, "cniVersion": self.version, "name": self.name}
        declared = {key for key, wanted in entry.get("capabilities", {}).items() if wanted}
        if runtime := {key: value for key, value in capabilities.items() if key in declared}:
            config["runtimeConfig"] = runtime
        if previous is not None:
            config["prevResult"] = previous
        return config

    def execute(self, command: str, plugin: str, config: Mapping[str, Any], attachment: Attachment | None) -> str:
        """Run one plugin as a process; its output, or PluginError."""
        process = subprocess.run(
            [*self._enter, self.find(plugin)],
            input=json.dumps(config).encode(),
            env=self.environment(command, attachment),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        output, stderr = process.stdout.decode(), process.stderr.decode()
        if process.returncode:
            raise PluginError(plugin, command, process.returncode, output, stderr)
        return output

    def environment(self, command: str, attachment: Attachment | None) -> dict[str, str]:
        return self._environment | {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": attachment.container_id if attachment else "",
            "CNI_NETNS": attachment.netns if attachment else "",
            "CNI_IFNAME": attachment.ifname if attachment else "",
            "CNI_ARGS": attachment.args if attachment else "",
            "CNI_PATH": ":".join(self.plugin_path),
        }

    def find(self, plugin: str) -> str:
        for directory in self.plugin_path:
            path = Path(directory) / plugin
            if os.access(path, os.X_OK):
                return str(path)
        raise FileNotFoundError(f"failed to find plugin {plugin} in path {self.plugin_path}")

    def _cache_file(self, attachment: Attachment) -> Path:
        self._cache.mkdir(parents=True, exist_ok=True)
        return self._cache / f"{self.name}-{attachment.container_id}-{attachment.ifname}"

    def _cached_attachments(self) -> list[Attachment]:
        self._cache.mkdir(parents=True, exist_ok=True)
        entries = [json.loads(path.read_text()) for path in sorted(self._cache.glob(f"{self.name}-*"))]
        return [
            Attachment(e["containerId"], e["netns"], e["ifName"], e["cniArgs"], e["capabilityArgs"])
            for e in entries
            if e["networkName"] == self.name
        ]


def version_key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
