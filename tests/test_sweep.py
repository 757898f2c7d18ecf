"""Prove the timer's round: what it deletes and what never, what it tells and to whom, alone and with others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.channels import AccessPolicy, Message, Poison
from ingest.alerting import Alerting, Watch
from ingest.arrivals import Blob, Fingerprint
from ingest.drain import Drain
from ingest.errors import DeletionRefused, LandingUnavailable, NotificationFailed, WarehouseUnavailable
from ingest.intake import LocalCopies
from ingest.loading import Limits, Parts
from ingest.outcomes import AlertClosed, AlertOpened, BlobsDeleted, NotificationLost, Outcome, StreamSeen, SweepFinished
from ingest.sweep import Sweep
from ingest.warehouses.duckdb import DuckDBWarehouse
from ingest.warehouses.duckdb.file import database_file
from tests import factories
from tests.factories import START, FakeClock
from tests.interruptions import Crash, crash
from tests.memory_landing import MemoryLanding
from tests.world import MEMORY

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RETENTION = 72 * HOUR


@dataclass
class Channels:
    """Channels that hear everything, but for those that are broken."""

    names: tuple[str, ...] = ("a", "b")
    broken: set[str] = field(default_factory=set)
    heard: list[tuple[str, Message]] = field(default_factory=list)

    def channels(self) -> Sequence[str]:
        return self.names

    def send(self, channel: str, message: Message) -> None:
        if channel in self.broken:
            raise NotificationFailed("it answered 500.")
        self.heard.append((channel, message))

    def titles(self, channel: str = "a") -> list[tuple[str, str]]:
        return [(message.title, message.severity) for name, message in self.heard if name == channel]


@dataclass
class Queue:
    """A queue of poisoned events."""

    waiting: list[Poison] = field(default_factory=list)

    def take(self, limit: int) -> Sequence[Poison]:
        return tuple(self.waiting[:limit])

    def clear(self, messages: Sequence[Poison]) -> None:
        for message in messages:
            self.waiting.remove(message)


@dataclass
class Rights:
    """What is known of Customer.io's access policy; None: nobody may look."""

    found: Sequence[AccessPolicy] | None = None

    def policies(self) -> Sequence[AccessPolicy]:
        if self.found is None:
            raise LandingUnavailable("we may not look.")
        return self.found


