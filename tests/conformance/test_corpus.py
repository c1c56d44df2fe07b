"""Octets that others wrote: valid ones mean what their sources say, invalid ones cost what the RFCs say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Fault
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.messages import Update, decode
from pybgp.wire.negotiated import Negotiated

from .corpus import Case, cases, required
from .facts import VERDICTS
from .reading import DIFFERENT, wrapped
from .runner import Row, run, run_all, table

#: what may stand behind a number in the table; a reason of another name is a deviation that nobody has explained.
NAMED_REASONS = {
    "a next hop that is no host: withdrawn (section 5.1)",
    "a discarded attribute is left out",
    "a flow specification has no next hop and the shortest length",
    "a repeated attribute is written once",
    "a second address of the next hop that is not link-local is left out",
    "a short value has the short header",
    "an unknown attribute becomes partial",
    "an unknown non-transitive attribute is left out",
    "AS4_PATH and AS4_AGGREGATOR are merged",
    "attributes are written in order",
    "attributes beside withdrawals alone are left out",
    "bits behind a prefix are cleared, or an NLRI is ignored",
    "capabilities stand in one parameter",
    "communities are sorted, each once",
    "IPv4 prefixes stand in the classic field",
    "labels have the bottom-of-stack bit, withdrawn ones the value for it",
    "neighbouring sequences of AS_PATH are joined",
    "NEXT_HOP is left out where no IPv4 prefix needs it",
    "no routes in it",
    "reserved bits are cleared",
    "the reserved octet of MP_REACH is zero",
    "the routes are withdrawn or ignored",
    "unused flags are cleared",
    "withdrawals are a message of their own",
    *(f"{name}: {reason}" for name, reason in DIFFERENT.items()),
}


@cache
def rows() -> dict[tuple[str, str], Row]:
    required()
    return run_all(cases(), variants=2)


def total(name: str) -> int:
    return sum(getattr(row, name) for row in rows().values())


def test_every_case_is_what_its_record_says() -> None:
    wrong = [text for row in rows().values() for text in row.wrong]
    assert not wrong, "\n".join(wrong)
    assert total("cases") > 5500
    assert total("decoded") > 4700
    assert total("facts") > 2800
    assert total("verdicts") > 350
    assert total("variants") > 8000


def test_what_we_read_we_write_again_and_every_difference_has_a_name() -> None:
    assert total("equal") > 1800
    assert total("equal") + total("equivalent") > 2780
    assert total("different") == 0
    assert {reason for row in rows().values() for reason in row.reasons} <= NAMED_REASONS


def test_a_cut_message_is_waited_for() -> None:
    assert total("waiting") > 5


def test_the_table_names_every_source_and_every_reason() -> None:
    shown = table(rows())
    assert all(source in shown for _, source in rows())
    assert "communities are sorted, each once" in shown


def test_the_runner_sees_what_is_wrong() -> None:
    """A record that says something else than the octets is reported, and so is a verdict that never comes."""
    required()
    case = next(case for case in cases("update") if case.valid is True and case.expect.get("nlri"))
    row = Row()
    run(changed(case, nlri=["192.0.2.0/24"] * 40), row)
    run(changed(case, errors=[{"code": 3, "subcode": 1, "rfc7606": "session-reset"}], valid=False), row)
    assert len(row.wrong) == 2
    assert "WRONG" in table({("folder", "source"): row})


def changed(case: Case, valid: bool = True, **facts: object) -> Case:
    return Case(
        case.folder, case.source, case.id, case.kind, valid, case.octets, case.context, {**case.expect, **facts}
    )


def test_attributes_with_a_stated_verdict() -> None:
    """FRR's own cases: verdict by verdict, on the kind of session they name."""
    required()
    checked = 0
    for case in cases("attribute"):
        if "rfc7606" not in case.expect or case.id in DIFFERENT:
            continue
        peer_as = 65001 if case.context["peer"] == "ebgp" else 65000
        negotiated = Negotiated(65000, peer_as, 1, 2, families=frozenset({IPV4_UNICAST, IPV6_UNICAST}))
        try:
            update = decode(wrapped(case, case.octets), negotiated, AttributeStore())
            assert isinstance(update, Update)
            verdict = max((fault.fault for fault in update.faults), default=None)
        except RemoteError:
            verdict = Fault.RESET
        stated = case.expect["rfc7606"]
        wanted = {None, Fault.DISCARD} if stated == "accept" else {VERDICTS[stated]}
        assert verdict in wanted, (case.id, stated)
        checked += 1
    assert checked >= 9


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_list_of_differences_is_not_longer_than_it_must_be(name: str) -> None:
    """Each of them is a case, and we do with it what its line says: it is not as its record wants it."""
    required()
    case = next(case for case in cases() if case.id == name)
    row = Row()
    run(replace(case, id="again"), row)
    if case.valid is True or case.kind == "capability" or "errors" in case.expect:
        assert row.wrong or row.refused
