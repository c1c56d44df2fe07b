"""UPDATEs and MRT records, read and written by us and other libraries: `python -m tests.benchmarks.bench_codec`.

Each piece of work of each library runs in a fresh process on the same octets; CPU time, the best of some rounds, each
with a codec that knows nothing yet.  The others live in an environment of their own, which `.ci/bench-peers` makes.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.codecs.run import OURS
from tests.benchmarks.codecs.stream_file import Stream
from tests.benchmarks.codecs.streams import MRT_FILES, generated, recorded
from tests.benchmarks.report import REPORT, machine, with_section
from tests.conformance.corpus import CORPUS

ROOT = Path(__file__).parents[2]
HEADING = "## Codecs"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
OTHERS = ("ExaBGP", "os-ken", "YABGP")
MRT_READER = "mrtparse"
ROUTES, MESSAGES = 30_000, 5_000
MRT_SAMPLE = (*MRT_FILES, "bgpdump__test_data__bview.ipv4_unicast_add_path.gz")
#: how many times as fast as each of them we mean to be.
DECODE_AIMS = {"ExaBGP": 10.0, "os-ken": 5.0, "YABGP": 2.5}
ENCODE_AIM, MRT_AIM = 4.0, 3.0
LIMIT_SECONDS = 900


@dataclass(frozen=True)
class Work:
    """A piece of work: what we do, and what the others do, who read and write all values at once."""

    name: str
    ours: str
    theirs: str
    #: the aims count for it.
    is_aimed_at: bool = False


WORKS = (
    Work("read: validated, prefix keys and attribute set", "decode", "decode", is_aimed_at=True),
    Work("read, and every attribute's value taken", "read", "decode"),
    Work("read, and prefixes and next hops printed", "texts", "texts"),
    Work("written again as it was read", "encode", "encode", is_aimed_at=True),
    Work("written from values", "build", "encode"),
)


@dataclass(frozen=True)
class Outcome:
    """How one library did a piece of work."""

    seconds: float
    items: int
    refused: int = 0
    prefixes: int = 0
    version: str = ""

    @property
    def rate(self) -> float:
        return self.items / self.seconds


Results = dict[tuple[str, str], dict[str, Outcome | str]]


def run(codec: str, job: str, *files: Path) -> Outcome | str:
    """A fresh process; what went wrong is a word in the table."""
    python = Path(sys.executable) if codec == OURS else PEERS_PYTHON
    if not python.exists():
        return "not installed"
    command = [str(python), "-m", "tests.benchmarks.codecs.run", codec, job, *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}"
        return "not installed" if "ModuleNotFoundError" in reason else f"failed: {reason}"
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def better(one: Outcome | str, other: Outcome | str) -> Outcome | str:
    """The quicker of two outcomes; what went wrong once is not hidden by a second try."""
    if isinstance(one, str) or isinstance(other, str):
        return one if isinstance(one, str) else other
    return one if one.rate >= other.rate else other


def measure_streams(streams: Sequence[Stream], works: Sequence[Work], folder: Path, passes: int) -> Results:
    """Go round all libraries and jobs some times, so that a busy minute of the machine is not one library's alone."""
    results: Results = {}
    for stream in streams:
        path = folder / "updates.stream"
        stream.write(path)
        jobs = dict.fromkeys((codec, job_of(work, codec)) for work in works for codec in (OURS, *OTHERS))
        measured: dict[tuple[str, str], Outcome | str] = {}
        for _ in range(passes):
            for codec, job in jobs:
                found = run(codec, job, path)
                measured[codec, job] = better(measured.get((codec, job), found), found)
        for work in works:
            outcomes = {codec: measured[codec, job_of(work, codec)] for codec in (OURS, *OTHERS)}
            results[stream.name, work.name] = outcomes
            shown = [cell(outcome, None) for outcome in outcomes.values()]
            print(f"{stream.name}: {work.name}: {', '.join(shown)}", flush=True)
    return results


def job_of(work: Work, codec: str) -> str:
    return work.ours if codec == OURS else work.theirs


def measure_mrt() -> dict[str, Outcome | str]:
    files = [path for name in MRT_SAMPLE if (path := CORPUS / "mrt" / name).exists()]
    if not files:
        return {}
    found = {codec: run(codec, "mrt", *files) for codec in (OURS, MRT_READER)}
    print(f"MRT records: {', '.join(cell(outcome, None) for outcome in found.values())}", flush=True)
    return found


def cell(outcome: Outcome | str, ours: Outcome | str | None) -> str:
    """What one library did, and how many times as long as we it took."""
    if isinstance(outcome, str):
        return outcome
    text = f"{outcome.rate:,.0f}/s"
    if isinstance(ours, Outcome) and ours is not outcome:
        text += f"; {ours.rate / outcome.rate:.1f} x"
    return f"{text} ({outcome.refused} refused)" if outcome.refused else text


