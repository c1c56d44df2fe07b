"""What becomes of a selected path on its way to a peer: who may hear it, and what it then says (spec section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pybgp.rib.aigp import farther
from pybgp.rib.as_rules import override, without_private
from pybgp.rib.long_lived import for_the_unknowing, is_last_resort, marked
from pybgp.rib.measure import DEFAULT_LOCAL_PREF
from pybgp.rib.next_hops import ADDRESS, for_peers, has_only_link_local, is_on_link
from pybgp.rib.path import Path, Source
from pybgp.rib.roles import mark_on_exit, may_pass
from pybgp.wire.attribute_scan import prepended, scan
from pybgp.wire.communities import is_transitive
from pybgp.wire.families import LABELLED_FAMILIES
from pybgp.wire.iana import AttributeCode, WellKnownCommunity
from pybgp.wire.nlri import FAMILIES, PATH_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Collection

    from pybgp.rib.path_choice import PathChoice
    from pybgp.rib.policy.interface import Policy
    from pybgp.wire.as_path import AsPath
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.iana import Role

#: Octets of one MPLS label in an NLRI (RFC 8277 section 2.2).
LABEL_LENGTH: Final = 3
#: Never to an external peer (RFC 4271 section 5.1.5, RFC 4456 section 8).
REFLECTION: Final = (AttributeCode.ORIGINATOR_ID, AttributeCode.CLUSTER_LIST)
INTERNAL_ONLY: Final = (AttributeCode.LOCAL_PREF, *REFLECTION)
STAYS_INSIDE: Final = {WellKnownCommunity.NO_EXPORT, WellKnownCommunity.NO_EXPORT_SUBCONFED}
#: How all communities that have a meaning here begin; most routes show at a glance that they carry none.
WELL_KNOWN_OCTETS: Final = b"\xff\xff\xff"
#: Attributes that any peer may hear as they are; with these alone, only path and next hop change on the way out.
PLAIN_CODES: Final = {
    AttributeCode.ORIGIN,
    AttributeCode.AS_PATH,
    AttributeCode.ATOMIC_AGGREGATE,
    AttributeCode.AGGREGATOR,
    AttributeCode.COMMUNITIES,
    AttributeCode.LARGE_COMMUNITIES,
}
MANDATORY: Final = {AttributeCode.ORIGIN, AttributeCode.AS_PATH}
#: Octets of an UPDATE beside the attribute block: header, lengths, MP_REACH with two next hops, one longest prefix.
OVERHEAD: Final = 23 + 4 + 5 + 32 + 4 + 17 + 7
#: Octets of an UPDATE beside attributes, next hop and NLRI: header, lengths, MP_REACH with family and lengths.
BESIDE_NLRI: Final = 23 + 4 + 5
DISTINGUISHER: Final = 8


@dataclass(frozen=True, slots=True)
class ExportProfile:
    """Everything that decides the octets a peer gets: peers with equal profiles form one update group."""

    family: Family
    internal: bool
    local_as: int
    #: what we announce as our own next hop; empty: nothing that needs one can be announced.
    own_next_hop: bytes
    policy: Policy
    asn4: bool = True
    add_path: bool = False
    #: which paths they are sent where they take several; None: the best one.
    path_choice: PathChoice | None = None
    send_limit: int = 4096
    extended_next_hop: bool = False
    #: how many labels these peers take in front of a prefix; 255: any number (RFC 8277 section 2.1).
    label_limit: int = 1
    #: the AS of this router where ``local_as`` does not stand for it; 0: ``local_as`` is all that peers see of us.
    own_as: int = 0
    #: replace this AS, the peers' own, by ours; 0: leave it.
    overridden_as: int = 0
    #: "keep", "remove-if-only", "remove" or "replace"; and the peers' AS, which stays in any case.
    private_as: str = "keep"
    peer_as: int = 0
    #: "default", "self", "force-self" or "keep".
    next_hop_mode: str = "default"
    #: networks of the link that we share with these peers, as prefix keys, as far as next hops are to be found in them.
    link_networks: tuple[bytes, ...] = ()
    #: a next hop on that link stays: the peers reach it without us (RFC 4271 section 5.1.3).
    third_party: bool = False
    #: all that we announce is about to go (RFC 8326 section 4.1).
    shutting_down: bool = False
    #: what we are to these peers, in families where that counts (RFC 9234 section 5).
    local_role: Role | None = None
    #: how many prefixes these peers are sent at most; 0: any number.
    prefix_limit: int = 0
    #: these peers hear what internal peers told us, and our cluster is put in front of it (RFC 4456 section 6).
    reflector_client: bool = False
    #: ours, for memberships that clients are told of; see `is_returned`.
    router_id: int = 0
    cluster_id: int = 0
    #: these peers know what a last resort is; or, internal ones, are told of it in words that they know (RFC 9494).
    long_lived: bool = False
    send_stale: bool = False
    #: these peers add up distances as we do (RFC 7311 section 3.3).
    aigp: bool = False
    #: these peers are in another member AS of our confederation (RFC 5065).
    member: bool = False
    #: these peers are told what others said as if those had told them (RFC 7947).
    transparent: bool = False
    #: where these peers may not hear the best path, the best of those is told that they may (RFC 4684 section 3.2 ii).
    next_best: bool = False
    #: the one peer of this profile, which is worked for alone; 0: any number of them (RFC 7947 section 2.3).
    client: int = 0
    #: sent in place of whatever the tables have as the default route.
    default_route: Path | None = None

    @property
    def interior(self) -> bool:
        """Whether these peers are in our AS as the world sees it."""
        return self.internal or self.member

    @property
    def only_prepends(self) -> bool:
        """Whether a path leaves as it is behind our number, and with no mark of ours (RFC 9234)."""
        is_marked = self.local_role is not None
        return not (self.own_as or self.overridden_as or is_marked) and self.private_as == "keep"


def may_reflect(path: Path, profile: ExportProfile) -> bool:
    """Say whether one of both sides is a client: routes of clients go to everybody, those of others to clients."""
    return profile.reflector_client or (path.teller is not None and path.teller.reflector_client)


def may_hear_last_resort(profile: ExportProfile) -> bool:
    """Say whether these peers are told of routes that are long stale (RFC 9494 sections 4.3 and 4.6)."""
    return profile.long_lived or (profile.interior and profile.send_stale)


def is_returned(path: Path, profile: ExportProfile) -> bool:
    """Say whether a path goes to the very client that told us, as ours (RFC 4684 section 3.2 i).

    Several clients are members of one target, and each must hear that routes with it are wanted.
    """
    return bool(profile.router_id) and path.source is Source.IBGP and not path.received.as_path.segments


def may_hear(path: Path, attributes: Attributes, profile: ExportProfile) -> bool:
    """Apply the rules that no policy can lift: iBGP split horizon and well-known communities (RFC 1997)."""
    if profile.internal and path.source is Source.IBGP and not may_reflect(path, profile):
        return False
    if not may_pass(attributes, profile.local_role):
        return False
    if is_last_resort(path) and not may_hear_last_resort(profile):
        return False
    octets = attributes.value_octets(AttributeCode.COMMUNITIES)
    if octets is None or WELL_KNOWN_OCTETS not in octets:
        return True
    communities = heeded(path, attributes)
    if WellKnownCommunity.NO_ADVERTISE in communities:
        return False
    if profile.member:
        return WellKnownCommunity.NO_EXPORT_SUBCONFED not in communities
    return profile.internal or STAYS_INSIDE.isdisjoint(communities)


def heeded(path: Path, attributes: Attributes) -> set[int]:
    """Return the communities that bind us: what export policy adds is a word to the peer, which we tell it with."""
    return {*path.attributes.communities}.intersection(attributes.communities)


def why_silent(path: Path, attributes: Attributes, profile: ExportProfile) -> str:
    """Say in words why `rewrite` has nothing to tell these peers."""
    if profile.internal and path.source is Source.IBGP and not may_reflect(path, profile):
        return "learned from an internal peer, and neither it nor this one is a route reflector client (RFC 4456)"
    if is_last_resort(path) and not may_hear_last_resort(profile):
        return "long-lived stale, which the peer does not know of (RFC 9494)"
    if WellKnownCommunity.NO_ADVERTISE in heeded(path, attributes):
        return "community no-advertise"
    if not may_pass(attributes, profile.local_role):
        return "only for customers, which these peers are not (RFC 9234)"
    if not may_hear(path, attributes, profile):
        return "community no-export or no-export-subconfed"
    return "the peer cannot be told: no next hop of the family, a mandatory attribute missing, or too many attributes"


def rewrite(
    path: Path,
    attributes: Attributes,
    profile: ExportProfile,
    *,
    keep_next_hop: bool = False,
    keep_med: bool = False,
) -> Attributes | None:
    """Return the attributes as they leave, or None if the route cannot be told to these peers.

    ``keep_next_hop``, ``keep_med``: the policy has chosen the next hop, or MED.
    """
    if not may_hear(path, attributes, profile):
        return None
    if profile.interior:
        result = to_interior(path, attributes, profile)
    else:
        result = to_external(path, attributes, profile, keep_med=keep_med)
    if is_last_resort(path):
        result = marked(result) if profile.long_lived else for_the_unknowing(marked(result))
    if profile.shutting_down:
        result = about_to_go(result, profile)
    if keep_next_hop:
        result = result.replace(next_hop=attributes.next_hop)
    present = scan(result.block)
    if AttributeCode.AIGP in present:
        result = with_distance(path, result, profile)
    if len(result.next_hop) > ADDRESS:
        result = result.replace(next_hop=for_peers(result.next_hop, profile.link_networks))
    return result if can_be_written(result, present, profile) else None


def with_distance(path: Path, attributes: Attributes, profile: ExportProfile) -> Attributes:
    """Add our way to the next hop where it becomes ours; only within one administration (RFC 7311 section 3)."""
    if not profile.aigp:
        return attributes.replace(drop={AttributeCode.AIGP})
    becomes_ours = path.source is not Source.LOCAL and attributes.next_hop != path.next_hop
    return farther(attributes, path.cost) if becomes_ours else attributes


def can_be_written(attributes: Attributes, present: Collection[int], profile: ExportProfile) -> bool:
    """Say whether these peers can be told at all (RFC 8654 section 4, RFC 8950 section 4, RFC 8277 section 2.1)."""
    row = FAMILIES.get(profile.family)
    fits_family = row is not None and row.takes_next_hop(attributes.next_hop, extended=profile.extended_next_hop)
    length = len(attributes.block) if profile.asn4 else 2 * len(attributes.block)
    complete = MANDATORY.issubset(present)
    if profile.family in LABELLED_FAMILIES and len(attributes.details) // LABEL_LENGTH > profile.label_limit:
        return False
    return fits_family and complete and length + OVERHEAD <= profile.send_limit


def longest_nlri(attributes: Attributes, profile: ExportProfile) -> int:
    """Return how long a key may be that is told with these attributes: flow rules may fill a message."""
    row = FAMILIES[profile.family]
    hops = 0 if row.next_hop_ignored else len(attributes.next_hop)
    if row.distinguished_next_hop:
        hops += DISTINGUISHER * (hops + ADDRESS - 1) // ADDRESS
    beside = hops + PATH_ID_LENGTH * profile.add_path + len(attributes.details) + (row.details is not None)
    return profile.send_limit - BESIDE_NLRI - beside - len(attributes.encoded(asn4=profile.asn4))


def to_interior(path: Path, attributes: Attributes, profile: ExportProfile) -> Attributes:
    """Pass everything on; LOCAL_PREF is always present (RFC 4271 section 5.1.5, RFC 5065 section 5.1)."""
    next_hop = attributes.next_hop or profile.own_next_hop
    if takes_next_hop(path, profile) or has_only_link_local(next_hop):
        next_hop = profile.own_next_hop
    if profile.member:
        as_path = attributes.as_path.enter_member(profile.local_as)
        attributes = attributes.replace({AttributeCode.AS_PATH: as_path}, drop=REFLECTION)
    elif path.source is Source.IBGP:
        originator_id = 0 if path.teller is None else path.teller.router_id
        attributes = attributes.reflected(originator_id, profile.cluster_id, next_hop)
        if is_returned(path, profile):
            next_hop = profile.own_next_hop
            attributes = attributes.replace({AttributeCode.ORIGINATOR_ID: profile.router_id})
    if attributes.local_pref is not None:
        return attributes.replace(next_hop=next_hop)
    return attributes.replace({AttributeCode.LOCAL_PREF: DEFAULT_LOCAL_PREF}, next_hop=next_hop)


def takes_next_hop(path: Path, profile: ExportProfile) -> bool:
    """Say whether interior peers reach a route through us; what we reflect only by force (RFC 4456 section 10)."""
    is_reflected = path.source is Source.IBGP and not profile.member
    modes = {"force-self"} if is_reflected else {"self", "force-self"}
    return path.source is not Source.LOCAL and profile.next_hop_mode in modes


def is_third_party(next_hop: bytes, profile: ExportProfile) -> bool:
    """Say whether external peers reach a next hop on the link that they share with us, and may be told so."""
    is_allowed = profile.third_party and profile.next_hop_mode == "default"
    return is_allowed and is_on_link(next_hop[:ADDRESS], profile.link_networks)


def to_external(path: Path, attributes: Attributes, profile: ExportProfile, *, keep_med: bool = False) -> Attributes:
    """Prepend our AS and put ourselves in the way (RFC 4271 sections 5.1.2 and 5.1.3)."""
    local = path.source is Source.LOCAL
    if profile.transparent and not local:
        return to_client(attributes, profile)
    next_hop = attributes.next_hop
    is_kept = local or profile.next_hop_mode == "keep" or is_third_party(next_hop, profile)
    if not (is_kept and next_hop):
        next_hop = profile.own_next_hop
    present = scan(attributes.block)
    if PLAIN_CODES.issuperset(present) and profile.only_prepends:
        as_path = prepended(present.get(AttributeCode.AS_PATH, b""), profile.local_as)
        if as_path is not None:
            return attributes.with_value(AttributeCode.AS_PATH, as_path, next_hop)
    values: dict[int, object] = {AttributeCode.AS_PATH: external_as_path(attributes.as_path, profile)}
    drop: set[int] = set(INTERNAL_ONLY)
    if AttributeCode.MED in present and not (local or keep_med) and attributes.med == path.attributes.med:
        drop.add(AttributeCode.MED)
    if AttributeCode.EXTENDED_COMMUNITIES in present:
        kept = tuple(value for value in attributes.extended_communities if is_transitive(value))
        if kept:
            values[AttributeCode.EXTENDED_COMMUNITIES] = kept
        else:
            drop.add(AttributeCode.EXTENDED_COMMUNITIES)
    if (owner := mark_on_exit(attributes, profile.local_role, profile.local_as)) is not None:
        values[AttributeCode.ONLY_TO_CUSTOMER] = owner
    return attributes.replace(values, drop=drop, next_hop=next_hop)


def to_client(attributes: Attributes, profile: ExportProfile) -> Attributes:
    """Leave path, next hop, MED and communities as they came (RFC 7947 section 2.2)."""
    values: dict[int, object] = {}
    path = attributes.as_path
    if not (outside := path.without_confederations()).segments:
        # It began within our AS, and an external peer refuses a path that names none (RFC 4271 section 5.1.2).
        values[AttributeCode.AS_PATH] = external_as_path(path, profile)
    elif path.has_confederations:
        values[AttributeCode.AS_PATH] = outside
    if (owner := mark_on_exit(attributes, profile.local_role, profile.local_as)) is not None:
        values[AttributeCode.ONLY_TO_CUSTOMER] = owner
    return attributes.replace(values, drop=scan(attributes.block).keys() & INTERNAL_ONLY)


def external_as_path(path: AsPath, profile: ExportProfile) -> AsPath:
    """Return the path as external peers see it: without confederations, with us in front, and as configured."""
    path = path.without_confederations()
    ours = profile.own_as or profile.local_as
    path = without_private(path, profile.private_as, ours, profile.peer_as)
    if profile.overridden_as:
        path = override(path, profile.overridden_as, ours)
    if profile.own_as:
        path = path.prepend(profile.own_as)
    return path.prepend(profile.local_as)


def about_to_go(attributes: Attributes, profile: ExportProfile) -> Attributes:
    """Ask peers to use other routes while there is time (RFC 8326 section 4.1)."""
    marks = {*attributes.communities, WellKnownCommunity.GRACEFUL_SHUTDOWN}
    values: dict[int, object] = {AttributeCode.COMMUNITIES: tuple(sorted(marks))}
    if profile.interior:
        values[AttributeCode.LOCAL_PREF] = 0
    return attributes.replace(values)
