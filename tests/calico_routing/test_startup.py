"""D1 to D4: node name, addresses, conflicts, pools, defaults; the second start changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calico_routing.autodetection import Device, Surroundings
from calico_routing.configuration import Configuration, NodeSettings, PoolSettings, parse_configuration
from calico_routing.datastore.interface import ConflictError, Datastore
from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.model.errors import ValidationError
from calico_routing.model.resources import (
    BGPConfiguration,
    ClusterInformation,
    FelixConfiguration,
    IPAMConfig,
    IPPool,
    Node,
    OrchRef,
)
from calico_routing.startup import (
    DEFAULT_IPV4_POOLS,
    IdentityError,
    PoolError,
    StartupError,
    node_name,
    save_node,
    start_up,
    write_node_name,
)

from .clusters import node, pool

AROUND = Surroundings(
    (
        Device("lo", 1, ("127.0.0.1/8",)),
        Device("eth0", 2, ("10.0.0.12/24", "fd00::12/64")),
        Device("docker0", 3, ("172.17.0.1/16",)),
    ),
    lambda _destination, _version: "10.0.0.12",
)
WITHOUT_ADDRESSES = Surroundings((Device("lo", 1, ("127.0.0.1/8",)),), lambda _destination, _version: None)


def configured(tmp_path: Path, text: str = "", **environment: str) -> Configuration:
    environment.setdefault("CALICO_NODENAME_FILE", str(tmp_path / "nodename"))
    return parse_configuration(text, "node.toml", environment)


def begin(
    store: Datastore, configuration: Configuration, name: str = "worker-01", around: Surroundings = AROUND
) -> Node:
    return start_up(store, configuration, name, around)


def test_node_name_precedence(tmp_path: Path) -> None:
    file = tmp_path / "nodename"
    settings = NodeSettings(nodename_file=str(file))
    assert node_name(settings, lambda: " Host-Name \n") == "host-name"
    with_variable = NodeSettings(nodename_file=str(file), host_name="From-Variable")
    assert node_name(with_variable, lambda: "host") == "from-variable"
    file.write_text("from-file\n")
    assert node_name(with_variable, lambda: "host") == "from-file"
    named = NodeSettings(nodename_file=str(file), host_name="x", name=" Upper-Case ")
    assert node_name(named, lambda: "host") == "Upper-Case"


@pytest.mark.parametrize("name", ["", "bad name", "-x", "x" * 254, "a/b"])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    settings = NodeSettings(nodename_file=str(tmp_path / "none"))
    with pytest.raises(IdentityError, match=r"node name: .*NODENAME"):
        node_name(settings, lambda: name)


def test_an_unreadable_nodename_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="cannot be read"):
        node_name(NodeSettings(nodename_file=str(tmp_path)))


def test_the_nodename_file_is_written_whole_and_only_when_needed(tmp_path: Path) -> None:
    path = tmp_path / "calico" / "nodename"
    write_node_name(str(path), "worker-01")
    assert path.read_text() == "worker-01"
    before = path.stat().st_mtime_ns
    write_node_name(str(path), "worker-01")
    assert path.stat().st_mtime_ns == before
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"node\.nodename_file: .* cannot be written"):
        write_node_name(str(tmp_path / "file" / "nodename"), "x")


@pytest.mark.parametrize(
    ("environment", "stored", "ipv4", "ipv6"),
    [
        ({}, "", "10.0.0.12/24", ""),
        ({}, "10.9.9.9/16", "10.9.9.9/16", ""),
        ({"IP": "autodetect"}, "10.9.9.9/16", "10.0.0.12/24", ""),
        ({"IP": "autodetect", "IP6": "autodetect"}, "", "10.0.0.12/24", "fd00::12/64"),
        ({"IP": "10.0.0.12"}, "", "10.0.0.12/24", ""),
        ({"IP": "10.0.0.99"}, "", "10.0.0.99/32", ""),
        ({"IP": "10.0.0.12/16"}, "", "10.0.0.12/16", ""),
        ({"IP": "none", "IP6": "fd00::12"}, "10.9.9.9/16", "", "fd00::12/64"),
        ({"IP_AUTODETECTION_METHOD": "cidr=172.17.0.0/16"}, "", "172.17.0.1/16", ""),
        ({"IP_AUTODETECTION_METHOD": "can-reach=198.51.100.1"}, "", "10.0.0.12/24", ""),
    ],
)
def test_addresses(tmp_path: Path, environment: dict[str, str], stored: str, ipv4: str, ipv6: str) -> None:
    store = MemoryDatastore()
    if stored:
        store.create(node("worker-01", stored))
    begin(store, configured(tmp_path, **environment))
    found = store.get(Node, "worker-01")
    assert (found.ipv4_address, found.ipv6_address) == (ipv4, ipv6)


@pytest.mark.parametrize(
    ("environment", "around", "text"),
    [
        ({"IP": "none"}, AROUND, "node address: none"),
        ({}, WITHOUT_ADDRESSES, "IP_AUTODETECTION_METHOD first-found finds no IPv4 address"),
        ({"IP_AUTODETECTION_METHOD": "interface=wlan"}, AROUND, "IP_AUTODETECTION_METHOD interface=wlan finds no"),
        ({"IP_AUTODETECTION_METHOD": "guess"}, AROUND, "IP_AUTODETECTION_METHOD: expected one of first-found"),
        ({"IP": "10.0.0"}, AROUND, "IP: expected an address, autodetect or none, not '10.0.0'"),
        ({"IP": "fd00::1"}, AROUND, "IP: expected an IPv4 address, not 'fd00::1'"),
        ({"IP": "127.0.0.1"}, AROUND, "IP: expected an address that other nodes can reach, not '127.0.0.1'"),
        ({"IP": "224.0.0.1/24"}, AROUND, "IP: expected an address that other nodes can reach, not '224.0.0.1/24'"),
        ({"IP6": "fe80::1%eth0"}, AROUND, "IP6: expected an address that other nodes can reach, not 'fe80::1%eth0'"),
        ({"IP6": "autodetect", "IP6_AUTODETECTION_METHOD": "cidr=2001:db8::/32"}, AROUND, "IP6_AUTODETECTION_METHOD"),
    ],
)
def test_no_address_is_fatal_and_nothing_is_written(
    tmp_path: Path, environment: dict[str, str], around: Surroundings, text: str
) -> None:
    store = MemoryDatastore()
    with pytest.raises(IdentityError) as caught:
        begin(store, configured(tmp_path, **environment), around=around)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not store.list(Node).items
    assert not store.list(IPPool).items
    assert not (tmp_path / "nodename").exists()


def test_detection_that_fails_keeps_what_was_stored(tmp_path: Path) -> None:
    store = MemoryDatastore()
    store.create(node("worker-01", "10.9.9.9/16"))
    begin(store, configured(tmp_path, IP="autodetect"), around=WITHOUT_ADDRESSES)
    assert store.get(Node, "worker-01").ipv4_address == "10.9.9.9/16"


def test_two_nodes_with_one_address(tmp_path: Path) -> None:
    """D4: the second refuses to start and names the first; its own record is not made."""
    store = MemoryDatastore()
    begin(store, configured(tmp_path), "first")
    with pytest.raises(IdentityError, match=r"10\.0\.0\.12 is already the address of node first"):
        begin(store, configured(tmp_path), "second")
    assert [one.name for one in store.list(Node).items] == ["first"]
    begin(store, configured(tmp_path, DISABLE_NODE_IP_CHECK="true"), "second")
    assert [one.name for one in store.list(Node).items] == ["first", "second"]


def test_what_is_known_of_the_node_is_kept(tmp_path: Path) -> None:
    store = MemoryDatastore()
    kept = node(
        "worker-01",
        labels={"rack": "a"},
        ipv4_ipip_tunnel_address="192.168.5.0",
        as_number=64999,
        orch_refs=(OrchRef(node_name="old", orchestrator="k8s"), OrchRef(node_name="x", orchestrator="other")),
    )
    store.create(kept)
    begin(store, configured(tmp_path, CALICO_K8S_NODE_REF="worker-01"))
    found = store.get(Node, "worker-01")
    assert (found.as_number, found.ipv4_ipip_tunnel_address) == (64999, "192.168.5.0")
    assert found.metadata.labels == {"rack": "a"}
    assert {(ref.node_name, ref.orchestrator) for ref in found.orch_refs} == {("worker-01", "k8s"), ("x", "other")}
    begin(store, configured(tmp_path, AS="64000"))
    assert store.get(Node, "worker-01").as_number == 64000


def test_interfaces_are_those_that_detection_looks_at(tmp_path: Path) -> None:
    store = MemoryDatastore()
    begin(store, configured(tmp_path))
    (interface,) = store.get(Node, "worker-01").interfaces
    assert (interface.name, interface.addresses) == ("eth0", ("10.0.0.12", "fd00::12"))


class ConflictingDatastore(MemoryDatastore):
    """Somebody else is faster, a number of times."""

    def __init__(self, conflicts: int) -> None:
        super().__init__()
        self.conflicts = conflicts

    def update(self, resource: Any) -> Any:
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError("somebody else was faster")
        return super().update(resource)


def test_conflicts_are_retried_and_endless_ones_are_told(tmp_path: Path) -> None:
    for conflicts in (3, 10_000):
        store = ConflictingDatastore(conflicts)
        store.create(node("worker-01"))
        if conflicts == 3:
            assert save_node(store, "worker-01", configured(tmp_path), AROUND).ipv4_address == "10.0.0.12/24"
        else:
            with pytest.raises(StartupError, match="keeps changing"):
                save_node(store, "worker-01", configured(tmp_path), AROUND)


def test_the_default_pool(tmp_path: Path) -> None:
    store = MemoryDatastore()
    begin(store, configured(tmp_path))
    (found,) = store.list(IPPool).items
    assert (found.name, found.cidr, found.ipip_mode) == ("default-ipv4-ippool", "192.168.0.0/16", "Never")
    assert (found.nat_outgoing, found.block_size, found.node_selector) == (True, 26, "all()")


def test_pool_variables_reach_the_pool(tmp_path: Path) -> None:
    environment = {
        "CALICO_IPV4POOL_CIDR": "10.244.0.0/16",
        "CALICO_IPV4POOL_IPIP": "Always",
        "CALICO_IPV4POOL_BLOCK_SIZE": "28",
        "CALICO_IPV4POOL_NAT_OUTGOING": "false",
        "CALICO_IPV4POOL_NODE_SELECTOR": "has(x)",
        "CALICO_IPV4POOL_DISABLE_BGP_EXPORT": "true",
        "CALICO_IPV6POOL_CIDR": "fd00:1::/48",
        "CALICO_IPV6POOL_NAT_OUTGOING": "true",
    }
    store = MemoryDatastore()
    begin(store, configured(tmp_path, **environment))
    four, six = store.get(IPPool, "default-ipv4-ippool"), store.get(IPPool, "default-ipv6-ippool")
    assert (four.cidr, four.ipip_mode, four.block_size, four.nat_outgoing) == ("10.244.0.0/16", "Always", 28, False)
    assert (four.node_selector, four.disable_bgp_export) == ("has(x)", True)
    assert (six.cidr, six.block_size, six.nat_outgoing) == ("fd00:1::/48", 122, True)


@pytest.mark.parametrize("environment", [{"NO_DEFAULT_POOLS": "true"}, {"CALICO_IPV4POOL_CIDR": "none"}])
def test_no_default_pool(tmp_path: Path, environment: dict[str, str]) -> None:
    store = MemoryDatastore()
    begin(store, configured(tmp_path, **environment))
    assert not store.list(IPPool).items


def test_a_family_that_has_a_pool_gets_no_default_one(tmp_path: Path) -> None:
    store = MemoryDatastore()
    store.create(pool("mine", "10.50.0.0/16"))
    begin(store, configured(tmp_path, CALICO_IPV4POOL_CIDR="10.60.0.0/16"))
    assert [one.cidr for one in store.list(IPPool).items] == ["10.50.0.0/16"]


def test_the_default_prefix_avoids_the_host(tmp_path: Path) -> None:
    store = MemoryDatastore()
    taken = ("192.168.7.1/24", "172.16.5.1/20", "172.17.0.1/16", "10.0.0.12/24")
    begin(store, configured(tmp_path), around=AROUND._replace(devices=(Device("eth0", 2, taken),)))
    assert store.get(IPPool, "default-ipv4-ippool").cidr == "172.18.0.0/16"
    everything = tuple(cidr.replace("0.0/16", "0.1/16") for cidr in DEFAULT_IPV4_POOLS)
    around = AROUND._replace(devices=(Device("eth0", 2, everything),))
    with pytest.raises(PoolError, match=r"ipv4_pool\.cidr: all of"):
        begin(MemoryDatastore(), configured(tmp_path), around=around)


def test_an_ipv6_node_gets_a_random_local_pool(tmp_path: Path) -> None:
    found = set()
    for _ in range(2):
        store = MemoryDatastore()
        begin(store, configured(tmp_path, IP6="autodetect"))
        found.add(store.get(IPPool, "default-ipv6-ippool").cidr)
    assert len(found) == 2
    assert all(cidr.startswith("fd") and cidr.endswith("/48") for cidr in found)


def test_named_pools_are_made_once(tmp_path: Path) -> None:
    text = '[[pool]]\nname = "a"\ncidr = "10.1.0.0/16"\n\n[[pool]]\ncidr = "fd00:2::/64"\n'
    store = MemoryDatastore()
    begin(store, configured(tmp_path, text))
    assert {one.name: one.cidr for one in store.list(IPPool).items} == {
        "a": "10.1.0.0/16",
        "fd00-2---64": "fd00:2::/64",
    }
    begin(store, configured(tmp_path, text.replace("10.1", "10.2")))
    assert store.get(IPPool, "a").cidr == "10.1.0.0/16"


def test_a_named_pool_that_overlaps_a_stored_one_is_refused(tmp_path: Path) -> None:
    store = MemoryDatastore()
    store.create(pool("stored", "10.1.0.0/16"))
    configuration = Configuration(
        node=NodeSettings(nodename_file=str(tmp_path / "nodename")),
        pools=(PoolSettings(name="new", cidr="10.1.2.0/24"),),
    )
    with pytest.raises(PoolError, match=r"10\.1\.2\.0/24 of pool new overlaps 10\.1\.0\.0/16 of pool stored"):
        begin(store, configuration)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("", {"CALICO_IPV4POOL_NODE_SELECTOR": "has("}),
        ("", {"CALICO_IPV4POOL_CIDR": "169.254.0.0/16"}),
        ("[[pool]]\ncidr = '10.9.0.0/16'\nnode_selector = 'global()'", {}),
        ("[[pool]]\nname = 'no name'\ncidr = '10.9.0.0/16'", {}),
    ],
)
def test_a_pool_that_cannot_be_made_leaves_no_trace(tmp_path: Path, text: str, environment: dict[str, str]) -> None:
    store = MemoryDatastore()
    with pytest.raises(ValidationError):
        begin(store, configured(tmp_path, text, **environment))
    assert everything(store) == []


def everything(store: Datastore) -> list[tuple[str, str, str | None]]:
    kinds = (Node, IPPool, ClusterInformation, FelixConfiguration, BGPConfiguration, IPAMConfig)
    return [(kind.KIND, item.name, item.resource_version) for kind in kinds for item in store.list(kind).items]


def test_the_second_start_changes_nothing(tmp_path: Path) -> None:
    store = MemoryDatastore()
    configuration = configured(tmp_path, CLUSTER_TYPE="k8s,bgp")
    begin(store, configuration)
    before = everything(store)
    begin(store, configuration)
    assert everything(store) == before
    assert (tmp_path / "nodename").read_text() == "worker-01"


GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "calico" / "etcd" / "01-node-01-startup.jsonl"


def test_the_defaults_are_those_that_calico_node_makes(tmp_path: Path) -> None:
    if not GOLDEN.exists():
        pytest.skip(f"no recorded datastore at {GOLDEN}")
    recorded = {}
    for line in GOLDEN.read_text().splitlines():
        value = json.loads(json.loads(line)["value"])
        recorded[value["kind"], value["metadata"]["name"]] = value["spec"]
    store = MemoryDatastore()
    begin(store, configured(tmp_path, CLUSTER_TYPE="k8s,bgp"), "node-01")
    information = store.get(ClusterInformation, "default")
    assert len(information.cluster_guid) == len(recorded["ClusterInformation", "default"]["clusterGUID"]) == 32
    assert information.cluster_type == recorded["ClusterInformation", "default"]["clusterType"]
    assert information.datastore_ready is True
    spec = recorded["FelixConfiguration", "default"]
    assert store.get(FelixConfiguration, "default").extra["spec"].items() <= spec.items()
    spec = recorded["FelixConfiguration", "node.node-01"]
    assert store.get(FelixConfiguration, "node.node-01").extra["spec"].items() <= spec.items()
    severity = recorded["BGPConfiguration", "default"]["logSeverityScreen"]
    assert store.get(BGPConfiguration, "default").log_severity_screen == severity
    config = store.get(IPAMConfig, "default")
    assert (config.strict_affinity, config.auto_allocate_blocks) == (False, True)
