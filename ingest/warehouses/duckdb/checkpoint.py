"""The checkpoint tables in a DuckDB file: arrivals, leases, what became of each file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingest.arrivals import Arrival, Blob, Fingerprint, Held, Lease, Oddity, Status
from ingest.errors import WarehouseBusy, WarehouseUnavailable
from ingest.facts import Facts, FileHistory, FileRecord
from ingest.naming import UNCLASSIFIED, Stream
from ingest.ordering import OrderKey
from ingest.spans import span
from ingest.warehouses import queries
from ingest.warehouses.duckdb import rows, snapshot
from ingest.warehouses.duckdb.file import ALIAS, database_file
from ingest.warehouses.duckdb.integrity import is_about_the_data
from ingest.warehouses.duckdb.reading import quoted
from ingest.warehouses.duckdb.turns import claiming, loading
from ingest.warehouses.owners import gone
from ingest.warehouses.records import (
    alert_record,
    arrival,
    aware,
    file_history,
    file_record,
    lost,
    naive,
    stream_facts,
)

_ALSO = ("create_streams", "create_alerts", "note_undeclared", "count_takeovers", "create_freshness")
_STATUS_PATIENCE = 1.0
_SNAPSHOT_EVERY = 1.0


class Checkpoint:
    """What is known of files and streams.

    `patience` is how long, in seconds, a call waits for the file while another process holds it.
    """

    def __init__(self, path: Path, schema: str, *, patience: float, memory_limit: str) -> None:
        self._file = database_file(path, memory_limit=memory_limit)
        self._path = path.resolve()
        self._schema = f"{ALIAS}.{quoted(schema)}"
        self._schema_name = schema
        self._patience = patience
        self._sql = queries.load(__package__, schema=self._schema)
        self._prepared = False
        self._snapshot_due = 0.0

    def prepare(self) -> None:
        """Create the checkpoint tables where they are missing."""
        if self._prepared and self._path.exists():
            return
        with self._cursor() as cursor, loading(self._path):
            for name in ("create_schema", "create_files", *_ALSO):
                cursor.execute(self._sql[name])
        self._prepared = True

    def settled(self, listing: Fingerprint) -> bool:
        """Leave it to `unsettled`, which costs nothing here."""
        return False

    def unsettled(self, blobs: Sequence[Blob], *, hurried: bool = False) -> Sequence[Blob]:
        """Return those of the blobs that the checkpoint does not know at their ETag; wait but shortly if `hurried`."""
        if not blobs:
            return ()
        with self._cursor(reader=hurried) as cursor:
            return self._unsettled(cursor, blobs)

    def waiting(self) -> Sequence[Stream]:
        """Return the streams with pending files, that with the oldest first."""
        with self._cursor() as cursor:
            found = cursor.execute(self._sql["waiting"]).fetchall()
        return [Stream(workspace_id, dataset) for workspace_id, dataset in found]

    def with_rejected(self) -> Sequence[Stream]:
        """Return the streams with rejected files."""
        with self._cursor() as cursor:
            found = cursor.execute(self._sql["with_rejected"]).fetchall()
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
            values = {**held(lease), "expires_at": naive(now + term)}
            if count(cursor.execute(self._sql["renew"], values)) != 1:
                raise lost(lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it was lost."""
        with self._cursor() as cursor, claiming(self._path):
            cursor.execute(self._sql["release"], held(lease))
        self._publish(at_once=True)

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
            with self._guarded(cursor, lease, latest), registered(cursor, "listed", new):
                cursor.execute(self._sql["supersede"])
                cursor.execute(self._sql["record"])
        self._publish()
        return [blob for blob in blobs if blob in fresh]

    def pending(self, stream: Stream, after: OrderKey | None, limit: int) -> Sequence[Arrival]:
        """Return the first pending files after a key, in ascending order."""
        names = ("version", "sequence", "sequence_end", "blob_name")
        values = {**_of(stream), **dict(zip(names, after or (None,) * 4, strict=True)), "limit": limit}
        with self._cursor() as cursor:
            found = cursor.execute(self._sql["pending"], values).fetchall()
        return [arrival(row) for row in found]

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
                return count(cursor.execute(self._sql["forget_oddities"], {"blobs": named}))
            return count(cursor.execute(self._sql["reopen"], {**_of(lease.stream), "blobs": named}))

    def rejected(self, limit: int) -> Sequence[FileRecord]:
        """Return rejected files, the newest first."""
        with self._cursor(reader=True) as cursor:
            found = cursor.execute(self._sql["rejected"], {"limit": limit}).fetchall()
        return [file_record(row) for row in found]

    def history(self, container: str, blob_name: str) -> Sequence[FileHistory]:
        """Return what is known of every ETag of a blob name, the oldest first."""
        values = {"container": container, "blob_name": blob_name}
        with self._cursor(reader=True) as cursor:
            try:
                found = cursor.execute(self._sql["history"], values).fetchall()
            except duckdb.CatalogException:  # nothing was ever recorded
                return ()
        return [file_history(row) for row in found]

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

    @contextmanager
    def _cursor(self, *, reader: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection; what DuckDB raises and nobody nearer knows better is a reason to try again later."""
        with self._file.cursor(_STATUS_PATIENCE if reader else self._patience, reader=reader) as cursor:
            try:
                yield cursor
            except duckdb.Error as error:
                raise WarehouseUnavailable(
                    f"DuckDB failed with {type(error).__name__} on {self._path}.",
                    hint="It is tried again." if is_about_the_data(error) else str(error).splitlines()[0],
                ) from error

    @contextmanager
    def _transaction(self, cursor: duckdb.DuckDBPyConnection, lease: Lease) -> Iterator[None]:
        """Commit at the end, roll back on anything raised. A conflict means another worker wrote about the stream."""
        cursor.execute("BEGIN")
        try:
            yield
            with span("commit"):
                cursor.execute("COMMIT")
        except BaseException as error:
            self._after_failure(cursor)
            if isinstance(error, duckdb.TransactionException) and "conflict" in str(error).lower():
                raise lost(lease) from error
            raise

    @contextmanager
    def _guarded(
        self, cursor: duckdb.DuckDBPyConnection, lease: Lease, latest: datetime | None = None
    ) -> Iterator[None]:
        """Write about a stream in one short transaction that only the lease's holder gets through."""
        arrived_at = None if latest is None else naive(latest)
        with claiming(self._path), self._transaction(cursor, lease):
            if count(cursor.execute(self._sql["guard"], {**held(lease), "arrived_at": arrived_at})) != 1:
                raise lost(lease)
            yield

    def _after_failure(self, cursor: duckdb.DuckDBPyConnection) -> None:
        try:
            cursor.execute("ROLLBACK")
        except duckdb.Error:
            return  # nothing is open: the failure ended the transaction, or there was none

    def _unsettled(self, cursor: duckdb.DuckDBPyConnection, blobs: Sequence[Blob]) -> list[Blob]:
        with registered(cursor, "listed", rows.blob_keys(blobs)):
            try:
                fresh = set(cursor.execute(self._sql["unsettled"]).fetchall())
            except duckdb.CatalogException:  # nothing was ever recorded
                return list(blobs)
        return [blob for blob in blobs if (blob.name, blob.etag) in fresh]

    def _facts(self, cursor: duckdb.DuckDBPyConnection, now: datetime) -> Facts:
        try:
            found = cursor.execute(self._sql["facts"]).fetchall()
            known = [alert_record(row) for row in cursor.execute(self._sql["alerts"]).fetchall()]
        except duckdb.CatalogException:
            return Facts(now, ())
        alerts = tuple(alert for alert in known if alert.closed_at is None)
        return Facts(now, tuple(stream_facts(row) for row in found), alerts=alerts)

    def _publish(self, *, at_once: bool = False) -> None:
        """Write the facts down for those who cannot get in; a status that cannot be written stops nobody's load."""
        if not at_once and time.monotonic() < self._snapshot_due:
            return
        try:
            with self._file.cursor(self._patience, reader=True) as cursor:
                snapshot.write(self._path, self._facts(cursor, datetime.now(UTC)))
        except (OSError, duckdb.Error, WarehouseUnavailable):
            return
        self._snapshot_due = time.monotonic() + _SNAPSHOT_EVERY


@contextmanager
def registered(cursor: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let queries read an Arrow table by a name."""
    cursor.register(name, table)
    try:
        yield
    finally:
        cursor.unregister(name)


def _of(stream: Stream) -> dict[str, Any]:
    return {"workspace_id": stream.workspace_id, "dataset": stream.dataset}


def held(lease: Lease) -> dict[str, Any]:
    """Return what a guarded statement binds."""
    return {**_of(lease.stream), "generation": lease.generation, "owner": lease.owner}


def count(result: duckdb.DuckDBPyConnection) -> int:
    """Return the one number of a result: a count, or the rows a statement changed."""
    row = result.fetchone()
    assert row is not None
    return int(row[0])
