"""Hold every warehouse to one behaviour in what the dashboard and dbt ask of it."""

from __future__ import annotations

from datetime import date, timedelta

from ingest.arrivals import Status
from ingest.facts import AlertRecord, Cell, Hour, MessageCount
from ingest.naming import SWEEP, UNCLASSIFIED
from ingest.arrivals import Oddity
from ingest.ports import Warehouse
from tests import factories
from tests.factories import START
from tests.warehouse_bench import LATER, Bench, Fixtures, Loader, claimed, of

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def alert(kind: str, subject: str, closed: bool = False) -> AlertRecord:
    return AlertRecord(
        kind=kind,
        subject=subject,
        severity="critical",
        opened_at=START,
        last_seen_at=START,
        notified_at=None,
        closed_at=START if closed else None,
        since=START,
        detail="why",
        owed=("mail",),
    )


class ActivityContract(Fixtures):
    """What came and was committed, by quarter of an hour, hour and day."""

    def test_cells_count_files_by_the_quarter_of_an_hour_they_came_in(
        self, loader: Loader, warehouse: Warehouse
    ) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 1, modified=START + 14 * MINUTE))
        loader.load(loader.arrives(of("deliveries", {}), 2, modified=START + 15 * MINUTE, late=True))
        loader.arrives(of("deliveries", {}), 3, modified=START + 29 * MINUTE)
        bad = loader.arrives(of("deliveries", {}), 4, modified=START + 29 * MINUTE)
        warehouse.settle(loader.lease, bad.arrival.blob, Status.REJECTED, "broken")
        loader.arrives(of("deliveries", {}), 5, modified=START + 29 * MINUTE, etag="old")
        loader.arrives(of("deliveries", {}), 5, modified=START + 46 * MINUTE, etag="new")
        stream = loader.stream
        assert list(warehouse.cells(START)) == [
            Cell(stream, START, arrived=1, loaded=1, late=0, rejected=0, superseded=0),
            Cell(stream, START + 15 * MINUTE, arrived=4, loaded=1, late=1, rejected=1, superseded=1),
            Cell(stream, START + 45 * MINUTE, arrived=1, loaded=0, late=0, rejected=0, superseded=0),
        ]
        assert [cell.begin for cell in warehouse.cells(START + 15 * MINUTE)] == [
            START + 15 * MINUTE,
            START + 45 * MINUTE,
        ]

    def test_what_was_replaced_stays_so_when_its_blob_is_deleted(self, loader: Loader, warehouse: Warehouse) -> None:
        """Else the strip would show a file that waits, and the sums of `status` would not add up."""
        old = loader.arrives(of("deliveries", {}), 1, etag="old")
        loader.load(loader.arrives(of("deliveries", {}), 1, etag="new"))
        warehouse.mark_deleted(claimed(warehouse, SWEEP), [old.arrival.blob], LATER)
        (cell,) = warehouse.cells(START)
        assert (cell.arrived, cell.loaded, cell.superseded) == (2, 1, 1)
        (facts,) = [each for each in warehouse.facts(LATER).streams if each.stream == loader.stream]
        assert (facts.arrived, facts.loaded, facts.superseded) == (2, 1, 1)

    def test_blobs_of_no_stream_have_cells_too(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, UNCLASSIFIED)
        warehouse.record(lease, [], [Oddity(factories.blob("odd.txt"), "odd")])
        (cell,) = warehouse.cells(START)
        assert (cell.stream, cell.arrived, cell.rejected) == (UNCLASSIFIED, 1, 1)

    def test_hours_say_what_was_committed_and_how_long_it_took(self, loader: Loader, warehouse: Warehouse) -> None:
        waits = (10, 20, 60)
        files = [
            loader.arrives(of("deliveries", {"delivery_id": f"{wait}"}, {"delivery_id": f"{wait}b"}), number)
            for number, wait in enumerate(waits, 1)
        ]
        for file, wait in zip(files, waits, strict=True):
            warehouse.load(loader.lease, [file], f"batch {wait}", START + wait * MINUTE)
        first, second = warehouse.hours(START)
        assert first == Hour(START, files=2, rows=4, median_seconds=900.0, p95_seconds=1170.0)
        assert (second.begin, second.files, second.rows, second.median_seconds) == (START + 60 * MINUTE, 1, 2, 3600.0)
        assert list(warehouse.hours(START + 60 * MINUTE)) == [second]

    def test_messages_are_counted_by_day_channel_and_metric(self, bench: Bench, loader: Loader, tmp_path) -> None:  # type: ignore[no-untyped-def]
        loader.load(
            loader.arrives(
                of(
                    "deliveries",
                    {"delivery_id": "m", "delivery_type": "email"},
                    {"delivery_id": "n", "delivery_type": "sms"},
                )
            )
        )
        metrics = Loader(bench, tmp_path, "metrics")
        happened = [
            ("1", "m", "sent", START),
            ("2", "m", "opened", START),
            ("3", "m", "opened", START + MINUTE),
            ("4", "m", "opened", START + DAY),
            ("5", "n", "sent", START),
            ("6", "nobody", "sent", START),
            ("7", "m", "sent", START - DAY),
        ]
        rows = [
            {"event_id": event, "delivery_id": delivery, "metric": metric, "created_at": moment}
            for event, delivery, metric, moment in happened
        ]
        metrics.load(metrics.arrives(of("metrics", *rows)))
        first, second = date(2026, 11, 1), date(2026, 11, 2)
        assert list(bench.warehouse.messages(START)) == [
            MessageCount(1, first, "email", "opened", 1),
            MessageCount(1, first, "email", "sent", 1),
            MessageCount(1, first, "sms", "sent", 1),
            MessageCount(1, first, "unknown", "sent", 1),
            MessageCount(1, second, "email", "opened", 1),
        ]

    def test_nothing_came_before_there_are_tables(self, bench: Bench) -> None:
        assert list(bench.warehouse.cells(START)) == []
        assert list(bench.warehouse.hours(START)) == []
        assert list(bench.warehouse.messages(START)) == []


