"""The network configuration that arrives on stdin (CNI section 2, Calico section 3.1)."""

from __future__ import annotations

import ipaddress
import json
from typing import NamedTuple

from calico_routing.cni.arguments import CONTAINER_ID
from calico_routing.cni.documents import (
    Document,
    find,
    flag_at,
    integer_at,
    mapping_at,
    mappings_at,
    text_at,
    texts_at,
)
from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.result import Result, parse_result
from calico_routing.cni.versions import OLDEST_VERSION, SUPPORTED, SUPPORTED_VERSIONS, parse_version

NODENAME_FILE = "/var/lib/calico/nodename"
MTU_FILE = "/var/lib/calico/mtu"
IPAM_LOCK_FILE = "/var/run/calico/ipam.lock"
POD_ANNOTATIONS = "io.kubernetes.cri.pod-annotations"

#: command -> the first version that has it.
COMMAND_SINCE = {"CHECK": (0, 4, 0), "GC": (1, 1, 0), "STATUS": (1, 1, 0)}


class IpamConfig(NamedTuple):
    """The `ipam` object; `document` keeps the keys of foreign plugins."""

    plugin_type: str
    document: Document
    assign_ipv4: bool
    assign_ipv6: bool
    ipv4_pools: tuple[str, ...]
    ipv6_pools: tuple[str, ...]


class RuntimeConfig(NamedTuple):
    """What the runtime hands over for declared capabilities, and the older `args.cni` form of the same wishes."""

    ips: tuple[str, ...]
    mac: str
    annotations: dict[str, str]


class Attachment(NamedTuple):
    """One attachment that GC must keep."""

    container_id: str
    ifname: str


class NetworkConfig(NamedTuple):
    """One plugin's configuration, checked; `document` is the whole object as it came."""

    document: Document
    cni_version: str
    name: str
    mtu: int
    mtu_file: str
    require_mtu_file: bool
    nodename: str
    nodename_file: str
    nodename_file_optional: bool
    hostname: str
    datastore_type: str
    datastore_path: str
    control_socket: str
    ipam: IpamConfig
    ipam_lock_file: str
    allow_ip_forwarding: bool
    ip_addrs_no_ipam: bool
    floating_ips: bool
    include_default_routes: bool
    runtime: RuntimeConfig
    previous: Result | None
    valid_attachments: tuple[Attachment, ...] | None


def decode(octets: bytes) -> Document:
    """Octets to an object whose name and version are good (code 6, 7, 6, 1 in this order)."""
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise CniError(
            ErrorCode.DECODING,
            f"cannot decode the network configuration: {error}",
            "stdin must hold one JSON object",
        ) from error
    if not isinstance(document, dict):
        raise CniError(ErrorCode.DECODING, "cannot decode the network configuration", "stdin must hold one JSON object")
    name = text_at(document, "name")
    if not CONTAINER_ID.fullmatch(name):
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"invalid network name {name!r}" if name else "missing network name",
            "name must start with a letter or digit, then letters, digits, _ . -",
        )
    return document


def supported_version(document: Document) -> str:
    """The configuration's version as it is spelt, when we speak it."""
    text = text_at(document, "cniVersion") or OLDEST_VERSION
    try:
        version = parse_version(text)
    except ValueError as error:
        raise CniError(ErrorCode.DECODING, str(error), "correct cniVersion in the network configuration") from error
    if version not in SUPPORTED:
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            "incompatible CNI versions",
            f"config is {text!r}, plugin supports {' '.join(SUPPORTED_VERSIONS)}",
        )
    return text


def require_version_of(command: str, cni_version: str) -> None:
    """CHECK, GC and STATUS need a version that has them (code 1)."""
    since = COMMAND_SINCE.get(command)
    if since and parse_version(cni_version) < since:
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"config version does not allow {command}",
            f"cniVersion is {cni_version}, {command} needs {'.'.join(map(str, since))} or later",
        )


