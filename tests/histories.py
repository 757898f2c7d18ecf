"""Let Customer.io write, workers drain and die, and time pass, in any order; and hold the promises at every moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ingest.drain import Drain
from ingest.errors import Retryable
from ingest.loading import Limits, Parts
from ingest.naming import Stream
from ingest.outcomes import Outcome
from tests import factories
from tests.factories import FakeClock
from tests.history_legs import DuckDBLeg, Leg
from tests.interruptions import Crash, FencedWarehouse, SteppedIntake, SteppedLanding, SteppedWarehouse, Steps, crash
from tests.written import FILE, FILES, KEYS, NAMES, RECENCY, WORDS, File, Key, Row, Written, content, replayed, spoilt

STEP = st.integers(1, 60)
WORKERS = ("first", "second", "third", "person", "event", "last")
WORKER = st.sampled_from(WORKERS[:3])


class Histories(RuleBasedStateMachine):
    """Customer.io writes, workers drain and die, time passes; the tables are right at every moment."""

    def __init__(self, open_leg: Callable[[], Leg] = DuckDBLeg) -> None:
        super().__init__()
        self.leg = open_leg()
        # One for each worker: what a process remembers of the tables must not outlive another's commits.
        self.warehouses = {worker: self.leg.warehouse(worker) for worker in WORKERS}
        self.landing = self.leg.landing
        self.clock = FakeClock()
        self.written: dict[tuple[str, str], Written] = {}
        self.odd: set[tuple[str, str]] = set()
        self.out_of_reach: set[tuple[str, str]] = set()
        """Replaced or deleted before they were loaded."""
        self.generations: dict[Stream, int] = {}
        self.told: list[Outcome] = []
        self.max_files = 3

    def teardown(self) -> None:
        try:
            self.everything_arrives_and_settles()
        finally:
            self.leg.close()

    @initialize(max_files=st.sampled_from([1, 2, 3, 500]))
    def set_up(self, max_files: int) -> None:
        self.max_files = max_files
        self.drain("first", Steps())

    # Customer.io, and people

    @rule(files=st.lists(FILE, min_size=1, max_size=6))
    def files_are_written(self, files: list[File]) -> None:
        for file in files:
            self.write(file)

    @precondition(lambda self: any(file.rows for file in self.written.values()))
    @rule(data=st.data())
    def the_same_content_is_written_again(self, data: st.DataObject) -> None:
        file = data.draw(st.sampled_from([file for file in self.written.values() if file.rows]))
        assert file.rows is not None
        self.put(file.name, file.dataset, file.order, file.rows, content(file.dataset, file.rows))

    @rule(name=st.sampled_from(["export.parquet", "events_v4_1_1.parquet", "deliveries_v4_1.parquet", "people.csv"]))
    def a_blob_of_no_stream_is_written(self, name: str) -> None:
        self.leave_behind(name)
        self.odd.add((name, self.landing.write(name, b"whatever")))

    @precondition(lambda self: self.landing.names)
    @rule(data=st.data())
    def a_blob_is_deleted(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.landing.names))
        self.leave_behind(name)
        self.landing.delete(name)

    # The workers, each with files that arrived before

    @rule(worker=WORKER, files=FILES)
    def a_worker_drains(self, worker: str, files: list[File]) -> None:
        self.files_are_written(files)
        self.drain(worker, Steps())

    @rule(worker=WORKER, at=STEP, files=FILES)
    def a_worker_crashes(self, worker: str, at: int, files: list[File]) -> None:
        self.files_are_written(files)
        self.drain(worker, Steps(at, crash))

    @rule(worker=WORKER, at=STEP, files=FILES, meanwhile=FILE)
    def a_file_is_written_during_a_drain(self, worker: str, at: int, files: list[File], meanwhile: File) -> None:
        self.files_are_written(files)
        self.drain(worker, Steps(at, lambda: self.write(meanwhile)))

    @rule(at=STEP, files=FILES, expired=st.booleans(), dies=st.none() | STEP)
    def two_workers_overlap(self, at: int, files: list[File], expired: bool, dies: int | None) -> None:
        """Let a second worker drain in the middle of the first one's drain, its lease run out or not."""

        def meanwhile() -> None:
            if expired:
                self.clock.pass_by(factories.TERM * 2)
            self.drain("second", Steps() if dies is None else Steps(dies, crash))

        self.files_are_written(files)
        self.drain("first", Steps(at, meanwhile))

    @rule(failing=st.integers(1, 4), files=FILES)
    def the_network_fails_for_a_while(self, failing: int, files: list[File]) -> None:
        self.files_are_written(files)
        self.landing.failing = failing
        self.drain("first", Steps())
        self.landing.failing = 0

    @rule()
    def leases_run_out(self) -> None:
        self.clock.pass_by(factories.TERM * 2)

    @rule(dies=st.none() | STEP)
    def a_person_replays(self, dies: int | None) -> None:
        steps = Steps() if dies is None else Steps(dies, crash)
        self.work("person", steps, lambda drain: drain.replay(None, self.deadline()))

    @rule(name=st.one_of(NAMES.map(lambda name: name[2]), st.sampled_from(["", "nonsense", "people_v4_1_1.csv"])))
    def a_stale_event_comes(self, name: str) -> None:
        self.work("event", Steps(), lambda drain: drain.of_blob(name, self.deadline()))

    # The promises

    @invariant()
    def tables_equal_the_replay_of_what_is_loaded(self) -> None:
        """Hold at any moment, for rows and checkpoint commit together; not only in the end."""
        files = self.checkpoint()
        keys = [(file["blob_name"], file["etag"]) for file in files]
        assert len(keys) == len(set(keys)), "a blob is recorded once per ETag"
        loaded = [self.written[key] for key, file in zip(keys, files, strict=True) if file["status"] == "loaded"]
        for dataset in KEYS:
            assert self.table(dataset) == replayed(loaded, dataset)
        for file in files:
            key = (file["blob_name"], file["etag"])
            if file["status"] == "rejected":
                assert key in self.odd or self.written[key].rows is None or key in self.out_of_reach, file
                assert file["error"]
            if file["status"] == "loaded":
                assert self.written[key].rows is not None, f"{key} should have been rejected"
            if file["status"] == "superseded":
                assert self.landing.etag(file["blob_name"]) != file["etag"]
        self.check_flags_and_counts(files)

    @rule()
    def everything_arrives_and_settles(self) -> None:
        self.landing.failing = 0
        self.clock.pass_by(factories.TERM * 2)
        self.drain("last", Steps())
        found = {(file["blob_name"], file["etag"]): file["status"] for file in self.checkpoint()}
        for key, file in self.written.items():
            if self.landing.etag(file.name) == file.etag:
                assert found[key] == ("rejected" if file.rows is None else "loaded"), key
            elif key not in self.out_of_reach:
                assert found[key] == "loaded", f"{key} was loaded once and is no more"
            else:
                assert found.get(key) != "loaded", f"{key} was not there any more"
        for key in self.odd:
            if self.landing.etag(key[0]) == key[1]:
                assert found[key] == "rejected"
        assert "pending" not in found.values()
        self.tables_equal_the_replay_of_what_is_loaded()

    def check_flags_and_counts(self, files: list[dict[str, Any]]) -> None:
        """Replay in the order of commits: `late`, `rows_read` and `rows_applied` say what happened."""
        standing: dict[tuple[str, str], tuple[Any, ...]] = {}
        highest: dict[str, tuple[int, int, int]] = {}
        committed: dict[Any, list[tuple[Written, dict[str, Any]]]] = {}
        for file in files:
            if file["status"] == "loaded":
                written = self.written[file["blob_name"], file["etag"]]
                committed.setdefault((file["loaded_at"], file["batch_id"]), []).append((written, file))
        for moment in sorted(committed):
            batch = committed[moment]
            for written, file in batch:
                before = highest.get(written.dataset)
                assert file["late"] == (before is not None and written.order[:3] < before), written.name
                assert file["rows_read"] == len(written.rows or ())
                for position, row in enumerate(written.rows or ()):
                    rank = (row.recency, written.order, written.number, position, written.etag)
                    key = (written.dataset, row.key)
                    standing[key] = max(standing.get(key, rank), rank)
            for written, file in batch:
                highest[written.dataset] = max(written.order[:3], highest.get(written.dataset, (0, 0, 0)))
                assert file["rows_applied"] == sum(1 for rank in standing.values() if rank[-1] == written.etag)

    # What they share

    def write(self, file: File) -> None:
        (dataset, order, name), drawn, how = file
        timed = RECENCY[dataset] is not None
        number = len(self.written) + 1
        rows = tuple(
            Row(key, recency if timed else 0, f"{number}.{position}") for position, (key, recency) in enumerate(drawn)
        )
        if how is None:
            self.put(name, dataset, (*order, name), rows, content(dataset, rows))
        elif how == "no rows":
            self.put(name, dataset, (*order, name), (), content(dataset, ()))
        else:
            self.put(name, dataset, (*order, name), None, spoilt(dataset, rows, how))

    def put(self, name: str, dataset: str, order: Key, rows: tuple[Row, ...] | None, payload: bytes) -> None:
        self.leave_behind(name)
        etag = self.landing.write(name, payload)
        self.written[name, etag] = Written(name, etag, len(self.written) + 1, dataset, order, rows)

    def leave_behind(self, name: str) -> None:
        """Note that what is under this name now cannot be loaded any more, unless it has been."""
        etag = self.landing.etag(name)
        loaded = {(file["blob_name"], file["etag"]) for file in self.checkpoint() if file["status"] == "loaded"}
        if etag is not None and (name, etag) not in loaded:
            self.out_of_reach.add((name, etag))

    def drain(self, worker: str, steps: Steps) -> None:
        self.work(worker, steps, lambda drain: drain.everything(self.deadline()))

    def work(self, worker: str, steps: Steps, task: Callable[[Drain], object]) -> None:
        parts = Parts(
            landing=SteppedLanding(self.landing, steps),
            intake=SteppedIntake(self.leg.intake, steps),
            warehouse=SteppedWarehouse(FencedWarehouse(self.warehouses[worker], self.generations), steps),
            clock=self.clock,
            owner=worker,
            limits=Limits(max_files=self.max_files, lease=factories.TERM, attempts=1000),
            emit=self.told.append,
        )
        try:
            task(Drain(parts))
        except (Crash, Retryable):
            return

    def deadline(self) -> Any:
        return self.clock.moment + timedelta(hours=1)

    def checkpoint(self) -> list[dict[str, Any]]:
        return self.leg.rows("ingest_files", "*")

    def table(self, dataset: str) -> dict[str, str]:
        rows = self.leg.rows(dataset, f"{KEYS[dataset]} AS key, {WORDS[dataset]} AS words")
        assert len({row["key"] for row in rows}) == len(rows), "a key stands twice"
        return {row["key"]: row["words"] for row in rows}
