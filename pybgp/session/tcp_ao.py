"""Keys of the TCP Authentication Option (RFC 5925)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pybgp.errors import LocalError

_LONGEST_KEY: Final = 80
_LARGEST_ID: Final = 255
#: What fits into a TCP header beside the other options.
_LONGEST_MAC: Final = 20
#: RFC 5926 section 3.2, in the names of the Linux kernel.
_ALGORITHMS: Final = ("hmac(sha1)", "cmac(aes128)", "hmac(sha256)")


@dataclass(frozen=True, slots=True)
class TcpAoKey:
    """A master key tuple: the ids are those of the TCP option, seen from our side."""

    key: str = field(repr=False)
    send_id: int
    receive_id: int
    algorithm: str = "hmac(sha1)"
    #: Octets of the authentication code; RFC 5926 has 12 for both of its algorithms.
    mac_length: int = 12

    def __post_init__(self) -> None:
        """Refuse what no kernel takes, by name and value."""
        length = len(self.key.encode())
        if not 0 < length <= _LONGEST_KEY:
            raise LocalError(f"tcp_ao key of {length} octets: 1 to {_LONGEST_KEY} expected")
        if self.algorithm not in _ALGORITHMS:
            raise LocalError(f"tcp_ao algorithm {self.algorithm!r}: one of {', '.join(_ALGORITHMS)} expected")
        for name, value, highest in (
            ("send_id", self.send_id, _LARGEST_ID),
            ("receive_id", self.receive_id, _LARGEST_ID),
            ("mac_length", self.mac_length, _LONGEST_MAC),
        ):
            if not 0 <= value <= highest:
                raise LocalError(f"tcp_ao {name} {value}: 0 to {highest} expected")
