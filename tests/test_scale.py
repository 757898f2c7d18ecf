"""Hold docs/scale.md against the code whose limits it reckons with, and the events of its simulation against Event Grid's."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

from bench.__main__ import OF_SCALE
from bench.fleet import DATASETS, delivered, exported
from ingest.loading import Limits
from ingest.settings import Settings
from ingest.warehouses.snowflake.session import PARAMETERS
from local.simulator import Simulator

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
HOST = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))


def clock(what: str) -> int:
    """Give the seconds that the page says."""
    (seconds,) = re.findall(rf"{what} (\d+) s \(", " ".join(PAGE.split()))
    return int(seconds)


def seconds_of(text: str) -> int:
    hours, minutes, seconds = map(int, text.split(":"))
    return int(timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds())


def test_the_clocks_of_the_page_are_those_of_the_code() -> None:
    assert clock("no batch begins after") == Settings.model_fields["time_budget_seconds"].default
    assert clock("the invocation ends after") == seconds_of(HOST["functionTimeout"])
    assert clock("a statement ends after") == PARAMETERS["STATEMENT_TIMEOUT_IN_SECONDS"]


def test_the_page_reckons_with_the_batches_and_threads_of_the_code() -> None:
    assert f"{Limits().max_bytes:,} = 3,725" in PAGE
    assert 10**12 // Limits().max_bytes == 3_725
    assert f"`maxDegreeOfParallelism` {HOST['extensions']['blobs']['maxDegreeOfParallelism']} " in PAGE


def test_every_table_of_the_page_was_measured() -> None:
    for phase in OF_SCALE:
        between = re.search(rf"<!-- bench:{phase}:begin -->(.*?)<!-- bench:{phase}:end -->", PAGE, re.DOTALL)
        assert between is not None
        assert between[1].count("\n|") > 2, phase


def test_every_event_is_delivered_once_or_twice_and_not_in_order() -> None:
    files = exported([Simulator(seed=1, people=20, history_days=1, deliveries_per_day=200)])
    events = list(delivered(files, random.Random(5), lambda file: None))
    counted = Counter(events)
    assert {file.dataset for file in files} == set(DATASETS)
    assert counted.keys() == {file.name for file in files}
    assert set(counted.values()) == {1, 2}
    assert list(counted) != [file.name for file in files]


def test_an_event_comes_after_its_file() -> None:
    files = exported([Simulator(seed=1, people=20, history_days=1, deliveries_per_day=200)])
    there: list[str] = []
    for event in delivered(files, random.Random(5), lambda file: there.append(file.name)):
        assert event in there
