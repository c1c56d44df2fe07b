"""The story of `make demo`: a cluster comes up, pods talk, a block is added, an agent and then a node die."""

from __future__ import annotations

import itertools
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask
from examples.demo.capture import Capture
from examples.demo.cluster import ARTICLE_BLOCKS, GATEWAY, INTERFACE, TUNNEL, Cluster, ClusterNode
from examples.demo.namespaces import CommandError, wait_until
from examples.demo.route_monitor import RouteMonitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from examples.demo.cni_runtime import Pod

HOLD_SECONDS: Final = 6
SECOND_BLOCK: Final = "192.168.5.64/26"
BLOCKS: Final = {node: [block] for node, block in ARTICLE_BLOCKS.items()}
PODS: Final = (
    ("master-01", "nginx-deployment-54f57cf6bf-gn7x8"),
    ("worker-01", "nginx-deployment-54f57cf6bf-jmp9l"),
    ("worker-02", "web-0"),
)


class Check(NamedTuple):
    """One thing that had to hold, and what was seen."""

    held: bool
    what: str
    seen: str


def ping(pod: Pod, address: str, *options: str) -> str:
    """Send one ping from a pod and return what the program printed."""
    return pod.network.run("ping", "-c", "1", "-W", "2", *options, address, check=False)


