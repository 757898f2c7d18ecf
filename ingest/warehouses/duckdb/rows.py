"""Rows for the checkpoint tables as Arrow tables, which DuckDB reads by a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ingest.arrivals import Arrival, Blob, Oddity
from ingest.facts import AlertRecord
from ingest.ports import FileToLoad, RowCount
from ingest.warehouses import records

_KEY: list[pa.Field[Any]] = [
    pa.field("container", pa.string()),
    pa.field("blob_name", pa.string()),
    pa.field("etag", pa.string()),
]
_REST: list[pa.Field[Any]] = [
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
_COUNTS: list[pa.Field[Any]] = [
    pa.field("late", pa.bool_()),
    pa.field("rows_read", pa.int64()),
    pa.field("rows_applied", pa.int64()),
    pa.field("undeclared", pa.string()),
]


def listed(arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> pa.Table:
    """Return rows for `ingest_files`: arrivals pending, oddities rejected."""
    return pa.Table.from_pylist(records.listed(arrivals, oddities), schema=pa.schema(_KEY + _REST))


def blob_keys(blobs: Sequence[Blob]) -> pa.Table:
    """Return the keys of blobs in `ingest_files`."""
    return pa.Table.from_pylist([records.key(blob) for blob in blobs], schema=pa.schema(_KEY))


def alerts(written: Sequence[AlertRecord]) -> pa.Table:
    """Return rows for `ingest_alerts`."""
    text = ("kind", "subject", "severity", "detail", "owed")
    instants = ("opened_at", "last_seen_at", "notified_at", "closed_at", "since")
    fields: list[pa.Field[Any]] = [pa.field(name, pa.string()) for name in text]
    fields += [pa.field(name, pa.timestamp("us")) for name in instants]
    return pa.Table.from_pylist([records.alert(record) for record in written], schema=pa.schema(fields))


def done(files: Sequence[FileToLoad], counts: Sequence[RowCount]) -> pa.Table:
    """Return what a batch writes into `ingest_files`."""
    rows = [records.done(file, count) for file, count in zip(files, counts, strict=True)]
    return pa.Table.from_pylist(rows, schema=pa.schema(_KEY + _COUNTS))
