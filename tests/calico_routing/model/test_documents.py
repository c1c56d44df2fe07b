"""Reading and writing JSON documents: nothing is lost, nothing wrong gets in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.model.durations import parse_duration
from calico_routing.model.errors import ValidationError
from calico_routing.model.etcd_codec import decode_etcd, encode_etcd
from calico_routing.model.kdd_codec import decode_kdd, encode_kdd
from calico_routing.model.resources import KINDS, BGPPeer, BlockAffinity, IPAMBlock, IPPool, Metadata, Node
from calico_routing.model.v3_codec import decode_v3, encode_v3

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 70000), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
FIELD_NAMES = sorted({step for kind in KINDS for field in kind.FIELDS for step in field.path})
OBJECTS = st.dictionaries(st.one_of(st.sampled_from(FIELD_NAMES), st.text(max_size=6)), JSON, max_size=6)


def document(kind: str, spec: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": "x"}, "spec": spec, **others}


def test_unknown_members_are_kept_at_every_level() -> None:
    original = document(
        "Node",
        {
            "bgp": {"ipv4Address": "10.0.0.5/24", "color": "red"},
            "later": [1, {"a": None}],
            "interfaces": [{"name": "e", "speed": 10}],
        },
        status={},
        extra={"deep": {"deeper": True}},
    )
    node = decode_v3(original)
    assert encode_v3(node) == original
    assert isinstance(node, Node)
    changed = encode_v3(node.replace(ipv4_address="10.0.0.6/24", as_number=65000))
    assert changed["spec"]["bgp"] == {"ipv4Address": "10.0.0.6/24", "color": "red", "asNumber": 65000}
    assert original["spec"]["bgp"]["ipv4Address"] == "10.0.0.5/24"


def test_a_cleared_field_leaves_no_empty_object_behind() -> None:
    node = decode_v3(document("Node", {"bgp": {"ipv4Address": "10.0.0.5/24"}}))
    assert encode_v3(node.replace(ipv4_address=""))["spec"] == {}


def test_defaults_are_filled_in_on_read() -> None:
    pool = decode_v3(document("IPPool", {"cidr": "10.0.0.0/16"}))
    assert isinstance(pool, IPPool)
    assert (pool.ipip_mode, pool.vxlan_mode, pool.block_size, pool.node_selector) == ("Never", "Never", 26, "all()")
    assert (pool.allowed_uses, pool.assignment_mode) == (("Workload", "Tunnel"), "Automatic")
    pool = decode_v3(document("IPPool", {"cidr": "fd00::/48", "ipipMode": "", "nodeSelector": None}))
    assert isinstance(pool, IPPool)
    assert (pool.block_size, pool.ipip_mode, pool.node_selector) == (122, "Never", "all()")


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("IPPool", {"blockSize": "26"}, "spec.blockSize"),
        ("IPPool", {"natOutgoing": "yes"}, "spec.natOutgoing"),
        ("IPPool", {"cidr": 7}, "spec.cidr"),
        ("IPPool", {"allowedUses": "Workload"}, "spec.allowedUses"),
        ("Node", {"bgp": "10.0.0.1"}, "spec.bgp"),
        ("Node", {"bgp": {"asNumber": "1.2.3"}}, "spec.bgp.asNumber"),
        ("Node", {"interfaces": [{"name": 1}]}, "spec.interfaces.name"),
        ("IPAMBlock", {"cidr": "10.0.0.0/26", "allocations": [None, "0"]}, "spec.allocations"),
        (
            "IPAMBlock",
            {"cidr": "10.0.0.0/26", "sequenceNumberForAllocation": {"x": 1}},
            "spec.sequenceNumberForAllocation",
        ),
        ("BlockAffinity", {"node": "n", "cidr": "10.0.0.0/26", "deleted": "maybe"}, "spec.deleted"),
    ],
)
def test_a_wrong_type_names_the_field(kind: str, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode_v3(document(kind, spec))
    assert [problem.field for problem in caught.value.problems] == [field]
    assert "\n" not in str(caught.value)


def test_required_fields_that_are_missing_are_named() -> None:
    with pytest.raises(ValidationError, match=r"BlockAffinity x: spec\.node: is required"):
        decode_v3(document("BlockAffinity", {"cidr": "10.0.0.0/26"}))


@given(st.sampled_from([kind.KIND for kind in KINDS] + ["Tier", "Pod"]), OBJECTS, OBJECTS, OBJECTS)
def test_any_object_is_a_resource_or_a_validation_error(
    kind: str, metadata: dict[str, Any], spec: dict[str, Any], others: dict[str, Any]
) -> None:
    whole = {**others, "apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec}
    try:
        resource = decode_v3(whole)
    except ValidationError as error:
        assert "\n" not in str(error)
        return
    assert decode_v3(encode_v3(resource)) == resource


@given(JSON)
def test_any_json_is_refused_or_read(value: object) -> None:
    for read in (decode_v3, lambda value: decode_etcd("/calico/ipam/v2/handle/h", json.dumps(value))):
        try:
            read(value)
        except ValidationError:
            continue


def test_truncated_etcd_values_are_refused() -> None:
    block = IPAMBlock(metadata=Metadata(name="10-0-0-0-30"), cidr="10.0.0.0/30", allocations=(None,) * 4)
    key, value = encode_etcd(block)
    for length in range(1, len(value)):
        with pytest.raises(ValidationError):
            decode_etcd(key, value[:length])


def test_old_etcd_forms_are_read() -> None:
    key = "/calico/ipam/v2/host/worker-01/ipv4/block/10.0.0.0-26"
    affinity = decode_etcd(key, "")
    assert isinstance(affinity, BlockAffinity)
    assert affinity.confirmed
    old = decode_etcd(key, '{"state":"","deleted":false}')
    assert isinstance(old, BlockAffinity)
    assert old.confirmed
    key = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30"
    value = json.dumps(
        {
            "cidr": "10.0.0.0/30",
            "hostAffinity": "worker-01",
            "allocations": [0, None, None, None],
            "unallocated": [1, 2, 3],
            "attributes": [{"handle_id": None, "secondary": {}}],
        }
    )
    block = decode_etcd(key, value)
    assert isinstance(block, IPAMBlock)
    assert block.host == "worker-01"
    assert (block.sequence_number, block.attributes[0].handle_id) == (0, None)


def test_crd_affinities_hold_deleted_as_text() -> None:
    affinity = BlockAffinity(metadata=Metadata(name="n-10-0-0-0-26"), node="n", cidr="10.0.0.0/26", state="pending")
    written = encode_kdd(affinity)
    assert written["spec"] == {
        "cidr": "10.0.0.0/26",
        "deleted": "false",
        "node": "n",
        "state": "pending",
        "type": "host",
    }
    read = decode_kdd(written)
    assert isinstance(read, BlockAffinity)
    assert (read.deleted, read.state) == (False, "pending")


def test_kubernetes_node_with_bad_annotations_is_read_without_them() -> None:
    annotations = {
        "projectcalico.org/IPv4Address": "nonsense",
        "projectcalico.org/ASNumber": "1.10",
        "projectcalico.org/Interfaces": "[",
        "projectcalico.org/labels": '{"rack":"7"}',
        "other": "kept",
    }
    document = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n", "annotations": annotations, "labels": {"zone": "a"}},
    }
    node = decode_kdd(document)
    assert isinstance(node, Node)
    assert (node.ipv4_address, node.as_number, node.interfaces) == ("", 65546, ())
    assert node.metadata.labels == {"rack": "7", "zone": "a"}
    assert encode_kdd(node) == document
    relabelled = node.replace(metadata=node.metadata.replace(labels={"zone": "a", "row": "3"}))
    assert encode_kdd(relabelled)["metadata"]["annotations"]["projectcalico.org/labels"] == '{"row":"3"}'


def test_pod_addresses_become_endpoint_networks() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-0",
            "namespace": "default",
            "annotations": {"cni.projectcalico.org/podIPs": "10.0.0.1/32,fd00::1/128"},
        },
        "spec": {"nodeName": "worker-01", "serviceAccountName": "web"},
    }
    endpoint = decode_kdd(pod)
    assert endpoint.name == "worker--01-k8s-web--0-eth0"
    assert endpoint.ip_networks == ("10.0.0.1/32", "fd00::1/128")  # type: ignore[attr-defined]
    assert endpoint.profiles == ("kns.default", "ksa.default.web")  # type: ignore[attr-defined]


def test_as_numbers_have_three_forms() -> None:
    for value, expected in ((65001, 65001), ("65001", 65001), ("1.0", 65536)):
        peer = decode_v3(document("BGPPeer", {"peerIP": "10.0.0.1", "asNumber": value}))
        assert isinstance(peer, BGPPeer)
        assert peer.as_number == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("2m0s", 120), ("90s", 90), ("500ms", 0.5), ("1h30m", 5400), ("0", 0), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "90", "s", "1x", "1..5s", "-5s", "5 s", ".s"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
