"""The warehouse port over a DuckDB file: the data tables, beside the checkpoint and in one transaction with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ingest.arrivals import Lease
from ingest.datasets import DATASETS, LINEAGE, Column, Dataset, Kind
from ingest.errors import BatchRefused, ContractBroken, IngestError, WarehouseUnavailable
from ingest.ordering import order_key
from ingest.ports import Check, Diagnosis, FileToLoad, RowCount
from ingest.warehouses.duckdb import rows
from ingest.warehouses.duckdb.activity import Activity
from ingest.warehouses.duckdb.checkpoint import count, held, registered
from ingest.warehouses.duckdb.file import ALIAS, OFFLINE, THREADS
from ingest.warehouses.duckdb.integrity import diagnose, is_about_the_data
from ingest.warehouses.duckdb.known_keys import BloomFilter, Known, KnownKeys
from ingest.warehouses.duckdb.merge import Batch, merge
from ingest.warehouses.duckdb.reading import KINDS, TYPES, quoted
from ingest.warehouses.duckdb.search import key_hashes
from ingest.warehouses.duckdb.turns import loading
from ingest.warehouses.records import lost, naive

LARGE_TABLE = 1_000_000
"""Rows from which on a filter of a table's keys saves more than it costs."""
WIDE_ROW = 1000
"""Bytes of parquet per row from which on a batch is loaded by one thread."""
SMALL_BATCH = 0.1
"""What part of the table a batch may be for the filter to be worth asking."""


