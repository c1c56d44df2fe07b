"""What `pybgp-node routes` lists: lines of JSON, made one by one, so that a big table can be told in slices; pure."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pybgp.errors import LocalError
from pybgp.rib.policy.attribute_text import attribute_texts
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, parse_family
from pybgp.wire.nlri import PATH_ID_LENGTH, PREFIX_FAMILIES, format_key, parse_prefix, path_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.exported import Exported
    from pybgp.rib.path import Path
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

    class Tables(Protocol):
        """What is asked of a Speaker."""

        def families(self) -> list[Family]:
            """Return the families that have a table."""

        def best(self, family: Family) -> Mapping[bytes, Path]:
            """Return the Loc-RIB."""

        def paths(self, family: Family, key: bytes) -> tuple[Path, ...]:
            """Return the equal-cost paths of a prefix."""

        def received(self, peer: str, family: Family) -> Mapping[bytes, Path]:
            """Return what a peer sent."""

        def is_stale(self, peer: str, family: Family, key: bytes) -> bool:
            """Whether a route waits to be refreshed."""

        def has_path_ids(self, peer: str, family: Family) -> bool:
            """Whether the keys of `received` carry path identifiers."""

        def sent_keys(self, peer: str, family: Family) -> list[bytes]:
            """Return what a peer may hold."""

        def sent_for(self, peer: str, family: Family) -> Callable[[bytes], Exported | None]:
            """Return what tells what a peer holds."""

        def sends_path_ids(self, peer: str, family: Family) -> bool:
            """Whether the keys of what a peer is sent carry path identifiers."""

        def names(self) -> dict[int, str]:
            """Return what the tellers of paths are called."""


VERSION: Final = 1
#: Tables up to this size are told in order of prefixes; sorting more would hold up the sessions.
SORTED_UP_TO: Final = 20_000
_MOST_FRAGMENTS: Final = 20_000


class Query(NamedTuple):
    """Which routes; at most one of ``received`` and ``sent``, each the name of a peer."""

    prefix: str = ""
    family: str = ""
    received: str = ""
    sent: str = ""
    longer: bool = False
    rejected: bool = False


class Selection(NamedTuple):
    """The prefixes of a family that are wanted: those inside a prefix, or the first of some that is there."""

    family: Family
    inside: bytes | None = None
    exact: tuple[bytes, ...] | None = None


def query_in(arguments: Mapping[str, Any]) -> Query:
    """Return a query of a command's arguments; LocalError names what is wrong."""
    for name, value in arguments.items():
        if name not in Query._fields:
            raise LocalError(f"routes: no such argument {name!r}")
        wanted = type(Query._field_defaults[name])
        if not isinstance(value, wanted):
            raise LocalError(
                f"routes {name}: {'true or false' if wanted is bool else 'a text'} expected, not {value!r}"
            )
    query = Query(**arguments)
    if query.received and query.sent:
        raise LocalError("routes: received and sent exclude each other")
    if query.sent and query.rejected:
        raise LocalError("routes: what is rejected is never sent")
    if query.longer and "/" not in query.prefix:
        raise LocalError(f"routes longer: a prefix such as 10.0.0.0/8 expected, not {query.prefix!r}")
    return query


def select(query: Query, families: Iterable[Family]) -> list[Selection]:
    """Return what a query wants of each family, in a stable order."""
    wanted = sorted(families) if not query.family else [parse_family(query.family)]
    if not query.prefix:
        return [Selection(family) for family in wanted]
    if "/" in query.prefix:
        found, key = parse_prefix(query.prefix)
        matches: tuple[bytes, ...] = (key,)
    else:
        found, matches = covering(query.prefix)
        key = matches[0]
    family = wanted[0] if query.family else found
    if family not in PREFIX_FAMILIES or family.afi != found.afi:
        raise LocalError(f"prefix {query.prefix!r}: not one of {family}")
    return [Selection(family, inside=key) if query.longer else Selection(family, exact=matches)]


