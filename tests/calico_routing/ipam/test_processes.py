"""Processes that are killed at random while they share one SQLite store give no address twice and leak none."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calico_routing.datastore.sqlite_datastore import SqliteDatastore
from calico_routing.ipam.check import Leftovers, check_store, collect_garbage, load_contents
from calico_routing.model.resources import IPAMHandle
from tests.calico_routing.ipam.cluster import Cluster

ROOT = Path(__file__).parents[3]
WORKERS = 4
#: the test goes on until it has seen enough, however slow the machine is.
KILLS = 15
STEPS = 200
LONGEST_SECONDS = 60.0

WORKER = """
import os, random, sys
from calico_routing.datastore.sqlite_datastore import SqliteDatastore
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.requests import AssignRequest, ReleaseRequest

path, host, name = sys.argv[1:]
store = SqliteDatastore(path, create=False)
allocator = Allocator(store)
held = []
for number in range(10**9):
    if len(held) < 12 and random.random() < 0.6:
        handle = f"{name}.{number}"
        request = AssignRequest(host=host, handle=handle, num4=random.randint(1, 3), attributes={"node": host})
        addresses = [text.partition("/")[0] for text in allocator.auto_assign(request).ipv4.addresses]
        if addresses:
            held.append((handle, addresses))
            print("+", handle, *addresses, flush=True)
    elif held:
        handle, addresses = held.pop(random.randrange(len(held)))
        print("-", handle, flush=True)
        if random.random() < 0.5:
            allocator.release_by_handle(handle)
        else:
            allocator.release_ips([ReleaseRequest(address=address, handle=handle) for address in addresses])
"""


class Worker:
    def __init__(self, path: Path, name: str, host: str) -> None:
        self.log = path.parent / f"{name}.log"
        self.errors = path.parent / f"{name}.errors"
        with self.log.open("w") as output, self.errors.open("w") as errors:
            command = [sys.executable, "-c", WORKER, str(path), host, name]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=errors)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def held(self) -> dict[str, set[str]]:
        """What the worker had for certain when it died; a line that it was about to write counts as not written."""
        held: dict[str, set[str]] = {}
        for line in self.log.read_text().rpartition("\n")[0].splitlines():
            verb, handle, *addresses = line.split()
            if verb == "+":
                held[handle] = set(addresses)
            else:
                del held[handle]
        return held


def steps(workers: list[Worker]) -> int:
    """How often anything was taken or given back."""
    return sum(len(worker.log.read_text().splitlines()) for worker in workers)


@pytest.mark.parametrize("seed", [1])
def test_killed_processes_neither_share_nor_leak_addresses(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "store.db"
    choose = random.Random(seed)
    with SqliteDatastore(str(path)) as store:
        cluster = Cluster(store, nodes="a b")
        cluster.add_pool("10.0.0.0/25", block_size=28)
        workers = [Worker(path, f"w{number}", "ab"[number % 2]) for number in range(WORKERS)]
        running = list(workers)
        deadline = time.monotonic() + LONGEST_SECONDS
        try:
            while (len(workers) < WORKERS + KILLS or steps(workers) < STEPS) and time.monotonic() < deadline:
                time.sleep(choose.uniform(0.1, 0.4))
                victim = choose.randrange(WORKERS)
                running[victim].kill()
                running[victim] = Worker(path, f"w{len(workers)}", "ab"[victim % 2])
                workers.append(running[victim])
        finally:
            for worker in workers:
                worker.kill()
        assert [worker.errors.read_text() for worker in workers if worker.errors.read_text()] == []
        assert check_store(load_contents(store)) == []
        held = {handle: addresses for worker in workers for handle, addresses in worker.held().items()}
        assert steps(workers) >= STEPS
        everything = [address for addresses in held.values() for address in addresses]
        assert len(everything) == len(set(everything))
        for handle, addresses in held.items():
            assert set(cluster.allocator.addresses_by_handle(handle)) == addresses
        collect_garbage(store, collect_garbage(store, Leftovers()))
        assert check_store(load_contents(store), settled=True) == []
        for handle in [entry.handle_id for entry in store.list(IPAMHandle).items]:
            cluster.allocator.release_by_handle(handle)
        for host in "ab":
            cluster.allocator.release_host_affinities(host, must_be_empty=True)
        assert cluster.blocks() == {}
        assert cluster.handles() == {}
        assert cluster.affinities() == {}
