"""A synchronous rtnetlink socket: batches matched by sequence number, filtered dumps, errors in the kernel's words."""

from __future__ import annotations

import errno
import socket
from array import array
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from calico_routing.kernel.netlink.codec import (
    HEADER_SIZE,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    RTM_DELROUTE,
    RTM_NEWROUTE,
    Acknowledgement,
    Message,
    decode_acknowledgement,
    message,
    split_messages,
)
from calico_routing.kernel.netlink.errors import DumpInterruptedError, kernel_error
from calico_routing.kernel.netlink.namespaces import EnteredNamespace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import TracebackType
    from typing import Self

SOL_NETLINK: Final = 270
NETLINK_CAP_ACK: Final = 10
NETLINK_EXT_ACK: Final = 11
NETLINK_GET_STRICT_CHK: Final = 12
SO_RCVBUFFORCE: Final = 33
SO_ATTACH_FILTER: Final = 26

BPF_INSTRUCTION: Final = Struct("=HBBI")
BPF_PROGRAM: Final = Struct("@HP")
BPF_LOAD_WORD: Final = 0x20
BPF_LOAD_HALF: Final = 0x28
BPF_JUMP_EQUAL: Final = 0x15
BPF_RETURN: Final = 0x06

#: Bounds of one send(): it must fit into the usual send buffer, its refusals into the receive buffer (208 KiB).
BATCH_MESSAGES: Final = 256
BATCH_OCTETS: Final = 100_000
#: What a refusal with its text takes of the receive buffer, generously.
REFUSAL_SIZE: Final = 1500
DUMP_TRIES: Final = 4
SEQUENCES: Final = 0xFFFFFFFF

NO_GROUPS: Final = 0
#: Five seconds as a struct timeval: answers are there when send() returns, so this only bounds the unthinkable.
ANSWER_TIMEOUT: Final = Struct("@ll").pack(5, 0)

T = TypeVar("T")


class Refusal(NamedTuple):
    """The answer to a request of a batch that failed: its position, error number and text."""

    position: int
    error_number: int
    text: str