class DuckDBWarehouse(Activity):
    """The tables and the checkpoint in one DuckDB file."""

    def __init__(self, path: Path, schema: str, *, patience: float, memory_limit: str, verify: bool = True) -> None:
        super().__init__(path, schema, patience=patience, memory_limit=memory_limit)
        self._verify = verify
        self._memory_limit = memory_limit
        self._known = KnownKeys()

    @property
    def reads_container(self) -> bool:
        """DuckDB reads local copies."""
        return False

    @property
    def sleeps(self) -> bool:
        """There is nothing to wake."""
        return False

    def checks(self) -> Sequence[Check]:
        """Return what has to hold: the file is ours to write."""
        return [("warehouse", "the checkpoint tables are there and can be written", self.prepare)]

    def columns(self, dataset: Dataset, *, create: bool = True) -> Mapping[str, Kind]:
        """Return the columns of the dataset's table, lineage aside; the table is created where it is missing."""
        with self._cursor(reader=not create) as cursor:
            found = self._columns(cursor, dataset)
            if not found and create:
                with loading(self._path):
                    columns = ", ".join(_declaration(column) for column in (*dataset.first_columns, *LINEAGE))
                    cursor.execute(f"CREATE TABLE IF NOT EXISTS {self._table(dataset)} ({columns})")
                found = self._columns(cursor, dataset)
        return found or {column.name: column.kind for column in dataset.first_columns}

    def evolve(self, dataset: Dataset, added: Sequence[Column]) -> None:
        """Add nullable columns to the dataset's table. Raises ContractBroken for one that cannot be added."""
        table = self._table(dataset)
        with self._cursor() as cursor, loading(self._path):
            for column in added:
                kind = TYPES[column.kind]
                try:
                    cursor.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {quoted(column.name)} {kind}")
                except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
                    raise ContractBroken(
                        f"column {column.name!r}: expected a name that DuckDB takes ({type(error).__name__}).",
                        hint="Nothing of the file was loaded; its blob is kept.",
                    ) from error

    def load(self, lease: Lease, files: Sequence[FileToLoad], batch_id: str, now: datetime) -> Sequence[RowCount]:
        """Commit the files' rows and their checkpoint rows in one transaction, guarded by the lease's generation."""
        dataset = DATASETS[lease.stream.dataset]
        with self._cursor() as cursor, loading(self._path, lease.stream), _within_memory(cursor, files):
            columns = [Column(name, kind) for name, kind in self._columns(cursor, dataset).items()]
            try:
                known = self._filter(cursor, dataset, sum(file.fit.rows for file in files))
                with self._transaction(cursor, lease):
                    batch = Batch(self._table(dataset), dataset, columns, files, naive(now), verify=self._verify)
                    counts = merge(cursor, batch, known.keys if known else None)
                    self._check_off(cursor, lease, files, counts, batch_id, now)
            except (BatchRefused, duckdb.Error) as error:
                raise self._blame(cursor, dataset, columns, files, error) from error
            if known is not None:
                for hashes in key_hashes(cursor, "batch_keys", dataset):
                    known.keys.add(hashes)
                self._known.keep(self._table(dataset), replace(known, loaded=known.loaded + len(files)))
            self._publish()
        return counts

    def diagnose(self, file: FileToLoad, columns: Mapping[str, Kind]) -> Diagnosis:
        """Read the local copy as a refused load does, in memory: nobody waits for the database file meanwhile."""
        dataset = file.arrival.name.dataset
        table = [Column(name, kind) for name, kind in columns.items()]
        config: dict[str, Any] = {
            "threads": THREADS,
            "memory_limit": self._memory_limit,
            "temp_directory": "",
            **OFFLINE,
        }
        with duckdb.connect(":memory:", config=config) as connection:
            try:
                return Diagnosis(
                    values_seen=True, rejection=diagnose(connection, file, dataset, table, verify=self._verify)
                )
            except duckdb.Error as error:
                raise WarehouseUnavailable(
                    f"DuckDB failed with {type(error).__name__}.",
                    hint="" if is_about_the_data(error) else _brief(error),
                ) from error

    def _blame(
        self,
        cursor: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        columns: Sequence[Column],
        files: Sequence[FileToLoad],
        error: Exception,
    ) -> IngestError:
        """Say what a failed load means: a file's fault, some file's of several, or the surroundings'."""
        if isinstance(error, duckdb.OutOfMemoryException):
            return BatchRefused("the batch needs more memory than DuckDB may take.", hint="Raise DUCKDB_MEMORY_LIMIT.")
        if isinstance(error, duckdb.Error) and not is_about_the_data(error):
            return WarehouseUnavailable(
                f"DuckDB failed with {type(error).__name__} on {self._path}.", hint=_brief(error)
            )
        if len(files) > 1:
            return BatchRefused(f"{len(files)} files do not load together ({type(error).__name__}).")
        found = diagnose(cursor, files[0], dataset, columns, verify=self._verify)
        return found or BatchRefused(f"the file does not load ({type(error).__name__}), nobody knows why.")

    def _check_off(
        self,
        cursor: duckdb.DuckDBPyConnection,
        lease: Lease,
        files: Sequence[FileToLoad],
        counts: Sequence[RowCount],
        batch_id: str,
        now: datetime,
    ) -> None:
        """Write the checkpoint rows of the batch; the last statement is the one that fails when the lease is lost."""
        with registered(cursor, "done", rows.done(files, counts)):
            moment = {"now": naive(now), "batch_id": batch_id}
            if count(cursor.execute(self._sql["commit_files"], moment)) != len(files):
                raise lost(lease)
        newest = max((file.arrival.name for file in files), key=order_key)
        values = {
            **held(lease),
            "advances": not files[-1].late,
            "version": newest.version,
            "sequence": newest.sequence,
            "now": naive(now),
            "expires_at": naive(lease.expires_at),
        }
        if count(cursor.execute(self._sql["commit_stream"], values)) != 1:
            raise lost(lease)

    def _table(self, dataset: Dataset) -> str:
        return f"{self._schema}.{quoted(dataset.name)}"

    def _columns(self, cursor: duckdb.DuckDBPyConnection, dataset: Dataset) -> dict[str, Kind]:
        found = cursor.execute(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = $database AND schema_name = $schema AND table_name = $table ORDER BY column_index",
            {"database": ALIAS, "schema": self._schema_name, "table": dataset.name},
        ).fetchall()
        lineage = {column.name for column in LINEAGE}
        return {name: KINDS.get(kind, Kind.STRING) for name, kind in found if name not in lineage}

    def _size(self, cursor: duckdb.DuckDBPyConnection, dataset: Dataset) -> int:
        """Return about how many rows a table has: counting them takes longer, the more there are."""
        return count(
            cursor.execute(
                "SELECT estimated_size FROM duckdb_tables() "
                "WHERE database_name = $database AND schema_name = $schema AND table_name = $table",
                {"database": ALIAS, "schema": self._schema_name, "table": dataset.name},
            )
        )

    def _filter(self, cursor: duckdb.DuckDBPyConnection, dataset: Dataset, batch_rows: int) -> Known | None:
        """Return the filter of the table's keys, where it is worth having one."""
        table = self._table(dataset)
        stored = self._size(cursor, dataset)
        if stored < LARGE_TABLE or batch_rows > stored * SMALL_BATCH:
            return None
        loaded = count(cursor.execute(self._sql["loaded_files"], {"dataset": dataset.name}))
        known = self._known.of(table, loaded)
        if known is None and self._known.worth_building(table):
            known = Known(BloomFilter(stored), loaded)
            for hashes in key_hashes(cursor, table, dataset):
                known.keys.add(hashes)
        return known


@contextmanager
def _within_memory(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad]) -> Iterator[None]:
    """Load wide rows on one thread: each thread holds some thousands of rows at a time, whatever their size."""
    size = sum(file.arrival.blob.size for file in files)
    wide = size > WIDE_ROW * max(1, sum(file.fit.rows for file in files))
    cursor.execute(f"SET threads = {1 if wide else THREADS}")
    yield


def _brief(error: duckdb.Error) -> str:
    """Return the first line of an error that is about the surroundings, not about rows."""
    return str(error).splitlines()[0]


def _declaration(column: Column) -> str:
    return f"{quoted(column.name)} {TYPES[column.kind]}{' NOT NULL' if column.required else ''}"
