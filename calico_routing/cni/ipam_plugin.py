"""`calico-ipam`: addresses from Calico's pools for whichever plugin asks (Calico section 3.6)."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING

from calico_routing.cni import launcher
from calico_routing.cni.capacity import require_capacity
from calico_routing.cni.command import Call, run
from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.locking import IpamLock
from calico_routing.cni.node import node_name, open_store, require_ready
from calico_routing.cni.result import Address, Result
from calico_routing.cni.wishes import configured_wish
from calico_routing.cni.workload import KUBERNETES, handle_of, identify
from calico_routing.datastore.interface import ConflictError, DatastoreError, NotFoundError
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.errors import AlreadyAssignedError, IpamError, NotAssignedError
from calico_routing.ipam.handles import load_handle
from calico_routing.ipam.requests import AssignRequest
from calico_routing.model.allocation import IPAMBlock
from calico_routing.model.pools import WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calico_routing.cni.config import Attachment, NetworkConfig
    from calico_routing.cni.wishes import AddressWish
    from calico_routing.cni.workload import Workload
    from calico_routing.datastore.interface import Datastore
    from calico_routing.model.allocation import AllocationAttribute


def main() -> int:
    """Serve one command."""
    return run(launcher.IPAM, HANDLERS)


def add(call: Call) -> None:
    """Assign, with the prefix length of the block unless the address was asked for."""
    workload = workload_of(call)
    with open_store(call.config) as store:
        require_ready(store)
        wish = configured_wish(call.config, call.arguments)
        addresses = assign(store, call.config, workload, wish)
        call.reply(Result(ips=tuple(Address(address) for address in addresses)))


def delete(call: Call) -> None:
    """Release whatever the handle holds; nothing at all is success."""
    workload = workload_of(call)
    with open_store(call.config) as store:
        require_ready(store)
        release(store, workload)


def check(call: Call) -> None:
    """The handle must hold addresses, all of them among those of the result."""
    previous = call.config.previous
    if previous is None:
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "CHECK needs prevResult", "the runtime must pass it")
    with open_store(call.config) as store:
        if wrong := reservation_problems(store, workload_of(call), previous.ips):
            raise CniError(ErrorCode.CHECK_MISMATCH, "the address reservation is not as ADD left it", "; ".join(wrong))


def collect(call: Call) -> None:
    """Release what this network holds on this node for attachments that are gone."""
    if call.config.valid_attachments is None:
        return
    with open_store(call.config) as store:
        require_ready(store)
        release_stale(store, call.config, node_name(call.config), call.config.valid_attachments)


def status(call: Call) -> None:
    """Whether an ADD could get its address now (code 50)."""
    node = node_name(call.config)
    with open_store(call.config) as store:
        require_ready(store)
        require_capacity(store, call.config, node)


def workload_of(call: Call) -> Workload:
    """Who the call is about."""
    node = node_name(call.config)
    return identify(call.arguments, call.config.name, node, call.outer_environment)


def assign(store: Datastore, config: NetworkConfig, workload: Workload, wish: AddressWish) -> tuple[str, ...]:
    """All addresses of the wish or none; what a killed ADD left under the handle is released first."""
    allocator = Allocator(store)
    with IpamLock(config.ipam_lock_file):
        release_handle(store, workload.handle)
        try:
            if wish.addresses:
                return tuple(_assign_requested(allocator, workload, address) for address in wish.addresses)
            return _assign_automatically(allocator, workload, wish)
        except (CniError, IpamError, DatastoreError):
            release_handle(store, workload.handle)
            raise


def _assign_requested(allocator: Allocator, workload: Workload, address: str) -> str:
    """One address that was asked for, as a host prefix (code 103 when it cannot be had)."""
    attributes = _stamped(workload)
    try:
        allocator.assign_ip(address, handle=workload.handle, host=workload.node, attributes=attributes, use=WORKLOAD)
    except AlreadyAssignedError as error:
        raise CniError(ErrorCode.ADDRESS_REFUSED, str(error), f"{address} is in use; choose another one") from error
    except IpamError as error:
        advice = f"{address} must lie in an enabled IP pool for workloads"
        raise CniError(ErrorCode.ADDRESS_REFUSED, str(error), advice) from error
    return str(ipaddress.ip_network(address))


def _assign_automatically(allocator: Allocator, workload: Workload, wish: AddressWish) -> tuple[str, ...]:
    if not wish.ipv4 and not wish.ipv6:
        advice = "set ipam.assign_ipv4 or ipam.assign_ipv6"
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "no address family is to be assigned", advice)
    result = allocator.auto_assign(
        AssignRequest(
            host=workload.node,
            handle=workload.handle,
            num4=int(wish.ipv4),
            num6=int(wish.ipv6),
            attributes=_stamped(workload),
            pools4=wish.ipv4_pools,
            pools6=wish.ipv6_pools,
        )
    )
    for family in (result.ipv4, result.ipv6):
        if not family.complete:
            advice = "add or enlarge an IP pool, or delete workloads"
            raise CniError(ErrorCode.NO_FREE_ADDRESS, family.shortfall, advice)
    return tuple(result.addresses)


def _stamped(workload: Workload) -> dict[str, str]:
    """The attributes with the time, in the words of Go's clock as Calico stores them."""
    if workload.orchestrator != KUBERNETES:
        return workload.attributes
    now = time.time_ns()
    seconds, nanoseconds = divmod(now, 1_000_000_000)
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    return workload.attributes | {"timestamp": f"{text}.{nanoseconds:09d} +0000 UTC"}


