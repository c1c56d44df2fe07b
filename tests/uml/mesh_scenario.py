"""The recorded story of the mesh, told again by three pybgp-node agents: `python -m tests.uml.mesh_scenario DIRECTORY`.

It runs inside User-Mode Linux and writes what kernels and packets showed into the directory, for the host's tests.
"""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.demo.capture import Capture
from examples.demo.cluster import ARTICLE_BLOCKS, Cluster
from examples.demo.namespaces import wait_until
from examples.demo.route_monitor import RouteMonitor
from tests.uml.telling import Recorder, ping, received, settled, tcp_exchange, wait_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from examples.demo.cni_runtime import Pod

HOLD_SECONDS = 9
SECOND_BLOCK = "192.168.5.64/26"
PODS = (
    ("master-01", "default", "nginx-deployment-54f57cf6bf-gn7x8"),
    ("master-01", "kube-system", "coredns-6955765f44-b5dkz"),
    ("worker-01", "default", "nginx-deployment-54f57cf6bf-jmp9l"),
    ("worker-01", "default", "client-5"),
    ("worker-02", "default", "web-0"),
    ("worker-02", "default", "web-1"),
)
BLOCKS = {node: [block] for node, block in ARTICLE_BLOCKS.items()}
EVERYBODY = tuple(ARTICLE_BLOCKS)


def story(recorder: Recorder) -> None:
    cluster = recorder.cluster
    start_up(recorder)
    pods = {name: cluster.add_pod(node, namespace, name) for node, namespace, name in PODS}
    recorder.fact("pods", {name: [pod.address, pod.host_interface] for name, pod in pods.items()})
    wait_until(lambda: settled(cluster), 10, "IPv6 addresses past their duplicate detection")
    recorder.tables("1-initial")
    packets(recorder, pods)
    with contextlib.ExitStack() as stack:
        monitors = {node.name: stack.enter_context(RouteMonitor(node.namespace)) for node in cluster.nodes.values()}
        stack.callback(write_events, recorder, monitors)
        second_block(recorder, monitors)
        graceful_restart(recorder, monitors)
        node_death(recorder, monitors)
        shutdown(recorder, monitors)
        crash_without_graceful_restart(recorder, monitors)


