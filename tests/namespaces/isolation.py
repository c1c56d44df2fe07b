"""Network namespaces for tests: made without a name and entered by this thread, so nothing is left behind."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from calico_routing.kernel.netlink import NetlinkClient, VethEnd
from calico_routing.kernel.netlink.namespaces import CLONE_NEWNET, set_namespace

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        pytest.skip(f"this machine allows no network namespaces: {os.strerror(number)}")


@contextmanager
def private_namespace() -> Iterator[None]:
    """The body, and the programs that it starts, run in a new namespace; loopback is up."""
    origin = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _unshare()
        with NetlinkClient() as client:
            client.set_link(1, up=True)
        yield
    finally:
        set_namespace(origin)
        os.close(origin)


@contextmanager
def another_namespace() -> Iterator[int]:
    """A descriptor of a new namespace; this thread stays where it is."""
    origin = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    made = -1
    try:
        _unshare()
        made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        set_namespace(origin)
        yield made
    finally:
        set_namespace(origin)
        os.close(origin)
        if made >= 0:
            os.close(made)


def stand_in_tunnel(name: str = "tunl0") -> None:
    """The real device where the kernel has ipip, else a veth of this name, which takes the same onlink routes."""
    with NetlinkClient() as client:
        if client.link(name) is None:
            client.create_veth(VethEnd(name, mtu=1480), VethEnd(f"{name}-far"))
        for link in client.links():
            if link.name in (name, f"{name}-far"):
                client.set_link(link.ifindex, up=True)


def device_names() -> list[str]:
    """The devices of this namespace but the one that ipip puts into each."""
    with NetlinkClient() as client:
        return [link.name for link in client.links() if link.kind != "ipip"]
