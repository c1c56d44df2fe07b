"""NOTIFICATIONs in words, as a status table shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.wire.messages import Notification

#: Names by the IANA registry "BGP Error (Notification) Codes".
_CODES: Final[Mapping[int, str]] = {
    1: "Message header error",
    2: "OPEN message error",
    3: "UPDATE message error",
    4: "Hold timer expired",
    5: "Finite state machine error",
    6: "Cease",
    7: "ROUTE-REFRESH message error",
    8: "Send hold timer expired",
}
_SUBCODES: Final[Mapping[tuple[int, int], str]] = {
    (1, 1): "Connection not synchronized",
    (1, 2): "Bad message length",
    (1, 3): "Bad message type",
    (2, 1): "Unsupported version number",
    (2, 2): "Bad peer AS",
    (2, 3): "Bad BGP identifier",
    (2, 4): "Unsupported optional parameter",
    (2, 6): "Unacceptable hold time",
    (2, 7): "Unsupported capability",
    (2, 11): "Role mismatch",
    (3, 1): "Malformed attribute list",
    (3, 2): "Unrecognized well-known attribute",
    (3, 3): "Missing well-known attribute",
    (3, 4): "Attribute flags error",
    (3, 5): "Attribute length error",
    (3, 6): "Invalid ORIGIN attribute",
    (3, 8): "Invalid NEXT_HOP attribute",
    (3, 9): "Optional attribute error",
    (3, 10): "Invalid network field",
    (3, 11): "Malformed AS_PATH",
    (5, 1): "Unexpected message in OpenSent state",
    (5, 2): "Unexpected message in OpenConfirm state",
    (5, 3): "Unexpected message in Established state",
    (6, 1): "Maximum number of prefixes reached",
    (6, 2): "Administrative shutdown",
    (6, 3): "Peer de-configured",
    (6, 4): "Administrative reset",
    (6, 5): "Connection rejected",
    (6, 6): "Other configuration change",
    (6, 7): "Connection collision resolution",
    (6, 8): "Out of resources",
    (6, 9): "Hard reset",
    (6, 10): "BFD down",
    (7, 1): "Invalid ROUTE-REFRESH message length",
}
_LONGEST_UNKNOWN: Final = 16


def describe(notification: Notification) -> str:
    """Return a NOTIFICATION in words, with the operator's text behind it (RFC 9003)."""
    inner = notification.inner
    if inner is not None:
        return f"Hard reset: {describe(inner)}"
    name = _SUBCODES.get((notification.code, notification.subcode)) or _unnamed(notification)
    if notification.code == 6 and notification.subcode in (2, 4) and notification.data:
        return f"{name}: {_operator_text(notification)}"
    return name


def _unnamed(notification: Notification) -> str:
    code = _CODES.get(notification.code, f"Unknown error {notification.code}")
    return f"{code} (subcode {notification.subcode})" if notification.subcode else code


def _operator_text(notification: Notification) -> str:
    """What the operator wrote, on one line; octets that are no text are shown in hex."""
    text = notification.shutdown_text
    if text is None:
        return notification.data[:_LONGEST_UNKNOWN].hex()
    return "".join(character if character.isprintable() else "?" for character in text)
