"""UPDATE: what it says, and decoding with the verdicts of RFC 7606 (RFC 4271 section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import ErrorCode, RemoteError
from pybgp.wire.attribute_block import (
    AttributeBlock,
    RawAttribute,
    missing_attribute,
    repeated_multiprotocol,
)
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import (
    EXTENDED_LENGTH,
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    AttributeFault,
    Attributes,
    Fault,
    is_next_hop,
)
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import HEADER_LENGTH, AttributeCode, UpdateSubcode
from pybgp.wire.nlri import FAMILIES, PREFIX_FAMILIES, is_odd, split, split_careful, split_fast, split_row
from pybgp.wire.nlri.row import PATH_ID_LENGTH, NlriError, NlriFamily, split_address
from pybgp.wire.plain_reach import has_link_local, plain_reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pybgp.wire.negotiated import Negotiated

#: header and the two length fields.
_EMPTY_LENGTH: Final = HEADER_LENGTH + 4
_REACH: Final = int(AttributeCode.MP_REACH_NLRI)
_UNREACH: Final = int(AttributeCode.MP_UNREACH_NLRI)
_REACH_OCTET: Final = bytes([_REACH])
_MULTIPROTOCOL_OCTETS: Final = (_REACH_OCTET, bytes([_UNREACH]))
_MISSING_NEXT_HOP: Final = missing_attribute(AttributeCode.NEXT_HOP)


class NlriSet(NamedTuple):
    """Prefix keys of one family; announced ones with the attributes, whose next hop is that family's."""

    family: Family
    keys: Sequence[bytes]
    attributes: Attributes | None = None


class OpaqueNlri(NamedTuple):
    """NLRI of a negotiated family that we do not take apart."""

    family: Family
    field: bytes
    next_hop: bytes = b""
    is_withdrawn: bool = False


@dataclass(slots=True)
class Update:
    """An UPDATE with its verdict applied: what is treated as withdrawn already stands among the withdrawn.

    ``attributes`` are those of the first announced set; only a message that mixes the classic field with
    MP_REACH has a second one, which stands beside its keys.
    """

    withdrawn: Sequence[NlriSet] = ()
    announced: Sequence[NlriSet] = ()
    attributes: Attributes | None = None
    faults: tuple[AttributeFault, ...] = ()
    end_of_rib: Family | None = None
    #: families that must be given up for this session, where the options allow that (RFC 7606 section 2).
    disabled: tuple[Family, ...] = ()
    opaque: tuple[OpaqueNlri, ...] = ()


def _update_error(subcode: int, reason: str, data: bytes = b"") -> RemoteError:
    return RemoteError(ErrorCode.UPDATE_MESSAGE, subcode, data, reason=reason)


def decode_update(message: bytes, negotiated: Negotiated, store: AttributeStore | None = None) -> Update:
    """Read a whole UPDATE; only what costs the session raises (spec section 5, in its order).

    Who reads many gives a store: attributes that come again are read once, and are one object.
    """
    if store is None:
        store = AttributeStore()
    end, update = len(message), None
    if end > _EMPTY_LENGTH:
        if message[19] or message[20]:
            if _EMPTY_LENGTH + (message[19] << 8 | message[20]) == end:
                update = _decode_plain_withdrawal(message, negotiated)
        else:
            nlri_at = _EMPTY_LENGTH + (message[21] << 8 | message[22])
            if nlri_at < end:
                update = _decode_plain(message[_EMPTY_LENGTH:nlri_at], message[nlri_at:], negotiated, store)
            elif nlri_at == end:
                update = _decode_plain_reach(message[_EMPTY_LENGTH:], negotiated, store)
    return walk_update(message, negotiated, store) if update is None else update


def walk_update(message: bytes, negotiated: Negotiated, store: AttributeStore) -> Update:
    """Do the same field by field, whatever the message looks like."""
    attributes_at, nlri_at = _places(message)
    reader = _UpdateReader(negotiated, store)
    return reader.read(
        message[_EMPTY_LENGTH - 2 : attributes_at - 2], message[attributes_at:nlri_at], message[nlri_at:]
    )


