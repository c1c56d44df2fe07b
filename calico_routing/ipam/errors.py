"""What can go wrong in address management, beyond what the datastore reports."""

from __future__ import annotations


class IpamError(Exception):
    """A request that cannot be met; the message is one line."""


class NoPoolError(IpamError):
    """No pool fits: none selects the node, or a requested one does not exist or is not enabled."""


class BlockLimitError(IpamError):
    """The host owns as many blocks as it may, and they are full."""


class NotAssignedError(IpamError):
    """The address, handle or block asked about is not in use."""


class AlreadyAssignedError(IpamError):
    """The address asked for is taken."""


class AffinityError(IpamError):
    """The block belongs to another host, or is not empty when it must be."""


class StaleReleaseError(IpamError):
    """The address was given to somebody else since the caller saw it; nothing was released."""


class RetriesExhaustedError(IpamError):
    """Compare-and-swap failed a hundred times in a row."""
