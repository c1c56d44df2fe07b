"""Routing netlink in the standard library alone: values, codec, a synchronous socket, namespaces, sysctls."""

from __future__ import annotations

from calico_routing.kernel.netlink.client import NetlinkClient, VethEnd
from calico_routing.kernel.netlink.errors import (
    CapabilityMissingError,
    DumpInterruptedError,
    KernelError,
    TunnelUnavailableError,
)
from calico_routing.kernel.netlink.namespaces import EnteredNamespace
from calico_routing.kernel.netlink.sysctl import read_sysctl, write_sysctl
from calico_routing.kernel.netlink.values import (
    PROTOCOL_BOOT,
    SCOPE_LINK,
    TABLE_MAIN,
    InterfaceAddress,
    KernelRoute,
    Link,
    Neighbour,
    NextHop,
)

__all__ = [
    "PROTOCOL_BOOT",
    "SCOPE_LINK",
    "TABLE_MAIN",
    "CapabilityMissingError",
    "DumpInterruptedError",
    "EnteredNamespace",
    "InterfaceAddress",
    "KernelError",
    "KernelRoute",
    "Link",
    "Neighbour",
    "NetlinkClient",
    "NextHop",
    "TunnelUnavailableError",
    "VethEnd",
    "read_sysctl",
    "write_sysctl",
]