def _places(message: bytes) -> tuple[int, int]:
    """Return where the attributes and the classic NLRI field begin."""
    end = len(message)
    if end < _EMPTY_LENGTH:
        raise _update_error(UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, f"UPDATE of {end} octets")
    attributes_at = nlri_at = _EMPTY_LENGTH + (message[19] << 8 | message[20])
    if attributes_at <= end:
        nlri_at += message[attributes_at - 2] << 8 | message[attributes_at - 1]
    if nlri_at > end:
        reason = f"withdrawn routes to {attributes_at} and attributes to {nlri_at} in {end} octets"
        raise _update_error(UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, reason)
    return attributes_at, nlri_at


def _decode_plain_withdrawal(message: bytes, negotiated: Negotiated) -> Update | None:
    """Read an UPDATE that does nothing but withdraw ordinary prefixes; None for anything else."""
    split = negotiated.split_ipv4
    if split is None or message[-2] or message[-1]:
        return None
    field = message[_EMPTY_LENGTH - 2 : -2]
    keys = split(field)
    return Update((NlriSet(IPV4_UNICAST, keys),)) if b"".join(keys) == field else None


def _decode_plain(octets: bytes, nlri: bytes, negotiated: Negotiated, store: AttributeStore) -> Update | None:
    """Read what nearly every UPDATE is: good attributes, and prefixes in the classic field; None for anything else."""
    split = negotiated.split_ipv4
    if split is None or octets[1:2] in _MULTIPROTOCOL_OCTETS:
        return None
    found = store.look_at(octets, negotiated.context)
    faults: tuple[AttributeFault, ...] = ()
    if isinstance(found, AttributeBlock):
        if not found.is_clean or found.multiprotocol:
            return None
        faults = found.faults
        found = _attributes(found, found.next_hop or b"", store)
    keys = split(nlri)
    if b"".join(keys) != nlri:
        return None
    return Update((), (NlriSet(IPV4_UNICAST, keys, found),), found, faults)


def _decode_plain_reach(octets: bytes, negotiated: Negotiated, store: AttributeStore) -> Update | None:
    """Read nearly every UPDATE of IPv6: good attributes, and MP_REACH_NLRI among them; None for anything else."""
    split = negotiated.split_ipv6
    reach = None if split is None else plain_reach(octets)
    if split is None or reach is None:
        return None
    block = store.read(reach.others, negotiated.context)
    if block.worst > Fault.DISCARD or block.missing or block.multiprotocol:
        return None
    keys = split(reach.nlri)
    if b"".join(keys) != reach.nlri:
        return None
    attributes = _attributes(block, reach.next_hop, store)
    return Update((), (NlriSet(IPV6_UNICAST, keys, attributes),), attributes, block.faults)


def _attributes(block: AttributeBlock, next_hop: bytes, store: AttributeStore) -> Attributes:
    """Return the interned attributes of a block with a next hop; the block remembers the last."""
    found = block.attributes
    if found is None or found.next_hop != next_hop:
        found = block.attributes = store.intern(block.canonical, next_hop)
    return found


