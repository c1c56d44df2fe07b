"""Address families as AFI/SAFI pairs (RFC 4760 section 3)."""

from __future__ import annotations

from typing import Final, NamedTuple


class Family(NamedTuple):
    """An address family and its subsequent family (RFC 4760 section 3)."""

    afi: int
    safi: int

    def __str__(self) -> str:
        """Print the usual name, or AFI/SAFI."""
        return _NAMES.get(self) or f"{self.afi}/{self.safi}"


IPV4_UNICAST: Final = Family(1, 1)
IPV6_UNICAST: Final = Family(2, 1)

_NAMES: Final = {IPV4_UNICAST: "ipv4-unicast", IPV6_UNICAST: "ipv6-unicast"}
