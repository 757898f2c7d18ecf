"""Rows of the checkpoint tables to and from values, the same in every warehouse. Instants are kept as naive UTC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from ingest.arrivals import Arrival, Blob, Lease, Oddity, Status
from ingest.errors import LeaseLost
from ingest.facts import AlertRecord, Cell, FileHistory, FileRecord, Hour, MessageCount, Recent, StreamFacts
from ingest.naming import Stream, parse
from ingest.ports import FileToLoad, RowCount


def listed(arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> list[dict[str, Any]]:
    """Return rows for `ingest_files`: arrivals pending, oddities rejected."""
    return [_row(arrival) for arrival in arrivals] + [_odd_row(oddity) for oddity in oddities]


def key(blob: Blob) -> dict[str, Any]:
    """Return what identifies a blob in `ingest_files`."""
    return {"container": blob.container, "blob_name": blob.name, "etag": blob.etag}


def done(file: FileToLoad, count: RowCount) -> dict[str, Any]:
    """Return what a batch writes into `ingest_files` about one of its files."""
    return {
        **key(file.arrival.blob),
        "late": file.late,
        "rows_read": count.read,
        "rows_applied": count.applied,
        "undeclared": undeclared(file),
    }


def undeclared(file: FileToLoad) -> str:
    """Return the names of a file's columns that nobody declared, in one text."""
    return ", ".join(sorted(file.fit.fields.keys() - file.arrival.name.dataset.lookup.keys()))


def _row(arrival: Arrival) -> dict[str, Any]:
    blob, name = arrival.blob, arrival.name
    return {
        **key(blob),
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
        **key(blob),
        "bytes": blob.size,
        "status": Status.REJECTED.value,
        "arrived_at": naive(blob.modified),
        "error": oddity.reason,
    }


def arrival(row: Sequence[Any]) -> Arrival:
    """Return a row of the query `pending` as a value."""
    *blob, attempts = row
    found = blob_of(blob)
    return Arrival(found, parse(found.name), attempts)


def blob_of(row: Sequence[Any]) -> Blob:
    """Return a row of the query `deletable` as a value."""
    container, name, etag, size, modified = row
    return Blob(container, name, etag, size, aware(modified))


def file_record(row: Sequence[Any]) -> FileRecord:
    """Return a row of the query `rejected` as a value."""
    name, etag, workspace, dataset, size, status, arrived, attempts, error = row
    return FileRecord(name, etag, workspace, dataset, size, Status(status), aware(arrived), attempts, error or "")


def file_history(row: Sequence[Any]) -> FileHistory:
    """Return a row of the query `history` as a value."""
    etag, size, status, arrived, loaded, deleted, attempts, late, read, applied, batch_id, error = row
    return FileHistory(
        etag=etag,
        size=size,
        status=Status(status),
        arrived_at=aware(arrived),
        loaded_at=aware_or_none(loaded),
        deleted_at=aware_or_none(deleted),
        attempts=attempts,
        late=late,
        rows_read=read,
        rows_applied=applied,
        batch_id=batch_id,
        error=error or "",
    )


def recent(row: Sequence[Any]) -> Recent:
    """Return a row of the query `recent` as a value."""
    return Recent(
        stream=Stream(row[0], row[1]),
        rejected=row[2],
        rejected_since=aware_or_none(row[3]),
        late=row[4],
        late_since=aware_or_none(row[5]),
        version=row[6],
        version_since=aware_or_none(row[7]),
        former_version=row[8],
        resent=row[9],
        restarted=row[10],
        takeovers=row[11],
        pending=row[12],
        oldest_pending_at=aware_or_none(row[13]),
        last_arrived_at=aware_or_none(row[14]),
        undeclared=row[15] or "",
    )


def by_stream(rows: Iterable[Sequence[Any]]) -> Mapping[Stream, Sequence[datetime]]:
    """Return rows of the query `arrivals`, which are sorted, by stream."""
    found: dict[Stream, list[datetime]] = {}
    for workspace_id, dataset, moment in rows:
        found.setdefault(Stream(workspace_id, dataset), []).append(aware(moment))
    return found


def alert(record: AlertRecord) -> dict[str, Any]:
    """Return an alert as a row of `ingest_alerts`."""
    row = {field.name: getattr(record, field.name) for field in fields(record)}
    row |= {name: naive(value) for name, value in row.items() if isinstance(value, datetime)}
    return {**row, "owed": json.dumps(record.owed)}


def alert_record(row: Sequence[Any]) -> AlertRecord:
    """Return a row of the query `alerts` as a value."""
    kind, subject, severity, opened, seen, notified, closed, since, detail, owed = row
    return AlertRecord(
        kind=kind,
        subject=subject,
        severity=severity,
        opened_at=aware(opened),
        last_seen_at=aware(seen),
        notified_at=aware_or_none(notified),
        closed_at=aware_or_none(closed),
        since=aware(since),
        detail=detail,
        owed=tuple(json.loads(owed)),
    )


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
        incomplete_since=aware_or_none(row[14]),
        lease_owner=row[15],
        lease_expires_at=aware_or_none(row[16]),
    )


def cell(row: Sequence[Any]) -> Cell:
    """Return a row of the query `cells` as a value."""
    workspace_id, dataset, begin, *counts = row
    return Cell(Stream(workspace_id, dataset), aware(begin), *map(int, counts))


def hour(row: Sequence[Any]) -> Hour:
    """Return a row of the query `hours` as a value. Clocks may differ: no wait is shorter than none."""
    begin, files, applied, median, p95 = row
    return Hour(aware(begin), int(files), int(applied or 0), max(0.0, float(median)), max(0.0, float(p95)))


def message_count(row: Sequence[Any]) -> MessageCount:
    """Return a row of the query `messages` as a value."""
    workspace_id, day, channel, metric, messages = row
    return MessageCount(int(workspace_id), day, channel, metric, int(messages))


def lost(lease: Lease) -> LeaseLost:
    """Return the error of a worker that was overtaken."""
    return LeaseLost(f"the lease on {lease.stream} (generation {lease.generation}) is another worker's now.")


def naive(moment: datetime) -> datetime:
    """Return an instant as the tables keep it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """Return an instant of the tables as one that knows its zone."""
    return moment.replace(tzinfo=UTC)


def aware_or_none(moment: datetime | None) -> datetime | None:
    """Do the same where there may be none."""
    return None if moment is None else aware(moment)
