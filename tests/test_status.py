"""Prove what `status` says of every stream, and that it never fails for what it cannot see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from ingest.facts import AlertRecord, Facts, StreamFacts
from ingest.datasets import DATASETS
from ingest.errors import IngestError, LandingUnavailable, WarehouseBusy
from ingest.naming import UNCLASSIFIED
from ingest.status import MARGIN, Report, document, report, trouble
from tests import factories
from tests.factories import START, FakeClock
from tests.memory_landing import MemoryLanding

PEOPLE = factories.stream("people")
FACTS = StreamFacts(
    stream=PEOPLE,
    arrived=9,
    loaded=4,
    pending=3,
    rejected=1,
    superseded=1,
    late=2,
    rows_applied=100,
    last_version=4,
    last_sequence=2**60,
    last_arrived_at=START,
    last_loaded_at=START + timedelta(minutes=1),
    oldest_pending_at=START - timedelta(minutes=5),
    incomplete_since=START - timedelta(minutes=9),
    lease_owner=None,
    lease_expires_at=None,
)


class Checkpoint:
    """A warehouse that knows some facts, and none of the blobs."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def facts(self, now: Any) -> Facts:
        return self._facts

    def unsettled(self, blobs: Any, *, hurried: bool = False) -> Any:
        return [blob for blob in blobs if "known" not in blob.name]


class Unreachable(MemoryLanding):
    def pages(self, beginnings: Any = ()) -> Iterator[Any]:
        raise LandingUnavailable("the container refuses us.", hint="Mend it.")


SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "status.schema.json").read_text(encoding="utf-8"))


def told(landing: MemoryLanding, facts: Facts) -> dict[str, Any]:
    answer = document(report(landing, Checkpoint(facts), FakeClock(), DATASETS))  # type: ignore[arg-type]
    assert json.loads(json.dumps(answer)) == answer
    assert problems(answer) == []
    return answer


def is_instant(value: Any) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def problems(answer: Any) -> list[str]:
    formats = FormatChecker(formats=())
    formats.checks("date-time", raises=ValueError)(is_instant)
    validator = Draft202012Validator(SCHEMA, format_checker=formats)
    return [error.message for error in validator.iter_errors(answer)]


def test_a_stream_is_told_in_numbers_and_utc() -> None:
    answer = document(Report(START, Facts(START, (FACTS,)), {}))
    assert (answer["version"], answer["as_of"], answer["live"], answer["trouble"]) == (
        1,
        "2026-11-01T00:00:00Z",
        True,
        None,
    )
    (stream,) = answer["streams"]
    assert (stream["arrived"], stream["loaded"], stream["pending"], stream["rejected"], stream["superseded"]) == (
        9,
        4,
        3,
        1,
        1,
    )
    assert stream["arrived"] == sum(stream[state] for state in ("loaded", "pending", "rejected", "superseded"))
    assert (stream["last_sequence"], stream["last_loaded_at"]) == (2**60, "2026-11-01T00:01:00Z")
    assert stream["lag_seconds"] == 300.0


def test_what_nobody_noticed_counts_as_waiting() -> None:
    landing = MemoryLanding()
    for name in (
        "people_v4_1_1.parquet",
        "people_v4_1_2.parquet",
        "known/people_v4_1_3.parquet",
        "metrics_v4_2_1.parquet",
    ):
        landing.write(name, b"x")
    people, metrics = told(landing, Facts(START, (FACTS,)))["streams"]
    assert (people["arrived"], people["pending"]) == (11, 5)
    assert (metrics["workspace_id"], metrics["dataset"], metrics["pending"], metrics["loaded"]) == (2, "metrics", 1, 0)


def test_lag_is_since_the_oldest_that_waits() -> None:
    calm = replace(FACTS, oldest_pending_at=None)
    assert document(Report(START, Facts(START, (calm,)), {}))["streams"][0]["lag_seconds"] == 0
    unseen = {PEOPLE: (1, START - timedelta(seconds=90))}
    assert document(Report(START, Facts(START, (calm,)), unseen))["streams"][0]["lag_seconds"] == 90
    assert document(Report(START, Facts(START, (FACTS,)), unseen))["streams"][0]["lag_seconds"] == 300
    ahead = {PEOPLE: (1, START + timedelta(seconds=90))}
    assert document(Report(START, Facts(START, (calm,)), ahead))["streams"][0]["lag_seconds"] == 0


