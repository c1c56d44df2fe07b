"""Every error that pybgp raises on purpose, and what each says on the wire."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """NOTIFICATION error codes (RFC 4271 section 4.5, RFC 6608, RFC 7313 section 5, RFC 9687)."""

    MESSAGE_HEADER = 1
    OPEN_MESSAGE = 2
    UPDATE_MESSAGE = 3
    HOLD_TIMER_EXPIRED = 4
    FINITE_STATE_MACHINE = 5
    CEASE = 6
    ROUTE_REFRESH_MESSAGE = 7
    SEND_HOLD_TIMER_EXPIRED = 8


class BgpError(Exception):
    """Base of everything pybgp raises on purpose."""


class LocalError(BgpError):
    """Our caller asked for something the protocol forbids; nothing was sent."""


class RemoteError(BgpError):
    """The peer broke the protocol; carries exactly what the NOTIFICATION says (RFC 4271 section 4.5)."""

    def __init__(self, code: ErrorCode, subcode: int = 0, data: bytes = b"", *, reason: str) -> None:
        """Keep what the NOTIFICATION will say; the reason is for people."""
        super().__init__(f"{code.name}/{subcode}: {reason}")
        self.code = code
        self.subcode = subcode
        self.data = data
        self.reason = reason


class MalformedAttributeError(BgpError):
    """A path attribute breaks its own rules; what that costs is decided by its table row (RFC 7606)."""

    def __init__(self, reason: str, *, subcode: int = 0) -> None:
        """Keep the reason."""
        super().__init__(reason)
        #: the UPDATE error subcode, should the session have to be reset (RFC 4271 section 6.3).
        self.subcode = subcode


class FormatError(BgpError):
    """A file or a monitoring stream is malformed: what is wrong, and at which octet of what was given."""

    def __init__(self, what: str, where: int) -> None:
        """Keep both."""
        super().__init__(f"octet {where}: {what}")
        self.what = what
        self.where = where
