"""What two OPENs agree on, and what ends the session before it begins (spec section 2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.capabilities import (
    AddPath,
    Capability,
    EnhancedRouteRefresh,
    ExtendedMessage,
    ExtendedNextHop,
    FourOctetAs,
    GracefulRestart,
    Hostname,
    LongLivedGracefulRestart,
    MultipleLabels,
    MultiprotocolCapability,
    OpaqueCapability,
    RoleCapability,
    RouteRefresh,
)
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.messages import Open
from pybgp.wire.negotiated import UpdateOptions, families_of, negotiate

OURS = Open(65000, 90, 1, (MultiprotocolCapability(IPV4_UNICAST), FourOctetAs(65000)))
THEIRS = Open(65001, 180, 2, (MultiprotocolCapability(IPV4_UNICAST), FourOctetAs(65001)))
V4, V6 = MultiprotocolCapability(IPV4_UNICAST), MultiprotocolCapability(IPV6_UNICAST)


def ours(*capabilities: Capability) -> Open:
    return replace(OURS, capabilities=OURS.capabilities + capabilities)


def theirs(*capabilities: Capability) -> Open:
    return replace(THEIRS, capabilities=THEIRS.capabilities + capabilities)


def refused(mine: Open, other: Open, **options: object) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        negotiate(mine, other, **options)  # type: ignore[arg-type]  # test input
    assert caught.value.code == ErrorCode.OPEN_MESSAGE
    return caught.value


def test_the_plain_facts() -> None:
    found = negotiate(OURS, THEIRS, peer_as=65001)
    assert (found.local_as, found.peer_as, found.local_id, found.peer_id) == (65000, 65001, 1, 2)
    assert (found.hold_time, found.keepalive_time) == (90, 30)
    assert (found.families, found.asn4, found.internal) == (frozenset({IPV4_UNICAST}), True, False)
    assert (found.receive_limit, found.send_limit) == (4096, 4096)
    assert not found.route_refresh
    assert found.context.first_as == 65001
    assert negotiate(OURS, replace(OURS, router_id=9)).internal


@pytest.mark.parametrize(("mine", "other", "agreed"), [(90, 180, 90), (90, 3, 3), (0, 90, 0), (90, 0, 0)])
def test_the_smaller_hold_time_wins(mine: int, other: int, agreed: int) -> None:
    found = negotiate(replace(OURS, hold_time=mine), replace(THEIRS, hold_time=other))
    assert (found.hold_time, found.keepalive_time) == (agreed, agreed / 3)


@pytest.mark.parametrize("hold_time", [1, 2])
def test_a_hold_time_that_nobody_can_keep(hold_time: int) -> None:
    error = refused(OURS, replace(THEIRS, hold_time=hold_time))
    assert (error.subcode, error.data) == (6, hold_time.to_bytes(2, "big"))


def test_a_configured_minimum_of_the_hold_time() -> None:
    assert refused(OURS, replace(THEIRS, hold_time=9), minimum_hold_time=10).subcode == 6
    assert negotiate(OURS, replace(THEIRS, hold_time=10), minimum_hold_time=10).hold_time == 10


def test_the_peer_as() -> None:
    assert refused(OURS, THEIRS, peer_as=65002).subcode == 2
    assert refused(OURS, replace(THEIRS, asn=0)).subcode == 2
    assert refused(OURS, replace(THEIRS, asn=23456, capabilities=()), peer_as=200000).subcode == 2
    assert negotiate(OURS, replace(THEIRS, asn=23456, capabilities=()), peer_as=23456).peer_as == 23456


def test_identifiers() -> None:
    assert refused(OURS, replace(THEIRS, router_id=0)).subcode == 3
    same = replace(THEIRS, asn=OURS.asn, router_id=OURS.router_id)
    assert refused(OURS, same).subcode == 3
    assert negotiate(OURS, replace(THEIRS, router_id=OURS.router_id)).peer_id == 1


def test_required_capabilities_are_named_as_we_would_send_them() -> None:
    error = refused(ours(RouteRefresh(), ExtendedMessage()), theirs(RouteRefresh()), required={2, 6, 65})
    assert (error.subcode, error.data) == (7, b"\x06\x00")
    assert negotiate(ours(RouteRefresh()), theirs(RouteRefresh()), required={2}).route_refresh


def test_no_family_in_common() -> None:
    other = replace(THEIRS, capabilities=(V6,))
    error = refused(OURS, other)
    assert (error.subcode, error.data) == (7, bytes.fromhex("010400010001"))
    assert not negotiate(OURS, other, require_common_family=False).families


def test_families() -> None:
    assert families_of(replace(THEIRS, capabilities=())) == {IPV4_UNICAST}
    assert families_of(replace(THEIRS, capabilities=(V6,))) == {IPV6_UNICAST}
    assert families_of(replace(THEIRS, capabilities=(OpaqueCapability(99),))) == {IPV4_UNICAST}
    both = negotiate(ours(V6), theirs(V6, MultiprotocolCapability(Family(25, 70))))
    assert both.families == {IPV4_UNICAST, IPV6_UNICAST}


@pytest.mark.parametrize(("mine", "other"), [(True, True), (True, False), (False, True), (False, False)])
def test_what_both_must_offer(mine: bool, other: bool) -> None:
    offered = (RouteRefresh(), EnhancedRouteRefresh())
    found = negotiate(ours(*offered * mine), theirs(*offered * other))
    assert found.route_refresh == found.enhanced_refresh == (mine and other)
    asn4 = negotiate(replace(OURS, capabilities=OURS.capabilities[: 1 + mine]), theirs()).asn4
    assert asn4 == mine


def test_the_old_refresh_code_counts() -> None:
    assert negotiate(ours(RouteRefresh()), theirs(RouteRefresh(128))).route_refresh


@pytest.mark.parametrize(("mine", "other"), [(True, False), (False, True), (True, True)])
def test_long_messages_are_per_direction(mine: bool, other: bool) -> None:
    """RFC 8654 section 4."""
    found = negotiate(ours(*[ExtendedMessage()] * mine), theirs(*[ExtendedMessage()] * other))
    assert found.receive_limit == (65535 if mine else 4096)
    assert found.send_limit == (65535 if other else 4096)


@pytest.mark.parametrize(
    ("mine", "other", "receive", "send"),
    [(3, 3, True, True), (1, 2, True, False), (2, 1, False, True), (1, 1, False, False), (3, 0, False, False)],
)
def test_add_path_by_direction(mine: int, other: int, receive: bool, send: bool) -> None:
    found = negotiate(ours(AddPath(((IPV4_UNICAST, mine),))), theirs(AddPath(((IPV4_UNICAST, other),))))
    assert found.add_path_receive == ({IPV4_UNICAST} if receive else set())
    assert found.add_path_send == ({IPV4_UNICAST} if send else set())


def test_add_path_of_a_family_that_is_not_negotiated() -> None:
    pairs = AddPath(((IPV4_UNICAST, 3), (IPV6_UNICAST, 3)))
    assert negotiate(ours(pairs), theirs(pairs)).add_path_receive == {IPV4_UNICAST}


def test_several_add_path_capabilities_add_up_and_bad_modes_are_left_out() -> None:
    split = (AddPath(((IPV4_UNICAST, 3),)), AddPath(((IPV6_UNICAST, 3), (Family(25, 70), 9))))
    both = AddPath(((IPV4_UNICAST, 3), (IPV6_UNICAST, 3), (Family(25, 70), 3)))
    found = negotiate(ours(V6, both), theirs(V6, *split))
    assert found.add_path_receive == {IPV4_UNICAST, IPV6_UNICAST}


def test_graceful_restart_is_the_peers_and_the_last() -> None:
    last = GracefulRestart(False, True, 60, ((IPV4_UNICAST, True),))
    found = negotiate(OURS, theirs(GracefulRestart(restart_time=9), last))
    assert found.graceful_restart == last
    assert not found.notification_in_force
    assert negotiate(OURS, THEIRS).graceful_restart is None


@pytest.mark.parametrize(("mine", "other"), [(True, True), (True, False), (False, True)])
def test_notifications_keep_routes_only_if_both_say_so(mine: bool, other: bool) -> None:
    """RFC 8538 section 2."""
    found = negotiate(ours(GracefulRestart(notification=mine)), theirs(GracefulRestart(notification=other)))
    assert found.notification_in_force == (mine and other)


def test_long_lived_restart_needs_the_other_one() -> None:
    long_lived = LongLivedGracefulRestart(((IPV4_UNICAST, True, 3600),))
    assert negotiate(OURS, theirs(long_lived)).long_lived is None
    assert negotiate(OURS, theirs(long_lived, GracefulRestart())).long_lived == long_lived


def test_extended_next_hops() -> None:
    """RFC 8950 section 4: other tuples are ignored."""
    offered = ExtendedNextHop(((IPV4_UNICAST, 2),))
    assert negotiate(ours(offered), theirs(offered)).extended_next_hop == {IPV4_UNICAST}
    assert not negotiate(ours(offered), theirs()).extended_next_hop
    odd = ExtendedNextHop(((IPV4_UNICAST, 1), (IPV6_UNICAST, 2), (Family(1, 99), 2)))
    assert not negotiate(ours(V6, odd), theirs(V6, odd)).extended_next_hop


def test_the_hostname() -> None:
    assert negotiate(OURS, theirs(Hostname("node-1"))).peer_hostname == "node-1"
    assert negotiate(OURS, THEIRS).peer_hostname is None


def test_options_reach_the_decoder() -> None:
    options = UpdateOptions(allow_as_sets=True, check_first_as=False)
    found = negotiate(OURS, THEIRS, options=options)
    assert found.context.options == options
    assert found.context.first_as == 0
    assert not negotiate(OURS, THEIRS, options=UpdateOptions(discard_codes=frozenset({99}))).context.is_plain


@pytest.mark.parametrize(
    ("mine", "other", "strict", "fits"),
    [
        (0, 3, True, True),
        (3, 0, True, True),
        (1, 2, False, True),
        (2, 1, False, True),
        (4, 4, True, True),
        (0, 0, False, False),
        (3, 4, False, False),
        (4, 9, False, False),
        (4, None, False, True),
        (4, None, True, False),
        (None, 4, True, True),
    ],
)
def test_roles_fit_or_the_session_ends(mine: int | None, other: int | None, strict: bool, fits: bool) -> None:
    """RFC 9234 section 4.2."""
    our_open = ours(*([] if mine is None else [RoleCapability(mine)]))
    their_open = theirs(*([] if other is None else [RoleCapability(other)]))
    if not fits:
        with pytest.raises(RemoteError) as caught:
            negotiate(our_open, their_open, strict_role=strict)
        assert (caught.value.code, caught.value.subcode) == (2, 11)
        return
    found = negotiate(our_open, their_open, strict_role=strict)
    assert found.local_role == mine
    assert found.peer_role == (other if mine is not None else None)


def test_two_roles_at_once_fit_nobody() -> None:
    with pytest.raises(RemoteError):
        negotiate(ours(RoleCapability(0)), theirs(RoleCapability(3), RoleCapability(4)))
    assert negotiate(ours(RoleCapability(0)), theirs(RoleCapability(3), RoleCapability(3))).peer_role == 3


def test_a_role_that_nobody_has_is_not_ours() -> None:
    with pytest.raises(LocalError, match="role 9"):
        negotiate(ours(RoleCapability(9)), THEIRS)


def test_labels_are_counted_where_both_sides_do() -> None:
    """RFC 8277 section 2.1: the first capability, the first tuple of a family, and at least two labels."""
    mine = MultipleLabels(((IPV4_UNICAST, 4), (IPV4_UNICAST, 9), (IPV6_UNICAST, 1)))
    other = MultipleLabels(((IPV4_UNICAST, 2), (IPV6_UNICAST, 5)))
    found = negotiate(ours(mine, MultipleLabels(((IPV6_UNICAST, 9),))), theirs(other))
    assert found.label_limits == ((IPV4_UNICAST, 4),)
    assert found.nlri_context(IPV4_UNICAST).labels == 4
    assert found.nlri_context(IPV6_UNICAST).labels == 0
    assert negotiate(ours(mine), THEIRS).label_limits == ()
