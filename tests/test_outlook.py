"""Prove what is said to become of a blob, for every state of the checkpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingest.arrivals import Status
from ingest.facts import FileHistory
from ingest.outlook import Outlook, Standing, Trial, left_out, of_absent, of_local, of_present, unknown
from tests import factories
from tests.factories import START

FITS = Trial(rows=3, ahead=0)
REFUSED = Trial("column 'a' is odd.")
NAME = "deliveries_v4_1_1.parquet"


def past(status: Status, etag: str = "0x1", **facts: Any) -> FileHistory:
    values: dict[str, Any] = {
        "size": 1000,
        "arrived_at": START,
        "loaded_at": None,
        "deleted_at": None,
        "attempts": 0,
        "late": False,
        "rows_read": None,
        "rows_applied": None,
        "batch_id": None,
        "error": "",
    }
    return FileHistory(etag=etag, status=status, **{**values, **facts})


def present(trial: Trial, *history: FileHistory, etag: str = "0x1") -> Outlook:
    return of_present(factories.blob(NAME, etag=etag), history, trial)


@pytest.mark.parametrize(
    ("trial", "history", "standing", "command", "needs_person"),
    [
        (FITS, [], Standing.NEW, "drain", False),
        (REFUSED, [], Standing.NEW, "", True),
        (FITS, [past(Status.LOADED, "older")], Standing.NEW, "drain", False),
        (FITS, [past(Status.PENDING)], Standing.WAITING, "drain", False),
        (REFUSED, [past(Status.PENDING)], Standing.WAITING, "", True),
        (FITS, [past(Status.REJECTED, error="x")], Standing.REJECTED, f"replay {NAME}", True),
        (REFUSED, [past(Status.REJECTED, error="x")], Standing.REJECTED, f"replay {NAME}", True),
        (Trial(), [past(Status.LOADED)], Standing.LOADED, "", False),
        (Trial(), [past(Status.DELETED)], Standing.LOADED, "", False),
        (Trial(), [past(Status.SUPERSEDED)], Standing.REPLACED, "", False),
    ],
)
def test_a_blob_that_is_there(
    trial: Trial, history: list[FileHistory], standing: Standing, command: str, needs_person: bool
) -> None:
    found = present(trial, *history)
    assert (found.standing, found.needs_person) == (standing, needs_person)
    assert found.command == (f"python -m ingest {command}" if command else "")


@pytest.mark.parametrize(
    ("history", "standing", "needs_person"),
    [
        ([past(Status.LOADED)], Standing.LOADED, False),
        ([past(Status.DELETED, loaded_at=START)], Standing.LOADED, False),
        ([past(Status.DELETED)], Standing.REPLACED, True),
        ([past(Status.SUPERSEDED)], Standing.REPLACED, True),
        ([past(Status.PENDING)], Standing.GONE, True),
        ([past(Status.REJECTED, error="x")], Standing.GONE, True),
        ([past(Status.SUPERSEDED), past(Status.LOADED, "0x2")], Standing.LOADED, False),
    ],
)
def test_a_blob_that_is_not_there(history: list[FileHistory], standing: Standing, needs_person: bool) -> None:
    found = of_absent(history, NAME)
    assert (found.standing, found.needs_person) == (standing, needs_person)


def test_a_file_that_was_tried_says_how_often_and_what_was_in_the_way() -> None:
    text = present(FITS, past(Status.PENDING, attempts=2, error="the network is down.")).text
    assert "after 2 attempts, the last: the network is down." in text


def test_a_reason_that_stays_is_not_said_twice() -> None:
    again = present(REFUSED, past(Status.REJECTED, error=str(REFUSED.rejection))).text
    assert again.count("column 'a' is odd.") == 1
    other = present(REFUSED, past(Status.REJECTED, error="failed 5 times.")).text
    assert "failed 5 times. Now it would be rejected: column 'a' is odd." in other


def test_what_would_be_loaded_says_what_comes_before_and_what_is_not_known() -> None:
    assert str(Trial(rows=1234)) == "would be loaded: 1,234 rows."
    assert "with at least 10,000 files before it" in str(Trial(rows=1, ahead=10_000, at_least=True))
    assert "may still not fit" in str(Trial(rows=1, values_seen=False))
    assert "It comes late" in str(Trial(rows=1, late=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [("a b'; rm -rf ~.txt", """'a b'"'"'; rm -rf ~.txt'"""), ("--limit", "-- --limit")],
)
def test_a_command_is_safe_to_paste(name: str, words: str) -> None:
    blob = factories.blob(name, etag="0x1")
    assert of_present(blob, [past(Status.REJECTED)], REFUSED).command == f"python -m ingest replay {words}"


def test_files_that_nobody_loads_and_answers_that_nobody_has() -> None:
    assert not left_out("people").needs_person
    assert not of_local(FITS).needs_person
    assert of_local(REFUSED).needs_person
    assert unknown("the file is held.").needs_person
