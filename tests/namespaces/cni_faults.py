"""Runs the plugin with a fault at its n-th step that touches the kernel, the store, the lock or the answer.

CNI_FAULT is `count` (tells the number of steps on stderr), `kill:N`, `kill-after:N` or `fail:N`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from calico_routing.cni import command, locking, networking
from calico_routing.cni.launcher import main
from calico_routing.datastore.interface import DatastoreError
from calico_routing.datastore.sqlite_datastore import SqliteDatastore
from calico_routing.kernel.netlink.connection import NetlinkSocket
from calico_routing.kernel.netlink.errors import KernelError

KIND, _, NUMBER = os.environ["CNI_FAULT"].partition(":")
AT = int(NUMBER or 0)
STEPS: list[str] = []


def guarded(name: str, function: Callable[..., Any], error: Callable[[], Exception]) -> Callable[..., Any]:
    def step(*arguments: Any, **keywords: Any) -> Any:
        STEPS.append(name)
        chosen = len(STEPS) == AT
        if chosen and KIND == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if chosen and KIND == "fail":
            raise error()
        try:
            return function(*arguments, **keywords)
        finally:
            if chosen and KIND == "kill-after":
                os.kill(os.getpid(), signal.SIGKILL)

    return step


def kernel_fault() -> Exception:
    return KernelError(5, "injected fault")


def install_faults() -> None:
    patch: Any = setattr
    for name in ("send_batch", "query"):
        patch(NetlinkSocket, name, guarded(name, getattr(NetlinkSocket, name), kernel_fault))
    patch(networking, "write_sysctl", guarded("sysctl", networking.write_sysctl, kernel_fault))
    for name in ("get", "create", "update", "delete"):
        fault = guarded(f"store {name}", getattr(SqliteDatastore, name), lambda: DatastoreError("injected fault"))
        patch(SqliteDatastore, name, fault)
    patch(locking.IpamLock, "__enter__", guarded("lock", locking.IpamLock.__enter__, lambda: OSError(5, "injected")))
    patch(command, "write_answer", guarded("answer", command.write_answer, lambda: OSError(32, "injected fault")))


if __name__ == "__main__":
    install_faults()
    status = main("calico")
    if KIND == "count":
        sys.stderr.write(f"{len(STEPS)}\n")
    sys.exit(status)
