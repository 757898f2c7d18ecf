"""Prove that a tally is the sum of its outcomes, and that every outcome is told."""

from __future__ import annotations

import logging
import typing
from types import SimpleNamespace

import pytest

from ingest import outcomes, telemetry
from ingest.outcomes import (
    BatchLoaded,
    AlertClosed,
    AlertOpened,
    BlobsDeleted,
    Discovered,
    NotificationLost,
    StreamSeen,
    SweepFinished,
    FileDeferred,
    FileRejected,
    FilesReopened,
    FileSuperseded,
    Outcome,
    OutOfTime,
    SchemaDrifted,
    StreamHeld,
    StreamLost,
    Tally,
)
from ingest.telemetry import count_outcome, log_outcome
from tests import factories

ONE, OTHER = factories.stream("people"), factories.stream("metrics")
BATCH = BatchLoaded(ONE, "b", 3, ("x.parquet",), 10, 7, 1000, 1, 3, 0.5)
EVERY: list[Outcome] = [
    BATCH,
    FileRejected(ONE, "x", "why"),
    FileDeferred(ONE, "x", "why"),
    FileSuperseded(ONE, "x"),
    FilesReopened(ONE, 2),
    SchemaDrifted(ONE, "x", ("new",)),
    Discovered(ONE, 3, 1000),
    StreamHeld(ONE, "you"),
    StreamLost(ONE),
    OutOfTime(ONE),
    BlobsDeleted(ONE, 4, 4000),
    AlertOpened(ONE, "files-late", "x", "warning", "2 files"),
    AlertClosed(ONE, "files-late", "x"),
    NotificationLost(ONE, "files-late", "json-1a2b", "it answered 500"),
    StreamSeen(ONE, 3, 60.0, 120.0),
    SweepFinished(ONE, 1.5, 3, 4, ("files-late",)),
]


def test_every_outcome_is_here() -> None:
    assert {type(outcome) for outcome in EVERY} == set(typing.get_args(Outcome))
    assert outcomes.Outcome is Outcome


def test_batches_add_up() -> None:
    tally = Tally().plus(BATCH).plus(BATCH)
    assert tally == Tally(batches=2, files=6, late=2, read=20, applied=14, size=2000)


@pytest.mark.parametrize(
    ("outcome", "tally"),
    [
        (FileRejected(ONE, "x", "why"), Tally(rejected=1)),
        (FileDeferred(ONE, "x", "why"), Tally(deferred=1, unfinished=frozenset({ONE}))),
        (FileSuperseded(ONE, "x"), Tally(superseded=1)),
        (StreamHeld(ONE, "you"), Tally(held=frozenset({ONE}))),
        (StreamLost(ONE), Tally(unfinished=frozenset({ONE}))),
        (OutOfTime(ONE), Tally(unfinished=frozenset({ONE}))),
        (Discovered(ONE, 3, 1000), Tally()),
        (BlobsDeleted(ONE, 4, 4000), Tally(deleted=4)),
        (AlertOpened(ONE, "files-late", "x", "warning", "2 files"), Tally()),
        (SweepFinished(ONE, 1.5, 3, 4), Tally()),
        (SchemaDrifted(ONE, "x", ("new",)), Tally()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_outcome_counts_once(outcome: Outcome, tally: Tally) -> None:
    assert Tally().plus(outcome) == tally


def test_streams_are_gathered() -> None:
    assert Tally().plus(StreamHeld(ONE, "a")).plus(StreamHeld(OTHER, "b")).plus(StreamHeld(ONE, "c")).held == {
        ONE,
        OTHER,
    }


@pytest.mark.parametrize("outcome", EVERY, ids=lambda value: type(value).__name__)
def test_each_outcome_is_a_log_record_with_fields(outcome: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ingest")
    log_outcome(outcome)
    (record,) = caplog.records
    assert record.__dict__["event"] == type(outcome).__name__
    assert record.getMessage().startswith(type(outcome).__name__)
    assert "people of workspace 1" in record.getMessage()
    loud = isinstance(
        outcome, AlertOpened | FileRejected | FileDeferred | NotificationLost | SchemaDrifted | StreamLost
    )
    quiet = isinstance(outcome, StreamSeen)
    assert record.levelno == (logging.WARNING if loud else logging.DEBUG if quiet else logging.INFO)


def test_a_finished_sweep_counts_in_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []
    monkeypatch.setattr(telemetry, "_heartbeat", SimpleNamespace(add=beats.append))
    count_outcome(SweepFinished(ONE, 1.5, 3, 4))
    count_outcome(StreamLost(ONE))
    assert beats == [1]
