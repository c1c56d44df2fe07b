"""Fifty ADDs at once on two nodes over one SQLite store, some killed at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calico_routing.ipam.check import check_store, load_contents
from tests.calico_routing.cni.testbed import NodeBed, Pod, Testbed, needs_root

pytestmark = [pytest.mark.namespaces, needs_root]
PODS = 50
WORKERS = PODS
SEED = 20261123


class Outcome:
    """What became of one ADD: its addresses, or None when it was killed or failed."""

    def __init__(self, node: NodeBed, pod: Pod, addresses: tuple[str, ...] | None, text: str) -> None:
        self.node, self.pod, self.addresses, self.text = node, pod, addresses, text


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Testbed]:
    with Testbed(tmp_path) as bed:
        bed.pool("default-ipv4-ippool", "192.168.0.0/16")
        bed.node("node-01")
        bed.node("node-02")
        yield bed


def add(node: NodeBed, pod: Pod, kill_after: float | None) -> Outcome:
    """ADD as a process of its own, killed after some seconds if asked."""
    runtime = node.runtime
    config = runtime.derive(runtime.conflist["plugins"][0], pod.attachment.capabilities, None)
    process = subprocess.Popen(
        ["nsenter", f"--net={node.namespace.path}", runtime.find("calico")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=runtime.environment("ADD", pod.attachment),
    )
    timer = threading.Timer(kill_after or 0, process.send_signal, [signal.SIGKILL])
    if kill_after is not None:
        timer.start()
    try:
        output, stderr = process.communicate(json.dumps(config).encode(), timeout=60)
    finally:
        timer.cancel()
        process.kill()
    if process.returncode:
        return Outcome(node, pod, None, f"{process.returncode} {output.decode()} {stderr.decode()}")
    return Outcome(node, pod, tuple(entry["address"] for entry in json.loads(output)["ips"]), "")


def delete(outcome: Outcome) -> None:
    runtime = outcome.node.runtime
    config = runtime.derive(runtime.conflist["plugins"][0], {}, None)
    assert runtime.execute("DEL", "calico", config, outcome.pod.attachment) == ""


def seconds_of_one_add(node: NodeBed) -> float:
    """How long a call takes here and now, so that kills hit every part of it on any machine."""
    pod = node.bed.pod("clock")
    started = time.monotonic()
    outcome = add(node, pod, None)
    seconds = time.monotonic() - started
    delete(outcome)
    return seconds


def add_all(bed: Testbed, chance_of_a_kill: float) -> list[Outcome]:
    chance = random.Random(SEED)
    nodes = list(bed.nodes.values())
    span = seconds_of_one_add(nodes[0]) * max(1.0, WORKERS / (os.cpu_count() or 1))
    work = [
        (
            nodes[number % len(nodes)],
            bed.pod(f"web-{number}"),
            chance.uniform(0, span) if chance.random() < chance_of_a_kill else None,
        )
        for number in range(PODS)
    ]
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda entry: add(*entry), work))


def addresses_of(outcomes: list[Outcome]) -> list[str]:
    return [address for outcome in outcomes for address in outcome.addresses or ()]


def findings(bed: Testbed) -> list[str]:
    """Broken promises of spec/calico.md section 11; nobody is at work, so handles must count exactly."""
    return [str(finding) for finding in check_store(load_contents(bed.store), settled=True)]


def delete_all(outcomes: list[Outcome]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(delete, outcomes))


def test_fifty_at_once_get_fifty_addresses(bed: Testbed) -> None:
    outcomes = add_all(bed, 0)
    assert [outcome.text for outcome in outcomes if outcome.addresses is None] == []
    addresses = addresses_of(outcomes)
    assert len(addresses) == len(set(addresses)) == PODS
    assert findings(bed) == []
    delete_all(outcomes)
    assert bed.leftovers() == []
    assert findings(bed) == []


def test_with_random_kills_no_address_is_given_twice_and_nothing_leaks(bed: Testbed) -> None:
    outcomes = add_all(bed, 0.4)
    killed = [outcome for outcome in outcomes if outcome.addresses is None]
    assert killed, "the seed must kill some, or the test shows nothing"
    assert all(outcome.text.startswith("-9 ") for outcome in killed), [outcome.text for outcome in killed]
    addresses = addresses_of(outcomes)
    assert len(addresses) == len(set(addresses)) == PODS - len(killed)
    for outcome in outcomes:
        if outcome.addresses:
            assert outcome.pod.namespace.addresses("eth0") == set(outcome.addresses)
            held = f"k8s-pod-network.{outcome.pod.attachment.container_id}"
            assert list(bed.allocated().values()).count(held) == 1
    delete_all(outcomes)
    assert bed.leftovers() == []
    again = add_all(bed, 0)
    assert len(set(addresses_of(again))) == PODS
    delete_all(again)
    assert bed.leftovers() == []
    assert findings(bed) == []
