"""Hold the simulator's truth against a slow replay with dicts, under every misbehaviour."""

import io
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.simulator import FORMS, PLAIN, SCHEMAS, Expected, ExportFile, Misbehaviour, Simulator
from local.simulator.files import Spool
from local.simulator.truth import truth
from local.simulator.variants import rewritten

KEYS = {
    "deliveries": ["delivery_id"],
    "delivery_content": ["delivery_id"],
    "metrics": ["event_id"],
    "outputs": ["output_id"],
    "subjects": ["subject_name"],
    "people": ["internal_customer_id"],
    "attributes": ["internal_customer_id", "attribute_name", "timestamp"],
}


def replay(files: list[ExportFile]) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """Load file after file, row after row; keep a row if it is not older than the one there."""
    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {dataset: {} for dataset in KEYS}
    recency_of: dict[tuple[Any, ...], Any] = {}
    accepted = [(arrival, file) for arrival, file in enumerate(files) if file.expected is Expected.LOADED]
    accepted.sort(key=lambda it: (it[1].version, it[1].sequence, it[1].sequence_end or 0, it[1].name, it[0]))
    for _, file in accepted:
        table = tables[file.dataset]
        for stored in pq.ParquetFile(io.BytesIO(file.content())).read().to_pylist():
            row = {name: aware(value) for name, value in stored.items()}
            key = (row["workspace_id"], *(row[name] for name in KEYS[file.dataset]))
            recency: tuple[Any, ...]
            match file.dataset:
                case "people":
                    recency = (row["updated_at"], file.sequence)
                case "attributes" | "delivery_content":
                    recency = (file.sequence,)
                case _:
                    recency = (row["seq_num"],)
            if key not in table or recency >= recency_of[file.dataset, *key]:
                table[key] = row
                recency_of[file.dataset, *key] = recency
    return tables


