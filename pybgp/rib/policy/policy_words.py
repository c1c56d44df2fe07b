"""The vocabulary of policy tables: one row per key of ``match`` and of ``set``."""

from __future__ import annotations

import difflib
import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pybgp.errors import LocalError
from pybgp.rib.path import Source
from pybgp.rib.policy.action import (
    MAXIMUM,
    PEER,
    SELF,
    UNCHANGED,
    Action,
    AddCommunities,
    DeleteCommunities,
    Prepend,
    PrependLastAs,
    PrependOwn,
    SetCommunities,
    SetKernelMetric,
    SetKernelSource,
    SetLocalPref,
    SetMed,
    SetNextHop,
    SetOrigin,
    SetPreference,
    SetTag,
)
from pybgp.rib.policy.community_pattern import parse_exact, parse_pattern
from pybgp.rib.policy.match import (
    AsPathContains,
    AsPathLength,
    AsPathMatch,
    CommunityMatch,
    FamilyMatch,
    KeyMatch,
    LocalPrefMatch,
    Match,
    MedMatch,
    NeighborAsMatch,
    NextHopMatch,
    NumberRange,
    OriginAsMatch,
    OriginMatch,
    PeerMatch,
    PrefixMatch,
    SourceMatch,
    TagMatch,
    ValidationMatch,
)
from pybgp.rib.policy.prefix_set import WIDTHS, PrefixRange, PrefixSet, parse_range
from pybgp.rib.policy.route import INVALID, NOT_FOUND, VALID
from pybgp.wire.attributes import is_host_address
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pybgp.rib.policy.community_pattern import CommunityPattern

    Sets = Mapping[str, PrefixSet]

T = TypeVar("T")
#: How often an AS number can be prepended; more is a slip of the hand.
MOST_PREPENDS: Final = 255
_RANGE: Final = re.compile(r"\s*([0-9]{0,10})\s*(-?)\s*([0-9]{0,10})\s*")
_RELATIVE: Final = re.compile(r"[+-][0-9]{1,10}")


class WordError(LocalError):
    """A value is wrong; ``where`` tells which item of a list."""

    def __init__(self, text: str, *where: int) -> None:
        """Without ``where`` it is the whole value."""
        super().__init__(text)
        self.where = where


# Kinds of value


def each(raw: object, parse: Callable[[Any], T], expected: str) -> tuple[T, ...]:
    """Read one value or a list of them."""
    found = []
    for index, item in enumerate(raw if isinstance(raw, list) else [raw]):
        if isinstance(item, bool) or not isinstance(item, str | int):
            raise WordError(f"expected {expected}, not {item!r}", index)
        try:
            found.append(parse(item))
        except LocalError as error:
            raise WordError(str(error), index) from error
    if not found:
        raise WordError(f"expected {expected}, or a list of such, not an empty list")
    return tuple(found)


def text(raw: object) -> str:
    """Read a text that is not empty."""
    if not isinstance(raw, str) or not raw:
        raise LocalError(f"expected a text, not {raw!r}")
    return raw


def address(raw: object) -> IPv4Address | IPv6Address:
    """Read an address that has no interface behind it; ValueError if it is none."""
    found = ip_address(text(raw))
    if getattr(found, "scope_id", None):
        raise ValueError(f"{raw!r}: an address without interface is expected")
    return found


def texts(raw: object) -> tuple[str, ...]:
    """Read texts."""
    return each(raw, text, "a text")