class FreshnessContract(Fixtures):
    """What the view `ingest_freshness` says, and the facts with it."""

    def test_a_stream_is_complete_through_its_last_arrival(self, loader: Loader, bench: Bench) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 7, modified=START))
        (row,) = bench.rows("ingest_freshness")
        told = ("workspace_id", "dataset", "arrived", "loaded", "pending", "rejected", "last_version", "last_sequence")
        assert [row[name] for name in told] == [1, "deliveries", 1, 1, 0, 0, 4, 7]
        assert row["complete_through"] == row["last_arrived_at"] == START.replace(tzinfo=None)
        assert row["last_loaded_at"] == (START + timedelta(seconds=1)).replace(tzinfo=None)
        assert (float(row["lag_seconds"]), row["open_alerts"]) == (0.0, 0)

    def test_what_waits_and_what_was_rejected_hold_it_back(
        self, loader: Loader, bench: Bench, warehouse: Warehouse
    ) -> None:
        bad = loader.arrives(of("deliveries", {}), 1, modified=START - 2 * MINUTE)
        loader.load(loader.arrives(of("deliveries", {}), 2, modified=START - MINUTE))
        loader.arrives(of("deliveries", {}), 3, modified=START)
        (row,) = bench.rows("ingest_freshness")
        assert row["complete_through"] == (START - 2 * MINUTE).replace(tzinfo=None)
        warehouse.settle(loader.lease, bad.arrival.blob, Status.REJECTED, "broken")
        (row,) = bench.rows("ingest_freshness")
        assert row["complete_through"] == (START - 2 * MINUTE).replace(tzinfo=None)
        assert (row["pending"], row["rejected"]) == (1, 1)
        assert float(row["lag_seconds"]) > 0
        (facts,) = warehouse.facts(LATER).streams
        assert facts.incomplete_since == START - 2 * MINUTE
        assert facts.oldest_pending_at == START

    def test_open_alerts_count_by_stream_and_workspace(
        self, loader: Loader, bench: Bench, warehouse: Warehouse
    ) -> None:
        loader.arrives(of("deliveries", {}))
        lease = claimed(warehouse, SWEEP)
        written = [
            alert("files-rejected", str(loader.stream)),
            alert("exports-stalled", "workspace 1"),
            alert("files-late", str(loader.stream), closed=True),
            alert("files-late", "metrics of workspace 1"),
            alert("exports-stalled", "workspace 2"),
        ]
        warehouse.write_alerts(lease, written)
        (row,) = bench.rows("ingest_freshness")
        assert row["open_alerts"] == 2
        opened = {(each.kind, each.subject) for each in warehouse.facts(LATER).alerts}
        assert opened == {(each.kind, each.subject) for each in written if each.closed_at is None}
