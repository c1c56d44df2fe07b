"""Vectors of spec/calico.md section 10, and invariant 12 of section 11."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.model import names
from calico_routing.model.etcd_codec import decode_etcd, encode_etcd, etcd_key
from calico_routing.model.resources import BlockAffinity, IPAMBlock, IPAMHandle, Metadata
from tests.calico_routing.model.test_blocks import BLOCKS, network_of

NODES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)
PARTS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,30}[a-z0-9])?", fullmatch=True)


def test_vectors() -> None:
    assert names.cidr_name("10.9.0.64/30") == "10-9-0-64-30"
    assert names.cidr_name("fd00:9::40/122") == "fd00-9--40-122"
    assert names.affinity_name("worker-01", "10.9.0.64/30") == "worker-01-10-9-0-64-30"
    assert names.endpoint_name("worker-01", "k8s", "web-0", "eth0") == "worker--01-k8s-web--0-eth0"
    assert names.hostname_hash("worker-01") == "NWGYHFOTFAAWRTRVKZ2RTLQJGKGZC5UVVATV4UN7S443KAJEZIWA"
    uid = "fcbb9e2e-31f1-4878-a865-f989ca90fa42"
    assert names.reverse_uid_bits(uid) == "3fdd7974-8c8f-481e-a8a6-9f9153095f42"
    assert names.reverse_uid_bits(names.reverse_uid_bits(uid)) == uid


@given(BLOCKS)
def test_invariant_12_block_names_are_a_bijection(parts: tuple[int, int, int]) -> None:
    cidr = str(network_of(parts))
    name = names.cidr_name(cidr)
    assert names.cidr_of_name(name) == cidr
    assert len(name) <= 43


@pytest.mark.parametrize("name", ["", "10-9-0-64", "10-9-0-65-30", "x-9-0-64-30", "fd00-9--41-122", "1-2-3-4-5-6"])
def test_other_names_are_no_block_names(name: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        names.cidr_of_name(name)


@given(NODES, NODES, BLOCKS, BLOCKS)
def test_invariant_12_affinity_names_differ_and_are_listable(
    node: str, other: str, parts: tuple[int, int, int], other_parts: tuple[int, int, int]
) -> None:
    cidr, other_cidr = str(network_of(parts)), str(network_of(other_parts))
    name = names.affinity_name(node, cidr)
    assert len(name) <= names.LONGEST_NAME
    assert name.startswith(names.affinity_prefix(node))
    if (node, cidr) != (other, other_cidr):
        assert name != names.affinity_name(other, other_cidr)


@given(PARTS, PARTS, PARTS, PARTS)
def test_invariant_12_endpoint_names_are_a_bijection(node: str, kind: str, workload: str, endpoint: str) -> None:
    name = names.endpoint_name(node, kind, workload, endpoint)
    assert names.endpoint_name_parts(name) == (node, kind, workload, endpoint)
    assert name.startswith(names.endpoint_prefix(node, kind, workload))


@pytest.mark.parametrize("part", ["", "-a", "a-"])
def test_a_part_of_an_endpoint_name_has_no_dash_at_its_ends(part: str) -> None:
    with pytest.raises(ValueError, match="cannot be part"):
        names.endpoint_name("node", "k8s", part, "eth0")


def test_handle_names_are_lower_case_and_short() -> None:
    assert names.handle_name("K8s-Pod-Network.ab12") == "k8s-pod-network.ab12"
    long = "ipip-tunnel-addr-" + "n" * 253
    assert len(names.handle_name(long)) == names.LONGEST_NAME
    assert names.handle_name(long) != names.handle_name(long + "n")


@given(NODES, BLOCKS)
def test_invariant_12_etcd_keys_and_names_are_a_bijection(node: str, parts: tuple[int, int, int]) -> None:
    cidr = str(network_of(parts))
    affinity = BlockAffinity(metadata=Metadata(name=names.affinity_name(node, cidr)), node=node, cidr=cidr)
    block = IPAMBlock(metadata=Metadata(name=names.cidr_name(cidr)), cidr=cidr, affinity=f"host:{node}")
    handle = IPAMHandle(metadata=Metadata(name=names.handle_name(node)), handle_id=node, block={cidr: 1})
    for resource in (affinity, block, handle):
        key, value = encode_etcd(resource)
        assert decode_etcd(key, value) == resource
        assert key == etcd_key(resource)
