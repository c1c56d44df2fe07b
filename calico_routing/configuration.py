"""The configuration of pybgp-node: a TOML file, over it calico/node's environment variables (spec section 5)."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from calico_routing.configuration_kinds import (
    ADDRESS,
    AS_NUMBER,
    BOOLEAN,
    ENCAPSULATION,
    HOLD_TIME,
    INTERVAL,
    IPV4_NETWORK,
    IPV6_NETWORK,
    NAME,
    NETWORK,
    PASSWORD,
    PATHS,
    PATTERN,
    PORT,
    ROUTER_ID,
    SECONDS,
    TEXT,
    Kind,
    choice,
    either,
    integer,
    list_of,
)
from calico_routing.configuration_lines import key_lines, line_of
from pybgp.errors import LocalError
from pybgp.session.route_options import Condition, LocalAsMode, NextHopMode, PrivateAsMode
from pybgp.wire.communities import parse_community

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pybgp.rib.policy import RoutePolicy

DEFAULT_DATASTORE: Final = "sqlite:///var/lib/calico/datastore.db"
DEFAULT_PATH: Final = "/etc/pybgp/node.toml"
NO_DATASTORE: Final = "none"


class Problem(NamedTuple):
    """One thing that is wrong, where, and what was expected instead."""

    where: str
    text: str

    def __str__(self) -> str:
        """Return the one line for people."""
        return f"{self.where}: {self.text}"


class ConfigurationError(Exception):
    """The configuration cannot be used; nothing was started."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep every problem; the text is the first one."""
        more = f" (and {len(problems) - 1} more: see pybgp-node check)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = tuple(problems)


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


class Option(NamedTuple):
    """One key of one table: its kind and the environment variable that overrides it."""

    section: str
    key: str
    kind: Kind
    variable: str = ""


def _pool_options(section: str, version: int) -> tuple[Option, ...]:
    prefix = f"CALICO_IPV{version}POOL_"
    network, sizes = (IPV4_NETWORK, integer(20, 32)) if version == 4 else (IPV6_NETWORK, integer(116, 128))
    return (
        Option(section, "name", NAME),
        Option(section, "cidr", either("none", "none", network), prefix + "CIDR"),
        *((Option(section, "ipip", ENCAPSULATION, prefix + "IPIP"),) if version == 4 else ()),
        Option(section, "vxlan", ENCAPSULATION, prefix + "VXLAN"),
        Option(section, "block_size", sizes, prefix + "BLOCK_SIZE"),
        Option(section, "nat_outgoing", BOOLEAN, prefix + "NAT_OUTGOING"),
        Option(section, "node_selector", TEXT, prefix + "NODE_SELECTOR"),
        Option(section, "disable_bgp_export", BOOLEAN, prefix + "DISABLE_BGP_EXPORT"),
    )


def _condition(value: Any) -> Condition:
    if not isinstance(value, dict) or value.keys() != {"advertise", "when", "of"}:
        raise ValueError(value)
    prefixes = list_of(TEXT)
    try:
        return Condition(prefixes.check(value["advertise"]), value["when"], prefixes.check(value["of"]))
    except LocalError as error:
        raise ValueError(value) from error


def _community(value: Any) -> int:
    try:
        return parse_community(value)
    except LocalError as error:
        raise ValueError(value) from error


