"""Results of all seven versions and the conversions between them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.cni.errors import CniError
from calico_routing.cni.result import Address, Interface, Result, Route, parse_result, render_result
from calico_routing.cni.versions import SUPPORTED_VERSIONS

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden" / "calico" / "text"
LEGACY = SUPPORTED_VERSIONS[:2]
WITH_INTERFACES = SUPPORTED_VERSIONS[2:]

POD = Result(
    interfaces=(
        Interface("cali892ef576711", mac="ee:ee:ee:ee:ee:ee"),
        Interface("eth0", mac="42:d6:cd:f9:ff:85", sandbox="/run/netns/pod", mtu=1440),
    ),
    ips=(Address("192.168.5.1/32", interface=1), Address("fd00:9::41/128", interface=1)),
    routes=(Route("0.0.0.0/0", "169.254.1.1"), Route("::/0", priority=5, table=254)),
    dns={"nameservers": ["10.96.0.10"], "search": ["svc.cluster.local"]},
)


def test_legacy_shape() -> None:
    assert render_result(POD, "0.2.0") == {
        "cniVersion": "0.2.0",
        "ip4": {"ip": "192.168.5.1/32", "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}]},
        "ip6": {"ip": "fd00:9::41/128", "routes": [{"dst": "::/0"}]},
        "dns": {"nameservers": ["10.96.0.10"], "search": ["svc.cluster.local"]},
    }


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0"])
def test_middle_shape(version: str) -> None:
    assert render_result(POD, version) == {
        "cniVersion": version,
        "interfaces": [
            {"name": "cali892ef576711", "mac": "ee:ee:ee:ee:ee:ee"},
            {"name": "eth0", "mac": "42:d6:cd:f9:ff:85", "sandbox": "/run/netns/pod"},
        ],
        "ips": [
            {"version": "4", "interface": 1, "address": "192.168.5.1/32"},
            {"version": "6", "interface": 1, "address": "fd00:9::41/128"},
        ],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}, {"dst": "::/0", "priority": 5, "table": 254}],
        "dns": {"nameservers": ["10.96.0.10"], "search": ["svc.cluster.local"]},
    }


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_newest_shape(version: str) -> None:
    document = render_result(POD, version)
    assert document["interfaces"][1]["mtu"] == 1440
    assert document["ips"] == [
        {"interface": 1, "address": "192.168.5.1/32"},
        {"interface": 1, "address": "fd00:9::41/128"},
    ]


def test_empty_members_are_left_out() -> None:
    assert render_result(Result(), "1.0.0") == {"cniVersion": "1.0.0"}
    assert render_result(Result(ips=(Address("10.0.0.1/32"),)), "1.0.0")["ips"] == [{"address": "10.0.0.1/32"}]


@pytest.mark.parametrize("version", LEGACY)
def test_legacy_needs_an_address(version: str) -> None:
    with pytest.raises(CniError, match="no address"):
        render_result(POD._replace(ips=()), version)


@pytest.mark.parametrize("version", LEGACY)
def test_legacy_keeps_the_first_of_each_family_and_its_routes(version: str) -> None:
    many = POD._replace(ips=(Address("10.0.0.1/32"), Address("10.0.0.2/32")))
    document = render_result(many, version)
    assert document["ip4"]["ip"] == "10.0.0.1/32"
    assert "ip6" not in document


@pytest.mark.parametrize(("first", "second"), [*itertools.product(WITH_INTERFACES, repeat=2)])
def test_round_trip_keeps_the_common_members(first: str, second: str) -> None:
    through = parse_result(render_result(parse_result(render_result(POD, first), "0.1.0"), second), "0.1.0")
    without_extras = tuple(entry._replace(mtu=0) for entry in POD.interfaces)
    expected = POD if {first, second} <= {"1.0.0", "1.1.0"} else POD._replace(interfaces=without_extras)
    assert through == expected


@pytest.mark.parametrize(("old", "new"), [*itertools.product(LEGACY, SUPPORTED_VERSIONS)])
def test_legacy_to_any(old: str, new: str) -> None:
    result = parse_result(render_result(POD, old), "1.0.0")
    assert result.interfaces == ()
    assert [entry.address for entry in result.ips] == ["192.168.5.1/32", "fd00:9::41/128"]
    assert [entry.dst for entry in result.routes] == ["0.0.0.0/0", "::/0"]
    assert render_result(result, new)["cniVersion"] == new


def test_a_result_without_a_version_takes_the_configurations() -> None:
    assert parse_result({"ip4": {"ip": "10.0.0.1/32"}}, "0.2.0").ips == (Address("10.0.0.1/32"),)
    assert parse_result({"ips": [{"address": "10.0.0.1/32"}]}, "1.0.0").ips == (Address("10.0.0.1/32"),)


def test_keys_match_without_regard_to_case() -> None:
    document = {"IPs": [{"Address": "10.0.0.1/24", "INTERFACE": 0}], "Interfaces": [{"NAME": "eth0"}]}
    assert parse_result(document, "1.0.0") == Result((Interface("eth0"),), (Address("10.0.0.1/24", 0),))


def test_index_minus_one_is_unknown() -> None:
    assert parse_result({"ips": [{"address": "10.0.0.1/24", "interface": -1}]}, "1.0.0").ips[0].interface is None


@pytest.mark.parametrize(
    "document",
    [
        {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.300/24"}]},
        {"cniVersion": "1.0.0", "ips": [{}]},
        {"cniVersion": "1.0.0", "ips": {}},
        {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.1/24", "interface": "eth0"}]},
        {"cniVersion": "1.0.0", "routes": [{"dst": "default"}]},
        {"cniVersion": "0.2.0", "ip4": {"gateway": "10.0.0.1"}},
        {"cniVersion": "one"},
        {"cniVersion": "1.0.0", "interfaces": ["eth0"]},
    ],
)
def test_nonsense_is_refused_with_code_7(document: dict[str, Any]) -> None:
    with pytest.raises(CniError) as caught:
        parse_result(document, "1.0.0")
    assert caught.value.code == 7


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden records are not here")
def test_calicos_own_results_are_understood() -> None:
    files = sorted(GOLDEN.glob("*cni-add*.json"))
    assert files
    for path in files:
        document = json.loads(path.read_text())
        del document["routes"]  # Calico writes host bits into the destination; we write the network
        assert render_result(parse_result(document, "1.0.0"), "1.0.0") == document


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "10.0.0.1/24", "::1/128", "eth0", "0.3.1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ips", "IPS", "ip4", "ip", "address", "interface", "dst", "routes", "dns", "interfaces"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["ips", "ip4", "routes", "dns", "interfaces", "cniVersion"]), values),
    st.sampled_from(SUPPORTED_VERSIONS),
)
def test_any_document_is_parsed_or_refused(document: dict[str, Any], version: str) -> None:
    try:
        result = parse_result(document, version)
    except CniError as error:
        assert error.code == 7
        return
    assert parse_result(render_result(result, "1.1.0"), "1.1.0") == result
