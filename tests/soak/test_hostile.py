"""Some thousands of what `make soak-hostile` does a million times."""

from __future__ import annotations

from tests.soak.hostile import soak


def test_some_thousand_hostile_connections_change_nothing() -> None:
    text = soak(4000, seed=7)
    print(text)
    assert text.startswith("4,000 connections")
    assert "changes of a route arrived" in text
