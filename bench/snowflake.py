"""Snowflake: what a batch costs, and a backlog against one COPY and one MERGE written by hand.

The server is the tests' stand-in: the connector and the statements are real, what lies beneath is DuckDB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from azure.storage.blob import ContainerClient

from bench import batches, by_hand, container, data
from bench.batches import HISTORY, ROWS, app_of, transcript_of, waiting
from bench.results import Line
from bench.stage import Stage
from ingest.wiring import App
from tests.stand_in import PYTHON, StandIn, running

WAITING = 200
ROUNDS = 5


def measure(stage: Stage) -> list[Line]:
    """Count, then time. Raises RuntimeError without the stand-in, Different where the rows are not those by hand."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} is not there: `make bench` installs the tests' stand-in for Snowflake")
    with running(stage.azurite, stage.work) as server:
        return [*batches.measure(stage, server), *_backlog(stage, server)]


@dataclass(frozen=True, slots=True)
class Spent:
    """What loading the backlog took: seconds, those of the server among them, and statements."""

    seconds: float
    server: float
    statements: int


def _backlog(stage: Stage, server: StandIn) -> list[Line]:
    """Drain the waiting changesets, and load them by hand, in turn; the first round of each is not counted."""
    rows = stage.sized(HISTORY)
    history = data.history(rows, 1, stage.data / f"snowflake-history-{rows}")
    changes = waiting(stage)[: stage.sized(WAITING)]
    blobs = container.create(stage.azurite, "snowflake-backlog")
    rounds = [_round(stage, server, blobs, history, changes) for _ in range(ROUNDS + 1)][1:]
    blobs.delete_container()
    return _lines(len(changes), [mine for mine, _ in rounds], [hand for _, hand in rounds])


def _round(
    stage: Stage, server: StandIn, blobs: ContainerClient, history: Sequence[Path], changes: Sequence[Path]
) -> tuple[Spent, Spent]:
    """Load the history, then the backlog, by ours and by hand. Raises Different."""
    settings = server.settings("snowflake-backlog")
    place, names = settings.snowflake_stage, [file.name for file in changes]
    server.prepare(settings)
    container.take_away(blobs, names)
    container.upload(blobs, history)
    with app_of(settings) as app, closing(server.connect(settings)) as connection, connection.cursor() as cursor:
        app.drain_everything()
        by_hand.create(cursor)
        by_hand.load(cursor, place, [file.name for file in history])
        container.upload(blobs, changes)
        mine = _spent(server, lambda: _drained(app, len(changes)))
        by_hand.empty_staged(cursor)
        hand = _spent(server, lambda: by_hand.copy_and_merge(cursor, place, names))
        rows = by_hand.compare(cursor, "deliveries")
    stage.say(f"ours {mine.seconds:.2f} s, by hand {hand.seconds:.2f} s; the same {rows:,} rows")
    return mine, hand


def _drained(app: App, files: int) -> None:
    tally = app.drain_everything()
    if (tally.files, tally.batches) != (files, 1):
        raise RuntimeError(f"{files} files waited, but: {tally}")


def _spent(server: StandIn, load: Callable[[], None]) -> Spent:
    before, started = len(transcript_of(server)), time.perf_counter()
    load()
    seconds = time.perf_counter() - started
    lines = transcript_of(server)[before:]
    return Spent(seconds, sum(line["seconds"] for line in lines), len(lines))


def _lines(count: int, mine: Sequence[Spent], hand: Sequence[Spent]) -> list[Line]:
    limit, server = median(each.seconds for each in hand), median(each.server for each in hand)
    return [
        Line(
            f"ours: {count} changesets of {ROWS:,} rows",
            tuple(each.seconds for each in mine),
            limit=limit,
            remark=f"a warm process: {mine[0].statements} statements, {count} footers",
        ),
        Line(
            "by hand: one COPY, one MERGE",
            tuple(each.seconds for each in hand),
            limit=limit,
            remark=f"the same rows; an open connection: {hand[0].statements} statements",
        ),
        Line("of ours: the server's own seconds", tuple(each.server for each in mine), limit=server),
        Line("of by hand: the server's own seconds", tuple(each.server for each in hand), limit=server),
    ]
