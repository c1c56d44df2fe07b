"""The answer to a dry run: what other policies, peers and networks would change; pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pybgp.rib.policy.attribute_text import attribute_texts
from pybgp.wire.nlri import format_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calico_routing.node_plan import NodePlan
    from pybgp.transport.policy_preview import Difference
    from pybgp.wire.attributes import Attributes

VERSION: Final = 1
_MOST_TEXTS: Final = 20_000


def plan_changes(before: NodePlan, after: NodePlan) -> dict[str, Any]:
    """Return what a new plan would do besides policies."""
    changed = [name for name, peer in before.peers.items() if after.peers.get(name, peer) != peer]
    return {
        "peers_added": sorted(after.peers.keys() - before.peers.keys()),
        "peers_removed": sorted(before.peers.keys() - after.peers.keys()),
        "peers_changed": sorted(name for name in changed if before.peers[name].keeps_session(after.peers[name])),
        "peers_restarted": sorted(name for name in changed if not before.peers[name].keeps_session(after.peers[name])),
        "networks_added": sorted(prefix for prefix, _ in after.announcements - before.announcements),
        "networks_withdrawn": sorted(prefix for prefix, _ in before.announcements - after.announcements),
    }


def preview_lines(
    differences: Iterable[Difference | None],
    plan: Mapping[str, Any],
    needs_restart: Sequence[str],
    warnings: Sequence[str],
) -> Iterator[str]:
    """Yield a head, a line for each route that would fare otherwise, and the sums by peer."""
    yield json.dumps({"version": VERSION, **plan, "needs_restart": needs_restart, "warnings": warnings}) + "\n"
    texts: dict[Attributes, Mapping[str, str]] = {}
    sums: dict[tuple[str, str], Counter[str]] = {}
    for one in differences:
        if one is None:
            yield ""
            continue
        if len(texts) >= _MOST_TEXTS:
            texts.clear()
        sums.setdefault((one.peer, one.direction), Counter())[one.change] += 1
        document = {
            "peer": one.peer,
            "direction": one.direction,
            "change": one.change,
            "family": str(one.family),
            "prefix": format_key(one.family, one.key),
            "path_id": one.path_id,
            "before": _texts(texts, one.before),
            "after": _texts(texts, one.after),
            "reason": one.reason,
        }
        yield json.dumps(document) + "\n"
    summary = [{"peer": peer, "direction": direction, **counts} for (peer, direction), counts in sums.items()]
    yield json.dumps({"end": True, "summary": summary}) + "\n"


def _texts(known: dict[Attributes, Mapping[str, str]], attributes: Attributes | None) -> Mapping[str, str] | None:
    if attributes is None:
        return None
    found = known.get(attributes)
    if found is None:
        found = known[attributes] = attribute_texts(attributes)
    return found
