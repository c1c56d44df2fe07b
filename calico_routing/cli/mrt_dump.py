"""`pybgp-node mrt-dump FILE`: the tables as MRT, now; for root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calico_routing.cli.daemon_answer import with_answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def mrt_dump(options: argparse.Namespace) -> int:
    """Have the daemon write the file, and say what it is."""

    def show(documents: Iterator[dict[str, Any]]) -> None:
        for document in documents:
            if options.output == "json":
                print(json.dumps(document))
            else:
                print(f"{document['file']}: {document['octets']} octets in {document['seconds']:.1f} s")

    arguments = {"file": str(Path(options.file).absolute()), "families": options.family or []}
    return with_answer(options, "mrt-dump", arguments, show)
