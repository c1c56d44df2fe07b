"""A route under judgement: what a policy reads of it, and what it has changed so far."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from pybgp.rib.path import BGP_PREFERENCE, LOCAL_PEER
from pybgp.rib.policy.community_pattern import members_as_numbers, numbers_as_members
from pybgp.rib.policy.interface import NO_HINTS, KernelHints, Passed
from pybgp.wire.iana import AttributeCode
from pybgp.wire.nlri import format_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pybgp.rib.path import Path
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.as_path import AsPath
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

    #: (family, key, origin AS or None) -> "valid", "invalid" or "not-found" (RFC 6811 section 2).
    Validator = Callable[[Family, bytes, int | None], str]

VALID = "valid"
INVALID = "invalid"
NOT_FOUND = "not-found"


def not_validated(family: Family, key: bytes, origin: int | None) -> str:
    """Without validated payloads nothing is found (RFC 6811 section 2)."""
    del family, key, origin
    return NOT_FOUND


class Route:
    """Reads come from what was set before, else from the path; the attributes are put together at the end."""

    __slots__ = (
        "_as_path_text",
        "_attributes",
        "_changes",
        "_numbers",
        "family",
        "internal",
        "keep_med",
        "keep_next_hop",
        "kernel",
        "key",
        "path",
        "preference",
        "tag",
        "validator",
    )

    def __init__(self, path: Path, family: Family, *, internal: bool, validator: Validator = not_validated) -> None:
        """Begin with the path as it is."""
        self.path = path
        self.family = family
        #: whether the session in question is iBGP.
        self.internal = internal
        self.validator = validator
        self.preference: int = path.preference
        self.tag: str = path.label
        self.keep_next_hop = self.keep_med = False
        #: of a route to a kernel, what it is there besides.
        self.kernel: KernelHints = NO_HINTS
        #: the prefix in question, where one is looked at alone.
        self.key: bytes | None = None
        self._attributes = path.attributes
        self._changes: dict[int, Any] = {}
        self._numbers: dict[int, tuple[int, ...]] = {}
        self._as_path_text: str | None = None

    def copy(self) -> Route:
        """Return a route that can be changed without this one."""
        twin = Route(self.path, self.family, internal=self.internal, validator=self.validator)
        twin.preference, twin.tag = self.preference, self.tag
        twin.keep_next_hop, twin.keep_med = self.keep_next_hop, self.keep_med
        twin.kernel, twin.key = self.kernel, self.key
        twin._attributes = self._attributes
        twin._changes = dict(self._changes)
        return twin

    # What can be read

    @property
    def prefix(self) -> str:
        """The prefix in question as text; empty where the path is judged for all its prefixes."""
        return "" if self.key is None else format_key(self.family, self.key)

    @property
    def teller(self) -> RibPeer | None:
        """The peer that told us; its address is empty for our own announcements."""
        return self.path.teller

    @property
    def is_own(self) -> bool:
        """Whether this speaker announces the route itself."""
        return self.path.peer == LOCAL_PEER

    @property
    def local_as(self) -> int:
        """Our AS number, 0 if the path does not know."""
        return 0 if self.path.teller is None else self.path.teller.local_as

    @property
    def attributes(self) -> Attributes:
        """The attributes with every change so far."""
        if self._changes:
            drop = [code for code, value in self._changes.items() if value is None]
            values = {code: value for code, value in self._changes.items() if value is not None}
            self._attributes = self._attributes.replace(values, drop=drop)
            self._changes = {}
        return self._attributes

    def get(self, code: int) -> Any:  # the type of a value depends on its code
        """Return the value of an attribute, None if it is absent."""
        return self._changes[code] if code in self._changes else self._attributes.get(code)

    @property
    def as_path(self) -> AsPath:
        """AS_PATH."""
        return self._changes.get(AttributeCode.AS_PATH) or self._attributes.as_path

    @property
    def as_path_text(self) -> str:
        """AS_PATH as operators read it: numbers with one space between, sets in braces."""
        if self._as_path_text is None:
            self._as_path_text = str(self.as_path)
        return self._as_path_text

    @property
    def origin_as(self) -> int | None:
        """The AS that originated the route; ours for an empty path, None behind a set (RFC 6811 section 2)."""
        path = self.as_path.without_confederations()
        return path.origin if path.segments else self.local_as

    @property
    def next_hop(self) -> bytes:
        """Packed; of a global and a link-local one both."""
        return self._attributes.next_hop

    @property
    def next_hop_text(self) -> str:
        """The next hop as text; empty if there is none yet."""
        return str(ip_address(self.next_hop[:16])) if self.next_hop else ""

    def communities(self, code: AttributeCode) -> tuple[int, ...]:
        """Return the communities of one kind as numbers of all their octets."""
        found = self._numbers.get(code)
        if found is None:
            found = self._numbers[code] = members_as_numbers(code, self.get(code) or ())
        return found

    # What can be changed

    def set(self, code: int, value: Any) -> None:  # as above
        """Give an attribute a value; None removes it."""
        self._changes[code] = value
        if code == AttributeCode.AS_PATH:
            self._as_path_text = None
        elif code == AttributeCode.MED:
            self.keep_med = value is not None
        self._numbers.pop(code, None)

    def set_communities(self, code: AttributeCode, numbers: Sequence[int]) -> None:
        """Give a kind of communities these members; none removes the attribute."""
        members = numbers_as_members(code, tuple(sorted(set(numbers))))
        self.set(code, members or None)

    def set_next_hop(self, next_hop: bytes) -> None:
        """Replace the next hop; empty stands for our own address."""
        self._attributes = self.attributes.replace(next_hop=next_hop)

    def passed(self, keys: Sequence[bytes]) -> Passed:
        """Return these prefixes as passing with what became of the route."""
        preference = None if self.preference == BGP_PREFERENCE else self.preference
        return Passed(self.attributes, keys, preference, self.tag, self.keep_next_hop, self.keep_med, self.kernel)
