"""The printed state machine is the one that runs."""

from __future__ import annotations

from tests.docs.state_machine_page import PAGE, page


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.docs.state_machine_page"