def whole(low: int, high: int) -> Callable[[object], int]:
    """Return the reader of a whole number within bounds."""

    def read(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
            raise LocalError(f"expected a whole number from {low} to {high}, not {raw!r}")
        return raw

    return read


def number_range(raw: object) -> NumberRange:
    """Read ``5``, ``"5-9"``, ``"5-"`` or ``"-9"``."""
    expected = 'expected a number, or a range such as "5-9", "5-" or "-9"'
    if isinstance(raw, int):
        found = NumberRange(raw, raw)
    else:
        match = _RANGE.fullmatch(raw) if isinstance(raw, str) else None
        if match is None or not (match[1] or match[3]):
            raise LocalError(f"{expected}, not {raw!r}")
        low, dash, high = match.groups()
        found = NumberRange(int(low or 0), int(high) if high else MAXIMUM if dash else int(low))
    if not 0 <= found.low <= found.high <= MAXIMUM:
        raise LocalError(f"{raw!r} is an impossible range; 0 <= from <= to <= {MAXIMUM} is expected")
    return found


def ranges(raw: object) -> tuple[NumberRange, ...]:
    """Read numbers and ranges."""
    return each(raw, number_range, "a number or a range")


def choice(words: Mapping[str, T]) -> Callable[[object], frozenset[T]]:
    """Return the reader of one word or several."""

    def read_one(raw: object) -> T:
        if raw in words:
            return words[str(raw)]
        near = difflib.get_close_matches(str(raw), list(words), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise LocalError(f"expected one of {', '.join(map(repr, words))}, not {raw!r}{hint}")

    return lambda raw: frozenset(each(raw, read_one, "a word"))


def relative(raw: object) -> tuple[int, bool]:
    """Read ``100``, ``"+10"`` or ``"-10"``: a number, and whether it is added."""
    if isinstance(raw, str) and _RELATIVE.fullmatch(raw) and abs(int(raw)) <= MAXIMUM:
        return int(raw), True
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= MAXIMUM:
        return raw, False
    raise LocalError(f'expected a whole number from 0 to {MAXIMUM}, or "+N" or "-N" to add, not {raw!r}')


def host_range(raw: object) -> PrefixRange:
    """Read an address, or a prefix of addresses, as the range of its hosts."""
    word = text(raw)
    try:
        whole_text = word if "/" in word else f"{word}/{address(word).max_prefixlen}"
    except ValueError as error:
        raise LocalError(f"expected an address or a prefix, not {raw!r}") from error
    found = parse_range(whole_text)
    if len(whole_text.split()) > 1:
        raise LocalError(f"expected an address or a prefix, whose hosts are meant, not {raw!r}; leave ge and le out")
    width = WIDTHS[found.family]
    return found._replace(shortest=width, longest=width)


def named_sets(raw: object, sets: Sets) -> PrefixSet:
    """Look sets up by name and join them."""

    def find(name: object) -> PrefixSet:
        if name in sets:
            return sets[str(name)]
        near = difflib.get_close_matches(str(name), list(sets), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"a [prefix_set.{name}] table is expected"
        raise LocalError(f"no such prefix set {name!r}; {hint}")

    found = each(raw, find, "the name of a prefix set")
    if len(found) == 1:
        return found[0]
    joined = (entry for one in found for entry in one.entries)
    return PrefixSet(joined, ", ".join(one.name for one in found))


# Conditions

FAMILIES: Final = {str(family): family for family in (IPV4_UNICAST, IPV6_UNICAST)}
ORIGINS: Final = {origin.name.lower(): origin for origin in Origin}
SOURCES: Final = {source.name.lower(): source for source in Source}
STATES: Final = {state: state for state in (VALID, INVALID, NOT_FOUND)}

MATCHES: Final[Mapping[str, Callable[[Any, Sets], Match | KeyMatch]]] = {
    "family": lambda raw, _: FamilyMatch(choice(FAMILIES)(raw)),
    "prefix": lambda raw, _: PrefixMatch(PrefixSet(each(raw, parse_prefix_text, "a prefix"))),
    "prefix_set": lambda raw, sets: PrefixMatch(named_sets(raw, sets)),
    "as_path": lambda raw, _: AsPathMatch(texts(raw)),
    "as_path_contains": lambda raw, _: AsPathContains(ranges(raw)),
    "as_path_length": lambda raw, _: AsPathLength(ranges(raw)),
    "origin_as": lambda raw, _: OriginAsMatch(ranges(raw)),
    "neighbor_as": lambda raw, _: NeighborAsMatch(ranges(raw)),
    "community": lambda raw, _: CommunityMatch(each(raw, pattern, "a community")),
    "community_all": lambda raw, _: CommunityMatch(each(raw, pattern, "a community"), every=True),
    "next_hop": lambda raw, _: NextHopMatch(PrefixSet(each(raw, host_range, "an address or a prefix"))),
    "med": lambda raw, _: MedMatch(ranges(raw)),
    "local_pref": lambda raw, _: LocalPrefMatch(ranges(raw)),
    "origin": lambda raw, _: OriginMatch(choice(ORIGINS)(raw)),
    "validation": lambda raw, _: ValidationMatch(choice(STATES)(raw)),
    "peer": lambda raw, _: PeerMatch(frozenset(texts(raw))),
    "source": lambda raw, _: SourceMatch(choice(SOURCES)(raw)),
    "tag": lambda raw, _: TagMatch(frozenset(each(raw, str, "a text"))),
}


def parse_prefix_text(raw: object) -> PrefixRange:
    """Read a prefix with bounds."""
    return parse_range(text(raw))


def pattern(raw: object) -> CommunityPattern:
    """Read a community, * allowed."""
    return parse_pattern(text(raw))


def exact(raw: object) -> CommunityPattern:
    """Read a community to add."""
    return parse_exact(text(raw))


# Actions


def next_hop(raw: object) -> SetNextHop:
    """Read one of the words, or an address."""
    word = text(raw)
    if word in (SELF, PEER, UNCHANGED):
        return SetNextHop(word)
    try:
        hop = address(word)
    except ValueError:
        hop = None
    if hop is None or not is_host_address(hop.packed):
        raise LocalError(f'expected "self", "peer", "unchanged" or an address of a host, not {raw!r}')
    return SetNextHop(str(hop))


def med(raw: object) -> SetMed:
    """Read a number, or the word that removes it."""
    try:
        return SetMed(None) if raw == "remove" else SetMed(*relative(raw))
    except LocalError as error:
        raise LocalError(f'{error}; or "remove"') from error


def prepend(raw: object) -> Action:
    """Read how often our own AS number is prepended, or a list of AS numbers."""
    if isinstance(raw, list):
        if len(raw) > MOST_PREPENDS:
            raise LocalError(f"{len(raw)} AS numbers; at most {MOST_PREPENDS} are expected")
        return Prepend(each(raw, whole(1, MAXIMUM), "an AS number"))
    return PrependOwn(whole(1, MOST_PREPENDS)(raw))


def origin(raw: object) -> SetOrigin:
    """Read one word."""
    (found,) = choice(ORIGINS)(text(raw))
    return SetOrigin(found)


def kernel_source(raw: object) -> SetKernelSource:
    """Read an address of this host, or one of each family."""
    found = each(raw, host, "an address")
    if len({hop.version for hop in found}) < len(found):
        raise LocalError(f"expected an address, or one of each family, not {raw!r}")
    return SetKernelSource(tuple(map(str, found)))


def host(raw: object) -> IPv4Address | IPv6Address:
    """Read the address of a host."""
    try:
        found = address(raw)
    except ValueError:
        found = None
    if found is None or not is_host_address(found.packed):
        raise LocalError(f"expected an address of a host, not {raw!r}")
    return found


#: In the order in which a clause performs them.
ACTIONS: Final[Mapping[str, Callable[[Any, Sets], Action]]] = {
    "local_pref": lambda raw, _: SetLocalPref(*relative(raw)),
    "med": lambda raw, _: med(raw),
    "preference": lambda raw, _: SetPreference(*relative(raw)),
    "next_hop": lambda raw, _: next_hop(raw),
    "prepend_last_as": lambda raw, _: PrependLastAs(whole(1, MOST_PREPENDS)(raw)),
    "prepend": lambda raw, _: prepend(raw),
    "community_set": lambda raw, _: SetCommunities(() if raw == [] else each(raw, exact, "a community")),
    "community_delete": lambda raw, _: DeleteCommunities(each(raw, pattern, "a community")),
    "community_add": lambda raw, _: AddCommunities(each(raw, exact, "a community")),
    "origin": lambda raw, _: origin(raw),
    "tag": lambda raw, _: SetTag(text(raw)),
    "kernel_metric": lambda raw, _: SetKernelMetric(whole(1, MAXIMUM)(raw)),
    "kernel_source": lambda raw, _: kernel_source(raw),
}
