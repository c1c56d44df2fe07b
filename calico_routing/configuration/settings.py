"""What pybgp-node can be told, table by table, as checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calico_routing.configuration.problems import Problem
    from pybgp.rib.policy import RoutePolicy
    from pybgp.session.route_options import Condition, LocalAsMode, NextHopMode, PrivateAsMode

DEFAULT_DATASTORE: Final = "sqlite:///var/lib/calico/datastore.db"
NO_DATASTORE: Final = "none"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Who this node is (spec section 5)."""

    name: str = ""
    host_name: str = ""
    nodename_file: str = "/var/lib/calico/nodename"
    ip: str = ""
    ip6: str = ""
    ip_autodetection_method: str = "first-found"
    ip6_autodetection_method: str = "first-found"
    autodetect_poll_interval: float = 60.0
    disable_ip_check: bool = False
    as_number: int | None = None
    router_id: str = ""
    cluster_type: str = ""
    kubernetes_node: str = ""


@dataclass(frozen=True, slots=True)
class DatastoreSettings:
    """Which datastore; an empty url means the embedded default, or none for a plain router."""

    url: str = ""
    type: str = ""
    path: str = ""
    wait: bool = False


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """An IP pool to create when there is none (spec sections 1.2 and 5)."""

    name: str = ""
    cidr: str = ""
    ipip: str = "Never"
    vxlan: str = "Never"
    block_size: int | None = None
    nat_outgoing: bool | None = None
    node_selector: str = "all()"
    disable_bgp_export: bool = False

    @property
    def version(self) -> int:
        """4 or 6, by the prefix."""
        return 6 if ":" in self.cidr else 4


@dataclass(frozen=True, slots=True)
class BgpSettings:
    """What the speaker does on every session (spec section 4.2)."""

    listen_port: int | None = None
    listen_addresses: tuple[str, ...] = ()
    hold_time: int = 240
    connect_retry_time: float = 5.0
    graceful_restart: bool = True
    restart_time: int = 120
    shutdown: str = "graceful"
    networks: tuple[str, ...] = ()
    #: Without a datastore: whether routes of one external peer are passed on to another (RFC 8212's danger).
    transit: bool = False
    #: How long peers shall keep our routes as a last resort when we are gone for good; None: they shall not.
    long_lived_stale_time: int | None = None
    #: The switches of the decision process (`pybgp.rib.decision.DecisionOptions`).
    always_compare_med: bool = False
    missing_med_is_worst: bool = False
    ignore_as_path_length: bool = False
    ignore_aigp: bool = False
    multipath_relax: bool = False
    prefer_oldest: bool = False
    #: The confederation that this AS is a member of, and the other members; None: it is none.
    confederation: int | None = None
    confederation_members: tuple[int, ...] = ()
    #: How this router names its cluster when it reflects routes; empty: by its router id.
    cluster_id: str = ""
    #: How many changes of prefixes `pybgp-node history` can tell of at most.
    history: int = 50_000
    #: Names of `[policy.NAME]` tables that peers have which name none of their own.
    import_policy: str = ""
    export_policy: str = ""


