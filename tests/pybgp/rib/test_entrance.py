"""What happens to a route before import policy sees it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.rib.eligibility import is_looped
from pybgp.rib.entrance import enter
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import AttributeCode, WellKnownCommunity
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

LEAVING = WellKnownCommunity.GRACEFUL_SHUTDOWN
EXTERNAL, INTERNAL = peer(1, 65001), peer(2)


def test_most_routes_come_in_as_they_are() -> None:
    # 0x0001FFFF 0x00000001 holds the octets of GRACEFUL_SHUTDOWN across a border.
    for received in (attributes(65001), attributes(65001, communities=(0x0001FFFF, 0x00000001))):
        assert enter(received, EXTERNAL, IPV4_UNICAST) is received


def test_a_route_that_an_external_peer_is_about_to_withdraw_comes_last() -> None:
    leaving = attributes(65001, local_pref=500, communities=(7, LEAVING))
    assert enter(leaving, EXTERNAL, IPV4_UNICAST).local_pref == 0
    assert enter(leaving, INTERNAL, IPV4_UNICAST).local_pref == 500
    assert enter(leaving, replace(EXTERNAL, heed_graceful_shutdown=False), IPV4_UNICAST).local_pref == 500


def test_a_leaving_route_yields_to_a_longer_one() -> None:
    rib = rib_with(peer(1, 65001), peer(2, 65002))
    prefix = key("10.0.0.0/8")
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, hop=1, communities=(LEAVING,)), [prefix])
    rib.apply(2, IPV4_UNICAST, (), attributes(65002, 65003, 65004, hop=2), [prefix])
    assert rib.best(IPV4_UNICAST)[prefix].peer == 2


def test_the_as_that_a_peer_knows_us_by_can_stand_in_front_of_what_it_sends() -> None:
    received = attributes(65001, 65002)
    entered = enter(received, replace(EXTERNAL, prepend_local_as=True), IPV4_UNICAST)
    assert str(entered.as_path) == f"{LOCAL_AS} 65001 65002"


@pytest.mark.parametrize(
    ("path", "allowed", "looped"),
    [
        ((65001,), 0, False),
        ((65001, LOCAL_AS), 0, True),
        ((65001, 64999), 0, True),
        ((65001, LOCAL_AS), 1, False),
        ((65001, LOCAL_AS, 64999), 1, False),
        ((65001, LOCAL_AS, LOCAL_AS), 1, True),
    ],
)
def test_loops_through_either_of_our_numbers(path: tuple[int, ...], allowed: int, looped: bool) -> None:
    octets = attributes(*path).value_octets(AttributeCode.AS_PATH) or b""
    assert is_looped(octets, replace(EXTERNAL, own_as=64999, allow_own_as=allowed)) is looped
