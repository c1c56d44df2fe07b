"""Decides which kernel routes of others are announced: those inside pools, unless their device says otherwise."""

from __future__ import annotations

from fnmatch import fnmatchcase
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Final

from calico_routing.export_policy import OTHER_TUNNEL, PrefixSet
from pybgp.rib.path import LOCAL_PEER, Path, Source
from pybgp.rib.policy import Passed
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import AttributeCode, Origin
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from calico_routing.kernel.interface import KernelRoute
    from pybgp.rib.policy import Policy

#: A learned route yields to BGP (100) and to our own blocks (200), as BIRD's kernel protocol does (spec section 4.6).
KERNEL_PREFERENCE: Final = 10
KERNEL_LABEL: Final = "kernel"
#: Destinations that one turn of the loop applies other rules to.
SETTLED_AT_ONCE: Final = 100
#: Devices of other tunnels, whose routes iBGP peers must not hear, and those that nobody must hear (spec section 4.6).
OTHER_TUNNEL_DEVICES: Final = ("*.cali", "*.calico")
SILENT_DEVICES: Final = ("bpf*.cali", "kube-ipvs*")


def label_of(route: KernelRoute, ignored: Sequence[str] = ()) -> str:
    """Return the label under which a route is announced; empty for one that is not."""
    devices = [hop.device for hop in route.next_hops if hop.device]
    for labels, patterns in (("", (*SILENT_DEVICES, *ignored)), (OTHER_TUNNEL, OTHER_TUNNEL_DEVICES)):
        if any(fnmatchcase(device, pattern) for device in devices for pattern in patterns):
            return labels
    return KERNEL_LABEL


class KernelLearner:
    """Turns the routes that `KernelRoutes` found into announcements; one leaves before `on_change` returns.

    Other rules are felt in turns of some hundred prefixes.
    """

    def __init__(
        self,
        announce: Callable[[str, str], None],
        withdraw: Callable[[str, str], None],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """`announce` and `withdraw` take prefix and label; `call_soon` calls back in another turn."""
        self._call_soon = call_soon
        #: Destinations that the rules in force have yet to be applied to, while there are any.
        self._unsettled: Iterator[str] | None = None
        self._announce = announce
        self._withdraw = withdraw
        self._learnt: dict[str, KernelRoute] = {}
        self._announced: dict[str, str] = {}
        self._pools: frozenset[str] = frozenset()
        self._ignored: tuple[str, ...] = ()
        self._policy: Policy | None = None
        self._inside = {family: PrefixSet(family, ()) for family in (IPV4_UNICAST, IPV6_UNICAST)}

    @property
    def announced(self) -> Mapping[str, str]:
        """What is announced now: prefix to label."""
        return self._announced

    def on_change(self, best: Mapping[str, KernelRoute | None]) -> None:
        """Take the best route of each destination that changed; None for one that has no more."""
        for destination, route in best.items():
            if route is None:
                self._learnt.pop(destination, None)
            else:
                self._learnt[destination] = route
            self._settle(destination)

    def set_rules(self, cidrs: frozenset[str], ignored: tuple[str, ...] = ()) -> None:
        """Announce what is inside these prefixes, unless it leads to an ignored device."""
        if (cidrs, ignored) != (self._pools, self._ignored):
            self._pools, self._ignored = cidrs, ignored
            self._inside = {family: PrefixSet(family, cidrs) for family in self._inside}
            self._settle_all()

    def set_policy(self, policy: Policy | None) -> None:
        """Let an import policy say what is announced, whatever the pools are; None: the pools do."""
        if policy != self._policy:
            self._policy = policy
            self._settle_all()

    def finish(self) -> None:
        """Make all announcements right at once: no session may start while some are missing (RFC 4724 section 4.1)."""
        for destination in self._unsettled or ():
            self._settle(destination)

    def _settle_all(self) -> None:
        """Make all announcements right: some at once, the others in turns of their own."""
        is_under_way = self._unsettled is not None
        self._unsettled = iter(list(self._learnt))
        if not is_under_way:
            self._settle_some()

    def _settle_some(self) -> None:
        some = list(islice(self._unsettled or (), SETTLED_AT_ONCE))
        for destination in some:
            self._settle(destination)
        if len(some) < SETTLED_AT_ONCE:
            self._unsettled = None
        else:
            self._call_soon(self._settle_some)

    def _settle(self, destination: str) -> None:
        """Make the announcement of one prefix right."""
        route = self._learnt.get(destination)
        label = self._label(destination, route) if route is not None else ""
        before = self._announced.get(destination, "")
        if label == before:
            return
        if label:
            self._announced[destination] = label
            self._announce(destination, label)
        else:
            del self._announced[destination]
        if before:
            self._withdraw(destination, before)

    def _label(self, destination: str, route: KernelRoute) -> str:
        """Return the label under which a route is announced, with a policy the tag that it sets; empty: not at all."""
        label = label_of(route, self._ignored)
        if self._policy is None:
            return label if label and self._in_pools(destination) else ""
        return judged(self._policy, destination, route, label) if label else ""

    def _in_pools(self, destination: str) -> bool:
        family, key = parse_prefix(destination)
        return self._inside[family].covers(key)


def judged(policy: Policy, destination: str, route: KernelRoute, label: str) -> str:
    """Ask an import policy about a kernel route as if it were a path of our own; return its tag, else the label."""
    family, key = parse_prefix(destination)
    gateway = next((hop.gateway for hop in route.next_hops if hop.gateway), None)
    next_hop = ip_address(gateway).packed if gateway else b""
    values: dict[int, object] = {AttributeCode.ORIGIN: Origin.INCOMPLETE, AttributeCode.AS_PATH: AsPath.sequence()}
    attributes = Attributes.build(values, next_hop)
    path = Path(LOCAL_PEER, Source.LOCAL, attributes, attributes, preference=KERNEL_PREFERENCE, label=label)
    passed = [Passed(*one) for one in policy.apply(path, family, (key,), internal=True)]
    return (passed[0].tag or label) if passed else ""
