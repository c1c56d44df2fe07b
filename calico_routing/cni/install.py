"""Puts the plugins and their network configuration onto a host (`pybgp-node install-cni`, Calico section 3.7).

Every file is written beside its place and renamed into it. The network configuration comes last: with it the runtime
reports the node as ready.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from calico_routing.cni.config import NODENAME_FILE
from calico_routing.cni.documents import find
from calico_routing.cni.launcher import IPAM, ROUTING
from calico_routing.cni.node import DEFAULT_DATASTORE_PATH, SQLITE

if TYPE_CHECKING:
    from collections.abc import Mapping

LAUNCHER_MODE = 0o755
CONFLIST_MODE = 0o600
#: beyond it the kernel cuts the `#!` line off (binfmt_script).
SHEBANG_OCTETS = 127
LOG_FILE_PATH = "/var/log/calico/cni/cni.log"
CONTROL_SOCKET = "/run/pybgp/node.sock"

DEFAULT_TEMPLATE = """{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "calico",
      "log_level": "__LOG_LEVEL__",
      "log_file_path": "__LOG_FILE_PATH__",
      "datastore_type": "__DATASTORE_TYPE__",
      "datastore_path": "__DATASTORE_PATH__",
      "nodename": "__KUBERNETES_NODE_NAME__",
      "nodename_file": "__NODENAME_FILE__",
      "control_socket": "__CONTROL_SOCKET__",
      "mtu": __CNI_MTU__,
      "ipam": {"type": "calico-ipam"},
      "policy": {"type": "k8s"},
      "capabilities": {"io.kubernetes.cri.pod-annotations": true, "ips": true, "mac": true}
    },
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}
  ]
}
"""


class InstallError(Exception):
    """The installation cannot go on; the message is one line with the cause and the next step."""


class InstallSettings(NamedTuple):
    """What to install and where; the environment variables are those of Calico's installer."""

    binary_directories: tuple[Path, ...] = (Path("/opt/cni/bin"),)
    network_directory: Path = Path("/etc/cni/net.d")
    conflist_name: str = "10-calico.conflist"
    old_conflist_name: str = ""
    template: str = DEFAULT_TEMPLATE
    node_name: str = ""
    #: the node agent writes it; without it the plugins refuse to work.
    nodename_file: str = NODENAME_FILE
    #: 0: the plugins take it from the node's MTU file or its tunnel.
    mtu: int = 0
    log_level: str = "info"
    log_file_path: str = LOG_FILE_PATH
    datastore_type: str = SQLITE
    datastore_path: str = DEFAULT_DATASTORE_PATH
    control_socket: str = CONTROL_SOCKET
    skip_binaries: frozenset[str] = frozenset()
    update_binaries: bool = True
    python: str = sys.executable

    @property
    def placeholders(self) -> dict[str, str]:
        """What stands for what in a template."""
        return {
            "__KUBERNETES_NODE_NAME__": self.node_name,
            "__NODENAME__": self.node_name,
            "__NODENAME_FILE__": self.nodename_file,
            "__CNI_MTU__": str(self.mtu),
            "__LOG_LEVEL__": self.log_level,
            "__LOG_FILE_PATH__": self.log_file_path,
            "__DATASTORE_TYPE__": self.datastore_type,
            "__DATASTORE_PATH__": self.datastore_path,
            "__CONTROL_SOCKET__": self.control_socket,
        }


class Installed(NamedTuple):
    """What the installation did: files written, files that were right already, files removed."""

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    removed: tuple[Path, ...]


def settings_from(environment: Mapping[str, str], defaults: InstallSettings | None = None) -> InstallSettings:
    """The settings after the environment variables of Calico section 3.7; InstallError names a bad one."""
    base = defaults or InstallSettings()
    directories = tuple(Path(part) for part in environment.get("CNI_BIN_DIR", "").split(":") if part)
    skipped = (part.strip() for part in environment.get("SKIP_CNI_BINARIES", "").split(","))
    return base._replace(
        binary_directories=directories or base.binary_directories,
        network_directory=Path(environment.get("CNI_NET_DIR") or base.network_directory),
        conflist_name=_file_name(environment, "CNI_CONF_NAME", base.conflist_name),
        old_conflist_name=_file_name(environment, "CNI_OLD_CONF_NAME", base.old_conflist_name),
        template=_template(environment, base.template),
        node_name=environment.get("KUBERNETES_NODE_NAME") or environment.get("NODENAME") or base.node_name or _host(),
        mtu=_number(environment, "CNI_MTU", base.mtu),
        log_level=(environment.get("LOG_LEVEL") or base.log_level).lower(),
        datastore_type=environment.get("DATASTORE_TYPE") or base.datastore_type,
        datastore_path=environment.get("DATASTORE_PATH") or base.datastore_path,
        skip_binaries=frozenset(filter(None, skipped)) or base.skip_binaries,
        update_binaries=_flag(environment, "UPDATE_CNI_BINARIES", base.update_binaries),
    )


def _host() -> str:
    return socket.gethostname().lower()


def _file_name(environment: Mapping[str, str], variable: str, default: str) -> str:
    name = environment.get(variable) or default
    if "/" in name or name in {".", ".."}:
        raise InstallError(f"{variable}={name!r}: expected a file name without a directory")
    return name


def _number(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable, "")
    if text and not text.isdecimal():
        raise InstallError(f"{variable}={text!r}: expected a number")
    return int(text) if text else default


