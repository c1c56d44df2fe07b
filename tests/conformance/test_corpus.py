"""Octets that others wrote: valid ones mean what their sources say, invalid ones cost what the RFCs say."""

from __future__ import annotations

import random
from ipaddress import IPv6Network
from typing import Any

import pytest

from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes, Fault
from pybgp.wire.capabilities import AddPath, GracefulRestart, MultiprotocolCapability, encode_capability
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.framing import Framer
from pybgp.wire.iana import SegmentType
from pybgp.wire.messages import Message, Notification, Open, RouteRefresh, Update, decode, encode
from pybgp.wire.nlri import format_prefix, path_id
from pybgp.wire.updates import message_octets

from .corpus import Case, address, cases, required

SUPPORTED = (IPV4_UNICAST, IPV6_UNICAST)
SEGMENTS = {
    "set": SegmentType.SET,
    "seq": SegmentType.SEQUENCE,
    "confed_seq": SegmentType.CONFED_SEQUENCE,
    "confed_set": SegmentType.CONFED_SET,
}
VERDICTS = {"attribute-discard": Fault.DISCARD, "treat-as-withdraw": Fault.WITHDRAW, "session-reset": Fault.RESET}
#: where we differ from the record on purpose.
DIFFERENT = {
    "fboss-bgp:other-80728df6ca62c09b": "type 0 and length 65535 at once: the length is judged first",
    "odl:update-0502dd7f6ad93067": "wrong flags of MP_REACH are part of its syntax, so 3/9 (RFC 4760 section 7)",
    "exabgp:update-28e715d0c7232545": "an IPv6 route with a next hop of 4 octets",
    "bgp4j:update-2691481c993984d3": "a multicast NEXT_HOP and no NLRI: nothing to withdraw (RFC 7606 section 5.2)",
    "exabgp:update-b28807647ee8d7b3": "a loopback prefix by a loopback next hop: ignored, not withdrawn",
    "frr:attribute-a9a7cbd73d275f3b": "a session inside one administrative domain, which we do not have",
    "routecore:update-c43e3fc245f3b70f": "BGPSEC_PATH instead of AS_PATH; we do not negotiate BGPsec",
}


def read(case: Case, octets: bytes | None = None) -> Message | None:
    """One message as a session would read it; None if the framer waits for more."""
    negotiated = case.negotiated()
    framer = Framer(negotiated.receive_limit)
    framer.feed(case.octets if octets is None else octets)
    message = framer.next_message()
    return None if message is None else decode(message, negotiated, AttributeStore())


def of_kind(*kinds: str) -> list[Case]:
    required()
    found = [case for case in cases(*kinds) if case.id not in DIFFERENT]
    assert found
    return found


def has_no_host_for_next_hop(update: Update) -> bool:
    """Sources write 0.0.0.0, 127.0.0.1 and :: for brevity; we withdraw such routes (spec section 5.1)."""
    costly = [fault.reason for fault in update.faults if fault.fault > Fault.DISCARD]
    return bool(costly) and all(reason.endswith("is no host") for reason in costly)


def stated_prefix(stated: str | dict[str, Any]) -> tuple[int | None, str]:
    """The path identifier and the prefix of a record, IPv6 in our spelling."""
    prefix = stated if isinstance(stated, str) else stated["prefix"]
    identifier = None if isinstance(stated, str) else stated.get("path_id")
    return identifier, str(IPv6Network(prefix)) if ":" in prefix else prefix


def prefixes(case: Case, sets: Any, family: Family) -> list[tuple[int | None, str]]:
    add_path = family in case.negotiated().add_path_receive
    return [
        (path_id(key) if add_path else None, format_prefix(family, key, add_path=add_path))
        for item in sets
        if item.family == family
        for key in item.keys
    ]


