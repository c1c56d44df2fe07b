"""Runs the cells: all columns at once, one daemon and one event loop each."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.peers.interop.bird import BirdColumn
from tests.peers.interop.cells import ABSENCE, ENDING, QUIET, Town, prepare, their_absence
from tests.peers.interop.column import Column, Lab, prepared
from tests.peers.interop.exabgp import ExaBgpColumn
from tests.peers.interop.features import FEATURES
from tests.peers.interop.frr import FrrColumn
from tests.peers.interop.gobgp import GoBgpColumn
from tests.peers.interop.openbgpd import OpenBgpdColumn
from tests.peers.interop.plans import PLANS
from tests.peers.interop.station import Station
from tests.peers.interop.verdicts import LACKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

COLUMNS: Final[tuple[type[Column], ...]] = (BirdColumn, FrrColumn, GoBgpColumn, OpenBgpdColumn, ExaBgpColumn)


class Outcome(NamedTuple):
    """How a cell went."""

    error: Exception | None
    seconds: float


async def run_cell(cell: Callable[[], Awaitable[None]]) -> Outcome:
    """Run one cell and keep its failure."""
    started = time.monotonic()
    try:
        await cell()
    except Exception as error:  # noqa: BLE001  (told by the test of this cell)
        return Outcome(error, time.monotonic() - started)
    return Outcome(None, time.monotonic() - started)


async def run_all(cells: Mapping[str, Callable[[], Awaitable[None]]]) -> dict[str, Outcome]:
    """Run cells at once."""
    return dict(zip(cells, await asyncio.gather(*map(run_cell, cells.values())), strict=True))


async def run_in(column: Column, wanted: Collection[str]) -> dict[str, Outcome]:
    """Run one column's cells: the quiet ones, those that end a session, and last those that end the daemon."""
    stations = {plan.name: Station(plan) for plan in column.plans}
    town = Town(column, stations)
    lacks = {key: LACKS[key, column.title] for key in wanted if (key, column.title) in LACKS}
    rest = [key for key in wanted if key not in lacks]
    outcomes: dict[str, Outcome] = {}
    try:
        for station in stations.values():
            prepare(station)
            await station.start()
        await asyncio.to_thread(column.start)
        await asyncio.gather(*(station.wait_up() for station in stations.values()), return_exceptions=True)
        quiet = {key: lambda key=key: QUIET[key](town) for key in rest if key in QUIET}
        evidence = {key: lambda lack=lack: lack.evidence(town) for key, lack in lacks.items()}
        outcomes |= await run_all({**quiet, **evidence})
        outcomes |= await run_all({key: lambda key=key: ENDING[key](town) for key in rest if key in ENDING})
        if absent := [key for key in rest if key in ABSENCE]:
            try:
                cells = await their_absence(town)
            except Exception as error:  # noqa: BLE001  (told by the tests of these cells)
                outcomes |= dict.fromkeys(absent, Outcome(error, 0.0))
            else:
                outcomes |= await run_all({key: cells[key] for key in absent})
    finally:
        for station in town.stations.values():
            await station.stop()
    return outcomes


def run_column(kind: type[Column], wanted: Collection[str] = tuple(FEATURES)) -> dict[str, Outcome]:
    """Run one column in namespaces of its own; it needs a thread of its own, which it moves there."""
    plans = kind.possible(PLANS)
    with (
        Lab(kind.title.lower(), plans, link_local=kind.takes_link_local) as lab,
        prepared(kind, lab, plans) as column,
        lab.ours.entered(),
    ):
        return asyncio.run(run_in(column, wanted))


def run_matrix(wanted: Mapping[type[Column], Collection[str]]) -> dict[tuple[str, str], Outcome]:
    """Run columns at once; return how each cell went, by feature and daemon."""
    with ThreadPoolExecutor(len(wanted) or 1) as pool:
        found = {kind.title: pool.submit(run_column, kind, keys) for kind, keys in wanted.items()}
        return {(key, title): done for title, future in found.items() for key, done in future.result().items()}