def _flag(environment: Mapping[str, str], variable: str, default: bool) -> bool:
    text = environment.get(variable, "").lower()
    if text not in {"", "true", "false"}:
        raise InstallError(f"{variable}={text!r}: expected true or false")
    return text == "true" if text else default


def _template(environment: Mapping[str, str], default: str) -> str:
    """The configuration itself, or a file that holds it; the file wins, as in Calico's installer."""
    path = environment.get("CNI_NETWORK_CONFIG_FILE", "")
    if not path:
        return environment.get("CNI_NETWORK_CONFIG") or default
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"CNI_NETWORK_CONFIG_FILE={path}: cannot be read: {error}") from error


def install(settings: InstallSettings) -> Installed:
    """Launchers first, then the network configuration; nothing is touched unless everything is in order."""
    conflist = render_conflist(settings)
    launchers = {name: launcher_text(name, settings.python) for name in (ROUTING, IPAM)}
    written: list[Path] = []
    unchanged: list[Path] = []
    for path, text, mode in _files(settings, launchers, conflist):
        (written if write_file(path, text, mode) else unchanged).append(path)
    return Installed(tuple(written), tuple(unchanged), _remove_old(settings))


def _files(settings: InstallSettings, launchers: Mapping[str, str], conflist: str) -> list[tuple[Path, str, int]]:
    files = [
        (directory / name, text, LAUNCHER_MODE)
        for directory in settings.binary_directories
        for name, text in launchers.items()
        if name not in settings.skip_binaries and (settings.update_binaries or not (directory / name).exists())
    ]
    return [*files, (settings.network_directory / settings.conflist_name, conflist, CONFLIST_MODE)]


def render_conflist(settings: InstallSettings) -> str:
    """The network configuration with every placeholder filled in; InstallError when that is no valid conflist."""
    text = settings.template
    for placeholder, value in settings.placeholders.items():
        text = text.replace(placeholder, json.dumps(value)[1:-1])
    if unknown := sorted({word for word in text.replace('"', " ").split() if _is_placeholder(word.strip(",:{}[]"))}):
        raise InstallError(f"network configuration: nothing stands for {', '.join(unknown)} with this datastore")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InstallError(f"network configuration: not valid JSON once filled in: {error}") from error
    _check_conflist(document)
    return text


def _is_placeholder(word: str) -> bool:
    return len(word) > 4 and word.startswith("__") and word.endswith("__")


def _check_conflist(document: object) -> None:
    plugins = find(document, "plugins") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not find(document, "name") or not isinstance(plugins, list):
        raise InstallError("network configuration: expected an object with name, cniVersion and a list of plugins")
    for plugin in plugins:
        if not isinstance(plugin, dict) or not find(plugin, "type"):
            raise InstallError("network configuration: every plugin needs a type")
        if find(plugin, "type") == ROUTING and find(plugin, "datastore_type", SQLITE) != SQLITE:
            raise InstallError(
                f'network configuration: datastore_type "{find(plugin, "datastore_type")}" needs a kubeconfig, which '
                f"this version cannot make; use DATASTORE_TYPE={SQLITE}"
            )


def launcher_text(name: str, python: str) -> str:
    """A script that finds this package without site-packages, `.pth` files or the caller's environment.

    -I keeps PYTHON* variables and the working directory out; -S spares the scan of site-packages, whose directory
    is named here instead, so that virtual environments and editable installations work alike.
    """
    root = str(Path(__file__).resolve().parents[2])
    return (
        f"{_interpreter_lines(python)}"
        f'"""CNI plugin {name}; written by pybgp-node install-cni."""\n\n'
        "import os\n"
        "import sys\n\n"
        f"sys.path.append({root!r})\n\n"
        "from calico_routing.cni.launcher import main\n\n"
        f"status = main({name!r})\n"
        "sys.stdout.flush()\n"
        "sys.stderr.flush()\n"
        "os._exit(status)  # everything is closed; tearing the interpreter down would cost milliseconds\n"
    )


def _interpreter_lines(python: str) -> str:
    """The `#!` line, by way of the shell where the kernel could not read it."""
    line = f"#!{python} -IS\n"
    if len(line.encode()) <= SHEBANG_OCTETS and not any(map(str.isspace, python)):
        return line
    quoted = "'" + python.replace("'", "'\"'\"'") + "'"
    return f"#!/bin/sh\n''''exec {quoted} -IS \"$0\" \"$@\" #'''\n"


def write_file(path: Path, text: str, mode: int) -> bool:
    """Write beside the place, fsync, rename; False when the file was right already."""
    octets = text.encode()
    try:
        if path.is_file() and path.read_bytes() == octets and path.stat().st_mode & 0o777 == mode:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, octets, mode)
    except OSError as error:
        raise InstallError(f"cannot write {path}: {error.strerror}; check that it may be written here") from error
    return True


def _replace(path: Path, octets: bytes, mode: int) -> None:
    """The temporary name ends in nothing that a runtime would read."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_old(settings: InstallSettings) -> tuple[Path, ...]:
    """A configuration under an earlier name would be read as well."""
    if settings.old_conflist_name in {"", settings.conflist_name}:
        return ()
    path = settings.network_directory / settings.old_conflist_name
    try:
        path.unlink()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InstallError(f"cannot remove {path}: {error.strerror}") from error
    return (path,)
