"""Hold every warehouse to one behaviour in what the sweep asks and writes: deletions, what is remarkable, alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from ingest.facts import AlertRecord
from ingest.arrivals import Status
from ingest.errors import LeaseLost
from ingest.naming import SWEEP
from ingest.ports import Warehouse
from tests import factories
from tests.factories import START
from tests.warehouse_bench import LATER, Bench, Fixtures, Loader, claimed, of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class DeletionContract(Fixtures):
    """Which blobs may go, and that they went."""

    def test_only_what_was_loaded_or_superseded_long_enough_ago_may_go(
        self, loader: Loader, warehouse: Warehouse
    ) -> None:
        first = loader.arrives(of("deliveries", {"delivery_id": "a"}), 1)
        loader.load(first)
        second = loader.arrives(of("deliveries", {"delivery_id": "b"}), 2)
        loader.load(second)
        loader.arrives(of("deliveries", {}), 3)
        bad = loader.arrives(of("deliveries", {}), 4)
        warehouse.settle(loader.lease, bad.arrival.blob, Status.REJECTED, "broken")
        old = loader.arrives(of("deliveries", {}), 5, etag="old")
        loader.arrives(of("deliveries", {}), 5, etag="new")
        container = first.arrival.blob.container
        superseded, earlier, later = old.arrival.blob, first.arrival.blob, second.arrival.blob
        assert list(warehouse.deletable(container, START - HOUR, 9)) == []
        assert list(warehouse.deletable(container, START + timedelta(seconds=1), 9)) == [superseded, earlier]
        assert list(warehouse.deletable(container, LATER, 9)) == [superseded, earlier, later]
        assert list(warehouse.deletable(container, LATER, 1)) == [superseded]
        assert list(warehouse.deletable("another", LATER, 9)) == []

    def test_what_is_gone_is_marked_and_not_offered_again(
        self, loader: Loader, warehouse: Warehouse, bench: Bench
    ) -> None:
        file = loader.arrives(of("deliveries", {}), 1)
        loader.load(file)
        waiting = loader.arrives(of("deliveries", {}), 2)
        lease = claimed(warehouse, SWEEP)
        warehouse.mark_deleted(lease, [file.arrival.blob, waiting.arrival.blob], LATER)
        rows = {row["sequence"]: row for row in bench.rows("ingest_files")}
        assert (rows[1]["status"], rows[1]["deleted_at"]) == ("deleted", LATER.replace(tzinfo=None))
        assert rows[2]["status"] == "pending"
        assert list(warehouse.deletable(file.arrival.blob.container, LATER, 9)) == []
        assert warehouse.unsettled([file.arrival.blob]) == []
        assert [facts.loaded for facts in warehouse.facts(LATER).streams if facts.stream == loader.stream] == [1]

    def test_a_lost_lease_marks_nothing(self, loader: Loader, warehouse: Warehouse, bench: Bench) -> None:
        file = loader.arrives(of("deliveries", {}), 1)
        loader.load(file)
        lease = claimed(warehouse, SWEEP)
        bench.take_over(lease)
        with pytest.raises(LeaseLost):
            warehouse.mark_deleted(lease, [file.arrival.blob], LATER)
        assert bench.rows("ingest_files")[0]["status"] == "loaded"


class RecentContract(Fixtures):
    """What is remarkable about a stream's files."""

    def test_a_quiet_stream_is_not_remarkable(self, loader: Loader, warehouse: Warehouse) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 1))
        (recent,) = warehouse.recent(START - HOUR)
        assert recent.stream == loader.stream
        assert (recent.rejected, recent.late, recent.resent, recent.restarted, recent.takeovers) == (0, 0, 0, 0, 0)
        assert (recent.version, recent.former_version, recent.undeclared) == (4, None, "")
        assert (recent.oldest_pending_at, recent.last_arrived_at) == (None, START)

    def test_rejected_late_and_waiting_files_are_counted(self, loader: Loader, warehouse: Warehouse) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 5))
        loader.load(loader.arrives(of("deliveries", {}), 4, late=True))
        loader.arrives(of("deliveries", {}), 6)
        bad = loader.arrives(of("deliveries", {}), 7)
        warehouse.settle(loader.lease, bad.arrival.blob, Status.REJECTED, "broken")
        (recent,) = warehouse.recent(START)
        assert (recent.rejected, recent.rejected_since, recent.oldest_pending_at) == (1, START, START)
        assert (recent.late, recent.late_since) == (1, START + timedelta(seconds=2))
        (later,) = warehouse.recent(LATER)
        assert (later.rejected, later.late) == (1, 0)

    def test_a_new_version_is_told_with_its_beginning(self, loader: Loader, warehouse: Warehouse) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 1))
        loader.load(loader.arrives(of("deliveries", {}), 2, version=5))
        (recent,) = warehouse.recent(START)
        assert (recent.version, recent.former_version, recent.version_since) == (5, 4, START)

    def test_history_that_comes_again_is_counted(self, loader: Loader, warehouse: Warehouse) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 9))
        for sequence in (1, 2):
            name = factories.name(sequence=sequence, end=sequence)
            again = factories.arrival(name, modified=START + DAY)
            warehouse.record(loader.lease, [again], [])
        (recent,) = warehouse.recent(START + HOUR)
        assert recent.resent == 2
        (before,) = warehouse.recent(START - HOUR)
        assert before.resent == 0, "the first sync is no repetition"

    def test_columns_nobody_declared_are_told_while_they_are_new(self, loader: Loader, warehouse: Warehouse) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 1))
        types = {"score": pa.float64(), "mood": pa.string()}
        loader.load(loader.arrives(of("deliveries", {"score": 0.5, "mood": "x"}, types=types), 2))
        (recent,) = warehouse.recent(START + timedelta(seconds=2))
        assert recent.undeclared == "mood, score"
        (later,) = warehouse.recent(START + timedelta(seconds=3))
        assert later.undeclared == ""

    def test_leases_that_end_with_their_holder_are_counted_until_a_commit(
        self, loader: Loader, warehouse: Warehouse
    ) -> None:
        file = loader.arrives(of("deliveries", {}), 1)
        for number in (1, 2):
            loader.lease = claimed(warehouse, loader.stream, f"{number}", LATER + number * DAY)
        assert warehouse.recent(START)[0].takeovers == 2
        loader.load(file)
        assert warehouse.recent(START)[0].takeovers == 0
        warehouse.release(loader.lease)
        claimed(warehouse, loader.stream, "next", LATER + 9 * DAY)
        assert warehouse.recent(START)[0].takeovers == 0

    def test_arrivals_are_minutes_of_each_stream(self, loader: Loader, warehouse: Warehouse) -> None:
        for number, seconds in enumerate((0, 30, 90, 7200)):
            arrived = factories.arrival(factories.name(sequence=number), modified=START + timedelta(seconds=seconds))
            warehouse.record(loader.lease, [arrived], [])
        minutes = [START, START + timedelta(minutes=1), START + 2 * HOUR]
        assert warehouse.arrivals(START) == {loader.stream: minutes}
        assert warehouse.arrivals(START + HOUR) == {loader.stream: minutes[2:]}


