"""Where the demo can run: in namespaces of this kernel if it has ipip and we may, else in User-Mode Linux."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from examples.demo import user_mode_linux
from examples.demo.namespaces import find_program

REPOSITORY: Final = Path(__file__).parents[2]
NEEDED: Final = {"ip": "iproute2", "ping": "iputils-ping", "nsenter": "util-linux", "unshare": "util-linux"}
PROBE_SECONDS: Final = 20
GUEST_LIMIT_SECONDS: Final = 180
GUEST_MEGABYTES: Final = 768
#: Makes a place for named namespaces that vanishes with the process.
PRIVATE_RUN: Final = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/netns"
#: Making a device loads the module where it is not built in; a new namespace then has the fallback device tunl0.
PROBE: Final = "ip link show tunl0 || { ip link add probe type ipip remote 192.0.2.1; ip link show tunl0; }"


class GroundError(Exception):
    """There is nowhere to run; one line says what is missing."""


def absent_programs() -> dict[str, str]:
    """Return the programs that are not here, each with its package."""
    return {name: package for name, package in NEEDED.items() if find_program(name) is None}


def sandbox() -> list[str]:
    """Return the words that give a command network and mounts of its own."""
    words = ["unshare", "--mount", "--net"]
    return words if os.geteuid() == 0 else [*words, "--user", "--map-root-user"]


def has_ipip() -> bool:
    """Tell whether a sandbox of ours on this kernel gets a tunl0."""
    if os.geteuid() == 0 and find_program("modprobe"):
        subprocess.run(["modprobe", "--quiet", "ipip"], check=False, capture_output=True, timeout=PROBE_SECONDS)
    try:
        command = [*sandbox(), "sh", "-c", f"{PRIVATE_RUN} && {{ {PROBE}; }}"]
        return subprocess.run(command, check=False, capture_output=True, timeout=PROBE_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run_in_sandbox(command: list[str]) -> int:
    """Run a command with network and mounts of its own, on this kernel, and return its exit status."""
    wrapped = [*sandbox(), "sh", "-c", f'{PRIVATE_RUN} && exec "$@"', "sh", *command]
    return subprocess.run(wrapped, cwd=REPOSITORY, check=False).returncode


def install_packages() -> None:
    """Install what the demo needs where we are root; says what it does."""
    subprocess.run([str(REPOSITORY / ".ci" / "system-packages"), "demo"], check=False, timeout=600)


def run_module(module: str, *arguments: str) -> int:
    """Run a module of ours where there is ipip and return its exit status; GroundError if there is no such place."""
    command = [sys.executable, "-m", module, *arguments]
    if absent_programs():
        install_packages()
    absent = absent_programs()
    if absent:
        names, packages = ", ".join(absent), " ".join(sorted(set(absent.values())))
        raise GroundError(f"{names}: not installed; as root: apt-get install {packages}")
    if has_ipip():
        print(f"Running on this kernel ({os.uname().release}), which has ipip, in namespaces of its own.", flush=True)
        return run_in_sandbox(command)
    return _run_in_guest(command)


def _run_in_guest(command: list[str]) -> int:
    reason = f"This kernel ({os.uname().release}) has no ipip module, or we may not use it"
    if user_mode_linux.missing() is not None and os.geteuid() == 0:
        print(f"{reason}; installing {user_mode_linux.PACKAGE} to run one that has.", flush=True)
        install_packages()
    missing = user_mode_linux.missing()
    if missing is not None:
        raise GroundError(f"{reason}, and {missing}")
    print(f"{reason}: running in User-Mode Linux.", flush=True)
    result = user_mode_linux.run(
        command,
        memory_megabytes=GUEST_MEGABYTES,
        limit_seconds=GUEST_LIMIT_SECONDS,
        on_output=lambda text: print(text, end="", flush=True),
    )
    if result.timed_out:
        print(f"The guest was stopped after {GUEST_LIMIT_SECONDS} s.", flush=True)
    return result.status
