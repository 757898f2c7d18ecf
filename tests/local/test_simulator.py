"""Hold the simulated exports against what the vendor's page and real files say."""

import io
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer

from local.simulator import (
    DATASETS,
    FORMS,
    SCHEMAS,
    Expected,
    ExportFile,
    Misbehaviour,
    Physical,
    Simulator,
    Sync,
)
from local.simulator.__main__ import write
from local.simulator.physical import PLAIN
from local.simulator.truth import canonical

WEDNESDAY = datetime(2026, 11, 4, tzinfo=UTC)
SYNC = timedelta(minutes=15)


def simulator(**changes: Any) -> Simulator:
    settings: dict[str, Any] = {
        "seed": 3,
        "people": 300,
        "start": WEDNESDAY,
        "history_days": 5,
        "deliveries_per_day": 400,
    }
    return Simulator(**(settings | changes))


def rows(file: ExportFile) -> pa.Table:
    return pq.ParquetFile(io.BytesIO(file.content())).read()


@pytest.fixture(scope="module")
def day() -> list[Sync]:
    """One well-behaved day: the initial sync and its changesets."""
    return list(simulator().run(days=1))


def column(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table.column(name).to_pylist()
    return values


def of(sync: Sync, dataset: str) -> list[pa.Table]:
    return [rows(file) for file in sync.files if file.dataset == dataset]


def test_the_same_seed_gives_the_same_bytes() -> None:
    settings = {
        "people": 60,
        "deliveries_per_day": 60,
        "misbehaviour": frozenset(Misbehaviour),
        "physical": FORMS,
    }
    first, second, other = (
        [
            (sync.at, file.name, file.content())
            for sync in simulator(**settings, seed=seed).run(0.5)
            for file in sync.files
        ]
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_misbehaviour_leaves_the_world_as_it_is() -> None:
    expected = [file.content() for sync in simulator().run(days=0.4) for file in sync.files]
    restarted = simulator(misbehaviour=frozenset({Misbehaviour.RESTARTED}))
    assert [file.content() for sync in restarted.run(days=0.4) for file in sync.files] == expected
    repeated = simulator(misbehaviour=frozenset({Misbehaviour.TWICE}))
    assert {file.content() for sync in repeated.run(days=0.4) for file in sync.files} == set(expected)


def test_names_are_those_of_real_files(day: list[Sync]) -> None:
    number = r"\d{18}"
    patterns = {
        "deliveries": rf"deliveries_v4_111528_{number}\.parquet",
        "delivery_content": rf"delivery_contents_v4_111528_{number}\.parquet",
        "metrics": rf"metrics_v4_111528_{number}(_{number})?\.parquet",
        "outputs": rf"outputs_v4_111528_{number}\.parquet",
        "subjects": rf"subjects_v4_111528_{number}\.parquet",
        "people": rf"people_v4_(chngs_)?111528_{number}\.parquet",
        "attributes": rf"attributes_v4_111528_{number}\.parquet",
    }
    seen = set()
    for sync in day:
        for file in sync.files:
            assert re.fullmatch(patterns[file.dataset], file.name), file.name
            assert (file.sequence_end is not None) == (sync.initial and file.dataset == "metrics")
            assert file.sequence > 2**53
            assert file.expected is Expected.LOADED
            seen.add(file.dataset)
    assert seen == set(DATASETS)
    names = [file.name for sync in day for file in sync.files]
    assert any("people_v4_chngs_" in name for name in names)
    assert len(set(names)) == len(names)


def test_a_prefix_comes_before_the_name() -> None:
    (sync,) = simulator(prefix="https:/account.blob.core.windows.net/exports/").run(days=0)
    assert all(file.name.startswith("https:/account.blob.core.windows.net/exports/") for file in sync.files)
    assert not any("//" in file.name for file in sync.files)


def test_sequences_rise_with_gaps(day: list[Sync]) -> None:
    numbers = [file.sequence_end or file.sequence for sync in day for file in sync.files]
    assert all(before < after for before, after in pairwise(numbers))
    assert any(before + 1 < after for before, after in pairwise(numbers))


def test_the_initial_metrics_come_in_parts_of_one_first_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.simulator.exporter.CHUNK", 400)
    (sync,) = simulator().run(days=0)
    parts = [file for file in sync.files if file.dataset == "metrics"]
    assert len(parts) > 2
    assert len({file.sequence for file in parts}) == 1
    assert len({file.sequence_end for file in parts}) == len(parts)


def test_columns_are_those_of_real_files_and_required_ones_are_never_null(day: list[Sync]) -> None:
    for sync in day:
        for file in sync.files:
            table = rows(file)
            assert table.num_rows == file.rows > 0
            assert table.column_names == SCHEMAS[file.dataset].names
            for field in SCHEMAS[file.dataset]:
                assert table.schema.field(field.name).type == field.type
                if not field.nullable:
                    assert table.column(field.name).null_count == 0, (file.name, field.name)


def test_every_nullable_column_is_used(day: list[Sync]) -> None:
    for dataset, schema in SCHEMAS.items():
        everything = pa.concat_tables([table for sync in day for table in of(sync, dataset)])
        for field in schema:
            column = everything.column(field.name)
            if field.nullable:
                assert 0 < column.null_count < len(column), (dataset, field.name)


def test_the_initial_sync_holds_each_key_once(day: list[Sync]) -> None:
    for dataset, key in (
        ("deliveries", "delivery_id"),
        ("metrics", "event_id"),
        ("people", "internal_customer_id"),
    ):
        column = pa.concat_tables(of(day[0], dataset)).column(key)
        assert pc.count_distinct(column).as_py() == len(column)


def test_content_lags_one_sync(day: list[Sync]) -> None:
    exported: dict[str, datetime] = {}
    lags = set()
    for sync in day:
        contents = [column(table, "delivery_id") for table in of(sync, "delivery_content")]
        for delivery in (delivery for some in contents for delivery in some):
            if not sync.initial and exported.get(delivery, WEDNESDAY) > WEDNESDAY:
                lags.add(sync.at - exported.pop(delivery))
        for table in of(sync, "deliveries"):
            for delivery in column(table, "delivery_id"):
                exported.setdefault(delivery, sync.at)
    assert min(lags) == SYNC


def test_deliveries_are_updated_later_with_a_higher_seq_num(day: list[Sync]) -> None:
    first: dict[str, tuple[datetime, dict[str, object]]] = {}
    later = changed = 0
    for sync in day:
        for table in of(sync, "deliveries"):
            for row in sorted(table.to_pylist(), key=lambda row: int(row["seq_num"])):
                at, before = first.setdefault(row["delivery_id"], (sync.at, row))
                if at == sync.at:
                    first[row["delivery_id"]] = (at, row)
                    continue
                later += 1
                assert row["seq_num"] > before["seq_num"]
                assert row["created_at"] == before["created_at"]
                changed += any(row[name] != before[name] for name in row if name != "seq_num")
    assert later > 50
    assert changed > 0


def test_metrics_follow_deliveries_in_later_syncs(day: list[Sync]) -> None:
    known = set(pa.concat_tables(of(day[0], "deliveries")).column("delivery_id").to_pylist())
    late = 0
    for sync in day[1:]:
        for table in of(sync, "metrics"):
            assert pc.max(table.column("created_at")).as_py() < sync.at
            late += sum(delivery in known for delivery in table.column("delivery_id").to_pylist())
    assert late > 10


def test_some_files_hold_several_rows_of_one_key(day: list[Sync]) -> None:
    tables = [table for sync in day[1:] for table in of(sync, "deliveries")]
    assert any(pc.count_distinct(table.column("delivery_id")).as_py() < len(table) for table in tables)


def test_people_are_changed_deleted_and_suppressed() -> None:
    changes = [
        rows(file)
        for sync in simulator(people=3_000).run(days=0.6)
        for file in sync.files
        if "_chngs_" in file.name and not sync.initial
    ]
    table = pa.concat_tables(changes)
    for name in ("deleted", "suppressed"):
        assert set(table.column(name).to_pylist()) == {True, False, None}


def test_an_unknown_creation_date_is_1970(day: list[Sync]) -> None:
    created = pa.concat_tables(of(day[0], "people")).column("created_at").to_pylist()
    assert datetime(1970, 1, 1, tzinfo=UTC) in created


def test_quiet_datasets_write_no_file_and_nights_are_quiet(day: list[Sync]) -> None:
    assert any({file.dataset for file in sync.files} < set(DATASETS) for sync in day)
    assert len(day) - 1 < 96
    by_hour = [sum(file.rows for sync in day[1:] if sync.at.hour == hour for file in sync.files) for hour in range(24)]
    assert sum(by_hour[2:5]) < sum(by_hour[9:12]) / 4


def test_weekends_are_slow() -> None:
    quiet, busy = (
        sum(file.rows for sync in simulator(start=start).run(days=0.2) if not sync.initial for file in sync.files)
        for start in (datetime(2026, 11, 8, 8, tzinfo=UTC), datetime(2026, 11, 10, 8, tzinfo=UTC))
    )
    assert quiet < busy / 2


def test_running_on_gives_what_one_run_gives() -> None:
    one, two = (
        simulator(misbehaviour=frozenset(Misbehaviour)),
        simulator(misbehaviour=frozenset(Misbehaviour)),
    )
    whole = [file for sync in one.run(days=0.375) for file in sync.files]
    parts = [file for days in (0.25, 0.125) for sync in two.run(days=days) for file in sync.files]
    assert [(file.name, file.content()) for file in whole] == [(file.name, file.content()) for file in parts]
    assert one.files == tuple(whole)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_physical_form_says_the_same(form: Physical, day: list[Sync]) -> None:
    (sync,) = simulator(physical=form).run(days=0)
    for plain, other in zip(day[0].files, sync.files, strict=True):
        expected, got = rows(plain), canonical(rows(other), other.dataset)
        if form.timestamps == "ms":
            expected = canonical(pq.read_table(io.BytesIO(Physical(timestamps="ms").encode(expected))), plain.dataset)
        assert got.equals(canonical(expected, plain.dataset))


def test_physical_forms_are_what_they_say() -> None:
    def columns(form: Physical) -> dict[str, tuple[str, str]]:
        (sync,) = simulator(physical=form).run(days=0)
        file = next(file for file in sync.files if file.dataset == "deliveries")
        schema = pq.ParquetFile(io.BytesIO(file.content())).schema
        return {
            column.name: (column.physical_type, str(column.logical_type))
            for column in map(schema.column, range(len(schema)))
        }

    assert columns(Physical(timestamps="int96"))["created_at"][0] == "INT96"
    assert (
        "isAdjustedToUTC=false, timeUnit=milliseconds" in columns(Physical(timestamps="ms", utc=False))["created_at"][1]
    )
    assert "isAdjustedToUTC=true, timeUnit=nanoseconds" in columns(Physical(timestamps="ns"))["created_at"][1]
    narrow = columns(Physical(integers="int32"))
    assert (narrow["campaign_id"][0], narrow["seq_num"][0]) == ("INT32", "INT64")
    wide = columns(PLAIN)
    assert (wide["campaign_id"][0], wide["workspace_id"][0]) == ("INT64", "INT64")


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Simulator(start=datetime.fromisoformat("2026-11-01"))


def test_fifty_thousand_deliveries_take_seconds() -> None:
    began = process_time()
    (sync,) = simulator(people=10_000, deliveries_per_day=10_000, history_days=5).run(days=0)
    assert sum(file.rows for file in sync.files if file.dataset == "deliveries") > 20_000
    assert process_time() - began < 3  # 1 M in under 60 s would be 3 s; it takes a tenth of that


def test_the_command_line_writes_files_in_order_and_the_truth_beside_them(tmp_path: Path) -> None:
    out = tmp_path / "export"
    write(
        out=out,
        people=40,
        deliveries=200,
        days=0.5,
        history_days=2,
        misbehave="late, out-of-order",
        prefix="cio",
    )
    same = Simulator(
        people=40,
        deliveries_per_day=80,
        history_days=2,
        misbehaviour=frozenset({Misbehaviour.LATE, Misbehaviour.OUT_OF_ORDER}),
        prefix="cio",
    )
    expected = [file for sync in same.run(days=0.5) for file in sync.files]
    written = sorted(path for path in out.rglob("*.parquet") if path.parent != out / "truth")
    assert [path.relative_to(out).parts[1:] for path in written] == [("cio", file.name[4:]) for file in expected]
    assert [path.read_bytes() for path in written] == [file.content() for file in expected]
    for dataset, table in same.truth().items():
        assert pq.ParquetFile(out / "truth" / f"{dataset}.parquet").read().equals(table)


def test_the_command_line_names_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"tardy.*known are out_of_order"):
        write(out=tmp_path / "export", misbehave="tardy")
