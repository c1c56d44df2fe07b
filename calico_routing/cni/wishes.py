"""What a pod asks for: annotations, capabilities and arguments in their order of precedence (CNI section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calico_routing.cni.config import list_of_texts, parse_requested_addresses
from calico_routing.cni.errors import CniError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calico_routing.cni.arguments import Arguments
    from calico_routing.cni.config import NetworkConfig

PREFIX = "cni.projectcalico.org/"
IPV4_POOLS = PREFIX + "ipv4pools"
IPV6_POOLS = PREFIX + "ipv6pools"
IP_FAMILIES = PREFIX + "ipFamilies"
IP_ADDRS = PREFIX + "ipAddrs"
IP_ADDRS_NO_IPAM = PREFIX + "ipAddrsNoIpam"
HW_ADDR = PREFIX + "hwAddr"
FLOATING_IPS = PREFIX + "floatingIPs"
ALLOWED_SOURCE_PREFIXES = PREFIX + "allowedSourcePrefixes"
MULTICAST_BIT = 0x01


class AddressWish(NamedTuple):
    """Which addresses IPAM shall assign."""

    addresses: tuple[str, ...]
    ipv4: bool
    ipv6: bool
    ipv4_pools: tuple[str, ...]
    ipv6_pools: tuple[str, ...]


class PodWishes(NamedTuple):
    """Everything a pod may ask for beyond what the network configuration says."""

    ipam: AddressWish
    addresses_without_ipam: tuple[str, ...]
    mac: str
    floating_ips: tuple[str, ...]
    allowed_source_prefixes: tuple[str, ...]


def requested_addresses(config: NetworkConfig, arguments: Arguments) -> tuple[str, ...]:
    """runtimeConfig.ips, args.cni.ips or CNI_ARGS IP, the first that is there."""
    if config.runtime.ips:
        return parse_requested_addresses(config.runtime.ips, "runtimeConfig.ips")
    if text := arguments.args.get("IP", ""):
        return parse_requested_addresses((text,), "CNI_ARGS IP")
    return ()


def configured_wish(config: NetworkConfig, arguments: Arguments) -> AddressWish:
    """What calico-ipam assigns when nobody looks at annotations."""
    ipam = config.ipam
    addresses = requested_addresses(config, arguments)
    return AddressWish(addresses, ipam.assign_ipv4, ipam.assign_ipv6, ipam.ipv4_pools, ipam.ipv6_pools)


def pod_wishes(config: NetworkConfig, arguments: Arguments, annotations: Mapping[str, str]) -> PodWishes:
    """All wishes, checked before anything is changed (code 7 for one that cannot be met)."""
    without_ipam = _addresses_without_ipam(config, annotations)
    return PodWishes(
        ipam=_ipam_wish(configured_wish(config, arguments), annotations, without_ipam),
        addresses_without_ipam=without_ipam,
        mac=_mac(config.runtime.mac or arguments.args.get("MAC", "") or annotations.get(HW_ADDR, "")),
        floating_ips=_floating_ips(config, annotations),
        allowed_source_prefixes=_texts(annotations, ALLOWED_SOURCE_PREFIXES),
    )


def _ipam_wish(wish: AddressWish, annotations: Mapping[str, str], without_ipam: tuple[str, ...]) -> AddressWish:
    annotated = parse_requested_addresses(_texts(annotations, IP_ADDRS), IP_ADDRS)
    if annotated and without_ipam:
        raise _refusal(f"{IP_ADDRS} and {IP_ADDRS_NO_IPAM} exclude each other", "remove one of the annotations")
    families = {family.lower() for family in _texts(annotations, IP_FAMILIES)}
    if families - {"ipv4", "ipv6"}:
        raise _refusal(f"{IP_FAMILIES} is {annotations[IP_FAMILIES]}", 'expected a list of "IPv4" and "IPv6"')
    return AddressWish(
        addresses=wish.addresses or annotated,
        ipv4="ipv4" in families if families else wish.ipv4,
        ipv6="ipv6" in families if families else wish.ipv6,
        ipv4_pools=_texts(annotations, IPV4_POOLS) or wish.ipv4_pools,
        ipv6_pools=_texts(annotations, IPV6_POOLS) or wish.ipv6_pools,
    )


def _addresses_without_ipam(config: NetworkConfig, annotations: Mapping[str, str]) -> tuple[str, ...]:
    addresses = parse_requested_addresses(_texts(annotations, IP_ADDRS_NO_IPAM), IP_ADDRS_NO_IPAM)
    if addresses and not config.ip_addrs_no_ipam:
        raise _refusal(f"{IP_ADDRS_NO_IPAM} is not allowed here", "set feature_control.ip_addrs_no_ipam to true")
    return addresses


def _floating_ips(config: NetworkConfig, annotations: Mapping[str, str]) -> tuple[str, ...]:
    values = _texts(annotations, FLOATING_IPS)
    if values and not config.floating_ips:
        raise _refusal(f"{FLOATING_IPS} is not allowed here", "set feature_control.floating_ips to true")
    for value in values:
        parse_requested_addresses((value,), FLOATING_IPS)
    return values


def _texts(annotations: Mapping[str, str], key: str) -> tuple[str, ...]:
    text = annotations.get(key, "")
    return list_of_texts(text, key) if text else ()


def _mac(text: str) -> str:
    """Six octets in hex, of a single station, in lower case."""
    if not text:
        return ""
    parts = text.lower().replace("-", ":").split(":")
    try:
        octets = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError:
        octets = b""
    if len(octets) != 6 or len(parts) != 6 or octets[0] & MULTICAST_BIT or not any(octets):
        raise _refusal(f"invalid MAC address {text!r}", "expected a unicast address such as c2:11:22:33:44:55")
    return octets.hex(":")


def _refusal(message: str, details: str) -> CniError:
    return CniError(ErrorCode.INVALID_CONFIGURATION, message, details)
