"""What a record says about an UPDATE or an OPEN, compared with what we read."""

from __future__ import annotations

from ipaddress import IPv6Network, ip_address
from typing import Any

from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import ATTRIBUTES, Attributes, Fault, attribute_octets
from pybgp.wire.capabilities import AddPath, GracefulRestart, MultiprotocolCapability, encode_capability
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.iana import AttributeCode, MessageType, SegmentType
from pybgp.wire.messages import Message, Notification, Open, RouteRefresh, Update, decode
from pybgp.wire.nlri import FAMILIES, PREFIX_FAMILIES, decode_nlri, format_prefix, path_id, strip_path_id
from pybgp.wire.nlri.labelled import LabelledPrefix, VpnPrefix
from pybgp.wire.update_encoding import message_octets

from .corpus import Case, address

SEGMENTS = {
    "set": SegmentType.SET,
    "seq": SegmentType.SEQUENCE,
    "confed_seq": SegmentType.CONFED_SEQUENCE,
    "confed_set": SegmentType.CONFED_SET,
}
VERDICTS = {"attribute-discard": Fault.DISCARD, "treat-as-withdraw": Fault.WITHDRAW, "session-reset": Fault.RESET}
#: MP_REACH, MP_UNREACH and NEXT_HOP belong to the routes; AS4_PATH and AS4_AGGREGATOR are merged or dropped.
_NOT_KEPT = (3, 14, 15, 17, 18)
_SORTED = {8: 4, 16: 8, 25: 20, 32: 12}
_WITH_AS_NUMBERS = (2, 7)
_LINK_STATE = (71, 72)


def has_no_host_for_next_hop(update: Update) -> bool:
    """Sources write 0.0.0.0, 127.0.0.1 and :: for brevity; we withdraw such routes (spec section 5.1)."""
    costly = [fault.reason for fault in update.faults if fault.fault > Fault.DISCARD]
    return bool(costly) and all(reason.endswith("is no host") for reason in costly)


def _prefix(text: str) -> str:
    """A prefix of a record, IPv6 in our spelling."""
    return str(IPv6Network(text)) if ":" in text else text


def stated_nlri(stated: str | dict[str, Any], *, withdrawn: bool) -> tuple[Any, ...]:
    """What a record says of one NLRI, in the form of :func:`found_nlri`."""
    if isinstance(stated, str):
        return (None, _prefix(stated))
    identifier = stated.get("path_id")
    if "rule" in stated:
        return (identifier, stated["rule"])
    if "nlri_type" in stated:
        return (identifier, stated["nlri_type"], stated.get("rd", ""), stated["value"])
    if "route_type" in stated:
        return (identifier, stated["route_type"], stated["value"])
    labels = () if withdrawn else tuple(stated.get("labels", ()))
    if "rd" in stated:
        return (identifier, _prefix(stated["prefix"]), stated["rd"], *labels)
    return (identifier, _prefix(stated["prefix"]), *labels)


def found_nlri(family: Family, key: bytes, *, add_path: bool, withdrawn: bool) -> tuple[Any, ...]:
    """One key in the terms of the records; withdrawn labels say nothing."""
    identifier = path_id(key) if add_path else None
    nlri = strip_path_id(key) if add_path else key
    if family in PREFIX_FAMILIES:
        return (identifier, format_prefix(family, nlri))
    value = decode_nlri(family, nlri)
    if isinstance(value, LabelledPrefix | VpnPrefix):
        packed = value.address.ljust(4 if family.afi == 1 else 16, b"\0")
        labels = () if withdrawn else tuple(label >> 4 for label in value.labels)
        text = _prefix(f"{ip_address(packed)}/{value.length}")
        distinguisher = (value.distinguisher.hex(),) if isinstance(value, VpnPrefix) else ()
        return (identifier, text, *distinguisher, *labels)
    if family.safi in (133, 134):
        return (identifier, nlri[1 if nlri[0] < 240 else 2 :].hex())
    if family.safi in _LINK_STATE:
        rd_end = 12 if family.safi == 72 else 4
        return (identifier, int.from_bytes(nlri[:2], "big"), nlri[4:rd_end].hex(), nlri[rd_end:].hex())
    return (identifier, nlri[0], nlri[2:].hex())


