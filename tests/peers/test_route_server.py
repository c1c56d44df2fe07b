"""A route server that tells each client the best path that may reach it: BIRD's ``secondary`` and our per_client_best.

Three clients tell random paths to the same prefixes, two others may not hear some of them.  Which path each of the five
is told must be the same from both servers, after the first table as after withdrawals and other paths.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.namespaces import Namespace
from pybgp import IPV4_UNICAST, AsPath, Attributes, encode_updates
from pybgp.wire.iana import AttributeCode
from pybgp.wire.negotiated import Negotiated
from tests.benchmarks.tables.feeder import RawPeerConfig
from tests.benchmarks.tables.listener import Listener
from tests.benchmarks.tables.receivers import ADDRESS, ASN, BirdReceiver, Job, OurReceiver, Receiver
from tests.benchmarks.tables.rows import running
from tests.peers.daemons import Bird, Daemon
from tests.peers.router import Router

pytestmark = [
    pytest.mark.peers,
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

PREFIXES = [bytes((24, 198, 18, number)) for number in range(60)]
TELLERS = [RawPeerConfig(f"10.78.0.{number}", 65000 + number) for number in (1, 2, 3)]
OTHERS = [RawPeerConfig("10.78.0.8", 65008), RawPeerConfig("10.78.0.9", 65009)]
#: Which tellers a client may not hear.
HIDDEN = {"10.78.0.8": (0,), "10.78.0.9": (0, 1)}
MARK = 65000 << 16
#: A step: what each teller says anew; None: it withdraws.
Said = list[dict[bytes, Attributes | None]]
Told = dict[str, dict[bytes, int]]


def steps(seed: int) -> list[Said]:
    """Return a first table, then what changes of it."""
    chance = random.Random(seed)
    first: Said = [{key: path(chance, one) for key in PREFIXES if chance.random() < 0.8} for one in range(3)]
    then: Said = [{key: path(chance, one) if chance.random() < 0.4 else None for key in first[one]} for one in range(3)]
    return [first, then]


def path(chance: random.Random, number: int) -> Attributes:
    """Return a path that often ties in all steps but the last."""
    teller = TELLERS[number]
    behind = (chance.randrange(70_000, 71_000) for _ in range(chance.choice((0, 0, 1, 2))))
    values: dict[int, object] = {
        AttributeCode.ORIGIN: chance.choice((0, 0, 0, 2)),
        AttributeCode.AS_PATH: AsPath.sequence(teller.asn, *behind),
        AttributeCode.COMMUNITIES: (MARK + number,),
    }
    return Attributes.build(values, bytes(map(int, teller.address.split("."))))


class SecondaryBird(BirdReceiver):
    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        sessions = []
        for number, peer in enumerate(job.peers):
            hidden = " || ".join(f"(65000, {one}) ~ bgp_community" for one in HIDDEN.get(peer.address, ()))
            export = f"filter {{ if {hidden} then reject; accept; }}" if hidden else "all"
            sessions.append(
                f"protocol bgp p{number} {{ local {ADDRESS} as {ASN}; neighbor {peer.address} as {peer.asn}; direct;"
                f" passive on; rs client; ipv4 {{ import all; export {export}; secondary; }}; }}\n"
            )
        head = f"router id {ADDRESS};\nprotocol device {{ }}\nipv4 table master4 sorted;\n"
        return Bird(namespace, directory, head + "".join(sessions))


class PerClientRouter(OurReceiver):
    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        text = f"""
[node]
as_number = {ASN}
router_id = "{ADDRESS}"
[bgp]
listen_addresses = ["{ADDRESS}"]
export_policy = "all"
[kernel]
export = false
learn = false
[control]
socket = "{directory}/control"
[group.client]
passive = true
route_server_client = true
per_client_best = true
[policy.all]
default = "accept"
"""
        for peer in job.peers:
            text += f"[[peer]]\ngroup = 'client'\naddress = '{peer.address}'\nremote_as = {peer.asn}\n"
            if hidden := HIDDEN.get(peer.address):
                name = f"not-{len(hidden)}"
                text += f"export_policy = '{name}'\n[policy.{name}]\ndefault = 'accept'\n[[policy.{name}.clause]]\n"
                text += f"match.community = {[f'65000:{one}' for one in hidden]}\nthen = 'reject'\n"
        return Router(namespace, directory, text)


def told_by(kind: type[Receiver], namespace: Namespace, said: list[Said]) -> list[Told]:
    """Return after each step whose path each client has."""
    with running(kind, namespace, Job([*TELLERS, *OTHERS], exports=True)) as (run, peers):
        listeners = {peer.config.address: Listener(peer) for peer in peers}
        found = []
        for step in said:
            for number, changed in enumerate(step):
                session = Negotiated(ASN, TELLERS[number].asn, 1, 2)
                octets = b"".join(
                    message
                    for key, attributes in changed.items()
                    for message in encode_updates(IPV4_UNICAST, [key], attributes, session)
                )
                run.feeder.send(peers[number], octets)
            run.wait_rest()
            for listener in listeners.values():
                listener.read()
            found.append(
                {
                    address: {key: int.from_bytes(marks, "big") - MARK for key, (_, _, marks) in one.table.items()}
                    for address, one in listeners.items()
                }
            )
        return found


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace(f"server{os.getpid()}").create()
    try:
        made.ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
        made.ip("address", "add", "10.78.255.254/16", "dev", "lo")  # for BIRD, whose sorted tables want direct peers
        yield made
    finally:
        made.delete()


def test_each_client_is_told_what_bird_tells_it(namespace: Namespace) -> None:
    Bird.require()
    said = steps(seed=5)
    ours, theirs = (told_by(kind, namespace, said) for kind in (PerClientRouter, SecondaryBird))
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        for address in mine:
            assert mine[address] == other[address], (step, address)
    hidden_best = [
        key for key, number in ours[0]["10.78.0.8"].items() if ours[0][TELLERS[number].address].get(key) == 0
    ]
    assert hidden_best, "the best path of all is hidden from a client that is told the next"
    assert ours[0] != ours[-1]
