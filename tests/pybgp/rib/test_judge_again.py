"""Import policies are asked again about what a change of RPKI data concerns, and about nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pybgp.rib.path import Path
from pybgp.rib.policy import Clause, RoutePolicy, ValidationMatch, Verdict
from pybgp.rib.tables import Rib
from pybgp.rpki.pdu import Vrp
from pybgp.rpki.validation_table import AffectedRoutes, ValidationTable
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.nlri import with_path_id
from tests.pybgp.rib.rib_examples import attributes, key, peer, rib_with

PREFIXES = [key("10.1.0.0/16"), key("10.1.2.0/24"), key("10.2.0.0/16")]
INSIDE = Vrp(IPV4_UNICAST, PREFIXES[0], 24, 65009)


class Asked(RoutePolicy):
    """Rejects what is invalid, and remembers what it was asked about."""

    def __init__(self, table: ValidationTable) -> None:
        refuse = Clause("invalid", (ValidationMatch(frozenset({"invalid"})),), then=Verdict.REJECT)
        super().__init__("origins", [refuse], default=Verdict.ACCEPT, validator=table.validate)
        self.asked: list[bytes] = []

    def apply(self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool) -> Sequence[object]:  # type: ignore[override]
        self.asked += keys
        return super().apply(path, family, keys, internal=internal)


@pytest.fixture
def table() -> ValidationTable:
    return ValidationTable()


def rib_and_policy(table: ValidationTable, *, add_path: bool = False) -> tuple[Rib, Asked]:
    rib, policy = rib_with(peer(1, 65001, add_path=add_path)), Asked(table)
    rib.set_import_policy(1, policy)
    keys = [with_path_id(each, number) for number, each in enumerate(PREFIXES)] if add_path else PREFIXES
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), keys)
    rib.announce_local(IPV4_UNICAST, [key("10.1.9.0/24")], attributes(), preference=200)
    policy.asked.clear()
    return rib, policy


@pytest.mark.parametrize("add_path", [False, True])
def test_only_what_is_inside_a_changed_prefix_is_asked_about(table: ValidationTable, add_path: bool) -> None:
    rib, policy = rib_and_policy(table, add_path=add_path)
    changed = table.apply([INSIDE], [])
    changes = rib.judge_again(AffectedRoutes(changed).among)
    assert {(change.path, each) for change in changes for each in change.keys} == {
        (None, each) for each in PREFIXES[:2]
    }
    assert sorted(policy.asked) == sorted(PREFIXES[:2])
    assert set(rib.best(IPV4_UNICAST)) == {PREFIXES[2], key("10.1.9.0/24")}
    changes = rib.judge_again(AffectedRoutes(table.apply([], [INSIDE])).among)
    assert {each for change in changes for each in change.keys} == set(PREFIXES[:2])
    assert len(rib.best(IPV4_UNICAST)) == 4


def test_a_change_that_concerns_nothing_costs_nothing(table: ValidationTable) -> None:
    rib, policy = rib_and_policy(table)
    changed = table.apply([Vrp(IPV4_UNICAST, key("192.0.2.0/24"), 24, 65009)], [])
    assert rib.judge_again(AffectedRoutes(changed).among) == []
    assert policy.asked == []
