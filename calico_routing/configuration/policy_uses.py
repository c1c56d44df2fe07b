"""Where policies are used, and what they may set there: a word that would change nothing is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calico_routing.configuration.settings import Configuration

#: What only routes to the kernel take.
KERNEL_WORDS: Final = frozenset({"kernel_metric", "kernel_source"})
#: A word for later clauses and policies, which any route takes.
TAG: Final = "tag"


class Use(NamedTuple):
    """A key that names a policy."""

    key: str
    policy: str
    rule: str
    #: None: all but the words of the kernel.
    words: frozenset[str] | None = None

    def takes(self, word: str) -> bool:
        """Say whether a word of ``set`` has an effect here."""
        return word not in KERNEL_WORDS if self.words is None else word in self.words


def policy_uses(configuration: Configuration) -> Iterator[Use]:
    """Yield every use of every policy; of peers that share one only the first."""
    kernel, bgp = configuration.kernel, configuration.bgp
    if kernel.import_policy:
        rule = "routes of the kernel take no set but tag"
        yield Use("kernel.import_policy", kernel.import_policy, rule, frozenset({TAG}))
    if kernel.export_policy:
        rule = "routes to the kernel take no set but kernel_metric, kernel_source and tag"
        yield Use("kernel.export_policy", kernel.export_policy, rule, KERNEL_WORDS | {TAG})
    seen: set[str] = set()
    tables = [("bgp", bgp), *(("peer", peer) for peer in configuration.peers)]
    tables += [("dynamic", one.peer) for one in configuration.dynamic]
    tables += [("link", one.peer) for one in configuration.links]
    for section, settings in tables:
        for key in ("import_policy", "export_policy"):
            name = getattr(settings, key)
            if name and name not in seen:
                seen.add(name)
                yield Use(f"{section}.{key}", name, "only routes to the kernel take this")
