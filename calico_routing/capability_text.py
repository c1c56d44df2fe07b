"""Capabilities and what is in force on a session, in an operator's words; from the documents of `peer_detail`."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_DIRECTIONS: Final = {1: "receive", 2: "send", 3: "both ways"}
#: RFC 9234 section 4.1.
_ROLES: Final = ("provider", "route-server", "route-server-client", "customer", "peer")
#: What needs no words of its own in a list of facts.
_FLAGS: Final = {
    "asn4": "4-octet AS numbers",
    "route_refresh": "route refresh",
    "enhanced_refresh": "enhanced route refresh",
    "notification_in_force": "graceful restart after NOTIFICATIONs",
}
_FAMILIES: Final = {
    "families": "",
    "add_path_receive": "ADD-PATH received: ",
    "add_path_send": "ADD-PATH sent: ",
    "extended_next_hop": "IPv6 next hops: ",
}


def capability_text(document: Mapping[str, Any]) -> str:
    """Return one capability of an OPEN."""
    words = _TEXTS.get(document["name"])
    return (
        words(document) if words is not None else f"capability {document['code']} {document.get('value', '')}".rstrip()
    )


def _listed(name: str, items: Iterable[str]) -> str:
    found = ", ".join(items)
    return f"{name}: {found}" if found else name


def _graceful_restart(document: Mapping[str, Any]) -> str:
    name = f"graceful restart {document['restart_time']} s"
    name += ", restarting" if document["restart_state"] else ""
    name += ", also after NOTIFICATIONs" if document["notification"] else ""
    return _listed(name, (f"{family}{' kept' if is_kept else ''}" for family, is_kept in document["families"]))


def _long_lived(document: Mapping[str, Any]) -> str:
    families = document["families"]
    return _listed(
        "long-lived graceful restart",
        (f"{family} {seconds} s{' kept' if is_kept else ''}" for family, is_kept, seconds in families),
    )


def _add_path(document: Mapping[str, Any]) -> str:
    pairs = document["families"]
    return _listed("ADD-PATH", (f"{family} {_DIRECTIONS.get(mode, f'mode {mode}')}" for family, mode in pairs))


def _next_hops(document: Mapping[str, Any]) -> str:
    versions = {1: "IPv4", 2: "IPv6"}
    pairs = document["families"]
    return _listed("next hops", (f"{family} by {versions.get(afi, f'AFI {afi}')}" for family, afi in pairs))


def _counted(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda document: _listed(name, (f"{family} {count}" for family, count in document["families"]))


def _hostname(document: Mapping[str, Any]) -> str:
    return "host name " + ".".join(filter(None, (document["host"], document["domain"])))


def _filters(document: Mapping[str, Any]) -> str:
    return _listed("outbound route filters", (str(family) for family, _ in document["families"]))


_TEXTS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "MultiprotocolCapability": lambda document: str(document["family"]),
    "RouteRefresh": lambda document: "route refresh" + ("" if document["code"] == 2 else f" (code {document['code']})"),
    "OutboundRouteFilter": _filters,
    "MultipleLabels": _counted("labels"),
    "RoleCapability": lambda document: f"role {role_text(document['role'])}",
    "ExtendedNextHop": _next_hops,
    "ExtendedMessage": lambda _: "extended messages",
    "GracefulRestart": _graceful_restart,
    "FourOctetAs": lambda document: f"4-octet AS {document['asn']}",
    "AddPath": _add_path,
    "EnhancedRouteRefresh": lambda _: "enhanced route refresh",
    "LongLivedGracefulRestart": _long_lived,
    "Hostname": _hostname,
    "SoftwareVersion": lambda document: f"software {document['text']}",
    "PathsLimit": _counted("paths"),
}


def role_text(role: int) -> str:
    """Return a role by name (RFC 9234 section 4.1)."""
    return _ROLES[role] if 0 <= role < len(_ROLES) else str(role)


def facts(in_force: Mapping[str, Any]) -> Iterator[str]:
    """Yield what both sides agreed on."""
    yield f"AS {in_force['local_as']} with AS {in_force['peer_as']}"
    yield f"identifiers {IPv4Address(in_force['local_id'])} and {IPv4Address(in_force['peer_id'])}"
    for key, name in _FAMILIES.items():
        if in_force[key]:
            yield name + ", ".join(in_force[key])
    yield f"hold time {in_force['hold_time']} s"
    yield from (name for key, name in _FLAGS.items() if in_force[key])
    yield f"messages of {in_force['receive_limit']} octets in, {in_force['send_limit']} out"
    if in_force["graceful_restart"] is not None:
        yield "the peer's " + _graceful_restart(in_force["graceful_restart"])
    if in_force["long_lived"] is not None:
        yield "its " + _long_lived(in_force["long_lived"])
    for side in ("local", "peer"):
        if in_force[f"{side}_role"] is not None:
            yield f"{side} role {in_force[f'{side}_role']}"
    for key, name in (("label_limits", "labels taken"), ("peer_label_limits", "labels sent")):
        if in_force[key]:
            yield _listed(name, (f"{family} {count}" for family, count in in_force[key]))
    if in_force["peer_hostname"]:
        yield f"the peer is {in_force['peer_hostname']}"