class Place:
    """A container, a warehouse, a clock, channels; and workers that sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.landing = MemoryLanding()
        self.clock = FakeClock()
        self.outcomes: list[Outcome] = []
        self.channels = Channels()
        self.queue = Queue()
        self.rights = Rights([])
        self.warehouse: Any = self.opened()

    def opened(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.path, "customerio", patience=5, memory_limit=MEMORY)

    def worker(self, retention: timedelta | None = RETENTION, warehouse: Any = None, **watch: Any) -> Sweep:
        warehouse = warehouse or self.warehouse
        parts = Parts(
            self.landing, LocalCopies(self.landing), warehouse, self.clock, "me", Limits(), self.outcomes.append
        )
        alerting = Alerting(warehouse, self.clock, self.channels, self.outcomes.append, Watch(**watch))
        return Sweep(parts, Drain(parts), alerting, retention, poison=self.queue, access=self.rights)

    def sweep(self, **options: Any) -> Any:
        self.outcomes.clear()
        return self.worker(**options).round(self.clock.moment + HOUR)

    def write(self, sequence: int, content: bytes | None = None, dataset: str = "deliveries") -> str:
        name = factories.name(dataset, sequence)
        rows = [{"delivery_id": f"{sequence}"}] if dataset == "deliveries" else [{}]
        self.landing.write(name, factories.parquet(dataset, rows) if content is None else content)
        return name

    def told(self, kind: type[Any]) -> list[Any]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, kind)]

    def statuses(self) -> dict[str, str]:
        with database_file(self.path, memory_limit=MEMORY).cursor(5) as cursor:
            found = cursor.execute("SELECT blob_name, status FROM warehouse.customerio.ingest_files").fetchall()
        return dict(found)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "warehouse.duckdb")
    yield made
    database_file(made.path, memory_limit=MEMORY).close()


# Deleting


def test_loaded_blobs_go_after_the_retention_and_not_before(place: Place) -> None:
    names = [place.write(sequence) for sequence in (1, 2)]
    assert place.sweep().files == 2
    place.clock.pass_by(RETENTION - timedelta(minutes=1))
    assert place.sweep().deleted == 0
    assert place.landing.names == names
    place.clock.pass_by(timedelta(minutes=2))
    assert place.sweep().deleted == 2
    assert place.landing.names == []
    assert set(place.statuses().values()) == {"deleted"}
    assert place.told(BlobsDeleted)[0].files == 2
    assert place.sweep().deleted == 0


def test_what_is_rejected_unknown_or_waiting_is_never_deleted(place: Place) -> None:
    place.write(1, b"broken")
    place.landing.write("notes.txt", b"mine")
    place.sweep()
    place.write(3)
    place.clock.pass_by(365 * DAY)
    worker = place.worker()
    worker._drain = type(
        "Idle",
        (),
        {"everything": lambda self, deadline: __import__("ingest.outcomes").outcomes.Tally(), "known_listing": None},
    )()
    assert worker.round(place.clock.moment + HOUR).deleted == 0
    assert len(place.landing.names) == 3


def test_a_blob_replaced_since_stays_and_is_loaded_as_a_new_one(place: Place) -> None:
    name = place.write(1)
    place.sweep()
    place.clock.pass_by(RETENTION + HOUR)
    place.write(1, factories.parquet("deliveries", [{"delivery_id": "new"}]))
    assert place.worker().would_delete()[0].name == name
    tally = place.sweep()
    assert (tally.files, place.landing.names) == (1, [name])
    place.clock.pass_by(RETENTION + HOUR)
    assert place.sweep().deleted == 1
    assert place.landing.names == []


def test_nothing_is_deleted_where_all_is_kept(place: Place) -> None:
    place.write(1)
    place.sweep()
    place.clock.pass_by(365 * DAY)
    assert place.sweep(retention=None).deleted == 0
    assert len(place.landing.names) == 1


def test_a_crash_between_deleting_and_writing_it_down_is_made_up_for(place: Place) -> None:
    for sequence in range(1, 4):
        place.write(sequence)
    place.sweep()
    place.clock.pass_by(RETENTION + HOUR)
    mark = place.warehouse.mark_deleted
    place.warehouse.mark_deleted = lambda *_: crash()
    with pytest.raises(Crash):
        place.sweep()
    assert place.landing.names == []
    place.warehouse.mark_deleted = mark
    place.clock.pass_by(HOUR)
    assert place.sweep().deleted == 3
    assert set(place.statuses().values()) == {"deleted"}


def test_without_permission_to_delete_one_alert_is_told_and_loading_goes_on(place: Place) -> None:
    place.write(1)
    place.sweep()
    place.clock.pass_by(RETENTION + HOUR)

    def refuse(blobs: Sequence[Blob]) -> None:
        raise DeletionRefused("nothing may be deleted.", hint="Give the role.")

    place.landing.delete = refuse  # type: ignore[method-assign,assignment]
    place.write(2)
    assert place.sweep().files == 1
    place.write(3)
    assert place.sweep().files == 1
    assert [alert.kind for alert in place.told(AlertOpened)] == []
    assert [title for title, _ in place.channels.titles()].count("Deleting refused: container") == 1
    del place.landing.delete
    assert place.sweep().deleted == 1
    assert place.channels.titles()[-1] == ("Deleting refused: container", "fine")


def test_alerts_are_told_while_deleting_fails(place: Place) -> None:
    place.write(1)
    place.sweep()
    place.clock.pass_by(RETENTION + HOUR)
    place.write(2, b"broken")

    def fail(blobs: Sequence[Blob]) -> None:
        raise LandingUnavailable("it answered 500.")

    place.landing.delete = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(LandingUnavailable):
        place.sweep()
    assert ("Files rejected: deliveries of workspace 1", "critical") in place.channels.titles()
    assert place.told(SweepFinished) == []


def test_another_worker_s_round_is_left_to_it(place: Place) -> None:
    place.write(1)
    place.sweep()
    place.clock.pass_by(RETENTION + HOUR)
    other = place.opened()
    second: list[Any] = []

    def meanwhile(blobs: Sequence[Blob]) -> None:
        del place.landing.delete
        second.append(place.worker(warehouse=other).round(place.clock.moment + HOUR))
        place.landing.delete(blobs)

    place.landing.delete = meanwhile  # type: ignore[method-assign,assignment]
    assert place.sweep().deleted == 1
    assert second[0].deleted == 0


# Alerts


def test_a_rejected_file_is_told_once_repeated_daily_and_closed_after_the_replay(place: Place) -> None:
    name = place.write(1, b"broken")
    for _ in range(3):
        place.sweep()
        place.clock.pass_by(timedelta(minutes=5))
    title = "Files rejected: deliveries of workspace 1"
    assert place.channels.titles() == place.channels.titles("b") == [(title, "critical")]
    place.clock.pass_by(DAY)
    place.sweep()
    assert place.channels.titles() == [(title, "critical")] * 2
    place.landing.write(name, factories.parquet("deliveries"))
    place.sweep()
    assert place.channels.titles()[2:] == [(title, "fine")]
    place.sweep()
    assert len(place.channels.titles()) == 3


def test_a_broken_channel_loses_nothing_and_holds_up_nothing(place: Place) -> None:
    place.channels.broken = {"a"}
    place.write(1, b"broken")
    place.write(2)
    assert place.sweep().files == 1
    assert (place.channels.titles("a"), len(place.channels.titles("b"))) == ([], 1)
    assert [lost.channel for lost in place.told(NotificationLost)] == ["a"]
    place.channels.broken = set()
    place.sweep()
    assert (len(place.channels.titles("a")), len(place.channels.titles("b"))) == (1, 1)


def test_a_crash_after_sending_repeats_one_message_at_the_most(place: Place) -> None:
    place.write(1, b"broken")
    write, writes = place.warehouse.write_alerts, []

    def crash_at_the_second(*arguments: Any) -> None:
        writes.append(arguments)
        if len(writes) == 2:
            crash()
        write(*arguments)

    place.warehouse.write_alerts = crash_at_the_second
    with pytest.raises(Crash):
        place.sweep()
    assert (len(place.channels.titles("a")), len(place.channels.titles("b"))) == (1, 0)
    place.clock.pass_by(HOUR)
    place.sweep()
    assert (len(place.channels.titles("a")), len(place.channels.titles("b"))) == (2, 1)


def test_two_workers_never_tell_twice(place: Place) -> None:
    place.write(1, b"broken")
    other = place.opened()
    send, seconds = place.channels.send, []

    def meanwhile(channel: str, message: Message) -> None:
        if not seconds:
            seconds.append(None)
            place.worker(warehouse=other).round(place.clock.moment + HOUR)
        send(channel, message)

    place.channels.send = meanwhile  # type: ignore[method-assign]
    place.sweep()
    place.sweep()
    assert (len(place.channels.titles("a")), len(place.channels.titles("b"))) == (1, 1)


def test_poisoned_events_are_told_and_cleared(place: Place) -> None:
    place.queue.waiting = [Poison("exports", "deliveries_v4_1_1.parquet", ("1", "x"))]
    place.write(1)
    assert place.sweep().files == 1
    assert place.queue.waiting == []
    assert place.channels.titles() == [("Events poisoned: webjobs-blobtrigger-poison", "warning")]
    place.clock.pass_by(HOUR)
    place.sweep()
    assert len(place.channels.titles()) == 1
    place.clock.pass_by(DAY)
    place.write(2)
    place.sweep()
    assert place.channels.titles()[-1] == ("Events poisoned: webjobs-blobtrigger-poison", "fine")


def test_a_policy_about_to_end_or_lacking_a_permission_is_told(place: Place) -> None:
    place.rights.found = [AccessPolicy("customerio", place.clock.moment + 15 * DAY, ())]
    place.sweep()
    assert place.channels.titles() == []
    place.clock.pass_by(2 * DAY)
    place.rights.found = [AccessPolicy("customerio", START + 15 * DAY, ("list",))]
    place.sweep()
    ends, lacks = ("Access policy expires: customerio", "critical"), ("Access policy lacks: customerio", "critical")
    assert place.channels.titles() == [ends, lacks]
    place.rights.found = None  # nobody may look now: nothing is known, nothing is closed
    place.sweep()
    assert len(place.channels.titles()) == 2
    place.rights.found = [AccessPolicy("customerio", START + 800 * DAY, ())]
    place.sweep()
    assert [severity for _, severity in place.channels.titles()[2:]] == ["fine", "fine"]


def test_silence_beyond_the_hard_limit_is_told_and_ends_with_the_next_file(place: Place) -> None:
    place.write(1)
    place.sweep()
    place.clock.pass_by(3 * HOUR)
    place.sweep(hard_limit=4 * HOUR)
    assert place.channels.titles() == []
    place.clock.pass_by(2 * HOUR)
    place.sweep(hard_limit=4 * HOUR)
    assert place.channels.titles() == [("Exports stalled: workspace 1", "critical")]
    place.landing._blobs.clear()
    place.write(2)
    blob, content = place.landing._blobs.popitem()[1]
    place.landing._blobs[blob.name] = (
        Blob(blob.container, blob.name, blob.etag, blob.size, place.clock.moment.replace(microsecond=0)),
        content,
    )
    place.sweep(hard_limit=4 * HOUR)
    assert place.channels.titles()[-1] == ("Exports stalled: workspace 1", "fine")


def test_alerts_are_kept_and_logged_where_nobody_is_to_be_told(place: Place) -> None:
    place.channels.names = ()
    place.write(1, b"broken")
    place.sweep()
    assert [(alert.kind, alert.severity) for alert in place.told(AlertOpened)] == [("files-rejected", "critical")]
    assert len(place.warehouse.alerts()) == 1
    assert place.told(SweepFinished)[-1].open_alerts == ("files-rejected",)
    place.write(1)
    place.sweep()
    assert [alert.kind for alert in place.told(AlertClosed)] == ["files-rejected"]
    assert place.warehouse.alerts() == []
    assert place.told(SweepFinished)[-1].open_alerts == ()


def test_a_rejected_file_that_a_person_gives_up_is_forgotten(place: Place) -> None:
    """By the statement that the runbook has."""
    name = place.write(1, b"broken")
    place.sweep()
    runbook = (Path(__file__).parent.parent / "docs" / "runbook.md").read_text(encoding="utf-8")
    (statement,) = re.findall(r"```sql\n(UPDATE .*?);\n```", runbook, re.DOTALL)
    statement = statement.replace("<blob name>", name).replace("customerio.", "warehouse.customerio.", 1)
    with database_file(place.path, memory_limit=MEMORY).cursor(5) as cursor:
        assert cursor.execute(statement).fetchone() == (1,)
    place.sweep()
    assert [alert.kind for alert in place.told(AlertClosed)] == ["files-rejected"]
    (facts,) = [each for each in place.warehouse.facts(place.clock.moment).streams if each.arrived]
    assert (facts.rejected, facts.incomplete_since) == (0, None)
    place.clock.pass_by(RETENTION + HOUR)
    place.sweep()
    assert place.landing.names == []


# The heartbeat


def test_a_finished_round_beats_and_an_unfinished_one_does_not(place: Place) -> None:
    place.sweep()
    assert len(place.told(SweepFinished)) == 1

    def fail(*_: Any) -> Any:
        raise WarehouseUnavailable("down.")

    place.warehouse.unsettled = fail
    place.write(1)
    with pytest.raises(WarehouseUnavailable):
        place.sweep()
    assert place.told(SweepFinished) == []


def test_files_that_wait_for_too_long_are_told_even_while_the_drain_fails(place: Place) -> None:
    place.write(1)

    def fail(*_: Any) -> Any:
        raise WarehouseUnavailable("down.")

    load, place.warehouse.load = place.warehouse.load, fail
    with pytest.raises(WarehouseUnavailable):
        place.sweep()
    place.clock.pass_by(2 * HOUR)
    with pytest.raises(WarehouseUnavailable):
        place.sweep()
    assert place.channels.titles() == [("Files not loaded: deliveries of workspace 1", "critical")]
    place.warehouse.load = load
    place.sweep()
    assert place.channels.titles()[-1] == ("Files not loaded: deliveries of workspace 1", "fine")


# A warehouse that sleeps


class Sleeping(DuckDBWarehouse):
    """A DuckDB file that is asked as one asks a warehouse that sleeps; `asked` counts the looks at recent files."""

    asked = 0

    @property
    def sleeps(self) -> bool:
        return True

    def settled(self, listing: Fingerprint) -> bool:
        found = self._told("SELECT container, blob_name, etag, status FROM warehouse.customerio.ingest_files")
        blobs = [
            Blob(container, name, etag, 0, START) for container, name, etag, status in found if status != "deleted"
        ]
        return Fingerprint().plus(blobs) == listing and all(row[3] != "pending" for row in found)

    def recent(self, since: datetime) -> Any:
        self.asked += 1
        return super().recent(since)

    def _told(self, sql: str) -> list[Any]:
        with database_file(self._path, memory_limit=MEMORY).cursor(5) as cursor:
            try:
                return cursor.execute(sql).fetchall()
            except duckdb.CatalogException:
                return []


def test_what_another_worker_loaded_is_looked_at_and_nothing_twice(place: Place) -> None:
    sleeping = Sleeping(place.path, "customerio", patience=5, memory_limit=MEMORY)
    worker, other = place.worker(warehouse=sleeping), place.worker()
    place.write(1)
    worker.round(place.clock.moment + HOUR)
    worker.round(place.clock.moment + HOUR)
    seen = sleeping.asked
    worker.round(place.clock.moment + HOUR)
    assert sleeping.asked == seen
    place.clock.pass_by(HOUR)
    place.write(2)
    other.round(place.clock.moment + HOUR)
    place.outcomes.clear()
    worker.round(place.clock.moment + HOUR)
    assert sleeping.asked == seen + 1
    (stream,) = [each for each in place.told(StreamSeen) if each.stream == factories.stream("deliveries")]
    assert stream.pending == 0