def nlri_facts(expect: dict[str, Any]) -> list[tuple[Family, Any, Any]]:
    """(family, withdrawn, announced) of a record, the classic fields and MP attributes of one family together."""
    gone: dict[Family, Any] = {IPV4_UNICAST: list(expect.get("withdrawn", []))}
    came: dict[Family, Any] = {IPV4_UNICAST: list(expect.get("nlri", []))}
    for key, facts in (("mp_unreach", gone), ("mp_reach", came)):
        if "afi" in expect.get(key, {}):
            family = Family(expect[key]["afi"], expect[key]["safi"])
            found = expect[key].get("nlri") or []
            if isinstance(found, str):
                facts[family] = found
            else:
                facts.setdefault(family, []).extend(found)
    return [(family, gone.get(family, []), came.get(family, [])) for family in {**gone, **came}]


def keys_of(sets: Any, family: Family) -> list[bytes]:
    return [key for item in sets if item.family == family for key in item.keys]


def check_nlri(case: Case, update: Update) -> None:
    """Every NLRI of the record is announced or withdrawn as it says, odd prefixes apart."""
    lost = has_no_host_for_next_hop(update)
    for family, gone, came in nlri_facts(case.expect):
        if family not in FAMILIES:
            check_opaque(update, family, gone, came)
        elif isinstance(came, str) or isinstance(gone, str):
            withdrawn, announced = keys_of(update.withdrawn, family), keys_of(update.announced, family)
            assert b"".join(withdrawn).hex() == (gone or "") + (came if lost and came else "")
            assert b"".join(announced).hex() == ("" if lost else came or "")
        else:
            check_listed(case, update, family, gone, came, lost)


def check_opaque(update: Update, family: Family, gone: Any, came: Any) -> None:
    """What we do not take apart is kept as it came."""
    for stated, is_withdrawn in ((gone, True), (came, False)):
        kept = [
            item.field.hex() for item in update.opaque if (item.family, item.is_withdrawn) == (family, is_withdrawn)
        ]
        assert kept == ([stated] if stated else [])


def check_listed(case: Case, update: Update, family: Family, gone: list[Any], came: list[Any], lost: bool) -> None:
    add_path = family in case.negotiated().add_path_receive
    withdrawn = [
        found_nlri(family, key, add_path=add_path, withdrawn=True) for key in keys_of(update.withdrawn, family)
    ]
    announced = [
        found_nlri(family, key, add_path=add_path, withdrawn=False) for key in keys_of(update.announced, family)
    ]
    odd = [fault for fault in update.faults if fault.reason.endswith("ignored") and str(family) in fault.reason]
    stated_gone = [stated_nlri(item, withdrawn=True) for item in (gone + came if lost else gone)]
    assert sorted(withdrawn, key=str) == sorted(stated_gone, key=str)
    stated = [] if lost else [stated_nlri(item, withdrawn=False) for item in came]
    assert len(announced) + (len(odd) if stated else 0) == len(stated)
    assert [item for item in stated if item in announced] == announced


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
    if "only_to_customer" in expect:
        assert attributes.get(AttributeCode.ONLY_TO_CUSTOMER) == expect["only_to_customer"]
    check_communities(expect, attributes)


