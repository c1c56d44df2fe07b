"""A glance may ask for a closer look without need, but never the other way round."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.rib.eligibility import refusal
from pybgp.rib.entrance import enter
from pybgp.rib.glance import Glance
from pybgp.rib.rib_peer import Identity, RibPeer
from pybgp.rib.roles import leak
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_MULTICAST, IPV4_UNICAST
from pybgp.wire.iana import Role, WellKnownCommunity
from tests.pybgp.rib.rib_examples import LOCAL_AS, ROUTER_ID, attributes, peer

EXTERNAL, INTERNAL = peer(1, 65001), peer(2)
OWN_AS = 64999
IDENTITY = Identity(ROUTER_ID, 0x0A00FFFE)
ADDRESSES = frozenset({bytes([10, 0, 0, 250])})
LEAVING = int(WellKnownCommunity.GRACEFUL_SHUTDOWN)


def glance(facts: RibPeer) -> Glance:
    return Glance(facts, IPV4_UNICAST, IDENTITY, ADDRESSES)


@st.composite
def routes(draw: st.DrawFn) -> Attributes:
    asns = draw(st.lists(st.sampled_from([65001, 70000, LOCAL_AS, OWN_AS, ROUTER_ID]), min_size=1, max_size=4))
    values: dict[str, object] = {}
    if draw(st.booleans()):
        marks = st.lists(st.sampled_from([7, LEAVING, 0xFFFF, ROUTER_ID]), min_size=1, max_size=3, unique=True)
        values["communities"] = tuple(sorted(draw(marks)))
    if draw(st.booleans()):
        values["originator_id"] = draw(st.sampled_from([9, ROUTER_ID]))
    if draw(st.booleans()):
        values["cluster_list"] = (draw(st.sampled_from([9, *IDENTITY])),)
    if draw(st.booleans()):
        values["only_to_customer"] = draw(st.sampled_from([65001, 70000]))
    return attributes(*asns, hop=draw(st.sampled_from([1, 250, 254])), **values)


@st.composite
def peers(draw: st.DrawFn) -> RibPeer:
    return replace(
        draw(st.sampled_from([EXTERNAL, INTERNAL])),
        own_as=draw(st.sampled_from([0, OWN_AS])),
        allow_own_as=draw(st.integers(0, 1)),
        prepend_local_as=draw(st.booleans()),
        heed_graceful_shutdown=draw(st.booleans()),
        local_role=draw(st.sampled_from([None, *Role])),
    )


@given(received=routes(), facts=peers())
def test_what_passes_at_a_glance_passes_the_closer_look_unchanged(received: Attributes, facts: RibPeer) -> None:
    if glance(facts).is_enough(received):
        assert not refusal(received, facts, IDENTITY, ADDRESSES)
        assert not leak(received, facts, IPV4_UNICAST)
        assert enter(received, facts, IPV4_UNICAST) is received


@pytest.mark.parametrize("facts", [EXTERNAL, INTERNAL, replace(INTERNAL, prepend_local_as=True)])
def test_ordinary_routes_need_no_more(facts: RibPeer) -> None:
    assert glance(facts).is_enough(attributes(65001, 70000, communities=(7, 65001 << 16)))


def test_roles_count_for_unicast_only() -> None:
    customer = replace(EXTERNAL, local_role=Role.PROVIDER)
    assert not glance(customer).is_enough(attributes(65001))
    assert Glance(customer, IPV4_MULTICAST, IDENTITY, ADDRESSES).is_enough(attributes(65001))


def test_a_new_address_of_ours_counts_at_once() -> None:
    addresses: set[bytes] = set()
    look = Glance(EXTERNAL, IPV4_UNICAST, IDENTITY, addresses)
    assert look.is_enough(attributes(65001, hop=7))
    addresses.add(bytes([10, 0, 0, 7]))
    assert not look.is_enough(attributes(65001, hop=7))
