"""What callers ask of address management, and what they get."""

from __future__ import annotations

from calico_routing.model.pools import WORKLOAD
from calico_routing.model.records import EMPTY, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class AssignRequest(Record):
    """Some addresses for one handle on one host (spec/calico.md section 2.1)."""

    host: str
    handle: str
    num4: int = 0
    num6: int = 0
    #: what is stored beside the addresses: node, namespace, pod, timestamp ... (section 2.7).
    attributes: Mapping[str, str] = EMPTY
    #: names or CIDRs of the only pools to take from; empty means all that select the node.
    pools4: tuple[str, ...] = ()
    pools6: tuple[str, ...] = ()
    use: str = WORKLOAD
    #: at most so many blocks for the host; 0 leaves it to IPAMConfig, and to 20.
    max_blocks: int = 0
    #: labels of the namespace, for pools with a namespaceSelector.
    namespace_labels: Mapping[str, str] = EMPTY


class FamilyResult(Record):
    """The addresses of one family: ``10.9.0.65/26``, with the prefix length of their block."""

    requested: int = 0
    addresses: tuple[str, ...] = ()
    #: why there are fewer than requested.
    messages: tuple[str, ...] = ()
    #: 4 or 6.
    version: int = 4

    @property
    def complete(self) -> bool:
        """Whether everything asked for was assigned."""
        return len(self.addresses) >= self.requested

    @property
    def shortfall(self) -> str:
        """One line on what is missing; empty when complete."""
        if self.complete:
            return ""
        text = f"Assigned {len(self.addresses)} out of {self.requested} requested IPv{self.version} addresses"
        return f"{text}; {'; '.join(self.messages)}" if self.messages else text


class AssignResult(Record):
    """What was assigned of both families; either may be partial."""

    ipv4: FamilyResult = FamilyResult(version=4)
    ipv6: FamilyResult = FamilyResult(version=6)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, IPv4 first."""
        return self.ipv4.addresses + self.ipv6.addresses


class ReleaseRequest(Record):
    """One address to give back; handle and sequence number protect one that was given to somebody else since."""

    address: str
    handle: str | None = None
    sequence_number: int | None = None


class ReleaseResult(Record):
    """What became of the addresses of a release."""

    released: tuple[str, ...] = ()
    #: were not assigned, or are in no block.
    unallocated: tuple[str, ...] = ()


class Assignment(Record):
    """Who has an address."""

    address: str
    handle: str | None
    attributes: Mapping[str, str]
    sequence_number: int
