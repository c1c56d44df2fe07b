"""`python -m tests.benchmarks.bench_mrt`: MRT records per second beside mrtparse, in CPU time of this run."""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pybgp.formats.mrt import Bgp4mpEntry, BgpMessage, Rib, TableEntry, decode
from pybgp.formats.mrt_file import MrtReader, decompressed
from pybgp.formats.mrt_routes import decode_attributes, decode_bgp
from pybgp.wire.attribute_store import AttributeStore

FOLDER = Path(__file__).parents[2].parent / "shared" / "corpus" / "mrt"
FILES = (
    "bgpdump__test_data__updates.20160811.1600.gz",
    "bgpdump__test_data__updates.20070211.0141.gz",
    "bgpkit__tests__fixtures__ripe__rrc15__2010.02__updates.20100227.1600.gz",
    "libbgpstream__test__routeviews.route-views.jinx.updates.1427846400.bz2",
    "os-ken__os_ken__tests__packet_data__mrt__updates.20161101.0000.bz2",
    "bgpdump__test_data__bview.ipv4_unicast_add_path.gz",
)
GOAL = 3.0


def read_ours(path: Path) -> int:
    """Every record, and every message and attribute in it judged."""
    store = AttributeStore()
    records = 0
    with path.open("rb") as file:
        for record in MrtReader(decompressed(file)):
            records += 1
            value = decode(record)
            if isinstance(value, BgpMessage):
                decode_bgp(value, store)
            elif isinstance(value, Rib):
                for entry in value.entries:
                    decode_attributes(entry.attributes, store)
            elif isinstance(value, TableEntry | Bgp4mpEntry):
                decode_attributes(value.attributes, store, asn4=False)
    return records


def reader_of_mrtparse() -> Callable[[Path], int] | None:
    try:
        reader = importlib.import_module("mrtparse").Reader
    except ImportError:
        return None
    return lambda path: sum(1 for _ in reader(str(path)))


def rate(read: Callable[[Path], int], paths: list[Path], rounds: int) -> float:
    """Records per CPU second, the best of some rounds."""
    best = 0.0
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        records = sum(map(read, paths))
        best = max(best, records / (time.process_time() - start))
    return best


def main() -> int:
    paths = [FOLDER / name for name in FILES if (FOLDER / name).exists()]
    if not paths:
        print("the MRT corpus is not beside the repository: nothing to measure")
        return 0
    ours = rate(read_ours, paths, 3)
    print(f"pybgp     {ours:10.0f} records/s, messages and attributes judged by RFC 7606")
    theirs = reader_of_mrtparse()
    if theirs is None:
        print("mrtparse  is not installed (pip install mrtparse): no ratio")
        return 0
    other = rate(theirs, paths, 1)
    print(f"mrtparse  {other:10.0f} records/s")
    print(f"ratio     {ours / other:10.1f} (goal: at least {GOAL:g})")
    return int(ours / other < GOAL)


if __name__ == "__main__":
    sys.exit(main())
