"""The answer to `pybgp-node explain PREFIX`: a document, and the same as text; pure."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any, Final

from calico_routing.kernel.interface import IPV6_METRIC
from pybgp.rib.aigp import WITHOUT
from pybgp.rib.measure import address_text
from pybgp.rib.path import Source
from pybgp.rib.policy.attribute_text import attribute_texts
from pybgp.wire.iana import Origin
from pybgp.wire.nlri import format_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from calico_routing.kernel.interface import KernelRoute
    from pybgp.rib.next_hop_table import Step
    from pybgp.rib.policy import Explanation
    from pybgp.transport.explanation import Candidate, Export, PrefixExplanation

VERSION: Final = 1


def explain_document(
    explanation: PrefixExplanation,
    wanted: KernelRoute | None,
    installed: KernelRoute | None,
    problem: str,
    kernel_policy: Explanation | None = None,
    way_to: Callable[[bytes], Sequence[Step] | None] = lambda _: None,
) -> dict[str, Any]:
    """Return everything known of a prefix; ``problem`` says why the kernel does not have the wanted route.

    ``way_to`` tells which routes lead to a next hop, None where that is not followed.
    """
    return {
        "version": VERSION,
        "prefix": format_key(explanation.family, explanation.key),
        "candidates": [candidate_document(candidate, way_to) for candidate in explanation.candidates],
        "exports": [export_document(export) for export in explanation.exports],
        "kernel": {
            "wanted": route_text(wanted) if wanted is not None else None,
            "installed": route_text(installed) if installed is not None else None,
            "problem": problem,
            "export_policy": policy_document(kernel_policy),
        },
    }


def candidate_document(candidate: Candidate, way_to: Callable[[bytes], Sequence[Step] | None]) -> dict[str, Any]:
    """Return one path, and why it won or lost."""
    path, loss = candidate.path, candidate.loss
    way = None if path.source is Source.LOCAL else way_to(path.next_hop)
    return {
        "peer": candidate.peer,
        "source": path.source.name.lower(),
        "label": path.label,
        "chosen": candidate.chosen,
        "best": candidate.best,
        "rejection": path.rejection,
        "lost_at": None if loss is None else {"step": loss.step, "winner": loss.winner_value, "this": loss.loser_value},
        "preference": path.preference,
        "received": attribute_texts(path.received),
        "attributes": attribute_texts(path.attributes),
        "next_hop_way": None
        if way is None
        else [
            {
                "address": str(ip_address(step.address)),
                "prefix": step.prefix,
                "source": "bgp" if step.by_bgp else "kernel",
            }
            for step in way
        ],
        "import_policy": policy_document(candidate.import_policy),
    }


def export_document(export: Export) -> dict[str, Any]:
    """Return what one peer hears."""
    return {
        "peer": export.peer,
        "path_of": export.path_of,
        "path_id": export.path_id,
        "sent": None if export.attributes is None else attribute_texts(export.attributes),
        "reason": export.reason,
        "export_policy": policy_document(export.export_policy),
    }


def policy_document(explanation: Explanation | None) -> dict[str, Any] | None:
    """Return a verdict with the clauses that matched."""
    if explanation is None:
        return None
    return {
        "policy": explanation.policy,
        "accepted": explanation.accepted,
        "clauses": [
            {
                "clause": hit.clause,
                "condition": hit.condition,
                "verdict": hit.verdict.value,
                "changes": [change._asdict() for change in hit.changes],
                "failure": hit.failure,
            }
            for hit in explanation.hits
        ],
    }


def route_text(route: KernelRoute) -> str:
    """Return a kernel route as `ip route` prints it, roughly."""
    hops = [
        " ".join(
            [
                *(["via", hop.gateway] if hop.gateway else []),
                *(["dev", hop.device] if hop.device else []),
                *(["onlink"] if hop.onlink else []),
            ]
        )
        for hop in route.next_hops
    ]
    kind = "" if route.kind == "unicast" else f"{route.kind} "
    words = [f"{kind}{route.destination}", " nexthop ".join(hops), f"proto {route.protocol}"]
    if route.preferred_source:
        words.append(f"src {route.preferred_source}")
    if route.metric != (IPV6_METRIC if ":" in route.destination else 0):
        words.append(f"metric {route.metric}")
    return " ".join(word for word in words if word)


def render_explanation(document: Mapping[str, Any]) -> str:
    """Return the document as text for people."""
    lines = [document["prefix"]]
    for candidate in document["candidates"]:
        lines += _candidate_lines(candidate)
    if not document["candidates"]:
        lines.append("  nobody announces it")
    lines += [line for export in document["exports"] for line in _export_lines(export)]
    kernel = document["kernel"]
    lines.append(f"  kernel: {kernel['installed'] or 'no route'}")
    if kernel["wanted"] != kernel["installed"]:
        lines.append(f"    wanted: {kernel['wanted'] or 'no route'}")
    if kernel["problem"]:
        lines.append(f"    refused: {kernel['problem']}")
    lines += _policy_lines("export", kernel["export_policy"])
    return "\n".join(lines) + "\n"


def _candidate_lines(candidate: Mapping[str, Any]) -> Iterator[str]:
    label = f" ({candidate['label']})" if candidate["label"] else ""
    mark = "*" if candidate["chosen"] else " "
    yield f"  {mark} from {candidate['peer']}{label}: {candidate['source']}, {_state(candidate)}"
    shown = " ".join(f"{name}={value}" for name, value in candidate["attributes"].items() if value)
    yield f"      preference={candidate['preference']} {shown}"
    if candidate["next_hop_way"]:
        way = (f"{step['address']} by {step['prefix']} ({step['source']})" for step in candidate["next_hop_way"])
        yield f"      next hop {', then '.join(way)}"
    yield from _policy_lines("import", candidate["import_policy"])


def _state(candidate: Mapping[str, Any]) -> str:
    lost = candidate["lost_at"]
    if candidate["rejection"]:
        return str(candidate["rejection"])
    if lost is not None:
        winner, this = (_value_text(lost["step"], lost[side]) for side in ("winner", "this"))
        return f"lost at {lost['step']}: the best path has {winner}, this one {this}"
    if candidate["chosen"]:
        return "chosen" if candidate["best"] else "shares the traffic of the best path"
    return "not chosen"


def _value_text(step: str, value: int) -> str:
    """Return what a path brought to a step of the decision as operators write it."""
    if step == "origin":
        return Origin(value).name.lower()
    if step == "AIGP" and value == WITHOUT:
        return "none"
    if step == "router id":
        return str(IPv4Address(value))
    if step == "peer address":
        return address_text(value)
    return str(value)


def _export_lines(export: Mapping[str, Any]) -> Iterator[str]:
    sent = export["sent"]
    whom = str(export["peer"])
    if export["path_of"]:
        number = "" if export["path_id"] is None else f"{export['path_id']} "
        whom += f", path {number}of {export['path_of']}"
    if sent is None:
        yield f"  to {whom}: nothing, {export['reason']}"
    else:
        shown = " ".join(f"{name}={value}" for name, value in sent.items() if value)
        yield f"  to {whom}: {shown}" + (f" ({export['reason']})" if export["reason"] else "")
    yield from _policy_lines("export", export["export_policy"])


def _policy_lines(direction: str, policy: Mapping[str, Any] | None) -> Iterator[str]:
    if policy is None:
        return
    yield f"      {direction} policy {policy['policy']}: {'accepted' if policy['accepted'] else 'rejected'}"
    for clause in policy["clauses"]:
        failure = f", failed: {clause['failure']}" if clause["failure"] else ""
        yield f"        clause {clause['clause']} ({clause['condition']}): {clause['verdict']}{failure}"
        yield from _change_lines(clause["changes"])


def _change_lines(changes: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for change in changes:
        yield f"          {change['name']}: {change['before'] or 'none'} -> {change['after'] or 'none'}"
