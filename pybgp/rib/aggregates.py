"""Aggregates: one announcement of our own while there is something inside it (RFC 4271 section 9.2.2.2).

The path of an aggregate is empty: sets of ASes may not be sent any more (RFC 9774), so what it leaves out is said by
ATOMIC_AGGREGATE, and who made it by AGGREGATOR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pybgp.errors import LocalError
from pybgp.rib.policy.prefix_set import WIDTHS, PrefixRange, PrefixSet
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.basic import Aggregator
from pybgp.wire.iana import AttributeCode, Origin
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.rib.path import Change, Path
    from pybgp.wire.families import Family


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A prefix that is announced while the Loc-RIB has a more specific one."""

    prefix: str
    #: Announce nothing inside it.
    summary_only: bool = False
    communities: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        family, key = parse_prefix(self.prefix)
        if key[0] >= WIDTHS[family]:
            raise LocalError(f"aggregate {self.prefix}: there is nothing inside a single address")

    @property
    def inside(self) -> PrefixSet:
        """Everything more specific."""
        family, key = parse_prefix(self.prefix)
        return PrefixSet([PrefixRange(family, key, key[0] + 1, WIDTHS[family])])


class _Contribution(NamedTuple):
    origin: Origin
    is_empty: bool


class _State:
    """One aggregate, and what it is made of now."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        self.family, self.key = parse_prefix(aggregate.prefix)
        self.inside = aggregate.inside
        self.parts: dict[bytes, _Contribution] = {}
        self.announced: Attributes | None = None

    def heed(self, path: Path | None, keys: Sequence[bytes]) -> None:
        concerned = self.inside.inside(self.family, keys)
        if path is None:
            for key in concerned:
                self.parts.pop(key, None)
        elif concerned:
            attributes = path.attributes
            part = _Contribution(attributes.origin, not attributes.as_path.segments)
            self.parts.update(dict.fromkeys(concerned, part))

    def attributes(self, asn: int, router_id: int) -> Attributes | None:
        """Return what is announced now; None: nothing."""
        if not self.parts:
            return None
        kinds = set(self.parts.values())
        values: dict[int, object] = {
            AttributeCode.ORIGIN: max(kind.origin for kind in kinds),
            AttributeCode.AS_PATH: AsPath(),
            AttributeCode.AGGREGATOR: Aggregator(asn, router_id),
        }
        if not all(kind.is_empty for kind in kinds):
            values[AttributeCode.ATOMIC_AGGREGATE] = True
        if self.aggregate.communities:
            values[AttributeCode.COMMUNITIES] = tuple(sorted(set(self.aggregate.communities)))
        return Attributes.build(values)


class News(NamedTuple):
    """An aggregate is to be announced like this; None: withdrawn."""

    family: Family
    key: bytes
    attributes: Attributes | None


class Aggregates:
    """All aggregates of a router, which follow the Loc-RIB by its changes."""

    def __init__(self, asn: int, router_id: int) -> None:
        """Both stand in AGGREGATOR."""
        self._asn, self._router_id = asn, router_id
        self._states: dict[Aggregate, _State] = {}

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self._states)

    @property
    def families(self) -> set[Family]:
        """The families that they are of."""
        return {state.family for state in self._states.values()}

    def declare(self, wanted: Iterable[Aggregate]) -> list[News]:
        """Forget all but these; what is new must be told of the Loc-RIB by `heed`."""
        kept = dict.fromkeys(wanted)
        prefixes = [parse_prefix(aggregate.prefix) for aggregate in kept]
        for aggregate, prefix in zip(kept, prefixes, strict=True):
            if prefixes.count(prefix) > 1:
                raise LocalError(f"aggregate {aggregate.prefix}: declared twice")
        gone = [state for aggregate, state in self._states.items() if aggregate not in kept and state.announced]
        self._states = {aggregate: self._states.get(aggregate) or _State(aggregate) for aggregate in kept}
        return [News(one.family, one.key, None) for one in gone if (one.family, one.key) not in prefixes]

    def heed(self, changes: Iterable[Change]) -> list[News]:
        """Take changes of the Loc-RIB in and return what they mean."""
        touched: dict[_State, None] = {}
        for family, path, keys in changes:
            for state in self._states.values():
                if state.family == family:
                    state.heed(path, keys)
                    touched[state] = None
        return list(self._news(touched))

    def _news(self, states: Iterable[_State]) -> Iterator[News]:
        for state in states:
            now = state.attributes(self._asn, self._router_id)
            if now != state.announced:
                state.announced = now
                yield News(state.family, state.key, now)

    @property
    def hidden(self) -> PrefixSet | None:
        """What is not announced because an aggregate of it is; None: nothing."""
        entries: set[PrefixRange] = set()
        for aggregate, state in self._states.items():
            if aggregate.summary_only and state.announced is not None:
                entries |= state.inside.entries
        return PrefixSet(entries) if entries else None
