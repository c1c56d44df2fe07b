"""Why a prefix is where it is: every path, where it lost, what policies did to it, and what each peer hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pybgp.rib.entrance import enter
from pybgp.rib.export import is_returned, rewrite, why_silent
from pybgp.rib.group_kinds import DEFAULT_KEY
from pybgp.rib.path import LOCAL_PEER, Path
from pybgp.rib.path_groups import PathGroup
from pybgp.rib.policy import Explanation, explain_policy
from pybgp.wire.nlri import path_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pybgp.rib.decision import Loss
    from pybgp.rib.export import ExportProfile
    from pybgp.transport.peering import Peering
    from pybgp.transport.route_work import RouteWork
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated

#: The name of whatever this speaker announces itself.
OURSELVES = "local"
POLICY_SAYS_NO = "rejected by export policy"


class Candidate(NamedTuple):
    """One path to the prefix."""

    peer: str
    path: Path
    #: Whether it is the best one, or shares traffic with it.
    chosen: bool
    #: Whether it is the one that is told to others.
    best: bool
    #: The step that decided against it, with both values; None for one that was chosen or never took part.
    loss: Loss | None
    import_policy: Explanation | None


class Export(NamedTuple):
    """What one peer hears of the prefix; of each path, where it takes several (RFC 7911)."""

    peer: str
    #: What it should hear; None: nothing, for the reason given.
    attributes: Attributes | None
    reason: str
    export_policy: Explanation | None
    #: Whose path it is, and under which identifier the peer has it, where it takes several.
    path_of: str = ""
    path_id: int | None = None


class PrefixExplanation(NamedTuple):
    """Everything about one prefix."""

    family: Family
    key: bytes
    candidates: tuple[Candidate, ...]
    exports: tuple[Export, ...]


def explain_prefix(work: RouteWork, peerings: Iterable[Peering], family: Family, key: bytes) -> PrefixExplanation:
    """Ask the tables and the policies that are in force, by the code that judges live."""
    known = {peering.number: peering for peering in peerings}
    losses = {id(loss.path): loss for loss in work.rib.explain(family, key)}
    chosen = work.rib.paths(family, key)
    best = chosen[0] if chosen else None
    candidates = [
        _candidate(work, known.get(path.peer), path, family, key)._replace(
            chosen=path in chosen, best=path is best, loss=None if path in chosen else losses.get(id(path))
        )
        for path in work.rib.heard(family, key)
    ]
    names = {peering.number: peering.name for peering in known.values()}
    exports = [row for peering in known.values() for row in _exports(work, peering, best, family, key, names)]
    return PrefixExplanation(family, key, tuple(candidates), tuple(exports))


def _candidate(work: RouteWork, peering: Peering | None, path: Path, family: Family, key: bytes) -> Candidate:
    policy = work.import_policy_of(peering) if peering is not None else None
    explained, teller = None, path.teller
    if policy is not None and teller is not None:
        question = Path(path.peer, path.source, path.received, enter(path.received, teller, family), teller=teller)
        explained = explain_policy(policy, question, family, key, internal=teller.interior)
    name = peering.name if peering is not None else OURSELVES if path.peer == LOCAL_PEER else str(path.peer)
    return Candidate(name, path, chosen=False, best=False, loss=None, import_policy=explained)


class _Listener(NamedTuple):
    """A peer whose session has the family, and the prefix in question."""

    work: RouteWork
    peering: Peering
    negotiated: Negotiated
    profile: ExportProfile
    family: Family
    key: bytes


def _exports(
    work: RouteWork, peering: Peering, best: Path | None, family: Family, key: bytes, names: Mapping[int, str]
) -> list[Export]:
    """Say what a peer hears of the best path, or of all paths that it shall have."""
    negotiated = peering.negotiated
    if negotiated is None:
        return [Export(peering.name, None, "the session is down", None)]
    if family not in negotiated.families:
        return [Export(peering.name, None, f"{family} is not in use on the session", None)]
    listener = _Listener(work, peering, negotiated, work.profile_of(peering, negotiated, family), family, key)
    if listener.profile.default_route is not None and key == DEFAULT_KEY:
        best = listener.profile.default_route
    group = work.exporter.group_of(peering.number, family)
    if isinstance(group, PathGroup) and (paths := group.paths(key)):
        return [
            _export(listener, path, raw)._replace(
                path_of=names.get(path.peer, OURSELVES), path_id=None if raw in {None, key} else path_id(raw)
            )
            for path, raw in paths
        ]
    if best is None:
        return [Export(peering.name, None, "nothing is selected", None)]
    return [_export(listener, best, key)]


def _export(listener: _Listener, path: Path, raw: bytes | None) -> Export:
    """Say what a peer hears of a path, and under which key of its table; None: it has no key yet."""
    work, peering, negotiated, profile, family, key = listener
    explained = explain_policy(profile.policy, path, family, key, internal=profile.interior)
    if explained.outcome is None:
        return Export(peering.name, None, work.why_withheld(peering, family, key) or POLICY_SAYS_NO, explained)
    passed = explained.outcome
    kept = {"keep_next_hop": passed.keep_next_hop, "keep_med": passed.keep_med}
    leaving = rewrite(path, passed.attributes, profile, **kept)
    if leaving is None:
        return Export(peering.name, None, why_silent(path, passed.attributes, profile), explained)
    if path.peer == peering.number and not is_returned(path, profile):
        return Export(peering.name, None, "learned from this peer", explained)
    if leaving.originator_id == negotiated.peer_id:
        return Export(peering.name, None, "the peer itself brought the route into the AS (ORIGINATOR_ID)", explained)
    if leaving.next_hop[:16] == peering.address:
        return Export(peering.name, None, "the peer itself is the next hop", explained)
    group = work.exporter.group_of(peering.number, family)
    if group is not None and raw in group.held_back:
        return Export(peering.name, None, f"beyond the limit of {profile.prefix_limit} prefixes", explained)
    held = None if raw is None else work.exporter.held(peering.number, family, raw)
    late = "" if held is not None and held.attributes == leaving else "not sent yet"
    return Export(peering.name, leaving, late, explained)