def write_events(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    for name, monitor in monitors.items():
        lines = "".join(f"{event.seconds:.6f} {event.text}\n" for event in monitor.events)
        (recorder.directory / f"route-events.{name}.txt").write_text(lines)


def start_up(recorder: Recorder) -> None:
    cluster = recorder.cluster
    cluster.create_pool()
    for node, block in ARTICLE_BLOCKS.items():
        cluster.claim_block(node, block)
    cluster.start()
    recorder.fact("first convergence, seconds from the start of the processes", cluster.wait_converged(BLOCKS))
    tunnels = {
        name: node.namespace.ip_json("address", "show", "dev", "tunl0")[0] for name, node in cluster.nodes.items()
    }
    recorder.fact(
        "tunnels",
        {
            name: [
                link["mtu"],
                "UP" in link["flags"],
                [[entry["local"], entry["prefixlen"]] for entry in link["addr_info"]],
            ]
            for name, link in tunnels.items()
        },
    )


def packets(recorder: Recorder, pods: Mapping[str, Pod]) -> None:
    server, client = (pods[f"nginx-deployment-54f57cf6bf-{suffix}"] for suffix in ("gn7x8", "jmp9l"))
    worker = recorder.cluster.nodes["worker-01"]
    with Capture(worker.namespace, "ens160") as capture:
        text = ping(client, server.address, "-c", "3", "-i", "0.3")
        recorder.fact("ping", received(text))
        recorder.fact("ping time to live", sorted(set(re.findall(r"ttl=(\d+)", text))))
        recorder.fact(
            "ping of 1440 octets", received(ping(client, server.address, "-c", "1", "-s", "1412", "-M", "do"))
        )
        recorder.fact("ping of 1441 octets", ping(client, server.address, "-c", "1", "-s", "1413", "-M", "do"))
        recorder.fact("longest outer packet", max(packet.length for packet in capture.packets if packet.protocol == 4))
        recorder.fact("tcp", tcp_exchange(server, client))
        outer = [packet for packet in capture.packets if packet.protocol == 4]
        inner = [packet.inner for packet in outer if packet.inner]
        ends = {(client.address, server.address), (server.address, client.address)}
        recorder.fact("tunnel ends", sorted({f"{packet.source} {packet.destination}" for packet in outer}))
        recorder.fact(
            "inner packets between the pods", sum((packet.source, packet.destination) in ends for packet in inner)
        )
        recorder.fact("tcp mss", sorted({packet.tcp_mss for packet in inner if packet.tcp_mss is not None}))
        capture.save(recorder.directory / "pod-to-pod.pcap")
    every = {
        f"{one.name} > {other.name}": received(ping(one, other.address, "-c", "1"))
        for one in pods.values()
        for other in pods.values()
        if one.node_name != other.node_name and one.name in ("web-0", server.name, client.name)
    }
    recorder.fact("pings between nodes", every)


def second_block(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    cluster = recorder.cluster
    for phase, change, deleted in (
        ("3-add-block", cluster.claim_block, False),
        ("4-remove-block", cluster.release_block, True),
    ):
        since = time.time()
        change("worker-01", SECOND_BLOCK)
        moments = {
            name: route_change(monitors[name], SECOND_BLOCK, since, deleted=deleted).seconds for name in EVERYBODY
        }
        late = {name: round((moments[name] - moments["worker-01"]) * 1000, 1) for name in ("master-01", "worker-02")}
        recorder.fact(f"{phase}, milliseconds after the owner's kernel", late)
        recorder.tables(phase)


def route_change(monitor: RouteMonitor, prefix: str, since: float, *, deleted: bool, seconds: float = 30) -> Any:
    verb = "deleted" if deleted else "added"
    return monitor.wait_for(
        lambda text: prefix in text and text.startswith("Deleted ") is deleted, seconds, f"{prefix} {verb}", since=since
    )


def events_since(monitors: Mapping[str, RouteMonitor], since: float, names: Sequence[str]) -> dict[str, list[str]]:
    return {name: [event.text for event in monitors[name].events if event.seconds >= since] for name in names}


def graceful_restart(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    cluster = recorder.cluster
    master, victim, other = (cluster.nodes[name] for name in EVERYBODY)
    since = time.time()
    victim.kill()
    for neighbor in (master, other):
        wait_session(neighbor, victim, up=False)
    recorder.tables("5a-killed")
    started = time.monotonic()
    victim.start()
    for neighbor in (master, other):
        wait_session(victim, neighbor)
        wait_session(neighbor, victim)
    recorder.fact("restart, seconds until the sessions are back", round(time.monotonic() - started, 2))
    recorder.wait_recovered(EVERYBODY)
    recorder.fact("route events of a killed and restarted agent", events_since(monitors, since, EVERYBODY))
    recorder.tables("5b-restarted")


def node_death(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    cluster = recorder.cluster
    since = time.time()
    cluster.cut_link("worker-02")
    moments = {}
    for name, other in (
        ("master-01", "worker-02"),
        ("worker-01", "worker-02"),
        ("worker-02", "master-01"),
        ("worker-02", "worker-01"),
    ):
        gone = route_change(monitors[name], ARTICLE_BLOCKS[other], since, deleted=True)
        moments[f"{name} lost {other}"] = round(gone.seconds - since, 2)
    recorder.fact("seconds from the cut to the deletion", moments)
    recorder.tables("6-node-death")
    since = time.time()
    cluster.restore_link("worker-02")
    cluster.wait_converged(BLOCKS, seconds=60)
    recorder.fact("seconds from the cable back to the whole mesh", round(time.time() - since, 2))
    wait_until(lambda: settled(cluster), 10, "IPv6 addresses past their duplicate detection")
    recorder.tables("7-node-back")


def shutdown(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    cluster = recorder.cluster
    since = time.time()
    recorder.fact("exit status after SIGTERM", cluster.nodes["master-01"].stop(signal.SIGTERM))
    for name in ("worker-01", "worker-02"):
        route_change(monitors[name], ARTICLE_BLOCKS["master-01"], since, deleted=True, seconds=10)
    recorder.tables("8-shutdown")


def crash_without_graceful_restart(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    """The control: the same crash must show when the agent did not offer graceful restart."""
    cluster = recorder.cluster
    one, other = cluster.nodes["worker-01"], cluster.nodes["worker-02"]
    one.stop(signal.SIGTERM)
    one.start(graceful_restart=False)
    wait_session(other, one)
    left = {name: blocks for name, blocks in BLOCKS.items() if name != "master-01"}
    cluster.wait_converged(left, [other.name])
    since = time.time()
    one.kill()
    route_change(monitors[other.name], ARTICLE_BLOCKS[one.name], since, deleted=True, seconds=10)
    recorder.fact("route events of a crash without graceful restart", events_since(monitors, since, [other.name]))


def main(directory: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as work,
        Cluster(Path(work), hold_time=HOLD_SECONDS, shutdown="cease") as cluster,
    ):
        recorder = Recorder(directory, cluster)
        started = time.monotonic()
        try:
            story(recorder)
            recorder.fact("seconds in all", round(time.monotonic() - started, 1))
        finally:
            recorder.tables("end")
            recorder.logs()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
