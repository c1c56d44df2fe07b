"""`pybgp-node routes`: the routes that are in use, or those of a peer, as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calico_routing.cli.daemon_answer import print_list, until_end, with_answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

_ROW: Final = "{mark} {prefix:<20} {hop:<18} {peer:<18} {local_pref:>9} {med:>6}  {path}"
_HEAD: Final = {
    "mark": " ",
    "prefix": "PREFIX",
    "hop": "NEXT HOP",
    "peer": "FROM",
    "local_pref": "LOCALPREF",
    "med": "MED",
    "path": "AS PATH",
}
_ORIGINS: Final = {"igp": "i", "egp": "e", "incomplete": "?"}


def routes(options: argparse.Namespace) -> int:
    """Ask the running agent and print its answer while it comes."""
    arguments = {
        "prefix": options.prefix or "",
        "family": options.family or "",
        "received": options.received or "",
        "sent": options.sent or "",
        "longer": options.longer,
        "rejected": options.rejected,
    }

    def show(documents: Iterator[dict[str, Any]]) -> None:
        if options.output == "json":
            print_list("routes", documents)
            return
        first = True
        for route in until_end(documents):
            if first:
                print(_ROW.format(**_HEAD))
                first = False
            print(route_row(route))
        if first:
            print("No routes.")

    return with_answer(options, "routes", arguments, show)


def route_row(route: Mapping[str, Any]) -> str:
    """Return the line of one route: ``>`` is the best of its prefix, ``-`` is rejected."""
    attributes = route["attributes"]
    rejection = route.get("rejection", "")
    mark = "-" if rejection else ">" if route.get("best", False) else " "
    path = f"{attributes.get('as-path', '')} {_ORIGINS.get(attributes.get('origin', ''), '')}".strip()
    flags = ["stale"] if route.get("stale") else []
    flags += [rejection] if rejection else []
    identifier = f" [{route['path_id']}]" if "path_id" in route else ""
    return _ROW.format(
        mark=mark,
        prefix=route["prefix"] + identifier,
        hop=attributes.get("next-hop", ""),
        peer=route["peer"],
        local_pref=attributes.get("local-pref", ""),
        med=attributes.get("multi-exit-disc", attributes.get("med", "")),
        path=path + (f"  ({', '.join(flags)})" if flags else ""),
    ).rstrip()
