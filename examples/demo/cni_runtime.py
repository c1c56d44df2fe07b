"""What a container runtime does with a network configuration list (CNI specification section 4)."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.demo.namespaces import CommandError, Namespace

if TYPE_CHECKING:
    from collections.abc import Sequence

Document = dict[str, Any]


@dataclass(slots=True)
class Pod:
    """A network namespace that the plugins connected."""

    name: str
    kubernetes_namespace: str
    network: Namespace
    node_name: str
    result: Document = field(default_factory=dict)

    @property
    def container_id(self) -> str:
        """Return the identifier that the runtime made up for it."""
        return hashlib.sha256(f"{self.kubernetes_namespace}/{self.name}".encode()).hexdigest()

    @property
    def host_interface(self) -> str:
        """Return the name of the veth's end on the node: `cali` and 11 hexadecimal digits."""
        return "cali" + hashlib.sha1(f"{self.kubernetes_namespace}.{self.name}".encode()).hexdigest()[:11]

    @property
    def address(self) -> str:
        """Return the IPv4 address without its prefix length."""
        return str(self.result["ips"][0]["address"]).partition("/")[0]


class CniRuntime:
    """Runs the plugins of one conflist in one node's namespace."""

    def __init__(self, node: Namespace, conflist: Path, plugin_directories: Sequence[Path]) -> None:
        """Remember where everything is; the conflist is read at each call."""
        self.node = node
        self.conflist = conflist
        self.plugin_directories = plugin_directories

    def add(self, pod: Pod) -> None:
        """Connect a pod; the last plugin's result is kept with it."""
        document: Document = json.loads(self.conflist.read_text())
        result: Document = {}
        for plugin in document["plugins"]:
            result = json.loads(self._execute("ADD", document, plugin, pod, result))
        pod.result = result

    def delete(self, pod: Pod) -> None:
        """Disconnect a pod."""
        document: Document = json.loads(self.conflist.read_text())
        for plugin in reversed(document["plugins"]):
            self._execute("DEL", document, plugin, pod, pod.result)

    def _execute(self, command: str, document: Document, plugin: Document, pod: Pod, previous: Document) -> str:
        configuration = {**plugin, "name": document["name"], "cniVersion": document["cniVersion"]}
        if previous:
            configuration["prevResult"] = previous
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": pod.container_id,
            "CNI_NETNS": str(pod.network.path),
            "CNI_IFNAME": "eth0",
            "CNI_PATH": os.pathsep.join(map(str, self.plugin_directories)),
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={pod.kubernetes_namespace};K8S_POD_NAME={pod.name}",
        }
        program = self._find(plugin["type"])
        try:
            return self.node.run(str(program), stdin=json.dumps(configuration), environment=environment)
        except CommandError as error:
            raise CommandError(f"{plugin['type']} {command} of pod {pod.name}: {error}") from error

    def _find(self, name: str) -> Path:
        for directory in self.plugin_directories:
            if os.access(directory / name, os.X_OK):
                return directory / name
        raise CommandError(f"no CNI plugin {name} in {', '.join(map(str, self.plugin_directories))}")
