"""A BGP speaker in pure Python: the public names of the library."""

from pybgp.bfd.config import BfdConfig
from pybgp.errors import BgpError, ErrorCode, FormatError, LocalError, RemoteError
from pybgp.rib.aggregates import Aggregate
from pybgp.rib.decision import DecisionOptions
from pybgp.rib.path import Change, Path, Source
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL, Policy, PythonClause, Route, RoutePolicy, Verdict, parse_policies
from pybgp.rpki.pdu import Vrp
from pybgp.rpki.validation_table import AffectedRoutes, ValidationState, ValidationTable
from pybgp.session.config import GracefulRestartConfig, LongLivedConfig, PeerConfig
from pybgp.session.events import (
    Close,
    Connect,
    DownReason,
    RefreshReceived,
    SessionDown,
    SessionUp,
    StateChanged,
    UpdateReceived,
)
from pybgp.session.route_options import Condition, PrefixLimit, RouteOptions
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.session.tcp_ao import TcpAoKey
from pybgp.transport.bmp_config import BmpConfig
from pybgp.transport.dynamic_peers import DynamicPeers
from pybgp.transport.link_peers import LinkPeer
from pybgp.transport.next_hop_tracker import NextHopTracker
from pybgp.transport.peer_status import PeerStatus
from pybgp.transport.rtr_client import RtrClient
from pybgp.transport.speaker import Speaker
from pybgp.transport.speaker_config import SpeakerConfig
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import (
    AttributeFault,
    Attributes,
    Fault,
    attributes_from_json,
    attributes_to_json,
    format_attributes,
    parse_attributes,
)
from pybgp.wire.families import (
    EVPN,
    IPV4_FLOWSPEC,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV6_FLOWSPEC,
    IPV6_UNICAST,
    IPV6_VPN,
    Family,
    parse_family,
)
from pybgp.wire.framing import Framer
from pybgp.wire.iana import AttributeCode, Origin, Role
from pybgp.wire.messages import (
    Keepalive,
    Message,
    Notification,
    Open,
    RouteRefresh,
    decode_notification,
    decode_open,
    decode_route_refresh,
)
from pybgp.wire.messages import decode as decode_message
from pybgp.wire.messages import encode as encode_message
from pybgp.wire.negotiated import Negotiated, UpdateOptions, negotiate
from pybgp.wire.nlri import (
    decode_nlri,
    encode_nlri,
    format_nlri,
    format_prefix,
    nlri_from_json,
    nlri_to_json,
    parse_nlri,
    parse_prefix,
)
from pybgp.wire.update_encoding import encode_updates, end_of_rib
from pybgp.wire.updates import NlriSet, OpaqueNlri, Update, decode_update

__all__ = [
    "ACCEPT_ALL",
    "EVPN",
    "IPV4_FLOWSPEC",
    "IPV4_UNICAST",
    "IPV4_VPN",
    "IPV6_FLOWSPEC",
    "IPV6_UNICAST",
    "IPV6_VPN",
    "REJECT_ALL",
    "AffectedRoutes",
    "Aggregate",
    "AsPath",
    "AttributeCode",
    "AttributeFault",
    "AttributeStore",
    "Attributes",
    "BfdConfig",
    "BgpError",
    "BmpConfig",
    "Change",
    "Close",
    "Condition",
    "Connect",
    "DecisionOptions",
    "DownReason",
    "DynamicPeers",
    "ErrorCode",
    "Family",
    "Fault",
    "FormatError",
    "Framer",
    "GracefulRestartConfig",
    "Keepalive",
    "LinkPeer",
    "LocalError",
    "LongLivedConfig",
    "Message",
    "Negotiated",
    "NextHopTracker",
    "NlriSet",
    "Notification",
    "OpaqueNlri",
    "Open",
    "Origin",
    "Path",
    "PeerConfig",
    "PeerStatus",
    "Policy",
    "PrefixLimit",
    "PythonClause",
    "RefreshReceived",
    "RemoteError",
    "Role",
    "Route",
    "RouteOptions",
    "RoutePolicy",
    "RouteRefresh",
    "RtrClient",
    "Session",
    "SessionDown",
    "SessionUp",
    "Source",
    "Speaker",
    "SpeakerConfig",
    "State",
    "StateChanged",
    "TcpAoKey",
    "Update",
    "UpdateOptions",
    "UpdateReceived",
    "ValidationState",
    "ValidationTable",
    "Verdict",
    "Vrp",
    "attributes_from_json",
    "attributes_to_json",
    "decode_message",
    "decode_nlri",
    "decode_notification",
    "decode_open",
    "decode_route_refresh",
    "decode_update",
    "encode_message",
    "encode_nlri",
    "encode_updates",
    "end_of_rib",
    "format_attributes",
    "format_nlri",
    "format_prefix",
    "negotiate",
    "nlri_from_json",
    "nlri_to_json",
    "parse_attributes",
    "parse_family",
    "parse_nlri",
    "parse_policies",
    "parse_prefix",
]
