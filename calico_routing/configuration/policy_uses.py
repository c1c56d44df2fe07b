"""Where policies are used, and what they may set there: a word that would change nothing is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.policy.action import SELF

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

    def refusal(self, word: str, value: object) -> str:
        """Say why a word of ``set`` has no effect here, or none but harm; empty if it is right."""
        if self.words is None and self.key.endswith(".import_policy") and (word, value) == ("next_hop", SELF):
            return f'expected "peer" or an address, because routes that come in have no use for {SELF!r}'
        taken = word not in KERNEL_WORDS if self.words is None else word in self.words
        return "" if taken else self.rule


def policy_uses(configuration: Configuration) -> Iterator[Use]:
    """Yield every use of every policy; of peers that share one only the first."""
    kernel, bgp = configuration.kernel, configuration.bgp
    if kernel.import_policy:
        rule = "routes of the kernel take no set but tag"
        yield Use("kernel.import_policy", kernel.import_policy, rule, frozenset({TAG}))
    if kernel.export_policy:
        rule = "routes to the kernel take no set but kernel_metric, kernel_source and tag"
        yield Use("kernel.export_policy", kernel.export_policy, rule, KERNEL_WORDS | {TAG})
    seen: set[tuple[str, str]] = set()
    tables = [("bgp", bgp), *(("peer", peer) for peer in configuration.peers)]
    tables += [("dynamic", one.peer) for one in configuration.dynamic]
    tables += [("link", one.peer) for one in configuration.links]
    for section, settings in tables:
        for key in ("import_policy", "export_policy"):
            name = getattr(settings, key)
            if name and (key, name) not in seen:
                seen.add((key, name))
                yield Use(f"{section}.{key}", name, "only routes to the kernel take this")
