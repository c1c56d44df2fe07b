"""Where a plugin process starts: VERSION is answered before anything else is loaded (CNI sections 1 and 3)."""

from __future__ import annotations

import gc
import os
import sys

from calico_routing.cni.versions import NEWEST_VERSION, SUPPORTED_VERSIONS

ROUTING = "calico"
IPAM = "calico-ipam"
#: what Calico's own program understands when a person calls it.
VERSION_OPTIONS = frozenset({"-v", "--version"})


def main(name: str) -> int:
    """Serve one command of the plugin of that name; the exit status."""
    gc.disable()  # the process lives for a tenth of a second
    command = os.environ.get("CNI_COMMAND", "")
    if command == "VERSION":
        sys.stdout.write(version_answer())
        return 0
    if not command:
        return introduce(name)
    return _serve(name)


def version_answer() -> str:
    """The answer to VERSION."""
    quoted = ",".join(f'"{version}"' for version in SUPPORTED_VERSIONS)
    return f'{{"cniVersion":"{NEWEST_VERSION}","supportedVersions":[{quoted}]}}\n'


def introduce(name: str) -> int:
    """What a person sees who runs the plugin by hand."""
    if VERSION_OPTIONS.intersection(sys.argv[1:]):
        sys.stdout.write(f"{package_version()}\n")
        return 0
    sys.stderr.write(
        f"CNI plugin {name} {package_version()}, for container runtimes; "
        f"CNI protocol versions supported: {', '.join(SUPPORTED_VERSIONS)}\n"
    )
    return 0


def package_version() -> str:
    """The version of the installed distribution."""
    from importlib import metadata  # noqa: PLC0415 - only a person asks, and it is slow to load

    try:
        return metadata.version("pybgp")
    except metadata.PackageNotFoundError:
        return "(version unknown: not installed as a package)"


def _serve(name: str) -> int:
    """Only the module of the plugin that was called is loaded."""
    if name == IPAM:
        from calico_routing.cni import ipam_plugin  # noqa: PLC0415 - see above

        return ipam_plugin.main()
    from calico_routing.cni import routing_plugin  # noqa: PLC0415 - see above

    return routing_plugin.main()
