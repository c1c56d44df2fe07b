"""Socket options, read back from the kernel; a key that does not fit shows as silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from pybgp.session.events import SessionDown, SessionUp, UpdateReceived
from pybgp.session.tcp_ao import TcpAoKey
from pybgp.transport import tcp_options
from pybgp.transport.dialer import DialError, dial
from pybgp.transport.peer import Peer
from pybgp.transport.tcp_options import SocketOptionError, identity, prepare, resolve, sending_ttl, set_password
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.messages import end_of_rib
from tests.pybgp.session.session_examples import ours
from tests.pybgp.transport.peer_examples import LEFT, RIGHT, Recorder, both_up, config, listening, two_sides


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
            await both_up(left, right)

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


AO_KEYS = (TcpAoKey("first", 1, 11), TcpAoKey("second", 2, 12, "cmac(aes128)", 16))


class Wire:
    """A socket that keeps what the kernel would be told."""

    family = socket.AF_INET

    def __init__(self, *, listening: bool) -> None:
        self.listening = listening
        self.options: list[tuple[int, bytes]] = []

    def getsockopt(self, *_: int) -> int:
        return int(self.listening)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert level == socket.IPPROTO_TCP
        self.options.append((option, value))


@pytest.mark.parametrize(("listening", "bits"), [(False, 3), (True, 0)])
def test_tcp_ao_keys_as_the_kernel_reads_them(listening: bool, bits: int) -> None:
    """struct tcp_ao_add of linux/tcp.h, octet by octet."""
    wire = Wire(listening=listening)
    tcp_options.set_authentication_keys(cast("socket.socket", wire), "192.0.2.1", AO_KEYS)
    (option, first), (_, second) = wire.options
    assert (option, len(first)) == (38, 288)
    assert first[:8] == bytes([2, 0, 0, 0, 192, 0, 2, 1])
    assert first[128:192].rstrip(b"\0") == b"hmac(sha1)"
    assert first[196] == bits
    assert first[202:208] == bytes([32, 1, 11, 12, 0, 5])
    assert first[208:].rstrip(b"\0") == b"first"
    assert (second[196], second[202:208]) == (0, bytes([32, 2, 12, 16, 0, 6]))


def test_tcp_ao_keys_of_a_prefix_are_removed_one_by_one() -> None:
    wire = Wire(listening=True)
    tcp_options.remove_authentication_keys(cast("socket.socket", wire), "192.0.2.0/24", AO_KEYS)
    assert [(option, len(value), value[132], value[138:141]) for option, value in wire.options] == [
        (39, 144, 4, bytes([24, 1, 11])),
        (39, 144, 4, bytes([24, 2, 12])),
    ]


def ao_works() -> bool:
    with socket.socket() as probe:
        try:
            tcp_options.set_authentication_keys(probe, RIGHT, AO_KEYS)
        except SocketOptionError:
            return False
    return True


@pytest.mark.skipif(ao_works(), reason="this kernel has TCP-AO")
def test_where_the_kernel_has_no_tcp_ao_the_neighbour_is_held_down() -> None:
    async def scenario() -> None:
        async with listening(RIGHT) as listener:
            for listeners in ([], [listener]):
                settings = replace(config(RIGHT, LEFT, listener.port), tcp_ao=AO_KEYS)
                peer = Peer(settings, Recorder(), listeners=listeners)
                peer.start()
                await asyncio.gather(*peer._dials.values())
                status = peer.status()
                text = f"Error: TCP-AO key 1 for {LEFT} cannot be set: Protocol not available"
                assert (status.last_error, status.protocol_state) == (text, "down")
                assert listener._admitted == {}

    asyncio.run(scenario())


@pytest.mark.skipif(not ao_works(), reason="this kernel has no TCP-AO")
def test_two_peers_with_tcp_ao_come_up() -> None:
    async def scenario() -> None:
        async with two_sides({"tcp_ao": (TcpAoKey("secret", 1, 2),)}, {"tcp_ao": (TcpAoKey("secret", 2, 1),)}) as (
            left,
            right,
        ):
            await both_up(left, right)

    asyncio.run(scenario())


@needs_md5
@pytest.mark.parametrize("prefix", ["192.0.2.0/24", "2001:db8::/32", "fe80::/10"])
def test_a_password_of_a_prefix_is_set_changed_and_taken_away(prefix: str) -> None:
    family, _ = resolve(prefix.partition("/")[0], 0)
    with socket.socket(family) as made:
        set_password(made, prefix, "secret")
        set_password(made, prefix, "other")
        set_password(made, prefix, None)
        with pytest.raises(SocketOptionError, match=rf"TCP MD5 password for {prefix} cannot be set: No such file"):
            set_password(made, prefix, None)


@needs_md5
@pytest.mark.parametrize(("old", "new"), [("old", "new"), (None, "new"), ("old", None)])
def test_a_key_changes_while_the_session_lives(old: str | None, new: str | None) -> None:
    async def scenario() -> None:
        async with two_sides({"password": old}, {"password": old}) as (left, right):
            await both_up(left, right)
            left.peer.reconfigure(replace(left.peer.config, password=new))
            left.peer.send(end_of_rib(IPV4_UNICAST))
            right.peer.reconfigure(replace(right.peer.config, password=new))
            assert (await right.recorder.first(UpdateReceived)).update.end_of_rib == IPV4_UNICAST
            assert left.peer.config.password == new
            assert not left.recorder.of_kind(SessionDown)
            left.peer.reset()
            await left.up(2)

    asyncio.run(scenario())


def test_a_key_that_cannot_be_changed_holds_the_neighbour_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):
            left.peer.start()
            right.peer.start()
            await left.up()
            monkeypatch.setattr(tcp_options, "_TCP_MD5SIG", 999)
            left.peer.reconfigure(replace(left.peer.config, password="secret"))
            assert left.peer.status().info == (
                f"Idle Error: TCP MD5 password for {RIGHT} cannot be set: Protocol not available"
            )

    asyncio.run(scenario())
