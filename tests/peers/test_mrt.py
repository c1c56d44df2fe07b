"""A table that we dump, injected into GoBGP: another implementation reads what we write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.demo.namespaces import Namespace, wait_until
from pybgp import IPV4_UNICAST, Speaker, SpeakerConfig
from tests.peers.daemons import GoBgp

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.peers,
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

ROUTER = """
[global.config]
as = 64512
router-id = "10.77.0.2"
port = -1
"""


@pytest.fixture
def gobgp() -> Iterator[GoBgp]:
    GoBgp.require()
    namespace = Namespace(f"pybgp-{os.getpid()}-mrt")
    with tempfile.TemporaryDirectory() as directory:
        try:
            namespace.create()
            namespace.ip("link", "set", "lo", "up")
            daemon = GoBgp(namespace, Path(directory), ROUTER)
            daemon.start()
            try:
                wait_until(lambda: daemon.client("global"), 15, "gobgpd's API", 0.1)
                yield daemon
            finally:
                daemon.stop()
        finally:
            namespace.delete()


def test_gobgp_injects_our_table(gobgp: GoBgp) -> None:
    """IPv4: GoBGP 3.10 takes the short MP_REACH_NLRI of RFC 6396 section 4.3.4, which IPv6 needs, for the long one.

    Its client leaves without an answer, and the server drops what it has not read by then: the last hundreds.
    """
    speaker = Speaker(SpeakerConfig(64501, "10.77.0.1"))
    wanted = ["198.51.100.0/24", "203.0.113.0/25", "0.0.0.0/0"]
    speaker.announce(wanted, as_path=[64510, 4200000001], communities=[65000 << 16 | 7])
    others = [f"10.{high}.{low}.0/24" for high in range(20) for low in range(200)]
    speaker.announce(others, as_path=[64510])
    file = gobgp.directory / "rib.mrt"
    file.write_bytes(b"".join(speaker.dump_tables([IPV4_UNICAST])))
    gobgp.ask("gobgp", "mrt", "inject", "global", str(file), check=True)
    wait_until(lambda: set(gobgp.client("global", "rib") or {}) >= set(wanted), 10, "routes", 0.1)
    rib = gobgp.client("global", "rib")
    assert rib.keys() <= {*wanted, *others}
    assert len(rib) > 1000
    for prefix in wanted:
        (path,) = rib[prefix]
        said = {attribute["type"]: attribute for attribute in path["attrs"]}
        assert said[2]["as_paths"][0]["asns"] == [64510, 4200000001]
        assert said[3]["nexthop"] == "10.77.0.1"
        assert said[8]["communities"] == [65000 << 16 | 7]
