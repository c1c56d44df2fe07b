"""CIDR arithmetic and the names that CIDRs get in the stores (spec/calico.md sections 1.3 and 10)."""

from __future__ import annotations


def is_ipv6(cidr: str) -> bool:
    """Tell the family of an address or CIDR by its text."""
    return ":" in cidr
