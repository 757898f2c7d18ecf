"""Prove the promises over any history: order, repetition, overlap of workers, a crash at every step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ingest import landing
from ingest.outcomes import StreamLost
from ingest.warehouses.duckdb import warehouse
from tests import factories
from tests.histories import Histories
from tests.interruptions import Steps, crash
from tests.snowflake_legs import SnowflakeHistories, SnowflakeLeg
from tests.stand_in import StandIn
from tests.written import File


@pytest.mark.parametrize("large_table", [None, 0], ids=["searching", "remembering"])
def test_any_history_ends_in_the_ascending_replay(large_table: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it as small tables are searched, and as large ones are: by what the process remembers of their keys."""
    if large_table is not None:
        monkeypatch.setattr(warehouse, "LARGE_TABLE", large_table)
        monkeypatch.setattr(warehouse, "SMALL_BATCH", float("inf"))
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=30,
            stateful_step_count=10,
            deadline=None,
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def snowflake_history(stand_in: StandIn) -> Iterator[SnowflakeHistories]:
    history = SnowflakeHistories(lambda: SnowflakeLeg(stand_in))
    yield history
    history.leg.close()


def test_any_history_ends_in_the_ascending_replay_in_snowflake(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "PAGE", 3)
    run_state_machine_as_test(
        lambda: SnowflakeHistories(lambda: SnowflakeLeg(stand_in)),
        settings=settings(
            max_examples=12,
            stateful_step_count=10,
            deadline=None,
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_worker_dies_at_each_statement_of_a_drain(snowflake_history: SnowflakeHistories) -> None:
    """Die before the first, between any two, and after the last; the next worker finds nothing half done."""
    history = snowflake_history
    history.drain("second", Steps())
    wire = history.leg.wires["first"]
    for at in itertools.count(1, 2):
        history.files_are_written(some_files(at))
        wire.steps = Steps(at, crash)
        history.drain("first", Steps())
        died = wire.steps.dead
        wire.cut()
        history.tables_equal_the_replay_of_what_is_loaded()
        history.leases_run_out()
        history.drain("second", Steps())
        history.tables_equal_the_replay_of_what_is_loaded()
        assert history.every_blob_is_settled()
        if not died:
            break
    assert at > 2 * STATEMENTS, f"a drain has {at // 2} statements"


def test_a_worker_that_loses_its_lease_anywhere_commits_nothing_more(snowflake_history: SnowflakeHistories) -> None:
    history = snowflake_history
    history.drain("second", Steps())
    for at in range(1, 2 * PORT_CALLS, 2):
        history.the_lease_is_taken_over(at, some_files(at))
        history.tables_equal_the_replay_of_what_is_loaded()
        history.leases_run_out()
        history.drain("second", Steps())
        assert history.every_blob_is_settled()


@pytest.mark.parametrize(
    ("number", "after", "again"),
    [(603, False, True), (603, True, True), (3001, False, False)],
    ids=["refused", "unheard", "forbidden"],
)
def test_each_statement_of_a_drain_fails_once(
    snowflake_history: SnowflakeHistories, number: int, after: bool, again: bool
) -> None:
    """Let it fail, or take effect and its answer get lost: the drain tries again and gets through, or leaves at once."""
    history = snowflake_history
    history.drain("first", Steps())
    for at in itertools.count():
        history.files_are_written(some_files(at))
        history.leg.server.plan({"skip": at, "do": "error", "after": after, "errno": number})
        history.drain("first", Steps())
        happened = not history.leg.faults_left()
        history.leg.server.plan()
        history.tables_equal_the_replay_of_what_is_loaded()
        if not again:
            history.leases_run_out()  # what failed may have been the release
            history.drain("first", Steps())
        assert not any(isinstance(outcome, StreamLost) for outcome in history.told)
        assert history.every_blob_is_settled(), f"the drain did not get over statement {at}"
        if not happened:
            break
    assert at > STATEMENTS, f"a drain has {at} statements"


@pytest.mark.parametrize("later", [False, True], ids=["same second", "later second"])
def test_a_blob_replaced_between_footer_and_copy_is_not_taken_for_the_old_one(
    snowflake_history: SnowflakeHistories, later: bool
) -> None:
    """Its time tells which it is, but in seconds only: so do Azure and Snowflake."""
    history = snowflake_history
    history.drain("first", Steps())
    name = ("deliveries", (4, 1, -1), factories.name("deliveries", 1))
    time.sleep(1.02 - time.time() % 1)
    history.write((name, [("a", 0)], None))
    wire = history.leg.wires["first"]

    def watch(statement: str) -> None:
        if statement.startswith("COPY INTO"):
            wire.cut()
            if later:
                history.leg.landing.outlive_the_second(name[2])
            history.write((name, [("b", 0)], None))

    wire.watch = watch
    history.drain("first", Steps())
    history.everything_arrives_and_settles()


def some_files(number: int) -> list[File]:
    """Give two files of one stream whose rows win: one is new, the other comes again, often no newer than it was."""
    rows = {number + 5: [("a", number), ("a", number)], 1: [("b", number // 4), ("c", number // 4)]}
    return [
        (("deliveries", (4, sequence, -1), factories.name("deliveries", sequence)), drawn, None)
        for sequence, drawn in rows.items()
    ]


STATEMENTS = 20
"""Fewer than a drain has that loads something."""
PORT_CALLS = 20
"""About as many as such a drain makes."""
