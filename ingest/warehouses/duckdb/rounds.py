"""What the sweep asks of the checkpoint in a DuckDB file, and writes into it: deletions, what is remarkable, alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ingest.arrivals import Blob, Lease
from ingest.facts import AlertRecord, Recent
from ingest.naming import Stream
from ingest.warehouses.duckdb import rows
from ingest.warehouses.duckdb.checkpoint import Checkpoint, registered
from ingest.warehouses.records import alert_record, blob_of, by_stream, naive, recent


class Rounds(Checkpoint):
    """The checkpoint, as the sweep needs it."""

    def deletable(self, container: str, before: datetime, limit: int) -> Sequence[Blob]:
        """Return blobs that were loaded, or superseded, at the latest at a moment and not deleted, the oldest first."""
        values = {"container": container, "before": naive(before), "limit": limit}
        with self._cursor() as cursor:
            found = cursor.execute(self._sql["deletable"], values).fetchall()
        return [blob_of(row) for row in found]

    def mark_deleted(self, lease: Lease, blobs: Sequence[Blob], now: datetime) -> None:
        """Record that loaded or superseded blobs are gone. Raises LeaseLost."""
        with (
            self._cursor() as cursor,
            self._guarded(cursor, lease),
            registered(cursor, "gone", rows.blob_keys(blobs)),
        ):
            cursor.execute(self._sql["mark_deleted"], {"now": naive(now)})

    def recent(self, since: datetime) -> Sequence[Recent]:
        """Return what is remarkable about each stream's files since a moment."""
        with self._cursor() as cursor:
            return [recent(row) for row in cursor.execute(self._sql["recent"], {"since": naive(since)}).fetchall()]

    def arrivals(self, since: datetime) -> Mapping[Stream, Sequence[datetime]]:
        """Return for each stream the minutes in which files arrived since a moment, ascending."""
        with self._cursor() as cursor:
            return by_stream(cursor.execute(self._sql["arrivals"], {"since": naive(since)}).fetchall())

    def alerts(self) -> Sequence[AlertRecord]:
        """Return the alerts that are open, or closed and not told everywhere yet."""
        with self._cursor() as cursor:
            return [alert_record(row) for row in cursor.execute(self._sql["alerts"]).fetchall()]

    def write_alerts(self, lease: Lease, written: Sequence[AlertRecord]) -> None:
        """Write alerts over those of their kind and subject. Raises LeaseLost."""
        with (
            self._cursor() as cursor,
            self._guarded(cursor, lease),
            registered(cursor, "written", rows.alerts(written)),
        ):
            cursor.execute(self._sql["forget_alerts"])
            cursor.execute(self._sql["write_alerts"])
