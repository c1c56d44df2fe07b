"""RFC 9234: roles in OPEN, and Only To Customer on the way in and out, for every relation of two neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.rib.entrance import enter
from pybgp.rib.export import ExportProfile, rewrite, why_silent
from pybgp.rib.path import LOCAL_PEER, Path, Source
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.roles import leak, role_in
from pybgp.session.events import SessionUp
from pybgp.session.state_machine import State
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AttributeCode, Role
from pybgp.wire.messages import Notification
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with
from tests.pybgp.session.session_examples import KEEPALIVE, notifications, only, open_of, ours, session, theirs
from tests.pybgp.transport.test_speaker import Town, run, until

#: our role, the peer's
PAIRS = [
    (Role.PROVIDER, Role.CUSTOMER),
    (Role.CUSTOMER, Role.PROVIDER),
    (Role.ROUTE_SERVER, Role.ROUTE_SERVER_CLIENT),
    (Role.ROUTE_SERVER_CLIENT, Role.ROUTE_SERVER),
    (Role.PEER, Role.PEER),
]
THEIR_AS, THIRD_AS = 65001, 65007
MULTICAST = Family(1, 2)
PROFILE = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL)


def marked(by: int | None) -> Attributes:
    return attributes(THEIR_AS) if by is None else attributes(THEIR_AS, only_to_customer=by)


def mark_of(attrs: Attributes) -> object:
    return attrs.get(AttributeCode.ONLY_TO_CUSTOMER)


def teller(role: Role | None) -> RibPeer:
    return replace(peer(1, THEIR_AS), local_role=role)


# Section 4: the capability.


@pytest.mark.parametrize(("local", "remote"), PAIRS)
def test_roles_that_fit(local: Role, remote: Role) -> None:
    machine = session(ours(role=local, strict_role=True))
    machine.start(0.0)
    machine.connection_made(0.0)
    events = machine.receive_data(open_of(theirs(role=remote)) + KEEPALIVE, 0.0)
    negotiated = only(events, SessionUp).negotiated
    assert (negotiated.local_role, negotiated.peer_role) == (local, remote)


@pytest.mark.parametrize("local", Role)
@pytest.mark.parametrize("remote", [*Role, None])
@pytest.mark.parametrize("strict", [True, False])
def test_roles_that_do_not_fit(local: Role, remote: Role | None, strict: bool) -> None:
    machine = session(ours(role=local, strict_role=strict))
    machine.start(0.0)
    machine.connection_made(0.0)
    machine.data_to_send()
    machine.receive_data(open_of(theirs(role=remote)), 0.0)
    if (local, remote) in PAIRS or (remote is None and not strict):
        assert machine.state is State.OPEN_CONFIRM
    else:
        assert notifications(machine.data_to_send()) == [Notification(2, 11)]


# Section 5: the attribute.


@pytest.mark.parametrize(
    ("role", "mark", "is_leak", "entered"),
    [
        (Role.PROVIDER, None, False, None),
        (Role.PROVIDER, THIRD_AS, True, None),
        (Role.ROUTE_SERVER, None, False, None),
        (Role.ROUTE_SERVER, THEIR_AS, True, None),
        (Role.PEER, None, False, THEIR_AS),
        (Role.PEER, THEIR_AS, False, THEIR_AS),
        (Role.PEER, THIRD_AS, True, None),
        (Role.CUSTOMER, None, False, THEIR_AS),
        (Role.CUSTOMER, THIRD_AS, False, THIRD_AS),
        (Role.ROUTE_SERVER_CLIENT, None, False, THEIR_AS),
        (Role.ROUTE_SERVER_CLIENT, THIRD_AS, False, THIRD_AS),
        (None, THIRD_AS, False, THIRD_AS),
        (None, None, False, None),
    ],
)
def test_on_the_way_in(role: Role | None, mark: int | None, is_leak: bool, entered: int | None) -> None:
    received = marked(mark)
    assert bool(leak(received, teller(role), IPV4_UNICAST)) is is_leak
    if not is_leak:
        assert mark_of(enter(received, teller(role), IPV4_UNICAST)) == entered


def test_a_leak_stays_visible_and_is_not_selected() -> None:
    rib = rib_with(teller(Role.PROVIDER))
    assert rib.apply(1, IPV4_UNICAST, (), marked(THIRD_AS), [key("10.0.0.0/8")]) == []
    (path,) = rib.received(1, IPV4_UNICAST).values()
    assert path.rejection == f"route leak: only for customers of AS {THIRD_AS} (RFC 9234)"


@pytest.mark.parametrize(
    ("role", "mark", "sent"),
    [
        (Role.PROVIDER, None, LOCAL_AS),
        (Role.PROVIDER, THIRD_AS, THIRD_AS),
        (Role.ROUTE_SERVER, None, LOCAL_AS),
        (Role.ROUTE_SERVER, THIRD_AS, THIRD_AS),
        (Role.PEER, None, LOCAL_AS),
        (Role.PEER, THIRD_AS, "nothing"),
        (Role.CUSTOMER, None, None),
        (Role.CUSTOMER, THIRD_AS, "nothing"),
        (Role.ROUTE_SERVER_CLIENT, None, None),
        (Role.ROUTE_SERVER_CLIENT, THIRD_AS, "nothing"),
        (None, THIRD_AS, THIRD_AS),
    ],
)
def test_on_the_way_out(role: Role | None, mark: int | None, sent: object) -> None:
    attrs = marked(mark)
    path = Path(LOCAL_PEER, Source.LOCAL, attrs, attrs)
    profile = replace(PROFILE, local_role=role)
    result = rewrite(path, attrs, profile)
    assert ("nothing" if result is None else mark_of(result)) == sent
    if result is None:
        assert why_silent(path, attrs, profile) == "only for customers, which these peers are not (RFC 9234)"


def test_only_unicast_routes_are_concerned() -> None:
    assert role_in(IPV6_UNICAST, Role.PEER) is Role.PEER
    assert role_in(MULTICAST, Role.PEER) is None
    assert not leak(marked(THIRD_AS), teller(Role.PROVIDER), MULTICAST)
    assert mark_of(enter(marked(None), teller(Role.CUSTOMER), MULTICAST)) is None


def test_a_customer_does_not_leak_from_one_provider_to_another() -> None:
    """Between real speakers: what 65001 tells 65002, its customer, does not reach 65003, the other provider."""

    async def scenario(place: Town) -> None:
        above, middle, other = (place.make(number, asn=65000 + number) for number in (1, 2, 3))
        for number, far, role in (
            (1, 2, Role.PROVIDER),
            (2, 1, Role.CUSTOMER),
            (2, 3, Role.CUSTOMER),
            (3, 2, Role.PROVIDER),
        ):
            speaker = place.speakers[number]
            config = speaker.peer(
                f"127.0.1.{far}", 65000 + far, local_address=f"127.0.1.{number}", port=place.port, role=role
            )
            known = {name: peering.config for name, peering in speaker._peerings.items()}
            speaker.configure({**known, f"n{far}": config})
        above.announce("192.0.2.0/24")
        middle.announce("198.51.100.0/24")
        for speaker in (above, middle, other):
            await speaker.start()
        await until(lambda: place.seen(2) == {"192.0.2.0/24", "198.51.100.0/24"})
        await until(lambda: "198.51.100.0/24" in place.seen(3))
        assert place.seen(3) == {"198.51.100.0/24"}
        best = middle.best(IPV4_UNICAST)[key("192.0.2.0/24")]
        assert mark_of(best.attributes) == 65001

    run(scenario)
