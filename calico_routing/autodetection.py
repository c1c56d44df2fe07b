"""How a node finds its own address: every IP_AUTODETECTION_METHOD, pure over a list of devices (spec section 5)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

#: Devices that first-found never takes; each is anchored at the start of the name only (spec section 5).
EXCLUDED_DEVICES: Final = (
    "docker.*",
    "cbr.*",
    "dummy.*",
    "podman.*",
    "virbr.*",
    "lxcbr.*",
    "veth.*",
    "lo",
    "br-.*",
    "cali.*",
    "tunl.*",
    "flannel.*",
    "kube-ipvs.*",
    "cni.*",
    r"vxlan\.calico.*",
    r"vxlan-v6\.calico.*",
    r"wireguard\.cali.*",
    r"wg-v6\.cali.*",
    "nodelocaldns.*",
)
METHODS: Final = (
    "first-found",
    "interface=REGEX,...",
    "skip-interface=REGEX,...",
    "can-reach=DESTINATION",
    "cidr=PREFIX,...",
    "kubernetes-internal-ip",
)


class MethodError(ValueError):
    """The detection method is none of the known ones, or its argument makes no sense."""


class Device(NamedTuple):
    """A network device with its addresses, each with prefix length (192.0.2.1/24)."""

    name: str
    number: int
    addresses: tuple[str, ...]


class Detected(NamedTuple):
    """An address with its prefix length, and the device that has it."""

    address: str
    device: str

    @property
    def host(self) -> str:
        """Return the address alone."""
        return self.address.partition("/")[0]


#: The source address that the kernel would choose towards a destination of a family, or None if there is no way.
SourceAddress = Callable[[str, int], "str | None"]


class Surroundings(NamedTuple):
    """All that detection may look at."""

    devices: Sequence[Device]
    source_address: SourceAddress
    internal_addresses: Sequence[str] = ()


class Method(NamedTuple):
    """A detection method, taken apart."""

    name: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as it was written."""
        return f"{self.name}={','.join(self.arguments)}" if self.arguments else self.name


def parse_method(text: str) -> Method:
    """Take a method apart; raises MethodError, which names the methods there are."""
    name, equals, rest = text.strip().partition("=")
    arguments = tuple(part.strip() for part in rest.split(",") if part.strip())
    method = Method(name, arguments)
    if name in {"first-found", "kubernetes-internal-ip"} and not equals:
        return method
    if name == "can-reach" and len(arguments) == 1:
        return method
    if name in {"interface", "skip-interface"} and arguments:
        for argument in arguments:
            _check_pattern(text, argument)
        return method
    if name == "cidr" and arguments:
        for argument in arguments:
            _check_network(text, argument)
        return method
    raise MethodError(f"expected one of {', '.join(METHODS)}, not {text!r}")


def _check_pattern(text: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise MethodError(f"expected a regular expression, not {pattern!r} in {text!r}: {error}") from error


def _check_network(text: str, network: str) -> None:
    try:
        ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        raise MethodError(f"expected a prefix, not {network!r} in {text!r}") from error


def detect(method: Method, version: int, around: Surroundings) -> Detected | None:
    """Return the node's address of a family (4 or 6) with its prefix length, or None if the method finds none."""
    if method.name == "can-reach":
        return _reaching(method.arguments[0], version, around)
    if method.name == "kubernetes-internal-ip":
        return _internal(version, around)
    return next(iter(_candidates(method, version, around.devices)), None)


def _candidates(method: Method, version: int, devices: Sequence[Device]) -> list[Detected]:
    wanted, unwanted, networks = _filters(method)
    return [
        Detected(address, device.name)
        for device in sorted(devices, key=lambda device: -device.number)
        if not any(pattern.match(device.name) for pattern in unwanted)
        if not wanted or any(pattern.search(device.name) for pattern in wanted)
        for address in device.addresses
        if is_global_unicast(address, version)
        if not networks or any(_inside(address, network) for network in networks)
    ]


def default_devices(devices: Sequence[Device]) -> Iterator[Device]:
    """Yield the devices that first-found looks at, with the addresses a node may have, lowest number first."""
    excluded = [re.compile(pattern) for pattern in EXCLUDED_DEVICES]
    for device in sorted(devices, key=lambda device: device.number):
        usable = tuple(text for text in device.addresses if is_global_unicast(text, 6 if ":" in text else 4))
        if usable and not any(pattern.match(device.name) for pattern in excluded):
            yield device._replace(addresses=usable)


def _filters(method: Method) -> tuple[list[re.Pattern[str]], list[re.Pattern[str]], tuple[str, ...]]:
    """Names to want, names not to want, prefixes to want; what is asked for by name has no exclusions."""
    if method.name == "interface":
        return [re.compile(pattern) for pattern in method.arguments], [], ()
    excluded = [re.compile(pattern) for pattern in EXCLUDED_DEVICES]
    if method.name == "skip-interface":
        return [], [*excluded, *(re.compile(f".*?(?:{pattern})") for pattern in method.arguments)], ()
    if method.name == "cidr":
        return [], [], method.arguments
    return [], excluded, ()


def _reaching(destination: str, version: int, around: Surroundings) -> Detected | None:
    source = around.source_address(destination, version)
    return None if source is None else find_address(source, around.devices)


def _internal(version: int, around: Surroundings) -> Detected | None:
    for address in around.internal_addresses:
        if ipaddress.ip_address(address).version == version:
            return find_address(address, around.devices) or Detected(with_host_length(address), "")
    return None


def find_address(address: str, devices: Sequence[Device]) -> Detected | None:
    """Return the address with the prefix length of the device that has it."""
    wanted = ipaddress.ip_address(address)
    for device in devices:
        for candidate in device.addresses:
            if ipaddress.ip_interface(candidate).ip == wanted:
                return Detected(candidate, device.name)
    return None


def with_host_length(address: str) -> str:
    """Return a single address as a prefix: /32 or /128."""
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def is_global_unicast(address: str, version: int) -> bool:
    """Tell whether an address may be a node's: of the family and no loopback, link-local or multicast one."""
    parsed = ipaddress.ip_interface(address).ip
    if parsed.version != version or str(parsed) == "255.255.255.255":
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


def _inside(address: str, network: str) -> bool:
    parsed, around = ipaddress.ip_interface(address).ip, ipaddress.ip_network(network, strict=False)
    return parsed.version == around.version and parsed in around
