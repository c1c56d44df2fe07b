"""A wrong setting is named with its value; defaults follow the specification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybgp.errors import LocalError
from pybgp.session.config import GracefulRestartConfig
from pybgp.session.tcp_ao import TcpAoKey
from pybgp.wire.families import IPV4_VPN, IPV6_UNICAST
from pybgp.wire.iana import Role
from tests.pybgp.session.session_examples import ours

KEY = TcpAoKey("secret", 1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"address": "192.0.2.256"}, "address '192.0.2.256': an IP address expected"),
        ({"local_address": "host"}, "local_address 'host': an IP address expected"),
        ({"local_address": "2001:db8::1"}, "local_address '2001:db8::1': not of the same IP version as '192.0.2.2'"),
        ({"remote_as": 0}, "remote_as 0: 1 to 4294967295 expected"),
        ({"local_as": 2**32}, "local_as 4294967296: 1 to 4294967295 expected"),
        ({"router_id": 0}, "router_id 0: 1 to 4294967295 expected"),
        ({"port": 65536}, "port 65536: 1 to 65535 expected"),
        ({"families": ()}, "families: at least one expected"),
        ({"hold_time": 2}, "hold_time 2: 0 or at least 3 seconds expected"),
        ({"hold_time": 65536}, "hold_time 65536: 0 to 65535 expected"),
        ({"minimum_hold_time": -1}, "minimum_hold_time -1: 0 to 65535 expected"),
        ({"keepalive_time": 90}, "keepalive_time 90: 1 to 89 expected"),
        ({"first_retry_time": 0}, "first_retry_time 0: more than 0 seconds expected"),
        ({"connect_delay": -1}, "connect_delay -1: 0 or more seconds expected"),
        ({"send_hold_time": 90}, "send_hold_time 90: 0 or more than hold_time 90 expected"),
        ({"password": ""}, "password of 0 octets: 1 to 80 expected"),
        ({"password": "x" * 81}, "password of 81 octets: 1 to 80 expected"),
        ({"open_time": 0}, "open_time 0: more than 0 seconds expected"),
        ({"password": "x", "tcp_ao": (KEY,)}, "password and tcp_ao: only one of them may be set"),
        ({"role": Role.PEER, "remote_as": 65001}, "role PEER: there are roles toward external neighbours only"),
        ({"ttl": 0}, "ttl 0: 1 to 255 expected"),
        ({"ttl_security_hops": 255}, "ttl_security_hops 255: 1 to 254 expected"),
        ({"ttl": 2, "ttl_security_hops": 1}, "ttl and ttl_security_hops: only one of them may be set"),
        (
            {"extended_next_hop": (IPV6_UNICAST,)},
            "extended_next_hop ipv6-unicast: one of ipv4-unicast, ipv4-multicast, ipv4-labelled, ipv4-vpn,"
            " ipv4-vpn-multicast expected",
        ),
        (
            {"multiple_labels": ((IPV6_UNICAST, 3),)},
            "multiple_labels ipv6-unicast: one of ipv4-labelled, ipv4-vpn, ipv6-labelled, ipv6-vpn expected",
        ),
        ({"multiple_labels": ((IPV4_VPN, 1),)}, "multiple_labels ipv4-vpn 1: 2 to 255 expected"),
        ({"interface": "x" * 16}, "interface 'xxxxxxxxxxxxxxxx': 1 to 15 octets expected"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalError) as raised:
        ours(**changes)
    assert str(raised.value) == message


@pytest.mark.parametrize("changes", [{"restart_time": 4096}, {"maximum_restart_time": -1}, {"stale_time": -1.0}])
def test_restart_times_fit_their_field(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(LocalError, match=f"graceful_restart.{name} {changes[name]}: "):
        GracefulRestartConfig(**changes)


@pytest.mark.parametrize(
    ("configured", "hold_time", "expected"),
    [(None, 90, 480.0), (None, 300, 600.0), (None, 0, 0.0), (0.0, 90, 0.0), (100.0, 90, 100.0), (100.0, 240, 240.0)],
)
def test_send_hold_time(configured: float | None, hold_time: int, expected: float) -> None:
    assert ours(send_hold_time=configured).effective_send_hold_time(hold_time) == expected


@pytest.mark.parametrize(
    ("configured", "negotiated", "expected"), [(None, 90, 30.0), (20, 90, 20.0), (20, 45, 10.0), (20, 180, 20.0)]
)
def test_keepalive_time_follows_the_hold_time(configured: int | None, negotiated: int, expected: float) -> None:
    assert ours(hold_time=90, keepalive_time=configured).effective_keepalive_time(negotiated) == expected


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(ours(password="secret"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": ""}, "tcp_ao key of 0 octets: 1 to 80 expected"),
        ({"key": "x" * 81}, "tcp_ao key of 81 octets: 1 to 80 expected"),
        ({"send_id": 256}, "tcp_ao send_id 256: 0 to 255 expected"),
        ({"receive_id": -1}, "tcp_ao receive_id -1: 0 to 255 expected"),
        ({"mac_length": 21}, "tcp_ao mac_length 21: 0 to 20 expected"),
        ({"algorithm": "md5"}, "tcp_ao algorithm 'md5': one of hmac(sha1), cmac(aes128), hmac(sha256) expected"),
    ],
)
def test_a_wrong_tcp_ao_key_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalError) as raised:
        replace(KEY, **changes)
    assert str(raised.value) == message


def test_a_tcp_ao_key_is_not_shown() -> None:
    assert "secret" not in repr(ours(tcp_ao=(KEY,)))
