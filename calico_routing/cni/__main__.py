"""`python -m calico_routing.cni calico`: a plugin without its launcher file."""

from __future__ import annotations

import sys

from calico_routing.cni.launcher import ROUTING, main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else ROUTING))
