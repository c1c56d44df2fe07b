"""`python -m tests.benchmarks.codecs.run CODEC JOB FILE...`: one job of one codec in a fresh process; a line of JSON.

It runs in the interpreter that has the codec, so it imports nothing else.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.codecs.stream_file import Stream, read_stream

OURS = "pybgp"
CODECS = {"pybgp": "OurCodec", "ExaBGP": "ExaBgp", "os-ken": "OsKen", "YABGP": "Yabgp", "mrtparse": "Mrtparse"}
ROUNDS = 3
WARM_UP = 200


def codec_class(name: str) -> Any:
    module = "our_codec" if name == OURS else "other_codecs"
    return getattr(import_module(f"tests.benchmarks.codecs.{module}"), CODECS[name])


def timed(work: Callable[[Any], object], items: Sequence[Any]) -> tuple[float, int]:
    """CPU seconds for all items, and how many were refused."""
    refused = 0
    gc.collect()
    start = time.process_time()
    for item in items:
        try:
            work(item)
        except Exception:  # noqa: BLE001  # each codec has errors of its own
            refused += 1
    return time.process_time() - start, refused


def prepared(codec: Any, job: str, stream: Stream) -> tuple[Callable[[Any], object], Sequence[Any]]:
    """What is timed, and with what; decoding that is not timed happens here."""
    decode, messages = codec.decode, stream.messages
    if job == "decode":
        return decode, messages
    if job in {"read", "texts"}:
        look = getattr(codec, job)
        return lambda message: look(decode(message)), messages
    updates = [update for update in map(_attempt(decode), messages) if update is not None]
    if job == "encode":
        return codec.encode, updates
    values = [found for update in updates if (found := codec.values(update))]
    return codec.build, values


def _attempt(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def attempt(item: Any) -> Any:
        try:
            return work(item)
        except Exception:  # noqa: BLE001  # counted where it is timed
            return None

    return attempt


def measure_stream(kind: Any, job: str, stream: Stream) -> dict[str, float]:
    """The best of some rounds, each with a codec that knows nothing yet."""
    timed(*prepared(kind(stream), job, replace(stream, messages=stream.messages[:WARM_UP])))
    best, refused, count = float("inf"), 0, 0
    for _ in range(ROUNDS):
        work, items = prepared(kind(stream), job, stream)
        seconds, refused = timed(work, items)
        best, count = min(best, seconds), len(items)
    codec = kind(stream)
    updates = [update for update in map(_attempt(codec.decode), stream.messages) if update is not None]
    prefixes = sum(filter(None, map(_attempt(codec.prefixes), updates)))
    return {"seconds": best, "items": count, "refused": refused, "prefixes": prefixes}


def measure_files(kind: Any, paths: Sequence[Path]) -> dict[str, float]:
    best, records = float("inf"), 0
    for _ in range(ROUNDS):
        gc.collect()
        start = time.process_time()
        records = sum(map(kind.mrt_records, paths))
        best = min(best, time.process_time() - start)
    return {"seconds": best, "items": records, "refused": 0}


def main(arguments: Sequence[str]) -> None:
    name, job, *files = arguments
    kind, paths = codec_class(name), [Path(file) for file in files]
    found = measure_files(kind, paths) if job == "mrt" else measure_stream(kind, job, read_stream(paths[0]))
    release = "" if name == OURS else version(kind.distribution)
    print(json.dumps({**found, "version": release}))


if __name__ == "__main__":
    main(sys.argv[1:])
