"""How a command says that it cannot: one line on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calico_routing.cli.exit_codes import ExitCode


def complain(error: BaseException | str, code: ExitCode) -> int:
    """Print one line and return the exit status."""
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"pybgp-node: {text}", file=sys.stderr)
    return int(code)