def check_nlri(case: Case, update: Update) -> None:
    """Every prefix of the record is announced or withdrawn as it says, odd ones apart."""
    expect = case.expect
    for family, gone, came in nlri_facts(expect):
        if family not in SUPPORTED:
            continue
        withdrawn, announced = prefixes(case, update.withdrawn, family), prefixes(case, update.announced, family)
        odd = [fault for fault in update.faults if "no unicast destination" in fault.reason]
        lost = has_no_host_for_next_hop(update)
        stated_gone = list(map(stated_prefix, gone + came if lost else gone))
        assert sorted(withdrawn, key=str) == sorted(stated_gone, key=str)
        stated = [] if lost else list(map(stated_prefix, came))
        assert len(announced) + (len(odd) if stated else 0) == len(stated)
        assert [prefix for prefix in stated if prefix in announced] == announced


def nlri_facts(expect: dict[str, Any]) -> list[tuple[Family, list[Any], list[Any]]]:
    """(family, withdrawn, announced) of a record, the classic fields and MP attributes of one family together."""
    gone = {IPV4_UNICAST: list(expect.get("withdrawn", []))}
    came = {IPV4_UNICAST: list(expect.get("nlri", []))}
    for key, facts in (("mp_unreach", gone), ("mp_reach", came)):
        if "afi" in expect.get(key, {}):
            family = Family(expect[key]["afi"], expect[key]["safi"])
            facts.setdefault(family, []).extend(expect[key].get("nlri") or [])
    return [(family, gone.get(family, []), came.get(family, [])) for family in {**gone, **came}]


def check_attributes(case: Case, attributes: Attributes) -> None:
    """Every typed value equals the fact of the record."""
    expect = case.expect
    for name in ("origin", "med", "local_pref"):
        if name in expect:
            assert getattr(attributes, name) == expect[name], name
    if expect.get("atomic_aggregate"):
        assert attributes.atomic_aggregate
    if "as4_path" not in expect and "as_path" in expect:
        segments = [(kind, asns) for kind, asns in attributes.as_path.segments]
        assert segments == [(SEGMENTS[kind], tuple(asns)) for kind, asns in expect["as_path"]]
    if "aggregator" in expect and "as4_aggregator" not in expect:
        assert attributes.aggregator is not None
        facts = {"asn": attributes.aggregator.asn, "address": address(attributes.aggregator.router_id)}
        assert facts == expect["aggregator"]
    if "originator_id" in expect:
        assert attributes.originator_id is not None
        assert address(attributes.originator_id) == expect["originator_id"]
    if "cluster_list" in expect:
        assert [address(cluster) for cluster in attributes.cluster_list] == expect["cluster_list"]
    check_communities(expect, attributes)


def check_communities(expect: dict[str, Any], attributes: Attributes) -> None:
    if "communities" in expect:
        shown = {f"{community >> 16}:{community & 0xFFFF}" for community in attributes.communities}
        assert shown == set(expect["communities"])
    if "large_communities" in expect:
        assert set(map(str, attributes.large_communities)) == set(expect["large_communities"])
    if "ext_communities" in expect:
        shown = {community.hex() for community in attributes.extended_communities}
        assert shown == set(expect["ext_communities"])


def check_next_hops(case: Case, update: Update) -> None:
    for item in update.announced:
        assert item.attributes is not None
        if item.family == IPV4_UNICAST and case.expect.get("nlri"):
            continue
        stated = bytes.fromhex(case.expect["mp_reach"]["next_hop_hex"])
        assert stated.startswith(item.attributes.next_hop)
        assert len(item.attributes.next_hop) in (4, 16, 32)


def test_valid_updates_mean_what_their_records_say() -> None:
    checked = 0
    for case in of_kind("update"):
        if case.valid is not True or "doubt" in case.expect:
            continue
        update = read(case)
        assert isinstance(update, Update), case.id
        worst = max((fault.fault for fault in update.faults), default=0)
        assert worst <= Fault.DISCARD or has_no_host_for_next_hop(update), (case.id, update.faults)
        check_nlri(case, update)
        check_next_hops(case, update)
        if update.attributes is not None:
            check_attributes(case, update.attributes)
        if "end_of_rib" in case.expect:
            afi_safi = tuple(update.end_of_rib or ())
            assert "/".join(map(str, afi_safi)) == case.expect["end_of_rib"], case.id
        checked += 1
    assert checked > 2500


