"""Bring a batch's rows into their table so that the newest row of each key stays, whatever came first."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from ingest.datasets import LINEAGE, Column, Dataset
from ingest.errors import BatchRefused
from ingest.ports import FileToLoad, RowCount
from ingest.warehouses.duckdb.integrity import stated_bounds
from ingest.warehouses.duckdb.reading import quoted, source

# A row is stored again under its own blob's name only when the blob was replaced: then the newer bytes win the tie.
_STORED = "stored._version, stored._sequence, coalesce(stored._sequence_end, -1), stored._blob_name"
_INCOMING = "batch_files.version, batch_files.sequence, coalesce(batch_files.sequence_end, -1), batch_files.blob_name"

_ORIGIN = (
    "batch_files.blob_name AS _blob_name",
    "batch_files.version AS _version",
    "batch_files.sequence AS _sequence",
    "batch_files.sequence_end AS _sequence_end",
    "file_row_number + 1 AS _row_number",
    "$now AS _loaded_at",
)


def merge(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    dataset: Dataset,
    columns: Sequence[Column],
    files: Sequence[FileToLoad],
    now_utc: object,
    *,
    verify: bool,
) -> list[RowCount]:
    """Delete the stored rows that the batch beats and insert its rows, but for those that something newer beats.

    Runs inside the caller's transaction. `columns` are the table's but for the lineage; `files` are ascending.
    Raises BatchRefused when the files do not hold as many rows as their footers say, and whatever DuckDB raises over
    damaged bytes or values that do not fit.
    """
    _register(cursor, files)
    if verify and not stated_bounds(cursor, files):
        raise BatchRefused("values lie outside the bounds that a footer states.")
    keys = [column for column in columns if column.name in (*dataset.key, dataset.recency)]
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE batch_keys AS {source(files, keys)}")
    _find_beaten_in_batch(cursor, dataset)
    _find_stored(cursor, table, dataset)
    deleted = "DELETE FROM {table} WHERE rowid IN (SELECT row_id FROM batch_stored WHERE incoming_wins)"
    cursor.execute(deleted.format(table=table))
    cursor.execute("INSERT INTO batch_beaten SELECT file_no, row_no FROM batch_stored WHERE NOT incoming_wins")
    beaten = dict(cursor.execute("SELECT file_no, count(*) FROM batch_beaten GROUP BY ALL").fetchall())
    inserted = _insert(cursor, table, columns, files, now_utc, any_beaten=bool(beaten))
    read = [file.fit.rows for file in files]
    if inserted != sum(read) - sum(beaten.values()):
        raise BatchRefused("the files hold another number of rows than their footers say.")
    return [RowCount(rows, rows - beaten.get(number, 0)) for number, rows in enumerate(read)]


def _register(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad]) -> None:
    names = [file.arrival.name for file in files]
    batch = pa.table(
        {
            "file_no": pa.array(range(len(files)), pa.int64()),
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
    newest = ", ".join([*recency, "file_no DESC", "row_no DESC"])
    cursor.execute("CREATE OR REPLACE TEMP TABLE batch_beaten (file_no BIGINT, row_no BIGINT)")
    # Duplicates are rare: find their hashes first, and sort only the rows that share one.
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE batch_repeats AS "
        f"SELECT hash({key}) AS repeated FROM batch_keys GROUP BY ALL HAVING count(*) > 1"
    )
    cursor.execute(
        "INSERT INTO batch_beaten SELECT file_no, row_no FROM batch_keys "
        f"WHERE hash({key}) IN (SELECT repeated FROM batch_repeats) "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {newest}) > 1"
    )


def _find_stored(cursor: duckdb.DuckDBPyConnection, table: str, dataset: Dataset) -> None:
    """Pair the batch's rows with the stored rows of their keys in `batch_stored`, and say which of the two wins."""
    recency = [quoted(dataset.recency)] if dataset.recency is not None else []
    incoming = ", ".join([f"batch_keys.{name}" for name in recency] + [_INCOMING])
    stored = ", ".join([f"stored.{name}" for name in recency] + [_STORED])
    same_key = " AND ".join(f"stored.{quoted(name)} = batch_keys.{quoted(name)}" for name in dataset.key)
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE batch_stored AS "
        f"SELECT stored.rowid AS row_id, file_no, row_no, ({incoming}) >= ({stored}) AS incoming_wins "
        f"FROM {table} AS stored "
        f"JOIN (SELECT * FROM batch_keys ANTI JOIN batch_beaten USING (file_no, row_no)) AS batch_keys ON {same_key} "
        "JOIN batch_files USING (file_no)"
    )


def _insert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[Column],
    files: Sequence[FileToLoad],
    now_utc: object,
    *,
    any_beaten: bool,
) -> int:
    names = ", ".join(quoted(column.name) for column in columns)
    lineage = ", ".join(column.name for column in LINEAGE)
    row = cursor.execute(
        f"INSERT INTO {table} ({names}, {lineage}) "
        f"SELECT {names}, {lineage} "
        f"FROM ({source(files, columns, *_ORIGIN)}) AS incoming"
        + (" ANTI JOIN batch_beaten USING (file_no, row_no)" if any_beaten else ""),
        {"now": now_utc},
    ).fetchone()
    assert row is not None
    return int(row[0])
