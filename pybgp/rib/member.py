"""A peer in an update group, and what it has missed of what the group was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pybgp.rib.adj_rib_out import Told
    from pybgp.rib.exported import Exported


class Member:
    """A peer in a group: ``behind`` maps each prefix it has missed to what it holds instead."""

    __slots__ = ("address", "behind", "is_new", "number", "paused", "router_id", "told_by", "unseen")

    def __init__(self, number: int, address: bytes, router_id: int = 0) -> None:
        """``address`` is packed: a route through it is not sent to its owner, nor one that ``router_id`` originated."""
        self.number = number
        self.address = address
        self.router_id = router_id
        self.behind: dict[bytes, Told | None] = {}
        #: says what paths in ``behind`` became: the group that the member was in before knows.
        self.told_by: Callable[[Told | None], Exported | None] | None = None
        self.paused = False
        #: prefixes of the group that are yet to be entered in ``behind``, until which nothing is sent; None: no more.
        self.unseen: Iterator[bytes] | None = None
        #: of a prefix that is in neither, the member holds nothing.
        self.is_new = False

    @property
    def current(self) -> bool:
        """Whether the member takes what the group sends."""
        return not self.behind and not self.paused and self.unseen is None

    def miss(self, old: Exported | None, keys: Iterable[bytes]) -> None:
        """Note that prefixes have left the group's Adj-RIB-Out, or mean another thing there."""
        held = None if self.is_new else old
        for key in keys:
            self.behind.setdefault(key, held)
