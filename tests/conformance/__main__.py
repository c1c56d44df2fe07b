"""``python -m tests.conformance``: run the byte corpus and print a table per source; exit 1 if anything is wrong."""

from __future__ import annotations

import argparse
import sys

from .corpus import CORPUS, cases
from .files import run_files
from .runner import run_all, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--variants", type=int, default=4, help="cut and bit-flipped variants of each message (4)")
    parser.add_argument("--seed", type=int, default=7606, help="chooses the variants")
    parser.add_argument("--every", action="store_true", help="cut each message at every octet, and flip its every bit")
    chosen = parser.parse_args()
    if not CORPUS.is_dir():
        print(f"{CORPUS} is absent")
        return 2
    rows = run_all(cases(), variants=chosen.variants, seed=chosen.seed, every=chosen.every)
    rows |= run_files(variants=chosen.variants, seed=chosen.seed)
    print(table(rows))
    return 1 if any(row.wrong for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
