"""Is the port free?"""

from __future__ import annotations

import socket

import pytest

from calico_routing.listen_check import ListenError, check_listen


def test_a_free_port_is_left_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check_listen([("127.0.0.1", port)])
    check_listen([("127.0.0.1", port)])


def test_a_port_that_somebody_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: another program has it"):
            check_listen([("127.0.0.1", port)])


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1 port 17999: Cannot assign"):
        check_listen([("192.0.2.1", 17999)])
