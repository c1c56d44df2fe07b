"""What the kernel refused, in its own words."""

from __future__ import annotations

import errno as error_numbers
import os


class KernelError(Exception):
    """The kernel refused: what was attempted, its text and its error number."""

    def __init__(self, error_number: int, attempted: str, reason: str = "", *, destination: str = "") -> None:
        """The reason is the kernel's extended text; strerror where it gave none."""
        self.error_number = error_number
        self.attempted = attempted
        self.reason = reason or os.strerror(error_number)
        self.destination = destination
        super().__init__(f"{attempted}: {self.reason} ({self.name})")

    @property
    def name(self) -> str:
        """The error number's symbol, for example ``ENETUNREACH``."""
        return error_numbers.errorcode.get(self.error_number, str(self.error_number))


class CapabilityMissingError(KernelError):
    """The process may not change the network: it needs CAP_NET_ADMIN."""


class TunnelUnavailableError(KernelError):
    """The kernel has no tunnel device of this kind and cannot make one."""


class DumpInterruptedError(KernelError):
    """The table changed under each of several dumps (NLM_F_DUMP_INTR)."""


def kernel_error(error_number: int, attempted: str, reason: str = "", *, destination: str = "") -> KernelError:
    """The most telling class for one error number."""
    if error_number in (error_numbers.EPERM, error_numbers.EACCES):
        needed = "needs CAP_NET_ADMIN (run as root, or grant it)"
        return CapabilityMissingError(error_number, attempted, needed, destination=destination)
    return KernelError(error_number, attempted, reason, destination=destination)