def test_the_unclassified_show_only_where_there_are_any() -> None:
    empty = replace(FACTS, stream=UNCLASSIFIED, arrived=0)
    assert document(Report(START, Facts(START, (empty,)), {}))["streams"] == []
    some = replace(FACTS, stream=UNCLASSIFIED, arrived=1)
    assert [each["dataset"] for each in document(Report(START, Facts(START, (some,)), {}))["streams"]] == [
        "unclassified"
    ]


def test_a_container_that_does_not_answer_is_trouble_not_failure() -> None:
    answer = told(Unreachable(), Facts(START, (FACTS,)))
    assert answer["trouble"] == "the container refuses us. Mend it."
    assert answer["streams"][0]["loaded"] == 4


def test_a_warehouse_held_elsewhere_is_told_with_the_age_of_what_is_known() -> None:
    answer = told(MemoryLanding(), Facts(START - timedelta(minutes=1), (FACTS,), holder="it is held by x (PID 5)."))
    assert (answer["live"], answer["as_of"]) == (False, "2026-10-31T23:59:00Z")
    assert "PID 5" in answer["trouble"]


@pytest.mark.parametrize("facts", [Facts(START, ())])
def test_nothing_at_all_is_an_answer(facts: Facts) -> None:
    assert told(MemoryLanding(), facts)["streams"] == []


# Complete through


HOUR = timedelta(hours=1)
LISTED = START + timedelta(seconds=90, milliseconds=700)
WHOLE = replace(FACTS, pending=0, rejected=0, oldest_pending_at=None, incomplete_since=None)


def through(
    facts: StreamFacts, unseen: dict[Any, Any] | None = None, listed_at: datetime | None = LISTED
) -> str | None:
    answer = document(Report(LISTED, Facts(START, (facts,)), unseen or {}, listed_at=listed_at))
    assert problems(answer) == []
    (stream,) = answer["streams"]
    assert answer["complete_through"] == stream["complete_through"]
    return stream["complete_through"]  # type: ignore[no-any-return]


def test_a_stream_without_anything_undone_is_complete_through_the_listing() -> None:
    assert timedelta(seconds=5) == MARGIN
    assert through(WHOLE) == "2026-11-01T00:01:25Z"


def test_whatever_is_not_in_the_tables_holds_it_back() -> None:
    assert through(replace(WHOLE, incomplete_since=START)) == "2026-11-01T00:00:00Z"
    assert through(WHOLE, {PEOPLE: (1, START + timedelta(seconds=1))}) == "2026-11-01T00:00:01Z"
    earlier = {PEOPLE: (1, START - timedelta(seconds=1))}
    assert through(replace(WHOLE, incomplete_since=START), earlier) == "2026-10-31T23:59:59Z"


def test_without_a_listing_nothing_is_known_to_be_complete() -> None:
    assert through(WHOLE, listed_at=None) is None
    assert told(Unreachable(), Facts(START, (WHOLE,)))["complete_through"] is None
    held = Facts(START, (WHOLE,), holder="it is held by x (PID 5).")
    assert told(MemoryLanding(), held)["complete_through"] is None


def test_a_warehouse_that_gets_busy_while_it_is_asked_is_not_known_to_be_complete() -> None:
    class Busy(Checkpoint):
        def unsettled(self, blobs: Any, *, hurried: bool = False) -> Any:
            raise WarehouseBusy("it is held by x.")

    landing = MemoryLanding()
    landing.write("people_v4_1_1.parquet", b"x")
    answer = document(report(landing, Busy(Facts(START, (WHOLE,))), FakeClock(), DATASETS))  # type: ignore[arg-type]
    assert (answer["complete_through"], answer["trouble"]) == (None, "it is held by x.")


def test_a_file_that_comes_during_the_listing_is_not_promised() -> None:
    """Its time of arrival is rounded down to the second; our clock and the container's may differ."""

    class Slow(MemoryLanding):
        def pages(self, beginnings: Any = ()) -> Iterator[Any]:
            yield from super().pages(beginnings)
            clock.pass_by(timedelta(minutes=3))

    clock = FakeClock()
    answer = document(report(Slow(), Checkpoint(Facts(START, (WHOLE,))), clock, DATASETS))  # type: ignore[arg-type]
    assert datetime.fromisoformat(answer["complete_through"]) < START


