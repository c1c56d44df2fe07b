"""TOML and environment: what is read, and how each mistake is told (file, line, key, what was expected)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.configuration import (
    DEFAULT_DATASTORE,
    Configuration,
    ConfigurationError,
    load_configuration,
    parse_configuration,
    reader,
)
from calico_routing.configuration.options import OPTIONS

FULL = """\
no_default_pools = false

[node]
name = "worker-01"
ip = "autodetect"
ip_autodetection_method = "interface=eth.*"
as_number = "1.1"
router_id = "hash"

[datastore]
url = "sqlite:///var/lib/x.db"

[ipv4_pool]
cidr = "10.244.0.0/16"
ipip = "crosssubnet"
block_size = 28

[[pool]]
name = "more"
cidr = "10.250.0.0/16"

[bgp]
hold_time = 9
networks = [
  "10.9.0.0/16",  # "not" = a key
  "10.10.0.0/16",
]
shutdown = "cease"

[kernel]
tunnel_mtu = "auto"

[secrets]
"bgp-passwords/mesh" = "tigera"

[[peer]]
address = "192.0.2.1"
remote_as = 64513
password = "s3cret = yes"

[[peer]]
address = "2001:db8::1"
remote_as = 64514
"""

PEER = "[[peer]]\naddress = '192.0.2.1'\nremote_as = 1\nlocal_as = 1\n"


def problems(text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, "node.toml", environment or {})
    return [str(problem) for problem in caught.value.problems]


def test_every_table_is_read() -> None:
    read = parse_configuration(FULL, "node.toml", {})
    assert (read.node.name, read.node.as_number, read.node.router_id) == ("worker-01", 65537, "hash")
    assert read.datastore_url == "sqlite:///var/lib/x.db"
    assert (read.ipv4_pool.cidr, read.ipv4_pool.ipip, read.ipv4_pool.block_size) == ("10.244.0.0/16", "CrossSubnet", 28)
    assert read.pools[0].name == "more"
    assert (read.bgp.hold_time, read.bgp.networks, read.bgp.shutdown) == (9, ("10.9.0.0/16", "10.10.0.0/16"), "cease")
    assert read.kernel.tunnel_mtu == 0
    assert read.secrets == {"bgp-passwords/mesh": "tigera"}
    assert [(peer.address, peer.remote_as) for peer in read.peers] == [("192.0.2.1", 64513), ("2001:db8::1", 64514)]


def test_nothing_at_all_is_a_calico_node_with_the_embedded_store() -> None:
    read = parse_configuration("", "node.toml", {})
    assert read == Configuration()
    assert read.datastore_url == DEFAULT_DATASTORE


@pytest.mark.parametrize(
    ("text", "environment", "url"),
    [
        ('[datastore]\nurl = "none"', {"AS": "64512"}, None),
        ('[node]\nas_number = 1\n[[peer]]\naddress = "192.0.2.1"\nremote_as = 1', {}, None),
        ("", {"DATASTORE_TYPE": "memory"}, "memory:"),
        ("", {"DATASTORE_PATH": "/x/y.db"}, "sqlite:///x/y.db"),
        ("", {"DATASTORE_TYPE": "sqlite"}, DEFAULT_DATASTORE),
        ('[datastore]\nurl = "memory:"', {"DATASTORE_URL": "sqlite:///z"}, "sqlite:///z"),
    ],
)
def test_which_datastore(text: str, environment: dict[str, str], url: str | None) -> None:
    assert parse_configuration(text, "node.toml", environment).datastore_url == url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[bgp]\nhold_time = 2", "node.toml:2: bgp.hold_time: expected 0 or a whole number of seconds from 3 to 65535"),
        ('[bgp]\n\nhold_time = "9"', "node.toml:3: bgp.hold_time: expected 0 or"),
        ("[bgp]\nhold_time = true", "node.toml:2: bgp.hold_time: expected 0 or"),
        ("[bgp]\nhold_tim = 9", "node.toml:2: bgp.hold_tim: no such key; did you mean 'hold_time'?"),
        (
            "[ipv4_pool]\nblock_size = 33",
            "node.toml:2: ipv4_pool.block_size: expected a whole number from 20 to 32",
        ),
        ("[ipv6_pool]\nblock_size = 115", "node.toml:2: ipv6_pool.block_size: expected a whole number from 116 to 128"),
        ('[ipv4_pool]\ncidr = "10.0.0.1/8"', "node.toml:2: ipv4_pool.cidr: expected"),
        ('[ipv4_pool]\ncidr = "10.0.0.0"', "node.toml:2: ipv4_pool.cidr: expected"),
        ('[ipv4_pool]\ncidr = "fd00::/48"', "node.toml:2: ipv4_pool.cidr: expected"),
        ('[ipv4_pool]\ncidr = "10.0.0.0/27"', "node.toml:2: ipv4_pool.cidr: expected a prefix of /26 or shorter"),
        (
            '[ipv4_pool]\ncidr="10.0.0.0/8"\nipip="always"\nvxlan="always"',
            "node.toml:2: ipv4_pool.vxlan: expected",
        ),
        ('[[pool]]\ncidr = "fd00::/48"\nipip = "Always"', 'node.toml:2: pool.ipip: expected "Never" for an IPv6 pool'),
        (
            '[[pool]]\ncidr = "fd00::/48"\nblock_size = 26',
            "node.toml:2: pool.block_size: expected",
        ),
        ('[[pool]]\nname = "x"', "node.toml:1: pool.cidr: missing"),
        ("no_default_pools = true\n[ipv4_pool]\ncidr = '10.0.0.0/8'", "node.toml:1: no_default_pools: expected no"),
        ("[nod]\nname = 'x'", "node.toml:1: nod: no such key; did you mean 'node'?"),
        ("[secrets]\n'a/b' = 5", "node.toml:2: secrets.a/b: expected a text"),
        ("secrets = 5", "node.toml:1: secrets: expected a table, not 5"),
        ("node = 5", "node.toml:1: node: expected a table, not 5"),
        ("[peer]\naddress = '192.0.2.1'", "node.toml:1: peer: expected [[peer]] tables"),
        ("[[peer]]\naddress = '192.0.2.1'", "node.toml:1: peer: remote_as missing"),
        ("[[peer]]\naddress = 'x'\nremote_as = 1", "node.toml:2: peer.address: expected an IP address, not 'x'"),
        ("[node]\nas_number = 0", "node.toml:2: node.as_number: expected an AS number from 1 to 4294967295"),
        ("[node]\nas_number = '70000.1'", "node.toml:2: node.as_number: expected an AS number"),
        ("[node]\nname = x", "node.toml:2: name: expected TOML, but: invalid value"),
        ("[node]\nname = 'x", "node.toml:2: name: expected TOML, but:"),
        ("[bgp]\nnetworks = [\n 'x',\n 5\n]", "node.toml:2: bgp.networks: expected a list, each item a prefix"),
        ("[kernel]\ntunnel_mtu = 'big'", 'node.toml:2: kernel.tunnel_mtu: expected "auto" or a whole number'),
        ("[log]\nlevel = 'loud'", 'node.toml:2: log.level: expected one of "debug", "info", "warning", "error"'),
        ("[[peer]]\naddress='192.0.2.1'\nremote_as=1", "node.toml:1: peer.local_as: expected here, or node.as_number"),
        ("[kernel]\nresync_interval = 0", "node.toml:2: kernel.resync_interval: expected a number of seconds above 0"),
        ("[bgp]\nconnect_retry_time = 0", "node.toml:2: bgp.connect_retry_time: expected a number of seconds above 0"),
        ("[kernel]\nmtu_interface_pattern = '['", "node.toml:2: kernel.mtu_interface_pattern: expected a regular"),
        (PEER + f"password = '{'x' * 81}'", "node.toml:5: peer.password: expected a text of 1 to 80 octets"),
        (f"[secrets]\n'a/b' = '{'x' * 81}'", "node.toml:2: secrets.a/b: expected a text of 1 to 80 octets"),
        (
            PEER + "ttl_security_hops = 255",
            "node.toml:5: peer.ttl_security_hops: expected a whole number from 1 to 254",
        ),
        (PEER + "local_address = '::1'", "node.toml:5: peer.local_address: expected an IPv4 address as 192.0.2.1 is"),
        (
            PEER.replace("192.0.2.1", "fe80::7"),
            "node.toml:2: peer.address: expected the interface behind a link-local address, such as fe80::7%eth0",
        ),
        (PEER + "families = []", "node.toml:5: peer.families: expected a list that is not empty, each item one of"),
        (
            PEER + "keepalive_time = 240",
            "node.toml:5: peer.keepalive_time: expected less than the hold time, 240, not 240",
        ),
        (
            PEER + "hold_time = 9\nkeepalive_time = 20",
            "node.toml:6: peer.keepalive_time: expected less than the hold time, 9, not 20",
        ),
        (
            "[node]\nas_number = 1\n[[dynamic]]\nname = 'd'\nprefix = '::/0'\nremote_as = 2\nkeepalive_time = 999",
            "node.toml:7: dynamic.keepalive_time: expected less than the hold time, 240, not 999",
        ),
        (
            "[ipv4_pool]\nipip = 'Always'\nvxlan = 'Always'",
            'node.toml:3: ipv4_pool.vxlan: expected "Never" beside ipip = "Always"',
        ),
        (
            "[policy.up]\n[[policy.up.clause]]\nname='a'\n\n[[policy.up.clause]]\nmatch = { origin = 'x' }",
            "node.toml:6: policy.up.clause.match.origin: expected one of 'igp', 'egp', 'incomplete', not 'x'",
        ),
        (
            "[[policy.up.clause]]\n[policy.up.clause.match]\nprefix = '10.0.0.0/8 le 4'",
            "node.toml:3: policy.up.clause.match.prefix: prefix '10.0.0.0/8 le 4': no prefix fits",
        ),
        ("[policy.up]\n[bgp]\nimport_policy = 'op'", "node.toml:3: bgp.import_policy: expected the name of a [policy"),
        (PEER + "export_policy = 'up'", "node.toml:5: peer.export_policy: expected the name of a [policy.NAME] table"),
        ("[prefix_set.s]\nfile = 'gone.txt'", "node.toml:2: prefix_set.s.file: gone.txt: cannot be read: "),
        (
            "[prefix_set.s]\nfile = '/dev/zero'",
            "node.toml:2: prefix_set.s.file: /dev/zero: cannot be read: it is no regular file",
        ),
        ('[prefix_set.s]\nfile = "a\\u0000b"', r"node.toml:2: prefix_set.s.file: 'a\x00b': cannot be read: "),
        ("[[policy.p.clause]]\nmatch.as_path = '(1+)+$'", "node.toml:2: policy.p.clause.match.as_path: '(1+)+$' takes"),
        ("[prefixset.s]", "node.toml:1: prefixset: no such key; did you mean 'prefix_set'?"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_what_was_expected(text: str, problem: str) -> None:
    assert problems(text)[0].startswith(problem)


def test_two_pools_of_one_name() -> None:
    text = "[[pool]]\nname = 'a'\ncidr = '10.1.0.0/16'\n[[pool]]\nname = 'a'\ncidr = '10.2.0.0/16'\n"
    assert problems(text) == ["node.toml:5: pool.name: expected each name once, but 'a' stands twice"]


def test_overlapping_pools_name_each_other() -> None:
    text = '[ipv4_pool]\ncidr = "10.0.0.0/8"\n\n[[pool]]\nname = "b"\ncidr = "10.1.0.0/16"'
    expected = "node.toml:6: pool.cidr: expected a prefix apart from other pools, but 10.1.0.0/16 overlaps 10.0.0.0/8"
    assert problems(text) == [f"{expected} (node.toml:2)"]


def test_a_peer_may_stand_once_only() -> None:
    peer = "[[peer]]\naddress = '192.0.2.1'\nremote_as = 1\nlocal_as = 1\n"
    refusal = ["node.toml:6: peer.address: expected each peer once, but 192.0.2.1 stands twice"]
    assert problems(peer + peer) == refusal
    assert problems(peer + peer + "port = 1179\n") == refusal


def test_each_peer_has_a_name_of_its_own() -> None:
    other = PEER.replace("192.0.2.1", "192.0.2.2")
    named = f"{PEER}name = 'tor'\n{other}name = 'tor'\n"
    assert problems(named) == ["node.toml:10: peer.name: expected each name once, but 'tor' stands twice"]


def test_all_problems_are_kept_and_the_text_counts_them() -> None:
    with pytest.raises(ConfigurationError, match="and 1 more") as caught:
        parse_configuration("[bgp]\nhold_time = 1\nrestart_time = 0", "node.toml", {})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("version", [4, 6])
def test_every_pool_variable(version: int) -> None:
    """D1: prefix, block size bounds, NAT, mode, selector, BGP export."""
    cidr, smallest, largest = ("10.0.0.0/8", 20, 32) if version == 4 else ("fd00::/48", 116, 128)
    prefix = f"CALICO_IPV{version}POOL_"
    environment = {
        prefix + "CIDR": cidr,
        prefix + "VXLAN": "CrossSubnet",
        prefix + "NAT_OUTGOING": "n",
        prefix + "NODE_SELECTOR": "has(x)",
        prefix + "DISABLE_BGP_EXPORT": "true",
    }
    for size in (smallest, largest):
        read = parse_configuration("", "x", environment | {prefix + "BLOCK_SIZE": str(size)})
        pool = read.ipv4_pool if version == 4 else read.ipv6_pool
        assert (pool.cidr, pool.block_size, pool.vxlan, pool.nat_outgoing) == (cidr, size, "CrossSubnet", False)
        assert (pool.node_selector, pool.disable_bgp_export) == ("has(x)", True)
    for size in (smallest - 1, largest + 1):
        expected = f"environment variable {prefix}BLOCK_SIZE: expected a whole number from {smallest} to {largest}"
        assert problems("", environment | {prefix + "BLOCK_SIZE": str(size)})[0].startswith(expected)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("off", "Never"),
        ("Never", "Never"),
        ("ALWAYS", "Always"),
        ("CrossSubnet", "CrossSubnet"),
        ("cross-subnet", "CrossSubnet"),
    ],
)
def test_ipip_spellings(text: str, mode: str) -> None:
    assert parse_configuration("", "x", {"CALICO_IPV4POOL_IPIP": text}).ipv4_pool.ipip == mode


def test_an_unknown_ipip_mode_is_refused() -> None:
    assert problems("", {"CALICO_IPV4POOL_IPIP": "sometimes"})[0].startswith(
        "environment variable CALICO_IPV4POOL_IPIP"
    )


def test_no_default_pools_and_a_prefix_contradict_each_other() -> None:
    found = problems("", {"NO_DEFAULT_POOLS": "true", "CALICO_IPV4POOL_CIDR": "10.0.0.0/8"})
    assert found[0].startswith("environment variable NO_DEFAULT_POOLS: no_default_pools:")


def test_the_environment_wins_over_the_file() -> None:
    read = parse_configuration(FULL, "node.toml", {"NODENAME": "other", "AS": "64999", "FELIX_IPINIPMTU": "1480"})
    assert (read.node.name, read.node.as_number, read.kernel.tunnel_mtu) == ("other", 64999, 1480)


def test_each_variable_is_used_once() -> None:
    variables = [option.variable for option in OPTIONS if option.variable]
    assert len(variables) == len(set(variables))


def test_a_file_that_is_asked_for_must_exist_and_be_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_configuration(str(tmp_path / "none.toml"), {})
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_configuration(str(tmp_path), {})
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    (tmp_path / "latin.toml").write_bytes(b"# a\n# \xe9\n")
    with pytest.raises(ConfigurationError, match=r"latin.toml:2: .*not UTF-8"):
        load_configuration(str(tmp_path / "latin.toml"), {})


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("[" * 3000 + "]" * 3000, "brackets are nested too deeply"),
        ("9" * 5000, "a number has too many digits"),
    ],
)
def test_what_breaks_the_parser_has_a_line_too(value: str, cause: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(f"[node]\nname = 'a'\nx = {value}\n", "node.toml", {})
    assert str(caught.value) == f"node.toml:3: expected TOML, but: {cause}"


def test_a_file_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST_CONFIGURATION", 20)
    (tmp_path / "crlf.toml").write_bytes(b"[node]\r\nname='a'\r\n")
    assert load_configuration(str(tmp_path / "crlf.toml"), {}).node.name == "a"
    with pytest.raises(ConfigurationError, match="/dev/zero: cannot be read: it has more than 20 octets"):
        load_configuration("/dev/zero", {})


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_configuration(text, "node.toml", {})
    except ConfigurationError as error:
        assert error.problems


@given(st.lists(st.sampled_from(FULL.splitlines()), max_size=40).map("\n".join))
def test_any_mixture_of_lines_is_read_or_refused(text: str) -> None:
    try:
        parse_configuration(text, "node.toml", {})
    except ConfigurationError as error:
        assert error.problems


def test_policies_and_their_files(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "ours.txt").write_text("10.0.0.0/8 le 24\n")
    path = tmp_path / "node.toml"
    path.write_text(
        "[bgp]\nimport_policy = 'in'\n[prefix_set.ours]\nfile = 'lists/ours.txt'\n"
        "[[policy.in.clause]]\nname = 'first'\nmatch.prefix_set = 'ours'\nthen = 'accept'\n"
        "[[policy.in.clause]]\nmatch.prefix = '10.1.0.0/16'\nthen = 'reject'\n"
    )
    configuration = load_configuration(str(path), {})
    assert list(configuration.policies) == ["in"]
    assert [str(warning) for warning in configuration.warnings] == [
        f"{path}:9: policy.in.clause: never reached: clause first decides all that it matches"
    ]
    (tmp_path / "lists" / "ours.txt").write_text("10.0.0.0/8 le 24\n10.0.0.0/40\n")
    with pytest.raises(ConfigurationError, match=r"^lists/ours.txt:2: prefix '10.0.0.0/40'"):
        load_configuration(str(path), {})