class _UpdateReader:
    """One UPDATE that is not of the commonest form."""

    def __init__(self, negotiated: Negotiated, store: AttributeStore) -> None:
        self._negotiated = negotiated
        self._store = store
        self._faults: list[AttributeFault] = []
        self._withdrawn: list[NlriSet] = []
        self._announced: list[NlriSet] = []
        self._disabled: list[Family] = []
        self._opaque: list[OpaqueNlri] = []
        self._end_of_rib: Family | None = None

    def read(self, withdrawn: bytes, octets: bytes, nlri: bytes) -> Update:
        """Follow spec section 14 line by line."""
        if not withdrawn and not octets and not nlri:
            self._note_end_of_rib(IPV4_UNICAST)
            return Update(end_of_rib=self._end_of_rib, faults=tuple(self._faults))
        multiprotocol, rest = _cut_leading(octets)
        block = self._store.read(rest, self._negotiated.context)
        multiprotocol = _joined(multiprotocol, block.multiprotocol)
        self._faults.extend(block.faults)
        self._read_classic(withdrawn, nlri, block)
        reach, unreach = multiprotocol.get(_REACH), multiprotocol.get(_UNREACH)
        reachable = bool(nlri)
        if reach is not None:
            reachable |= self._read_reach(reach, block)
        if unreach is not None:
            is_alone = not withdrawn and not nlri and not rest and reach is None
            self._read_unreach(unreach, is_alone=is_alone)
        only_unreach = not rest or (
            len(multiprotocol) and rest == b"".join(item.octets for item in block.multiprotocol)
        )
        self._judge(block, reachable=reachable, classic=bool(nlri), reach=reach, only_unreach=bool(only_unreach))
        return self._result(block)

    def _judge(
        self, block: AttributeBlock, *, reachable: bool, classic: bool, reach: RawAttribute | None, only_unreach: bool
    ) -> None:
        """Add what depends on the NLRI present; reset if they cannot be trusted (RFC 7606 section 5.2)."""
        faults = self._faults
        if block.next_hop_fault is not None and (classic or reach is None):
            faults.append(block.next_hop_fault)
        if reachable:
            faults.extend(block.missing)
            if classic and block.next_hop is None:
                faults.append(_MISSING_NEXT_HOP)
        elif reach is not None or not only_unreach:
            for fault in faults:
                if fault.fault >= Fault.WITHDRAW:
                    data = b"" if fault.subcode in _WITHOUT_DATA else fault.attribute
                    raise _update_error(fault.subcode, f"no reachable NLRI, and {fault.reason}", data)

    def _result(self, block: AttributeBlock) -> Update:
        announced, attributes = self._announced, None
        if any(fault.fault == Fault.WITHDRAW for fault in self._faults):
            self._withdrawn += [NlriSet(family, keys) for family, keys, _ in announced]
            self._opaque = [item._replace(is_withdrawn=True) for item in self._opaque]
            announced = []
        elif announced:
            attributes = announced[0].attributes
        elif block.canonical or self._opaque:
            attributes = _attributes(block, block.next_hop or b"", self._store)
        return Update(
            tuple(self._withdrawn),
            tuple(announced),
            attributes,
            tuple(self._faults),
            self._end_of_rib,
            tuple(self._disabled),
            tuple(self._opaque),
        )

    def _read_classic(self, withdrawn: bytes, nlri: bytes, block: AttributeBlock) -> None:
        """Read the two IPv4 fields; what cannot be split costs the session (RFC 4271 section 6.3)."""
        add_path = IPV4_UNICAST in self._negotiated.add_path_receive
        gone = split(IPV4_UNICAST, withdrawn, add_path=add_path) if withdrawn else []
        keys = self._split_classic(nlri) if nlri else []
        if IPV4_UNICAST not in self._negotiated.families:
            if gone or keys:
                self._ignore(IPV4_UNICAST, 0)
            return
        if gone:
            self._withdrawn.append(NlriSet(IPV4_UNICAST, gone))
        if keys:
            attributes = _attributes(block, block.next_hop or b"", self._store)
            self._announced.append(NlriSet(IPV4_UNICAST, keys, attributes))

    def _split_classic(self, field: bytes) -> list[bytes]:
        """Split the classic field and leave out prefixes that nobody can be reached at (spec section 5.3)."""
        add_path = IPV4_UNICAST in self._negotiated.add_path_receive
        keys = split_fast(IPV4_UNICAST, field, add_path)
        if keys is not None:
            return keys
        kept = []
        for key in split_careful(IPV4_UNICAST, field, add_path):
            if is_odd(IPV4_UNICAST, key, add_path=add_path):
                self._ignore_nlri(f"{IPV4_UNICAST} prefix {key.hex()} is no unicast destination, ignored")
            else:
                kept.append(key)
        return kept

    def _ignore_nlri(self, reason: str) -> None:
        self._faults.append(AttributeFault(0, Fault.DISCARD, UpdateSubcode.INVALID_NETWORK, reason))

    def _split_reach(
        self, row: NlriFamily, field: bytes, attribute: RawAttribute, block: AttributeBlock
    ) -> list[bytes]:
        """Split the field of MP_REACH and judge each NLRI; NlriError if it cannot be split."""
        family = row.family
        context = self._negotiated.nlri_context(family)
        if family in PREFIX_FAMILIES:
            keys = split_fast(family, field, context.add_path)
            if keys is not None:
                return keys
        keys = split_row(row, field, context)
        if row.judge is None:
            return keys
        communities = Attributes(block.canonical).extended_communities
        kept = []
        for key in keys:
            fault = row.judge(key[PATH_ID_LENGTH:] if context.add_path else key, context, communities)
            if fault is None:
                kept.append(key)
            elif fault.is_withdrawn:
                kept.append(key)
                reason, subcode = f"{family}: {fault.reason}", UpdateSubcode.OPTIONAL_ATTRIBUTE
                self._faults.append(AttributeFault(_REACH, Fault.WITHDRAW, subcode, reason, attribute.octets))
            else:
                self._ignore_nlri(fault.reason)
        return kept

    def _read_reach(self, attribute: RawAttribute, block: AttributeBlock) -> bool:
        """Read MP_REACH_NLRI (RFC 4760 section 3); say whether it carries anything reachable."""
        value = attribute.value
        if len(value) < 5:
            raise _multiprotocol_error(attribute, f"{len(value)} octets")
        family = Family(value[0] << 8 | value[1], value[2])
        nlri_at = 5 + value[3]
        if _wrong_flags(attribute) or nlri_at > len(value):
            return self._unreadable(family, attribute, f"flags {attribute.flags:#04x}, next hop of {value[3]} octets")
        next_hop, field = value[4 : nlri_at - 1], value[nlri_at:]
        row = FAMILIES.get(family)
        if family not in self._negotiated.families:
            self._ignore(family, _REACH)
        elif row is None:
            self._opaque.append(OpaqueNlri(family, field, next_hop))
        elif len(next_hop) not in _next_hop_lengths(row, self._negotiated):
            return self._unreadable(family, attribute, f"next hop of {len(next_hop)} octets")
        else:
            return self._announce(row, next_hop, field, attribute, block)
        return bool(field)

    def _announce(
        self, row: NlriFamily, next_hop: bytes, field: bytes, attribute: RawAttribute, block: AttributeBlock
    ) -> bool:
        family = row.family
        try:
            keys = self._split_reach(row, field, attribute, block)
        except NlriError as error:
            return self._unreadable(family, attribute, str(error))
        next_hop = _next_hop_addresses(row, next_hop)
        if next_hop and not is_next_hop(next_hop, self._negotiated.options):
            reason = f"{family} next hop {next_hop.hex()} is no host"
            subcode = UpdateSubcode.OPTIONAL_ATTRIBUTE
            self._faults.append(AttributeFault(_REACH, Fault.WITHDRAW, subcode, reason, attribute.octets))
        if keys:
            self._announced.append(NlriSet(family, keys, _attributes(block, next_hop, self._store)))
        return bool(field)

    def _read_unreach(self, attribute: RawAttribute, *, is_alone: bool) -> None:
        """Read MP_UNREACH_NLRI (RFC 4760 section 4)."""
        value = attribute.value
        if len(value) < 3:
            raise _multiprotocol_error(attribute, f"{len(value)} octets")
        family = Family(value[0] << 8 | value[1], value[2])
        field = value[3:]
        if _wrong_flags(attribute):
            self._unreadable(family, attribute, f"flags {attribute.flags:#04x}")
        elif not field and is_alone:
            self._note_end_of_rib(family)
        elif family not in self._negotiated.families:
            self._ignore(family, _UNREACH)
        elif family in FAMILIES:
            self._withdraw(FAMILIES[family], field, attribute)
        else:
            self._opaque.append(OpaqueNlri(family, field, is_withdrawn=True))

    def _withdraw(self, row: NlriFamily, field: bytes, attribute: RawAttribute) -> None:
        family = row.family
        context = self._negotiated.nlri_context(family, withdrawn=True)
        try:
            fast = split_fast(family, field, context.add_path) if family in PREFIX_FAMILIES else None
            keys = split_row(row, field, context) if fast is None else fast
        except NlriError as error:
            self._unreadable(family, attribute, str(error))
            return
        if keys:
            self._withdrawn.append(NlriSet(family, keys))

    def _note_end_of_rib(self, family: Family) -> None:
        if family in self._negotiated.families:
            self._end_of_rib = family
        else:
            reason = f"End-of-RIB of {family}, which was not negotiated, is ignored"
            code = 0 if family == IPV4_UNICAST else _UNREACH
            self._faults.append(AttributeFault(code, Fault.DISCARD, UpdateSubcode.OPTIONAL_ATTRIBUTE, reason))

    def _ignore(self, family: Family, code: int) -> None:
        reason = f"{family} was not negotiated, its NLRI are ignored"
        self._faults.append(AttributeFault(code, Fault.DISCARD, UpdateSubcode.OPTIONAL_ATTRIBUTE, reason))

    def _unreadable(self, family: Family, attribute: RawAttribute, reason: str) -> bool:
        """Give up the family if the options say so, the session otherwise (RFC 7606 section 5.3)."""
        if not (self._negotiated.options.disable_family and family in self._negotiated.families):
            raise _multiprotocol_error(attribute, reason)
        self._disabled.append(family)
        subcode = UpdateSubcode.OPTIONAL_ATTRIBUTE
        self._faults.append(
            AttributeFault(attribute.code, Fault.DISABLE_FAMILY, subcode, f"{family}: {reason}", attribute.octets)
        )
        return True


