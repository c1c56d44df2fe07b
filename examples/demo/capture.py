"""Packets on a device of a namespace, through a packet socket of our own, told as tcpdump would."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from examples.demo.namespaces import Namespace

ETH_P_ALL: Final = 3
ETH_P_IP: Final = 0x0800
ETHERNET_HEADER: Final = 14
PROTOCOLS: Final = {1: "ICMP", 4: "IPIP", 6: "TCP", 17: "UDP"}
TCP_FLAGS: Final = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"))


class Ipv4(NamedTuple):
    """One IPv4 packet, and the one inside it where the protocol is 4 (RFC 2003)."""

    source: str
    destination: str
    protocol: int
    length: int
    time_to_live: int
    dont_fragment: bool
    payload: bytes

    @property
    def inner(self) -> Ipv4 | None:
        """The encapsulated packet."""
        return parse_ipv4(self.payload) if self.protocol == 4 else None

    @property
    def tcp_mss(self) -> int | None:
        """The maximum segment size that a SYN offers (RFC 9293 section 3.7.1)."""
        if self.protocol != 6 or len(self.payload) < 20 or not self.payload[13] & 0x02:
            return None
        options = self.payload[20 : (self.payload[12] >> 4) * 4]
        while len(options) >= 2 and options[0] != 0:
            if options[0] == 1:
                options = options[1:]
                continue
            if options[0] == 2:
                return int.from_bytes(options[2:4], "big")
            options = options[max(options[1], 2) :]
        return None

    def describe(self) -> str:
        """Say it in tcpdump's words, the inner packet on a line of its own."""
        flags = "DF" if self.dont_fragment else "none"
        name = PROTOCOLS.get(self.protocol, "unknown")
        head = f"IP (ttl {self.time_to_live}, flags [{flags}], proto {name} ({self.protocol}), length {self.length})"
        ends = f"{self.source} > {self.destination}:"
        inner = self.inner
        if inner is not None:
            return f"{head}\n    {ends} {inner.describe()}"
        return f"{head}\n    {ends} {self._describe_payload()}"

    def _describe_payload(self) -> str:
        if self.protocol == 1 and len(self.payload) >= 8:
            kind, identifier, sequence = struct.unpack_from("!B3xHH", self.payload)
            name = {0: "echo reply", 8: "echo request"}.get(kind, f"type {kind}")
            return f"ICMP {name}, id {identifier}, seq {sequence}, length {len(self.payload)}"
        if self.protocol == 6 and len(self.payload) >= 20:
            flags = "".join(letter for bit, letter in TCP_FLAGS if self.payload[13] & bit)
            mss = self.tcp_mss
            options = f", options [mss {mss}]" if mss is not None else ""
            source_port, destination_port = struct.unpack_from("!HH", self.payload)
            return f"TCP {source_port} > {destination_port}, Flags [{flags}.]{options}"
        return f"length {len(self.payload)}"


def parse_ipv4(octets: bytes) -> Ipv4 | None:
    """Read an IPv4 packet; None for anything else or a header cut short."""
    if len(octets) < 20 or octets[0] >> 4 != 4:
        return None
    length, flags, time_to_live, protocol = struct.unpack_from("!2xH2xHBB", octets)
    source, destination = (str(IPv4Address(octets[start : start + 4])) for start in (12, 16))
    payload = octets[(octets[0] & 15) * 4 : length]
    return Ipv4(source, destination, protocol, length, time_to_live, bool(flags & 0x4000), payload)


class Capture:
    """Collects the frames of one Ethernet device, from `with` until its end."""

    def __init__(self, namespace: Namespace, device: str) -> None:
        """Remember where; entering the context opens the socket."""
        self.namespace = namespace
        self.device = device
        self._frames: list[tuple[float, bytes]] = []
        self._changed = threading.Condition()
        self._running = True

    def __enter__(self) -> Capture:
        """Start; frames sent from now on are caught."""
        with self.namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind((self.device, ETH_P_ALL))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._running = False
        self._thread.join(5)
        self._socket.close()

    @property
    def packets(self) -> list[Ipv4]:
        """The IPv4 packets so far."""
        with self._changed:
            frames = list(self._frames)
        return list(_ipv4_of(frames))

    def wait_for(self, matches: Callable[[Ipv4], object], seconds: float, what: str) -> Ipv4:
        """Return the first packet that matches."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for packet in _ipv4_of(self._frames):
                    if matches(packet):
                        return packet
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{what}: no such packet on {self.device} within {seconds:g} s")
                self._changed.wait(left)

    def save(self, path: Path) -> None:
        """Write a pcap file, for tcpdump and Wireshark."""
        with self._changed:
            frames = list(self._frames)
        with path.open("wb") as file:
            file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for moment, frame in frames:
                file.write(struct.pack("=IIII", int(moment), int(moment % 1 * 1e6), len(frame), len(frame)) + frame)

    def _collect(self) -> None:
        while self._running:
            with contextlib.suppress(TimeoutError):
                frame = self._socket.recv(65535)
                with self._changed:
                    self._frames.append((time.time(), frame))
                    self._changed.notify_all()


def _ipv4_of(frames: list[tuple[float, bytes]]) -> Iterator[Ipv4]:
    for _, frame in frames:
        if int.from_bytes(frame[12:14], "big") == ETH_P_IP:
            packet = parse_ipv4(frame[ETHERNET_HEADER:])
            if packet is not None:
                yield packet
