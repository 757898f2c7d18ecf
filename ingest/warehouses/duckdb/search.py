"""Find the stored rows of a batch's keys, and say for each pair of rows which of the two wins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from ingest.datasets import Dataset
from ingest.warehouses.duckdb.known_keys import BloomFilter, Hashes
from ingest.warehouses.duckdb.reading import quoted

# A row is stored again under its own blob's name only when the blob was replaced: then the newer bytes win the tie.
_STORED = "stored._version, stored._sequence, coalesce(stored._sequence_end, -1), stored._blob_name"
_INCOMING = "batch_files.version, batch_files.sequence, coalesce(batch_files.sequence_end, -1), batch_files.blob_name"
_AT_ONCE = 65_536
_HANDED_DOWN = 20_000
_OLDEST = 0.1
"""What part of the sought rows is looked for apart, from the oldest on: among them are those from all history."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a table, by the instants at which its rows were born; `number` stands in `batch_stored`."""

    number: int
    condition: str
    """About the table's rows; a scan skips the blocks for which it cannot hold."""


EVERYWHERE = Stretch(-1, "true")


def find_stored(
    cursor: duckdb.DuckDBPyConnection, table: str, dataset: Dataset, known: BloomFilter | None
) -> Sequence[Stretch]:
    """Fill `batch_stored` (row_id, stretch, _ingest_file, _ingest_row, incoming_wins) with what a batch's keys find.

    These are `batch_keys` less `batch_beaten`. With a filter of the table's keys, rows that are certainly new are not
    looked for, and the others first among the rows born when they were. That they are as a rule found there is not
    relied on. Returns the stretches of the table in which rows were found that the batch's rows win against.
    """
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE batch_stored "
        "(row_id BIGINT, stretch INTEGER, _ingest_file BIGINT, _ingest_row BIGINT, incoming_wins BOOLEAN)"
    )
    if not _any(cursor, table):
        return []
    kind = "VIEW" if known is None else "TABLE"
    cursor.execute(f"DROP {kind} IF EXISTS batch_sought")
    cursor.execute(
        f"CREATE TEMP {kind} batch_sought AS "
        "SELECT * FROM batch_keys ANTI JOIN batch_beaten USING (_ingest_file, _ingest_row)"
    )
    stretches: Sequence[Stretch] = []
    if known is not None:
        _drop_certainly_new(cursor, dataset, known)
        if dataset.born is not None:
            stretches = _stretches(cursor, quoted(dataset.born))
            if stretches:
                _look_where_born(cursor, table, dataset, quoted(dataset.born), stretches)
    if _any(cursor, "batch_sought"):
        _look_up(cursor, _rows(table, EVERYWHERE), dataset)
    found = cursor.execute("SELECT DISTINCT stretch FROM batch_stored WHERE incoming_wins").fetchall()
    return [stretch for stretch in (*stretches, EVERYWHERE) if (stretch.number,) in found]


