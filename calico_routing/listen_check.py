"""Finds out whether the BGP port is free before anything else is touched."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ListenError(Exception):
    """The port cannot be listened on."""


def check_listen(places: Iterable[tuple[str, int]]) -> None:
    """Try each place once; raises ListenError that names the first one that cannot be had."""
    for address, port in places:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
                probe.listen()
        except OSError as error:
            raise ListenError(f"cannot listen on {address} port {port}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has it (a second BGP speaker?)"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "needs CAP_NET_BIND_SERVICE (run as root or grant it)"
    return os.strerror(error.errno) if error.errno else str(error)