def parse_config(document: Document) -> NetworkConfig:
    """Every key that we know, typed; unknown keys are left alone."""
    cni_version = supported_version(document)
    features = mapping_at(document, "feature_control")
    return NetworkConfig(
        document=document,
        cni_version=cni_version,
        name=text_at(document, "name"),
        mtu=integer_at(document, "mtu"),
        mtu_file=text_at(document, "mtu_file", MTU_FILE),
        require_mtu_file=flag_at(document, "require_mtu_file"),
        nodename=text_at(document, "nodename"),
        nodename_file=text_at(document, "nodename_file", NODENAME_FILE),
        nodename_file_optional=flag_at(document, "nodename_file_optional"),
        hostname=text_at(document, "hostname"),
        datastore_type=text_at(document, "datastore_type", "sqlite"),
        datastore_path=text_at(document, "datastore_path"),
        control_socket=text_at(document, "control_socket"),
        ipam=parse_ipam(mapping_at(document, "ipam")),
        ipam_lock_file=text_at(document, "ipam_lock_file", IPAM_LOCK_FILE),
        allow_ip_forwarding=flag_at(mapping_at(document, "container_settings"), "allow_ip_forwarding"),
        ip_addrs_no_ipam=flag_at(features, "ip_addrs_no_ipam"),
        floating_ips=flag_at(features, "floating_ips"),
        include_default_routes=flag_at(document, "include_default_routes"),
        runtime=parse_runtime(document),
        previous=parse_previous(document, cni_version),
        valid_attachments=parse_attachments(document),
    )


def parse_ipam(document: Document) -> IpamConfig:
    """The `ipam` object; an empty type means that no IPAM plugin is called."""
    return IpamConfig(
        plugin_type=text_at(document, "type"),
        document=document,
        assign_ipv4=flag_at(document, "assign_ipv4", default=True),
        assign_ipv6=flag_at(document, "assign_ipv6"),
        ipv4_pools=texts_at(document, "ipv4_pools"),
        ipv6_pools=texts_at(document, "ipv6_pools"),
    )


def parse_runtime(document: Document) -> RuntimeConfig:
    """runtimeConfig first, then args.cni (CNI section 2, precedence)."""
    runtime = mapping_at(document, "runtimeConfig")
    older = mapping_at(mapping_at(document, "args"), "cni")
    annotations = mapping_at(runtime, POD_ANNOTATIONS)
    return RuntimeConfig(
        ips=texts_at(runtime, "ips") or texts_at(older, "ips"),
        mac=text_at(runtime, "mac") or text_at(older, "mac"),
        annotations={key: value for key, value in annotations.items() if isinstance(value, str)},
    )


def parse_previous(document: Document, cni_version: str) -> Result | None:
    """The last plugin's ADD result, in whichever version it names."""
    previous = find(document, "prevResult")
    if previous is None:
        return None
    return parse_result(mapping_at(document, "prevResult"), cni_version)


def parse_attachments(document: Document) -> tuple[Attachment, ...] | None:
    """What GC keeps; None (nothing was said) is not the same as an empty list, and half an entry keeps nothing."""
    key = next((k for k in ("cni.dev/valid-attachments", "cni.dev/attachments") if find(document, k) is not None), "")
    if not key:
        return None
    attachments = [
        Attachment(text_at(entry, "containerID"), text_at(entry, "ifname")) for entry in mappings_at(document, key)
    ]
    if not all(all(attachment) for attachment in attachments):
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"invalid configuration: {key} must name containerID and ifname in every entry",
            "nothing was removed; the runtime must say what is to be kept",
        )
    return tuple(attachments)


def parse_requested_addresses(values: tuple[str, ...], source: str) -> tuple[str, ...]:
    """Addresses without their prefix length, at most one per family (code 7 names the source)."""
    addresses = []
    for value in values:
        try:
            addresses.append(ipaddress.ip_interface(value.strip()).ip)
        except ValueError as error:
            raise CniError(
                ErrorCode.INVALID_CONFIGURATION,
                f"invalid requested address {value!r}",
                f"{source} must hold addresses such as 192.168.5.7",
            ) from error
    versions = [address.version for address in addresses]
    if len(set(versions)) != len(versions):
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            "more than one address of one family requested",
            f"{source} is {', '.join(values)}; at most one IPv4 and one IPv6 address are possible",
        )
    return tuple(map(str, addresses))


def list_of_texts(text: str, source: str) -> tuple[str, ...]:
    """A JSON list of strings inside an annotation."""
    try:
        return texts_at({source: json.loads(text)}, source)
    except ValueError as error:
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"cannot decode {source}: {error}",
            f'{source} must be a JSON list of strings such as ["192.168.5.7"], it is {text!r}',
        ) from error