def test_a_file_that_is_recorded_while_the_container_is_listed_holds_it_back() -> None:
    """The listing finds it known already, and what was known before the listing does not have it."""

    class Restless(Checkpoint):
        def facts(self, now: Any) -> Facts:
            arrivals = next(arrived)
            return Facts(now, (replace(WHOLE, arrived=arrivals, pending=1, incomplete_since=START - HOUR * arrivals),))

    arrived = iter(range(1, 9))
    answer = document(report(MemoryLanding(), Restless(Facts(START, ())), FakeClock(), DATASETS))  # type: ignore[arg-type]
    assert datetime.fromisoformat(answer["complete_through"]) == START - HOUR * (next(arrived) - 1)


def test_the_workspace_is_complete_through_its_least_complete_stream() -> None:
    metrics = replace(WHOLE, stream=factories.stream("metrics"), incomplete_since=START)
    odd = replace(WHOLE, stream=UNCLASSIFIED, incomplete_since=START - timedelta(days=9))
    answer = document(Report(LISTED, Facts(START, (WHOLE, metrics, odd)), {}, listed_at=LISTED))
    assert answer["complete_through"] == "2026-11-01T00:00:00Z"


def test_a_dataset_that_is_no_longer_taken_is_not_said_to_be_complete() -> None:
    metrics = replace(WHOLE, stream=factories.stream("metrics"))
    listed = Report(LISTED, Facts(START, (WHOLE, metrics)), {}, listed_at=LISTED, datasets={"people"})
    answer = document(listed)
    assert [(each["dataset"], each["complete_through"]) for each in answer["streams"]] == [
        ("metrics", None),
        ("people", "2026-11-01T00:01:25Z"),
    ]
    assert answer["complete_through"] == "2026-11-01T00:01:25Z"


# Alerts


def alert(kind: str, subject: str) -> AlertRecord:
    return AlertRecord(kind, subject, "critical", START, START, None, None, START, "why", ())


def test_open_alerts_are_told_and_stand_with_their_streams() -> None:
    opened = (alert("files-rejected", str(PEOPLE)), alert("exports-stalled", "workspace 1"), alert("x", "container"))
    other = replace(WHOLE, stream=factories.stream("people", 2))
    answer = document(Report(START, Facts(START, (WHOLE, other), alerts=opened), {}, listed_at=START))
    assert problems(answer) == []
    assert [each["kind"] for each in answer["alerts"]] == ["files-rejected", "exports-stalled", "x"]
    assert answer["alerts"][0] == {
        "kind": "files-rejected",
        "subject": "people of workspace 1",
        "severity": "critical",
        "since": "2026-11-01T00:00:00Z",
        "opened_at": "2026-11-01T00:00:00Z",
        "detail": "why",
    }
    assert [each["alerts"] for each in answer["streams"]] == [["exports-stalled", "files-rejected"], []]


# The schema


def test_trouble_alone_is_a_document_too() -> None:
    assert problems(trouble(IngestError("it is broken.", hint="Mend it."))) == []


def test_the_schema_refuses_what_is_no_status() -> None:
    assert problems({"version": 2, "trouble": "x"})
    answer = document(Report(START, Facts(START, (FACTS,)), {}))
    assert problems(answer | {"streams": [answer["streams"][0] | {"loaded": -1}]})
    assert problems({name: value for name, value in answer.items() if name != "complete_through"})
    assert problems(answer | {"as_of": "yesterday"})


def test_the_schema_describes_every_field() -> None:
    answer = document(Report(START, Facts(START, (FACTS,), alerts=(alert("x", "y"),)), {}))
    shape = SCHEMA["oneOf"][0]
    assert set(shape["properties"]) == set(shape["required"]) == set(answer)
    for name, at in (("streams", "stream"), ("alerts", "alert")):
        described = SCHEMA["$defs"][at]
        assert set(described["properties"]) == set(described["required"]) == set(answer[name][0])
        assert all("description" in each for each in described["properties"].values())