@contextmanager
def handing_down(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a join hand the values it looks for down to the scan, which then skips what cannot match.

    That pays for numbers and instants; comparing each of many texts with each of many costs more than it saves.
    """
    cursor.execute(f"SET dynamic_or_filter_threshold = {_HANDED_DOWN}")
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # after a failure nothing more is done on this connection
            cursor.execute("RESET dynamic_or_filter_threshold")


def key_hashes(cursor: duckdb.DuckDBPyConnection, relation: str, dataset: Dataset) -> Iterator[Hashes]:
    """Yield the hashes of a relation's keys, some at a time. They mean nothing outside this process."""
    cursor.execute(f"SELECT hash({_key(dataset)}) FROM {relation}")
    for batch in cursor.to_arrow_reader(_AT_ONCE):
        yield batch.column(0).to_numpy()


def _drop_certainly_new(cursor: duckdb.DuckDBPyConnection, dataset: Dataset, known: BloomFilter) -> None:
    maybe = [found[known.may_hold(found)] for found in key_hashes(cursor, "batch_sought", dataset)]
    table = pa.table({"key_hash": pa.chunked_array(maybe, pa.uint64())})
    cursor.register("batch_maybe", table)
    cursor.execute(f"DELETE FROM batch_sought WHERE hash({_key(dataset)}) NOT IN (SELECT key_hash FROM batch_maybe)")
    cursor.unregister("batch_maybe")


def _look_where_born(
    cursor: duckdb.DuckDBPyConnection, table: str, dataset: Dataset, instant: str, stretches: Sequence[Stretch]
) -> None:
    """Look among the rows born when the sought ones were, and take those that were found out of `batch_sought`.

    A scan skips only blocks by what a join hands down, not rows: texts would be read of nearly the whole table. So one
    scan reads the instants alone, and a second one only the rows that the first found. It looks for the instants of a
    stretch in a table of their own: for part of a table, what a filter leaves, a scan takes a third longer.
    """
    for stretch in stretches:
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE {_instants(stretch)} AS "
            f"SELECT DISTINCT {instant} AS born FROM batch_sought WHERE {stretch.condition}"
        )
    with handing_down(cursor):
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE batch_born AS "
            + " UNION ALL ".join(
                f"SELECT row.rowid AS row_id, {stretch.number} AS stretch "
                f"FROM {table} AS row JOIN {_instants(stretch)} AS sought ON row.{instant} = sought.born"
                for stretch in stretches
            )
        )
        if _count(cursor, "batch_born") > _HANDED_DOWN:  # a campaign sent within a second
            _look_up(cursor, _rows(table, EVERYWHERE), dataset, f"stored.{instant} = sought.{instant}")
        else:
            born_then = " UNION ALL ".join(_rows(table, stretch, _born_in(stretch)) for stretch in stretches)
            _look_up(cursor, born_then, dataset, materialized=True)
    cursor.execute(
        "DELETE FROM batch_sought USING batch_stored WHERE batch_stored._ingest_file = batch_sought._ingest_file "
        "AND batch_stored._ingest_row = batch_sought._ingest_row"
    )


def _stretches(cursor: duckdb.DuckDBPyConnection, instant: str) -> list[Stretch]:
    """Return the stretch of the oldest of the sought instants, and that of the others.

    To find rows by their ids, DuckDB compares each vector of a table with each of the ids, unless a condition on a
    column rules the vector's block out before. A changeset's updates are recent, but for some from all history: apart,
    many ids are compared with a few blocks, and few with all of them.
    """
    row = cursor.execute(f"SELECT quantile_disc({instant}, [0, {_OLDEST}, 1])::VARCHAR[] FROM batch_sought").fetchone()
    if row is None or row[0] is None:
        return []
    first, cut, last = (f"TIMESTAMP '{value}'" for value in row[0])
    conditions = [f"{instant} >= {first} AND {instant} < {cut}", f"{instant} >= {cut} AND {instant} <= {last}"]
    return [Stretch(number, condition) for number, condition in enumerate(conditions)]


def _instants(stretch: Stretch) -> str:
    return f"batch_instants_{stretch.number}"


def _born_in(stretch: Stretch) -> str:
    of_stretch = f"(SELECT row_id FROM batch_born WHERE stretch = {stretch.number})"
    return f"JOIN {of_stretch} AS born ON row.rowid = born.row_id"


def _rows(table: str, stretch: Stretch, join: str = "") -> str:
    return (
        f"SELECT row.rowid AS row_id, {stretch.number} AS stretch, row.* "
        f"FROM {table} AS row {join} WHERE {stretch.condition}"
    )


def _look_up(
    cursor: duckdb.DuckDBPyConnection,
    rows: str,
    dataset: Dataset,
    condition: str = "true",
    *,
    materialized: bool = False,
) -> None:
    recency = [quoted(dataset.recency)] if dataset.recency is not None else []
    incoming = ", ".join([*(f"sought.{name}" for name in recency), _INCOMING])
    stored = ", ".join([*(f"stored.{name}" for name in recency), _STORED])
    same_key = " AND ".join(f"stored.{quoted(name)} = sought.{quoted(name)}" for name in dataset.key)
    cursor.execute(
        f"INSERT INTO batch_stored WITH stored AS {'MATERIALIZED' if materialized else 'NOT MATERIALIZED'} ({rows}) "
        f"SELECT stored.row_id, stored.stretch, _ingest_file, _ingest_row, ({incoming}) >= ({stored}) "
        f"FROM stored JOIN batch_sought AS sought ON {same_key} AND {condition} "
        "JOIN batch_files USING (_ingest_file)"
    )


def _key(dataset: Dataset) -> str:
    return ", ".join(quoted(name) for name in dataset.key)


def _count(cursor: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {relation}").fetchone()
    assert row is not None
    return int(row[0])


def _any(cursor: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return cursor.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchone() is not None
