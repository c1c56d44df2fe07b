"""Names and text of extended communities (spec section 5.4); what has no name stands as its octets."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from pybgp.errors import LocalError
from pybgp.wire.forms import checked

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class _Kind:
    """One row: a type and subtype, its name, and the text of the six octets behind them."""

    front: bytes
    name: str
    to_text: Callable[[bytes], str]
    from_text: Callable[[str], bytes]


def _as2(value: bytes) -> str:
    return f"{int.from_bytes(value[:2], 'big')}:{int.from_bytes(value[2:], 'big')}"


def _from_as2(text: str) -> bytes:
    administrator, assigned = text.split(":")
    return struct.pack(">HI", int(administrator), int(assigned))


def _as4(value: bytes) -> str:
    asn = int.from_bytes(value[:4], "big")
    return f"{asn}{'' if asn > 0xFFFF else 'L'}:{int.from_bytes(value[4:], 'big')}"


def _from_as4(text: str) -> bytes:
    administrator, assigned = text.split(":")
    if not administrator.endswith("L") and int(administrator) <= 0xFFFF:
        raise ValueError(f"{text!r} has a 2-octet AS number")
    return struct.pack(">IH", int(administrator.removesuffix("L")), int(assigned))


def _ip(value: bytes) -> str:
    return f"{IPv4Address(value[:4])}:{int.from_bytes(value[4:], 'big')}"


def _from_ip(text: str) -> bytes:
    administrator, assigned = text.split(":")
    return IPv4Address(administrator).packed + int(assigned).to_bytes(2, "big")


def _rate(value: bytes) -> str:
    asn, rate = struct.unpack(">Hf", value)
    return f"{asn}:{rate!r}"


def _from_rate(text: str) -> bytes:
    asn, rate = text.split(":")
    return struct.pack(">Hf", int(asn), float(rate))


def _last(size: int) -> tuple[Callable[[bytes], str], Callable[[str], bytes]]:
    """Return the text of a number in the last octets, all others zero."""
    return (
        lambda value: str(int.from_bytes(value[6 - size :], "big")),
        lambda text: int(text).to_bytes(size, "big").rjust(6, b"\0"),
    )


def _action(value: bytes) -> str:
    return "+".join(name for bit, name in ((1, "terminal"), (2, "sample")) if value[5] & bit) or "none"


def _from_action(text: str) -> bytes:
    bits = {"none": 0, "terminal": 1, "sample": 2, "terminal+sample": 3}
    return bytes(5) + bytes([bits[text]])


def _octets(value: bytes) -> str:
    return value.hex(":")


def _from_octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _mobility(value: bytes) -> str:
    return f"{int.from_bytes(value[2:], 'big')}{':sticky' if value[0] & 1 else ''}"


def _from_mobility(text: str) -> bytes:
    sequence, _, sticky = text.partition(":")
    if sticky not in ("", "sticky"):
        raise ValueError(f"{sticky!r} is not sticky")
    return bytes([sticky == "sticky", 0]) + int(sequence).to_bytes(4, "big")


def _segment_label(value: bytes) -> str:
    return f"{int.from_bytes(value[3:], 'big')}{':single-active' if value[0] & 1 else ''}"


def _from_segment_label(text: str) -> bytes:
    label, _, mode = text.partition(":")
    if mode not in ("", "single-active"):
        raise ValueError(f"{mode!r} is not single-active")
    return bytes([mode == "single-active", 0, 0]) + int(label).to_bytes(3, "big")


def _nothing(_: bytes) -> str:
    return ""


def _from_nothing(text: str) -> bytes:
    if text:
        raise ValueError(f"{text!r}: nothing is expected")
    return bytes(6)


_AS2: Final = (_as2, _from_as2)
_AS4: Final = (_as4, _from_as4)
_IP: Final = (_ip, _from_ip)
_RATE: Final = (_rate, _from_rate)
_ADDRESS: Final = (_octets, _from_octets)
_KINDS: Final = tuple(
    _Kind(bytes.fromhex(front), name, *functions)
    for front, name, functions in (
        ("0002", "target", _AS2),
        ("0102", "target", _IP),
        ("0202", "target", _AS4),
        ("0003", "origin", _AS2),
        ("0103", "origin", _IP),
        ("0203", "origin", _AS4),
        ("030b", "color", _last(4)),
        ("030c", "encapsulation", _last(2)),
        ("030d", "default-gateway", (_nothing, _from_nothing)),
        ("0600", "mac-mobility", (_mobility, _from_mobility)),
        ("0601", "esi-label", (_segment_label, _from_segment_label)),
        ("0602", "es-import", _ADDRESS),
        ("0603", "router-mac", _ADDRESS),
        ("4300", "validation-state", _last(1)),
        ("4004", "link-bandwidth", _RATE),
        ("8006", "rate-bytes", _RATE),
        ("800c", "rate-packets", _RATE),
        ("8007", "traffic-action", (_action, _from_action)),
        ("8008", "redirect", _AS2),
        ("8108", "redirect", _IP),
        ("8208", "redirect", _AS4),
        ("8009", "mark", _last(1)),
    )
)
_BY_FRONT: Final = {kind.front: kind for kind in _KINDS}
_RATES: Final = (bytes.fromhex("8006"), bytes.fromhex("800c"))
_IPV6_KINDS: Final = {b"\0\x02": "target", b"\0\x03": "origin", b"\0\x0b": "vrf-import", b"\0\x0d": "redirect"}
_IPV6_FRONTS: Final = {name: front for front, name in _IPV6_KINDS.items()}


def format_extended_community(octets: bytes) -> str:
    """Print an extended community by its name, or as ``0x`` and its octets where the name would lose something."""
    kind = _BY_FRONT.get(octets[:2])
    if kind is None:
        return "0x" + octets.hex()
    text = kind.to_text(octets[2:])
    shown = f"{kind.name}:{text}" if text else kind.name
    return shown if kind.from_text(text) == octets[2:] else "0x" + octets.hex()


def parse_extended_community(text: str) -> bytes:
    """Read ``target:65000:100``, ``rate-bytes:0:1e6`` or ``0x`` and 16 digits; LocalError if it is none of them."""
    with checked(f"extended community {text!r}"):
        if text.startswith("0x"):
            return _hexadecimal(text, 8)
        name, _, rest = text.partition(":")
        for kind in _KINDS:
            if kind.name == name:
                try:
                    octets = kind.from_text(rest)
                except (ValueError, KeyError, OverflowError, struct.error):
                    continue
                if len(octets) == 6:
                    return kind.front + octets
    names = ", ".join(dict.fromkeys(kind.name for kind in _KINDS))
    raise LocalError(f"extended community {text!r}: one of {names} with its value is expected, or 0x and 16 digits")


def _hexadecimal(text: str, size: int) -> bytes:
    octets = bytes.fromhex(text[2:])
    if len(octets) != size:
        raise ValueError(f"{len(octets)} octets, {size} are expected")
    return octets


def traffic_rate(octets: bytes) -> float | None:
    """Return the rate that a traffic-rate action allows, 0 for NaN and negative ones (RFC 8955 section 7.1)."""
    if octets[:2] not in _RATES:
        return None
    (rate,) = struct.unpack(">f", octets[4:])
    return rate if rate > 0 else 0.0


def format_ipv6_extended_community(octets: bytes) -> str:
    """Print a community with an IPv6 address (RFC 5701 section 2)."""
    name = _IPV6_KINDS.get(octets[:2])
    if name is None:
        return "0x" + octets.hex()
    return f"{name}:{IPv6Address(octets[2:18])}:{int.from_bytes(octets[18:], 'big')}"


def parse_ipv6_extended_community(text: str) -> bytes:
    """Read ``target:2001:db8::1:100`` or ``0x`` and 40 digits; LocalError if it is neither."""
    with checked(f"IPv6 extended community {text!r}"):
        if text.startswith("0x"):
            return _hexadecimal(text, 20)
        name, _, rest = text.partition(":")
        address, _, assigned = rest.rpartition(":")
        return _IPV6_FRONTS[name] + IPv6Address(address).packed + int(assigned).to_bytes(2, "big")
