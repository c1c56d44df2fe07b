"""ADD and DEL in real namespaces, named after the acceptance tests of spec/calico.md section 9.3."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_routing.cni.versions import SUPPORTED_VERSIONS
from calico_routing.model.resources import ClusterInformation, IPPool, Metadata, Node
from tests.calico_routing.cni.runtime import PluginError, Runtime
from tests.calico_routing.cni.test_launcher import START, TOO_HEAVY
from tests.calico_routing.cni.testbed import NodeBed, Testbed, has_debian_plugin, needs_root, one_node

pytestmark = [pytest.mark.namespaces, needs_root]
GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "calico" / "etcd" / "05-pod1-added.jsonl"
HOST_MAC = "ee:ee:ee:ee:ee:ee"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeBed]:
    with one_node(tmp_path) as node:
        yield node


def test_c1_default(node: NodeBed) -> None:
    pod = node.bed.pod("nginx-deployment-54f57cf6bf-jmp9l", args="FOO=bar")
    result = node.runtime.add(pod.attachment)

    eth0 = pod.namespace.link("eth0")
    assert eth0 is not None
    (address,) = pod.namespace.addresses("eth0")
    assert address.startswith("192.168.")
    assert address.endswith("/32")
    assert eth0["mtu"] == 1440
    routes = pod.namespace.routes()
    assert routes["169.254.1.1"]["scope"] == "link"
    assert (routes["default"]["gateway"], routes["default"]["dev"]) == ("169.254.1.1", "eth0")
    assert pod.namespace.ip("neigh") == []

    host = node.namespace.link("cali892ef576711")
    assert host is not None
    assert (host["address"], host["mtu"], host["operstate"]) == (HOST_MAC, 1440, "UP")
    assert host["num_tx_queues"] == 1
    route = node.namespace.routes()[address.removesuffix("/32")]
    assert (route["dev"], route["scope"], route.get("protocol", "boot")) == ("cali892ef576711", "link", "boot")
    conf = "ipv4/conf/cali892ef576711"
    assert node.namespace.sysctl(f"{conf}/proxy_arp") == "1"
    assert node.namespace.sysctl(f"{conf}/forwarding") == "1"
    assert node.namespace.sysctl(f"{conf}/route_localnet") == "1"
    assert node.namespace.sysctl("ipv4/neigh/cali892ef576711/proxy_delay") == "0"
    assert node.namespace.sysctl("ipv6/conf/cali892ef576711/accept_ra") == "0"
    assert pod.namespace.sysctl("ipv4/ip_forward") == "0"

    endpoint = node.bed.endpoints()["node--01-k8s-nginx--deployment--54f57cf6bf--jmp9l-eth0"]
    assert endpoint.container_id == pod.attachment.container_id
    assert endpoint.ip_networks == (address,)
    assert (endpoint.interface_name, endpoint.mac, endpoint.profiles) == (
        "cali892ef576711",
        eth0["address"],
        ("kns.default",),
    )
    assert list(node.bed.allocated().values()) == [f"k8s-pod-network.{pod.attachment.container_id}"]

    assert result == {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "cali892ef576711"},
            {"name": "eth0", "mac": eth0["address"], "mtu": 1440, "sandbox": pod.namespace.path},
        ],
        "ips": [{"interface": 1, "address": address}],
    }


def test_c1_the_node_reaches_the_pod_and_the_pod_the_node(node: NodeBed) -> None:
    first, second = node.bed.pod("web-0"), node.bed.pod("web-1")
    addresses = [node.runtime.add(pod.attachment)["ips"][0]["address"].removesuffix("/32") for pod in (first, second)]
    node.namespace.run("ping", "-c1", "-W2", addresses[0])
    first.namespace.run("ping", "-c1", "-W2", addresses[1])
    first.namespace.run("ping", "-c1", "-W2", "10.0.0.1")
    (neighbour,) = [entry for entry in first.namespace.ip("neigh") if entry["dst"] == "169.254.1.1"]
    assert neighbour["lladdr"] == HOST_MAC
    assert "PERMANENT" not in neighbour["state"]


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden records are not here")
def test_c1_a_plain_container_is_stored_as_calico_stores_it(node: NodeBed) -> None:
    pod = node.bed.pod("pod1", "pod1", kubernetes=False)
    result = node.runtime.add(pod.attachment)
    golden = next(
        json.loads(entry["value"])
        for entry in map(json.loads, GOLDEN.read_text().splitlines())
        if entry["key"].endswith("/node--01-cni-pod1-eth0")
    )
    endpoint = node.bed.endpoints()[golden["metadata"]["name"]]
    assert dict(endpoint.metadata.labels) == golden["metadata"]["labels"]
    assert endpoint.namespace == golden["metadata"]["namespace"]
    spec = golden["spec"] | {
        "mac": result["interfaces"][1]["mac"],
        "ipNetworks": [result["ips"][0]["address"]],
    }
    assert {
        "orchestrator": endpoint.orchestrator,
        "node": endpoint.node,
        "containerID": endpoint.container_id,
        "endpoint": endpoint.endpoint,
        "ipNetworks": list(endpoint.ip_networks),
        "profiles": list(endpoint.profiles),
        "interfaceName": endpoint.interface_name,
        "mac": endpoint.mac,
    } == spec
    assert (endpoint.workload, endpoint.pod, endpoint.service_account_name) == ("", "", "")


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_every_version_adds_and_deletes(version: str, node: NodeBed) -> None:
    runtime = node.make_runtime(version=version)
    pod = node.bed.pod()
    result = runtime.add(pod.attachment)
    assert result["cniVersion"] == version
    assert ("ip4" in result) == (version < "0.3")
    if version >= "0.4":
        runtime.check(pod.attachment)
    runtime.delete(pod.attachment)
    assert node.bed.leftovers() == []


def test_c2_a_new_container_of_the_same_pod(node: NodeBed) -> None:
    old, new = node.bed.pod("web-0"), node.bed.pod("web-0")
    first = node.runtime.add(old.attachment)["ips"][0]["address"]
    second = node.runtime.add(new.attachment)["ips"][0]["address"]
    assert first != second
    (endpoint,) = node.bed.endpoints().values()
    assert (endpoint.container_id, endpoint.ip_networks) == (new.attachment.container_id, (second,))
    assert len(node.bed.allocated()) == 2
    assert node.pod_routes() == {second.removesuffix("/32")}
    node.runtime.delete(old.attachment)
    assert list(node.bed.allocated().values()) == [f"k8s-pod-network.{new.attachment.container_id}"]


def test_c3_a_stale_delete_spares_the_new_container(node: NodeBed) -> None:
    old, new = node.bed.pod("web-0"), node.bed.pod("web-0")
    node.runtime.add(old.attachment)
    result = node.runtime.add(new.attachment)
    for _ in range(2):
        node.runtime.delete(old.attachment)
        node.runtime.check(new.attachment)
    (endpoint,) = node.bed.endpoints().values()
    assert endpoint.container_id == new.attachment.container_id
    assert new.namespace.addresses("eth0") == {result["ips"][0]["address"]}
    node.runtime.delete(new.attachment)
    assert node.bed.leftovers() == []


def test_c4_delete_of_anything_is_silent_success(node: NodeBed) -> None:
    from dataclasses import replace

    never = node.bed.pod("never").attachment
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None)
    assert node.runtime.execute("DEL", "calico", config, never) == ""
    assert node.runtime.execute("DEL", "calico", config, replace(never, netns="")) == ""
    pod = node.bed.pod()
    node.runtime.add(pod.attachment)
    without_namespace = replace(pod.attachment, netns="")
    assert node.runtime.execute("DEL", "calico", config, without_namespace) == ""
    assert node.bed.leftovers() == []
    assert pod.namespace.link("eth0") is None
    for attachment in (pod.attachment, without_namespace, replace(never, netns="/run/netns/gone")):
        assert node.runtime.execute("DEL", "calico", config, attachment) == ""


def test_c4_delete_after_the_namespace_is_gone(node: NodeBed) -> None:
    pod = node.bed.pod()
    node.runtime.add(pod.attachment)
    pod.namespace.remove()
    node.runtime.delete(pod.attachment)
    assert node.bed.leftovers() == []


def test_c5_adding_twice_fails_and_leaves_the_first(node: NodeBed) -> None:
    pod = node.bed.pod()
    result = node.runtime.add(pod.attachment)
    with pytest.raises(PluginError, match="added before; call DEL first") as caught:
        node.runtime.add(pod.attachment)
    assert caught.value.code == 106
    assert node.runtime.cached(pod.attachment) == result
    node.runtime.check(pod.attachment)


def test_c5_a_foreign_interface_of_that_name(node: NodeBed) -> None:
    pod = node.bed.pod()
    pod.namespace.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
    with pytest.raises(PluginError, match="another plugin made it"):
        node.runtime.add(pod.attachment)
    assert pod.namespace.link("eth0") is not None
    node.runtime.delete(pod.attachment)
    assert pod.namespace.link("eth0") is not None, "DEL must not take another plugin's interface"
    assert node.bed.leftovers() == []


def test_c5_a_failing_add_of_a_new_container_spares_the_old_allocation(node: NodeBed) -> None:
    old, new = node.bed.pod("web-0"), node.bed.pod("web-0", annotations={"ipAddrs": '["10.99.0.1"]'})
    node.runtime.add(old.attachment)
    with pytest.raises(PluginError) as caught:
        node.runtime.add(new.attachment)
    assert caught.value.code == 103
    node.runtime.delete(new.attachment)
    node.runtime.check(old.attachment)


def test_c6_a_stale_host_interface_is_replaced(node: NodeBed) -> None:
    pod = node.bed.pod("nginx-deployment-54f57cf6bf-jmp9l")
    node.namespace.run("ip", "link", "add", "cali892ef576711", "type", "veth", "peer", "name", "other")
    node.runtime.add(pod.attachment)
    assert "other" not in node.namespace.links()
    node.runtime.check(pod.attachment)


def stray_route(node: NodeBed, address: str) -> None:
    node.namespace.run("ip", "link", "add", "calistray", "type", "veth", "peer", "name", "stray-peer")
    node.namespace.run("ip", "link", "set", "calistray", "up")
    node.namespace.run("ip", "route", "add", f"{address}/32", "dev", "calistray", "scope", "link")


def test_c6_a_route_of_a_workload_that_is_gone_is_taken_over(node: NodeBed) -> None:
    stray_route(node, "192.168.7.7")
    pod = node.bed.pod(args="IP=192.168.7.7")
    node.runtime.add(pod.attachment)
    assert node.namespace.routes()["192.168.7.7"]["dev"] in node.pod_links() - {"calistray"}
    node.runtime.check(pod.attachment)


def test_c6_a_route_of_a_living_workload_is_reported(node: NodeBed) -> None:
    stray_route(node, "192.168.7.7")
    other = node.bed.pod("other")
    node.runtime.add(other.attachment)
    (endpoint,) = node.bed.endpoints().values()
    node.bed.store.update(endpoint.replace(interface_name="calistray"))
    pod = node.bed.pod(args="IP=192.168.7.7")
    with pytest.raises(PluginError, match=r"route 192\.168\.7\.7/32 exists already on calistray") as caught:
        node.runtime.add(pod.attachment)
    assert caught.value.code == 106
    assert node.namespace.routes()["192.168.7.7"]["dev"] == "calistray"
    assert len(node.bed.allocated()) == 1


def test_c7_mtu_and_mac(node: NodeBed) -> None:
    (node.directory / "mtu").write_text("1400\n")
    by_file = node.make_runtime(mtu=0)
    pod = node.bed.pod(annotations={"hwAddr": "c2:11:22:33:44:55"})
    result = by_file.add(pod.attachment)
    link = pod.namespace.link("eth0")
    assert link is not None
    assert (link["mtu"], link["address"]) == (1400, "c2:11:22:33:44:55")
    assert result["interfaces"][1]["mac"] == "c2:11:22:33:44:55"
    (node.directory / "mtu").unlink()
    node.namespace.run("ip", "link", "add", "tunl0", "mtu", "1380", "up", "type", "veth", "peer", "name", "far")
    detected = node.bed.pod("web-1")
    by_file.add(detected.attachment)
    link = detected.namespace.link("eth0")
    assert link is not None
    assert link["mtu"] == 1380


def test_c7_a_bad_mac_is_refused_before_any_change(node: NodeBed) -> None:
    pod = node.bed.pod(annotations={"hwAddr": "nonsense"})
    with pytest.raises(PluginError, match="invalid MAC address") as caught:
        node.runtime.add(pod.attachment)
    assert caught.value.code == 7
    assert node.bed.leftovers() == []


def test_c8_pools_by_name_and_by_cidr(node: NodeBed) -> None:
    node.bed.pool("blue", "10.10.0.0/24")
    node.bed.pool("tiny", "10.11.0.0/30", block_size=30)
    by_name = node.runtime.add(node.bed.pod("a", annotations={"ipv4pools": '["blue"]'}).attachment)
    by_cidr = node.runtime.add(node.bed.pod("b", annotations={"ipv4pools": '["10.10.0.0/24"]'}).attachment)
    configured = node.make_runtime(ipam={"type": "calico-ipam", "ipv4_pools": ["blue"]})
    overridden = configured.add(node.bed.pod("c", annotations={"ipv4pools": '["tiny"]'}).attachment)
    by_conf = configured.add(node.bed.pod("d").attachment)
    prefixes = [result["ips"][0]["address"].rpartition(".")[0] for result in (by_name, by_cidr, overridden, by_conf)]
    assert prefixes == ["10.10.0", "10.10.0", "10.11.0", "10.10.0"]


def test_c8_a_pool_that_is_not_there(node: NodeBed) -> None:
    with pytest.raises(PluginError, match="green") as caught:
        node.runtime.add(node.bed.pod(annotations={"ipv4pools": '["green"]'}).attachment)
    assert caught.value.code == 102
    assert node.bed.leftovers() == []


def test_c8_when_the_first_pool_is_full_the_second_serves(node: NodeBed) -> None:
    node.bed.pool("tiny-a", "10.11.0.0/31", block_size=31)
    node.bed.pool("tiny-b", "10.12.0.0/31", block_size=31)
    pools = {"ipv4pools": '["tiny-a", "tiny-b"]'}
    given = [
        node.runtime.add(node.bed.pod(f"p{number}", annotations=pools).attachment)["ips"][0]["address"]
        for number in range(4)
    ]
    assert sorted(given) == ["10.11.0.0/32", "10.11.0.1/32", "10.12.0.0/32", "10.12.0.1/32"]
    with pytest.raises(PluginError) as caught:
        node.runtime.add(node.bed.pod("p4", annotations=pools).attachment)
    assert caught.value.code == 102


def test_c9_exact_addresses(node: NodeBed) -> None:
    asked = {"ipAddrs": '["192.168.7.7"]'}
    assert node.runtime.add(node.bed.pod("a", annotations=asked).attachment)["ips"][0]["address"] == "192.168.7.7/32"
    with pytest.raises(PluginError) as caught:
        node.runtime.add(node.bed.pod("b", annotations=asked).attachment)
    assert caught.value.code == 103
    with pytest.raises(PluginError, match="one family") as caught:
        two = {"ipAddrs": '["192.168.7.8", "192.168.7.9"]'}
        node.runtime.add(node.bed.pod("c", annotations=two).attachment)
    assert caught.value.code == 7
    by_capability = node.bed.pod("d", annotations=asked, capabilities={"ips": ["192.168.7.10/24"]})
    assert node.runtime.add(by_capability.attachment)["ips"][0]["address"] == "192.168.7.10/32"
    assert len(node.bed.allocated()) == 2


def test_c9_addresses_without_ipam(node: NodeBed) -> None:
    pod = node.bed.pod(annotations={"ipAddrsNoIpam": '["10.99.0.1"]'})
    with pytest.raises(PluginError, match="not allowed"):
        node.runtime.add(pod.attachment)
    allowed = node.make_runtime(feature_control={"ip_addrs_no_ipam": True})
    assert allowed.add(pod.attachment)["ips"][0]["address"] == "10.99.0.1/32"
    assert node.bed.allocated() == {}
    allowed.check(pod.attachment)
    allowed.delete(pod.attachment)
    assert node.bed.leftovers() == []


def test_c9_floating_addresses_are_stored(node: NodeBed) -> None:
    allowed = node.make_runtime(feature_control={"floating_ips": True})
    pod = node.bed.pod(annotations={"floatingIPs": '["203.0.113.9"]'})
    address = allowed.add(pod.attachment)["ips"][0]["address"].removesuffix("/32")
    (endpoint,) = node.bed.endpoints().values()
    assert [(nat.internal_ip, nat.external_ip) for nat in endpoint.ip_nats] == [(address, "203.0.113.9")]


DUAL = {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"}


def test_c10_dual_stack(node: NodeBed) -> None:
    node.bed.pool("six", "fd00:9::/64", block_size=122)
    node.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")  # the node agent's business
    runtime = node.make_runtime(ipam=DUAL)
    first, second = node.bed.pod("a"), node.bed.pod("b")
    results = [runtime.add(pod.attachment) for pod in (first, second)]
    assert [len(result["ips"]) for result in results] == [2, 2]
    six = results[1]["ips"][1]["address"].removesuffix("/128")
    assert first.namespace.routes("-6")["default"]["gateway"] == "fe80::ecee:eeff:feee:eeee"
    first.namespace.run("ping", "-6", "-c1", "-W2", six)
    node.namespace.run("ping", "-6", "-c1", "-W2", six)
    runtime.check(first.attachment)
    for pod in (first, second):
        runtime.delete(pod.attachment)
    assert node.bed.leftovers() == []


def test_c10_all_or_nothing(node: NodeBed) -> None:
    node.bed.pool("six", "fd00:9::/127", block_size=127)
    runtime = node.make_runtime(ipam=DUAL)
    for name in ("a", "b"):
        runtime.add(node.bed.pod(name).attachment)
    with pytest.raises(PluginError, match="IPv6") as caught:
        runtime.add(node.bed.pod("c").attachment)
    assert caught.value.code == 102
    assert len(node.bed.allocated()) == 4


@pytest.mark.parametrize("state", ["missing", "locked", "unset"])
def test_c11_the_datastore_must_be_ready(state: str, node: NodeBed) -> None:
    pod = node.bed.pod()
    node.runtime.add(pod.attachment)
    cluster = node.bed.store.get(ClusterInformation, "default")
    if state == "missing":
        node.bed.store.delete(cluster)
    else:
        node.bed.store.update(cluster.replace(datastore_ready=False if state == "locked" else None))
    for command in (node.runtime.delete, node.runtime.add):
        target = pod if command == node.runtime.delete else node.bed.pod("other")
        with pytest.raises(PluginError, match="Calico is currently not ready to process requests") as caught:
            command(target.attachment)
        assert caught.value.code == 101
    assert len(node.bed.allocated()) == 1
    node.runtime.check(pod.attachment)


def test_c12_a_missing_nodename_file(node: NodeBed) -> None:
    (node.directory / "nodename").unlink()
    for command in (node.runtime.add, node.runtime.delete):
        with pytest.raises(PluginError, match="/var/lib/calico/") as caught:
            command(node.bed.pod().attachment)
        assert caught.value.code == 104
    optional = node.make_runtime(nodename_file_optional=True, hostname="node-01")
    optional.add(node.bed.pod().attachment)
    assert [endpoint.node for endpoint in node.bed.endpoints().values()] == ["node-01"]


@pytest.mark.skipif(not has_debian_plugin("bridge"), reason="Debian's containernetworking-plugins is not installed")
def test_c13_calico_ipam_below_another_plugin(node: NodeBed) -> None:
    entry = node.plugin()
    bridge = {
        key: entry[key] for key in ("datastore_type", "datastore_path", "nodename_file", "ipam_lock_file", "ipam")
    }
    conflist = {
        "name": "bridged",
        "cniVersion": "1.0.0",
        "plugins": [{"type": "bridge", "bridge": "br0", **bridge}],
    }
    runtime = Runtime(
        conflist,
        [node.bed.binaries, Path("/usr/lib/cni")],
        node.directory / "cache",
        enter=["nsenter", f"--net={node.namespace.path}"],
    )
    pod = node.bed.pod()
    result = runtime.add(pod.attachment)
    assert result["ips"][0]["address"].endswith("/26")
    runtime.check(pod.attachment)
    runtime.delete(pod.attachment)
    assert node.bed.allocated() == {}


@pytest.mark.skipif(not has_debian_plugin("host-local"), reason="Debian's containernetworking-plugins is not installed")
def test_c14_host_local_with_the_nodes_pod_range(node: NodeBed) -> None:
    stored = node.bed.store.get(Node, "node-01")
    node.bed.store.update(stored.replace(pod_cidrs=("10.50.1.0/24", "fd00:50::/64")))
    leases = {"dataDir": str(node.directory / "leases")}
    ranges = {"type": "host-local", "ranges": [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}]], **leases}
    plain = {"type": "host-local", "subnet": "usePodCidr", "routes": [{"dst": "10.0.0.0/8"}], **leases}
    for ipam, expected in ((ranges, ["10.50.1.2/32", "fd00:50::2/128"]), (plain, ["10.50.1.3/32"])):
        runtime = node.make_runtime(ipam=ipam)
        pod = node.bed.pod()
        result = runtime.add(pod.attachment)
        assert [entry["address"] for entry in result["ips"]] == expected
        assert all("gateway" not in entry for entry in result["ips"])
        runtime.check(pod.attachment)
        if ipam is plain:
            assert set(pod.namespace.routes()) == {"169.254.1.1", "10.0.0.0/8"}
        runtime.delete(pod.attachment)
        assert node.bed.leftovers() == []
    left = [path.name for path in (node.directory / "leases" / "k8s-pod-network").iterdir()]
    assert not [name for name in left if name[0].isdigit() or name.startswith("fd00")]


def test_c15_a_second_interface(node: NodeBed) -> None:
    first = node.bed.pod("web-0")
    second = node.bed.pod("web-0", first.attachment.container_id, ifname="net1", netns=first.namespace)
    addresses = [node.runtime.add(pod.attachment)["ips"][0]["address"] for pod in (first, second)]
    assert first.namespace.addresses("eth0") == {addresses[0]}
    assert first.namespace.addresses("net1") == {addresses[1]}
    assert set(node.bed.endpoints()) == {"node--01-k8s-web--0-eth0", "node--01-k8s-web--0-net1"}
    assert len(node.pod_links()) == 2
    for pod in (first, second):
        node.runtime.check(pod.attachment)
    node.runtime.delete(second.attachment)
    node.runtime.check(first.attachment)
    assert len(node.bed.allocated()) == 1
    node.runtime.delete(first.attachment)
    assert node.bed.leftovers() == []


@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
def test_nothing_heavy_is_loaded_by_a_whole_call(command: str, node: NodeBed) -> None:
    pod = node.bed.pod()
    previous = None if command == "ADD" else node.runtime.add(pod.attachment)
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, previous)
    code = START + "main('calico'); print(*sys.modules, file=sys.stderr)"
    process = subprocess.run(
        ["nsenter", f"--net={node.namespace.path}", sys.executable, "-IS", "-c", code],
        input=json.dumps(config),
        env=node.runtime.environment(command, pod.attachment),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(process.stderr.split())
    assert {"sqlite3", "calico_routing.ipam.allocator"} <= loaded
    assert loaded & TOO_HEAVY == set()


def test_the_article_ends_with_nothing_left(node: NodeBed) -> None:
    pods = [node.bed.pod(f"web-{number}") for number in range(3)]
    for pod in pods:
        node.runtime.add(pod.attachment)
    for pod in pods:
        node.runtime.delete(pod.attachment)
    assert node.bed.leftovers() == []


def test_no_pool_at_all(tmp_path: Path) -> None:
    with one_node(tmp_path, cidr="") as node:
        with pytest.raises(PluginError) as caught:
            node.runtime.add(node.bed.pod().attachment)
        assert caught.value.code == 102
        assert node.bed.leftovers() == []


def test_a_store_that_is_not_there(node: NodeBed) -> None:
    runtime = node.make_runtime(datastore_path=str(node.directory / "absent.db"))
    with pytest.raises(PluginError) as caught:
        runtime.add(node.bed.pod().attachment)
    assert caught.value.code == 101
    assert not (node.directory / "absent.db").exists()


def test_chained_behind_another_plugin_the_result_is_passed_on(node: NodeBed) -> None:
    pod = node.bed.pod()
    previous = {"cniVersion": "0.2.0", "ip4": {"ip": "10.1.2.3/24"}}
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, previous)
    answer = json.loads(node.runtime.execute("ADD", "calico", config, pod.attachment))
    assert answer == {"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24"}]}
    assert node.bed.leftovers() == []


def test_the_pool_of_the_testbed_is_used(tmp_path: Path) -> None:
    with Testbed(tmp_path) as bed:
        bed.store.create(IPPool(metadata=Metadata(name="p"), cidr="172.16.0.0/16"))
        node = bed.node("worker-02")
        assert node.runtime.add(bed.pod().attachment)["ips"][0]["address"].startswith("172.16.")