CONDITION: Final = Kind(
    '{ advertise = [PREFIXES], when = "present" or "absent", of = [PREFIXES] }, prefixes as "10.0.0.0/8 ge 16 le 24"',
    _condition,
    str,
)
COMMUNITY: Final = Kind('a community such as "65000:1" or "no-export"', _community, str)
#: What of `pybgp.rib.decision.DecisionOptions` stands in the table [bgp], by the same names.
DECISION_SWITCHES: Final = (
    "always_compare_med",
    "missing_med_is_worst",
    "ignore_as_path_length",
    "ignore_aigp",
    "multipath_relax",
    "prefer_oldest",
)
OPTIONS: Final = (
    Option("node", "name", TEXT, "NODENAME"),
    Option("node", "host_name", TEXT, "HOSTNAME"),
    Option("node", "nodename_file", NAME, "CALICO_NODENAME_FILE"),
    Option("node", "ip", TEXT, "IP"),
    Option("node", "ip6", TEXT, "IP6"),
    Option("node", "ip_autodetection_method", NAME, "IP_AUTODETECTION_METHOD"),
    Option("node", "ip6_autodetection_method", NAME, "IP6_AUTODETECTION_METHOD"),
    Option("node", "autodetect_poll_interval", SECONDS, "AUTODETECT_POLL_INTERVAL"),
    Option("node", "disable_ip_check", BOOLEAN, "DISABLE_NODE_IP_CHECK"),
    Option("node", "as_number", AS_NUMBER, "AS"),
    Option("node", "router_id", either("hash", "hash", ROUTER_ID), "CALICO_ROUTER_ID"),
    Option("node", "cluster_type", TEXT, "CLUSTER_TYPE"),
    Option("node", "kubernetes_node", TEXT, "CALICO_K8S_NODE_REF"),
    Option("datastore", "url", NAME, "DATASTORE_URL"),
    Option("datastore", "type", choice("sqlite", "memory"), "DATASTORE_TYPE"),
    Option("datastore", "path", NAME, "DATASTORE_PATH"),
    Option("datastore", "wait", BOOLEAN, "WAIT_FOR_DATASTORE"),
    *_pool_options("ipv4_pool", 4),
    *_pool_options("ipv6_pool", 6),
    Option("", "no_default_pools", BOOLEAN, "NO_DEFAULT_POOLS"),
    Option("bgp", "listen_port", PORT),
    Option("bgp", "listen_addresses", list_of(ADDRESS)),
    Option("bgp", "hold_time", HOLD_TIME),
    Option("bgp", "connect_retry_time", INTERVAL),
    Option("bgp", "graceful_restart", BOOLEAN),
    Option("bgp", "restart_time", integer(1, 4095)),
    Option("bgp", "shutdown", choice("graceful", "cease")),
    Option("bgp", "networks", list_of(NETWORK)),
    Option("bgp", "transit", BOOLEAN),
    Option("bgp", "history", integer(0, 100_000_000)),
    Option("bgp", "long_lived_stale_time", integer(1, 2**24 - 1)),
    *(Option("bgp", name, BOOLEAN) for name in DECISION_SWITCHES),
    Option("bgp", "confederation", AS_NUMBER),
    Option("bgp", "confederation_members", list_of(AS_NUMBER)),
    Option("bgp", "cluster_id", ROUTER_ID),
    Option("bgp", "import_policy", NAME),
    Option("bgp", "export_policy", NAME),
    Option("kernel", "export", BOOLEAN),
    Option("kernel", "learn", BOOLEAN),
    Option("kernel", "accept_default_route", BOOLEAN),
    Option("kernel", "tunnel_mtu", either("auto", 0, integer(0, 65535)), "FELIX_IPINIPMTU"),
    Option("kernel", "mtu_interface_pattern", PATTERN, "FELIX_MTUIFACEPATTERN"),
    Option("kernel", "ignored_interfaces", list_of(NAME)),
    Option("kernel", "resync_interval", INTERVAL),
    Option("kernel", "table", integer(1, 2**32 - 1)),
    Option("kernel", "protocol", integer(3, 255)),
    Option("kernel", "export_policy", NAME),
    Option("kernel", "learn_table", integer(1, 2**32 - 1)),
    Option("kernel", "learn_protocols", list_of(integer(1, 255))),
    Option("kernel", "import_policy", NAME),
    Option("control", "socket", NAME, "PYBGP_CONTROL_SOCKET"),
    Option("log", "level", choice("debug", "info", "warning", "error"), "CALICO_STARTUP_LOGLEVEL"),
    Option("log", "format", choice("console", "json"), "PYBGP_LOG_FORMAT"),
)
_EITHER_FAMILY: Final = {"cidr": NETWORK, "block_size": integer(20, 128)}
POOL_OPTIONS: Final = tuple(
    option._replace(kind=_EITHER_FAMILY.get(option.key, option.kind)) for option in _pool_options("pool", 4)
)
#: RFC 9234's roles, as one writes them.
ROLES: Final = ("provider", "route-server", "route-server-client", "customer", "peer")
PEER_OPTIONS: Final = (
    Option("peer", "name", NAME),
    Option("peer", "address", ADDRESS),
    Option("peer", "remote_as", AS_NUMBER),
    Option("peer", "local_as", AS_NUMBER),
    Option("peer", "local_address", ADDRESS),
    Option("peer", "port", PORT),
    Option("peer", "passive", BOOLEAN),
    Option("peer", "hold_time", HOLD_TIME),
    Option("peer", "password", PASSWORD),
    Option("peer", "ttl_security_hops", integer(1, 254)),
    Option("peer", "families", list_of(choice("ipv4-unicast", "ipv6-unicast"))),
    Option("peer", "description", TEXT),
    Option("peer", "import_policy", NAME),
    Option("peer", "export_policy", NAME),
    Option("peer", "keepalive_time", integer(1, 65534)),
    Option("peer", "allow_own_as", integer(0, 255)),
    Option("peer", "local_as_mode", choice(*get_args(LocalAsMode))),
    Option("peer", "as_override", BOOLEAN),
    Option("peer", "private_as", choice(*get_args(PrivateAsMode))),
    Option("peer", "next_hop", choice(*get_args(NextHopMode))),
    Option("peer", "reflector_client", BOOLEAN),
    Option("peer", "route_server_client", BOOLEAN),
    Option("peer", "default_originate", BOOLEAN),
    Option("peer", "conditions", list_of(CONDITION)),
    Option("peer", "enforce_first_as", BOOLEAN),
    Option("peer", "long_lived_stale_time", integer(0, 2**24 - 1)),
    Option("peer", "send_stale", BOOLEAN),
    Option("peer", "aigp", BOOLEAN),
    Option("peer", "prefix_limit", integer(1, 2**32 - 1)),
    Option("peer", "prefix_limit_discard", BOOLEAN),
    Option("peer", "prefix_limit_restart_time", INTERVAL),
    Option("peer", "send_limit", integer(1, 2**32 - 1)),
    Option("peer", "third_party_next_hop", BOOLEAN),
    Option("peer", "validate_flow_rules", BOOLEAN),
    Option("peer", "add_path_receive", BOOLEAN),
    Option("peer", "add_path_send", PATHS),
    Option("peer", "role", choice(*ROLES)),
    Option("peer", "strict_role", BOOLEAN),
)
GROUP: Final = "group"
#: Stands for the address of a neighbour that has yet to be found.
LINK_ADDRESS: Final = "fe80::1"
#: What a `[group.NAME]` table may say for all peers that name it, and a `[[dynamic]]` one for its neighbours.
GROUP_OPTIONS: Final = tuple(option for option in PEER_OPTIONS if option.key not in {"name", "address"})
DYNAMIC_OPTIONS: Final = (
    Option("dynamic", "name", NAME),
    Option("dynamic", "prefix", NETWORK),
    Option("dynamic", "limit", integer(1, 100_000)),
    Option("dynamic", GROUP, NAME),
    *(option for option in GROUP_OPTIONS if option.key not in {"port", "passive"}),
)
LINK_OPTIONS: Final = (
    Option("link", "name", NAME),
    Option("link", "interface", NAME),
    Option("link", GROUP, NAME),
    *(option for option in GROUP_OPTIONS if option.key not in {"passive", "local_address"}),
)
RPKI_OPTIONS: Final = (
    Option("rpki", "host", NAME),
    Option("rpki", "port", PORT),
    Option("rpki", "version", integer(0, 2)),
)
BMP_OPTIONS: Final = (
    Option("bmp", "host", NAME),
    Option("bmp", "port", PORT),
    Option("bmp", "adj_rib_in", BOOLEAN),
    Option("bmp", "loc_rib", BOOLEAN),
    Option("bmp", "statistics_interval", SECONDS),
)
AGGREGATE_OPTIONS: Final = (
    Option("aggregate", "prefix", NETWORK),
    Option("aggregate", "summary_only", BOOLEAN),
    Option("aggregate", "communities", list_of(COMMUNITY)),
)
#: Tables of names, read by `pybgp.rib.policy`.
POLICY_TABLES: Final = ("policy", "prefix_set")
LISTS: Final = {
    "peer": (*PEER_OPTIONS, Option("peer", GROUP, NAME)),
    "pool": POOL_OPTIONS,
    "dynamic": DYNAMIC_OPTIONS,
    "link": LINK_OPTIONS,
    "rpki": RPKI_OPTIONS,
    "bmp": BMP_OPTIONS,
    "aggregate": AGGREGATE_OPTIONS,
}
#: What each table must have.
REQUIRED: Final = {
    "peer": ("address", "remote_as"),
    "dynamic": ("name", "prefix", "remote_as"),
    "link": ("name", "interface", "remote_as"),
    "rpki": ("host",),
    "bmp": ("host", "port"),
    "aggregate": ("prefix",),
}
SECTIONS: Final = frozenset(option.section for option in OPTIONS if option.section)
#: the log levels calico/node knows, in our words.
LOG_LEVELS: Final = {"warn": "warning", "fatal": "error", "panic": "error", "critical": "error", "none": "error"}

