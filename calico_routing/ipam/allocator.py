"""The Allocator: assigns and releases addresses over any datastore (spec/calico.md section 2)."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.requests import Assignment, AssignRequest, AssignResult, ReleaseRequest, ReleaseResult
    from calico_routing.model.resources import IPAMBlock


class Allocator:
    """Address management for any number of clients of one store; holds no state of its own."""

    def __init__(self, datastore: Datastore, clock: Callable[[], float] = time.time) -> None:
        """Work on a store; the clock gives seconds since the epoch, for claim times."""
        self._datastore = datastore
        self._clock = clock

    def auto_assign(self, request: AssignRequest) -> AssignResult:
        """Assign addresses from the host's blocks, claiming or borrowing as the rules allow (section 2.1).

        A family that gets fewer than requested says so in its ``shortfall``; NoPoolError and the datastore's errors are
        raised, after what the call itself assigned has been released.
        """
        raise NotImplementedError

    def assign_ip(self, address: str, *, handle: str, host: str, attributes: Mapping[str, str], use: str = "") -> str:
        """Assign one given address and return it with its block's prefix length (section 2.4).

        AlreadyAssignedError, NoPoolError, AffinityError.
        """
        raise NotImplementedError

    def release_ips(self, requests: Sequence[ReleaseRequest]) -> ReleaseResult:
        """Give addresses back (section 2.5); StaleReleaseError if one was handed on, and its block is left alone."""
        raise NotImplementedError

    def release_by_handle(self, handle: str) -> tuple[str, ...]:
        """Give back everything under a handle and return the addresses; NotAssignedError (section 2.5)."""
        raise NotImplementedError

    def addresses_by_handle(self, handle: str) -> tuple[str, ...]:
        """Return the addresses under a handle; NotAssignedError."""
        raise NotImplementedError

    def assignment(self, address: str) -> Assignment:
        """Return who has the address; NotAssignedError."""
        raise NotImplementedError

    def ensure_block(self, host: str, *, version: int = 4, use: str = "Workload") -> IPAMBlock:
        """Return a block of the host, claiming one if it has none."""
        raise NotImplementedError

    def claim_affinity(self, cidr: str, host: str) -> IPAMBlock:
        """Claim one block for a host (section 2.2); AffinityError if it has another owner."""
        raise NotImplementedError

    def release_affinity(self, cidr: str, host: str, *, must_be_empty: bool = False) -> None:
        """Give one block up (section 2.6); AffinityError."""
        raise NotImplementedError

    def release_host_affinities(self, host: str, *, must_be_empty: bool = False) -> None:
        """Give all blocks of a host up; with ``must_be_empty`` the others stay, and AffinityError names them."""
        raise NotImplementedError

    def release_pool_affinities(self, cidr: str) -> None:
        """Give up every block inside a CIDR, whoever owns it."""
        raise NotImplementedError
