"""A policy that asks the RPKI validation table (RFC 6811)."""

from __future__ import annotations

from pybgp.rib.path import Path, Source
from pybgp.rib.policy import parse_policies
from pybgp.rpki.pdu import Vrp
from pybgp.rpki.validation_table import ValidationTable
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.rib.rib_examples import attributes, key, peer

POLICY = parse_policies("""
[[policy.rpki.clause]]
match.validation = "invalid"
then = "reject"
[[policy.rpki.clause]]
match.validation = "valid"
set.local_pref = 200
[[policy.rpki.clause]]
then = "accept"
""")["rpki"]
VALID, INVALID, UNKNOWN = key("192.0.2.0/24"), key("192.0.2.0/25"), key("198.51.100.0/24")


def test_states_part_the_prefixes_of_one_path() -> None:
    table = ValidationTable()
    policy = POLICY.validated_by(table.validate)
    given = attributes(64501, 65001)
    path = Path(1, Source.EBGP, given, given, teller=peer(1, 64501))

    def judged() -> dict[bytes, int | None]:
        answers = policy.apply(path, IPV4_UNICAST, [VALID, INVALID, UNKNOWN], internal=False)
        return {one: answer.attributes.local_pref for answer in answers for one in answer.keys}

    assert judged() == {VALID: None, INVALID: None, UNKNOWN: None}
    table.apply([Vrp(IPV4_UNICAST, VALID, 24, 65001)], ())
    assert judged() == {VALID: 200, UNKNOWN: None}