Values = dict[str, dict[str, Any]]


class _Reader:
    """Collects values and problems while it walks a file's tables and the environment."""

    def __init__(self, file_name: str, text: str) -> None:
        self.file_name = file_name
        self.lines = key_lines(text)
        self.problems: list[Problem] = []
        self.sources: dict[str, str] = {}
        self.policy_tables: dict[str, Any] = {}
        self.groups: dict[str, dict[str, Any]] = {}

    def place(self, path: tuple[str | int, ...]) -> str:
        return f"{self.file_name}:{line_of(self.lines, path)}"

    def report(self, path: tuple[str | int, ...], text: str) -> None:
        dotted = ".".join(str(part) for part in path if not isinstance(part, int))
        self.problems.append(Problem(self.place(path), f"{dotted}: {text}"))

    def unknown(self, path: tuple[str | int, ...], known: Sequence[str]) -> None:
        near = difflib.get_close_matches(str(path[-1]), known, 1)
        self.report(path, f"no such key{f'; did you mean {near[0]!r}?' if near else ''}")

    def value(self, path: tuple[str | int, ...], kind: Kind, raw: object) -> Any:
        try:
            return kind.check(raw)
        except (ValueError, TypeError):
            self.report(path, kind.refusal(raw))
            return None

    def table(self, path: tuple[str | int, ...], raw: object, options: Sequence[Option]) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self.report(path, f"expected a table, not {raw!r}")
            return {}
        known = {option.key: option for option in options}
        found: dict[str, Any] = {}
        for key, item in raw.items():
            if key not in known:
                self.unknown((*path, key), list(known))
            elif (value := self.value((*path, key), known[key].kind, item)) is not None:
                found[key] = value
                self.sources[".".join(map(str, (*path, key)))] = self.place((*path, key))
        return found

    def document(self, document: dict[str, Any]) -> tuple[Values, dict[str, list[dict[str, Any]]]]:
        values: Values = {section: {} for section in (*SECTIONS, "")}
        lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
        plain = {option.key: option for option in OPTIONS if not option.section}
        for name, raw in document.items():
            if name in SECTIONS:
                values[name] = self.table((name,), raw, [option for option in OPTIONS if option.section == name])
            elif name == "secrets":
                values[name] = self.texts(name, raw)
            elif name in plain:
                values[""] |= self.table((), {name: raw}, list(plain.values()))
            elif name in LISTS:
                lists[name] = self.tables(name, raw)
            elif name in POLICY_TABLES:
                self.policy_tables[name] = raw
            elif name == GROUP:
                self.groups = self.named_tables(name, raw)
            else:
                self.unknown((name,), [*SECTIONS, *plain, *LISTS, *POLICY_TABLES, GROUP, "secrets"])
        return values, lists

    def texts(self, name: str, raw: object) -> dict[str, str]:
        if not isinstance(raw, dict):
            self.report((name,), f"expected a table, not {raw!r}")
            return {}
        found = {key: self.value((name, key), PASSWORD, item) for key, item in raw.items()}
        return {key: value for key, value in found.items() if value is not None}

    def tables(self, name: str, raw: object) -> list[dict[str, Any]]:
        if not isinstance(raw, list):
            self.report((name,), f"expected [[{name}]] tables")
            return []
        return [self.table((name, index), item, LISTS[name]) for index, item in enumerate(raw)]

    def named_tables(self, name: str, raw: object) -> dict[str, dict[str, Any]]:
        if not isinstance(raw, dict) or not all(isinstance(item, dict) for item in raw.values()):
            self.report((name,), f"expected [{name}.NAME] tables")
            return {}
        return {key: self.table((name, key), item, GROUP_OPTIONS) for key, item in raw.items()}

    def inherited(self, path: tuple[str | int, ...], table: dict[str, Any]) -> dict[str, Any]:
        """Return a table with what its group says where it says nothing itself."""
        group = table.get(GROUP)
        own = {key: value for key, value in table.items() if key != GROUP}
        if group is None:
            return own
        if group not in self.groups:
            near = difflib.get_close_matches(group, list(self.groups), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self.report((*path, GROUP), f"expected the name of a [group.NAME] table, not {group!r}{hint}")
            return own
        known = {option.key for option in LISTS[str(path[0])]}
        return {key: value for key, value in self.groups[group].items() if key in known} | own

    def complete(self, name: str, index: int, table: dict[str, Any]) -> bool:
        """Report what a table lacks, unless what it has there is wrong and was reported already."""
        missing = [key for key in REQUIRED[name] if key not in table]
        places = {self.place((name, index, key)) for key in missing}
        if missing and not any(problem.where in places for problem in self.problems):
            needed = " and ".join(REQUIRED[name])
            self.report((name, index), f"{' and '.join(missing)} missing; a {name} table needs {needed}")
        return not missing

    def dynamic(self, index: int, table: dict[str, Any]) -> DynamicSettings | None:
        table = self.inherited(("dynamic", index), table)
        if not self.complete("dynamic", index, table):
            return None
        own = {key: table.pop(key) for key in ("name", "prefix", "limit") if key in table}
        address = own["prefix"].partition("/")[0]
        return DynamicSettings(**own, peer=PeerSettings(address=address, name=own["name"], **table))

    def link(self, index: int, table: dict[str, Any]) -> LinkSettings | None:
        table = self.inherited(("link", index), table)
        if not self.complete("link", index, table):
            return None
        name, interface = table.pop("name"), table.pop("interface")
        return LinkSettings(name, interface, PeerSettings(address=LINK_ADDRESS, name=name, **table))

    def policies(self) -> tuple[Mapping[str, RoutePolicy], tuple[Problem, ...]]:
        """Read the policies, whose files lie beside the configuration's; return what is only strange too."""
        if not self.policy_tables:
            return {}, ()
        from pybgp.rib.policy import read_policies  # noqa: PLC0415 - the library, which most commands do without

        directory = Path(self.file_name).parent
        book = read_policies(
            self.policy_tables, place=self.place, read_file=lambda name: (directory / name).read_text("utf-8")
        )
        self.problems.extend(Problem(*problem) for problem in book.problems)
        return book.policies, tuple(Problem(*warning) for warning in book.warnings)

    def environment(self, values: Values, environment: Mapping[str, str]) -> None:
        for option in OPTIONS:
            text = environment.get(option.variable, "") if option.variable else ""
            if not text.strip():
                continue
            if option.key == "level":
                text = LOG_LEVELS.get(text.lower(), text)
            try:
                values[option.section][option.key] = option.kind.check(option.kind.parse(text.strip()))
            except (ValueError, TypeError):
                where = f"environment variable {option.variable}"
                self.problems.append(Problem(where, option.kind.refusal(text)))
            self.sources[f"{option.section}.{option.key}".lstrip(".")] = f"environment variable {option.variable}"

    def finish(self, values: Values, lists: dict[str, list[dict[str, Any]]]) -> Configuration:
        peers = [self.peer(index, table) for index, table in enumerate(lists["peer"])]
        dynamic = [self.dynamic(index, table) for index, table in enumerate(lists["dynamic"])]
        links = [self.link(index, table) for index, table in enumerate(lists["link"])]
        caches = [table for index, table in enumerate(lists["rpki"]) if self.complete("rpki", index, table)]
        stations = [table for index, table in enumerate(lists["bmp"]) if self.complete("bmp", index, table)]
        policies, warnings = self.policies()
        configuration = Configuration(
            node=NodeSettings(**values["node"]),
            datastore=DatastoreSettings(**values["datastore"]),
            ipv4_pool=PoolSettings(**values["ipv4_pool"]),
            ipv6_pool=PoolSettings(**values["ipv6_pool"]),
            pools=tuple(PoolSettings(**table) for table in lists["pool"]),
            bgp=BgpSettings(**values["bgp"]),
            kernel=KernelSettings(**values["kernel"]),
            control=ControlSettings(**values["control"]),
            log=LogSettings(**values["log"]),
            peers=tuple(peer for peer in peers if peer is not None),
            dynamic=tuple(one for one in dynamic if one is not None),
            links=tuple(one for one in links if one is not None),
            rpki=tuple(RpkiSettings(**table) for table in caches),
            bmp=tuple(BmpSettings(**table) for table in stations),
            aggregates=self.aggregates(lists["aggregate"]),
            secrets=values.get("secrets", {}),
            policies=policies,
            warnings=warnings,
            sources=self.sources,
            **values[""],
        )
        self.problems.extend(_contradictions(self, configuration))
        if self.problems:
            raise ConfigurationError(self.problems)
        return configuration

    def aggregates(self, tables: list[dict[str, Any]]) -> tuple[AggregateSettings, ...]:
        found: dict[str, AggregateSettings] = {}
        for index, table in enumerate(tables):
            if not self.complete("aggregate", index, table):
                continue
            prefix = table["prefix"]
            if prefix in found:
                self.report(("aggregate", index, "prefix"), f"expected each once, but {prefix} stands twice")
            elif prefix.endswith(("/32", "/128")[":" in prefix]):
                self.report(("aggregate", index, "prefix"), f"expected more than one address, not {prefix}")
            else:
                found[prefix] = AggregateSettings(**table)
        return tuple(found.values())

    def peer(self, index: int, table: dict[str, Any]) -> PeerSettings | None:
        table = self.inherited(("peer", index), table)
        return PeerSettings(**table) if self.complete("peer", index, table) else None


def parse_configuration(text: str, file_name: str, environment: Mapping[str, str]) -> Configuration:
    """Read a TOML text and an environment; raises ConfigurationError with every problem found."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_problem(file_name, text, str(error))]) from error
    reader = _Reader(file_name, text)
    values, lists = reader.document(document)
    reader.environment(values, environment)
    return reader.finish(values, lists)


def load_configuration(path: str | None, environment: Mapping[str, str]) -> Configuration:
    """Read a file; without a path the default one, which need not exist."""
    name = path or DEFAULT_PATH
    try:
        text = Path(name).read_text("utf-8")
    except FileNotFoundError as error:
        if path is not None:
            raise ConfigurationError([Problem(name, "no such file")]) from error
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8: {error.reason}"
        raise ConfigurationError([Problem(name, f"cannot be read: {reason}")]) from error
    return parse_configuration(text, name, environment)


def _syntax_problem(file_name: str, text: str, message: str) -> Problem:
    place = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
    cause = message[: place.start()] if place else message
    key = re.match(r"\s*([^\s=\[\]#]+)\s*=", text.split("\n")[line - 1])
    return Problem(f"{file_name}:{line}", f"{key[1] + ': ' if key else ''}expected TOML, but: {cause.lower()}")


def _contradictions(reader: _Reader, configuration: Configuration) -> Iterator[Problem]:
    yield from _overlapping_pools(reader, configuration)
    yield from _pool_contradictions(reader, configuration)
    yield from _repeated_names(reader, configuration)
    yield from _peer_contradictions(reader, configuration)
    yield from _unknown_policies(reader, configuration)
    if configuration.bgp.confederation_members and configuration.bgp.confederation is None:
        where = reader.place(("bgp", "confederation_members"))
        yield Problem(where, "bgp.confederation_members: expected bgp.confederation beside it, but it is missing")
    if configuration.no_default_pools and (configuration.ipv4_pool.cidr or configuration.ipv6_pool.cidr):
        where = reader.sources.get("no_default_pools", reader.file_name)
        yield Problem(where, "no_default_pools: expected no default pool prefix beside it, but one is set")
    if configuration.datastore_url is None and configuration.node.as_number is None:
        sections = [("peer", index, peer) for index, peer in enumerate(configuration.peers)]
        sections += [("dynamic", index, one.peer) for index, one in enumerate(configuration.dynamic)]
        sections += [("link", index, one.peer) for index, one in enumerate(configuration.links)]
        for section, index, peer in sections:
            if peer.local_as is None:
                text = f"{section}.local_as: expected here, or node.as_number (AS), because there is no datastore"
                yield Problem(reader.place((section, index)), text)
                break
        if not sections:
            text = "node.as_number (AS): expected an AS number, because there is no datastore"
            yield Problem(reader.sources.get("datastore.url", reader.file_name), text)


def _named_pools(reader: _Reader, configuration: Configuration) -> Iterator[tuple[str, str, PoolSettings]]:
    """Every pool that may be created, with the key and the place it came from."""
    for key in ("ipv4_pool", "ipv6_pool"):
        pool = getattr(configuration, key)
        if pool.cidr not in {"", "none"}:
            yield key, reader.sources.get(f"{key}.cidr", reader.file_name), pool
    for index, pool in enumerate(configuration.pools):
        yield "pool", reader.place(("pool", index, "cidr")), pool


def _overlapping_pools(reader: _Reader, configuration: Configuration) -> Iterator[Problem]:
    seen: list[tuple[str, str, PoolSettings]] = []
    for key, where, pool in _named_pools(reader, configuration):
        if not pool.cidr:
            yield Problem(where, f"{key}.cidr: missing; a pool needs a prefix")
            continue
        for _, other_where, other in seen:
            if overlap(pool.cidr, other.cidr):
                text = f"{key}.cidr: expected a prefix apart from other pools, but {pool.cidr} overlaps {other.cidr}"
                yield Problem(where, f"{text} ({other_where})")
        seen.append((key, where, pool))


def _two_encapsulations(key: str, pool: PoolSettings) -> str:
    return f'{key}.vxlan: expected "Never" beside ipip = "{pool.ipip}", not "{pool.vxlan}"'


def _pool_contradictions(reader: _Reader, configuration: Configuration) -> Iterator[Problem]:
    ipv4 = configuration.ipv4_pool
    if not ipv4.cidr and ipv4.ipip != "Never" and ipv4.vxlan != "Never":
        where = reader.sources.get("ipv4_pool.vxlan", reader.file_name)
        yield Problem(where, _two_encapsulations("ipv4_pool", ipv4))
    for key, where, pool in _named_pools(reader, configuration):
        if not pool.cidr:
            continue
        low, high, default = (116, 128, 122) if pool.version == 6 else (20, 32, 26)
        size = pool.block_size if pool.block_size is not None else default
        if not low <= size <= high:
            yield Problem(where, f"{key}.block_size: expected a whole number from {low} to {high}, not {size}")
        elif ipaddress.ip_network(pool.cidr).prefixlen > size:
            text = f"{key}.cidr: expected a prefix of /{size} or shorter to hold a block, not {pool.cidr}"
            yield Problem(where, text)
        if pool.ipip != "Never" and pool.vxlan != "Never":
            yield Problem(where, _two_encapsulations(key, pool))
        if pool.version == 6 and pool.ipip != "Never":
            yield Problem(where, f'{key}.ipip: expected "Never" for an IPv6 pool, not "{pool.ipip}"')


def _repeated_names(reader: _Reader, configuration: Configuration) -> Iterator[Problem]:
    peers = ("peer", [peer.name for peer in configuration.peers])
    dynamic = ("dynamic", [one.name for one in configuration.dynamic])
    links = ("link", [one.name for one in configuration.links])
    for section, names in (peers, dynamic, links, ("pool", [pool.name for pool in configuration.pools])):
        for index, name in enumerate(names):
            if name and name in names[:index]:
                text = f"{section}.name: expected each name once, but {name!r} stands twice"
                yield Problem(reader.place((section, index, "name")), text)


def _peer_contradictions(reader: _Reader, configuration: Configuration) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, peer in enumerate(configuration.peers):
        if peer.address in seen:
            text = f"peer.address: expected each peer once, but {peer.address} stands twice"
            yield Problem(reader.place(("peer", index, "address")), text)
        seen.add(peer.address)
        local_as = peer.local_as or configuration.node.as_number
        if peer.reflector_client and local_as not in {None, peer.remote_as}:
            text = f"peer.reflector_client: expected our own AS, {local_as}, as remote_as, not {peer.remote_as}"
            yield Problem(reader.place(("peer", index, "reflector_client")), text)
        if peer.route_server_client and local_as == peer.remote_as:
            text = f"peer.route_server_client: expected another remote_as than our own, {local_as}"
            yield Problem(reader.place(("peer", index, "route_server_client")), text)
        if peer.role and local_as == peer.remote_as:
            text = f"peer.role: expected another remote_as than our own, {local_as}: there are roles between ASes only"
            yield Problem(reader.place(("peer", index, "role")), text)
        if ipaddress.ip_address(peer.address).is_multicast or ipaddress.ip_address(peer.address).is_unspecified:
            text = f"peer.address: expected the address of a host, not {peer.address!r}"
            yield Problem(reader.place(("peer", index, "address")), text)
        if peer.local_address is not None and (":" in peer.local_address) is not (":" in peer.address):
            version = 6 if ":" in peer.address else 4
            text = f"expected an IPv{version} address as {peer.address} is, not {peer.local_address}"
            yield Problem(reader.place(("peer", index, "local_address")), f"peer.local_address: {text}")


def _unknown_policies(reader: _Reader, configuration: Configuration) -> Iterator[Problem]:
    places: list[tuple[tuple[str | int, ...], BgpSettings | PeerSettings | KernelSettings]] = [
        (("bgp",), configuration.bgp),
        (("kernel",), configuration.kernel),
    ]
    places += [(("peer", index), peer) for index, peer in enumerate(configuration.peers)]
    places += [(("dynamic", index), one.peer) for index, one in enumerate(configuration.dynamic)]
    places += [(("link", index), one.peer) for index, one in enumerate(configuration.links)]
    for path, settings in places:
        for key in ("import_policy", "export_policy"):
            name = getattr(settings, key)
            if name and name not in configuration.policies:
                near = difflib.get_close_matches(name, list(configuration.policies), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                text = f"{path[0]}.{key}: expected the name of a [policy.NAME] table, not {name!r}{hint}"
                yield Problem(reader.place((*path, key)), text)


def overlap(one: str, other: str) -> bool:
    """Tell whether two prefixes share an address."""
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    if isinstance(first, ipaddress.IPv4Network):
        return isinstance(second, ipaddress.IPv4Network) and first.overlaps(second)
    return isinstance(second, ipaddress.IPv6Network) and first.overlaps(second)
