"""What is done to the routes of one neighbour beside policy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from pybgp.errors import LocalError
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.wire.families import Family

#: What an AS other than the speaker's own means: the neighbour sees it in place of ours, or before ours
#: ("no-prepend"), or before ours and in front of all that it sends us too ("prepend").
LocalAsMode: TypeAlias = Literal["replace", "no-prepend", "prepend"]
#: What becomes of private AS numbers (RFC 6996) on the way out: removed if the path has no others, or in any case, or
#: each replaced by our own.
PrivateAsMode: TypeAlias = Literal["keep", "remove-if-only", "remove", "replace"]
#: "self": also what external neighbours told us goes through us; "force-self": even what we reflect does; "keep":
#: external neighbours see the original.
NextHopMode: TypeAlias = Literal["default", "self", "force-self", "keep"]
ConditionKind: TypeAlias = Literal["present", "absent"]
_LARGEST_UINT32: Final = 0xFFFFFFFF
_MOST_OWN_AS: Final = 255
#: What decides what a neighbour is sent; like the next ones it stands in no OPEN, and may change within a session.
SENT_OPTIONS: Final = (
    "as_override",
    "private_as",
    "next_hop",
    "third_party_next_hop",
    "route_server_client",
    "per_client_best",
    "default_originate",
    "send_stale",
    "conditions",
    "send_limit",
)
#: What decides which of its routes are taken, and what becomes of them: those that are there are judged again.
RECEIVED_OPTIONS: Final = (
    "allow_own_as",
    "local_as_mode",
    "reflector_client",
    "graceful_shutdown",
    "validate_flow_rules",
    "receive_limit",
    "aigp",
)
#: What decides what it is sent, unless the neighbour may take several paths: this says whether it is sent them.
PATH_OPTIONS: Final = ("add_path_send",)
ADD_PATH_CHOICES: Final = re.compile(r"best|all|best-per-as|best-[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class PrefixLimit:
    """How many prefixes of a family a neighbour may have with us; ADD-PATH routes count each."""

    maximum: int
    #: A warning is logged at this share of the limit.
    warning_percent: int = 75
    #: Keep the session, and do without what is beyond the limit.
    discard: bool = False
    #: Try again after so many seconds; None: stay down until `Speaker.start_peer`.
    restart_time: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        _check_range("prefix_limit.maximum", self.maximum, 1, _LARGEST_UINT32)
        _check_range("prefix_limit.warning_percent", self.warning_percent, 1, 100)
        if self.restart_time is not None and self.restart_time <= 0:
            raise LocalError(f"prefix_limit.restart_time {self.restart_time}: more than 0 seconds expected")

    @property
    def warning(self) -> int:
        """The number of prefixes from which on a warning is due."""
        return max(1, self.maximum * self.warning_percent // 100)


@dataclass(frozen=True, slots=True)
class Condition:
    """Prefixes that a neighbour is told of only while others are in the Loc-RIB, or while none of those is.

    Both are texts such as "10.0.0.0/8" and "10.0.0.0/8 ge 16 le 24".
    """

    advertise: tuple[str, ...]
    when: ConditionKind
    of: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        if self.when not in get_args(ConditionKind):
            raise LocalError(f"condition.when {self.when!r}: one of {', '.join(get_args(ConditionKind))} expected")
        for name, texts in (("advertise", self.advertise), ("of", self.of)):
            if not texts:
                raise LocalError(f"condition.{name}: at least one prefix expected")
            for text in texts:
                _check_prefixes(name, text)


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """Rules for the routes of one neighbour; the defaults are those of the RFCs."""

    #: How often our own AS may stand in a path that we take.
    allow_own_as: int = 0
    local_as_mode: LocalAsMode = "replace"
    #: Write our AS wherever the neighbour's stands, so that it takes routes of its own AS from elsewhere.
    as_override: bool = False
    private_as: PrivateAsMode = "keep"
    next_hop: NextHopMode = "default"
    #: Leave a next hop on the link that we share with an external neighbour as it is (RFC 4271 section 5.1.3).
    third_party_next_hop: bool = False
    #: An internal neighbour that hears from us what other internal ones told us, and they from it (RFC 4456).
    reflector_client: bool = False
    #: An external neighbour that peers with others through us: what they say reaches it as they said it (RFC 7947).
    route_server_client: bool = False
    #: Tell such a neighbour the best path of those that may reach it, where the best of all may not: by its export
    #: policy, or because it is its own (RFC 7947 section 2.3).  Each such neighbour is worked for alone.
    per_client_best: bool = False
    #: Tell an internal neighbour without long-lived graceful restart of long stale routes too, with NO_EXPORT and
    #: LOCAL_PREF 0 (RFC 9494 section 4.6).
    send_stale: bool = False
    #: Take and send the accumulated IGP metric (RFC 7311); None: within the AS only.
    aigp: bool | None = None
    #: Which paths the neighbour is sent where it takes several (RFC 7911, `PeerConfig.add_path`): "best", "all",
    #: "best-per-as", or the best few, such as "best-3"; one for all families, or one for each.
    add_path_send: str | Mapping[Family, str] = "best"
    #: Send a default route of our own, whatever the tables have and the export policy says.
    default_originate: bool = False
    conditions: tuple[Condition, ...] = ()
    #: Give routes that an external neighbour is about to withdraw the lowest LOCAL_PREF (RFC 8326 section 4.2).
    graceful_shutdown: bool = True
    #: Take flow rules only from where the traffic goes (RFC 8955 section 6); None: from external neighbours.
    validate_flow_rules: bool | None = None
    #: What the neighbour may announce.
    receive_limit: PrefixLimit | None = None
    #: How many prefixes of a family the neighbour is sent at most.
    send_limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        said = self.add_path_send
        for text in (said,) if isinstance(said, str) else said.values():
            if not ADD_PATH_CHOICES.fullmatch(text):
                raise LocalError(f"add_path_send {text!r}: best, all, best-per-as or best-N expected")
        if self.per_client_best and not self.route_server_client:
            raise LocalError("per_client_best: expected beside route_server_client only")
        _check_range("allow_own_as", self.allow_own_as, 0, _MOST_OWN_AS)
        if self.send_limit is not None:
            _check_range("send_limit", self.send_limit, 1, _LARGEST_UINT32)
        for name, kind in (("local_as_mode", LocalAsMode), ("private_as", PrivateAsMode), ("next_hop", NextHopMode)):
            if getattr(self, name) not in get_args(kind):
                raise LocalError(f"{name} {getattr(self, name)!r}: one of {', '.join(get_args(kind))} expected")

    def paths_to_send(self, family: Family) -> str:
        """Return what `add_path_send` says of a family."""
        said = self.add_path_send
        return said if isinstance(said, str) else said.get(family, "best")


def _check_prefixes(name: str, text: str) -> None:
    prefix, *bounds = text.split() or [""]
    family, key = parse_prefix(prefix)
    limits = dict(zip(bounds[::2], bounds[1::2], strict=False))
    numbers = [int(word) if word.isdecimal() else -1 for word in (limits.get("ge", "0"), limits.get("le", "128"))]
    width = 32 if family.afi == 1 else 128
    if len(bounds) != 2 * len(limits) or limits.keys() - {"ge", "le"} or numbers != sorted(numbers) or -1 in numbers:
        raise LocalError(f"condition.{name} {text!r}: a prefix expected, and behind it only ge LENGTH and le LENGTH")
    for word, length in limits.items():
        _check_range(f"condition.{name} {text!r}: {word}", int(length), key[0], width)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise LocalError(f"{name} {value}: {low} to {high} expected")


DEFAULT_ROUTE_OPTIONS: Final = RouteOptions()
