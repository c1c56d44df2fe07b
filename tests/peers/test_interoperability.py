"""Every cell of the interoperability matrix, and the page that shows it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.peers.interop.cells import ABSENCE, ENDING, QUIET
from tests.peers.interop.document import PAGE, table, table_on
from tests.peers.interop.features import FEATURES
from tests.peers.interop.runner import COLUMNS, Outcome, run_matrix
from tests.peers.interop.verdicts import LACKS, PARTLY

if TYPE_CHECKING:
    from tests.peers.interop.column import Column

CELLS = [pytest.param(feature, kind, id=f"{kind.title.lower()}-{feature}") for kind in COLUMNS for feature in FEATURES]


def test_the_page_shows_the_table() -> None:
    assert table_on(PAGE.read_text()) == table(COLUMNS), "run python -m tests.peers.interop --write"


def test_every_row_has_a_scenario_and_every_note_a_cell() -> None:
    assert {*QUIET, *ENDING, *ABSENCE} == FEATURES.keys()
    cells = {(feature, kind.title) for feature in FEATURES for kind in COLUMNS}
    assert LACKS.keys() | PARTLY.keys() <= cells
    assert not LACKS.keys() & PARTLY.keys()


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[tuple[str, str], Outcome]:
    """Run what was selected, all daemons at once; one that is not installed is left out."""
    wanted: dict[type[Column], list[str]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == "test_cell" and item.module is request.module:
            kind = item.callspec.params["kind"]
            try:
                kind.daemon_kind.require()
            except pytest.skip.Exception:
                continue
            wanted.setdefault(kind, []).append(item.callspec.params["feature"])
    return run_matrix(wanted)


@pytest.mark.peers
@pytest.mark.namespaces
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")
@pytest.mark.parametrize(("feature", "kind"), CELLS)
def test_cell(feature: str, kind: type[Column], outcomes: dict[tuple[str, str], Outcome]) -> None:
    kind.daemon_kind.require()
    error = outcomes[feature, kind.title].error
    if error is not None:
        raise error
