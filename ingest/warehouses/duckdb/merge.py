"""Bring a batch's rows into their table so that the newest row of each key stays, whatever came first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ingest.datasets import LINEAGE, Column, Dataset
from ingest.errors import BatchRefused
from ingest.ports import FileToLoad, RowCount
from ingest.spans import span
from ingest.warehouses.duckdb.integrity import keep_their_word
from ingest.warehouses.duckdb.known_keys import BloomFilter
from ingest.warehouses.duckdb.reading import quoted, source
from ingest.warehouses.duckdb.search import find_stored, handing_down

_ORIGIN = (
    "batch_files.blob_name AS _blob_name",
    "batch_files.version AS _version",
    "batch_files.sequence AS _sequence",
    "batch_files.sequence_end AS _sequence_end",
    "file_row_number + 1 AS _row_number",
    "$now AS _loaded_at",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is merged: ascending files into a table whose columns, lineage aside, are `columns`."""

    table: str
    dataset: Dataset
    columns: Sequence[Column]
    files: Sequence[FileToLoad]
    now: datetime
    """Naive UTC, as DuckDB keeps instants."""
    verify: bool
    """Whether files are held against their own statistics."""


def merge(cursor: duckdb.DuckDBPyConnection, batch: Batch, known: BloomFilter | None) -> list[RowCount]:
    """Delete the stored rows that the batch beats and insert its rows, but for those that something newer beats.

    Runs inside the caller's transaction. Raises BatchRefused when the files do not hold what their footers say, and
    whatever DuckDB raises over damaged bytes or values that do not fit.
    """
    with span("stage"):
        _stage(cursor, batch)
    with span("merge"):
        return _merge(cursor, batch, known)


def _stage(cursor: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Make the files known, hold them against their footers, and read their keys."""
    table, dataset, files = batch.table, batch.dataset, batch.files
    _register(cursor, files)
    if not keep_their_word(cursor, files, dataset, verify=batch.verify):
        raise BatchRefused("the values are not what a footer states.")
    # Into an empty table the keys are read twice over where some repeat, and not kept where none does.
    stored = cursor.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None
    keys = [column for column in batch.columns if column.name in (*dataset.key, dataset.recency, dataset.born)]
    kind = "TABLE" if stored else "VIEW"
    cursor.execute(f"CREATE TEMP {kind} batch_keys AS {source(files, keys)}")


def _merge(cursor: duckdb.DuckDBPyConnection, batch: Batch, known: BloomFilter | None) -> list[RowCount]:
    table, dataset, files = batch.table, batch.dataset, batch.files
    _find_beaten_in_batch(cursor, dataset)
    stretches = find_stored(cursor, table, dataset, known)
    with handing_down(cursor):
        for stretch in stretches:
            cursor.execute(
                f"DELETE FROM {table} WHERE {stretch.condition} AND "
                f"rowid IN (SELECT row_id FROM batch_stored WHERE incoming_wins AND stretch = {stretch.number})"
            )
    cursor.execute(
        "INSERT INTO batch_beaten SELECT _ingest_file, _ingest_row FROM batch_stored WHERE NOT incoming_wins"
    )
    beaten = dict(cursor.execute("SELECT _ingest_file, count(*) FROM batch_beaten GROUP BY ALL").fetchall())
    inserted = _insert(cursor, batch, any_beaten=bool(beaten))
    read = [file.fit.rows for file in files]
    if inserted != sum(read) - sum(beaten.values()):
        raise BatchRefused("the files hold another number of rows than their footers say.")
    return [RowCount(rows, rows - beaten.get(number, 0)) for number, rows in enumerate(read)]


def _register(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad]) -> None:
    names = [file.arrival.name for file in files]
    batch = pa.table(
        {
            "_ingest_file": pa.array(range(len(files)), pa.int64()),
            "path": pa.array([str(file.path) for file in files], pa.string()),
            "blob_name": pa.array([file.arrival.blob.name for file in files], pa.string()),
            "version": pa.array([name.version for name in names], pa.int64()),
            "sequence": pa.array([name.sequence for name in names], pa.int64()),
            "sequence_end": pa.array([name.sequence_end for name in names], pa.int64()),
        }
    )
    cursor.register("batch_listing", batch)
    cursor.execute("CREATE OR REPLACE TEMP TABLE batch_files AS SELECT * FROM batch_listing")
    cursor.unregister("batch_listing")


def _find_beaten_in_batch(cursor: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    """Put the rows of `batch_keys` that a newer row of the same key in the batch beats into `batch_beaten`."""
    key = ", ".join(quoted(name) for name in dataset.key)
    recency = [] if dataset.recency is None else [f"{quoted(dataset.recency)} DESC"]
    newest = ", ".join([*recency, "_ingest_file DESC", "_ingest_row DESC"])
    cursor.execute("CREATE OR REPLACE TEMP TABLE batch_beaten (_ingest_file BIGINT, _ingest_row BIGINT)")
    # Duplicates are rare: find their hashes first, and sort only the rows that share one.
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE batch_repeats AS "
        f"SELECT hash({key}) AS repeated FROM batch_keys GROUP BY ALL HAVING count(*) > 1"
    )
    if cursor.execute("SELECT 1 FROM batch_repeats LIMIT 1").fetchone() is None:
        return
    cursor.execute(
        "INSERT INTO batch_beaten SELECT _ingest_file, _ingest_row FROM batch_keys "
        f"WHERE hash({key}) IN (SELECT repeated FROM batch_repeats) "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {newest}) > 1"
    )


def _insert(cursor: duckdb.DuckDBPyConnection, batch: Batch, *, any_beaten: bool) -> int:
    columns = batch.columns
    names = ", ".join(quoted(column.name) for column in columns)
    lineage = ", ".join(column.name for column in LINEAGE)
    row = cursor.execute(
        f"INSERT INTO {batch.table} ({names}, {lineage}) "
        f"SELECT {names}, {lineage} "
        f"FROM ({source(batch.files, columns, *_ORIGIN)}) AS incoming"
        + (" ANTI JOIN batch_beaten USING (_ingest_file, _ingest_row)" if any_beaten else ""),
        {"now": batch.now},
    ).fetchone()
    assert row is not None
    return int(row[0])