def covering(text: str) -> tuple[Family, tuple[bytes, ...]]:
    """Return every prefix that contains an address, the longest first."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise LocalError(f"prefix {text!r}: a prefix such as 10.0.0.0/8 or an address expected") from error
    networks = [ip_network((address, length), strict=False) for length in range(address.max_prefixlen, -1, -1)]
    family = IPV4_UNICAST if address.version == 4 else IPV6_UNICAST
    return family, tuple(parse_prefix(str(network))[1] for network in networks)


def is_inside(key: bytes, outer: bytes) -> bool:
    """Whether one prefix lies inside another, itself included."""
    length = outer[0]
    whole, bits = divmod(length, 8)
    if key[0] < length or key[1 : 1 + whole] != outer[1 : 1 + whole]:
        return False
    return not bits or (key[1 + whole] ^ outer[1 + whole]) >> (8 - bits) == 0


def in_order(keys: list[bytes]) -> list[bytes]:
    """Sort prefixes by address and length, if they are not too many."""
    if len(keys) <= SORTED_UP_TO:
        keys.sort(key=lambda key: (key[1:], key[0]))
    return keys


def chosen(selection: Selection, keys: Iterable[bytes], path_ids: bool) -> Iterator[bytes | None]:
    """Yield the wanted keys; None for each that is passed over, so that the caller can keep an eye on the time."""
    front = PATH_ID_LENGTH if path_ids else 0
    inside = selection.inside
    for key in keys:
        yield key if inside is None or is_inside(key[front:], inside) else None


class RouteLister:
    """Makes the lines; what paths share is worked out once."""

    def __init__(self, tables: Tables, query: Query, peers: Sequence[str]) -> None:
        """``peers`` are all there are, for what is asked of everybody."""
        self.count = 0
        self._tables = tables
        self._query = query
        self._peers = peers
        self._names = tables.names()
        self._selections = select(query, tables.families())
        self._fragments: dict[Attributes, str] = {}

    def lines(self) -> Iterator[str]:
        """Yield the head, a line or an empty text per prefix looked at, and the end."""
        query = self._query
        yield json.dumps({"version": VERSION, "query": query._asdict()}) + "\n"
        for selection in self._selections:
            if query.sent:
                yield from self._sent(selection)
            elif query.received or query.rejected:
                for peer in (query.received,) if query.received else self._peers:
                    yield from self._received(selection, peer)
            else:
                yield from self._selected(selection)
        yield json.dumps({"end": True, "count": self.count}) + "\n"

    def _selected(self, selection: Selection) -> Iterator[str]:
        family, paths = selection.family, self._tables.paths
        best = self._tables.best(family)
        for key in self._keys(selection, best):
            if key is None:
                yield ""
                continue
            for rank, path in enumerate(paths(family, key)):
                yield self._line(family, key, self._path(path, best=rank == 0))

    def _received(self, selection: Selection, peer: str) -> Iterator[str]:
        family, tables = selection.family, self._tables
        routes = tables.received(peer, family)
        path_ids = tables.has_path_ids(peer, family)
        front = PATH_ID_LENGTH if path_ids else 0
        best = tables.best(family)
        for raw in self._keys(selection, routes, path_ids):
            path = routes.get(raw) if raw is not None else None
            if raw is None or path is None or (self._query.rejected and not path.rejection):
                yield ""
                continue
            more = {"path_id": path_id(raw)} if path_ids else {}
            if tables.is_stale(peer, family, raw):
                more["stale"] = True
            fragment = self._path(path, best=best.get(raw[front:]) is path)
            yield self._line(family, raw[front:], fragment, more)

    def _sent(self, selection: Selection) -> Iterator[str]:
        family, peer = selection.family, self._query.sent
        held = self._tables.sent_for(peer, family)
        path_ids = self._tables.sends_path_ids(peer, family)
        front = PATH_ID_LENGTH if path_ids else 0
        for key in self._keys(selection, self._tables.sent_keys(peer, family), path_ids):
            exported = held(key) if key is not None else None
            if key is None or exported is None:
                yield ""
                continue
            teller = exported.provenance.peer
            name = self._names.get(teller, str(teller))
            more = {"path_id": path_id(key)} if path_ids else {}
            fragment = self._attributes(exported.attributes, f'"peer": {json.dumps(name)}, ')
            yield self._line(family, key[front:], fragment, more)

    def _keys(
        self, selection: Selection, table: Mapping[bytes, object] | list[bytes], path_ids: bool = False
    ) -> Iterator[bytes | None]:
        """Yield the keys of a snapshot, which costs eight octets per route and changes with nothing."""
        if selection.exact is not None:
            wanted = selection.exact
            if path_ids:
                keys = [raw for raw in table if raw[PATH_ID_LENGTH:] in wanted]
                longest = max((raw[PATH_ID_LENGTH] for raw in keys), default=0)
                return iter([raw for raw in keys if raw[PATH_ID_LENGTH] == longest])
            present = table if not isinstance(table, list) else set(table)
            return iter([key for key in wanted if key in present][:1])
        return chosen(selection, in_order(list(table)), path_ids)

    def _line(self, family: Family, key: bytes, fragment: str, more: Mapping[str, object] | None = None) -> str:
        self.count += 1
        rest = json.dumps(more)[1:-1] + ", " if more else ""
        return f'{{"family": "{family}", "prefix": {json.dumps(format_key(family, key))}, {rest}{fragment}}}\n'

    def _path(self, path: Path, *, best: bool) -> str:
        facts = {
            "peer": self._names.get(path.peer, str(path.peer)),
            "source": path.source.name.lower(),
            "best": best,
            "rejection": path.rejection,
            "preference": path.preference,
            "label": path.label,
        }
        return self._attributes(path.attributes, json.dumps(facts)[1:-1] + ", ")

    def _attributes(self, attributes: Attributes, front: str) -> str:
        known = self._fragments.get(attributes)
        if known is None:
            if len(self._fragments) >= _MOST_FRAGMENTS:
                self._fragments.clear()
            known = self._fragments[attributes] = f'"attributes": {json.dumps(attribute_texts(attributes))}'
        return front + known