class AlertContract(Fixtures):
    """Alerts are kept, one for each kind and subject."""

    def test_alerts_are_kept_until_they_are_closed_and_told(self, warehouse: Warehouse, bench: Bench) -> None:
        lease = claimed(warehouse, SWEEP)
        alert = AlertRecord("files-late", "x", "warning", START, START, None, None, START, "ü 'quoted'", ("a", "b"))
        other = replace(alert, kind="files-rejected", notified_at=START + HOUR, owed=())
        warehouse.write_alerts(lease, [alert, other])
        assert list(warehouse.alerts()) == [alert, other]
        seen = replace(alert, last_seen_at=LATER, closed_at=LATER)
        warehouse.write_alerts(lease, [seen])
        assert list(warehouse.alerts()) == [seen, other]
        warehouse.write_alerts(lease, [replace(seen, owed=())])
        assert list(warehouse.alerts()) == [other]
        assert len(bench.rows("ingest_alerts")) == 2
        assert {
            "kind",
            "subject",
            "severity",
            "opened_at",
            "last_seen_at",
            "notified_at",
            "closed_at",
            "detail",
        } <= set(bench.rows("ingest_alerts")[0])

    def test_a_lost_lease_writes_no_alert(self, warehouse: Warehouse, bench: Bench) -> None:
        lease = claimed(warehouse, SWEEP)
        bench.take_over(lease)
        alert = AlertRecord("files-late", "x", "warning", START, START, None, None, START, "", ())
        with pytest.raises(LeaseLost):
            warehouse.write_alerts(lease, [alert])
        assert list(warehouse.alerts()) == []
