"""What the checkpoint tables say when they are asked: sums, records, what is remarkable, alerts. Instants are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ingest.arrivals import Status
from ingest.naming import Stream


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the checkpoint tables say of a stream. Sizes in bytes, instants in UTC."""

    stream: Stream
    arrived: int
    loaded: int
    pending: int
    rejected: int
    superseded: int
    late: int
    rows_applied: int
    last_version: int | None
    last_sequence: int | None
    last_arrived_at: datetime | None
    last_loaded_at: datetime | None
    oldest_pending_at: datetime | None
    incomplete_since: datetime | None
    """When the oldest file arrived that is not loaded: one that waits, or one that was rejected."""
    lease_owner: str | None
    lease_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One row of the checkpoint table, for people."""

    blob_name: str
    etag: str
    workspace_id: int | None
    dataset: str | None
    size: int
    status: Status
    arrived_at: datetime
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class FileHistory:
    """What the checkpoint knows of one ETag of a blob name. The rows are None until it is loaded."""

    etag: str
    size: int
    status: Status
    arrived_at: datetime
    loaded_at: datetime | None
    deleted_at: datetime | None
    attempts: int
    late: bool
    rows_read: int | None
    rows_applied: int | None
    batch_id: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Recent:
    """What is remarkable about a stream's files of late."""

    stream: Stream
    rejected: int = 0
    rejected_since: datetime | None = None
    late: int = 0
    late_since: datetime | None = None
    version: int | None = None
    version_since: datetime | None = None
    former_version: int | None = None
    resent: int = 0
    """Files of an initial sync that came after the stream had been loaded for more than a day."""
    restarted: int = 0
    """Late files that came when the stream had gone beyond their sequence more than a day before."""
    takeovers: int = 0
    """Leases that ended with their holder's death since the last commit."""
    pending: int = 0
    oldest_pending_at: datetime | None = None
    last_arrived_at: datetime | None = None
    undeclared: str = ""
    """Columns nobody declared that no file had a day before."""


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An alert as `ingest_alerts` has it; open while `closed_at` is None. `owed` are channels not told yet."""

    kind: str
    subject: str
    severity: str
    opened_at: datetime
    last_seen_at: datetime
    notified_at: datetime | None
    closed_at: datetime | None
    since: datetime
    detail: str
    owed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """The checkpoint tables, summed up. `as_of` is in the past where the warehouse is held by `holder`."""

    as_of: datetime
    streams: tuple[StreamFacts, ...]
    holder: str | None = None
    alerts: tuple[AlertRecord, ...] = ()
    """Those that are open."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The files of a stream that arrived within a quarter of an hour, and what became of them so far."""

    stream: Stream
    begin: datetime
    arrived: int
    loaded: int
    late: int
    rejected: int
    superseded: int


@dataclass(frozen=True, slots=True)
class Hour:
    """What was committed within an hour: files, rows, and the seconds from the files' arrival to their commit."""

    begin: datetime
    files: int
    rows: int
    median_seconds: float
    p95_seconds: float


@dataclass(frozen=True, slots=True)
class MessageCount:
    """How many messages of a channel had a metric (`sent`, `opened`, ...) on a day, in UTC."""

    workspace_id: int
    day: date
    channel: str
    metric: str
    messages: int
