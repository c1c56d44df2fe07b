"""Route leaks kept in by roles and the attribute Only To Customer (RFC 9234 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import AttributeCode, Role

if TYPE_CHECKING:
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

#: Our role where the peer is below us, and must not send what is for customers only.
_ABOVE: Final = (Role.PROVIDER, Role.ROUTE_SERVER)
#: Our role where the peer is above or beside us, so that its routes are for our customers only, and theirs not for it.
_NOT_ABOVE: Final = (Role.CUSTOMER, Role.ROUTE_SERVER_CLIENT, Role.PEER)
#: Our role where the peer is below or beside us, so that it may tell its customers only.
_MARKS: Final = (Role.PROVIDER, Role.ROUTE_SERVER, Role.PEER)


def role_in(family: Family, role: Role | None) -> Role | None:
    """Return a role where it counts: for unicast routes."""
    return role if family in (IPV4_UNICAST, IPV6_UNICAST) else None


def leak(received: Attributes, peer: RibPeer, family: Family) -> str:
    """Say why a route is a leak; empty if it is none."""
    role = role_in(family, peer.local_role)
    if role is None or AttributeCode.ONLY_TO_CUSTOMER not in received.codes():
        return ""
    marked_by = received.get(AttributeCode.ONLY_TO_CUSTOMER)
    if role in _ABOVE or (role is Role.PEER and marked_by != peer.remote_as):
        return f"route leak: only for customers of AS {marked_by} (RFC 9234)"
    return ""


def mark_on_entry(received: Attributes, peer: RibPeer, family: Family) -> int | None:
    """Return the AS whose customers alone may hear of a route that came without a mark."""
    is_marked = AttributeCode.ONLY_TO_CUSTOMER in received.codes()
    return peer.remote_as if role_in(family, peer.local_role) in _NOT_ABOVE and not is_marked else None


def may_pass(attributes: Attributes, role: Role | None) -> bool:
    """Say whether peers toward whom we have this role may hear of a route."""
    return role not in _NOT_ABOVE or AttributeCode.ONLY_TO_CUSTOMER not in attributes.codes()


def mark_on_exit(attributes: Attributes, role: Role | None, local_as: int) -> int | None:
    """Return our AS where a route leaves without a mark toward peers that may tell their customers only."""
    return local_as if role in _MARKS and AttributeCode.ONLY_TO_CUSTOMER not in attributes.codes() else None