def test_families_we_do_not_take_apart_are_kept() -> None:
    checked = 0
    for case in of_kind("update"):
        reach = case.expect.get("mp_reach", {})
        if case.valid is not True or "afi" not in reach or (reach["afi"], reach["safi"]) in SUPPORTED:
            continue
        update = read(case)
        assert isinstance(update, Update)
        kept = {item.family: item for item in update.opaque if not item.is_withdrawn}
        item = kept[Family(reach["afi"], reach["safi"])]
        assert item.next_hop.hex() == reach["next_hop_hex"], case.id
        assert item.field.hex() in case.octets.hex()
        if isinstance(reach["nlri"], str):
            assert item.field.hex() == reach["nlri"]
        checked += 1
    assert checked > 300


def outcome(case: Case) -> tuple[Fault | None, tuple[int, int] | None]:
    """The strongest verdict, and the error pair if the session is lost."""
    try:
        message = read(case)
    except RemoteError as error:
        return Fault.RESET, (error.code, error.subcode)
    faults = message.faults if isinstance(message, Update) else ()
    return max((fault.fault for fault in faults), default=None), None


def test_invalid_messages_cost_what_the_rfcs_say() -> None:
    checked = 0
    kinds = ("open", "update", "notification", "keepalive", "route-refresh", "other")
    for case in of_kind(*kinds):
        if case.valid is not False or "incomplete" in case.expect:
            continue
        expected = case.expect["errors"]
        verdict, pair = outcome(case)
        if pair is not None:
            assert pair in [(error["code"], error["subcode"]) for error in expected], case.id
        else:
            assert verdict == VERDICTS[expected[0]["rfc7606"]], case.id
        checked += 1
    assert checked > 350


def test_a_cut_message_is_waited_for() -> None:
    incomplete = [
        case for case in cases("open", "update", "notification", "route-refresh") if "incomplete" in case.expect
    ]
    required()
    assert len(incomplete) > 5
    for case in incomplete:
        assert read(case) is None, case.id


def test_valid_opens_mean_what_their_records_say() -> None:
    for case in of_kind("open"):
        if case.valid is not True:
            continue
        message = read(case)
        assert isinstance(message, Open)
        expect = case.expect
        assert message.asn == expect.get("asn4", expect["my_as"]), case.id
        assert (message.version, message.hold_time) == (expect["version"], expect["hold_time"])
        assert address(message.router_id) == expect["bgp_id"]
        check_capabilities(message, expect)
        check_capability_octets(message, expect)


def check_capabilities(message: Open, expect: dict[str, Any]) -> None:
    families = [item.family for item in message.capabilities if isinstance(item, MultiprotocolCapability)]
    assert {f"{afi}/{safi}" for afi, safi in families} == set(expect.get("families", []))
    modes = [pair for item in message.capabilities if isinstance(item, AddPath) for pair in item.families]
    shown = [{"family": f"{family.afi}/{family.safi}", "mode": mode} for family, mode in modes]
    assert all(pair in shown for pair in expect.get("addpath", []))
    restart = [item for item in message.capabilities if isinstance(item, GracefulRestart)]
    if "graceful_restart" in expect:
        assert restart[-1].restart_time == expect["graceful_restart"]["time"]
        assert restart[-1].restart_state == expect["graceful_restart"]["restarting"]


def check_capability_octets(message: Open, expect: dict[str, Any]) -> None:
    """What we write back is what came, reserved bits apart."""
    for capability, stated in zip(message.capabilities, expect["capabilities"], strict=True):
        octets = encode_capability(capability)
        assert octets[0] == stated["code"]
        if stated["code"] not in (1, 64):
            assert octets[2:].hex() == stated["value"]


