"""Every assigned number that we use, each with the RFC that assigns it."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

#: RFC 4271 section 4.1: marker, length and type.
MARKER: Final = b"\xff" * 16
HEADER_LENGTH: Final = 19
#: RFC 4271 section 4.1 and RFC 8654 section 4.
STANDARD_LIMIT: Final = 4096
EXTENDED_LIMIT: Final = 65535
#: RFC 4271 section 4.2.
VERSION: Final = 4
#: RFC 6793 section 9: stands in a 2-octet field for an AS number that needs four.
AS_TRANS: Final = 23456
BGP_PORT: Final = 179


class MessageType(IntEnum):
    """RFC 4271 section 4.1, RFC 2918 section 3."""

    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    ROUTE_REFRESH = 5


class HeaderSubcode(IntEnum):
    """RFC 4271 section 6.1."""

    NOT_SYNCHRONISED = 1
    BAD_LENGTH = 2
    BAD_TYPE = 3


class OpenSubcode(IntEnum):
    """RFC 4271 section 6.2, RFC 5492 section 5, RFC 9234 section 4.2."""

    UNSPECIFIC = 0
    UNSUPPORTED_VERSION = 1
    BAD_PEER_AS = 2
    BAD_IDENTIFIER = 3
    UNSUPPORTED_PARAMETER = 4
    UNACCEPTABLE_HOLD_TIME = 6
    UNSUPPORTED_CAPABILITY = 7
    ROLE_MISMATCH = 11


class UpdateSubcode(IntEnum):
    """RFC 4271 section 6.3."""

    MALFORMED_ATTRIBUTE_LIST = 1
    UNRECOGNISED_WELL_KNOWN = 2
    MISSING_WELL_KNOWN = 3
    ATTRIBUTE_FLAGS = 4
    ATTRIBUTE_LENGTH = 5
    INVALID_ORIGIN = 6
    INVALID_NEXT_HOP = 8
    OPTIONAL_ATTRIBUTE = 9
    INVALID_NETWORK = 10
    MALFORMED_AS_PATH = 11


class FsmSubcode(IntEnum):
    """RFC 6608 section 3: a message that the state does not expect."""

    UNSPECIFIED = 0
    OPEN_SENT = 1
    OPEN_CONFIRM = 2
    ESTABLISHED = 3


class CeaseSubcode(IntEnum):
    """RFC 4486 section 4, RFC 8538 section 5, RFC 9384."""

    MAXIMUM_PREFIXES = 1
    ADMINISTRATIVE_SHUTDOWN = 2
    PEER_DECONFIGURED = 3
    ADMINISTRATIVE_RESET = 4
    CONNECTION_REJECTED = 5
    CONFIGURATION_CHANGE = 6
    COLLISION = 7
    OUT_OF_RESOURCES = 8
    HARD_RESET = 9
    BFD_DOWN = 10


class RefreshSubcode(IntEnum):
    """RFC 7313 section 5."""

    INVALID_LENGTH = 1


class RefreshSubtype(IntEnum):
    """RFC 7313 section 3.2."""

    REQUEST = 0
    BEGIN = 1
    END = 2


class ParameterType(IntEnum):
    """OPEN optional parameters (RFC 5492 section 4, RFC 9072 section 2)."""

    CAPABILITIES = 2
    EXTENDED_LENGTH = 255


class CapabilityCode(IntEnum):
    """Capabilities that we decode (RFC 5492 section 4 and the RFC beside each)."""

    MULTIPROTOCOL = 1  # RFC 4760
    ROUTE_REFRESH = 2  # RFC 2918
    OUTBOUND_ROUTE_FILTER = 3  # RFC 5291
    EXTENDED_NEXT_HOP = 5  # RFC 8950
    EXTENDED_MESSAGE = 6  # RFC 8654
    MULTIPLE_LABELS = 8  # RFC 8277
    ROLE = 9  # RFC 9234
    GRACEFUL_RESTART = 64  # RFC 4724
    FOUR_OCTET_AS = 65  # RFC 6793
    ADD_PATH = 69  # RFC 7911
    ENHANCED_ROUTE_REFRESH = 70  # RFC 7313
    LONG_LIVED_GRACEFUL_RESTART = 71  # RFC 9494
    HOSTNAME = 73  # draft-walton-bgp-hostname-capability
    SOFTWARE_VERSION = 75  # draft-abraitis-bgp-version-capability
    PATHS_LIMIT = 76  # draft-abraitis-idr-addpath-paths-limit
    CISCO_ROUTE_REFRESH = 128  # the code that preceded RFC 2918


class AttributeFlag(IntFlag):
    """RFC 4271 section 4.3."""

    OPTIONAL = 0x80
    TRANSITIVE = 0x40
    PARTIAL = 0x20
    EXTENDED_LENGTH = 0x10


class AttributeCode(IntEnum):
    """Path attributes that we take apart (RFC 4271 section 5 and the RFC beside each)."""

    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MED = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8  # RFC 1997
    ORIGINATOR_ID = 9  # RFC 4456
    CLUSTER_LIST = 10  # RFC 4456
    MP_REACH_NLRI = 14  # RFC 4760
    MP_UNREACH_NLRI = 15  # RFC 4760
    EXTENDED_COMMUNITIES = 16  # RFC 4360
    AS4_PATH = 17  # RFC 6793
    AS4_AGGREGATOR = 18  # RFC 6793
    PMSI_TUNNEL = 22  # RFC 6514
    TUNNEL_ENCAPSULATION = 23  # RFC 9012
    TRAFFIC_ENGINEERING = 24  # RFC 5543
    IPV6_EXTENDED_COMMUNITIES = 25  # RFC 5701
    AIGP = 26  # RFC 7311
    PE_DISTINGUISHER_LABELS = 27  # RFC 6514
    LINK_STATE = 29  # RFC 9552
    LARGE_COMMUNITIES = 32  # RFC 8092
    ONLY_TO_CUSTOMER = 35  # RFC 9234
    BFD_DISCRIMINATOR = 38  # RFC 9026
    NEXT_HOP_CAPABILITY = 39  # draft-ietf-idr-next-hop-capability
    PREFIX_SID = 40  # RFC 8669
    ATTRIBUTE_SET = 128  # RFC 6368


class Origin(IntEnum):
    """RFC 4271 section 5.1.1; smaller is better."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentType(IntEnum):
    """RFC 4271 section 4.3, RFC 5065 section 3."""

    SET = 1
    SEQUENCE = 2
    CONFED_SEQUENCE = 3
    CONFED_SET = 4


class AddPathMode(IntEnum):
    """RFC 7911 section 4; the sender of the capability speaks of itself."""

    RECEIVE = 1
    SEND = 2
    BOTH = 3


class Role(IntEnum):
    """What the sender is to its peer (RFC 9234 section 4.1)."""

    PROVIDER = 0
    ROUTE_SERVER = 1
    ROUTE_SERVER_CLIENT = 2
    CUSTOMER = 3
    PEER = 4


class WellKnownCommunity(IntEnum):
    """RFC 1997, RFC 3765, RFC 7999, RFC 8326, RFC 9494."""

    GRACEFUL_SHUTDOWN = 0xFFFF0000
    ACCEPT_OWN = 0xFFFF0001
    LLGR_STALE = 0xFFFF0006
    NO_LLGR = 0xFFFF0007
    BLACKHOLE = 0xFFFF029A
    NO_EXPORT = 0xFFFFFF01
    NO_ADVERTISE = 0xFFFFFF02
    NO_EXPORT_SUBCONFED = 0xFFFFFF03
    NOPEER = 0xFFFFFF04
