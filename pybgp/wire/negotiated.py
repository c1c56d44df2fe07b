"""What both OPENs agreed on: the only context that decoding takes (spec section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.capabilities import (
    AddPath,
    Capability,
    EnhancedRouteRefresh,
    ExtendedMessage,
    ExtendedNextHop,
    FourOctetAs,
    GracefulRestart,
    Hostname,
    LongLivedGracefulRestart,
    MultipleLabels,
    MultiprotocolCapability,
    RoleCapability,
    RouteRefresh,
    encode_capabilities,
)
from pybgp.wire.families import EXTENDED_NEXT_HOP_FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AS_TRANS, EXTENDED_LIMIT, STANDARD_LIMIT, AddPathMode, OpenSubcode, Role
from pybgp.wire.nlri.prefixes import prefix_splitter
from pybgp.wire.nlri.row import NlriContext

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pybgp.wire.messages import Open

T = TypeVar("T")
_GREATEST_OLD_AS = 0xFFFF
#: RFC 9234 section 4.2: what we are, and what the peer then must be.
_ROLE_PAIRS = {
    Role.PROVIDER: Role.CUSTOMER,
    Role.CUSTOMER: Role.PROVIDER,
    Role.ROUTE_SERVER: Role.ROUTE_SERVER_CLIENT,
    Role.ROUTE_SERVER_CLIENT: Role.ROUTE_SERVER,
    Role.PEER: Role.PEER,
}


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """What an operator may change about the reading of UPDATEs (spec sections 5 and 14)."""

    allow_as_sets: bool = False
    check_first_as: bool = True
    reset_on_unknown_well_known: bool = True
    disable_family: bool = False
    #: take confederation segments: the peer is in our confederation (RFC 5065 section 5.3).
    confederation: bool = False
    #: ... in another member AS of it, whose number must lead, in a segment of that kind.
    confederation_member: bool = False
    #: take AIGP (RFC 7311 section 3.1); without it the attribute is discarded.
    aigp: bool = False
    #: take PREFIX_SID from external peers of the same segment-routing domain (RFC 8669 section 4).
    external_prefix_sid: bool = False
    #: take a next hop of zero: a monitored route of the router's own (RFC 8671 section 5.2).
    unspecified_next_hop: bool = False
    #: take a next hop of 127/8 or ::1: both ends are on one machine, as in tests.
    loopback_next_hop: bool = False
    discard_codes: frozenset[int] = frozenset()
    withdraw_codes: frozenset[int] = frozenset()


DEFAULT_OPTIONS = UpdateOptions()


@dataclass(frozen=True, slots=True, eq=False)
class DecodingContext:
    """What the meaning of an attribute block depends on; equal ones are one object, so that they index fast."""

    asn4: bool
    external: bool
    #: the AS number that a path must begin with; 0: not checked (RFC 4271 section 6.3).
    first_as: int
    #: the same as a path of this session has it, empty for 0.
    first_octets: bytes
    options: UpdateOptions
    #: nothing here changes what an ordinary block means.
    is_plain: bool
    #: the peer is in another member AS of our confederation.
    member: bool = False


@lru_cache(maxsize=65536)
def decoding_context(
    asn4: bool, external: bool, first_as: int, options: UpdateOptions, member: bool = False
) -> DecodingContext:
    """Return the one context for these facts."""
    is_plain = not member and not options.discard_codes and not options.withdraw_codes
    written_as = first_as if asn4 or first_as <= _GREATEST_OLD_AS else AS_TRANS
    first_octets = written_as.to_bytes(4 if asn4 else 2, "big") if first_as else b""
    return DecodingContext(asn4, external, first_as, first_octets, options, is_plain, member)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The facts of one session, fixed when both OPENs are known.

    A session has them from `negotiate`; who reads messages without one, from a file for example, says what is known:
    ``Negotiated(local_as=64512, peer_as=64513)`` is a session of IPv4 unicast with AS numbers of 4 octets.
    """

    local_as: int
    peer_as: int
    #: 0: unknown.
    local_id: int = 0
    peer_id: int = 0
    families: frozenset[Family] = frozenset({IPV4_UNICAST})
    asn4: bool = True
    add_path_receive: frozenset[Family] = frozenset()
    add_path_send: frozenset[Family] = frozenset()
    receive_limit: int = STANDARD_LIMIT
    send_limit: int = STANDARD_LIMIT
    hold_time: int = 90
    route_refresh: bool = True
    enhanced_refresh: bool = False
    #: the peer's, whatever we sent: helping depends on the restarting side only (RFC 4724 section 4).
    graceful_restart: GracefulRestart | None = None
    long_lived: LongLivedGracefulRestart | None = None
    notification_in_force: bool = False
    extended_next_hop: frozenset[Family] = frozenset()
    #: (family, how many labels we take): both sides count labels there (RFC 8277 section 2.1).
    label_limits: tuple[tuple[Family, int], ...] = ()
    #: (family, how many labels the peer takes), of the same families; of all others it takes one.
    peer_label_limits: tuple[tuple[Family, int], ...] = ()
    #: what we are to the peer, None where we did not say; the peer agrees or does not say (RFC 9234 section 4.2).
    local_role: Role | None = None
    peer_role: Role | None = None
    peer_hostname: str | None = None
    options: UpdateOptions = DEFAULT_OPTIONS
    context: DecodingContext = field(init=False, repr=False, compare=False)
    #: what splits ordinary prefixes of the two commonest families (`prefix_splitter`); None where one is not in force.
    split_ipv4: Callable[[bytes], list[bytes]] | None = field(init=False, repr=False, compare=False)
    split_ipv6: Callable[[bytes], list[bytes]] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look up once what every UPDATE needs."""
        first_as = self.peer_as if self.options.check_first_as and not self.internal else 0
        context = decoding_context(self.asn4, not self.interior, first_as, self.options, self.member)
        object.__setattr__(self, "context", context)
        for name, family in (("split_ipv4", IPV4_UNICAST), ("split_ipv6", IPV6_UNICAST)):
            add_path = family in self.add_path_receive
            split = prefix_splitter(family, add_path) if family in self.families else None
            object.__setattr__(self, name, split)

    def nlri_context(self, family: Family, *, withdrawn: bool = False) -> NlriContext:
        """Return what the reading of an NLRI field of the family depends on."""
        labels = dict(self.label_limits).get(family, 0) if self.label_limits else 0
        return NlriContext(family in self.add_path_receive, labels, withdrawn)

    @property
    def internal(self) -> bool:
        """Whether both ends are in one AS."""
        return self.local_as == self.peer_as

    @property
    def member(self) -> bool:
        """Whether the peer is in another member AS of our confederation (RFC 5065)."""
        return self.options.confederation_member and not self.internal

    @property
    def interior(self) -> bool:
        """Whether both ends are in one AS as the world sees it."""
        return self.internal or self.member

    @property
    def keepalive_time(self) -> float:
        """Seconds between KEEPALIVEs: a third of the hold time, 0 for none (RFC 4271 section 4.4)."""
        return self.hold_time / 3


def _open_error(subcode: OpenSubcode, reason: str, data: bytes = b"") -> RemoteError:
    return RemoteError(ErrorCode.OPEN_MESSAGE, subcode, data, reason=reason)


def _last(capabilities: Iterable[Capability], kind: type[T]) -> T | None:
    found = None
    for capability in capabilities:
        if isinstance(capability, kind):
            found = capability
    return found


def _has(message: Open, kind: type[T]) -> bool:
    return _last(message.capabilities, kind) is not None


def families_of(message: Open) -> frozenset[Family]:
    """Return the families an OPEN offers: IPv4 unicast alone if it names none (RFC 4760 section 8)."""
    named = {item.family for item in message.capabilities if isinstance(item, MultiprotocolCapability)}
    return frozenset(named or {IPV4_UNICAST})


def _add_path_modes(message: Open) -> dict[Family, int]:
    """Return the modes by family; a tuple with an unknown mode is left out, several capabilities add up."""
    pairs = [pair for item in message.capabilities if isinstance(item, AddPath) for pair in item.families]
    return {family: mode for family, mode in pairs if mode in (1, 2, 3)}


def _add_path(receiver: Open, sender: Open) -> frozenset[Family]:
    """Return the families in which ``sender`` will put path identifiers towards ``receiver`` (RFC 7911 section 4)."""
    receives, sends = _add_path_modes(receiver), _add_path_modes(sender)
    return frozenset(
        family
        for family, mode in sends.items()
        if mode & AddPathMode.SEND and receives.get(family, 0) & AddPathMode.RECEIVE
    )


def _extended_next_hop(message: Open) -> frozenset[Family]:
    return frozenset(
        family
        for item in message.capabilities
        if isinstance(item, ExtendedNextHop)
        for family, hop in item.families
        if family in EXTENDED_NEXT_HOP_FAMILIES and hop == IPV6_UNICAST.afi
    )


def _label_limits(ours: Open, theirs: Open) -> tuple[tuple[Family, int], ...]:
    """Return how many labels the first side takes where both count them (RFC 8277 section 2.1)."""
    theirs_by_family, ours_by_family = _label_counts(theirs), _label_counts(ours)
    return tuple((family, count) for family, count in ours_by_family.items() if family in theirs_by_family)


def _label_counts(message: Open) -> dict[Family, int]:
    """Return the counts of the first capability, the first of each family; 0 and 1 say nothing."""
    found: dict[Family, int] = {}
    first = next((item for item in message.capabilities if isinstance(item, MultipleLabels)), None)
    for family, count in first.families if first else ():
        if count > 1:
            found.setdefault(family, count)
    return found


def _roles(ours: Open, theirs: Open, strict: bool) -> tuple[Role | None, Role | None]:
    """Return both roles; they must fit, and with ``strict`` the peer must name one (RFC 9234 section 4.2)."""
    said = _last(ours.capabilities, RoleCapability)
    if said is None or ours.asn == theirs.asn:
        return None, None
    if said.role not in _ROLE_PAIRS:
        raise LocalError(f"role {said.role}: 0 to {max(_ROLE_PAIRS)} are defined")
    local = Role(said.role)
    heard = {item.role for item in theirs.capabilities if isinstance(item, RoleCapability)}
    if heard - {_ROLE_PAIRS[local]} or (strict and not heard):
        shown = ", ".join(map(str, sorted(heard))) or "no role"
        raise _open_error(OpenSubcode.ROLE_MISMATCH, f"our role is {local.name}, the peer's {shown}")
    return local, _ROLE_PAIRS[local] if heard else None


def _check_peer(ours: Open, theirs: Open, peer_as: int | None, minimum_hold_time: int) -> None:
    """RFC 4271 section 6.2, RFC 6286 section 2.2, RFC 7607."""
    if theirs.asn == 0 or (peer_as is not None and theirs.asn != peer_as):
        raise _open_error(OpenSubcode.BAD_PEER_AS, f"peer AS {theirs.asn}, configured {peer_as}")
    if theirs.router_id == 0 or (theirs.router_id == ours.router_id and theirs.asn == ours.asn):
        raise _open_error(OpenSubcode.BAD_IDENTIFIER, f"identifier {theirs.router_id:#010x} is zero or our own")
    hold_time = theirs.hold_time
    if hold_time in (1, 2) or hold_time < minimum_hold_time:
        data = hold_time.to_bytes(2, "big")
        raise _open_error(OpenSubcode.UNACCEPTABLE_HOLD_TIME, f"hold time {hold_time}", data)


def _check_required(ours: Open, theirs: Open, required: Collection[int]) -> None:
    """RFC 5492 section 3: name the capabilities whose absence ends the session."""
    present = {capability.code for capability in theirs.capabilities}
    missing = [item for item in ours.capabilities if item.code in required and item.code not in present]
    if missing:
        names = ", ".join(str(capability.code) for capability in missing)
        raise _open_error(
            OpenSubcode.UNSUPPORTED_CAPABILITY, f"capabilities {names} are required", encode_capabilities(missing)
        )


def _common_families(ours: Open, theirs: Open, required: bool) -> frozenset[Family]:
    common = families_of(ours) & families_of(theirs)
    if required and not common:
        data = encode_capabilities(MultiprotocolCapability(family) for family in sorted(families_of(ours)))
        raise _open_error(OpenSubcode.UNSUPPORTED_CAPABILITY, "no address family in common", data)
    return common


def negotiate(
    ours: Open,
    theirs: Open,
    *,
    peer_as: int | None = None,
    minimum_hold_time: int = 0,
    required: Collection[int] = (),
    require_common_family: bool = True,
    strict_role: bool = False,
    options: UpdateOptions = DEFAULT_OPTIONS,
) -> Negotiated:
    """Check the peer's OPEN and return what is in force (spec section 2); ``peer_as`` is the configured one."""
    _check_peer(ours, theirs, peer_as, minimum_hold_time)
    _check_required(ours, theirs, required)
    families = _common_families(ours, theirs, require_common_family)
    local_role, peer_role = _roles(ours, theirs, strict_role)
    our_restart = _last(ours.capabilities, GracefulRestart)
    restart = _last(theirs.capabilities, GracefulRestart)
    hostname = _last(theirs.capabilities, Hostname)
    return Negotiated(
        local_as=ours.asn,
        peer_as=theirs.asn,
        local_id=ours.router_id,
        peer_id=theirs.router_id,
        families=families,
        asn4=_has(ours, FourOctetAs) and _has(theirs, FourOctetAs),
        add_path_receive=_add_path(ours, theirs) & families,
        add_path_send=_add_path(theirs, ours) & families,
        receive_limit=EXTENDED_LIMIT if _has(ours, ExtendedMessage) else STANDARD_LIMIT,
        send_limit=EXTENDED_LIMIT if _has(theirs, ExtendedMessage) else STANDARD_LIMIT,
        hold_time=min(ours.hold_time, theirs.hold_time),
        route_refresh=_has(ours, RouteRefresh) and _has(theirs, RouteRefresh),
        enhanced_refresh=_has(ours, EnhancedRouteRefresh) and _has(theirs, EnhancedRouteRefresh),
        graceful_restart=restart,
        long_lived=_last(theirs.capabilities, LongLivedGracefulRestart) if restart else None,
        notification_in_force=bool(our_restart and restart and our_restart.notification and restart.notification),
        extended_next_hop=_extended_next_hop(ours) & _extended_next_hop(theirs) & families,
        label_limits=_label_limits(ours, theirs),
        peer_label_limits=_label_limits(theirs, ours),
        local_role=local_role,
        peer_role=peer_role,
        peer_hostname=hostname.host if hostname else None,
        options=options,
    )
