"""The warehouse port over a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingest.arrivals import Arrival, Blob, Held, Lease, Oddity, Status
from ingest.datasets import DATASETS, LINEAGE, Column, Dataset, Kind
from ingest.errors import BatchRefused, IngestError, LeaseLost, WarehouseBusy, WarehouseUnavailable
from ingest.naming import UNCLASSIFIED, Stream, parse
from ingest.ordering import OrderKey, order_key
from ingest.ports import Facts, FileRecord, FileToLoad, RowCount
from ingest.warehouses import queries
from ingest.warehouses.duckdb import rows, snapshot
from ingest.warehouses.duckdb.file import ALIAS, database_file
from ingest.warehouses.duckdb.integrity import diagnose, is_about_the_data
from ingest.warehouses.duckdb.merge import merge
from ingest.warehouses.duckdb.owners import gone
from ingest.warehouses.duckdb.reading import KINDS, TYPES, quoted
from ingest.warehouses.duckdb.rows import aware, naive, stream_facts
from ingest.warehouses.duckdb.turns import claiming, loading

_STATUS_PATIENCE = 1.0
_SNAPSHOT_EVERY = timedelta(seconds=1)


class DuckDBWarehouse:
    """The tables and the checkpoint in one DuckDB file.

    `patience` is how long, in seconds, a call waits for the file while another process holds it.
    """

    def __init__(
        self, path: Path, schema: str, *, patience: float, memory_limit: str = "256MB", verify: bool = True
    ) -> None:
        self._file = database_file(path, memory_limit=memory_limit)
        self._path = path.resolve()
        self._schema = f"{ALIAS}.{quoted(schema)}"
        self._schema_name = schema
        self._patience = patience
        self._verify = verify
        self._sql = queries.load(__package__, schema=self._schema)
        self._prepared = False
        self._snapshot_due = datetime.min.replace(tzinfo=UTC)

    # The checkpoint

    def prepare(self) -> None:
        """Create the checkpoint tables where they are missing."""
        if self._prepared and self._path.exists():
            return
        with self._cursor() as cursor, loading(self._path):
            for name in ("create_schema", "create_files", "create_streams"):
                cursor.execute(self._sql[name])
        self._prepared = True

    def unsettled(self, blobs: Sequence[Blob]) -> Sequence[Blob]:
        """Return those of the blobs that the checkpoint does not know at their ETag."""
        if not blobs:
            return ()
        with self._cursor() as cursor:
            return self._unsettled(cursor, blobs)

    def waiting(self) -> Sequence[Stream]:
        """Return the streams with pending files, that with the oldest first."""
        with self._cursor() as cursor:
            found = cursor.execute(self._sql["waiting"]).fetchall()
        return [Stream(workspace_id, dataset) for workspace_id, dataset in found]

    def claim(self, stream: Stream, owner: str, now: datetime, term: timedelta) -> Lease | Held:
        """Take the stream's lease if it is free, has expired, or its owner is a dead process of this machine."""
        with self._cursor() as cursor, claiming(self._path) as busy:
            found = cursor.execute(self._sql["stream"], _of(stream)).fetchone()
            if found is None:
                cursor.execute(self._sql["open_stream"], _of(stream))
                found = (0, None, None)
            generation, holder, until = found
            if holder is not None and (stream in busy or (aware(until) > now and not gone(holder))):
                return Held(stream, holder, aware(until))
            lease = Lease(stream, owner, generation + 1, now + term)
            values = {**_of(stream), "owner": owner, "generation": generation, "expires_at": naive(lease.expires_at)}
            cursor.execute(self._sql["claim"], values)
        return lease

    def renew(self, lease: Lease, now: datetime, term: timedelta) -> None:
        """Put the lease's end off. While its batch commits there is no need to: nobody else can get at the file."""
        with self._cursor() as cursor, claiming(self._path) as busy:
            if lease.stream in busy:
                return
            values = {**_held(lease), "expires_at": naive(now + term)}
            if _count(cursor.execute(self._sql["renew"], values)) != 1:
                raise _lost(lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it was lost."""
        with self._cursor() as cursor, claiming(self._path):
            cursor.execute(self._sql["release"], _held(lease))
        self._publish(datetime.now(UTC))

    def record(self, lease: Lease, arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> Sequence[Blob]:
        """Record those not known yet as pending, oddities as rejected, and what they replace as superseded."""
        blobs = [arrival.blob for arrival in arrivals] + [oddity.blob for oddity in oddities]
        with self._cursor() as cursor:
            fresh = set(self._unsettled(cursor, blobs))
            if not fresh:
                return ()
            new = rows.listed(
                [arrival for arrival in arrivals if arrival.blob in fresh],
                [oddity for oddity in oddities if oddity.blob in fresh],
            )
            latest = max(blob.modified for blob in fresh)
            with self._guarded(cursor, lease, latest), _registered(cursor, "listed", new):
                cursor.execute(self._sql["supersede"])
                cursor.execute(self._sql["record"])
        return [blob for blob in blobs if blob in fresh]

    def pending(self, stream: Stream, after: OrderKey | None, limit: int) -> Sequence[Arrival]:
        """Return the first pending files after a key, in ascending order."""
        names = ("version", "sequence", "sequence_end", "blob_name")
        values = {**_of(stream), **dict(zip(names, after or (None,) * 4, strict=True)), "limit": limit}
        with self._cursor() as cursor:
            found = cursor.execute(self._sql["pending"], values).fetchall()
        return [
            Arrival(Blob(container, name, etag, size, aware(modified)), parse(name), attempts)
            for container, name, etag, size, modified, attempts in found
        ]

    def high_water(self, stream: Stream) -> OrderKey | None:
        """Return the highest key among the files loaded so far."""
        with self._cursor() as cursor:
            return cursor.execute(self._sql["high_water"], _of(stream)).fetchone()

    def settle(self, lease: Lease, blob: Blob, status: Status, error: str) -> None:
        """Record what became of a pending file that was not loaded, and that it was tried."""
        values = {"container": blob.container, "blob_name": blob.name, "etag": blob.etag}
        with self._cursor() as cursor, self._guarded(cursor, lease):
            cursor.execute(self._sql["settle"], {**values, "status": status.value, "error": error})

    def reopen(self, lease: Lease, blobs: Sequence[str] | None) -> int:
        """Make rejected files pending again; blobs that belonged to no stream are forgotten, to be met anew."""
        named = None if blobs is None else list(blobs)
        with self._cursor() as cursor, self._guarded(cursor, lease):
            if lease.stream == UNCLASSIFIED:
                return _count(cursor.execute(self._sql["forget_oddities"], {"blobs": named}))
            return _count(cursor.execute(self._sql["reopen"], {**_of(lease.stream), "blobs": named}))

    def rejected(self, limit: int) -> Sequence[FileRecord]:
        """Return rejected files, the newest first."""
        with self._cursor(reader=True) as cursor:
            found = cursor.execute(self._sql["rejected"], {"limit": limit}).fetchall()
        return [
            FileRecord(name, etag, workspace, dataset, size, Status(status), aware(arrived), attempts, error or "")
            for name, etag, workspace, dataset, size, status, arrived, attempts, error in found
        ]

    def facts(self, now: datetime) -> Facts:
        """Sum the checkpoint tables up; as the holder last wrote it down where another process holds the file."""
        try:
            with self._file.cursor(_STATUS_PATIENCE, reader=True) as cursor:
                return self._facts(cursor, now)
        except WarehouseBusy as busy:
            known = snapshot.read(self._path)
            if known is None:
                raise
            return replace(known, holder=busy.what)

    # The data

    def columns(self, dataset: Dataset) -> Mapping[str, Kind]:
        """Return the columns of the dataset's table, lineage aside; the table is created where it is missing."""
        with self._cursor() as cursor:
            found = self._columns(cursor, dataset)
            if not found:
                with loading(self._path):
                    declared = [column for column in dataset.columns if column.since == 1] + list(LINEAGE)
                    columns = ", ".join(_declaration(column) for column in declared)
                    cursor.execute(f"CREATE TABLE IF NOT EXISTS {self._table(dataset)} ({columns})")
                found = self._columns(cursor, dataset)
        return found

    def evolve(self, dataset: Dataset, added: Sequence[Column]) -> None:
        """Add nullable columns to the dataset's table."""
        with self._cursor() as cursor, loading(self._path):
            for column in added:
                cursor.execute(
                    f"ALTER TABLE {self._table(dataset)} "
                    f"ADD COLUMN IF NOT EXISTS {quoted(column.name)} {TYPES[column.kind]}"
                )

    def load(self, lease: Lease, files: Sequence[FileToLoad], batch_id: str, now: datetime) -> Sequence[RowCount]:
        """Commit the files' rows and their checkpoint rows in one transaction, guarded by the lease's generation."""
        dataset = DATASETS[lease.stream.dataset]
        with self._cursor() as cursor, loading(self._path, lease.stream):
            columns = [Column(name, kind) for name, kind in self._columns(cursor, dataset).items()]
            try:
                with self._transaction(cursor, lease):
                    table = self._table(dataset)
                    counts = merge(cursor, table, dataset, columns, files, naive(now), verify=self._verify)
                    self._check_off(cursor, lease, files, counts, batch_id, now)
            except (BatchRefused, duckdb.Error) as error:
                raise self._blame(cursor, dataset, columns, files, error) from error
            self._publish(now)
        return counts

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
        found = diagnose(cursor, files[0], dataset, columns)
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
        with _registered(cursor, "done", rows.done(files, counts)):
            moment = {"now": naive(now), "batch_id": batch_id}
            if _count(cursor.execute(self._sql["commit_files"], moment)) != len(files):
                raise _lost(lease)
        newest = max((file.arrival.name for file in files), key=order_key)
        values = {
            **_held(lease),
            "advances": not files[-1].late,
            "version": newest.version,
            "sequence": newest.sequence,
            "now": naive(now),
            "expires_at": naive(lease.expires_at),
        }
        if _count(cursor.execute(self._sql["commit_stream"], values)) != 1:
            raise _lost(lease)

    # What they share

    @contextmanager
    def _cursor(self, *, reader: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection; what DuckDB raises and nobody nearer knows better is a reason to try again later."""
        with self._file.cursor(self._patience, reader=reader) as cursor:
            try:
                yield cursor
            except duckdb.Error as error:
                raise WarehouseUnavailable(
                    f"DuckDB failed with {type(error).__name__} on {self._path}.",
                    hint="See the log; it is tried again.",
                ) from error

    @contextmanager
    def _transaction(self, cursor: duckdb.DuckDBPyConnection, lease: Lease) -> Iterator[None]:
        """Commit at the end, roll back on anything raised. A conflict means another worker wrote about the stream."""
        cursor.execute("BEGIN")
        try:
            yield
            cursor.execute("COMMIT")
        except BaseException as error:
            self._after_failure(cursor)
            if isinstance(error, duckdb.TransactionException):
                raise _lost(lease) from error
            raise

    @contextmanager
    def _guarded(
        self, cursor: duckdb.DuckDBPyConnection, lease: Lease, latest: datetime | None = None
    ) -> Iterator[None]:
        """Write about a stream in one short transaction that only the lease's holder gets through."""
        arrived_at = None if latest is None else naive(latest)
        with claiming(self._path), self._transaction(cursor, lease):
            if _count(cursor.execute(self._sql["guard"], {**_held(lease), "arrived_at": arrived_at})) != 1:
                raise _lost(lease)
            yield

    def _after_failure(self, cursor: duckdb.DuckDBPyConnection) -> None:
        try:
            cursor.execute("ROLLBACK")
        except duckdb.Error:
            return  # nothing is open: the failure ended the transaction, or there was none

    def _unsettled(self, cursor: duckdb.DuckDBPyConnection, blobs: Sequence[Blob]) -> list[Blob]:
        with _registered(cursor, "listed", rows.blob_keys(blobs)):
            fresh = set(cursor.execute(self._sql["unsettled"]).fetchall())
        return [blob for blob in blobs if (blob.name, blob.etag) in fresh]

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

    def _facts(self, cursor: duckdb.DuckDBPyConnection, now: datetime) -> Facts:
        try:
            found = cursor.execute(self._sql["facts"]).fetchall()
        except duckdb.CatalogException:
            return Facts(now, ())
        return Facts(now, tuple(stream_facts(row) for row in found))

    def _publish(self, now: datetime) -> None:
        """Write the facts down for those who cannot get in; a status that cannot be written stops nobody's load."""
        if now < self._snapshot_due:
            return
        try:
            with self._file.cursor(self._patience, reader=True) as cursor:
                snapshot.write(self._path, self._facts(cursor, now))
        except (OSError, duckdb.Error, WarehouseUnavailable):
            return
        self._snapshot_due = now + _SNAPSHOT_EVERY


@contextmanager
def _registered(cursor: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    cursor.register(name, table)
    try:
        yield
    finally:
        cursor.unregister(name)


def _brief(error: duckdb.Error) -> str:
    """Return the first line of an error that is about the surroundings, not about rows."""
    return str(error).splitlines()[0]


def _declaration(column: Column) -> str:
    return f"{quoted(column.name)} {TYPES[column.kind]}{' NOT NULL' if column.required else ''}"


def _of(stream: Stream) -> dict[str, Any]:
    return {"workspace_id": stream.workspace_id, "dataset": stream.dataset}


def _held(lease: Lease) -> dict[str, Any]:
    return {**_of(lease.stream), "generation": lease.generation, "owner": lease.owner}


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"the lease on {lease.stream} (generation {lease.generation}) is another worker's now.")


def _count(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    assert row is not None
    return int(row[0])
