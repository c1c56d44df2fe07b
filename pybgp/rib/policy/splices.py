"""Actions as changes of octets: what import does to every attribute set of a peer takes no value apart.

A splice does what the action does to a `Route`, to the octet; it is a pure function of attribute sets and of the peer
that told us.
"""

from __future__ import annotations

from ipaddress import ip_address
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from pybgp.rib.measure import DEFAULT_LOCAL_PREF
from pybgp.rib.policy.action import (
    PEER,
    SELF,
    UNCHANGED,
    AddCommunities,
    DeleteCommunities,
    Prepend,
    PrependLastAs,
    PrependOwn,
    SetCommunities,
    SetLocalPref,
    SetMed,
    SetNextHop,
    SetOrigin,
    SetPreference,
    SetTag,
    bounded,
    by_kind,
    in_front,
)
from pybgp.rib.policy.community_pattern import SIZES
from pybgp.wire.attribute_scan import prepended, with_attribute, with_attribute_in_all
from pybgp.wire.attributes import ATTRIBUTES, Attributes, attribute_octets, encode_attribute
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from pybgp.rib.policy.action import Action
    from pybgp.rib.rib_peer import RibPeer

#: What is done to one attribute set, or to each of several.
_One: TypeAlias = "Callable[[Attributes, RibPeer], Attributes]"
Splice: TypeAlias = "Callable[[Sequence[Attributes], RibPeer], list[Attributes]]"

_AS_PATH_FLAGS: Final = ATTRIBUTES[AttributeCode.AS_PATH].flags


def _with(attributes: Attributes, code: int, octets: bytes) -> Attributes:
    """Return the set in which an attribute is these octets, with their head; empty: it is absent."""
    block, hop, details = attributes
    return tuple.__new__(Attributes, (with_attribute(block, code, octets), hop, details))


def _each(change: _One) -> Splice:
    return lambda several, teller: [change(attributes, teller) for attributes in several]


def _constant(code: int, octets: bytes) -> Splice:
    with_octets = with_attribute_in_all if code > AttributeCode.AS_PATH else _with_attribute_in_each

    def splice(several: Sequence[Attributes], teller: RibPeer) -> list[Attributes]:
        del teller
        blocks, hops, details = zip(*several, strict=True)
        changed = with_octets(blocks, code, octets)
        return [*map(tuple.__new__, repeat(Attributes), zip(changed, hops, details, strict=True))]

    return splice


def _with_attribute_in_each(blocks: Iterable[bytes], code: int, octets: bytes) -> list[bytes]:
    return [with_attribute(block, code, octets) for block in blocks]


def _added(code: int, absent: int, value: int) -> Splice:
    """Add to a number, from ``absent`` if there is none."""

    def splice(attributes: Attributes, teller: RibPeer) -> Attributes:
        del teller
        octets = attributes.value_octets(code)
        found = absent if octets is None else int.from_bytes(octets, "big")
        return _with(attributes, code, encode_attribute(code, bounded(found + value)))

    return _each(splice)


def _local_pref(action: SetLocalPref) -> Splice:
    code = AttributeCode.LOCAL_PREF
    if action.relative:
        return _added(code, DEFAULT_LOCAL_PREF, action.value)
    return _constant(code, encode_attribute(code, bounded(action.value)))


def _med(action: SetMed) -> Splice:
    code = AttributeCode.MED
    if action.value is None:
        return _constant(code, b"")
    if action.relative:
        return _added(code, 0, action.value)
    return _constant(code, encode_attribute(code, bounded(action.value)))


def _origin(action: SetOrigin) -> Splice:
    return _constant(AttributeCode.ORIGIN, encode_attribute(AttributeCode.ORIGIN, action.origin))


def _next_hop(action: SetNextHop) -> Splice:
    fixed = b"" if action.to in (SELF, PEER, UNCHANGED) else ip_address(action.to).packed

    def splice(attributes: Attributes, teller: RibPeer) -> Attributes:
        if action.to == UNCHANGED:
            return attributes
        hop = teller.address or attributes.next_hop if action.to == PEER else fixed
        return tuple.__new__(Attributes, (attributes.block, hop, attributes.details))

    return _each(splice)


def _in_front(attributes: Attributes, asns: tuple[int, ...]) -> Attributes:
    """Put AS numbers in front of AS_PATH; nearly every path is one sequence with room for them."""
    octets: bytes | None = attributes.value_octets(AttributeCode.AS_PATH)
    for asn in reversed(asns):
        octets = None if octets is None else prepended(octets, asn)
    if octets is None:
        return attributes.replace({AttributeCode.AS_PATH: in_front(attributes.as_path, asns)})
    return _with(attributes, AttributeCode.AS_PATH, attribute_octets(_AS_PATH_FLAGS, AttributeCode.AS_PATH, octets))


