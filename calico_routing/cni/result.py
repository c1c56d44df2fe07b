"""Success results of every specification version, and the way between them (CNI section 5)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple

from calico_routing.cni.documents import Document, find, integer_at, mapping_at, mappings_at, text_at, texts_at
from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.versions import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAST_LEGACY = (0, 2, 0)
LAST_WITH_ADDRESS_VERSION = (0, 4, 0)


class Interface(NamedTuple):
    """One end of a link; without a sandbox it is on the host."""

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int = 0
    socket_path: str = ""
    pci_id: str = ""


class Address(NamedTuple):
    """An address with its prefix length; `interface` is an index into the result's interfaces."""

    address: str
    interface: int | None = None
    gateway: str = ""

    @property
    def version(self) -> str:
        """ "4" or "6"."""
        return "6" if ":" in self.address else "4"


class Route(NamedTuple):
    """A route of the container; the members after `gw` came with 1.1.0."""

    dst: str
    gw: str = ""
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int | None = None
    scope: int | None = None

    @property
    def version(self) -> str:
        """ "4" or "6"."""
        return "6" if ":" in self.dst else "4"


class Result(NamedTuple):
    """What ADD achieved, independent of the version it is printed in."""

    interfaces: tuple[Interface, ...] = ()
    ips: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: Mapping[str, Any] = {}


def parse_result(document: Document, default_version: str) -> Result:
    """Read a result in the version it names itself, else in the given one; code 7 when it makes no sense."""
    text = text_at(document, "cniVersion") or default_version
    try:
        version = parse_version(text)
        return _parse_legacy(document) if version <= LAST_LEGACY else _parse_current(document)
    except ValueError as error:
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"invalid result of cniVersion {text}: {error}",
            "the plugin or runtime that wrote it is at fault",
        ) from error


def _parse_legacy(document: Document) -> Result:
    """0.1.0 and 0.2.0: one object per family, each with its routes."""
    ips: list[Address] = []
    routes: list[Route] = []
    for key in ("ip4", "ip6"):
        if family := mapping_at(document, key):
            ips.append(Address(_address(text_at(family, "ip")), None, text_at(family, "gateway")))
            routes += [_parse_route(entry) for entry in mappings_at(family, "routes")]
    return Result((), tuple(ips), tuple(routes), parse_dns(document))


def _parse_current(document: Document) -> Result:
    return Result(
        interfaces=tuple(map(_parse_interface, mappings_at(document, "interfaces"))),
        ips=tuple(map(_parse_address, mappings_at(document, "ips"))),
        routes=tuple(map(_parse_route, mappings_at(document, "routes"))),
        dns=parse_dns(document),
    )


def _parse_interface(entry: Document) -> Interface:
    return Interface(
        name=text_at(entry, "name"),
        mac=text_at(entry, "mac"),
        sandbox=text_at(entry, "sandbox"),
        mtu=integer_at(entry, "mtu"),
        socket_path=text_at(entry, "socketPath"),
        pci_id=text_at(entry, "pciID"),
    )


def _parse_address(entry: Document) -> Address:
    index = find(entry, "interface", -1)
    if not isinstance(index, int):
        raise ValueError(f"interface {index!r} is not an index")  # noqa: TRY004 - a value of the document, not of ours
    return Address(
        address=_address(text_at(entry, "address")),
        interface=index if index >= 0 else None,
        gateway=text_at(entry, "gateway"),
    )


def _parse_route(entry: Document) -> Route:
    return Route(
        dst=str(ipaddress.ip_network(text_at(entry, "dst"), strict=False)),
        gw=text_at(entry, "gw"),
        mtu=integer_at(entry, "mtu"),
        advmss=integer_at(entry, "advmss"),
        priority=integer_at(entry, "priority"),
        table=find(entry, "table"),
        scope=find(entry, "scope"),
    )


def parse_dns(document: Document) -> Document:
    """The resolver settings with the specification's spelling of the keys, empty members left out."""
    dns = mapping_at(document, "dns")
    lists = {key: list(texts_at(dns, key)) for key in ("nameservers", "search", "options")}
    settings: dict[str, Any] = {"nameservers": lists["nameservers"], "domain": text_at(dns, "domain"), **lists}
    return _without_empty(settings)


def _address(text: str) -> str:
    return str(ipaddress.ip_interface(text))


def render_result(result: Result, cni_version: str) -> Document:
    """The result as an object of the given version; the version is repeated as it was spelt."""
    version = parse_version(cni_version)
    if version <= LAST_LEGACY:
        return _render_legacy(result, cni_version)
    return _without_empty(
        {
            "cniVersion": cni_version,
            "interfaces": [_render_interface(entry, version) for entry in result.interfaces],
            "ips": [_render_address(entry, version) for entry in result.ips],
            "routes": [_render_route(entry) for entry in result.routes],
            "dns": dict(result.dns),
        }
    )


def _render_legacy(result: Result, cni_version: str) -> Document:
    """One address per family; a route whose family has no address is dropped; no address at all is an error."""
    document: Document = {"cniVersion": cni_version}
    for family in ("4", "6"):
        if first := next((entry for entry in result.ips if entry.version == family), None):
            routes = [_without_empty({"dst": r.dst, "gw": r.gw}) for r in result.routes if r.version == family]
            document[f"ip{family}"] = _without_empty({"ip": first.address, "gateway": first.gateway, "routes": routes})
    if len(document) == 1:
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"the result has no address, which cniVersion {cni_version} cannot say",
            "use cniVersion 0.3.0 or later in the network configuration",
        )
    return document | {"dns": dict(result.dns)}


def _render_interface(entry: Interface, version: tuple[int, int, int]) -> Document:
    document: Document = {"name": entry.name, "mac": entry.mac, "sandbox": entry.sandbox}
    if version > LAST_WITH_ADDRESS_VERSION:
        document |= {"mtu": entry.mtu, "socketPath": entry.socket_path, "pciID": entry.pci_id}
    return _without_empty(document)


def _render_address(entry: Address, version: tuple[int, int, int]) -> Document:
    document: Document = {"version": entry.version} if version <= LAST_WITH_ADDRESS_VERSION else {}
    if entry.interface is not None:
        document["interface"] = entry.interface
    return document | _without_empty({"address": entry.address, "gateway": entry.gateway})


def _render_route(entry: Route) -> Document:
    document = _without_empty(
        {"dst": entry.dst, "gw": entry.gw, "mtu": entry.mtu, "advmss": entry.advmss, "priority": entry.priority}
    )
    selectors = {"table": entry.table, "scope": entry.scope}
    return document | {key: value for key, value in selectors.items() if value is not None}


def _without_empty(document: Document) -> Document:
    return {key: value for key, value in document.items() if value not in ("", 0, [], {}, None)}


def first_address(ips: Iterable[Address], version: str) -> Address | None:
    """The first address of the family."""
    return next((entry for entry in ips if entry.version == version), None)
