"""Network namespaces: step into one with the calling thread, and step back (setns(2))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from calico_routing.kernel.netlink.errors import kernel_error

if TYPE_CHECKING:
    from types import TracebackType

CLONE_NEWNET = 0x40000000


def set_namespace(namespace: int) -> None:
    """Move the calling thread into the network namespace behind this file descriptor."""
    try:
        _setns(namespace)
    except OSError as error:
        raise kernel_error(error.errno or 0, "enter network namespace") from error


def _setns(namespace: int) -> None:
    if hasattr(os, "setns"):
        os.setns(namespace, CLONE_NEWNET)
        return
    import ctypes  # noqa: PLC0415 - 2 ms that only Python 3.11 needs, and only here

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class EnteredNamespace:
    """``with EnteredNamespace(fd):`` runs the body in that namespace; sockets opened there stay in it.

    It moves the calling thread only, so nothing may be awaited inside.
    """

    __slots__ = ("_namespace", "_origin")

    def __init__(self, namespace: int) -> None:
        """The namespace is a file descriptor (of /run/netns/NAME or /proc/PID/ns/net)."""
        self._namespace = namespace
        self._origin = -1

    def __enter__(self) -> None:
        """Remember where we are and go."""
        self._origin = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            set_namespace(self._namespace)
        except BaseException:
            os.close(self._origin)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go back."""
        try:
            set_namespace(self._origin)
        finally:
            os.close(self._origin)
