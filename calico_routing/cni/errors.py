"""Errors as a container runtime reads them: one JSON object with a code, a cause and the next step (CNI section 5)."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Result codes: below 100 the CNI specification's, from 100 on ours."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    INPUT_OUTPUT = 5
    DECODING = 6
    INVALID_CONFIGURATION = 7
    INVALID_NAMESPACE = 8
    TRY_AGAIN_LATER = 11
    NOT_READY = 50
    NOT_READY_AND_IMPAIRED = 51
    INTERNAL = 100
    DATASTORE = 101
    NO_FREE_ADDRESS = 102
    ADDRESS_REFUSED = 103
    UNKNOWN_NODE = 104
    CHECK_MISMATCH = 105
    NETLINK = 106
    LOCK_TIMEOUT = 107
    UNAUTHORIZED = 108


class CniError(Exception):
    """A command failed; `message` is short, `details` says why and what to do next."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        """Both texts are brought into one line."""
        super().__init__(f"{message}; {details}" if details else message)
        self.code = int(code)
        self.message = one_line(message)
        self.details = one_line(details)

    def document(self, cni_version: str) -> dict[str, object]:
        """The error object that goes to stdout."""
        document: dict[str, object] = {"cniVersion": cni_version, "code": self.code, "msg": self.message}
        if self.details:
            document["details"] = self.details
        return document


def one_line(text: str) -> str:
    """Runtimes print the text inside one log line, so line breaks become blanks."""
    return " ".join(text.split())