def aware(value: Any) -> Any:
    """Read instants without a zone as UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def assert_truth(simulator: Simulator) -> dict[str, pa.Table]:
    tables = simulator.truth()
    for dataset, expected in replay(list(simulator.files)).items():
        table = tables[dataset]
        assert table.column_names[: len(SCHEMAS[dataset])] == SCHEMAS[dataset].names
        got = table.to_pylist()
        assert len(got) == len(expected)
        for row in got:
            key = (row["workspace_id"], *(row[name] for name in KEYS[dataset]))
            there = expected[key]
            assert {name: aware(value) for name, value in row.items()} == {name: there.get(name) for name in row}
            assert there.keys() <= row.keys()
        keys = [(row["workspace_id"], *(row[name] for name in KEYS[dataset])) for row in got]
        assert keys == sorted(keys)
    return tables


def run(*kinds: Misbehaviour, seed: int, **settings: Any) -> tuple[Simulator, list[ExportFile]]:
    """Run a small world from a Tuesday morning to the evening."""
    simulator = Simulator(
        seed=seed,
        people=80,
        start=datetime(2026, 11, 3, 7, tzinfo=UTC),
        history_days=1,
        deliveries_per_day=120,
        prefix="cio",
        misbehaviour=frozenset(kinds),
        **settings,
    )
    return simulator, [file for sync in simulator.run(days=0.3) for file in sync.files]


def number(file: ExportFile) -> int:
    return file.sequence_end or file.sequence


def test_a_well_behaved_export() -> None:
    simulator, files = run(seed=11)
    tables = assert_truth(simulator)
    assert sum(file.rows for file in files if file.dataset == "deliveries") > len(tables["deliveries"])


@pytest.mark.parametrize("kind", Misbehaviour)
def test_each_misbehaviour_happens_and_the_truth_knows(kind: Misbehaviour) -> None:
    simulator, files = run(kind, seed=1)
    assert_truth(simulator)
    names = Counter(file.name for file in files)
    numbers = [number(file) for file in files]
    backwards = any(before > after for before, after in pairwise(numbers))
    rejected = [file for file in files if file.expected is Expected.REJECTED]
    twins = [[file.content() for file in files if file.name == name] for name in names if names[name] > 1]
    columns = {
        file.name: set(pq.read_schema(io.BytesIO(file.content())).names) ^ set(SCHEMAS[file.dataset].names)
        for file in files
        if file.expected is Expected.LOADED
    }
    match kind:
        case Misbehaviour.OUT_OF_ORDER | Misbehaviour.LATE:
            assert backwards
        case Misbehaviour.TWICE:
            assert any(first == second for first, second in twins)
            assert all(first == second for first, second in twins)
        case Misbehaviour.REWRITTEN:
            assert twins
            assert all(first != second for first, second in twins)
        case Misbehaviour.CORRUPT:
            assert rejected
            assert any(names[file.name] == 2 for file in rejected)
            assert any(names[file.name] == 1 for file in rejected)
        case Misbehaviour.ADDED_COLUMN:
            added = [name for name, difference in columns.items() if difference]
            assert added
            assert set(columns) - set(added)
            assert simulator.truth()["metrics"].column_names[-1] == "automated"
        case Misbehaviour.MISSING_COLUMN:
            assert any(columns.values())
        case Misbehaviour.RESTARTED:
            assert min(numbers) < 10_000 < 2**53 < max(numbers)
        case Misbehaviour.UNKNOWN_NAME:
            assert rejected
            assert all(file.dataset == "" and file.content().startswith(b"PAR1") for file in rejected)
    if kind not in (Misbehaviour.CORRUPT, Misbehaviour.UNKNOWN_NAME):
        assert not rejected
    if kind not in (Misbehaviour.ADDED_COLUMN, Misbehaviour.MISSING_COLUMN):
        assert not any(columns.values())


@pytest.mark.parametrize("seed", range(2))
def test_everything_at_once_in_every_form(seed: int) -> None:
    simulator, _ = run(*Misbehaviour, seed=seed, physical=FORMS)
    assert_truth(simulator)


@pytest.mark.parametrize("seed", range(2))
def test_the_truth_does_not_hang_on_having_seen_what_was_overwritten(seed: int) -> None:
    """A container keeps the last arrival under a name: whoever came too late for the others has missed nothing."""
    simulator, files = run(*Misbehaviour, seed=seed, physical=FORMS)
    # The later arrivals of one name, in their order.
    last = {file.name: file for file in files if file.expected is Expected.LOADED}
    assert len(last) < sum(file.expected is Expected.LOADED for file in files)
    seen, missed = simulator.truth(), truth(list(last.values()))
    for dataset, table in seen.items():
        assert missed[dataset].equals(table), dataset


@pytest.mark.parametrize("dataset", SCHEMAS)
def test_rewritten_rows_are_newer_than_those_they_replace(dataset: str) -> None:
    (sync,) = Simulator(people=50, deliveries_per_day=50, history_days=2).run(days=0)
    (file,) = (file for file in sync.files if file.dataset == dataset)
    table = pq.ParquetFile(io.BytesIO(file.content())).read()
    other = rewritten(np.random.default_rng(5), table, dataset)
    first, second = made(table, 9, dataset=dataset), made(other, 9, dataset=dataset)
    assert other != table
    assert truth([first, second])[dataset].equals(truth([second])[dataset])


def test_damaged_files_are_read_by_nobody(tmp_path: Path) -> None:
    reasons = set()
    for seed in range(4):
        _, files = run(Misbehaviour.CORRUPT, seed=seed)
        for file in (file for file in files if file.expected is Expected.REJECTED):
            reasons.add(file.why.partition(", ")[2])
            with pytest.raises((pa.ArrowInvalid, OSError)):
                pq.read_table(io.BytesIO(file.content()))
            path = tmp_path / "damaged.parquet"
            path.write_bytes(file.content())
            with pytest.raises(duckdb.Error):
                duckdb.sql(f"CREATE OR REPLACE TEMP TABLE t AS SELECT * FROM read_parquet('{path}')")
    assert reasons == {
        "truncated",
        "damaged column under a good footer",
        "damaged pages under a good footer",
        "empty",
        "not parquet",
    }


def made(
    rows: list[dict[str, Any]] | pa.Table, sequence: int, end: int | None = None, dataset: str = "attributes"
) -> ExportFile:
    """Make one file by hand."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=SCHEMAS[dataset])
    spool = Spool()
    place = spool.write(PLAIN.encode(table))
    name = f"{dataset}_{sequence}_{end}"
    return ExportFile(name, dataset, 4, 1, sequence, end, Expected.LOADED, "", table.num_rows, place, spool)


def attribute(value: str) -> dict[str, Any]:
    moment = datetime(2026, 11, 3, tzinfo=UTC)
    return {
        "workspace_id": 1,
        "internal_customer_id": "d9c106000001",
        "attribute_name": "plan",
        "attribute_value": value,
        "timestamp": moment,
    }


def value(*files: ExportFile) -> str:
    (row,) = truth(files)["attributes"].to_pylist()
    return str(row["attribute_value"])


def test_the_higher_sequence_wins_whatever_arrived_first() -> None:
    assert value(made([attribute("new")], 100), made([attribute("old")], 99)) == "new"


def test_the_second_sequence_breaks_a_tie_and_none_comes_first() -> None:
    assert value(made([attribute("b")], 9, 3), made([attribute("a")], 9), made([attribute("c")], 9, 20)) == "c"
    assert value(made([attribute("b")], 9, 3), made([attribute("a")], 9)) == "b"


def test_of_one_name_the_later_arrival_wins() -> None:
    assert value(made([attribute("old")], 9), made([attribute("new")], 9)) == "new"


def test_of_one_file_the_later_row_wins() -> None:
    assert value(made([attribute("old"), attribute("new")], 9)) == "new"


def test_before_anything_the_tables_are_empty() -> None:
    tables = Simulator(people=1, deliveries_per_day=1).truth()
    assert {name: table.num_rows for name, table in tables.items()} == dict.fromkeys(SCHEMAS, 0)
    assert tables["people"].schema.equals(SCHEMAS["people"])
