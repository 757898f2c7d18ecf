"""Prove what `status` says of every stream, and that it never fails for what it cannot see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.facts import Facts, StreamFacts
from ingest.datasets import DATASETS
from ingest.errors import LandingUnavailable
from ingest.naming import UNCLASSIFIED
from ingest.status import Report, document, report
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


def told(landing: MemoryLanding, facts: Facts) -> dict[str, Any]:
    answer = document(report(landing, Checkpoint(facts), FakeClock(), DATASETS))  # type: ignore[arg-type]
    assert json.loads(json.dumps(answer)) == answer
    return answer


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
