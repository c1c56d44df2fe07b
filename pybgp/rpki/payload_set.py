"""What one cache has announced, changed by whole answers only (RFC 8210 section 5.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.rpki.pdu import Aspa, Payload, Record, RtrError, RtrErrorCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

#: Ten times what the whole RPKI holds.
LARGEST_SIZE: Final = 10_000_000


class PayloadSet:
    """Payloads as they are in force; an answer that is still coming in does not touch them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.records: set[Payload] = set()
        #: By customer, because a new one replaces the old (draft-ietf-sidrops-8210bis section 5.12).
        self.aspas: dict[int, Aspa] = {}

    def __len__(self) -> int:
        """How many payloads there are."""
        return len(self.records) + len(self.aspas)

    def __iter__(self) -> Iterator[Payload]:
        """Iterate over all payloads."""
        yield from self.records
        yield from self.aspas.values()

    def transaction(self, *, full: bool) -> Transaction:
        """Begin to take in an answer: changes, or everything anew."""
        return Transaction(PayloadSet() if full else self, full=full)

    def apply(self, transaction: Transaction) -> tuple[Collection[Payload], Collection[Payload]]:
        """Put a whole answer in force; return what came and what went."""
        announced, withdrawn = transaction.announced, transaction.withdrawn
        if transaction.is_full:
            announced, withdrawn = announced - self.records, self.records - announced
        self.records -= withdrawn
        self.records |= announced
        came, gone = self._apply_aspas(transaction)
        return ([*announced, *came] if came else announced), ([*withdrawn, *gone] if gone else withdrawn)

    def clear(self) -> list[Payload]:
        """Forget everything and return it."""
        gone = list(self)
        self.records.clear()
        self.aspas.clear()
        return gone

    def _apply_aspas(self, transaction: Transaction) -> tuple[list[Payload], list[Payload]]:
        changes = dict(transaction.aspas)
        if transaction.is_full:
            changes = dict.fromkeys(self.aspas.keys() - changes.keys()) | changes
        came: list[Payload] = []
        gone: list[Payload] = []
        for customer, new in changes.items():
            old = self.aspas.pop(customer, None)
            if new is not None:
                self.aspas[customer] = new
            if old != new:
                gone += [] if old is None else [old]
                came += [] if new is None else [new]
        return came, gone


class Transaction:
    """An answer as it comes in, checked against what is in force (RFC 8210 section 12, errors 6 and 7)."""

    __slots__ = ("_base", "announced", "aspas", "is_full", "withdrawn")

    def __init__(self, base: PayloadSet, *, full: bool) -> None:
        """``base`` is what the answer's records are added to and taken from."""
        self._base = base
        self.is_full = full
        self.announced: set[Payload] = set()
        self.withdrawn: set[Payload] = set()
        #: By customer; None is withdrawn.
        self.aspas: dict[int, Aspa | None] = {}

    def add(self, record: Record, octets: bytes) -> None:
        """Take in one record; RtrError if it announces what is there or withdraws what is not."""
        payload = record.payload
        if isinstance(payload, Aspa):
            self._add_aspa(record.announce, payload, octets)
        elif record.announce:
            self._announce(payload, octets)
        else:
            self._withdraw(payload, octets)

    def _announce(self, payload: Payload, octets: bytes) -> None:
        if payload in self.withdrawn:
            self.withdrawn.remove(payload)
        elif payload in self.announced or payload in self._base.records:
            raise RtrError(RtrErrorCode.DUPLICATE_ANNOUNCEMENT, octets, f"{payload}")
        elif len(self.announced) + len(self._base.records) >= LARGEST_SIZE:
            raise RtrError(RtrErrorCode.INTERNAL_ERROR, b"", f"more than {LARGEST_SIZE} records")
        else:
            self.announced.add(payload)

    def _withdraw(self, payload: Payload, octets: bytes) -> None:
        if payload in self.announced:
            self.announced.remove(payload)
        elif payload in self._base.records and payload not in self.withdrawn:
            self.withdrawn.add(payload)
        else:
            raise RtrError(RtrErrorCode.UNKNOWN_WITHDRAWAL, octets, f"{payload}")

    def _add_aspa(self, announce: bool, aspa: Aspa, octets: bytes) -> None:
        customer = aspa.customer
        known = self.aspas[customer] if customer in self.aspas else self._base.aspas.get(customer)
        if not announce and known is None:
            raise RtrError(RtrErrorCode.UNKNOWN_WITHDRAWAL, octets, f"ASPA of AS {customer}")
        self.aspas[customer] = aspa if announce else None
