"""What the sweep asks of the checkpoint in Snowflake, and writes into it: deletions, what is remarkable, alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ingest.arrivals import Blob, Lease
from ingest.facts import AlertRecord, Recent
from ingest.naming import Stream
from ingest.warehouses import records
from ingest.warehouses.records import alert_record, blob_of, by_stream, recent
from ingest.warehouses.snowflake.checkpoint import Checkpoint, as_json, instant


class Rounds(Checkpoint):
    """The checkpoint, as the sweep needs it."""

    def deletable(self, container: str, before: datetime, limit: int) -> Sequence[Blob]:
        """Return blobs that were loaded, or superseded, at the latest at a moment and not deleted, the oldest first."""
        literals = {"container": container, "before": instant(before)}
        return [
            blob_of(row)
            for row in self._patiently(self._rows, "look for old files", "deletable", {}, (), limit, **literals)
        ]

    def mark_deleted(self, lease: Lease, blobs: Sequence[Blob], now: datetime) -> None:
        """Record that loaded or superseded blobs are gone. Raises LeaseLost."""
        self._patiently(
            self._guarded, lease, [("mark_deleted", [instant(now), as_json([records.key(blob) for blob in blobs])])]
        )

    def recent(self, since: datetime) -> Sequence[Recent]:
        """Return what is remarkable about each stream's files since a moment."""
        return [recent(row) for row in self._patiently(self._rows, "look at files", "recent", {}, since=instant(since))]

    def arrivals(self, since: datetime) -> Mapping[Stream, Sequence[datetime]]:
        """Return for each stream the minutes in which files arrived since a moment, ascending."""
        return by_stream(self._patiently(self._rows, "look at arrivals", "arrivals", {}, since=instant(since)))

    def alerts(self) -> Sequence[AlertRecord]:
        """Return the alerts that are open, or closed and not told everywhere yet."""
        return [alert_record(row) for row in self._patiently(self._rows, "read alerts", "alerts", {})]

    def write_alerts(self, lease: Lease, written: Sequence[AlertRecord]) -> None:
        """Write alerts over those of their kind and subject. Raises LeaseLost."""
        rows = as_json([records.alert(record) for record in written])
        self._patiently(self._guarded, lease, [("forget_alerts", [rows]), ("write_alerts", [rows])])
