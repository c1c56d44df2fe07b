"""What a user says of a route of its own, in words and values: attributes, and NLRI of any family."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypedDict

from pybgp.errors import LocalError
from pybgp.transport.speaker_config import packed_address
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.communities import LargeCommunity, parse_community, parse_large_community
from pybgp.wire.extended_communities import parse_extended_community, parse_ipv6_extended_community
from pybgp.wire.families import parse_family
from pybgp.wire.iana import AttributeCode, Origin
from pybgp.wire.nlri import FAMILIES, NlriContext, encode_nlri, key_from_json, nlri_from_json, parse_prefix
from pybgp.wire.text import from_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pybgp.wire.families import Family

_ANY_LABELS = NlriContext(labels=255)
_IPV6_LENGTH = 20


class RouteWords(TypedDict, total=False):
    """The attributes of an announcement; what is left out is not sent."""

    origin: Origin
    as_path: Sequence[int]
    med: int | None
    local_pref: int | None
    #: numbers, or text such as "65000:1" and "no-export".
    communities: Iterable[int | str]
    #: text such as "target:65000:1" and "rate-bytes:0:0", or 8 or 20 octets.
    extended_communities: Iterable[str | bytes]
    #: text such as "65000:1:2", or three numbers.
    large_communities: Iterable[str | tuple[int, int, int]]
    #: typed values of any other attributes by their codes.
    attributes: Mapping[int, Any]


def known_family(family: Family | str) -> Family:
    """Return a family whose NLRI we take apart, given itself or by name."""
    found = parse_family(family) if isinstance(family, str) else family
    if found not in FAMILIES:
        raise LocalError(f"family {found}: its NLRI are not taken apart")
    return found


def own_attributes(next_hop: str | None, words: RouteWords) -> Attributes:
    """Return the attributes of an announcement; LocalError names the value that is none."""
    return _said_attributes(next_hop, words) if words else _plain_attributes(next_hop)


@lru_cache(maxsize=64)
def _plain_attributes(next_hop: str | None) -> Attributes:
    return _said_attributes(next_hop, {})


def _said_attributes(next_hop: str | None, words: RouteWords) -> Attributes:
    origin = words.get("origin", Origin.IGP)
    if origin not in tuple(Origin):
        raise LocalError(f"origin {origin!r}: 0 (IGP), 1 (EGP) or 2 (incomplete) expected")
    for asn in words.get("as_path", ()):
        if not 0 < asn < 1 << 32:
            raise LocalError(f"as_path {asn}: 1 to 4294967295 expected (RFC 7607)")
    values: dict[int, Any] = dict(words.get("attributes", {}))
    values[AttributeCode.ORIGIN] = origin
    values[AttributeCode.AS_PATH] = AsPath.sequence(*words.get("as_path", ()))
    extended = [_extended_community(one) for one in words.get("extended_communities", ())]
    said = {
        AttributeCode.MED: words.get("med"),
        AttributeCode.LOCAL_PREF: words.get("local_pref"),
        AttributeCode.COMMUNITIES: tuple(
            parse_community(one) if isinstance(one, str) else one for one in words.get("communities", ())
        ),
        AttributeCode.EXTENDED_COMMUNITIES: tuple(one for one in extended if len(one) != _IPV6_LENGTH),
        AttributeCode.IPV6_EXTENDED_COMMUNITIES: tuple(one for one in extended if len(one) == _IPV6_LENGTH),
        AttributeCode.LARGE_COMMUNITIES: tuple(
            parse_large_community(one) if isinstance(one, str) else LargeCommunity(*one)
            for one in words.get("large_communities", ())
        ),
    }
    values.update({code: value for code, value in said.items() if value not in (None, ())})
    return Attributes.build(values, packed_address(next_hop) if next_hop else b"")


def _extended_community(said: str | bytes) -> bytes:
    if isinstance(said, bytes):
        return said
    try:
        return parse_extended_community(said)
    except LocalError:
        with suppress(LocalError):
            return parse_ipv6_extended_community(said)
        raise


def own_routes(family: Family, nlri: Iterable[Any], attributes: Attributes) -> Iterator[tuple[Attributes, list[bytes]]]:
    """Return keys of NLRI, grouped by the attributes that they have with their details.

    Each is given as text, plain data or typed value (`pybgp.wire.nlri`); LocalError if a peer could not take it.
    """
    row = FAMILIES[family]
    if attributes.next_hop and not row.takes_next_hop(attributes.next_hop, extended=True):
        size = len(attributes.next_hop)
        raise LocalError(f"next_hop {attributes.next_hop.hex()!r}: {family} has none of {size} octets")
    groups: dict[bytes, list[bytes]] = {}
    for one in _each(nlri):
        octets = _octets(family, one)
        if row.judge is not None and (fault := row.judge(octets, _ANY_LABELS, attributes.extended_communities)):
            raise LocalError(f"{family} NLRI {one!r}: {fault.reason}")
        key, details = row.details.divide(octets) if row.details is not None else (octets, b"")
        groups.setdefault(details, []).append(key)
    for details, keys in groups.items():
        yield attributes.with_details(details), keys


def own_keys(family: Family, nlri: Iterable[Any]) -> list[bytes]:
    """Return the keys of NLRI, given whole or with their key fields alone."""
    row = FAMILIES[family]
    return [
        key_from_json(family, data) if _is_plain(data) else row.identity(encode_nlri(family, data))
        for data in (from_text(one) if isinstance(one, str) else one for one in _each(nlri))
    ]


def _each(nlri: Iterable[Any]) -> Iterable[Any]:
    """One NLRI may stand for a list of them: text, a dict, and a typed value, which is a named tuple."""
    return [nlri] if isinstance(nlri, str | bytes | dict) or hasattr(nlri, "_fields") else nlri


def _is_plain(data: object) -> bool:
    return isinstance(data, str | dict)


def _octets(family: Family, one: Any) -> bytes:
    data = from_text(one) if isinstance(one, str) else one
    return nlri_from_json(family, data) if _is_plain(data) else encode_nlri(family, data)


def by_family(prefixes: str | Iterable[str]) -> dict[Family, list[bytes]]:
    """Turn text into keys, by family; LocalError names the one that is no prefix."""
    keys: dict[Family, list[bytes]] = {}
    for text in (prefixes,) if isinstance(prefixes, str) else prefixes:
        family, key = parse_prefix(text)
        keys.setdefault(family, []).append(key)
    return keys