class Demo:
    """Tells the story on the screen and keeps the list of what had to hold."""

    def __init__(self, cluster: Cluster) -> None:
        """The cluster's namespaces exist; no agent runs yet."""
        self.cluster = cluster
        self.checks: list[Check] = []
        self.started = time.monotonic()
        self.pods: dict[str, Pod] = {}

    def tell(self) -> bool:
        """Tell it all and return whether everything held."""
        try:
            self.start_agents()
            self.add_pods()
            self.show_tables()
            self.ping_everybody()
            self.watch_packets()
            self.lose_and_gain()
        except (CommandError, TimeoutError) as error:
            self.check("the demo came to its end", False, str(error).splitlines()[0])
            print(f"\n{error}", flush=True)
        self.print_checks()
        return all(check.held for check in self.checks)

    def say(self, text: str) -> None:
        """Print a line of progress with the time since the beginning."""
        print(f"\n== {time.monotonic() - self.started:5.1f} s  {text}", flush=True)

    def show(self, node: str, command: str, output: str) -> None:
        """Print a command's output as a terminal on that node would show it."""
        print(f"\n[root@{node} ~]# {command}\n{output.rstrip()}", flush=True)

    def check(self, what: str, held: bool, seen: object = "") -> None:
        """Keep a check for the table at the end."""
        self.checks.append(Check(held, what, str(seen)))
        if not held:
            print(f"   NOT as it should be: {what}: {seen}", flush=True)

    def start_agents(self) -> None:
        """Bring up three agents and wait for the full mesh."""
        self.say("three nodes on one LAN; every node gets a /26 block and starts pybgp-node")
        self.cluster.create_pool()
        for node, block in ARTICLE_BLOCKS.items():
            self.cluster.claim_block(node, block)
            print(f"   {node}  {self.cluster.nodes[node].address}  block {block}", flush=True)
        self.cluster.start()
        seconds = self.cluster.wait_converged(BLOCKS)
        self.check("every node has a route to every block", True, f"{seconds:.1f} s after the three processes started")
        master = self.cluster.nodes["master-01"]
        table = master.status()
        self.show("master-01", "pybgp-node status", table)
        up = len(re.findall(r"\| node-to-node mesh \| up +\|.*\| Established", table))
        self.check("the status table shows both peers Established", up == 2, f"{up} of 2")

    def add_pods(self) -> None:
        """Connect one pod per node through the CNI plugins."""
        self.say("one pod per node, connected by the CNI plugins calico and calico-ipam")
        for node, name in PODS:
            started = time.monotonic()
            pod = self.cluster.add_pod(node, "default", name)
            self.pods[node] = pod
            milliseconds = (time.monotonic() - started) * 1000
            print(f"   {name}: {pod.address} on {node}, {pod.host_interface} ({milliseconds:.0f} ms)", flush=True)
        placed = {pod.name: pod.address for pod in self.pods.values()}
        wanted = {PODS[0][1]: "192.168.171.65", PODS[1][1]: "192.168.5.1", PODS[2][1]: "192.168.77.129"}
        self.check("pods have addresses of their node's block", placed == wanted, ", ".join(placed.values()))

    def show_tables(self) -> None:
        """Print what the article prints, and compare each routing table with the article's."""
        self.say("the routing tables, the tunnel and the pod's own view")
        for node in self.cluster.nodes.values():
            routes = node.routes()
            self.show(node.name, "ip route", routes)
            equal = set(routes.splitlines()) == self.article_routes(node)
            self.check(f"ip route of {node.name} is the article's", equal)
        worker, pod = self.cluster.nodes["worker-01"], self.pods["worker-01"]
        tunnel = worker.namespace.ip("address", "show", TUNNEL)
        self.show("worker-01", "ip addr show tunl0", tunnel)
        proper = "mtu 1440" in tunnel and "inet 192.168.5.0/32" in tunnel and tunnel.count("inet ") == 1
        self.check("tunl0 is up with mtu 1440 and the block's first address", proper and ",UP" in tunnel)
        self.show(pod.name, "ip addr show eth0", pod.network.ip("address", "show", "eth0"))
        routes = pod.network.ip("route")
        self.show(pod.name, "ip route", routes)
        self.check("the pod's gateway is 169.254.1.1", "default via 169.254.1.1 dev eth0" in routes)

    def article_routes(self, node: ClusterNode) -> set[str]:
        """Return the lines that `ip route` must print on a node."""
        pod = self.pods[node.name]
        lan = f"10.0.0.0/24 dev {INTERFACE} proto kernel scope link src {node.address}"
        others = {f"default via {GATEWAY} dev {INTERFACE}", lan, f"{pod.address} dev {pod.host_interface} scope link"}
        return others | self.cluster.expected_routes(node, BLOCKS)

    def ping_everybody(self) -> None:
        """Ping from every pod to every other."""
        self.say("every pod pings every other pod")
        lost = []
        for one, other in itertools.permutations(self.pods.values(), 2):
            answer = ping(one, other.address)
            found = re.search(r"time=([0-9.]+ ms)", answer)
            print(f"   {one.address} > {other.address}: {found[1] if found else 'no answer'}", flush=True)
            if found is None:
                lost.append(f"{one.address} > {other.address}")
        self.check("every pod reaches every other across nodes", not lost, "; ".join(lost) or "6 of 6")

    def watch_packets(self) -> None:
        """Show a ping on the wire between two nodes, and the largest packet that fits."""
        self.say("the same ping on the wire between the nodes")
        client, server = self.pods["worker-01"], self.pods["master-01"]
        with Capture(self.cluster.nodes["worker-01"].namespace, INTERFACE) as capture:
            print(ping(client, server.address), flush=True)
            packet = capture.wait_for(lambda found: found.protocol == 4, 5, "an IPIP packet")
        print(packet.describe(), flush=True)
        inner = packet.inner
        ends = (packet.source, packet.destination, inner and inner.source, inner and inner.destination)
        wanted = ("10.0.0.12", "10.0.0.11", client.address, server.address)
        what = "packets between nodes are IPIP (4), node to node, pod to pod inside"
        self.check(what, ends == wanted, packet.describe().splitlines()[0])
        sizes = {size: ping(client, server.address, "-M", "do", "-s", str(size - 28)) for size in (1440, 1441)}
        fits = "1 received" in sizes[1440] and "message too long" in sizes[1441]
        self.check("1440 octets with DF pass, 1441 do not", fits)

    def lose_and_gain(self) -> None:
        """Change the cluster while it runs, with an eye on every route event."""
        nodes = self.cluster.nodes
        with (
            RouteMonitor(nodes["master-01"].namespace) as master,
            RouteMonitor(nodes["worker-01"].namespace) as first,
            RouteMonitor(nodes["worker-02"].namespace) as second,
        ):
            monitors = {"master-01": master, "worker-01": first, "worker-02": second}
            self.add_block(monitors)
            self.crash_agent(monitors)
            self.cut_node(monitors)

    def add_block(self, monitors: Mapping[str, RouteMonitor]) -> None:
        """Give worker-01 a second block and time its way into the other kernels."""
        self.say(f"worker-01 gets a second block, {SECOND_BLOCK}")
        since = time.time()
        self.cluster.claim_block("worker-01", SECOND_BLOCK)
        moments = {}
        for node, monitor in monitors.items():
            event = monitor.wait_for(lambda text: SECOND_BLOCK in text, 10, f"{SECOND_BLOCK} on {node}", since=since)
            moments[node] = event.seconds
            milliseconds = (event.seconds - since) * 1000
            print(f"   {node}: {event.text}  ({milliseconds:.1f} ms after the claim began)", flush=True)
        late = max(moments.values()) - moments["worker-01"]
        self.check("a new block is in every kernel", True, f"{late * 1000:.1f} ms after worker-01's own")

    def crash_agent(self, monitors: Mapping[str, RouteMonitor]) -> None:
        """Kill an agent and start it again: nobody's routes may move."""
        self.say("pybgp-node on worker-01 is killed (SIGKILL) and started again")
        worker = self.cluster.nodes["worker-01"]
        since = time.time()
        worker.kill()
        client, server = self.pods["worker-02"], self.pods["worker-01"]
        answer = ping(client, server.address)
        self.check("its pod is reachable while the agent is dead", "1 received" in answer)
        worker.start()
        seconds = wait_until(lambda: self.restarted(worker), 30, "the restarted agent's sessions", 0.1)
        events = [event.text for monitor in monitors.values() for event in monitor.events if event.seconds >= since]
        print(f"   sessions are back after {seconds:.1f} s; route events on all nodes: {len(events)}", flush=True)
        self.check("a crashed and restarted agent causes no route event", not events, "; ".join(events) or "0 events")

    def restarted(self, node: ClusterNode) -> bool:
        """Tell whether a node's agent has all its sessions and has finished its graceful restart."""
        node.check_running()
        try:
            answer = ask(str(node.control_socket), "status")
        except (DaemonNotRunningError, DaemonAnswerError):
            return False
        up = [peer for peer in answer["peers"] if peer["state"] == "Established"]
        return len(up) == len(self.cluster.nodes) - 1 and not answer["restarting"]

    def cut_node(self, monitors: Mapping[str, RouteMonitor]) -> None:
        """Cut a node off and plug it in again."""
        self.say(f"worker-02 dies: its cable is cut (hold time {HOLD_SECONDS} s)")
        gone = f"Deleted {ARTICLE_BLOCKS['worker-02']}"
        since = time.time()
        self.cluster.cut_link("worker-02")
        seconds = 0.0
        for node in ("master-01", "worker-01"):
            event = monitors[node].wait_for(
                lambda text: text.startswith(gone), HOLD_SECONDS * 3, f"{gone} on {node}", since=since
            )
            seconds = max(seconds, event.seconds - since)
            print(f"   {node}: {event.text}  ({event.seconds - since:.2f} s after the cut)", flush=True)
        self.check("a dead node's routes go within the hold time", seconds < HOLD_SECONDS + 1, f"{seconds:.1f} s")
        self.say("the cable is plugged in again")
        self.cluster.restore_link("worker-02")
        seconds = self.cluster.wait_converged({**BLOCKS, "worker-01": [*BLOCKS["worker-01"], SECOND_BLOCK]})
        self.check("the node comes back by itself", True, f"{seconds:.1f} s")

    def print_checks(self) -> None:
        """Print the table of everything that had to hold."""
        width = max(len(check.what) for check in self.checks)
        print(f"\n{'what had to hold':{width}}  held  seen", flush=True)
        print(f"{'-' * width}  ----  {'-' * 40}", flush=True)
        for check in self.checks:
            print(f"{check.what:{width}}  {'yes' if check.held else 'NO':4}  {check.seen}", flush=True)
        held = sum(check.held for check in self.checks)
        print(f"\n{held} of {len(self.checks)} held, {time.monotonic() - self.started:.1f} s", flush=True)


def tell() -> bool:
    """Make the cluster, tell the story, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as work, Cluster(Path(work), hold_time=HOLD_SECONDS) as cluster:
        return Demo(cluster).tell()
