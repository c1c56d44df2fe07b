"""Every object that a real Calico wrote loads, and writing it again changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calico_routing.model.etcd_codec import decode_etcd, encode_etcd, etcd_key
from calico_routing.model.kdd_codec import decode_kdd, encode_kdd
from calico_routing.model.resources import BlockAffinity, IPAMBlock, IPAMConfig, IPPool, Node, OpaqueResource
from calico_routing.model.v3_codec import decode_v3, encode_v3
from calico_routing.model.validation import validate
from tests.calico_routing.model import golden
from tests.calico_routing.model.simple_yaml import load

KNOWN_ONLY_BY_NAME = {"Profile", "Tier", "KubeControllersConfiguration"}


@golden.present
def test_etcd_objects_come_back_equal() -> None:
    entries = golden.lines("etcd*/*.jsonl")
    assert len(entries) > 150
    for entry in entries:
        resource = decode_etcd(entry["key"], entry["value"], str(entry["mod_revision"]))
        key, value = encode_etcd(resource, entry["key"])
        assert key == entry["key"]
        assert json.loads(value) == json.loads(entry["value"] or "{}")
        assert resource.resource_version == str(entry["mod_revision"])
        if not isinstance(resource, IPAMConfig):
            assert etcd_key(resource) == entry["key"]


@golden.present
def test_kubernetes_objects_come_back_equal() -> None:
    documents = golden.lines("kdd/*.jsonl")
    assert len(documents) > 60
    for document in documents:
        resource = decode_kdd(document)
        assert encode_kdd(resource) == document
        assert resource.name
        assert resource.resource_version == document["metadata"]["resourceVersion"]


@golden.present
def test_recorded_objects_are_valid_and_known() -> None:
    entries = golden.lines("etcd*/*.jsonl")
    resources = [decode_etcd(entry["key"], entry["value"]) for entry in entries]
    resources += [decode_kdd(document) for document in golden.lines("kdd/*.jsonl") if document["kind"] != "Pod"]
    unknown = {resource.kind for resource in resources if isinstance(resource, OpaqueResource)}
    assert unknown <= KNOWN_ONLY_BY_NAME
    for resource in resources:
        if not isinstance(resource, OpaqueResource):
            validate(resource)


@golden.present
@pytest.mark.parametrize("path", golden.texts("*calicoctl-get-*.yaml"), ids=lambda path: path.stem)
def test_what_the_tool_prints_comes_back_equal(path: Path) -> None:
    listing = load(path.read_text())
    items = listing.get("items", [listing])
    assert items
    for item in items:
        assert encode_v3(decode_v3(item)) == item


@golden.present
def test_values_of_the_recorded_cluster() -> None:
    resources = [decode_etcd(entry["key"], entry["value"]) for entry in golden.lines("etcd/07-bgppeer.jsonl")]
    pool = next(resource for resource in resources if isinstance(resource, IPPool))
    assert (pool.cidr, pool.ipip_mode, pool.block_size, pool.nat_outgoing) == ("192.168.0.0/16", "Always", 26, True)
    node = next(resource for resource in resources if isinstance(resource, Node))
    assert (node.name, node.ipv4_address) == ("node-01", "10.96.0.1/24")
    assert node.ipv4_ipip_tunnel_address == "192.168.190.0"
    block = next(resource for resource in resources if isinstance(resource, IPAMBlock) and resource.host == "node-01")
    assert block.unallocated[-1] == 2
    assert block.attributes[0].secondary == {"node": "node-01", "type": "ipipTunnelAddress"}
    affinity = next(resource for resource in resources if isinstance(resource, BlockAffinity))
    assert affinity.name == "node-01-192-168-190-0-26"
    assert affinity.confirmed


@golden.present
def test_a_cleared_tunnel_address_leaves_the_other_annotations() -> None:
    document = next(entry for entry in golden.lines("kdd/06-*.jsonl") if entry["kind"] == "Node")
    node = decode_kdd(document)
    assert isinstance(node, Node)
    written = encode_kdd(node.replace(ipv4_ipip_tunnel_address="", as_number=65001))["metadata"]["annotations"]
    before = document["metadata"]["annotations"]
    assert "projectcalico.org/IPv4IPIPTunnelAddr" not in written
    assert written.pop("projectcalico.org/ASNumber") == "65001"
    assert written.items() <= before.items()
