"""What other policies would change on the live tables, found by the code that judges live; nothing is changed."""

from __future__ import annotations

from collections import ChainMap
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

from pybgp.rib.group_kinds import DEFAULT_KEY, best_with, make_group
from pybgp.rib.member import Member
from pybgp.rib.path_choice import Offer
from pybgp.rib.path_groups import PathGroup, PathIdentifiers
from pybgp.wire.nlri import PATH_ID_LENGTH, path_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.exported import Exported
    from pybgp.rib.path import Path
    from pybgp.rib.policy import Policy
    from pybgp.rib.update_groups import UpdateGroup
    from pybgp.transport.peering import Peering
    from pybgp.transport.route_work import RouteWork
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

    T = TypeVar("T")
    #: What would be heard of routes that would be another: by peer number and raw key.
    Overlay = dict[tuple[int, bytes], Path]

IMPORT: Final = "import"
EXPORT: Final = "export"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
CHANGED: Final = "changed"
ANNOUNCED: Final = "announced"
WITHDRAWN: Final = "withdrawn"
#: Routes judged between two looks at the clock.
_AT_ONCE: Final = 200


class Difference(NamedTuple):
    """What would become of one route."""

    peer: str
    direction: str
    change: str
    family: Family
    key: bytes
    before: Attributes | None = None
    after: Attributes | None = None
    #: Why it would be rejected.
    reason: str = ""
    #: Under which identifier the peer has the route, if it has it and takes several paths to a prefix (RFC 7911).
    path_id: int | None = None


class _Tables(NamedTuple):
    """What would be otherwise in the tables of a family: best paths, and what each prefix has heard about it."""

    chosen: Mapping[bytes, Path | None]
    heard: Mapping[bytes, Mapping[tuple[int, bytes], Path]]


def preview(
    work: RouteWork,
    peerings: Iterable[Peering],
    import_policy: Callable[[Peering], Policy | None],
    export_policy: Callable[[Peering], Policy | None],
) -> Iterator[Difference | None]:
    """Yield each difference, of a family first those of import, then those of export; None now and then.

    At each None the caller may do something else; a table that changes meanwhile is judged as it is found.
    """
    known = list(peerings)
    for family in work.rib.families():
        overlay: Overlay = {}
        for peering in known:
            wanted = import_policy(peering)
            if wanted != work.import_policy_of(peering):
                yield from _imports(work, peering, family, wanted, overlay)
        tables = yield from _elections(work, family, overlay)
        yield from _exports(work, known, family, export_policy, tables)