def check_octets(case: Case, update: Update, attributes: Attributes) -> None:
    """Every attribute of the record is kept octet by octet, or there is one of the reasons why not."""
    discarded = {fault.code for fault in update.faults}
    seen = set[int]()
    for stated in case.expect.get("attributes", []):
        code, value = stated["type"], bytes.fromhex(stated["value"])
        if code in seen or code in discarded or code in _NOT_KEPT:
            continue
        seen.add(code)
        is_unknown = code not in ATTRIBUTES
        if is_unknown and not stated["flags"] & 0x40:
            assert code not in attributes
            continue
        kept = attributes.value_octets(code)
        if code in _SORTED:
            size = _SORTED[code]
            value = b"".join(sorted({value[at : at + size] for at in range(0, len(value), size)}))
        elif code in _WITH_AS_NUMBERS and not case.negotiated().asn4:
            # The numbers are compared above, as they are written with four octets inside.
            continue
        assert kept == value, f"attribute {code}: {kept!r} for {value!r}"
        assert (attributes.flags(code) ^ stated["flags"]) & 0xC0 == 0, f"flags of attribute {code}"


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
            assert str(ip_address(item.attributes.next_hop)) == case.expect["next_hop"]
            continue
        stated = bytes.fromhex(case.expect["mp_reach"]["next_hop_hex"])
        assert item.attributes.next_hop[:16] in stated
        assert len(item.attributes.next_hop) in (0, 4, 16, 32)


def check_update(case: Case, update: Update) -> None:
    worst = max((fault.fault for fault in update.faults), default=0)
    assert worst <= Fault.DISCARD or has_no_host_for_next_hop(update), update.faults
    check_nlri(case, update)
    check_next_hops(case, update)
    if update.attributes is not None:
        check_attributes(case, update.attributes)
        check_octets(case, update, update.attributes)
    if "end_of_rib" in case.expect:
        afi_safi = tuple(update.end_of_rib or ())
        assert "/".join(map(str, afi_safi)) == case.expect["end_of_rib"]


def check_fragment(case: Case) -> None:
    """The attributes of a record alone, put beside the mandatory ones that they lack, mean what it says."""
    codes = {stated["type"] for stated in case.expect["attributes"]}
    size = 4 if case.negotiated().asn4 else 2
    lacking = {
        1: attribute_octets(0x40, 1, b"\0"),
        2: attribute_octets(0x40, 2, b"\2\1" + (65000).to_bytes(size, "big")),
        3: attribute_octets(0x40, 3, b"\x0a\0\0\1"),
    }
    octets = b"".join(octets for code, octets in lacking.items() if code not in codes) + case.octets
    # A field of prefixes only where the attributes bring no routes of their own.
    nlri = b"" if 14 in codes else b"\x18\xc6\x33\x64"
    body = b"\0\0" + len(octets).to_bytes(2, "big") + octets + nlri
    update = decode(message_octets(MessageType.UPDATE, body), case.negotiated(), AttributeStore())
    assert isinstance(update, Update)
    worst = max((fault.fault for fault in update.faults), default=0)
    assert worst <= Fault.DISCARD or has_no_host_for_next_hop(update), update.faults
    if update.attributes is not None:
        check_attributes(case, update.attributes)
        check_octets(case, update, update.attributes)
    if case.expect.get("mp_reach", {}).get("nlri"):
        ignored = any(fault.reason.endswith("ignored") for fault in update.faults)
        assert ignored or update.announced or update.opaque or update.withdrawn


def check_open(case: Case, message: Open) -> None:
    expect = case.expect
    assert message.asn == expect.get("asn4", expect["my_as"])
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


def check_notification(case: Case, message: Notification) -> None:
    expect = case.expect
    assert (message.code, message.subcode) == (expect["code"], expect["subcode"])
    assert message.data.hex() == expect["data"]
    if "shutdown_text" in expect:
        assert message.shutdown_text == expect["shutdown_text"]


def check_refresh(case: Case, message: RouteRefresh) -> None:
    expect = case.expect
    family = Family(expect["afi"], expect["safi"])
    assert message == RouteRefresh(family, expect["subtype"], bytes.fromhex(expect["rest"]))


def check(case: Case, message: Message) -> bool:
    """Compare a message with the facts of its record; False where the record has none."""
    if "basis" not in case.expect:
        return False
    if isinstance(message, Update):
        check_update(case, message)
    elif isinstance(message, Open):
        check_open(case, message)
    elif isinstance(message, Notification):
        check_notification(case, message)
    elif isinstance(message, RouteRefresh):
        check_refresh(case, message)
    return True
