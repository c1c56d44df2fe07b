"""One session with each daemon of others: a block in both directions, seen from both sides, and taken back."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.demo.namespaces import Namespace
from tests.namespaces.cable import cable
from tests.peers.daemons import (
    Bird,
    Daemon,
    Frr,
    GoBgp,
    OpenBgpd,
    bird_session,
    frr_session,
    gobgp_session,
    openbgpd_session,
)
from tests.peers.router import Router, router_session

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.peers,
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

OUR_ADDRESS, THEIR_ADDRESS = "10.77.0.1", "10.77.0.2"
OUR_BLOCK, THEIR_BLOCK = "192.168.171.64/26", "192.168.5.0/26"
OUR_AS = 64512


@pytest.fixture
def directory() -> Iterator[Path]:
    """Yield a directory that daemons with users of their own may enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    with cable("sessions", [f"{OUR_ADDRESS}/24"], [f"{THEIR_ADDRESS}/24"]) as both:
        yield both


def exchange(us: Router, them: Daemon) -> None:
    """Start both, see each block arrive on the other side, then stop ours and see it go there."""
    try:
        us.start()
        them.start()
        us.wait_established(THEIR_ADDRESS)
        them.wait_established(OUR_ADDRESS)
        if isinstance(them, GoBgp):
            them.announce(THEIR_BLOCK)
        us.wait_routes(THEIR_ADDRESS, [THEIR_BLOCK])
        them.wait_routes(OUR_ADDRESS, [OUR_BLOCK])
        them.stop()
        us.wait_routes(THEIR_ADDRESS, [])
    finally:
        us.stop()
        them.stop()


def our_router(namespaces: tuple[Namespace, Namespace], directory: Path, their_as: int) -> Router:
    home = directory / "ours"
    configuration = router_session(home, OUR_ADDRESS, THEIR_ADDRESS, OUR_AS, their_as, [OUR_BLOCK])
    return Router(namespaces[0], home, configuration)


def test_bird(namespaces: tuple[Namespace, Namespace], directory: Path) -> None:
    Bird.require()
    configuration = bird_session(THEIR_ADDRESS, OUR_ADDRESS, OUR_AS, OUR_AS, [THEIR_BLOCK])
    them = Bird(namespaces[1], directory / "bird", configuration)
    exchange(our_router(namespaces, directory, OUR_AS), them)


def test_frr(namespaces: tuple[Namespace, Namespace], directory: Path) -> None:
    Frr.require()
    configuration = frr_session(THEIR_ADDRESS, OUR_ADDRESS, 64513, OUR_AS, [THEIR_BLOCK])
    them = Frr(namespaces[1], directory / "frr", configuration)
    exchange(our_router(namespaces, directory, 64513), them)


def test_gobgp(namespaces: tuple[Namespace, Namespace], directory: Path) -> None:
    GoBgp.require()
    configuration = gobgp_session(THEIR_ADDRESS, OUR_ADDRESS, OUR_AS, OUR_AS)
    them = GoBgp(namespaces[1], directory / "gobgp", configuration)
    exchange(our_router(namespaces, directory, OUR_AS), them)


def test_openbgpd(namespaces: tuple[Namespace, Namespace], directory: Path) -> None:
    OpenBgpd.require()
    configuration = openbgpd_session(THEIR_ADDRESS, OUR_ADDRESS, 64514, OUR_AS, [THEIR_BLOCK])
    them = OpenBgpd(namespaces[1], directory / "openbgpd", configuration)
    exchange(our_router(namespaces, directory, 64514), them)
