"""What an import policy of 100 000 prefixes costs:  python -m tests.benchmarks.bench_policy [ROUTES]

Decode, import, best path of one peer's table, with and without the policy, in turns within one run; CPU seconds, the
best of five.  The exit status is 1 if filtering makes it take more than 1.5 times as long; a policy that also changes
every route makes new attribute sets, and is shown beside.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable

from pybgp.rib.policy import (
    ACCEPT_ALL,
    Clause,
    Policy,
    PrefixMatch,
    PrefixRange,
    PrefixSet,
    RoutePolicy,
    SetLocalPref,
    Verdict,
    parse_policies,
)
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.tables import Rib
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.plain_run import RunReader

from .bench_rib import READ_SIZE, full_table

ENTRIES = 100_000
LIMIT = 1.5
FIRST = 0x010000
FAR_AWAY = 0xA00000


def key(length: int, network: int) -> bytes:
    """Return a prefix by the number of its /24."""
    return bytes([length]) + (network << 8).to_bytes(4, "big")[: (length + 7) // 8]


def entries(ranged: bool, routes: int) -> list[PrefixRange]:
    """Cover all routes (by /20 le 24) or every other one (exactly), and fill up with prefixes elsewhere."""
    if ranged:
        near = [(key(20, FIRST + network), 20) for network in range(0, routes, 16)]
    else:
        near = [(key(24, FIRST + network), 24) for network in range(0, min(routes, 2 * ENTRIES), 2)]
    near = near[:ENTRIES]
    far = [(key(24, FAR_AWAY + number), 24) for number in range(ENTRIES - len(near))]
    return [PrefixRange(IPV4_UNICAST, one, length, 24) for one, length in (*near, *far)]


def policy_of(prefixes: PrefixSet, *actions: SetLocalPref) -> RoutePolicy:
    return RoutePolicy("customers", [Clause("in", (PrefixMatch(prefixes),), actions, Verdict.ACCEPT)])


def load(octets: bytes, negotiated: Negotiated, policy: Policy) -> tuple[float, int]:
    """Return the CPU seconds that a table takes, and how many routes were chosen."""
    rib, reader = Rib(64512, 1), RunReader(negotiated, AttributeStore())
    rib.set_peer(RibPeer(1, bytes([10, 0, 0, 1]), 64512, 65001, 1), policy)
    gc.collect()
    gc.freeze()
    began = time.process_time()
    position = 0
    while position < len(octets):
        parts, read = reader.read(octets[position : position + READ_SIZE], 0)
        position += read
        for part in parts:
            assert not isinstance(part, bytes)
            rib.apply_run(1, *part)
    return time.process_time() - began, len(rib.best(IPV4_UNICAST))


def timed(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def main() -> int:
    routes = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    gc.set_threshold(100_000, 20, 100)
    negotiated = Negotiated(64512, 65001, 1, 1)
    octets = full_table(1, routes, 6, max(1, routes // 6), negotiated, 4)
    policies: dict[str, Policy] = {"no policy": ACCEPT_ALL}
    for name, ranged in (("100k exact prefixes", False), ("100k entries with ranges", True)):
        policies[name] = policy_of(PrefixSet(entries(ranged, routes)))
    best: dict[str, float] = {}
    chosen: dict[str, int] = {}
    with_action = "the same, LOCAL_PREF set"
    policies[with_action] = policy_of(PrefixSet(entries(True, routes)), SetLocalPref(200))
    for _ in range(5):
        for name, policy in policies.items():
            seconds, chosen[name] = load(octets, negotiated, policy)
            best[name] = min(seconds, best.get(name, seconds))
    print(f"{routes} routes, 6 per UPDATE, {max(1, routes // 6)} attribute sets")
    print("| import policy            |   CPU s |  ratio |   routes |")
    for name, seconds in best.items():
        print(f"| {name:<24} | {seconds:7.2f} | {seconds / best['no policy']:6.2f} | {chosen[name]:8} |")
    text = "\n".join(map(str, PrefixSet(entries(True, routes)).entries))
    document = "[prefix_set.s]\nfile = 'list'\n[[policy.p.clause]]\nmatch.prefix_set = 's'\nthen = 'accept'\n"
    seconds = timed(lambda: parse_policies(document, read_file=lambda _: text))
    print(f"reading a file of {ENTRIES} entries: {seconds:.2f} s")
    del best[with_action]
    missed = max(best.values()) > LIMIT * best["no policy"]
    print(f"goal: at most {LIMIT} times as long: {'missed' if missed else 'met'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
