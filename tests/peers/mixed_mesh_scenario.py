"""Two pybgp-node agents and one BIRD in one mesh, inside User-Mode Linux.

As a program: `python -m tests.peers.mixed_mesh_scenario DIRECTORY`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.tunnel_address import ensure_ipip_tunnel_address
from calico_routing.model.resources import Metadata, Node
from examples.demo.cluster import ARTICLE_BLOCKS, LAN_PREFIX_LENGTH, POOL, TUNNEL, TUNNEL_MTU, Cluster, ClusterNode
from examples.demo.route_monitor import RouteMonitor
from tests.peers.daemons import Bird, bird_mesh_node
from tests.uml.telling import Recorder, ping, received, wait_session

if TYPE_CHECKING:
    from collections.abc import Mapping

HOLD_SECONDS = 9
#: In the middle by address, so that it dials one of ours and is dialled by the other.
BIRD_NODE = "worker-01"
OURS = tuple(name for name in ARTICLE_BLOCKS if name != BIRD_NODE)
BLOCKS = {node: [block] for node, block in ARTICLE_BLOCKS.items()}
BLOCK_OF_BIRD = "192.168.5.64/26"
BLOCK_OF_OURS = "192.168.77.192/26"


def prepare_by_hand(cluster: Cluster, node: ClusterNode) -> None:
    """Do for BIRD's node what our agent would do besides routing: the Node resource, tunl0, the nodename file."""
    with cluster.open_store() as store:
        store.create(Node(metadata=Metadata(name=node.name), ipv4_address=f"{node.address}/{LAN_PREFIX_LENGTH}"))
        stored = ensure_ipip_tunnel_address(store, Allocator(store), node.name)
    node.namespace.ip("link", "set", TUNNEL, "mtu", str(TUNNEL_MTU), "up")
    node.namespace.ip("address", "add", f"{stored.ipv4_ipip_tunnel_address}/32", "dev", TUNNEL)
    (node.directory / "nodename").write_text(node.name)


def bird_configuration(cluster: Cluster, blocks: list[str]) -> str:
    addresses = {node.name: node.address for node in cluster.nodes.values()}
    return bird_mesh_node(BIRD_NODE, addresses, blocks, POOL, HOLD_SECONDS)


def story(recorder: Recorder, bird: Bird) -> None:
    cluster = recorder.cluster
    cluster.create_pool()
    for node, block in ARTICLE_BLOCKS.items():
        cluster.claim_block(node, block)
    prepare_by_hand(cluster, cluster.nodes[BIRD_NODE])
    bird.start()
    cluster.start(*OURS)
    recorder.fact("first convergence, seconds", cluster.wait_converged(BLOCKS))
    recorder.fact("BIRD's sessions", sorted(bird.established()))
    pods = [cluster.add_pod(node, "default", f"pod-on-{node}") for node in cluster.nodes]
    recorder.fact("pods", {pod.name: pod.address for pod in pods})
    recorder.fact(
        "pings",
        {
            f"{one.node_name} > {other.node_name}": received(ping(one, other.address, "-c", "1"))
            for one in pods
            for other in pods
            if one is not other
        },
    )
    recorder.tables("mixed")
    change_blocks(recorder, bird)
    with contextlib.ExitStack() as stack:
        monitors = {node.name: stack.enter_context(RouteMonitor(node.namespace)) for node in cluster.nodes.values()}
        restart_ours(recorder, monitors)
        restart_bird(recorder, monitors, bird)
    afterwards = {received(ping(pods[0], pod.address, "-c", "1")) for pod in pods[1:]}
    recorder.fact("pings after the restarts", sorted(afterwards))


def change_blocks(recorder: Recorder, bird: Bird) -> None:
    cluster = recorder.cluster
    bird.reconfigure(bird_configuration(cluster, [ARTICLE_BLOCKS[BIRD_NODE], BLOCK_OF_BIRD]))
    cluster.claim_block("worker-02", BLOCK_OF_OURS)
    more = {
        **BLOCKS,
        BIRD_NODE: [*BLOCKS[BIRD_NODE], BLOCK_OF_BIRD],
        "worker-02": [*BLOCKS["worker-02"], BLOCK_OF_OURS],
    }
    recorder.fact("two blocks more, seconds", cluster.wait_converged(more))
    bird.reconfigure(bird_configuration(cluster, BLOCKS[BIRD_NODE]))
    cluster.release_block("worker-02", BLOCK_OF_OURS)
    recorder.fact("two blocks less, seconds", cluster.wait_converged(BLOCKS))


def restart_ours(recorder: Recorder, monitors: Mapping[str, RouteMonitor]) -> None:
    cluster = recorder.cluster
    victim, neighbor = cluster.nodes["master-01"], cluster.nodes["worker-02"]
    since = time.time()
    victim.kill()
    victim.start()
    wait_session(victim, cluster.nodes[BIRD_NODE])
    wait_session(victim, neighbor)
    recorder.wait_recovered(OURS)
    recorder.fact("route events of our restart", changes(monitors, since))


def restart_bird(recorder: Recorder, monitors: Mapping[str, RouteMonitor], bird: Bird) -> None:
    cluster = recorder.cluster
    since = time.time()
    bird.stop(signal.SIGKILL)
    for name in OURS:
        wait_session(cluster.nodes[name], cluster.nodes[BIRD_NODE], up=False)
    bird.start("-R")
    for name in OURS:
        wait_session(cluster.nodes[name], cluster.nodes[BIRD_NODE])
    recorder.wait_recovered(OURS)
    recorder.fact("route events of BIRD's restart", changes(monitors, since))


def changes(monitors: Mapping[str, RouteMonitor], since: float) -> dict[str, list[str]]:
    return {
        name: [event.text for event in monitor.events if event.seconds >= since] for name, monitor in monitors.items()
    }


def main(directory: Path) -> None:
    with tempfile.TemporaryDirectory() as work, Cluster(Path(work), hold_time=HOLD_SECONDS) as cluster:
        recorder = Recorder(directory, cluster)
        namespace = cluster.nodes[BIRD_NODE].namespace
        bird = Bird(namespace, Path(work) / "bird", bird_configuration(cluster, BLOCKS[BIRD_NODE]))
        try:
            story(recorder, bird)
        finally:
            bird.stop()
            recorder.logs()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
