"""The same candidates, told by the same peers: every daemon chooses the path that we choose.

Two peers of one AS, one of another and an internal one tell random attributes of the same prefixes; what a daemon
prefers is what it passes on to an external listener, by a community that names the teller.  Daemons are configured to
compare as spec section 7 does where they have the option: MEDs deterministically, identifiers and not ages.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from examples.demo.namespaces import Namespace
from pybgp import IPV4_UNICAST, AsPath, Attributes, encode_updates
from pybgp.wire.iana import AttributeCode
from pybgp.wire.negotiated import Negotiated
from tests.benchmarks.tables.feeder import RawPeerConfig
from tests.benchmarks.tables.listener import Listener
from tests.benchmarks.tables.receivers import (
    ADDRESS,
    ASN,
    BirdReceiver,
    FrrReceiver,
    GoBgpReceiver,
    Job,
    OpenBgpdReceiver,
    OurReceiver,
    Receiver,
)
from tests.benchmarks.tables.rows import running
from tests.peers.daemons import Daemon

PREFIXES = [bytes((24, 198, 18, number)) for number in range(120)]
TELLERS = [
    RawPeerConfig("10.78.0.1", 65001),
    RawPeerConfig("10.78.0.2", 65001),
    RawPeerConfig("10.78.0.3", 65002),
    RawPeerConfig("10.78.0.4", ASN),
]
LISTENER = RawPeerConfig("10.78.0.9", 65200)
MARK = 65000 << 16
Choice = dict[bytes, int]


def candidate(chance: random.Random, teller: RawPeerConfig, number: int) -> Attributes:
    """Return attributes that often tie in the first steps."""
    internal = teller.asn == ASN
    leader = chance.choice((65001, 65002, 65003)) if internal else teller.asn
    path = AsPath.sequence(leader, *(chance.randrange(70_000, 71_000) for _ in range(chance.choice((0, 0, 1)))))
    values: dict[int, object] = {
        AttributeCode.ORIGIN: chance.choice((0, 0, 0, 1, 2)),
        AttributeCode.AS_PATH: path,
        AttributeCode.COMMUNITIES: (MARK + number,),
    }
    if chance.random() < 0.7:
        values[AttributeCode.MED] = chance.choice((0, 10, 20))
    if internal:
        values[AttributeCode.LOCAL_PREF] = chance.choice((50, 100, 100, 100, 150))
    return Attributes.build(values, bytes(map(int, teller.address.split("."))))


def candidates(seed: int) -> list[dict[bytes, Attributes]]:
    """Return what each teller says."""
    chance = random.Random(seed)
    return [
        {key: candidate(chance, teller, number) for key in PREFIXES if chance.random() < 0.85}
        for number, teller in enumerate(TELLERS)
    ]


def choose(kind: type[Receiver], namespace: Namespace, told: list[dict[bytes, Attributes]], order: list[int]) -> Choice:
    """Return which teller's path a receiver passes on, told by the peers in this order."""
    with running(kind, namespace, Job([*TELLERS, LISTENER], exports=True)) as (run, peers):
        listener = Listener(peers[-1])
        for number in order:
            teller = TELLERS[number]
            session = Negotiated(ASN, teller.asn, 1, 2)
            octets = b"".join(
                message
                for key, attributes in told[number].items()
                for message in encode_updates(IPV4_UNICAST, [key], attributes, session)
            )
            run.feeder.send(peers[number], octets)
            run.wait_rest()
        listener.read()
        marks = {key: int.from_bytes(communities, "big") for key, (_, _, communities) in listener.table.items()}
        return {key: mark - MARK for key, mark in marks.items()}


class DeterministicBird(BirdReceiver):
    def make(self, namespace: Namespace, directory: os.PathLike[str], job: Job) -> Daemon:  # type: ignore[override]
        return reworded(super().make(namespace, directory, job), "passive on;", "passive on; deterministic med on;")  # type: ignore[arg-type]


class DeterministicFrr(FrrReceiver):
    def make(self, namespace: Namespace, directory: os.PathLike[str], job: Job) -> Daemon:  # type: ignore[override]
        options = " bgp bestpath compare-routerid\n bgp deterministic-med\n bgp router-id"
        return reworded(super().make(namespace, directory, job), " bgp router-id", options)  # type: ignore[arg-type]


class DeterministicGoBgp(GoBgpReceiver):
    def make(self, namespace: Namespace, directory: os.PathLike[str], job: Job) -> Daemon:  # type: ignore[override]
        options = "[global.route-selection-options.config]\n  external-compare-router-id = true\n[global.apply-policy"
        return reworded(super().make(namespace, directory, job), "[global.apply-policy", options)  # type: ignore[arg-type]


def reworded(daemon: Daemon, old: str, new: str) -> Daemon:
    text = daemon.configuration_path.read_text()
    assert old in text
    daemon.configure(text.replace(old, new))
    return daemon


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    made = Namespace(f"best{os.getpid()}").create()
    try:
        made.ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
        made.ip("route", "add", "local", "10.78.0.0/16", "dev", "lo")
        yield made
    finally:
        made.delete()


@pytest.fixture(scope="module")
def our_choice(namespace: Namespace) -> tuple[list[dict[bytes, Attributes]], Choice]:
    """What is told, and what we make of it; every teller must win somewhere, or little would be compared."""
    told = candidates(seed=11)
    ours = choose(OurReceiver, namespace, told, [0, 1, 2, 3])
    assert ours.keys() == set().union(*told)
    assert set(ours.values()) == {0, 1, 2, 3}
    return told, ours


@pytest.mark.peers
@pytest.mark.parametrize(
    "kind", [DeterministicBird, DeterministicFrr, DeterministicGoBgp, OpenBgpdReceiver], ids=lambda k: k.name
)
def test_a_daemon_chooses_as_we_do(
    kind: type[Receiver], namespace: Namespace, our_choice: tuple[list[dict[bytes, Attributes]], Choice]
) -> None:
    if not kind.is_installed():
        pytest.skip(f"{kind.name} is not installed (package {kind.package})")
    told, ours = our_choice
    theirs = choose(kind, namespace, told, [3, 1, 0, 2])
    for key in PREFIXES:
        assert theirs.get(key) == ours.get(key), (key.hex(), [str(one.get(key)) for one in told])
