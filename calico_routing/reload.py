"""What a running daemon takes over from a configuration that is read again, and what needs a new start; pure."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calico_routing.configuration import Configuration

#: Whole parts of the configuration that are taken over.
PARTS: Final = ("peers", "dynamic", "links", "aggregates", "policies", "secrets", "warnings", "sources")
#: Keys of `[bgp]` that are taken over; the others are facts of every session.
BGP_KEYS: Final = ("networks", "transit", "import_policy", "export_policy")
#: Keys of `[kernel]` that are taken over.
KERNEL_KEYS: Final = ("import_policy", "export_policy")


def reloaded(running: Configuration, fresh: Configuration) -> Configuration:
    """Return the running configuration with everything that can change while sessions stay up."""
    bgp = replace(running.bgp, **{key: getattr(fresh.bgp, key) for key in BGP_KEYS})
    kernel = replace(running.kernel, **{key: getattr(fresh.kernel, key) for key in KERNEL_KEYS})
    return replace(running, bgp=bgp, kernel=kernel, **{part: getattr(fresh, part) for part in PARTS})


def see_kind(running: Configuration, fresh: Configuration) -> None:
    """Raise LocalError where a plain router is given what is no router's file, such as an empty one."""
    if running.datastore_url is None and fresh.datastore_url is not None:
        raise LocalError(
            "datastore.url: expected 'none', or a [[peer]], [[dynamic]] or [[link]] table: a plain BGP router runs, "
            "and this is the configuration of a Calico node"
        )


def with_policies(running: Configuration, fresh: Configuration) -> Configuration:
    """Return the running configuration with the policies of another file.

    A file with peers is a whole configuration; otherwise its policies join ours, or take their places by name.
    """
    if fresh.peers or fresh.dynamic or fresh.links:
        return reloaded(running, fresh)
    chosen = {key: getattr(fresh.bgp, key) or getattr(running.bgp, key) for key in ("import_policy", "export_policy")}
    policies = {**running.policies, **fresh.policies}
    return replace(running, bgp=replace(running.bgp, **chosen), policies=policies, warnings=fresh.warnings)


def needs_restart(running: Configuration, fresh: Configuration) -> Iterator[str]:
    """Name each key that was changed and waits for the next start."""
    for part in fields(running):
        before, after = getattr(running, part.name), getattr(fresh, part.name)
        if part.name in PARTS or before == after:
            continue
        if not hasattr(before, "__dataclass_fields__"):
            yield part.name
            continue
        for key in fields(before):
            taken = key.name in {"bgp": BGP_KEYS, "kernel": KERNEL_KEYS}.get(part.name, ())
            if not taken and getattr(before, key.name) != getattr(after, key.name):
                yield f"{part.name}.{key.name}"
