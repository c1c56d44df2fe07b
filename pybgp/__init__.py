"""A BGP speaker in pure Python: the public names of the library."""

from pybgp.bfd.config import BfdConfig
from pybgp.errors import BgpError, FormatError, LocalError, RemoteError
from pybgp.rib.decision import DecisionOptions
from pybgp.rib.path import Change, Path, Source
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL, Policy, RoutePolicy, parse_policies
from pybgp.rpki.validation_table import AffectedRoutes, ValidationState, ValidationTable
from pybgp.session.config import GracefulRestartConfig, LongLivedConfig, PeerConfig
from pybgp.session.route_options import PrefixLimit, RouteOptions
from pybgp.session.session import Session
from pybgp.session.tcp_ao import TcpAoKey
from pybgp.transport.bmp_config import BmpConfig
from pybgp.transport.dynamic_peers import DynamicPeers
from pybgp.transport.peer_status import PeerStatus
from pybgp.transport.rtr_client import RtrClient
from pybgp.transport.speaker import Speaker
from pybgp.transport.speaker_config import SpeakerConfig
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import Role
from pybgp.wire.nlri import format_prefix, parse_prefix
from pybgp.wire.updates import encode_updates

__all__ = [
    "ACCEPT_ALL",
    "IPV4_UNICAST",
    "IPV6_UNICAST",
    "REJECT_ALL",
    "AffectedRoutes",
    "AsPath",
    "Attributes",
    "BfdConfig",
    "BgpError",
    "BmpConfig",
    "Change",
    "DecisionOptions",
    "DynamicPeers",
    "Family",
    "FormatError",
    "GracefulRestartConfig",
    "LocalError",
    "LongLivedConfig",
    "Path",
    "PeerConfig",
    "PeerStatus",
    "Policy",
    "PrefixLimit",
    "RemoteError",
    "Role",
    "RouteOptions",
    "RoutePolicy",
    "RtrClient",
    "Session",
    "Source",
    "Speaker",
    "SpeakerConfig",
    "TcpAoKey",
    "ValidationState",
    "ValidationTable",
    "encode_updates",
    "format_prefix",
    "parse_policies",
    "parse_prefix",
]
