"""Hours of change in little: `python -m tests.soak.churn [--minutes 30] [--rate 5000]`, on loopback addresses.

Four external peers announce and withdraw random prefixes with ever new attribute sets, so many changes in a second; one
more loses its session again and again and tells its table anew.  Two listeners keep what they are told.  In the end all
peers say again what they said at first, and then

- the listeners' tables are those that follow from what the peers say, by an oracle of the decision process,
- the resident memory is where it was (the share allowed is printed),
- no session was lost but those that the flapping peer ended itself.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.tables.feeder import UPDATE, Feeder, FeederError, RawPeer, RawPeerConfig, feeding
from tests.benchmarks.tables.listener import Listener, Route
from tests.benchmarks.tables.process_cost import Rest, cpu_seconds
from tests.benchmarks.tables.route_table import MARKER, update

ASN = 64512
RECEIVER = "127.77.0.1"
#: Short enough for a stall of the loop to be seen, long enough for a busy machine.
HOLD_SECONDS = 9
TICK_SECONDS = 0.1
#: How often each peer has changed each prefix before memory is looked at.
CHANGES_BEFORE = 10
#: One UPDATE changes up to so many prefixes.
LONGEST_RUN = 10
#: Pairs of a flap: away and back, every so often.
FLAP_SECONDS = 2.0
REPORT_SECONDS = 10.0
SETTLE_SECONDS = 120.0
#: Longer than the pause in which the program begins to give memory back.
PAUSE_SECONDS = 4.0
#: How much more memory than before is no leak.
MEMORY_SHARE = 0.05


@dataclass
class Speaker:
    """One raw peer, and what it says: prefix to (origin, AS path, communities)."""

    config: RawPeerConfig
    peer: RawPeer | None = None
    said: dict[bytes, Route] = field(default_factory=dict)
    first: dict[bytes, Route] = field(default_factory=dict)
    waiting: list[bytes] = field(default_factory=list)

    def octets(self, route: Route | None, keys: Sequence[bytes]) -> bytes:
        """Return an UPDATE that announces or, without a route, withdraws."""
        joined = b"".join(keys)
        if route is None:
            body = struct.pack(">H", len(joined)) + joined + b"\0\0"
            return MARKER + struct.pack(">HB", 19 + len(body), UPDATE) + body
        origin, ases, communities = route
        octets = bytes((0x40, 1, 1, origin, 0x40, 2, 2 + 4 * len(ases), 2, len(ases)))
        octets += struct.pack(f">{len(ases)}I", *ases)
        octets += bytes((0x40, 3, 4, 10, *map(int, self.config.address.split(".")[1:])))
        if communities:
            octets += bytes((0xC0, 8, len(communities))) + communities
        return update(octets, joined)

    def say(self, route: Route | None, keys: Sequence[bytes]) -> None:
        """Remember it, and tell it with the next `flush`."""
        self.waiting.append(self.octets(route, keys))
        for key in keys:
            if route is None:
                self.said.pop(key, None)
            else:
                self.said[key] = route

    def flush(self, feeder: Feeder) -> None:
        """Tell what waits."""
        if self.waiting and self.peer is not None:
            feeder.send(self.peer, b"".join(self.waiting))
            self.waiting.clear()

    def tell_all(self) -> None:
        """Say everything once more, as after a new session."""
        by_route: dict[Route, list[bytes]] = {}
        for key, route in self.said.items():
            by_route.setdefault(route, []).append(key)
        self.waiting = [self.octets(route, keys) for route, keys in by_route.items()]

    def return_to_the_beginning(self) -> None:
        """Say what was said at first, and no more."""
        for key in [key for key in self.said if key not in self.first]:
            self.say(None, [key])
        for key, route in self.first.items():
            if self.said.get(key) != route:
                self.say(route, [key])


def expected_table(speakers: Sequence[Speaker]) -> dict[bytes, Route]:
    """Choose for each prefix as RFC 4271 section 9.1.2.2 says: shortest path, lowest origin, lowest identifier."""
    best: dict[bytes, tuple[tuple[int, int, bytes], Route]] = {}
    for speaker in speakers:
        identifier = bytes(map(int, speaker.config.address.split(".")))
        for key, route in speaker.said.items():
            rank = len(route[1]), route[0], identifier
            if key not in best or rank < best[key][0]:
                best[key] = rank, route
    return {key: (origin, (ASN, *ases), communities) for key, (_, (origin, ases, communities)) in best.items()}


class Churn:
    """The peers, what they say next, and what has been counted."""

    def __init__(self, feeder: Feeder, seed: int, prefix_count: int) -> None:
        self.feeder = feeder
        self.chance = random.Random(seed)
        self.keys = [bytes((24, 20 + (n >> 16), n >> 8 & 255, n & 255)) for n in range(prefix_count)]
        self.speakers = [Speaker(RawPeerConfig(f"127.77.1.{n}", 65000 + n, HOLD_SECONDS)) for n in range(1, 6)]
        self.flapper = self.speakers[-1]
        peers = feeder.connect(speaker.config for speaker in self.speakers)
        for speaker, peer in zip(self.speakers, peers, strict=True):
            speaker.peer = peer
        listeners = feeder.connect(RawPeerConfig(f"127.77.2.{n}", 65100 + n, HOLD_SECONDS) for n in (1, 2))
        self.listeners = [Listener(peer) for peer in listeners]
        self.changes = self.flaps = 0

    def route(self, speaker: Speaker) -> Route:
        """Return attributes that hardly anybody has used before."""
        chance = self.chance
        ases = (speaker.config.asn, *(chance.randrange(70_000, 4_000_000) for _ in range(chance.randrange(6))))
        marks = sorted({chance.randrange(1 << 16, 64_000 << 16) for _ in range(chance.choice((0, 0, 1, 3, 8)))})
        return chance.choice((0, 0, 0, 1, 2)), ases, struct.pack(f">{len(marks)}I", *marks)

    def begin(self) -> None:
        """Fill the tables: each prefix is announced by about half of the peers."""
        for speaker in self.speakers:
            mine = [key for key in self.keys if self.chance.random() < 0.5]
            for start in range(0, len(mine), LONGEST_RUN):
                speaker.say(self.route(speaker), mine[start : start + LONGEST_RUN])

    def remember(self, processes: list[int]) -> None:
        """Let what is said now be that to which everybody will return."""
        self.settle(processes)
        for speaker in self.speakers:
            speaker.first = dict(speaker.said)

    def change(self, count: int) -> None:
        """Let random peers change about so many prefixes."""
        chance = self.chance
        while count > 0:
            speaker = chance.choice(self.speakers)
            if speaker.peer is None:
                continue
            keys = chance.sample(self.keys, min(count, chance.randint(1, LONGEST_RUN)))
            route = self.route(speaker) if chance.random() < 0.7 else None
            speaker.say(route, keys)
            count -= len(keys)
            self.changes += len(keys)

    def flap(self) -> None:
        """End the flapping peer's session without a word, and begin a new one."""
        assert self.flapper.peer is not None
        self.feeder.disconnect(self.flapper.peer)
        (self.flapper.peer,) = self.feeder.connect([self.flapper.config])
        self.flapper.tell_all()
        self.flaps += 1

    def flush(self) -> None:
        """Let everybody tell what waits."""
        for speaker in self.speakers:
            speaker.flush(self.feeder)

    def read(self) -> None:
        """Let the listeners take what came, and the others forget what they were told."""
        for listener in self.listeners:
            listener.read()
        for speaker in self.speakers:
            if speaker.peer is not None:
                speaker.peer.forget()

    def run(self, seconds: float, rate: int, process: int) -> None:
        """Change at this rate; a program that cannot keep up ends it."""
        start = time.perf_counter()
        tick, flap_at, report_at = start, start + FLAP_SECONDS, start + REPORT_SECONDS
        while (now := time.perf_counter()) < start + seconds:
            self.change(int(rate * TICK_SECONDS))
            self.flush()
            tick += TICK_SECONDS
            self.feeder.run(lambda at=tick: time.perf_counter() >= at, SETTLE_SECONDS, "tick")  # type: ignore[misc]
            self.read()
            if now > flap_at:
                flap_at = now + FLAP_SECONDS
                self.flap()
            if now > report_at:
                report_at = now + REPORT_SECONDS
                behind = sum(len(speaker.peer.outgoing) for speaker in self.speakers if speaker.peer is not None)
                memory = resident_kibibytes(process) / 1024
                print(f"{now - start:6.0f} s: {self.changes} changes, {self.flaps} flaps, {memory:.1f} MiB", end="")
                print(f", {behind} octets behind" if behind else "", flush=True)
            if tick < now - SETTLE_SECONDS:
                raise SystemExit(f"soak: {now - tick:.0f} s behind the wanted rate of {rate} changes/s")

    def settle(self, processes: list[int]) -> None:
        """Wait until everything is said, and everything that follows from it has come back."""
        self.flush()
        self.feeder.run(self.feeder.all_sent, SETTLE_SECONDS, "sending")
        rest = Rest(processes)
        self.feeder.run(rest.is_resting, SETTLE_SECONDS, "rest")
        self.read()

    def pause(self) -> None:
        """Give the program the time in which it gives memory back."""
        end = time.perf_counter() + PAUSE_SECONDS
        self.feeder.run(lambda: time.perf_counter() >= end, SETTLE_SECONDS, "pause")

    def check(self) -> None:
        """Compare what the listeners hold with what the oracle says."""
        expected = expected_table(self.speakers)
        for number, listener in enumerate(self.listeners, 1):
            wrong = [key for key in {*expected, *listener.table} if expected.get(key) != listener.table.get(key)]
            if wrong:
                key = min(wrong)
                texts = expected.get(key), listener.table.get(key)
                raise SystemExit(
                    f"soak: listener {number}: {len(wrong)} routes differ, {key.hex()}: {texts[0]}, not {texts[1]}"
                )
            if listener.next_hops != {bytes(map(int, RECEIVER.split(".")))}:
                raise SystemExit(f"soak: listener {number}: next hops {listener.next_hops}")


