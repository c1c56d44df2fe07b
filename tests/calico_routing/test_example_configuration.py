"""The example configuration is valid, whole, and tells the truth about defaults."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from calico_routing.configuration import Configuration, load_configuration
from calico_routing.configuration.options import GROUP, GROUP_OPTIONS, LISTS, OPTIONS, POLICY_TABLES, SECTIONS
from pybgp.rib.policy.policy_words import ACTIONS, MATCHES

PATH = Path(__file__).parents[2] / "examples" / "node.toml"
TEXT = PATH.read_text()
#: What the file sets to something else than the default, or has a default that is worked out.
NOT_DEFAULTS = {
    "node.name",
    "node.as_number",
    "node.router_id",
    "node.cluster_type",
    "datastore.url",
    "datastore.type",
    "datastore.path",
    "bgp.listen_port",
    "bgp.listen_addresses",
    "kernel.tunnel_mtu",
    "bgp.cluster_id",
    "bgp.confederation",
    "bgp.confederation_members",
    "bgp.long_lived_stale_time",
    "bgp.import_policy",
    "bgp.export_policy",
    "kernel.import_policy",
    "mrt.table_file",
    "mrt.message_file",
    "kernel.export_policy",
}


def test_it_is_read() -> None:
    configuration = load_configuration(str(PATH), {})
    assert configuration.datastore_url == "sqlite:///var/lib/calico/datastore.db"
    assert configuration.peers[0].remote_as == 65000


def test_it_has_every_key() -> None:
    document = tomllib.loads(TEXT)
    for option in OPTIONS:
        assert option.key in (document[option.section] if option.section else document), option
    for name, options in LISTS.items():
        written = set().union(*(table.keys() for table in document[name]))
        known = {option.key for option in options}
        shared = {option.key for option in GROUP_OPTIONS} if name in {"dynamic", "link"} else set()
        assert known - shared <= written <= known, name
    assert document["group"].keys() == {table["group"] for table in document["dynamic"]}


def test_every_kind_of_table_is_there() -> None:
    assert tomllib.loads(TEXT).keys() >= {*LISTS, *SECTIONS, *POLICY_TABLES, GROUP, "secrets"}


def test_it_has_every_word_of_a_policy() -> None:
    clauses = [clause for policy in tomllib.loads(TEXT)["policy"].values() for clause in policy["clause"]]
    assert {word for clause in clauses for word in clause.get("match", {})} == MATCHES.keys()
    assert {word for clause in clauses for word in clause.get("set", {})} == ACTIONS.keys()
    assert not load_configuration(str(PATH), {}).warnings


def test_it_names_every_variable() -> None:
    for option in OPTIONS:
        if option.variable and "IPV6POOL" not in option.variable:
            assert re.search(rf"\b{option.variable}\b", TEXT), option


@pytest.mark.parametrize("section", ["node", "datastore", "bgp", "kernel", "control", "log"])
def test_the_values_are_the_defaults(section: str) -> None:
    written: Any = getattr(load_configuration(str(PATH), {}), section)
    default: Any = getattr(Configuration(), section)
    for field in fields(written):
        if f"{section}.{field.name}" not in NOT_DEFAULTS:
            assert getattr(written, field.name) == getattr(default, field.name), field.name
