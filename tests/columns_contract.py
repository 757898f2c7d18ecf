"""Hold every warehouse to one reading of files: columns, physical forms, and what cannot be loaded."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.datasets import DATASETS, Column, Kind
from ingest.errors import BatchRefused, ContractBroken, FileUnreadable, Rejection
from ingest.ports import Warehouse
from tests import factories
from tests.factories import START
from tests.warehouse_bench import Bench, Fixtures, Loader, of


def shown(error: BaseException) -> str:
    """Give all that a log would show of an error that nobody caught."""
    return f"{error} {error.args!r}"


class ColumnsContract(Fixtures):
    """Which columns a table has, and what comes into them."""

    def test_added_columns_are_null_in_older_rows(self, loader: Loader, bench: Bench) -> None:
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "old"})))
        added = {"Message Name": "hello", "score": 0.5, "tags": ["x", None], "many": 3, "at": START, "ok": False}
        types = {
            "Message Name": pa.string(),
            "score": pa.float32(),
            "tags": pa.list_(pa.string()),
            "many": pa.int16(),
            "at": pa.timestamp("ms"),
            "ok": pa.bool_(),
        }
        naive = {**added, "at": START.replace(tzinfo=None)}
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "new", **naive}, types=types), 2))
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "without"}), 3))
        new, old, without = bench.rows("deliveries", "delivery_id")
        assert {name: new[name] for name in naive} == naive
        assert {old[name] for name in added} == {without[name] for name in added} == {None}
        table = loader.warehouse.columns(DATASETS["deliveries"])
        assert {name: table[name] for name in added} == {
            "Message Name": Kind.STRING,
            "score": Kind.NUMBER,
            "tags": Kind.STRINGS,
            "many": Kind.INTEGER,
            "at": Kind.TIMESTAMP,
            "ok": Kind.BOOLEAN,
        }

    def test_evolving_twice_is_evolving_once(self, warehouse: Warehouse) -> None:
        dataset = DATASETS["deliveries"]
        before = dict(warehouse.columns(dataset))
        for _ in range(2):
            warehouse.evolve(dataset, [Column('so "called"', Kind.NUMBER)])
        assert dict(warehouse.columns(dataset)) == {**before, 'so "called"': Kind.NUMBER}

    def test_columns_of_a_later_schema_version_come_with_a_file(
        self, warehouse: Warehouse, bench: Bench, tmp_path: Path
    ) -> None:
        assert "proxied" not in warehouse.columns(DATASETS["metrics"])
        loader = Loader(bench, tmp_path, "metrics")
        loader.load(loader.arrives(of("metrics", {"proxied": True}, types={"proxied": pa.bool_()}), version=5))
        assert bench.rows("metrics")[0]["proxied"] is True

    def test_nested_columns_are_kept_as_json_in_every_file(self, loader: Loader, bench: Bench) -> None:
        types = {"more": pa.struct([("a", pa.list_(pa.int64()))]), "day": pa.date32()}
        values = {"more": {"a": [1, 2]}, "day": START.date()}
        for sequence in (1, 2):
            content = of("deliveries", {"delivery_id": str(sequence), **values}, types=types)
            assert loader.load(loader.arrives(content, sequence)) == [(1, 1)]
        for row in bench.rows("deliveries"):
            assert json.loads(row["more"]) == {"a": [1, 2]}
            assert START.date().isoformat() in row["day"]

    def test_missing_nullable_columns_are_null(self, loader: Loader, bench: Bench) -> None:
        loader.load(loader.arrives(of("deliveries", {}, drop=("campaign_id", "subject_id"))))
        (row,) = bench.rows("deliveries")
        assert (row["campaign_id"], row["subject_id"], row["newsletter_id"]) == (None, None, 1)

    def test_files_of_different_shapes_load_together(self, loader: Loader, bench: Bench) -> None:
        files = [
            loader.arrives(of("deliveries", {"delivery_id": "a"}), 1),
            loader.arrives(of("deliveries", {"delivery_id": "b"}, types={"campaign_id": pa.int32()}), 2),
            loader.arrives(of("deliveries", {"delivery_id": "c"}, drop=("campaign_id",)), 3),
            loader.arrives(of("deliveries", {"delivery_id": "d", "more": "x"}, types={"more": pa.string()}), 4),
            loader.arrives(
                of("deliveries", {"delivery_id": "e", "campaign_id": None}, types={"campaign_id": pa.null()}), 5
            ),
            loader.arrives(of("deliveries"), 6),
        ]
        assert loader.load(*files) == [(1, 1)] * 5 + [(0, 0)]
        found = [
            (row["delivery_id"], row["campaign_id"], row["more"]) for row in bench.rows("deliveries", "delivery_id")
        ]
        assert found == [("a", 1, None), ("b", 1, None), ("c", None, None), ("d", 1, "x"), ("e", None, None)]

    @pytest.mark.parametrize(
        ("column", "kind", "value"),
        [
            ("campaign_id", pa.int32(), 7),
            ("campaign_id", pa.uint32(), 3_000_000_000),
            ("campaign_id", pa.uint64(), 2**63 - 1),
            ("campaign_id", pa.int8(), -7),
            ("subject_id", pa.large_string(), "ü"),
            ("subject_id", pa.dictionary(pa.int32(), pa.string()), "ü"),
            ("subject_id", pa.null(), None),
        ],
        ids=str,
    )
    def test_physical_forms_load(
        self, loader: Loader, bench: Bench, column: str, kind: pa.DataType, value: Any
    ) -> None:
        """Small values beside, for statistics of unsigned and signed numbers differ."""
        rows = [{"delivery_id": "a", column: value}, {"delivery_id": "b", column: None}]
        loader.load(loader.arrives(of("deliveries", *rows, types={column: kind})))
        assert [row[column] for row in bench.rows("deliveries", "delivery_id")] == [value, None]

    def test_bytes_are_read_as_text(self, loader: Loader, bench: Bench) -> None:
        content = of("deliveries", {"subject_id": "ü".encode()}, types={"subject_id": pa.binary()})
        loader.load(loader.arrives(content))
        assert bench.rows("deliveries")[0]["subject_id"] == "ü"

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            (pa.timestamp("ms", tz="UTC"), {}),
            (pa.timestamp("ms"), {}),
            (pa.timestamp("us", tz="UTC"), {}),
            (pa.timestamp("us"), {}),
            (pa.timestamp("ns", tz="UTC"), {"version": "2.6"}),
            (pa.timestamp("ns"), {"version": "2.6"}),
            (pa.timestamp("us"), {"use_deprecated_int96_timestamps": True}),
            (pa.timestamp("us", tz="Europe/Berlin"), {"store_schema": True}),
        ],
        ids=str,
    )
    def test_instants_are_utc_in_every_physical_form(
        self, loader: Loader, bench: Bench, kind: pa.DataType, options: dict[str, Any]
    ) -> None:
        """Before and after 1970, and the epoch itself, which stands for an unknown creation date of people."""
        millis = [0, 1_793_491_200_123, -86_400_000_000, -1_000]
        table = factories.table("deliveries", [{"delivery_id": str(number)} for number in range(4)])
        instants = pa.array(millis, pa.timestamp("ms")).cast(pa.timestamp(kind.unit)).cast(pa.int64()).cast(kind)
        table = table.set_column(table.schema.get_field_index("created_at"), "created_at", instants)
        loader.load(loader.arrives(factories.encoded(table, **options)))
        expected = [(factories.EPOCH + timedelta(milliseconds=each)).replace(tzinfo=None) for each in millis]
        assert [row["created_at"] for row in bench.rows("deliveries", "delivery_id")] == expected

    def test_nanoseconds_before_1970_are_no_damage(self, loader: Loader, bench: Bench) -> None:
        table = factories.table("deliveries")
        instants = pa.array([-1], pa.timestamp("ns", tz="UTC"))
        table = table.set_column(table.schema.get_field_index("created_at"), "created_at", instants)
        assert loader.load(loader.arrives(factories.encoded(table, version="2.6"))) == [(1, 1)]

    @pytest.mark.parametrize(
        "called",
        [
            ["file_no", "row_no", "path", "filename", "version", "blob_name", "sequence", "parquet", "now", "$now"],
            ["a.b", 'a"b', "{x}", "select", "x" * 10_000, "ü .", "row_id", "stored", "sought", "incoming_wins", "%s"],
        ],
        ids=["the loader's own words", "strange ones"],
    )
    def test_added_columns_may_be_called_anything(self, loader: Loader, bench: Bench, called: list[str]) -> None:
        called = [name[: bench.longest_name] for name in called]
        types = {name: pa.string() for name in called}
        for sequence, text in ((1, "x"), (2, "y")):
            added = {name: f"{text} {name}" for name in called}
            content = of("deliveries", {"delivery_id": "a", **added}, {"delivery_id": f"{sequence}"}, types=types)
            assert loader.load(loader.arrives(content, sequence)) == [(2, 2)]
        found = {row["delivery_id"]: [row[name] for name in called] for row in bench.rows("deliveries")}
        assert found == {"a": [f"y {name}" for name in called], "1": [None] * len(called), "2": [None] * len(called)}

    @pytest.mark.parametrize(
        "called", ["rowid", "RowID", "", "file_row_number", "_ingest_path", "_Blob_name", "_loaded_at"]
    )
    def test_names_that_no_table_can_take_are_refused(self, loader: Loader, called: str) -> None:
        with pytest.raises(ContractBroken, match=repr(called)):
            loader.arrives(of("deliveries", {called: "x"}, types={called: pa.string()}))
        assert called not in loader.warehouse.columns(DATASETS["deliveries"])


class RefusalContract(Fixtures):
    """What is refused, and what is said of it: never a value."""

    @pytest.mark.parametrize("statistics", [True, False], ids=["stated", "hidden"])
    def test_a_null_in_a_required_column_is_found(self, loader: Loader, statistics: bool) -> None:
        content = of("deliveries", {"delivery_type": None}, {}, write_statistics=statistics)
        with pytest.raises(ContractBroken, match="'delivery_type'.* required .*1 null"):
            loader.load(loader.arrives(content))

    @pytest.mark.parametrize("column", ["delivery_type", "seq_num", "created_at"])
    def test_a_hidden_null_is_found_though_its_row_is_beaten(self, loader: Loader, bench: Bench, column: str) -> None:
        rows = [{"delivery_id": "a", "seq_num": 1, column: None}, {"delivery_id": "b"}]
        null = loader.arrives(of("deliveries", *rows, write_statistics=False), 1)
        good = loader.arrives(of("deliveries", {"delivery_id": "a", "seq_num": 2}), 2)
        with pytest.raises(BatchRefused):
            loader.load(null, good)
        loader.load(good)
        with pytest.raises(ContractBroken, match=column):
            loader.load(null)

    def test_a_value_that_does_not_fit_is_named_but_not_shown(self, loader: Loader) -> None:
        content = of("deliveries", {"campaign_id": 2**64 - 3}, {"campaign_id": 5}, types={"campaign_id": pa.uint64()})
        with pytest.raises(ContractBroken, match=r"'campaign_id'.*INTEGER.*1 value.*uint64") as refused:
            loader.load(loader.arrives(content))
        assert str(2**64 - 3) not in shown(refused.value)

    def test_a_value_that_does_not_fit_is_found_though_its_row_is_beaten(self, loader: Loader) -> None:
        large = of("deliveries", {"seq_num": 1, "campaign_id": 2**64 - 3}, types={"campaign_id": pa.uint64()})
        loader.load(loader.arrives(of("deliveries", {"seq_num": 2}), 2))
        with pytest.raises(ContractBroken, match="campaign_id"):
            loader.load(loader.arrives(large, 1))

    def test_bytes_that_are_no_text_are_refused(self, loader: Loader) -> None:
        content = of("deliveries", {"subject_id": b"secret\xff"}, types={"subject_id": pa.binary()})
        with pytest.raises(Rejection, match="subject_id") as refused:
            loader.load(loader.arrives(content))
        assert "secret" not in shown(refused.value)

    def test_damaged_pages_are_refused(self, loader: Loader) -> None:
        with pytest.raises(FileUnreadable):
            loader.load(loader.arrives(factories.blotted(of("deliveries", {}))))

    def test_damage_in_one_column_is_refused(self, loader: Loader, bench: Bench) -> None:
        content = factories.blotted_column(
            of("deliveries", *[{"delivery_id": str(n)} for n in range(100)]), "subject_id"
        )
        with pytest.raises(FileUnreadable, match="subject_id" if bench.names_damaged_column else None):
            loader.load(loader.arrives(content))