def _bundles(keys: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(keys)
    while bundle := list(islice(rest, _AT_ONCE)):
        yield bundle


# Import


def _imports(
    work: RouteWork, peering: Peering, family: Family, policy: Policy | None, overlay: Overlay
) -> Iterator[Difference | None]:
    """Judge what a peer sent; note in ``overlay`` which routes would be others."""
    routes = work.rib.received(peering.number, family)
    trial = work.rib.trial(peering.number, family)
    if trial is None:
        return
    front = PATH_ID_LENGTH if trial.add_path else 0
    for bundle in _bundles(list(routes)):
        yield None
        for path, raw_keys in work.rib.preview(trial, family, policy, bundle):
            for raw in raw_keys:
                before = routes[raw]
                if not _mean_the_same(before, path):
                    overlay[peering.number, raw] = path
                    yield _import_difference(peering.name, family, raw[front:], before, path)


def _mean_the_same(one: Path, other: Path) -> bool:
    if one.rejection or other.rejection:
        return bool(one.rejection) == bool(other.rejection)
    return (one.attributes, one.preference, one.label) == (other.attributes, other.preference, other.label)


def _import_difference(peer: str, family: Family, key: bytes, before: Path, after: Path) -> Difference:
    change = REJECTED if after.rejection else ACCEPTED if before.rejection else CHANGED
    old = None if before.rejection else before.attributes
    new = None if after.rejection else after.attributes
    return Difference(peer, IMPORT, change, family, key, old, new, after.rejection)


def _elections(work: RouteWork, family: Family, overlay: Overlay) -> Generator[None, None, _Tables]:
    """Choose among what would be there; of best paths only those count that would be others."""
    prefixes: dict[bytes, dict[tuple[int, bytes], Path]] = {}
    for places in _bundles(overlay):
        yield None
        for number, raw in places:
            (prefix,) = work.rib.prefixes_of(number, family, (raw,))
            prefixes.setdefault(prefix, {})[number, raw] = overlay[number, raw]
    chosen: dict[bytes, Path | None] = {}
    best = work.rib.best(family)
    for bundle in _bundles(prefixes):
        yield None
        for prefix in bundle:
            winner = work.rib.elect_among(family, prefix, prefixes[prefix])
            if winner is not best.get(prefix):
                chosen[prefix] = winner
    return _Tables(chosen, prefixes)


# Export


def _exports(
    work: RouteWork,
    peerings: Iterable[Peering],
    family: Family,
    policy: Callable[[Peering], Policy | None],
    tables: _Tables,
) -> Iterator[Difference | None]:
    """Judge what peers are sent, once for all that are sent the same."""
    together: dict[tuple[UpdateGroup, ExportProfile], list[Peering]] = {}
    for peering in peerings:
        group = work.exporter.group_of(peering.number, family)
        if group is not None and peering.negotiated is not None:
            profile = work.profile_by(peering, peering.negotiated, family, policy(peering))
            together.setdefault((group, profile), []).append(peering)
    for (group, profile), members in together.items():
        sees_every_path = isinstance(group, PathGroup)
        changed: Iterable[bytes | None] = tables.heard if sees_every_path else tables.chosen
        best = best_with(_best(work.rib.best(family), tables), profile.default_route)
        trial = make_group(profile, best, _offers(work, family, tables), PathIdentifiers())
        for member in group.members.values():
            trial.add(Member(member.number, member.address, member.router_id))
        if profile != group.profile:
            changed = _everything(group, profile.default_route, tables.chosen, work.rib.best(family))
        if isinstance(group, PathGroup) and isinstance(trial, PathGroup):
            yield from _path_exports(members, group, trial, changed)
        else:
            yield from _group_exports(members, group, trial, best, changed)


def _best(best: Mapping[bytes, Path], tables: _Tables) -> Mapping[bytes, Path]:
    """Return the Loc-RIB that there would be; a prefix that would have no path has None there."""
    # Never written, so that any mapping will do.
    return ChainMap(cast("dict[bytes, Path]", tables.chosen), cast("dict[bytes, Path]", best))


def _everything(
    group: UpdateGroup, default: Path | None, chosen: Mapping[bytes, Path | None], best: Mapping[bytes, Path]
) -> Iterator[bytes | None]:
    """Yield each prefix that is there, or that some member holds; None for one that was there already."""
    first = dict.fromkeys(chosen)
    if default is not None:
        first[DEFAULT_KEY] = None
    yield from first
    for key in list(best):
        yield None if key in first else key
    for key in list(group.told() if isinstance(group, PathGroup) else group.sent):
        yield None if key in first or key in best else key


def _offers(work: RouteWork, family: Family, tables: _Tables) -> Callable[[bytes], list[Offer]]:
    """Return what finds the paths that there would be to a prefix."""

    def offers(prefix: bytes) -> list[Offer]:
        found, others = work.rib.offers(family, prefix), tables.heard.get(prefix)
        if others is None:
            return found
        kept = [offer for offer in found if (offer.peer, offer.identifier + prefix) not in others]
        front = len(prefix)
        new = [Offer(n, raw[: len(raw) - front], path) for (n, raw), path in others.items() if not path.rejection]
        return kept + new

    return offers


def _group_exports(
    peerings: Iterable[Peering],
    group: UpdateGroup,
    trial: UpdateGroup,
    best: Mapping[bytes, Path],
    keys: Iterable[bytes | None],
) -> Iterator[Difference | None]:
    family = group.profile.family
    for bundle in _bundles(keys):
        yield None
        paths: dict[Path | None, list[bytes]] = {}
        for key in bundle:
            if key is not None:
                paths.setdefault(best.get(key), []).append(key)
        for path, together in paths.items():
            for exported, some in trial.decide(path, together):
                for peering in peerings:
                    yield from _heard(peering, group, trial, exported, family, some)


def _heard(
    peering: Peering,
    group: UpdateGroup,
    trial: UpdateGroup,
    exported: Exported | None,
    family: Family,
    keys: Iterable[bytes],
) -> Iterator[Difference]:
    """Compare what one peer holds with what it would hold."""
    number = peering.number
    if number not in group.members:
        return
    after = exported.attributes if exported is not None and trial.is_heard(exported, number) else None
    for key in keys:
        held = group.held(number, key)
        before = held.attributes if held is not None else None
        if before != after:
            change = WITHDRAWN if after is None else ANNOUNCED if before is None else CHANGED
            yield Difference(peering.name, EXPORT, change, family, key, before, after)


def _path_exports(
    peerings: Iterable[Peering], group: PathGroup, trial: PathGroup, prefixes: Iterable[bytes | None]
) -> Iterator[Difference | None]:
    """Judge what peers are sent of every path that they shall have."""
    for bundle in _bundles(prefixes):
        yield None
        for prefix in filter(None, bundle):
            passing: list[tuple[bytes | None, Exported]] = []
            for offer in trial.wanted(prefix):
                raw = group.key_of(prefix, offer)
                answers = trial.decide(offer.path, (prefix,))
                passing += [(raw, exported) for exported, keys in answers if exported is not None and keys]
            for peering in peerings:
                if peering.number in group.members:
                    heard = [one for one in passing if trial.is_heard(one[1], peering.number)]
                    yield from _paths_heard(peering, group, prefix, heard)


def _paths_heard(
    peering: Peering, group: PathGroup, prefix: bytes, wanted: Sequence[tuple[bytes | None, Exported]]
) -> Iterator[Difference]:
    """Compare the paths to a prefix that one peer holds with those that it would hold."""
    family = group.profile.family
    after = {raw: exported.attributes for raw, exported in wanted if raw is not None}
    for raw in dict.fromkeys([*group.keys_under(prefix), *after]):
        held = group.held(peering.number, raw)
        before = held.attributes if held is not None else None
        if before != after.get(raw):
            change = WITHDRAWN if raw not in after else ANNOUNCED if before is None else CHANGED
            number = path_id(raw) if before is not None and raw != prefix else None
            found = Difference(peering.name, EXPORT, change, family, prefix, before, after.get(raw))
            yield found._replace(path_id=number)
    for key, exported in wanted:
        if key is None:
            yield Difference(peering.name, EXPORT, ANNOUNCED, family, prefix, None, exported.attributes)
