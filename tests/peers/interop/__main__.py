"""Run the matrix and print it: python -m tests.peers.interop [--write] [DAEMON ...]."""

from __future__ import annotations

import argparse
import logging
import sys

import structlog

from tests.peers.interop.document import PAGE, page, table, versions
from tests.peers.interop.features import FEATURES
from tests.peers.interop.runner import COLUMNS, run_matrix


def main() -> int:
    """Return 0 if every cell is as the table says."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers.interop", description=__doc__)
    parser.add_argument("daemons", nargs="*", metavar="DAEMON", help="columns to run; default: all")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} if every cell is as the table says")
    options = parser.parse_args()
    names = {name.lower() for name in options.daemons}
    wanted = [kind for kind in COLUMNS if not names or kind.title.lower() in names]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    outcomes = run_matrix({kind: tuple(FEATURES) for kind in wanted})
    failed = {cell: outcome.error for cell, outcome in outcomes.items() if outcome.error is not None}
    for title, version in versions(wanted).items():
        print(f"{title} {version}")
    print(table(wanted))
    for (feature, title), error in failed.items():
        print(f"FAILED {title} {feature}: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} cells are as the table says")
    if options.write and not failed and wanted == list(COLUMNS):
        PAGE.write_text(page(COLUMNS))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