def test_valid_notifications_and_refreshes_mean_what_their_records_say() -> None:
    for case in of_kind("notification", "route-refresh"):
        if case.valid is not True:
            continue
        message, expect = read(case), case.expect
        if isinstance(message, Notification):
            assert (message.code, message.subcode) == (expect["code"], expect["subcode"])
            assert message.data.hex() == expect["data"]
            if "shutdown_text" in expect:
                assert message.shutdown_text == expect["shutdown_text"]
        else:
            assert message == RouteRefresh(
                Family(expect["afi"], expect["safi"]), expect["subtype"], bytes.fromhex(expect["rest"])
            )


def test_what_we_read_we_write_and_read_again() -> None:
    """encode(decode(octets)) is a fixed point (spec section 13)."""
    for case in of_kind("open", "update", "notification", "keepalive", "route-refresh"):
        if case.valid is not True:
            continue
        negotiated, store = case.negotiated(), AttributeStore()
        message = read(case)
        assert message is not None
        if isinstance(message, Update) and not (message.announced or message.withdrawn or message.end_of_rib):
            continue
        once = encode(message, negotiated)
        framer = Framer(negotiated.receive_limit)
        framer.feed(once)
        again = b""
        while (octets := framer.next_message()) is not None:
            again += encode(decode(octets, negotiated, store), negotiated)
        assert again == once, case.id


def wrapped(case: Case) -> bytes:
    """An UPDATE around the attributes of a case."""
    nlri = b"\x18\xc0\x00\x02" if case.context.get("has_nlri", True) else b""
    body = b"\0\0" + len(case.octets).to_bytes(2, "big") + case.octets + nlri
    return message_octets(2, body)  # type: ignore[arg-type]  # the plain number


def test_attributes_with_a_stated_verdict() -> None:
    """FRR's own cases: verdict by verdict, on the kind of session they name."""
    checked = 0
    for case in of_kind("attribute"):
        if "rfc7606" not in case.expect:
            continue
        negotiated = case.negotiated(external=case.context["peer"] == "ebgp")
        negotiated = type(negotiated)(
            local_as=65000, peer_as=negotiated.peer_as, local_id=1, peer_id=2, families=frozenset(SUPPORTED)
        )
        try:
            update = decode(wrapped(case), negotiated, AttributeStore())
            assert isinstance(update, Update)
            verdict = max((fault.fault for fault in update.faults), default=None)
        except RemoteError:
            verdict = Fault.RESET
        stated = case.expect["rfc7606"]
        wanted = {None, Fault.DISCARD} if stated == "accept" else {VERDICTS[stated]}
        assert verdict in wanted, (case.id, stated)
        checked += 1
    assert checked >= 9


def test_any_attribute_can_stand_in_an_update() -> None:
    for case in of_kind("attribute", "attribute-value", "mp-reach-value", "blob"):
        if len(case.octets) < 4000:
            message = wrapped(case)
            try:
                decode(message, case.negotiated(), AttributeStore())
            except RemoteError:
                continue


def survives(case: Case, octets: bytes) -> None:
    """A value or a clean protocol error, nothing else."""
    try:
        read(case, octets)
    except RemoteError:
        return


@pytest.mark.parametrize("kind", ["open", "update", "notification", "route-refresh"])
def test_truncated_and_flipped_messages_fail_cleanly(kind: str) -> None:
    chosen = random.Random(7606)
    for case in chosen.sample(of_kind(kind), min(60, len(of_kind(kind)))):
        for _ in range(12):
            octets = bytearray(case.octets)
            octets[chosen.randrange(19, len(octets)) if len(octets) > 19 else 18] ^= 1 << chosen.randrange(8)
            survives(case, bytes(octets))
            cut = bytes(octets[: chosen.randrange(19, len(octets) + 1)])
            survives(case, cut[:16] + len(cut).to_bytes(2, "big") + cut[18:])
