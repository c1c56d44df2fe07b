"""The keys of each table: their kinds, the variables that override them, and which of them a table must have."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, get_args

from calico_routing.configuration.kinds import (
    ADDRESS,
    AS_NUMBER,
    BOOLEAN,
    ENCAPSULATION,
    FILE_PATTERN,
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
from pybgp.errors import LocalError
from pybgp.session.route_options import Condition, LocalAsMode, NextHopMode, PrivateAsMode
from pybgp.wire.communities import parse_community


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
UNICAST: Final = choice("ipv4-unicast", "ipv6-unicast")
#: A week, in seconds.
LONGEST_INTERVAL: Final = 604_800
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
    Option("kernel", "track_next_hops", BOOLEAN),
    Option("kernel", "track_by_default_route", BOOLEAN),
    Option("kernel", "track_by_bgp_routes", BOOLEAN),
    Option("control", "socket", NAME, "PYBGP_CONTROL_SOCKET"),
    Option("log", "level", choice("debug", "info", "warning", "error"), "CALICO_STARTUP_LOGLEVEL"),
    Option("log", "format", choice("console", "json"), "PYBGP_LOG_FORMAT"),
    Option("mrt", "table_file", FILE_PATTERN),
    Option("mrt", "table_interval", integer(1, LONGEST_INTERVAL)),
    Option("mrt", "message_file", FILE_PATTERN),
    Option("mrt", "message_interval", integer(1, LONGEST_INTERVAL)),
    Option("mrt", "sent_messages", BOOLEAN),
    Option("mrt", "families", list_of(UNICAST, least=1)),
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
    Option("peer", "families", list_of(UNICAST, least=1)),
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
    Option("peer", "per_client_best", BOOLEAN),
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
#: The log levels calico/node knows, in our words.
LOG_LEVELS: Final = {"warn": "warning", "fatal": "error", "panic": "error", "critical": "error", "none": "error"}