class NetlinkSocket:
    """One AF_NETLINK socket of one network namespace.

    The kernel handles a request within send(), so that its answers are there when send() returns: nothing here waits.
    """

    __slots__ = ("_sequence", "_socket", "port", "refusals_held")

    def __init__(self, *, namespace: int | None = None, groups: int = NO_GROUPS, receive_buffer: int = 1 << 20) -> None:
        """Open it, in the namespace behind this descriptor where one is given."""
        if namespace is None:
            self._socket = _open(groups, receive_buffer)
        else:
            with EnteredNamespace(namespace):
                self._socket = _open(groups, receive_buffer)
        self._sequence = 0
        #: How many refusals the receive buffer holds at least: no send() may ask for more answers.
        self.refusals_held = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // REFUSAL_SIZE
        #: Our address among netlink sockets; events caused by our requests carry it.
        self.port: int = self._socket.getsockname()[0]

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the socket; twice is no error."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, for select() and event loops."""
        return self._socket.fileno()

    def receive(self, size: int = 1 << 16) -> bytes:
        """One datagram; BlockingIOError where a non-blocking socket has none."""
        return self._socket.recv(size)

    def set_blocking(self, blocking: bool) -> None:
        """Whether receive() waits."""
        self._socket.setblocking(blocking)

    def drop_messages_from(self, port: int) -> None:
        """Have the kernel drop events that requests from this port cause, before they reach us."""
        _attach_port_filter(self._socket, port)

    def send_batch(self, requests: Sequence[tuple[int, int, bytes]]) -> list[Refusal]:
        """Do (type, flags, body) requests, many with one system call, and return the refusals.

        Only the last of a call asks for an acknowledgement: refusals are always answered, and answers come in order.
        """
        refusals: list[Refusal] = []
        start = octets = 0
        for position, (_, _, body) in enumerate(requests):
            octets += len(body) + HEADER_SIZE
            if position - start == BATCH_MESSAGES or (octets > BATCH_OCTETS and position > start):
                refusals += self._exchange(requests, start, position)
                start, octets = position, len(body) + HEADER_SIZE
        if requests:
            refusals += self._exchange(requests, start, len(requests))
        return refusals

    def _exchange(self, requests: Sequence[tuple[int, int, bytes]], start: int, end: int) -> list[Refusal]:
        """Send requests[start:end] at once and read what the kernel thinks of them."""
        first = self.next_sequence(end - start)
        last = first + end - start - 1
        parts = [
            message(kind, flags | NLM_F_REQUEST, first + offset, body)
            for offset, (kind, flags, body) in enumerate(requests[start : end - 1])
        ]
        kind, flags, body = requests[end - 1]
        parts.append(message(kind, flags | NLM_F_REQUEST | NLM_F_ACK, last, body))
        return self.exchange(b"".join(parts), first, last, start)

    def exchange(self, messages: bytes | bytearray, first: int, last: int, start: int = 0) -> list[Refusal]:
        """Send encoded requests, numbered from first to last, and read what the kernel thinks of them.

        Only the last one may ask for an acknowledgement, and it must.  The refusals count positions from ``start``.
        """
        self._socket.send(messages)
        return [
            Refusal(start + sequence - first, error_number, text)
            for sequence, error_number, text in self._read_refusals(first, last)
        ]

    def next_sequence(self, count: int) -> int:
        """The first of so many numbers in a row; zero is what the kernel uses for events."""
        first = self._sequence + 1
        if first + count > SEQUENCES:
            first = 1
        self._sequence = first + count - 1
        return first

    def _read_refusals(self, first: int, last: int) -> list[Acknowledgement]:
        refusals: list[Acknowledgement] = []
        while True:
            datagram = self._socket.recv(8192)
            for answer in split_messages(datagram):
                if answer.kind != NLMSG_ERROR or not first <= answer.sequence <= last:
                    continue
                verdict = decode_acknowledgement(datagram, answer)
                if verdict.error_number:
                    refusals.append(verdict)
                if answer.sequence == last:
                    return refusals

    def request(self, kind: int, flags: int, body: bytes, attempted: str, *, destination: str = "") -> None:
        """One request; raises the KernelError of a refusal."""
        for refusal in self.send_batch([(kind, flags, body)]):
            raise kernel_error(refusal.error_number, attempted, refusal.text, destination=destination)

    def query(self, kind: int, body: bytes, attempted: str) -> tuple[bytes, Message]:
        """One request that is answered with one message; raises the KernelError of a refusal."""
        sequence = self._send(kind, 0, body)
        while True:
            datagram = self._socket.recv(1 << 16)
            for answer in split_messages(datagram):
                if answer.sequence != sequence:
                    continue
                if answer.kind == NLMSG_ERROR:
                    verdict = decode_acknowledgement(datagram, answer)
                    raise kernel_error(verdict.error_number, attempted, verdict.text)
                return datagram, answer

    def dump(self, kind: int, body: bytes, attempted: str, decode: Callable[[bytes, int, int], T | None]) -> list[T]:
        """All of a table, decoded; repeated where the table changed meanwhile."""
        for _ in range(DUMP_TRIES - 1):
            try:
                return self._dump_once(kind, body, attempted, decode)
            except DumpInterruptedError:
                continue
        return self._dump_once(kind, body, attempted, decode)

    def _dump_once(
        self, kind: int, body: bytes, attempted: str, decode: Callable[[bytes, int, int], T | None]
    ) -> list[T]:
        found: list[T] = []
        for datagram, answers in self.dump_slices(kind, body, attempted):
            for answer in answers:
                value = decode(datagram, answer.start, answer.end)
                if value is not None:
                    found.append(value)
        return found

    def dump_slices(self, kind: int, body: bytes, attempted: str) -> Generator[tuple[bytes, list[Message]], None, None]:
        """A table, one datagram at a time; DumpInterruptedError at the end where it changed meanwhile."""
        sequence = self._send(kind, NLM_F_DUMP, body)
        interrupted = False
        verdict: Acknowledgement | None = None
        try:
            while verdict is None:
                datagram, answers, verdict, marked = self._dump_datagram(sequence)
                interrupted |= marked
                yield datagram, answers
        finally:
            while verdict is None:
                verdict = self._dump_datagram(sequence)[2]
        if verdict.error_number:
            raise kernel_error(verdict.error_number, attempted, verdict.text)
        if interrupted:
            raise DumpInterruptedError(errno.EINTR, attempted, "the table changed while it was read")

    def _dump_datagram(self, sequence: int) -> tuple[bytes, list[Message], Acknowledgement | None, bool]:
        """A datagram, our answers in it, the verdict if the last one ends the dump, whether the table changed."""
        datagram = self._socket.recv(1 << 16)
        mine = [answer for answer in split_messages(datagram) if answer.sequence == sequence]
        marked = any(answer.flags & NLM_F_DUMP_INTR for answer in mine)
        if mine and mine[-1].kind in (NLMSG_DONE, NLMSG_ERROR):
            return datagram, mine[:-1], decode_acknowledgement(datagram, mine[-1]), marked
        return datagram, mine, None, marked

    def _send(self, kind: int, flags: int, body: bytes) -> int:
        sequence = self.next_sequence(1)
        self._socket.send(message(kind, flags | NLM_F_REQUEST, sequence, body))
        return sequence


def _open(groups: int, receive_buffer: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            opened.setsockopt(SOL_NETLINK, option, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, ANSWER_TIMEOUT)
        _set_receive_buffer(opened, receive_buffer)
        opened.bind((0, groups))
    except BaseException:
        opened.close()
        raise
    return opened


def _set_receive_buffer(opened: socket.socket, size: int) -> None:
    """Beyond net.core.rmem_max where we are privileged in the first namespace, else as far as it goes."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _attach_port_filter(opened: socket.socket, port: int) -> None:
    """A classic BPF program over the message header: drop NEWROUTE and DELROUTE that carry this port."""
    route_types = (RTM_NEWROUTE, RTM_DELROUTE)
    program = array("B")
    for code, if_true, if_false, value in (
        (BPF_LOAD_WORD, 0, 0, 12),
        (BPF_JUMP_EQUAL, 0, 4, socket.htonl(port)),
        (BPF_LOAD_HALF, 0, 0, 4),
        (BPF_JUMP_EQUAL, 1, 0, socket.htons(route_types[0])),
        (BPF_JUMP_EQUAL, 0, 1, socket.htons(route_types[1])),
        (BPF_RETURN, 0, 0, 0),
        (BPF_RETURN, 0, 0, 0xFFFFFFFF),
    ):
        program.frombytes(BPF_INSTRUCTION.pack(code, if_true, if_false, value))
    address, size = program.buffer_info()
    opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, BPF_PROGRAM.pack(size // BPF_INSTRUCTION.size, address))
