"""Rows of the checkpoint tables to and from values. DuckDB keeps instants as naive UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingest.arrivals import Arrival, Blob, Oddity, Status
from ingest.naming import Stream
from ingest.ports import FileToLoad, RowCount, StreamFacts

_FIELDS: list[pa.Field[Any]] = [
    pa.field("container", pa.string()),
    pa.field("blob_name", pa.string()),
    pa.field("etag", pa.string()),
    pa.field("workspace_id", pa.int64()),
    pa.field("dataset", pa.string()),
    pa.field("version", pa.int64()),
    pa.field("sequence", pa.int64()),
    pa.field("sequence_end", pa.int64()),
    pa.field("bytes", pa.int64()),
    pa.field("status", pa.string()),
    pa.field("arrived_at", pa.timestamp("us")),
    pa.field("error", pa.string()),
]
_LISTED = pa.schema(_FIELDS)


def listed(arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> pa.Table:
    """Return rows for `ingest_files`: arrivals pending, oddities rejected."""
    rows = [_row(arrival) for arrival in arrivals] + [_odd_row(oddity) for oddity in oddities]
    return pa.Table.from_pylist(rows, schema=_LISTED)


def blob_keys(blobs: Sequence[Blob]) -> pa.Table:
    """Return the keys of blobs in `ingest_files`."""
    return pa.table(
        {
            "container": [blob.container for blob in blobs],
            "blob_name": [blob.name for blob in blobs],
            "etag": [blob.etag for blob in blobs],
        }
    )


def done(files: Sequence[FileToLoad], counts: Sequence[RowCount]) -> pa.Table:
    """Return what a batch writes into `ingest_files`."""
    keys = blob_keys([file.arrival.blob for file in files])
    late = pa.array([file.late for file in files], pa.bool_())
    read = pa.array([count.read for count in counts], pa.int64())
    applied = pa.array([count.applied for count in counts], pa.int64())
    return keys.append_column("late", late).append_column("rows_read", read).append_column("rows_applied", applied)


def _row(arrival: Arrival) -> dict[str, Any]:
    blob, name = arrival.blob, arrival.name
    return {
        "container": blob.container,
        "blob_name": blob.name,
        "etag": blob.etag,
        "workspace_id": name.workspace_id,
        "dataset": name.dataset.name,
        "version": name.version,
        "sequence": name.sequence,
        "sequence_end": name.sequence_end,
        "bytes": blob.size,
        "status": Status.PENDING.value,
        "arrived_at": naive(blob.modified),
        "error": None,
    }


def _odd_row(oddity: Oddity) -> dict[str, Any]:
    blob = oddity.blob
    return {
        "container": blob.container,
        "blob_name": blob.name,
        "etag": blob.etag,
        "bytes": blob.size,
        "status": Status.REJECTED.value,
        "arrived_at": naive(blob.modified),
        "error": oddity.reason,
    }


def naive(moment: datetime) -> datetime:
    """Return an instant as the tables keep it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """Return an instant of the tables as one that knows its zone."""
    return moment.replace(tzinfo=UTC)


def aware_or_none(moment: datetime | None) -> datetime | None:
    """Do the same where there may be none."""
    return None if moment is None else aware(moment)


def stream_facts(row: Sequence[Any]) -> StreamFacts:
    """Return a row of the query `facts` as a value."""
    return StreamFacts(
        stream=Stream(row[0], row[1]),
        arrived=row[2],
        loaded=row[3],
        pending=row[4],
        rejected=row[5],
        superseded=row[6],
        late=row[7],
        rows_applied=row[8],
        last_version=row[9],
        last_sequence=row[10],
        last_arrived_at=aware_or_none(row[11]),
        last_loaded_at=aware_or_none(row[12]),
        oldest_pending_at=aware_or_none(row[13]),
        lease_owner=row[14],
        lease_expires_at=aware_or_none(row[15]),
    )
