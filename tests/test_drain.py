"""Prove what one drain does, outcome by outcome: a real DuckDB, a container in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.contract import Drift
from ingest.errors import LandingUnavailable
from ingest.naming import UNCLASSIFIED
from ingest.outcomes import (
    BatchLoaded,
    Discovered,
    FileDeferred,
    FileRejected,
    FileSuperseded,
    SchemaDrifted,
    Tally,
)
from tests import factories
from tests.interruptions import SteppedWarehouse, Steps
from tests.world import DELIVERIES, World


def test_nothing_there_is_nothing_done(world: World) -> None:
    assert world.drain() == Tally()
    assert world.outcomes == []


def test_a_backlog_is_loaded_in_ascending_batches(world: World) -> None:
    for sequence in (10, 9, 2, 1, 3):
        world.write(sequence)
    tally = world.drain(max_files=2)
    batches = world.told(BatchLoaded)
    assert [(batch.first_sequence, batch.last_sequence, batch.files) for batch in batches] == [
        (1, 2, 2),
        (3, 9, 2),
        (10, 10, 1),
    ]
    assert (tally.files, tally.batches, tally.read, tally.applied, tally.late) == (5, 3, 5, 5, 0)
    assert sum(found.files for found in world.told(Discovered)) == 5
    assert world.drain() == Tally()


def test_a_batch_is_bounded_by_bytes(world: World) -> None:
    for sequence in (1, 2):
        world.write(sequence)
    assert world.drain(max_bytes=1).batches == 2


def test_a_late_file_is_told(world: World) -> None:
    world.write(5)
    world.drain()
    late = world.write(4)
    assert world.drain().late == 1
    assert world.told(BatchLoaded)[0].late == (late,)


def test_a_bad_file_in_a_batch_is_found_and_the_others_load(world: World) -> None:
    for sequence in range(1, 9):
        world.write(sequence)
    bad = factories.name(sequence=4)
    world.landing.write(bad, factories.blotted(factories.parquet("deliveries")))
    tally = world.drain()
    assert (tally.files, tally.rejected) == (7, 1)
    (rejected,) = world.told(FileRejected)
    assert (rejected.blob_name, rejected.stream) == (bad, DELIVERIES)
    assert world.statuses() == {factories.name(sequence=n): "rejected" if n == 4 else "loaded" for n in range(1, 9)}
    assert bad in world.landing.names, "its blob stays"
    assert world.drain() == Tally(), "it is not tried again by itself"


def test_a_null_in_a_required_column_without_statistics_rejects_its_file_only(world: World) -> None:
    world.write(1)
    world.write(2, {"delivery_id": "a", "seq_num": 1, "delivery_type": None}, {}, write_statistics=False)
    world.write(3, {"delivery_id": "a", "seq_num": 2})
    tally = world.drain()
    assert (tally.files, tally.rejected) == (2, 1)
    assert "'delivery_type'" in world.told(FileRejected)[0].reason


def test_names_of_no_stream_are_rejected_once_with_the_reason(world: World) -> None:
    for name in ("what.txt", "events_v5_1_1.parquet"):
        world.landing.write(name, b"x")
    tally = world.drain()
    assert tally.rejected == 2
    assert {told.stream for told in world.told(FileRejected)} == {UNCLASSIFIED}
    assert any("'events', which has no contract" in told.reason for told in world.told(FileRejected))
    assert world.drain() == Tally()


def test_new_columns_are_told_or_refused(world: World) -> None:
    name = world.write(1, {"new": "x"}, types={"new": pa.string()})
    assert world.drain(drift=Drift.REJECT).rejected == 1
    assert "DRIFT=evolve" in world.told(FileRejected)[0].reason
    assert world.worker().replay([name], world.deadline()).files == 1
    assert world.told(SchemaDrifted) == [SchemaDrifted(DELIVERIES, name, ("new",))]


def test_a_replaced_file_is_superseded_and_the_newer_one_loaded(world: World) -> None:
    name = world.write(1)
    steps = Steps(1)
    world.warehouse = SteppedWarehouse(world.warehouse, steps)
    pages = world.landing.pages
    replaced = []

    def replace_after_listing(beginnings: Any = ()) -> Iterator[Any]:
        yield from pages(beginnings)
        if beginnings and not replaced:
            replaced.append(world.landing.write(name, factories.parquet("deliveries", [{}, {"delivery_id": "b"}])))

    world.landing.pages = replace_after_listing  # type: ignore[method-assign]
    tally = world.drain()
    assert (tally.files, tally.superseded, tally.read) == (1, 1, 2)
    assert world.told(FileSuperseded) == [FileSuperseded(DELIVERIES, name)]


def test_a_deleted_file_is_rejected(world: World) -> None:
    name = world.write(1)
    original = world.landing.pages

    def pages(beginnings: Any = ()) -> Iterator[Any]:
        yield from original(beginnings)
        if beginnings and name in world.landing.names:
            world.landing.delete(name)

    world.landing.pages = pages  # type: ignore[method-assign]
    assert world.drain().rejected == 1
    assert "deleted" in world.told(FileRejected)[0].reason or "gone" in world.told(FileRejected)[0].reason


def test_a_file_that_does_not_come_is_put_off_and_in_the_end_rejected(world: World) -> None:
    names = [world.write(sequence) for sequence in (1, 2)]
    world.landing.unreachable.add(names[0])
    for attempt in (1, 2):
        tally = world.drain(attempts=3)
        assert (tally.deferred, tally.unfinished) == (1, {DELIVERIES})
        assert world.told(FileDeferred)[0].blob_name == names[0]
        assert world.query("SELECT attempts FROM warehouse.customerio.ingest_files WHERE status = 'pending'") == [
            (attempt,)
        ]
    assert world.drain(attempts=3).rejected == 1
    assert "failed 3 times" in world.told(FileRejected)[0].reason
    assert "BlobArchived" in world.told(FileRejected)[0].reason
    world.landing.unreachable.clear()
    tally = world.worker(attempts=3).replay(None, world.deadline())
    assert (tally.files, tally.late) == (1, 1)


def test_a_file_that_never_downloads_does_not_hold_up_its_stream(world: World) -> None:
    names = [world.write(sequence) for sequence in (1, 2)]
    metrics = world.write(1, {}, dataset="metrics")
    world.landing.unreachable.add(names[0])
    world.drain(max_bytes=1, attempts=9)
    assert world.statuses() == {names[0]: "pending", names[1]: "loaded", metrics: "loaded"}


def test_a_container_that_fails_for_all_is_an_error_and_costs_no_attempt(world: World) -> None:
    names = [world.write(sequence) for sequence in (1, 2)]
    metrics = world.write(1, {}, dataset="metrics")
    world.landing.unreachable.update(names)
    with pytest.raises(LandingUnavailable):
        world.drain(attempts=1)
    assert world.statuses() == {names[0]: "pending", names[1]: "pending", metrics: "loaded"}
    world.landing.unreachable.clear()
    assert world.drain().files == 2


def test_datasets_that_are_not_asked_for_stay_unseen(world: World) -> None:
    world.write(1)
    metrics = world.write(1, {}, dataset="metrics")
    assert world.drain(datasets=frozenset({"metrics"})).files == 1
    assert world.statuses() == {metrics: "loaded"}
    name = factories.name("deliveries")
    assert world.worker(datasets=frozenset({"metrics"})).of_blob(name, world.deadline()) == Tally()


def test_an_event_drains_its_stream_alone(world: World) -> None:
    world.write(1)
    world.write(1, {}, dataset="metrics")
    assert world.worker().of_blob(factories.name("metrics", 99), world.deadline()).files == 1
    assert world.statuses() == {factories.name("metrics"): "loaded"}


def test_replay_takes_what_was_mended(world: World) -> None:
    world.landing.write("deliveries_v4_1_1.parquet", b"broken")
    world.landing.write("what.txt", b"x")
    assert world.drain().rejected == 2
    assert world.worker().replay(["nothing.parquet"], world.deadline()) == Tally()
    tally = world.worker().replay(None, world.deadline())
    assert (tally.files, tally.rejected) == (0, 2), "both are still what they were"
    world.write(1)
    world.landing.delete("what.txt")
    assert world.drain().files == 1
    assert world.statuses()["deliveries_v4_1_1.parquet"] in ("loaded", "superseded")


def test_no_temporary_files_stay(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    for sequence in range(1, 6):
        world.write(sequence)
    world.landing.write(factories.name(sequence=3), b"broken")
    world.drain(max_files=2)
    with pytest.raises(LandingUnavailable):
        world.landing.unreachable.update([world.write(7), world.write(8)])
        world.drain(max_files=2)
    assert [
        path.name for path in folder.iterdir() if path.name.startswith("ingest-") and "duckdb" not in path.name
    ] == []