@dataclass(frozen=True, slots=True)
class AggregateSettings:
    """A prefix of an `[[aggregate]]` table, announced while there is something inside it."""

    prefix: str
    summary_only: bool = False
    communities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """What is written to and learned from the kernel's routing table."""

    export: bool = True
    learn: bool = True
    #: Whether a default route heard from a peer may go into the kernel.
    accept_default_route: bool = False
    #: None: what FelixConfiguration says, else 1440; 0: derived from the devices of the host.
    tunnel_mtu: int | None = None
    mtu_interface_pattern: str = r"^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)"
    ignored_interfaces: tuple[str, ...] = ()
    resync_interval: float = 90.0
    #: Where routes are written, and as whose; what has that number there is ours.
    table: int = 254
    protocol: int = 12
    #: The `[policy.NAME]` table that says which routes are written; empty: all that have a way.
    export_policy: str = ""
    #: Where routes of others are learned from, of these protocol numbers; none: of all but ours.
    learn_table: int = 254
    learn_protocols: tuple[int, ...] = ()
    #: The policy that says which of them are announced; empty: those inside the pools.
    import_policy: str = ""
    #: Whether the main table says which next hops can be reached and how far they are, by metric; else all are near.
    track_next_hops: bool = False
    #: Whether a default route reaches them too.
    track_by_default_route: bool = False
    #: Whether routes of BGP do, by way of their own next hops.
    track_by_bgp_routes: bool = False


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Where the daemon answers `pybgp-node status`."""

    socket: str = "/run/pybgp/node.sock"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much is logged and in which form."""

    level: str = "info"
    format: str = "console"


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """A static peer of a `[[peer]]` table."""

    address: str
    remote_as: int
    name: str = ""
    local_as: int | None = None
    local_address: str | None = None
    port: int = 179
    passive: bool = False
    hold_time: int | None = None
    password: str | None = None
    ttl_security_hops: int | None = None
    families: tuple[str, ...] = ()
    description: str = ""
    import_policy: str = ""
    export_policy: str = ""
    keepalive_time: int | None = None
    allow_own_as: int = 0
    local_as_mode: LocalAsMode = "replace"
    as_override: bool = False
    private_as: PrivateAsMode = "keep"
    next_hop: NextHopMode = "default"
    reflector_client: bool = False
    route_server_client: bool = False
    per_client_best: bool = False
    default_originate: bool = False
    conditions: tuple[Condition, ...] = ()
    enforce_first_as: bool = True
    long_lived_stale_time: int | None = None
    send_stale: bool = False
    aigp: bool | None = None
    prefix_limit: int | None = None
    prefix_limit_discard: bool = False
    prefix_limit_restart_time: float | None = None
    send_limit: int | None = None
    third_party_next_hop: bool = False
    validate_flow_rules: bool | None = None
    add_path_receive: bool = False
    add_path_send: str = ""
    role: str = ""
    strict_role: bool = False


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Whoever is found on an interface, of a `[[link]]` table; the address of ``peer`` counts for nothing."""

    name: str
    interface: str
    peer: PeerSettings


@dataclass(frozen=True, slots=True)
class DynamicSettings:
    """Neighbours that connect from a prefix, of a `[[dynamic]]` table; the address of ``peer`` counts for nothing."""

    name: str
    prefix: str
    peer: PeerSettings
    limit: int = 100


@dataclass(frozen=True, slots=True)
class RpkiSettings:
    """A cache of validated payloads (RFC 8210), of an `[[rpki]]` table."""

    host: str
    port: int = 323
    version: int = 1


@dataclass(frozen=True, slots=True)
class BmpSettings:
    """A monitoring station (RFC 7854), of a `[[bmp]]` table."""

    host: str
    port: int
    adj_rib_in: bool = True
    loc_rib: bool = True
    statistics_interval: float = 0.0


@dataclass(frozen=True, slots=True)
class MrtSettings:
    """The MRT files to write (RFC 6396): names by the directives of strftime, UTC; empty: none."""

    table_file: str = ""
    table_interval: int = 7200
    message_file: str = ""
    message_interval: int = 300
    #: Whether what peers are sent is written too.
    sent_messages: bool = False
    families: tuple[str, ...] = ("ipv4-unicast", "ipv6-unicast")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything pybgp-node was told, checked."""

    node: NodeSettings = NodeSettings()
    datastore: DatastoreSettings = DatastoreSettings()
    ipv4_pool: PoolSettings = PoolSettings()
    ipv6_pool: PoolSettings = PoolSettings()
    no_default_pools: bool = False
    pools: tuple[PoolSettings, ...] = ()
    bgp: BgpSettings = BgpSettings()
    kernel: KernelSettings = KernelSettings()
    control: ControlSettings = ControlSettings()
    log: LogSettings = LogSettings()
    mrt: MrtSettings = MrtSettings()
    peers: tuple[PeerSettings, ...] = ()
    dynamic: tuple[DynamicSettings, ...] = ()
    links: tuple[LinkSettings, ...] = ()
    rpki: tuple[RpkiSettings, ...] = ()
    bmp: tuple[BmpSettings, ...] = ()
    aggregates: tuple[AggregateSettings, ...] = ()
    #: Passwords by "name/key", for the secrets that BGPPeer and BGPConfiguration refer to.
    secrets: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, RoutePolicy] = field(default_factory=dict)
    #: What is allowed, but hardly meant.
    warnings: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def templates(self) -> list[PeerSettings]:
        """Return what is said of neighbours that are not known in advance."""
        return [*(one.peer for one in self.dynamic), *(one.peer for one in self.links)]

    @property
    def datastore_url(self) -> str | None:
        """Return the store's address; None makes a plain BGP router of `[[peer]]` tables."""
        if self.datastore.url:
            return None if self.datastore.url == NO_DATASTORE else self.datastore.url
        if self.datastore.type == "memory":
            return "memory:"
        if self.datastore.path:
            return f"sqlite://{self.datastore.path}"
        is_router = bool(self.peers or self.dynamic or self.links) and not self.datastore.type
        return None if is_router else DEFAULT_DATASTORE
