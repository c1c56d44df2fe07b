"""Socket options, read back from the kernel; a key that does not fit shows as silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pybgp.session.events import SessionUp
from pybgp.transport import tcp_options
from pybgp.transport.dialer import DialError, dial
from pybgp.transport.peer import Peer
from pybgp.transport.tcp_options import SocketOptionError, identity, prepare, resolve, sending_ttl, set_password
from tests.pybgp.session.session_examples import ours
from tests.pybgp.transport.peer_examples import LEFT, RIGHT, Recorder, config, listening, two_sides


def md5_works() -> bool:
    with socket.socket() as probe:
        try:
            set_password(probe, RIGHT, "probe")
        except SocketOptionError:
            return False
    return True


needs_md5 = pytest.mark.skipif(not md5_works(), reason="this kernel has no TCP MD5 signatures")


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


@pytest.mark.parametrize(
    ("changes", "ttl", "minimum"),
    [
        ({}, 1, 0),
        ({"ttl": 7}, 7, 0),
        ({"ttl_security_hops": 1}, 255, 255),
        ({"ttl_security_hops": 2}, 255, 254),
        ({"remote_as": 65001}, 255, 0),
    ],
)
def test_ttl_and_ttl_security(connection: socket.socket, changes: dict[str, int], ttl: int, minimum: int) -> None:
    settings = ours(**changes)
    assert sending_ttl(settings) == ttl
    prepare(connection, settings)
    assert connection.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == ttl
    assert connection.getsockopt(socket.IPPROTO_IP, tcp_options._IP_MINTTL) == minimum
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_hop_limit_of_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as made:
        prepare(made, ours(address="2001:db8::2", ttl_security_hops=3))
        assert made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) == 255
        assert made.getsockopt(socket.IPPROTO_IPV6, tcp_options._IPV6_MINHOPCOUNT) == 253


def test_the_signature_structure_has_the_size_the_kernel_expects() -> None:
    assert tcp_options._MD5_SIGNATURE.size == 216
    assert tcp_options._packed_address("192.0.2.1") == bytes([2, 0, 0, 0, 192, 0, 2, 1])
    assert len(tcp_options._packed_address("2001:db8::1")) == 28


@needs_md5
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_password_is_set_and_taken_away(address: str) -> None:
    family, _ = resolve(address, 0)
    with socket.socket(family) as made:
        set_password(made, address, "secret")
        set_password(made, address, None)
        with pytest.raises(SocketOptionError, match=rf"TCP MD5 password for {address} cannot be set: No such file"):
            set_password(made, address, None)


def test_a_password_that_is_too_long(connection: socket.socket) -> None:
    with pytest.raises(SocketOptionError, match="password of 81 octets: at most 80 fit"):
        set_password(connection, "192.0.2.1", "x" * 81)


def test_identity_knows_hosts_and_scopes() -> None:
    assert identity(("192.0.2.1", 179)) == ("192.0.2.1", 0)
    assert identity(("fe80::1%2", 179, 0, 2)) == ("fe80::1", 2)


@needs_md5
def test_two_peers_with_one_password_come_up() -> None:
    async def scenario() -> None:
        signed = {"password": "secret"}
        async with two_sides(signed, signed) as (left, right):
            left.peer.start()
            right.peer.start()
            await left.up()
            await right.up()

    asyncio.run(scenario())


@needs_md5
def test_a_wrong_password_is_silence_and_is_said_to_be_one() -> None:
    async def scenario() -> None:
        async with listening(RIGHT) as listener:
            listener.admit(LEFT, lambda connection: connection.close(), "secret")
            settings = replace(config(LEFT, RIGHT, listener.port), password="wrong", connect_timeout=0.3)
            with pytest.raises(DialError) as raised:
                await dial(settings)
            assert str(raised.value) == "Socket: Connection timed out (no answer, password configured)"

    asyncio.run(scenario())


def test_without_the_signature_the_neighbour_stays_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never talk unsigned to a neighbour for whom a password is configured."""

    async def scenario() -> None:
        monkeypatch.setattr(tcp_options, "_TCP_MD5SIG", 999)
        async with listening(RIGHT) as listener:
            for listeners in ([], [listener]):
                recorder = Recorder()
                settings = replace(config(RIGHT, LEFT, listener.port), password="secret")
                peer = Peer(settings, recorder, listeners=listeners)
                peer.start()
                await asyncio.gather(*peer._dials.values())
                status = peer.status()
                text = f"Error: TCP MD5 password for {LEFT} cannot be set: Protocol not available"
                assert (status.last_error, status.protocol_state, status.timers) == (text, "down", {})
                assert recorder.of_kind(SessionUp) == []
                assert listener._admitted == {}

    asyncio.run(scenario())


def test_an_interface_that_is_not_there() -> None:
    async def scenario() -> None:
        with pytest.raises(SocketOptionError, match="interface nowhere0 cannot be set"):
            await dial(replace(config(LEFT, RIGHT, 179), interface="nowhere0"))

    asyncio.run(scenario())
