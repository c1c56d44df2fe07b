"""Wakes watchers in other processes: one datagram socket per watcher in a directory beside the store.

Path names work across network namespaces, a datagram costs microseconds, and a writer that finds a socket without an
owner removes it, so a killed watcher leaves nothing behind.
"""

from __future__ import annotations

import os
import select
import socket

from calico_routing.datastore.interface import DatastoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: sun_path holds 108 octets with its final zero.
LONGEST_SOCKET_PATH: Final = 107


class Directory:
    """The directory in which watchers can be reached."""

    def __init__(self, path: str) -> None:
        """Use a directory that need not exist yet."""
        self.path = path
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def create(self) -> None:
        """Make the directory; DatastoreError."""
        try:
            os.makedirs(self.path, mode=0o755, exist_ok=True)  # noqa: PTH103 - pathlib takes 9 ms to load
        except OSError as error:
            raise DatastoreError(f"cannot watch: {self.path}: {error.strerror}") from error

    def wake_all(self) -> None:
        """Send every watcher a datagram; those that have gone are removed."""
        try:
            names = os.listdir(self.path)  # noqa: PTH208 - as above
        except OSError:
            # Nobody has watched yet, or this user may not see who does; watchers look by themselves every second.
            return
        for name in names:
            self.wake(name)

    def wake(self, name: str) -> None:
        """Send one watcher a datagram; a full queue is as good, since the watcher has one to come anyway."""
        try:
            with SocketPath(self.path, name) as address:
                self._sender.sendto(b"\0", address)
        except ConnectionRefusedError:
            remove(os.path.join(self.path, name))  # noqa: PTH118 - as above
        except OSError:
            # Full, just removed, or not for this user: the change is stored, and watchers look by themselves too.
            return

    def close(self) -> None:
        """Close the sending socket."""
        self._sender.close()


class SocketPath:
    """A socket address that fits, whatever the length of the directory's name."""

    def __init__(self, directory: str, name: str) -> None:
        """Name a socket in a directory."""
        self._directory = directory
        self._name = name
        self._descriptor = -1

    def __enter__(self) -> str:
        """Return the address; it is good until the exit."""
        path = f"{self._directory}/{self._name}"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        self._descriptor = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._descriptor}/{self._name}"

    def __exit__(self, *_error: object) -> None:
        """Close the directory again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


class Doorbell:
    """The receiving end of one watcher."""

    def __init__(self, directory: Directory) -> None:
        """Make a socket in the directory; DatastoreError."""
        directory.create()
        self._directory = directory
        self.name = os.urandom(8).hex()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with SocketPath(directory.path, self.name) as address:
                self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise DatastoreError(f"cannot watch: {directory.path}: {error.strerror}") from error
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def wait(self, seconds: float) -> None:
        """Return at the next datagram or when the time is up."""
        if self._poll.poll(max(0.0, seconds) * 1000):
            self._drain()

    def _drain(self) -> None:
        try:
            while True:
                self._socket.recv(16)
        except BlockingIOError:
            return

    def ring(self) -> None:
        """Wake up whoever waits here."""
        self._directory.wake(self.name)

    def close(self) -> None:
        """Remove the socket; nobody may be waiting."""
        remove(f"{self._directory.path}/{self.name}")
        self._socket.close()


def remove(path: str) -> None:
    """Remove a file that somebody else may have removed."""
    try:
        os.unlink(path)  # noqa: PTH108 - as above
    except OSError:
        return
