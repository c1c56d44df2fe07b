"""NOTIFICATIONs in words, whatever a peer puts into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.session.error_texts import describe
from pybgp.wire.messages import Notification


@pytest.mark.parametrize(
    ("notification", "text"),
    [
        (Notification(6, 2), "Administrative shutdown"),
        (Notification(6, 2, b"\x02hi"), "Administrative shutdown: hi"),
        (Notification(6, 4, b"\x09hi"), "Administrative reset: 096869"),
        (Notification(6, 2, b"\x02\xff\xfe"), "Administrative shutdown: 02fffe"),
        (Notification(6, 2, b"\x05a\x1b[0m"), "Administrative shutdown: a?[0m"),
        (Notification(6, 9, b"\x06\x02\x02hi"), "Hard reset: Administrative shutdown: hi"),
        (Notification(6, 9), "Hard reset"),
        (Notification(4), "Hold timer expired"),
        (Notification(2, 9), "OPEN message error (subcode 9)"),
        (Notification(42, 1), "Unknown error 42 (subcode 1)"),
    ],
)
def test_in_words(notification: Notification, text: str) -> None:
    assert describe(notification) == text


@given(st.builds(Notification, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300)))
def test_any_notification_is_one_printable_line(notification: Notification) -> None:
    assert describe(notification).isprintable()
