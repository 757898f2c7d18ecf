"""Hold every warehouse's loading to one behaviour: one commit, and the newest row wins."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import BatchRefused, LeaseLost
from ingest.ordering import order_key
from ingest.ports import Warehouse
from tests import factories
from tests.factories import START
from tests.warehouse_bench import LATER, Bench, Fixtures, Loader, claimed, of


class CommitContract(Fixtures):
    """Rows and checkpoint commit together or not at all."""

    def test_a_load_writes_rows_lineage_and_checkpoint(self, loader: Loader, bench: Bench) -> None:
        content = of("metrics", {"event_id": "a", "created_at": START}, {"event_id": "b", "reason": None})
        metrics = Loader(bench, loader.folder, "metrics")
        file = metrics.arrives(content, 2**60, end=2**61, folder="x/", etag="0xE")
        assert metrics.load(file) == [(2, 2)]
        first, second = bench.rows("metrics", "event_id")
        assert {name: value for name, value in first.items() if name.startswith("_")} == {
            "_blob_name": file.arrival.blob.name,
            "_version": 4,
            "_sequence": 2**60,
            "_sequence_end": 2**61,
            "_row_number": 1,
            "_loaded_at": (START + timedelta(seconds=1)).replace(tzinfo=None),
        }
        assert (first["created_at"], first["workspace_id"], first["metric"]) == (
            START.replace(tzinfo=None),
            1,
            "some metric",
        )
        assert (second["reason"], second["_row_number"]) == (None, 2)
        (record,) = bench.rows("ingest_files")
        assert (record["status"], record["late"], record["rows_read"], record["rows_applied"]) == (
            "loaded",
            False,
            2,
            2,
        )
        assert (record["batch_id"], record["attempts"], record["error"]) == ("batch 1", 1, None)
        (stream,) = [row for row in bench.rows("ingest_streams") if row["dataset"] == "metrics"]
        assert (stream["last_version"], stream["last_sequence"]) == (4, 2**60)
        assert stream["last_loaded_at"] == record["loaded_at"]

    def test_high_water_is_the_highest_key_loaded(self, loader: Loader) -> None:
        assert loader.warehouse.high_water(loader.stream) is None
        for sequence in (5, 3):
            file = loader.arrives(of("deliveries", {}), sequence, late=sequence < 5)
            loader.load(file)
        loader.arrives(of("deliveries", {}), 9)
        assert loader.warehouse.high_water(loader.stream) == order_key(
            factories.arrival(factories.name(sequence=5)).name
        )
        assert loader.warehouse.high_water(factories.stream(workspace=2)) is None

    def test_a_late_file_does_not_put_the_stream_back(self, loader: Loader, bench: Bench) -> None:
        loader.load(loader.arrives(of("deliveries", {}), 5))
        loader.load(loader.arrives(of("deliveries", {}), 3, late=True))
        (stream,) = bench.rows("ingest_streams")
        assert stream["last_sequence"] == 5
        assert {row["sequence"]: row["late"] for row in bench.rows("ingest_files")} == {5: False, 3: True}

    def test_a_lease_lost_before_the_load_writes_nothing(self, loader: Loader, bench: Bench) -> None:
        file = loader.arrives(of("deliveries", {}))
        bench.take_over(loader.lease)
        with pytest.raises(LeaseLost):
            loader.load(file)
        assert bench.rows("deliveries") == []
        assert bench.rows("ingest_files")[0]["status"] == "pending"

    def test_a_lease_lost_during_the_load_rolls_everything_back(self, loader: Loader, bench: Bench) -> None:
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "a", "seq_num": 1})))
        before = bench.rows("deliveries"), bench.rows("ingest_files")
        file = loader.arrives(of("deliveries", {"delivery_id": "a", "seq_num": 2}), 2)
        with bench.before_commit(lambda: bench.take_over(loader.lease)), pytest.raises(LeaseLost):
            loader.load(file)
        assert bench.rows("deliveries") == before[0]
        assert {row["sequence"]: row["status"] for row in bench.rows("ingest_files", "sequence")} == {
            1: "loaded",
            2: "pending",
        }
        successor = claimed(bench.other(), loader.stream, "you", LATER)
        loader.lease = successor
        assert loader.load(file) == [(1, 1)]

    def test_an_interruption_during_the_load_rolls_everything_back(self, loader: Loader, bench: Bench) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        file = loader.arrives(of("deliveries", {}))
        with bench.before_commit(interrupt), pytest.raises(KeyboardInterrupt):
            loader.load(file)
        assert bench.rows("deliveries") == []
        assert loader.load(file) == [(1, 1)]

    def test_a_file_is_not_loaded_twice(self, loader: Loader, bench: Bench) -> None:
        file = loader.arrives(of("deliveries", {}))
        loader.load(file)
        with pytest.raises(LeaseLost):
            loader.load(file)
        assert len(bench.rows("deliveries")) == 1

    def test_nothing_is_committed_after_a_failure(self, loader: Loader, bench: Bench) -> None:
        good = loader.arrives(of("deliveries", {"delivery_id": "good"}), 1)
        bad = loader.arrives(factories.blotted(of("deliveries", {"delivery_id": "bad"})), 2)
        with pytest.raises(BatchRefused):
            loader.load(good, bad)
        assert bench.rows("deliveries") == []
        assert {row["status"] for row in bench.rows("ingest_files")} == {"pending"}
        assert loader.load(good) == [(1, 1)]

    def test_an_empty_file_loads(self, loader: Loader, bench: Bench) -> None:
        assert loader.load(loader.arrives(of("deliveries"))) == [(0, 0)]
        assert bench.rows("deliveries") == []
        assert bench.rows("ingest_files")[0]["status"] == "loaded"


class NewestContract(Fixtures):
    """The newest row of each key stays, whatever came first."""

    @pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
    @pytest.mark.parametrize("old_first", [True, False])
    @pytest.mark.parametrize(
        ("dataset", "older", "newer"),
        [
            ("deliveries", ({"seq_num": 1}, 9, {}), ({"seq_num": 2}, 3, {})),
            ("deliveries", ({"seq_num": 1}, 3, {}), ({"seq_num": 1}, 9, {})),
            ("deliveries", ({}, 9, {"version": 4}), ({}, 3, {"version": 5})),
            ("deliveries", ({}, 3, {}), ({}, 3, {"end": 0})),
            ("deliveries", ({}, 3, {"end": 9}), ({}, 3, {"end": 10})),
            ("deliveries", ({}, 3, {"folder": "a/"}), ({}, 3, {"folder": "b/"})),
            ("deliveries", ({}, 9, {}), ({}, 10, {})),
            ("deliveries", ({}, 2**53, {}), ({}, 2**53 + 1, {})),
            ("people", ({"updated_at": START}, 9, {}), ({"updated_at": START + timedelta(microseconds=1)}, 3, {})),
            ("people", ({}, 3, {}), ({}, 3, {"changes": True})),
            ("delivery_content", ({}, 3, {}), ({}, 9, {})),
            ("attributes", ({}, 3, {}), ({}, 9, {})),
        ],
    )
    def test_the_newest_row_stays_whatever_came_first(
        self,
        bench: Bench,
        warehouse: Warehouse,
        tmp_path: Path,
        dataset: str,
        older: Any,
        newer: Any,
        old_first: bool,
        together: bool,
    ) -> None:
        text = {
            "deliveries": "subject_id",
            "people": "email_addr",
            "delivery_content": "subject",
            "attributes": "attribute_value",
        }
        loader = Loader(bench, tmp_path, dataset)
        files = {}
        for which, (values, sequence, parts) in (("old", older), ("new", newer)):
            content = of(dataset, {**values, text[dataset]: which})
            files[which] = loader.arrives(content, sequence, **parts)
        if together:
            ascending = sorted(files.values(), key=lambda file: order_key(file.arrival.name))
            loader.load(*ascending)
        else:
            loader.load(files["old" if old_first else "new"])
            loader.load(files["new" if old_first else "old"])
        (row,) = bench.rows(dataset)
        assert row[text[dataset]] == "new"
        assert row["_blob_name"] == files["new"].arrival.blob.name
        counts = {record["blob_name"]: record["rows_applied"] for record in bench.rows("ingest_files")}
        assert counts[files["new"].arrival.blob.name] == 1
        assert counts[files["old"].arrival.blob.name] == (1 if old_first and not together else 0)

    def test_of_several_rows_of_a_key_in_one_file_the_newest_stays(self, loader: Loader, bench: Bench) -> None:
        rows = [
            {"delivery_id": "a", "seq_num": 1, "subject_id": "first"},
            {"delivery_id": "a", "seq_num": 3, "subject_id": "newest"},
            {"delivery_id": "a", "seq_num": 2, "subject_id": "last"},
            {"delivery_id": "b", "seq_num": 1, "subject_id": "earlier"},
            {"delivery_id": "b", "seq_num": 1, "subject_id": "later"},
        ]
        assert loader.load(loader.arrives(of("deliveries", *rows))) == [(5, 2)]
        assert [(row["subject_id"], row["_row_number"]) for row in bench.rows("deliveries", "delivery_id")] == [
            ("newest", 2),
            ("later", 5),
        ]

    def test_a_replaced_blob_wins_over_what_it_was(self, content_loader: Loader, bench: Bench) -> None:
        old = of("delivery_content", {"subject": "x"}, {"subject": "old"})
        content_loader.load(content_loader.arrives(old, 3))
        content_loader.load(content_loader.arrives(of("delivery_content", {"subject": "new"}), 3))
        (row,) = bench.rows("delivery_content")
        assert (row["subject"], row["_row_number"]) == ("new", 1)

    def test_keys_are_compared_whole(self, loader: Loader, bench: Bench) -> None:
        people = Loader(bench, loader.folder, "attributes")
        rows = [
            {"attribute_name": "Plan"},
            {"attribute_name": "plan"},
            {"attribute_name": "plan "},
            {"attribute_name": "plan", "workspace_id": 2},
            {"attribute_name": "plan", "timestamp": START + timedelta(microseconds=1)},
            {"attribute_name": "plan", "internal_customer_id": "other"},
        ]
        assert people.load(people.arrives(of("attributes", *rows))) == [(6, 6)]
        again = people.arrives(of("attributes", *rows), 2)
        assert people.load(again) == [(6, 6)]
        assert len(bench.rows("attributes")) == 6

    def test_rows_keep_their_values(self, loader: Loader, bench: Bench) -> None:
        values = {"subject_id": "a\0b'\";--\nü😀", "event_id": "", "campaign_id": -(2**63), "seq_num": 2**63 - 1}
        loader.load(loader.arrives(of("deliveries", values)))
        (row,) = bench.rows("deliveries")
        assert {name: row[name] for name in values} == values
