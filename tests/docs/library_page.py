"""Prints docs/library.md from the docstrings of the public names: ``python -m tests.docs.library_page``."""

from __future__ import annotations

import inspect
from enum import Enum
from pathlib import Path
from types import ModuleType

import pybgp
import pybgp.simulator
import pybgp.testing

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
HEADER = """# The library, name by name

Written by `python -m tests.docs.library_page` from the docstrings of the public names; a test keeps this page and the
code equal, and sees that every name has a docstring and every function is annotated. `pybgp` is typed (`py.typed`): a
user's module is checked against it by `mypy --strict` in `tests/typing`. The [guide](guide.md) shows the names at work.

Values are immutable: named tuples and frozen dataclasses. Three kinds of objects of which there are very many are plain
objects for the sake of speed, and are to be read only: `Update`, `Path`, `Attributes`.
"""
#: what stands in which part of the page; other names stand in a part of their own.
PARTS = {
    "A speaker": "Speaker SpeakerConfig PeerConfig PeerStatus DynamicPeers RouteOptions PrefixLimit"
    " GracefulRestartConfig LongLivedConfig BfdConfig TcpAoKey BmpConfig DecisionOptions LinkPeer"
    " Aggregate Condition NextHopTracker Change Path Source Role",
    "Policies": "Policy RoutePolicy PythonClause Route Verdict ACCEPT_ALL REJECT_ALL parse_policies",
    "Origin validation": "RtrClient ValidationTable ValidationState AffectedRoutes Vrp",
    "A session without I/O": "Session State SessionUp SessionDown DownReason UpdateReceived RefreshReceived"
    " StateChanged Connect Close",
    "Messages alone": "Framer decode_message encode_message decode_open decode_update decode_notification"
    " decode_route_refresh encode_updates end_of_rib Message Open Update NlriSet OpaqueNlri Notification Keepalive"
    " RouteRefresh Negotiated UpdateOptions negotiate AttributeStore",
    "Attributes": "Attributes AttributeCode AttributeFault Fault AsPath Origin format_attributes parse_attributes"
    " attributes_to_json attributes_from_json",
    "Families and NLRI": "Family parse_family IPV4_UNICAST IPV6_UNICAST IPV4_VPN IPV6_VPN IPV4_FLOWSPEC IPV6_FLOWSPEC"
    " EVPN parse_prefix format_prefix parse_nlri format_nlri nlri_to_json nlri_from_json decode_nlri encode_nlri",
    "Errors": "BgpError LocalError RemoteError FormatError ErrorCode",
}
#: names that have no docstring of their own.
VALUES = {
    "ACCEPT_ALL": "The policy that lets everything pass unchanged.",
    "REJECT_ALL": "The policy that lets nothing pass.",
    "Message": "Any of the five messages, as `decode_message` returns them.",
    "IPV4_UNICAST": "`ipv4-unicast`, 1/1.",
    "IPV6_UNICAST": "`ipv6-unicast`, 2/1.",
    "IPV4_VPN": "`ipv4-vpn`, 1/128.",
    "IPV6_VPN": "`ipv6-vpn`, 2/128.",
    "IPV4_FLOWSPEC": "`ipv4-flowspec`, 1/133.",
    "IPV6_FLOWSPEC": "`ipv6-flowspec`, 2/133.",
    "EVPN": "`evpn`, 25/70.",
}
ROOMS = """## Rooms behind these names

What is needed less often is imported from where it lives: `pybgp.formats` (MRT: `mrt`, `mrt_file`, `mrt_routes`; BMP:
`bmp`, `bmp_station`), `pybgp.tools` (`recorder`, `recording`, `replayer`), `pybgp.rib.policy` (declarative clauses),
`pybgp.wire.nlri` and `pybgp.wire.attributes` (typed values of every family and attribute), `pybgp.rpki`, `pybgp.bfd`.
Who may import whom is in [architecture.md](architecture.md).
"""


def summary(name: str, thing: object) -> str:
    """Return the first paragraph of a docstring on one line."""
    if name in VALUES:
        return VALUES[name]
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()).replace("|", "\\|")


def members(kind: type) -> list[tuple[str, str]]:
    """Return the public methods and properties that a class defines, with what they are for."""
    found = []
    for owner in reversed(kind.__mro__):
        if not owner.__module__.startswith("pybgp"):
            continue
        for name, member in vars(owner).items():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if name.startswith("_") or not inspect.isfunction(function):
                continue
            shown = name if isinstance(member, property) else f"{name}({arguments(function)})"
            found.append((shown, summary("", function)))
    return list(dict(found).items())


def arguments(function: object) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = [
        stars.get(one.kind, "") + one.name
        for one in inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        if one.name not in ("self", "cls")
    ]
    return ", ".join(names)


def part(title: str, module: ModuleType, names: list[str], intro: str = "") -> str:
    lines = [f"## {title}", ""]
    lines += [intro, ""] if intro else []
    lines += ["| name | what it is |", "|---|---|"]
    details = []
    for name in names:
        thing = getattr(module, name)
        is_function = inspect.isfunction(thing)
        shown = f"{name}({arguments(thing)})" if is_function else name
        lines.append(f"| `{shown}` | {summary(name, thing)} |")
        if inspect.isclass(thing) and not issubclass(thing, Enum | BaseException) and (found := members(thing)):
            details += [f"**`{name}`**", "", *(f"- `{what}`: {why}" for what, why in found), ""]
    return "\n".join([*lines, "", *details]).rstrip() + "\n"


def page() -> str:
    parts = [part(title, pybgp, names.split()) for title, names in PARTS.items()]
    placed = {name for names in PARTS.values() for name in names.split()}
    if rest := sorted(set(pybgp.__all__) - placed):
        parts.append(part("More names", pybgp, rest))
    testing = "Of `pybgp.testing`: peers for tests of your own code; [recipe 8](guide.md#8-test-your-own-peering)."
    parts.append(part("Fake peers", pybgp.testing, sorted(pybgp.testing.__all__), testing))
    simulator = "Of `pybgp.simulator`: whole networks in virtual time; [simulator.md](simulator.md)."
    parts.append(part("Networks in virtual time", pybgp.simulator, sorted(pybgp.simulator.__all__), simulator))
    return "\n".join([HEADER, *parts, ROOMS])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
