"""Captures of others: pcap and pcapng files down to the octets of each TCP direction, in order and once."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

_TCP = 6
_IPV4, _IPV6, _MPLS = 0x0800, 0x86DD, 0x8847
_TAGS = (0x8100, 0x88A8)
_NULL, _ETHERNET, _PPP, _CISCO_HDLC, _COOKED = 0, 1, 9, 104, 113
_RAW = (12, 101)
_SECTION = b"\x0a\x0d\x0d\x0a"
_PPP_IPV4, _PPP_IPV6 = 0x0021, 0x0057


class Segment(NamedTuple):
    """One TCP segment: (address, port) of both ends, where it stands, SYN or not, and its octets."""

    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    is_first: bool
    octets: bytes


class Stream(NamedTuple):
    """What one side said on one connection: one run of octets, and another behind each gap of the capture."""

    source: tuple[str, int]
    destination: tuple[str, int]
    runs: tuple[bytes, ...]


def _frames_of_pcap(raw: bytes) -> Iterator[tuple[int, bytes]]:
    order = "<" if raw[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    position = 24
    while position + 16 <= len(raw):
        (size,) = struct.unpack_from(order + "I", raw, position + 8)
        yield link, raw[position + 16 : position + 16 + size]
        position += 16 + size


def _frames_of_pcapng(raw: bytes) -> Iterator[tuple[int, bytes]]:
    order, links, position = "<", list[int](), 0
    while position + 12 <= len(raw):
        if raw[position : position + 4] == _SECTION:
            order = "<" if raw[position + 8 : position + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, length = struct.unpack_from(order + "II", raw, position)
        if kind == 1:
            links.append(struct.unpack_from(order + "H", raw, position + 8)[0])
        elif kind == 6:
            interface, _, _, size = struct.unpack_from(order + "IIII", raw, position + 8)
            yield links[interface], raw[position + 28 : position + 28 + size]
        position += max(length, 12)


def frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every frame of a capture, with the kind of its link."""
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
    yield from _frames_of_pcapng(raw) if raw.startswith(_SECTION) else _frames_of_pcap(raw)


def _packet(link: int, frame: bytes) -> tuple[int, bytes]:
    """The EtherType and the IP packet in a frame."""
    if link == _ETHERNET:
        kind, at = int.from_bytes(frame[12:14], "big"), 14
        while kind in _TAGS:
            kind, at = int.from_bytes(frame[at + 2 : at + 4], "big"), at + 4
        return kind, frame[at:]
    if link == _CISCO_HDLC:
        return int.from_bytes(frame[2:4], "big"), frame[4:]
    if link == _COOKED:
        return int.from_bytes(frame[14:16], "big"), frame[16:]
    if link == _PPP:
        frame = frame.removeprefix(b"\xff\x03")
        kinds = {_PPP_IPV4: _IPV4, _PPP_IPV6: _IPV6}
        number = int.from_bytes(frame[:2], "big")
        # Cisco's HDLC is saved as PPP by some: address and control, then an EtherType.
        return (kinds[number], frame[2:]) if number in kinds else (int.from_bytes(frame[2:4], "big"), frame[4:])
    packet = frame[4:] if link == _NULL else frame if link in _RAW else b""
    return (_IPV4 if packet[:1] < b"\x60" else _IPV6, packet) if packet else (0, b"")


def _unlabelled(packet: bytes) -> tuple[int, bytes]:
    """What stands behind a stack of MPLS labels."""
    while packet and not packet[2] & 1:
        packet = packet[4:]
    return (_IPV4 if packet[4:5] < b"\x60" else _IPV6, packet[4:])


class _Fragments:
    """Puts the fragments of IPv4 packets together."""

    def __init__(self) -> None:
        self._parts: dict[bytes, dict[int, bytes]] = {}
        self._lengths: dict[bytes, int] = {}

    def add(self, packet: bytes, body: bytes) -> bytes | None:
        word = int.from_bytes(packet[6:8], "big")
        offset = 8 * (word & 0x1FFF)
        if not word & 0x3FFF:
            return body
        key = packet[4:6] + packet[9:10] + packet[12:20]
        parts = self._parts.setdefault(key, {})
        parts[offset] = body
        if not word & 0x2000:
            self._lengths[key] = offset + len(body)
        whole = b""
        while len(whole) in parts:
            whole += parts[len(whole)]
        return whole if len(whole) == self._lengths.get(key) else None


def segments(path: Path) -> Iterator[Segment]:
    """Every TCP segment of a capture."""
    fragments = _Fragments()
    for link, frame in frames(path):
        kind, packet = _packet(link, frame)
        if kind == _MPLS:
            kind, packet = _unlabelled(packet)
        if kind == _IPV4 and len(packet) >= 20 and packet[9] == _TCP:
            start, stop = 4 * (packet[0] & 0x0F), int.from_bytes(packet[2:4], "big")
            source, destination, body = packet[12:16], packet[16:20], fragments.add(packet, packet[start:stop])
        elif kind == _IPV6 and len(packet) >= 40 and packet[6] == _TCP:
            source, destination = packet[8:24], packet[24:40]
            body = packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
        else:
            continue
        if body is None or len(body) < 20:
            continue
        source_port, destination_port, sequence = struct.unpack_from(">HHI", body)
        flags, data = body[13], body[4 * (body[12] >> 4) :]
        ends = (str(ip_address(source)), source_port), (str(ip_address(destination)), destination_port)
        # A SYN takes a number, but not in captures that were made without a kernel, whose first octets stand in it.
        yield Segment(*ends, sequence + bool(flags & 2 and not data) & 0xFFFFFFFF, bool(flags & 2), data)


def _runs(found: list[Segment]) -> tuple[bytes, ...]:
    """The octets in order, each once; a new run where some are missing."""
    start = next((one.sequence for one in found if one.is_first), None)
    if start is None:
        start = min(found, key=lambda one: (one.sequence - found[0].sequence + 2**31) & 0xFFFFFFFF).sequence
    runs, position = [bytearray()], 0
    for offset, octets in sorted(((one.sequence - start) & 0xFFFFFFFF, one.octets) for one in found if one.octets):
        if offset > position:
            runs.append(bytearray())
            position = offset
        fresh = octets[position - offset :]
        runs[-1] += fresh
        position += len(fresh)
    return tuple(bytes(run) for run in runs if run)


def streams(path: Path) -> list[Stream]:
    """Each direction of each connection; a second SYN between the same ends begins another connection."""
    found: dict[tuple[tuple[str, int], tuple[str, int]], list[list[Segment]]] = {}
    for one in segments(path):
        connections = found.setdefault((one.source, one.destination), [[]])
        if one.is_first and connections[-1] and connections[-1][0].sequence != one.sequence:
            connections.append([])
        connections[-1].append(one)
    joined = [Stream(*ends, _runs(one)) for ends, connections in found.items() for one in connections if one]
    return [stream for stream in joined if stream.runs]
