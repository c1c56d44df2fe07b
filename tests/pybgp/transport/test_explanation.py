"""Why a prefix is where it is, asked of speakers that run."""

from __future__ import annotations

import pytest

from pybgp import ACCEPT_ALL, IPV4_UNICAST, LocalError, Speaker
from pybgp.rib.policy import Verdict, parse_policies
from pybgp.transport.explanation import POLICY_SAYS_NO, Candidate, Export
from pybgp.transport.peering import PeerPolicies

from .test_speaker import Town, run, until

PREFIX, HIDDEN = "192.0.2.0/24", "198.51.100.0/24"
POLICIES = parse_policies("""
[policy.in]
default = "accept"
[[policy.in.clause]]
name = "refused"
match.prefix = "198.51.100.0/24"
then = "reject"
[[policy.in.clause]]
name = "mark"
set.community_add = "65000:7"

[policy.out]
default = "reject"
[[policy.out.clause]]
name = "named"
match.tag = "no such tag"
then = "accept"
""")


def candidates(speaker: Speaker, prefix: str) -> dict[str, Candidate]:
    return {candidate.peer: candidate for candidate in speaker.explain(prefix).candidates}


def exports(speaker: Speaker, prefix: str) -> dict[str, Export]:
    return {export.peer: export for export in speaker.explain(prefix).exports}


def test_every_path_and_every_peer() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = (place.make(number, asn=64500 + number) for number in (1, 2, 3))
        one.announce([PREFIX, HIDDEN])
        three.announce(PREFIX, as_path=[65009])
        two.set_policies(POLICIES["in"], ACCEPT_ALL, {"n3": PeerPolicies(None, POLICIES["out"])})
        await place.full_mesh()
        await until(lambda: len(two.received("n3", IPV4_UNICAST)) == len(two.received("n1", IPV4_UNICAST)) == 2)

        found = candidates(two, PREFIX)
        assert set(found) == {"n1", "n3"}
        assert found["n1"].chosen
        assert found["n1"].loss is None
        loss = found["n3"].loss
        assert loss is not None
        assert (loss.step, loss.winner_value, loss.loser_value) == ("AS path length", 1, 2)
        policy = found["n1"].import_policy
        assert policy is not None
        assert [(hit.clause, hit.verdict) for hit in policy.hits] == [
            ("mark", Verdict.NEXT),
            ("default", Verdict.ACCEPT),
        ]
        assert [change.after for change in policy.hits[0].changes] == ["65000:7"]

        refused = candidates(two, HIDDEN)["n1"]
        assert refused.path.rejection == "rejected by import policy"
        assert not refused.chosen
        assert refused.import_policy is not None
        assert refused.import_policy.hits[0].clause == "refused"
        assert {export.reason for export in exports(two, HIDDEN).values()} == {"nothing is selected"}

        heard = exports(two, PREFIX)
        assert (heard["n1"].attributes, heard["n1"].reason) == (None, "learned from this peer")
        assert (heard["n3"].attributes, heard["n3"].reason) == (None, POLICY_SAYS_NO)
        assert heard["n3"].export_policy is not None
        assert [hit.clause for hit in heard["n3"].export_policy.hits] == ["default"]
        two.set_policies(POLICIES["in"], ACCEPT_ALL, {})
        await until(lambda: exports(two, PREFIX)["n3"].reason == "")
        sent = exports(two, PREFIX)["n3"].attributes
        assert sent is not None
        assert list(sent.as_path) == [64502, 64501]
        assert two.sent("n3", IPV4_UNICAST)[two.explain(PREFIX).key].attributes == sent

    run(scenario)


def test_rules_that_no_policy_lifts_have_reasons() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = place.make(1), place.make(2), place.make(3, asn=64503)
        one.announce(PREFIX, communities=[0xFFFFFF01])
        two.announce(HIDDEN, communities=[0xFFFFFF02])
        await place.full_mesh()
        await until(lambda: PREFIX in place.seen(2))
        assert "internal" in exports(two, PREFIX)["n1"].reason
        assert exports(two, PREFIX)["n3"].reason == "community no-export or no-export-subconfed"
        assert exports(two, HIDDEN)["n1"].reason == "community no-advertise"
        assert candidates(two, HIDDEN)["local"].chosen
        await three.stop()
        await until(lambda: exports(two, PREFIX)["n3"].reason == "the session is down")
        assert not candidates(two, "203.0.113.0/24")
        with pytest.raises(LocalError, match="host bits"):
            two.explain("10.0.0.1/8")

    run(scenario)


def test_an_import_policy_sees_a_drained_route_as_it_enters() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1, asn=64501), place.make(2, asn=64502)
        one.announce(PREFIX, communities=[0xFFFF0000])
        two.set_policies(POLICIES["in"], ACCEPT_ALL, {})
        await place.full_mesh()
        await until(lambda: PREFIX in place.seen(2))
        found = candidates(two, PREFIX)["n1"]
        assert found.import_policy is not None
        assert found.import_policy.outcome is not None
        assert found.import_policy.outcome.attributes == found.path.attributes
        assert found.path.attributes.local_pref == 0

    run(scenario)
