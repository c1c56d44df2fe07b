"""What other policies would change on the live tables, found by the code that judges live; nothing is changed."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from pybgp.rib.path_groups import PathGroup
from pybgp.rib.update_groups import Member, UpdateGroup
from pybgp.wire.nlri import PATH_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.exported import Exported
    from pybgp.rib.path import Path
    from pybgp.rib.policy import Policy
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
#: A peer that takes several paths to a prefix: what it would be sent is not worked out.
UNKNOWN: Final = "unknown"
#: Routes judged between two looks at the clock.
_AT_ONCE: Final = 200


class Difference(NamedTuple):
    """What would become of one route; without a key of all routes of a family."""

    peer: str
    direction: str
    change: str
    family: Family
    key: bytes
    before: Attributes | None = None
    after: Attributes | None = None
    #: Why it would be rejected.
    reason: str = ""


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
        chosen = yield from _elections(work, family, overlay)
        yield from _exports(work, known, family, export_policy, chosen)


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


def _elections(work: RouteWork, family: Family, overlay: Overlay) -> Generator[None, None, dict[bytes, Path | None]]:
    """Choose among what would be there; return the new best path of each prefix that would have another."""
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
    return chosen


# Export


def _exports(
    work: RouteWork,
    peerings: Iterable[Peering],
    family: Family,
    policy: Callable[[Peering], Policy | None],
    chosen: Mapping[bytes, Path | None],
) -> Iterator[Difference | None]:
    """Judge what peers are sent, once for all that are sent the same."""
    together: dict[tuple[UpdateGroup, ExportProfile], list[Peering]] = {}
    for peering in peerings:
        group = work.exporter.group_of(peering.number, family)
        if group is not None and peering.negotiated is not None:
            profile = work.profile_by(peering, peering.negotiated, family, policy(peering))
            together.setdefault((group, profile), []).append(peering)
    for (group, profile), members in together.items():
        if profile == group.profile and not chosen:
            continue
        if isinstance(group, PathGroup):
            for peering in members:
                yield Difference(peering.name, EXPORT, UNKNOWN, family, b"")
        else:
            yield from _group_exports(work, members, group, profile, chosen)


def _group_exports(
    work: RouteWork,
    peerings: Iterable[Peering],
    group: UpdateGroup,
    profile: ExportProfile,
    chosen: Mapping[bytes, Path | None],
) -> Iterator[Difference | None]:
    family = profile.family
    best = work.rib.best(family)
    keys: Iterable[bytes] = chosen
    if profile != group.profile:
        rest = (key for key in list(best) if key not in chosen)
        gone = (key for key in list(group.sent) if key not in chosen and key not in best)
        keys = chain(chosen, rest, gone)
    trial = UpdateGroup(profile, best)
    for member in group.members.values():
        trial.add(Member(member.number, member.address, member.router_id))
    for bundle in _bundles(keys):
        yield None
        paths: dict[Path | None, list[bytes]] = {}
        for key in bundle:
            paths.setdefault(chosen[key] if key in chosen else best.get(key), []).append(key)
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
