"""What an operator decides about one neighbour; every value is checked where it enters."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pybgp.errors import LocalError
from pybgp.session.route_options import (
    DEFAULT_ROUTE_OPTIONS,
    PATH_OPTIONS,
    RECEIVED_OPTIONS,
    SENT_OPTIONS,
    RouteOptions,
)
from pybgp.wire.families import EXTENDED_NEXT_HOP_FAMILIES, IPV4_UNICAST, LABELLED_FAMILIES, Family
from pybgp.wire.negotiated import DEFAULT_OPTIONS, UpdateOptions

if TYPE_CHECKING:
    from pybgp.bfd.config import BfdConfig
    from pybgp.session.tcp_ao import TcpAoKey
    from pybgp.wire.iana import AddPathMode, Role

_LARGEST_UINT32 = 0xFFFFFFFF
_LARGEST_HOLD_TIME = 0xFFFF
_LARGEST_RESTART_TIME = 0xFFF
_LONGEST_STALE_TIME = 0xFFFFFF
_LONGEST_PASSWORD = 80


@dataclass(frozen=True, slots=True)
class GracefulRestartConfig:
    """Graceful restart towards one neighbour (RFC 4724, RFC 8538); no families: we help, and do not ask for help."""

    restart_time: int = 120
    #: None: every family of the session.
    families: tuple[Family, ...] | None = None
    #: Keep routes over NOTIFICATIONs and hold expiry too, if the peer says the same (RFC 8538 section 2).
    notification: bool = True
    #: The longest restart time that we grant the peer.
    maximum_restart_time: int = _LARGEST_RESTART_TIME
    #: How long routes may stay stale, from the failure on (RFC 8538 section 4.1).
    stale_time: float = 180.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        _check_range("graceful_restart.restart_time", self.restart_time, 0, _LARGEST_RESTART_TIME)
        _check_range("graceful_restart.maximum_restart_time", self.maximum_restart_time, 0, _LARGEST_RESTART_TIME)
        _check_not_negative("graceful_restart.stale_time", self.stale_time)


@dataclass(frozen=True, slots=True)
class LongLivedConfig:
    """Long-lived graceful restart towards one neighbour (RFC 9494); no families: we help, and do not ask for help."""

    #: How long the neighbour may keep our routes as a last resort, once our restart time is over.
    stale_time: int = 86400
    #: None: every family of the session.
    families: tuple[Family, ...] | None = None
    #: The longest such time that we grant the neighbour.
    maximum_stale_time: int = _LONGEST_STALE_TIME

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        _check_range("long_lived.stale_time", self.stale_time, 1, _LONGEST_STALE_TIME)
        _check_range("long_lived.maximum_stale_time", self.maximum_stale_time, 1, _LONGEST_STALE_TIME)


@dataclass(frozen=True, slots=True)
class RestartState:
    """What our OPEN says of our own restart: the R bit, and the families that kept on forwarding (F bits)."""

    restarting: bool = False
    preserved: frozenset[Family] = frozenset()


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """One neighbour as configured; times are seconds."""

    address: str
    remote_as: int
    local_as: int
    router_id: int
    local_address: str | None = None
    port: int = 179
    #: Wait for the peer's connection and never open one, save as ``call_at_start`` says.
    passive: bool = False
    families: tuple[Family, ...] = (IPV4_UNICAST,)
    description: str = ""
    hostname: str | None = None

    hold_time: int = 90
    minimum_hold_time: int = 0
    #: For our hold time; scaled if the peer has a smaller one.  None: a third (RFC 4271 section 4.4).
    keepalive_time: int | None = None
    #: None: the larger of 480 s and twice the negotiated hold time; 0: off (RFC 9687 section 4).
    send_hold_time: float | None = None
    #: The gap between connection attempts doubles from the first value to the second.
    first_retry_time: float = 0.15
    connect_retry_time: float = 5.0
    #: One attempt to connect takes no longer than this.
    connect_timeout: float = 10.0
    #: Wait this long before the first attempt to connect.
    connect_delay: float = 0.0
    #: The peer has this long for its OPEN (RFC 4271 section 8.2.2 suggests four minutes).
    open_time: float = 240.0
    #: A passive side opens one connection when it starts: the peer may have found nobody and try again only in a while.
    call_at_start: bool = False
    #: Wait this long for the peer's OPEN before sending ours (RFC 4271 section 8.1.1); 0: off.
    delay_open_time: float = 0.0
    #: After a failure the neighbour stays down for the first value, doubling to the second (DampPeerOscillations).
    idle_hold_time: float = 1.0
    maximum_idle_hold_time: float = 60.0
    #: A session shorter than the first value doubles the idle hold time, one longer than the second resets it.
    short_session_time: float = 30.0
    stable_session_time: float = 300.0

    graceful_restart: GracefulRestartConfig | None = None
    #: Goes on where graceful restart ends, and needs it.
    long_lived: LongLivedConfig | None = None
    route_refresh: bool = True
    enhanced_refresh: bool = True
    extended_message: bool = True
    four_octet_as: bool = True
    add_path: tuple[tuple[Family, AddPathMode], ...] = ()
    #: IPv4 families whose next hops may be IPv6 addresses, if the peer says so too (RFC 8950 section 4).
    extended_next_hop: tuple[Family, ...] = ()
    #: Of labelled families, how many labels in front of a prefix we take instead of one (2 to 254; 255: any number), if
    #: the peer takes several too (RFC 8277 section 2.1).
    multiple_labels: tuple[tuple[Family, int], ...] = ()
    #: What we are to an external neighbour; with ``strict_role`` it must say what it is (RFC 9234 section 4).
    role: Role | None = None
    strict_role: bool = False
    #: The neighbour is in our confederation; ``local_as`` and ``remote_as`` are member ASes then, the same one or two
    #: (RFC 5065).
    confederation: bool = False
    #: Capability codes without which the session is refused (RFC 5492 section 3).
    required_capabilities: frozenset[int] = frozenset()
    require_common_family: bool = True
    #: Resolve collisions against an Established session too (RFC 4271 section 8.1.1).
    collision_in_established: bool = False
    #: Tell a peer whose connection is not wanted now so, by a Cease, instead of just closing (spec section 6.1).
    notify_rejected: bool = False
    update_options: UpdateOptions = DEFAULT_OPTIONS
    routes: RouteOptions = DEFAULT_ROUTE_OPTIONS

    #: TCP MD5 (RFC 2385).
    password: str | None = field(default=None, repr=False)
    #: TCP-AO (RFC 5925): the first key is the one we use; excludes ``password``.
    tcp_ao: tuple[TcpAoKey, ...] = ()
    #: GTSM (RFC 5082): how many hops away the peer may be; excludes ``ttl``.
    ttl_security_hops: int | None = None
    #: The TTL we send with; None: 1 towards an external peer, 255 within the AS.
    ttl: int | None = None
    #: Bind to this interface (SO_BINDTODEVICE), a VRF for example.
    interface: str | None = None
    #: Watch the path by BFD once a session was up, and end the session when the path is lost (RFC 5882).
    bfd: BfdConfig | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        self._check_addresses()
        self._check_numbers()
        self._check_times()

    @property
    def internal(self) -> bool:
        """Whether the neighbour is in our own AS."""
        return self.local_as == self.remote_as

    @property
    def interior(self) -> bool:
        """Whether the neighbour is in our AS as the world sees it."""
        return self.internal or self.confederation

    @property
    def aigp(self) -> bool:
        """Whether distances are told on the session: only within one administration (RFC 7311 section 3.3)."""
        return self.interior if self.routes.aigp is None else self.routes.aigp

    @property
    def reading(self) -> UpdateOptions:
        """How UPDATEs of the neighbour are read."""
        options = self.update_options
        return replace(
            options,
            aigp=self.aigp or options.aigp,
            confederation=self.confederation or options.confederation,
            confederation_member=self.confederation and not self.internal,
        )

    def keeps_session(self, fresh: PeerConfig) -> bool:
        """Say whether the step to a new configuration needs no new session: TCP MD5 key, words, rules for routes."""
        soft = (*SENT_OPTIONS, *RECEIVED_OPTIONS, *(() if self.add_path else PATH_OPTIONS))
        routes = replace(self.routes, **{name: getattr(fresh.routes, name) for name in soft})
        password = self.password if self.tcp_ao else fresh.password
        words, reading = fresh.description, fresh.update_options
        return fresh == replace(self, password=password, description=words, routes=routes, update_options=reading)

    def effective_keepalive_time(self, hold_time: float) -> float:
        """Return the time between two KEEPALIVEs for a negotiated hold time."""
        if self.keepalive_time is None or not self.hold_time:
            return hold_time / 3
        return self.keepalive_time * min(1.0, hold_time / self.hold_time)

    def effective_send_hold_time(self, hold_time: float) -> float:
        """Return the send hold time for a negotiated hold time; 0: off (RFC 9687 section 4.4)."""
        if not hold_time or self.send_hold_time == 0:
            return 0.0
        if self.send_hold_time is None:
            return max(480.0, 2.0 * hold_time)
        return max(self.send_hold_time, hold_time)

    def _check_addresses(self) -> None:
        remote = _address("address", self.address)
        if self.local_address is not None and _address("local_address", self.local_address).version != remote.version:
            raise LocalError(f"local_address {self.local_address!r}: not of the same IP version as {self.address!r}")
        if self.interface is not None and not 0 < len(self.interface.encode()) < 16:
            raise LocalError(f"interface {self.interface!r}: 1 to 15 octets expected")
        if self.password is not None and not 0 < len(self.password.encode()) <= _LONGEST_PASSWORD:
            raise LocalError(f"password of {len(self.password.encode())} octets: 1 to {_LONGEST_PASSWORD} expected")

        if self.password is not None and self.tcp_ao:
            raise LocalError("password and tcp_ao: only one of them may be set")

    def _check_numbers(self) -> None:
        _check_range("remote_as", self.remote_as, 1, _LARGEST_UINT32)
        _check_range("local_as", self.local_as, 1, _LARGEST_UINT32)
        _check_range("router_id", self.router_id, 1, _LARGEST_UINT32)
        _check_range("port", self.port, 1, 65535)
        if not self.families:
            raise LocalError("families: at least one expected")
        for family in self.extended_next_hop:
            if family not in EXTENDED_NEXT_HOP_FAMILIES:
                names = ", ".join(map(str, EXTENDED_NEXT_HOP_FAMILIES))
                raise LocalError(f"extended_next_hop {family}: one of {names} expected")
        for family, count in self.multiple_labels:
            if family not in LABELLED_FAMILIES:
                names = ", ".join(map(str, sorted(LABELLED_FAMILIES)))
                raise LocalError(f"multiple_labels {family}: one of {names} expected")
            _check_range(f"multiple_labels {family}", count, 2, 255)
        if self.ttl_security_hops is not None:
            _check_range("ttl_security_hops", self.ttl_security_hops, 1, 254)
        if self.ttl is not None:
            _check_range("ttl", self.ttl, 1, 255)
        if self.role is not None and self.interior:
            raise LocalError(f"role {self.role.name}: there are roles toward external neighbours only")
        if self.long_lived is not None and self.graceful_restart is None:
            raise LocalError("long_lived: needs graceful_restart (RFC 9494 section 4.1)")
        if self.routes.route_server_client and self.interior:
            raise LocalError(f"route_server_client: another AS than ours, {self.local_as}, expected")
        if self.routes.reflector_client and not self.internal:
            raise LocalError(f"reflector_client: AS {self.local_as} expected, as ours is, not {self.remote_as}")
        if self.ttl is not None and self.ttl_security_hops is not None:
            raise LocalError("ttl and ttl_security_hops: only one of them may be set")

    def _check_times(self) -> None:
        _check_range("hold_time", self.hold_time, 0, _LARGEST_HOLD_TIME)
        if self.hold_time in (1, 2):
            raise LocalError(f"hold_time {self.hold_time}: 0 or at least 3 seconds expected")
        if self.keepalive_time is not None and self.hold_time:
            _check_range("keepalive_time", self.keepalive_time, 1, self.hold_time - 1)
        _check_range("minimum_hold_time", self.minimum_hold_time, 0, _LARGEST_HOLD_TIME)
        for name in ("first_retry_time", "connect_retry_time", "connect_timeout", "idle_hold_time", "open_time"):
            if getattr(self, name) <= 0:
                raise LocalError(f"{name} {getattr(self, name)}: more than 0 seconds expected")
        for name in ("connect_delay", "delay_open_time", "maximum_idle_hold_time", "short_session_time"):
            _check_not_negative(name, getattr(self, name))
        if self.send_hold_time is not None and self.send_hold_time != 0 and self.send_hold_time <= self.hold_time:
            raise LocalError(
                f"send_hold_time {self.send_hold_time}: 0 or more than hold_time {self.hold_time} expected"
            )


def _address(name: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise LocalError(f"{name} {text!r}: an IP address expected") from error


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise LocalError(f"{name} {value}: {low} to {high} expected")


def _check_not_negative(name: str, value: float) -> None:
    if value < 0:
        raise LocalError(f"{name} {value}: 0 or more seconds expected")
