"""The kinds of value a configuration key can have: what is expected, how to check it, how to read it from a text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pybgp.session.route_options import ADD_PATH_CHOICES

#: TCP MD5 takes no longer key (TCP_MD5SIG_MAXKEYLEN of Linux).
LONGEST_PASSWORD: Final = 80
FALSE_WORDS: Final = frozenset({"", "false", "0", "no", "n", "f", "off"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value; `check` and `parse` raise ValueError or TypeError for what does not fit."""

    expected: str
    check: Callable[[Any], Any]
    parse: Callable[[str], Any]
    #: What stands here is not repeated in messages, which end in logs.
    is_secret: bool = False

    def refusal(self, raw: object) -> str:
        """Say what is expected, and what stands there instead, as TOML has it."""
        if self.is_secret:
            return f"expected {self.expected}"
        return f"expected {self.expected}, not {str(raw).lower() if isinstance(raw, bool) else repr(raw)}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value


def _as_number(value: Any) -> int:
    if isinstance(value, str):
        high, dot, low = value.partition(".")
        number = int(high)
        if dot:
            if number > 0xFFFF or not 0 <= int(low) <= 0xFFFF:
                raise ValueError(value)
            number = number << 16 | int(low)
    else:
        number = _whole(value)
    if not 1 <= number <= 0xFFFFFFFF:
        raise ValueError(value)
    return number


def _address(value: Any) -> str:
    return str(ipaddress.ip_address(_text(value)))


def _ipv4_address(value: Any) -> str:
    return str(ipaddress.IPv4Address(_text(value)))


def _router_id(value: Any) -> str:
    if not int(ipaddress.IPv4Address(_text(value))):
        raise ValueError(value)
    return str(ipaddress.IPv4Address(value))


def _network(value: Any) -> str:
    if "/" not in _text(value):
        raise ValueError(value)
    return str(ipaddress.ip_network(value))


def _network_of(version: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        network = _network(value)
        if (":" in network) is not (version == 6):
            raise ValueError(value)
        return network

    return check


def is_true(text: str) -> bool:
    """What calico/node takes for true: anything set that is none of the words for no (spec section 5)."""
    return text.strip().lower() not in FALSE_WORDS


def integer(low: int, high: int) -> Kind:
    """Return the kind of a whole number within bounds."""

    def check(value: Any) -> int:
        if not low <= _whole(value) <= high:
            raise ValueError(value)
        return int(value)

    return Kind(f"a whole number from {low} to {high}", check, int)


def choice(*words: str) -> Kind:
    """Return the kind of one word out of several, in any case."""
    by_lower = {word.lower(): word for word in words}

    def check(value: Any) -> str:
        try:
            return by_lower[_text(value).strip().lower()]
        except KeyError as error:
            raise ValueError(value) from error

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), check, str)


def words_for(expected: str, table: dict[str, Any]) -> Kind:
    """Return the kind of a value spelt in one of several ways, in any case (IPIP modes: spec section 5)."""

    def check(value: Any) -> Any:
        try:
            return table[_text(value).strip().lower()]
        except KeyError as error:
            raise ValueError(value) from error

    return Kind(expected, check, str)


def either(word: str, meaning: Any, kind: Kind) -> Kind:
    """Return the kind of a value that is one special word or something of another kind."""

    def check(value: Any) -> Any:
        return meaning if value == word else kind.check(value)

    return Kind(f'"{word}" or {kind.expected}', check, lambda text: word if text.lower() == word else kind.parse(text))


def list_of(kind: Kind, *, least: int = 0) -> Kind:
    """Return the kind of a list of ``least`` items or more; in the environment they are separated by commas."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(value)
        if len(value) < least:
            raise ValueError(value)
        return tuple(kind.check(item) for item in value)

    return Kind(
        f"a list{' that is not empty' if least else ''}, each item {kind.expected}",
        check,
        lambda text: [kind.parse(item.strip()) for item in text.split(",") if item.strip()],
    )


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(value)
    return float(value)


def _interval(value: Any) -> float:
    if not _seconds(value):
        raise ValueError(value)
    return float(value)


def _pattern(value: Any) -> str:
    try:
        re.compile(_not_empty(value))
    except re.error as error:
        raise ValueError(value) from error
    return str(value)


def _password(value: Any) -> str:
    if not 0 < len(_text(value).encode()) <= LONGEST_PASSWORD:
        raise ValueError(value)
    return str(value)


def _hold_time(value: Any) -> int:
    if _whole(value) != 0 and not 3 <= value <= 65535:
        raise ValueError(value)
    return int(value)


def _not_empty(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError(value)
    return str(value).strip()


def _file_pattern(value: Any) -> str:
    if not _text(value).startswith("/") or value.endswith("/") or "\0" in value:
        raise ValueError(value)
    return str(value)


def _paths(value: Any) -> str:
    if not ADD_PATH_CHOICES.fullmatch(_text(value)):
        raise ValueError(value)
    return str(value)


TEXT = Kind("a text", _text, str)
PATHS = Kind("best, all, best-per-as or best-N", _paths, _paths)
FILE_PATTERN = Kind('an absolute file name, with times such as "%Y%m%d.%H%M" in it', _file_pattern, str)
NAME = Kind("a text that is not empty", _not_empty, str)
BOOLEAN = Kind("true or false", _boolean, is_true)
PORT = integer(1, 65535)
AS_NUMBER = Kind("an AS number from 1 to 4294967295, plain or a.b", _as_number, str)
HOLD_TIME = Kind("0 or a whole number of seconds from 3 to 65535", _hold_time, int)
SECONDS = Kind("a number of seconds, 0 or more", _seconds, float)
INTERVAL = Kind("a number of seconds above 0", _interval, float)
PATTERN = Kind("a regular expression", _pattern, str)
PASSWORD = Kind(f"a text of 1 to {LONGEST_PASSWORD} octets", _password, str, is_secret=True)
ADDRESS = Kind("an IP address", _address, str)
IPV4_ADDRESS = Kind("an IPv4 address", _ipv4_address, str)
ROUTER_ID = Kind("an IPv4 address other than 0.0.0.0", _router_id, str)
NETWORK = Kind("a prefix such as 10.0.0.0/8 without host bits", _network, str)
IPV4_NETWORK = Kind("an IPv4 prefix such as 10.0.0.0/8 without host bits", _network_of(4), str)
IPV6_NETWORK = Kind("an IPv6 prefix such as fd00::/48 without host bits", _network_of(6), str)
ENCAPSULATION = words_for(
    '"Never", "Always" or "CrossSubnet"',
    {
        "": "Never",
        "off": "Never",
        "never": "Never",
        "always": "Always",
        "crosssubnet": "CrossSubnet",
        "cross-subnet": "CrossSubnet",
    },
)