def _prepend(action: Prepend) -> Splice:
    return _each(lambda attributes, _: _in_front(attributes, action.asns) if action.asns else attributes)


def _prepend_own(action: PrependOwn) -> Splice:
    def splice(attributes: Attributes, teller: RibPeer) -> Attributes:
        asns = (teller.local_as,) * action.count
        return _in_front(attributes, asns) if teller.local_as and asns else attributes

    return _each(splice)


def _prepend_last(action: PrependLastAs) -> Splice:
    def splice(attributes: Attributes, teller: RibPeer) -> Attributes:
        del teller
        first = attributes.as_path.first
        return attributes if first is None or not action.count else _in_front(attributes, (first,) * action.count)

    return _each(splice)


def _edit_members(code: AttributeCode, edit: Callable[[list[bytes]], Collection[bytes]]) -> Splice:
    """Put what ``edit`` returns in place of the communities of a kind, unless those are as many and so the same."""
    size, flags = SIZES[code], ATTRIBUTES[code].flags

    def splice(attributes: Attributes, teller: RibPeer) -> Attributes:
        del teller
        octets = attributes.value_octets(code) or b""
        there = [octets[at : at + size] for at in range(0, len(octets), size)]
        wanted = edit(there)
        if len(wanted) == len(there):
            return attributes
        value = b"".join(sorted(wanted))
        return _with(attributes, code, attribute_octets(flags, code, value) if value else b"")

    return _each(splice)


def _add_communities(action: AddCommunities) -> Iterator[Splice]:
    for code, numbers in by_kind(action.communities).items():
        added = frozenset(number.to_bytes(SIZES[code], "big") for number in numbers)
        yield _edit_members(code, added.union)


def _delete_communities(action: DeleteCommunities) -> Iterator[Splice]:
    for code in {pattern.code for pattern in action.patterns}:
        fits = [pattern.fits for pattern in action.patterns if pattern.code == code]

        def kept(there: list[bytes], fits: Sequence[Callable[[int], bool]] = fits) -> list[bytes]:
            numbers = ((one, int.from_bytes(one, "big")) for one in there)
            return [one for one, number in numbers if not any(fit(number) for fit in fits)]

        yield _edit_members(code, kept)


def _set_communities(action: SetCommunities) -> Iterator[Splice]:
    wanted = by_kind(action.communities)
    for code, size in SIZES.items():
        value = b"".join(number.to_bytes(size, "big") for number in sorted(wanted.get(code, ())))
        octets = attribute_octets(ATTRIBUTES[code].flags, code, value) if value else b""

        def splice(
            attributes: Attributes, _: RibPeer, code: int = code, value: bytes = value, octets: bytes = octets
        ) -> Attributes:
            is_there = (attributes.value_octets(code) or b"") == value
            return attributes if is_there else _with(attributes, code, octets)

        yield _each(splice)


#: what writes each kind of action; those without a row change other things than attributes.
_SINGLE: Final[dict[type, Callable[[Any], Splice]]] = {
    SetLocalPref: _local_pref,
    SetMed: _med,
    SetOrigin: _origin,
    SetNextHop: _next_hop,
    Prepend: _prepend,
    PrependOwn: _prepend_own,
    PrependLastAs: _prepend_last,
}
_SEVERAL: Final[dict[type, Callable[[Any], Iterator[Splice]]]] = {
    AddCommunities: _add_communities,
    DeleteCommunities: _delete_communities,
    SetCommunities: _set_communities,
}


class Edit(NamedTuple):
    """What actions in a row make of every route of a peer."""

    splices: tuple[Splice, ...]
    preferences: tuple[SetPreference, ...] = ()
    tag: str | None = None

    def changed(self, several: Sequence[Attributes], teller: RibPeer) -> Sequence[Attributes]:
        """Return what becomes of attribute sets, of one at least."""
        for splice in self.splices:
            several = splice(several, teller)
        return several

    def preference(self, before: int) -> int:
        """Return what the actions make of a preference."""
        for action in self.preferences:
            before = bounded(action.value + (before if action.relative else 0))
        return before


def edit_of(actions: Sequence[Action]) -> Edit | None:
    """Put actions together; None if one of them is no action of ours."""
    splices: list[Splice] = []
    preferences: list[SetPreference] = []
    tag: str | None = None
    for action in actions:
        if isinstance(action, SetPreference):
            preferences.append(action)
        elif isinstance(action, SetTag):
            tag = action.tag
        elif type(action) in _SINGLE:
            splices.append(_SINGLE[type(action)](action))
        elif type(action) in _SEVERAL:
            splices += _SEVERAL[type(action)](action)
        else:
            return None
    return Edit(tuple(splices), tuple(preferences), tag)