def release(store: Datastore, workload: Workload) -> None:
    """Free what the workload's handle holds, and what releases before 3.6 stored under the pod's name."""
    release_handle(store, workload.handle)
    if workload.orchestrator == KUBERNETES:
        release_handle(store, f"{workload.namespace}.{workload.pod}")


def release_handle(store: Datastore, handle: str) -> None:
    """Free everything under the handle; no such handle is success."""
    try:
        Allocator(store).release_by_handle(handle)
    except NotAssignedError:
        return
    _forget_residue(store, handle)


def _forget_residue(store: Datastore, handle: str) -> None:
    """A killed ADD may have counted an address under its handle that it never took.

    Nobody else can be about to take one: a runtime never calls twice for one container at the same time.
    """
    try:
        store.delete(load_handle(store, handle))
    except (NotFoundError, ConflictError):
        return


def reservation_problems(store: Datastore, workload: Workload, ips: Iterable[Address]) -> list[str]:
    """How the reservation differs from the result."""
    try:
        reserved = set(map(_host_part, Allocator(store).addresses_by_handle(workload.handle)))
    except NotAssignedError:
        return [f"nothing is reserved under {workload.handle}"]
    present = {_host_part(entry.address) for entry in ips}
    return [f"{address} is reserved but not in prevResult" for address in sorted(reserved - present)]


def _host_part(address: str) -> str:
    return address.partition("/")[0]


def release_stale(store: Datastore, config: NetworkConfig, node: str, valid: Sequence[Attachment]) -> list[str]:
    """Free the handles of this network and node that no valid attachment has; all are tried, then failures told."""
    keep = {handle_of(config.name, *attachment) for attachment in valid}
    stale = sorted(handle for handle in handles_of(store, config.name, node) if handle not in keep)
    failures = []
    for handle in stale:
        try:
            release_handle(store, handle)
        except (IpamError, DatastoreError) as error:
            failures.append(f"{handle}: {error}")
    if failures:
        raise CniError(ErrorCode.DATASTORE, "some addresses could not be released", "; ".join(failures))
    return stale


def handles_of(store: Datastore, network: str, node: str) -> set[str]:
    """The handles under which this network holds addresses for this node."""
    return {
        attribute.handle_id
        for block in store.list(IPAMBlock).items
        for attribute in block.attributes
        if attribute.handle_id and _belongs(attribute, network, node)
    }


def _belongs(attribute: AllocationAttribute, network: str, node: str) -> bool:
    """A handle is network, dot, container; when either holds a dot only the attribute `network` tells them apart."""
    handle, secondary = attribute.handle_id or "", attribute.secondary
    if secondary.get("node") != node or "type" in secondary or not handle.startswith(f"{network}."):
        return False
    return "." not in handle.removeprefix(f"{network}.") or secondary.get("network") == network


HANDLERS = {"ADD": add, "DEL": delete, "CHECK": check, "GC": collect, "STATUS": status}