#: subcodes whose NOTIFICATION quotes nothing (spec section 14).
_WITHOUT_DATA: Final = (
    UpdateSubcode.MALFORMED_ATTRIBUTE_LIST,
    UpdateSubcode.INVALID_NETWORK,
    UpdateSubcode.MALFORMED_AS_PATH,
)


def _multiprotocol_error(attribute: RawAttribute, reason: str) -> RemoteError:
    name = AttributeCode(attribute.code).name
    return _update_error(UpdateSubcode.OPTIONAL_ATTRIBUTE, f"{name}: {reason}", attribute.octets)


def _wrong_flags(attribute: RawAttribute) -> bool:
    return attribute.flags & OPTIONAL_TRANSITIVE != OPTIONAL


def _next_hop_lengths(row: NlriFamily, negotiated: Negotiated) -> tuple[int, ...]:
    """RFC 2545 section 3, RFC 8950 section 4, spec section 5.2."""
    if row.family in negotiated.extended_next_hop:
        return row.next_hops + row.extended_next_hops
    return row.next_hops


def _next_hop_addresses(row: NlriFamily, next_hop: bytes) -> bytes:
    """Return the addresses of a next hop, without distinguishers and without a second one that is not link-local."""
    if row.next_hop_ignored:
        return b""
    if row.distinguished_next_hop:
        next_hop = b"".join(split_address(next_hop))
    return next_hop[:16] if len(next_hop) == 32 and not has_link_local(next_hop) else next_hop


def _cut_leading(octets: bytes) -> tuple[dict[int, RawAttribute], bytes]:
    """Cut MP_REACH and MP_UNREACH off the front, where RFC 7606 section 5.1 wants them; the rest is interned."""
    found: dict[int, RawAttribute] = {}
    position, end = 0, len(octets)
    while end - position > 4 and octets[position + 1] in (_REACH, _UNREACH):
        flags, code = octets[position], octets[position + 1]
        if flags & EXTENDED_LENGTH:
            start = position + 4
            stop = start + (octets[position + 2] << 8 | octets[position + 3])
        else:
            start = position + 3
            stop = start + octets[position + 2]
        if stop > end:
            break
        if code in found:
            raise repeated_multiprotocol(code)
        found[code] = RawAttribute(flags, code, octets[start:stop], octets[position:stop])
        position = stop
    return found, octets[position:]


def _joined(leading: dict[int, RawAttribute], later: Sequence[RawAttribute]) -> dict[int, RawAttribute]:
    for attribute in later:
        if attribute.code in leading:
            raise repeated_multiprotocol(attribute.code)
        leading[attribute.code] = attribute
    return leading
