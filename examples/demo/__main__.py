"""`python -m examples.demo`: a cluster of three nodes on this machine; exit status 0 only if everything held."""

from __future__ import annotations

import os
import sys

from examples.demo.ground import REPOSITORY, GroundError, run_module
from examples.demo.user_mode_linux import UserModeLinuxError

HERE = "--here"


def main() -> int:
    """Find the place to run, or with `--here` tell the story in the place where we are."""
    os.chdir(REPOSITORY)
    if HERE in sys.argv[1:]:
        from examples.demo.demo import tell  # noqa: PLC0415 - the outer process needs nothing of it

        return 0 if tell() else 1
    try:
        return run_module("examples.demo", HERE)
    except (GroundError, UserModeLinuxError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
