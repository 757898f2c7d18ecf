"""Hold every warehouse's checkpoint to one behaviour: leases, arrivals, what is pending, what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from ingest.arrivals import Held, Oddity, Status
from ingest.datasets import DATASETS
from ingest.errors import ContractBroken, LeaseLost
from ingest.naming import SWEEP, UNCLASSIFIED
from ingest.ordering import order_key
from ingest.ports import Warehouse
from tests import factories
from tests.factories import START, TERM
from tests.warehouse_bench import LATER, Bench, Fixtures, Loader, claimed, of


class LeaseContract(Fixtures):
    """Who may write about a stream."""

    def test_preparing_twice_keeps_everything(self, warehouse: Warehouse, bench: Bench) -> None:
        claimed(warehouse, factories.stream())
        warehouse.prepare()
        bench.other().prepare()
        assert isinstance(warehouse.claim(factories.stream(), "you", START, TERM), Held)

    def test_a_lease_is_held_until_it_is_released(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream())
        held = warehouse.claim(factories.stream(), "you", START, TERM)
        assert held == Held(lease.stream, "me", START + TERM)
        warehouse.release(lease)
        assert claimed(warehouse, factories.stream(), "you").generation == lease.generation + 1

    def test_a_lease_runs_out(self, warehouse: Warehouse) -> None:
        claimed(warehouse, factories.stream())
        assert isinstance(
            warehouse.claim(factories.stream(), "you", START + TERM - timedelta(microseconds=1), TERM), Held
        )
        assert claimed(warehouse, factories.stream(), "you", START + TERM).owner == "you"

    def test_streams_have_leases_of_their_own(self, warehouse: Warehouse) -> None:
        claimed(warehouse, factories.stream("metrics"))
        claimed(warehouse, factories.stream("metrics", 2))
        claimed(warehouse, factories.stream("deliveries"))
        claimed(warehouse, UNCLASSIFIED)

    def test_renewing_puts_the_end_off(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream())
        warehouse.renew(lease, START + TERM / 2, TERM)
        assert isinstance(warehouse.claim(factories.stream(), "you", START + TERM * 1.4, TERM), Held)

    def test_a_lost_lease_renews_releases_and_writes_nothing(self, warehouse: Warehouse, bench: Bench) -> None:
        lost = claimed(warehouse, factories.stream())
        held = claimed(warehouse, factories.stream(), "you", LATER)
        arrived = factories.arrival()
        with pytest.raises(LeaseLost):
            warehouse.renew(lost, LATER, TERM)
        with pytest.raises(LeaseLost):
            warehouse.record(lost, [arrived], [])
        with pytest.raises(LeaseLost):
            warehouse.settle(lost, arrived.blob, Status.REJECTED, "why")
        with pytest.raises(LeaseLost):
            warehouse.reopen(lost, None)
        warehouse.release(lost)
        assert isinstance(warehouse.claim(factories.stream(), "third", LATER, TERM), Held)
        assert bench.rows("ingest_files") == []
        assert warehouse.record(held, [arrived], []) == [arrived.blob]

    def test_a_released_lease_writes_nothing(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream())
        warehouse.release(lease)
        with pytest.raises(LeaseLost):
            warehouse.record(lease, [factories.arrival()], [])


class ArrivalContract(Fixtures):
    """What has arrived, waits, was rejected."""

    def test_what_was_recorded_is_settled(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream())
        known, fresh = factories.arrival(), factories.arrival("deliveries_v4_1_2.parquet")
        again = factories.blob(known.blob.name)
        warehouse.record(lease, [known], [])
        assert warehouse.unsettled([known.blob, fresh.blob, again]) == [fresh.blob, again]
        assert list(warehouse.unsettled([])) == []

    def test_recording_twice_records_once(self, warehouse: Warehouse, bench: Bench) -> None:
        lease = claimed(warehouse, factories.stream())
        first, second = factories.arrival(), factories.arrival("deliveries_v4_1_2.parquet")
        assert warehouse.record(lease, [first], []) == [first.blob]
        assert warehouse.record(lease, [first, second], []) == [second.blob]
        assert list(warehouse.record(lease, [first, second], [])) == []
        assert len(bench.rows("ingest_files")) == 2

    def test_a_record_holds_everything_about_an_arrival(self, warehouse: Warehouse, bench: Bench) -> None:
        lease = claimed(warehouse, factories.stream("metrics"))
        arrived = factories.arrival("a/b/metrics_v5_1_9223372036854775807_008.parquet", size=2**40, etag="0x1")
        warehouse.record(lease, [arrived], [])
        (found,) = bench.rows("ingest_files")
        assert {name: found[name] for name in ("container", "blob_name", "etag", "workspace_id", "dataset")} == {
            "container": "exports",
            "blob_name": arrived.blob.name,
            "etag": "0x1",
            "workspace_id": 1,
            "dataset": "metrics",
        }
        assert (found["version"], found["sequence"], found["sequence_end"]) == (5, 2**63 - 1, 8)
        assert (found["bytes"], found["status"], found["late"], found["attempts"]) == (2**40, "pending", False, 0)
        assert found["arrived_at"] == START.replace(tzinfo=None)
        assert found["loaded_at"] is None

    def test_an_oddity_is_recorded_as_rejected(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, UNCLASSIFIED)
        odd = Oddity(factories.blob("what.parquet"), "nobody knows what.parquet")
        assert warehouse.record(lease, [], [odd]) == [odd.blob]
        assert list(warehouse.record(lease, [], [odd])) == []
        (record,) = warehouse.rejected(10)
        assert (record.blob_name, record.etag, record.error) == ("what.parquet", odd.blob.etag, odd.reason)
        assert (record.status, record.workspace_id, record.dataset) == (Status.REJECTED, None, None)

    def test_a_newer_blob_of_the_name_supersedes_what_was_not_loaded(self, warehouse: Warehouse, bench: Bench) -> None:
        lease = claimed(warehouse, factories.stream())
        pending, rejected = factories.arrival(etag="p1"), factories.arrival("deliveries_v4_1_2.parquet", etag="r1")
        other = factories.arrival("deliveries_v4_1_3.parquet", etag="o1")
        warehouse.record(lease, [pending, rejected, other], [])
        warehouse.settle(lease, rejected.blob, Status.REJECTED, "broken")
        newer = [factories.arrival(each.blob.name, etag=f"{each.blob.etag}+") for each in (pending, rejected)]
        warehouse.record(lease, newer, [])
        assert {(row["etag"], row["status"]) for row in bench.rows("ingest_files")} == {
            ("p1", "superseded"),
            ("r1", "superseded"),
            ("o1", "pending"),
            ("p1+", "pending"),
            ("r1+", "pending"),
        }

    def test_a_newer_blob_leaves_what_was_loaded(self, loader: Loader, bench: Bench) -> None:
        loader.load(loader.arrives(of("deliveries", {}), etag="old"))
        loader.arrives(of("deliveries", {}), etag="new")
        assert {row["etag"]: row["status"] for row in bench.rows("ingest_files")} == {"old": "loaded", "new": "pending"}

    def test_pending_files_come_in_ascending_order(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream("people"))
        ascending = [
            "people_v3_1_99.parquet",
            "people_v4_1_9.parquet",
            "people_v4_1_10.parquet",
            "people_v4_chngs_1_10.parquet",
            "people_v4_1_10_0.parquet",
            "people_v4_1_10_9.parquet",
            "people_v4_1_10_10.parquet",
            "people_v4_1_9007199254740992.parquet",
            "people_v4_1_9007199254740993.parquet",
            "people_v5_1_1.parquet",
        ]
        arrivals = [factories.arrival(name) for name in ascending]
        assert sorted(arrivals, key=lambda arrived: order_key(arrived.name)) == arrivals
        warehouse.record(lease, arrivals[::-1], [])
        stream = factories.stream("people")
        assert list(warehouse.pending(stream, None, 100)) == arrivals
        assert list(warehouse.pending(stream, None, 3)) == arrivals[:3]
        for number, arrived in enumerate(arrivals):
            assert list(warehouse.pending(stream, order_key(arrived.name), 100)) == arrivals[number + 1 :]

    def test_pending_is_of_one_stream(self, warehouse: Warehouse) -> None:
        for stream in (factories.stream("people"), factories.stream("people", 2), factories.stream("metrics")):
            lease = claimed(warehouse, stream)
            name = factories.name(stream.dataset, workspace=stream.workspace_id)
            warehouse.record(lease, [factories.arrival(name)], [])
        (only,) = warehouse.pending(factories.stream("people"), None, 100)
        assert only.blob.name == "people_v4_1_1.parquet"

    def test_waiting_streams_come_by_their_oldest_file(self, warehouse: Warehouse) -> None:
        for dataset, minutes in (("people", 3), ("metrics", 1), ("deliveries", 2)):
            arrived = factories.arrival(factories.name(dataset), modified=START + timedelta(minutes=minutes))
            warehouse.record(claimed(warehouse, factories.stream(dataset)), [arrived], [])
        lease = claimed(warehouse, factories.stream("metrics"), "me", LATER)
        assert [stream.dataset for stream in warehouse.waiting()] == ["metrics", "deliveries", "people"]
        (arrived,) = warehouse.pending(factories.stream("metrics"), None, 1)
        warehouse.settle(lease, arrived.blob, Status.REJECTED, "broken")
        assert [stream.dataset for stream in warehouse.waiting()] == ["deliveries", "people"]

    def test_settling_counts_attempts(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream())
        arrived = factories.arrival()
        warehouse.record(lease, [arrived], [])
        warehouse.settle(lease, arrived.blob, Status.PENDING, "later")
        warehouse.settle(lease, arrived.blob, Status.PENDING, "later")
        assert list(warehouse.pending(arrived.stream, None, 1)) == [replace(arrived, attempts=2)]

    def test_reopening_makes_rejected_files_pending_again(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, factories.stream())
        arrivals = [factories.arrival(factories.name(sequence=number)) for number in (1, 2, 3)]
        warehouse.record(lease, arrivals, [])
        for arrived in arrivals[:2]:
            warehouse.settle(lease, arrived.blob, Status.REJECTED, "broken")
        assert warehouse.reopen(lease, [arrivals[1].blob.name, arrivals[2].blob.name, "other.parquet"]) == 1
        assert list(warehouse.pending(lease.stream, None, 9)) == arrivals[1:]
        assert [record.blob_name for record in warehouse.rejected(9)] == [arrivals[0].blob.name]
        assert warehouse.reopen(lease, None) == 1
        assert list(warehouse.pending(lease.stream, None, 9)) == arrivals

    def test_reopening_oddities_has_them_met_anew(self, warehouse: Warehouse) -> None:
        stream_lease, lease = claimed(warehouse, factories.stream()), claimed(warehouse, UNCLASSIFIED)
        arrived = factories.arrival()
        odd = Oddity(factories.blob("what.parquet"), "nobody knows it")
        warehouse.record(stream_lease, [arrived], [])
        warehouse.settle(stream_lease, arrived.blob, Status.REJECTED, "broken")
        warehouse.record(lease, [], [odd])
        assert warehouse.reopen(lease, None) == 1
        assert warehouse.unsettled([odd.blob, arrived.blob]) == [odd.blob]

    def test_rejected_files_come_newest_first(self, warehouse: Warehouse) -> None:
        lease = claimed(warehouse, UNCLASSIFIED)
        for minutes in (2, 3, 1):
            blob = factories.blob(f"{minutes}.parquet", modified=START + timedelta(minutes=minutes))
            warehouse.record(lease, [], [Oddity(blob, "odd")])
        assert [record.blob_name for record in warehouse.rejected(2)] == ["3.parquet", "2.parquet"]


class FactsContract(Fixtures):
    """What the checkpoint says."""

    def test_facts_sum_the_checkpoint_up(self, loader: Loader) -> None:
        empty = loader.warehouse.facts(LATER)
        assert [facts.arrived for facts in empty.streams] == [0]
        loader.load(loader.arrives(of("deliveries", {}, {"delivery_id": "b"}), 5))
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "c"}), 4, late=True))
        loader.arrives(of("deliveries", {}), 6)
        bad = loader.arrives(of("deliveries", {}), 7)
        loader.warehouse.settle(loader.lease, bad.arrival.blob, Status.REJECTED, "broken")
        facts = loader.warehouse.facts(LATER)
        assert facts.as_of == LATER
        assert facts.holder is None
        (stream,) = facts.streams
        assert (stream.arrived, stream.loaded, stream.pending, stream.rejected, stream.late) == (4, 2, 1, 1, 1)
        assert (stream.rows_applied, stream.last_version, stream.last_sequence) == (3, 4, 5)
        assert (stream.oldest_pending_at, stream.last_arrived_at) == (START, START)
        assert (stream.lease_owner, stream.stream) == ("me", loader.stream)

    def test_facts_of_nothing_are_empty(self, bench: Bench) -> None:
        assert bench.warehouse.facts(START).streams == ()


class HistoryContract(Fixtures):
    """What became of every ETag of a name, and what can be said of a file before it is loaded."""

    def test_a_name_that_nobody_recorded_has_no_history(self, warehouse: Warehouse) -> None:
        assert list(warehouse.history("exports", "deliveries_v4_1_1.parquet")) == []

    def test_history_is_asked_for_before_there_are_tables(self, bench: Bench) -> None:
        assert list(bench.warehouse.history("exports", "deliveries_v4_1_1.parquet")) == []

    def test_every_etag_of_a_name_is_told_the_oldest_first(self, loader: Loader, warehouse: Warehouse) -> None:
        loader.load(loader.arrives(of("deliveries", {}, {"delivery_id": "b"}), 1, etag="first"))
        broken = loader.arrives(of("deliveries", {}), 1, etag="second", modified=LATER)
        warehouse.settle(loader.lease, broken.arrival.blob, Status.REJECTED, "broken")
        loader.arrives(of("deliveries", {}), 2)
        first, second = warehouse.history("exports", broken.arrival.blob.name)
        assert (first.etag, first.status, first.rows_read, first.rows_applied) == ("first", Status.LOADED, 2, 2)
        assert (first.arrived_at, first.attempts, first.late, first.error) == (START, 1, False, "")
        assert (first.loaded_at, first.deleted_at) == (START + timedelta(seconds=1), None)
        assert first.batch_id == "batch 1"
        assert (second.etag, second.status, second.error) == ("second", Status.REJECTED, "broken")
        assert (second.rows_read, second.loaded_at, second.batch_id) == (None, None, None)
        assert second.size == broken.arrival.blob.size
        assert list(warehouse.history("another", broken.arrival.blob.name)) == []

    def test_what_was_deleted_keeps_its_history(self, loader: Loader, warehouse: Warehouse) -> None:
        file = loader.arrives(of("deliveries", {}), 1)
        loader.load(file)
        warehouse.mark_deleted(claimed(warehouse, SWEEP), [file.arrival.blob], LATER)
        (past,) = warehouse.history("exports", file.arrival.blob.name)
        assert (past.status, past.deleted_at) == (Status.DELETED, LATER)
        assert past.loaded_at is not None

    def test_a_table_is_looked_at_without_being_made(self, warehouse: Warehouse, bench: Bench) -> None:
        dataset = DATASETS["metrics"]
        would_be = dict(warehouse.columns(dataset, create=False))
        with pytest.raises(Exception, match=r"(?i)metrics"):
            bench.rows("metrics")
        assert dict(warehouse.columns(dataset)) == dict(warehouse.columns(dataset, create=False)) == would_be

    def test_a_sound_file_has_nothing_said_against_it(self, loader: Loader, bench: Bench) -> None:
        file = loader.arrives(of("deliveries", {}))
        assert loader.warehouse.diagnose(file, loader.warehouse.columns(DATASETS["deliveries"])).rejection is None
        assert bench.rows("deliveries") == []

    def test_what_a_warehouse_sees_in_a_file_is_what_loading_it_says(self, loader: Loader) -> None:
        types = {"campaign_id": pa.uint64()}
        hidden = loader.arrives(of("deliveries", {"delivery_type": None}, write_statistics=False), 1)
        large = loader.arrives(of("deliveries", {"campaign_id": 2**64 - 1}, types=types), 2)
        for file in (hidden, large):
            said = loader.warehouse.diagnose(file, loader.warehouse.columns(DATASETS["deliveries"]))
            with pytest.raises(ContractBroken) as refused:
                loader.load(file)
            assert str(said.rejection) == str(refused.value) if said.values_seen else said.rejection is None
