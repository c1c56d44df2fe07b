"""Kernel settings below /proc/sys, of the network namespace of the calling thread."""

from __future__ import annotations

from calico_routing.kernel.netlink.errors import kernel_error


def read_sysctl(path: str) -> str:
    """The value of ``net/ipv4/ip_forward`` and the like; device names may hold dots, so parts are split by "/"."""
    try:
        with open(f"/proc/sys/{path}") as file:  # noqa: PTH123 - pathlib would cost a CNI call 3 ms
            return file.read().strip()
    except OSError as error:
        raise kernel_error(error.errno or 0, f"read sysctl {path}") from error


def write_sysctl(path: str, value: str) -> bool:
    """Set it where it differs; tells whether it did (a read-only /proc with the right value is no error)."""
    if read_sysctl(path) == value:
        return False
    try:
        with open(f"/proc/sys/{path}", "w") as file:  # noqa: PTH123
            file.write(value)
    except OSError as error:
        raise kernel_error(error.errno or 0, f"set sysctl {path}={value}") from error
    return True