def misses(results: Results, mrt: Mapping[str, Outcome | str]) -> list[str]:
    """Name what falls short of the aims."""
    found = []
    aimed = {work.name: work for work in WORKS if work.is_aimed_at}
    for (stream, name), outcomes in results.items():
        rates = {codec: outcome.rate for codec, outcome in outcomes.items() if isinstance(outcome, Outcome)}
        if name not in aimed or OURS not in rates:
            continue
        for codec in rates.keys() & DECODE_AIMS.keys():
            aim = DECODE_AIMS[codec] if aimed[name].ours == "decode" else ENCODE_AIM
            if rates[OURS] < aim * rates[codec]:
                found.append(f"{stream}: {name}: {rates[OURS] / rates[codec]:.1f} x {codec}, {aim:g} is the aim")
    ours, other = mrt.get(OURS), mrt.get(MRT_READER)
    if isinstance(ours, Outcome) and isinstance(other, Outcome) and ours.rate < MRT_AIM * other.rate:
        found.append(f"MRT records: {ours.rate / other.rate:.1f} x {MRT_READER}, {MRT_AIM:g} is the aim")
    return found


def versions(results: Results, mrt: Mapping[str, Outcome | str]) -> str:
    found = {
        codec: outcome.version
        for outcomes in (*results.values(), mrt)
        for codec, outcome in outcomes.items()
        if isinstance(outcome, Outcome) and outcome.version
    }
    return ", ".join(f"{codec} {version}" for codec, version in found.items())


def report(results: Results, mrt: Mapping[str, Outcome | str], arguments: Sequence[str]) -> str:
    """Return a section of the page, in Markdown."""
    command = " ".join(["python -m tests.benchmarks.bench_codec", *arguments])
    parts = [
        HEADING,
        "",
        f"Measured on {date.today():%Y-%m-%d} by `{command}`: {machine()}, Python {platform.python_version()}; "
        f"{versions(results, mrt) or 'no other library was installed'}. CPU time; fresh processes that know "
        "no attribute set yet, all libraries in turn, the best round of each counts. UPDATEs per second, and how many "
        "times as fast we are.",
        "",
        "The aims: reading 10 times as fast as ExaBGP, 5 times as os-ken and 2.5 times as YABGP, writing 4 times as "
        "fast as the best of them, MRT records 3 times as fast as mrtparse. "
        f"Missed in this run: {'; '.join(misses(results, mrt)) or 'none'}. "
        "They read every value at once; we validate everything, and decode a value when it is asked for. Their "
        "checks differ from ours, and so does what they refuse.",
        "",
        "| UPDATEs | work | " + " | ".join((OURS, *OTHERS)) + " |",
        "|---" * (3 + len(OTHERS)) + "|",
    ]
    for (stream, work), outcomes in results.items():
        cells = [cell(outcomes[codec], outcomes[OURS]) for codec in (OURS, *OTHERS)]
        parts.append(f"| {stream} | {work} | {' | '.join(cells)} |")
    if mrt:
        parts += ["", f"| MRT files | {OURS} | {MRT_READER} |", "|---|---|---|"]
        cells = [cell(mrt[codec], mrt[OURS]) for codec in (OURS, MRT_READER)]
        parts.append(f"| records of {len(MRT_SAMPLE)} files, ours with every message judged | {' | '.join(cells)} |")
    return "\n".join(parts) + "\n"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_codec")
    parser.add_argument("--routes", type=int, default=ROUTES, help="routes of the generated tables")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="at most so many recorded UPDATEs of each kind")
    parser.add_argument("--passes", type=int, default=2, help="how often each job is run; the best counts")
    parser.add_argument("--streams", default="", help="numbers of streams, from 1, as in 1,5")
    parser.add_argument("--write", action="store_true", help=f"put the result into {REPORT.name}")
    return parser.parse_args(arguments)


def chosen_streams(options: argparse.Namespace) -> list[Stream]:
    made = generated(options.routes) + [thinned(stream, options.messages) for stream in recorded()]
    return [made[int(number) - 1] for number in options.streams.split(",")] if options.streams else made


def thinned(stream: Stream, count: int) -> Stream:
    """Stretches of the stream from its whole length, so that repetition stays what it is."""
    if len(stream.messages) <= count:
        return stream
    stretches = 10
    length, step = count // stretches, len(stream.messages) // stretches
    kept = [message for at in range(stretches) for message in stream.messages[at * step : at * step + length]]
    return replace(stream, messages=tuple(kept))


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    subprocess.run([str(ROOT / ".ci" / "bench-peers")], check=False)
    with TemporaryDirectory() as folder:
        results = measure_streams(chosen_streams(options), WORKS, Path(folder), options.passes)
    mrt = measure_mrt()
    section = report(results, mrt, arguments)
    print(f"\n{section}", end="")
    if options.write:
        REPORT.write_text(with_section(REPORT.read_text(), HEADING, section))
    return int(bool(misses(results, mrt)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