@contextmanager
def program(configs: Sequence[RawPeerConfig]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the speaker under test in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory, "speaker.json")
        peers = [(config.address, config.asn, False, HOLD_SECONDS) for config in configs]
        # A peer that flaps is damped, as it should be, but not for as long as this would take.
        options = {"idle_hold_time": 0.05, "maximum_idle_hold_time": 0.05}
        document = {"asn": ASN, "address": RECEIVER, "exports": True, "peers": peers, "options": options}
        configuration.write_text(json.dumps(document))
        command = [sys.executable, "-m", "tests.benchmarks.tables.our_speaker", str(configuration)]
        with Path(directory, "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process, configuration.with_name("figures")
        except FeederError:
            print(Path(directory, "output").read_text(errors="replace"), end="", file=sys.stderr)
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def resident_kibibytes(process: int) -> int:
    """Return the memory that a process has now."""
    found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def soak(seconds: float, rate: int, prefix_count: int, seed: int) -> str:
    """Run it and return what was found in one line; SystemExit says what was wrong."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: terminated"))  # so that the speaker ends with us
    configs = [
        RawPeerConfig(f"127.77.{part}.{n}", asn + n)
        for part, asn, count in ((1, 65000, 5), (2, 65100, 2))
        for n in range(1, count + 1)
    ]
    with program(configs) as (process, figures), feeding(RECEIVER) as feeder:
        churn = Churn(feeder, seed, prefix_count)
        churn.begin()
        churn.settle([process.pid])
        churn.check()
        churn.run(
            max(30.0, seconds / 10), rate, process.pid
        )  # what every store and pool needs to work at all is no leak
        churn.remember([process.pid])
        churn.pause()
        before, used = resident_kibibytes(process.pid), cpu_seconds([process.pid])
        began, churn.changes = time.perf_counter(), 0
        churn.run(seconds, rate, process.pid)
        took = time.perf_counter() - began
        busy = (cpu_seconds([process.pid]) - used) / took
        churn.settle([process.pid])
        churn.check()
        for speaker in churn.speakers:
            speaker.return_to_the_beginning()
        churn.settle([process.pid])
        churn.check()
        churn.pause()
        after = resident_kibibytes(process.pid)
        blocked = json.loads(figures.read_text())["longest_block"]
    pace = f"{churn.changes} changes in {took:.0f} s ({churn.changes / took:,.0f}/s), {churn.flaps} flaps"
    memory = f"memory {before / 1024:.1f} MiB before, {after / 1024:.1f} MiB after ({after / before - 1:+.1%})"
    text = f"{pace}; no other session lost, both listeners' tables as the oracle's; {busy:.0%} of a core, "
    text += f"longest turn {blocked * 1000:.0f} ms; {memory}"
    if after > before * (1 + MEMORY_SHARE):
        raise SystemExit(f"soak: more than {MEMORY_SHARE:.0%} more memory: {text}")
    return text


def main() -> None:
    """Read the command line and print the line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=5000, help="route changes in a second")
    parser.add_argument("--prefixes", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(soak(options.minutes * 60, options.rate, options.prefixes, options.seed))


if __name__ == "__main__":
    main()
