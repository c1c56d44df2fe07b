"""Wall time of CNI calls, ours beside Debian's ptp with host-local, interleaved in one run.

Run as root: python -m tests.benchmarks.bench_cni [calls]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.calico_routing.cni.runtime import Document, Runtime
from tests.calico_routing.cni.testbed import DEBIAN_PLUGINS, NodeBed, has_debian_plugin, one_node

CALLS = 25
#: the budget of spec/cni.md section 6, in milliseconds.
BUDGETS = {"VERSION": 50.0, "ADD": 150.0, "CHECK": 150.0, "STATUS": 100.0, "DEL": 100.0}
Samples = dict[tuple[str, str], list[float]]


def ptp_runtime(node: NodeBed) -> Runtime:
    ipam = {"type": "host-local", "subnet": "10.60.0.0/16", "dataDir": str(node.directory / "leases")}
    conflist: Document = {"name": "ptp", "cniVersion": "1.0.0", "plugins": [{"type": "ptp", "ipam": ipam}]}
    return Runtime(conflist, [DEBIAN_PLUGINS], node.directory / "ptp-cache", enter=node_prefix(node))


def node_prefix(node: NodeBed) -> list[str]:
    return ["nsenter", f"--net={node.namespace.path}"]


def timed(samples: Samples, key: tuple[str, str], action: Callable[[], object]) -> None:
    started = time.perf_counter()
    action()
    samples.setdefault(key, []).append((time.perf_counter() - started) * 1000)


def measure(node: NodeBed, runtimes: dict[str, Runtime], calls: int) -> Samples:
    samples: Samples = {}
    for number in range(calls):
        for name, runtime in runtimes.items():
            pod = node.bed.pod(f"bench-{number}")
            plugin = runtime.conflist["plugins"][0]["type"]
            timed(samples, (name, "VERSION"), lambda r=runtime, p=plugin: r.versions(p))
            timed(samples, (name, "ADD"), lambda r=runtime, p=pod: r.add(p.attachment))
            timed(samples, (name, "CHECK"), lambda r=runtime, p=pod: r.check(p.attachment))
            if name.startswith("calico"):
                timed(samples, (name, "STATUS"), runtime.status)
            timed(samples, (name, "DEL"), lambda r=runtime, p=pod: r.delete(p.attachment))
            pod.namespace.remove()
    return samples


def table(samples: Samples) -> list[str]:
    lines = [f"{'plugin':<22}{'command':<9}{'best':>8}{'median':>8}{'p95':>8}  ms  budget"]
    for (name, command), values in sorted(samples.items()):
        ordered = sorted(values)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        median = statistics.median(ordered)
        verdict = f"{BUDGETS[command]:.0f} {'kept' if median <= BUDGETS[command] else 'MISSED'}"
        verdict = verdict if name.startswith("calico") else ""
        lines.append(f"{name:<22}{command:<9}{ordered[0]:8.1f}{median:8.1f}{p95:8.1f}      {verdict}")
    return lines


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    with tempfile.TemporaryDirectory() as directory, one_node(Path(directory)) as node:
        runtimes = {"calico+calico-ipam": node.make_runtime(version="1.1.0")}
        if has_debian_plugin("ptp"):
            runtimes["ptp+host-local"] = ptp_runtime(node)
        samples = measure(node, runtimes, calls)
    print(*table(samples), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
