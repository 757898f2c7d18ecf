"""What became of a batch, a file or a stream: values that the drain returns and telemetry emits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ingest.naming import Stream


@dataclass(frozen=True, slots=True)
class BatchLoaded:
    """Files committed together. `read` and `applied` count rows; `size` is in bytes, `seconds` from fetch to commit."""

    stream: Stream
    batch_id: str
    files: int
    late: tuple[str, ...]
    read: int
    applied: int
    size: int
    first_sequence: int
    last_sequence: int
    seconds: float
    waits: tuple[float, ...] = ()
    """Seconds from each file's arrival to the commit."""


@dataclass(frozen=True, slots=True)
class FileRejected:
    """A file recorded as rejected; its blob stays."""

    stream: Stream
    blob_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileDeferred:
    """A file that failed for no known fault of its own and stays pending."""

    stream: Stream
    blob_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileSuperseded:
    """A file whose blob was replaced before it was loaded."""

    stream: Stream
    blob_name: str


@dataclass(frozen=True, slots=True)
class SchemaDrifted:
    """Columns nobody declared were met; they are in the table now unless they were of the null type."""

    stream: Stream
    blob_name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FilesReopened:
    """Rejected files that a person asked to try again."""

    stream: Stream
    files: int


@dataclass(frozen=True, slots=True)
class Discovered:
    """Arrivals recorded as pending. `size` is in bytes."""

    stream: Stream
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class StreamHeld:
    """The stream's lease is another worker's, who loads what this one came for."""

    stream: Stream
    owner: str


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The lease was lost in the middle; what was not committed was rolled back."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The invocation's time ran out; the rest waits for the next one."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class BlobsDeleted:
    """Blobs that are no longer in the container at the ETag they were loaded with. `size` is in bytes."""

    stream: Stream
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class AlertOpened:
    """Something is wrong since now."""

    stream: Stream
    kind: str
    subject: str
    severity: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlertClosed:
    """It is over."""

    stream: Stream
    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class NotificationLost:
    """A channel did not take a message; the next round sends it again."""

    stream: Stream
    kind: str
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """What a round saw of a stream: files that wait, for how many seconds the oldest, and since when none came."""

    stream: Stream
    pending: int
    pending_seconds: float
    silent_seconds: float | None


@dataclass(frozen=True, slots=True)
class SweepFinished:
    """The heartbeat: a round came to its end. `open_alerts` are the kinds of all that are open, each as often."""

    stream: Stream
    seconds: float
    files: int
    deleted: int
    open_alerts: tuple[str, ...] = ()


Outcome = (
    AlertClosed
    | AlertOpened
    | BatchLoaded
    | BlobsDeleted
    | NotificationLost
    | StreamSeen
    | SweepFinished
    | FileRejected
    | FileDeferred
    | FileSuperseded
    | FilesReopened
    | SchemaDrifted
    | Discovered
    | StreamHeld
    | StreamLost
    | OutOfTime
)


@dataclass(frozen=True, slots=True)
class Tally:
    """The sum of outcomes; its size does not depend on their number."""

    batches: int = 0
    files: int = 0
    late: int = 0
    rejected: int = 0
    deferred: int = 0
    superseded: int = 0
    reopened: int = 0
    deleted: int = 0
    read: int = 0
    applied: int = 0
    size: int = 0
    held: frozenset[Stream] = field(default_factory=frozenset)
    unfinished: frozenset[Stream] = field(default_factory=frozenset)

    def plus(self, outcome: Outcome) -> Tally:
        """Add one outcome."""
        match outcome:
            case BatchLoaded():
                return replace(
                    self,
                    batches=self.batches + 1,
                    files=self.files + outcome.files,
                    late=self.late + len(outcome.late),
                    read=self.read + outcome.read,
                    applied=self.applied + outcome.applied,
                    size=self.size + outcome.size,
                )
            case FileRejected():
                return replace(self, rejected=self.rejected + 1)
            case FileDeferred():
                return replace(self, deferred=self.deferred + 1, unfinished=self.unfinished | {outcome.stream})
            case FileSuperseded():
                return replace(self, superseded=self.superseded + 1)
            case FilesReopened():
                return replace(self, reopened=self.reopened + outcome.files)
            case StreamHeld():
                return replace(self, held=self.held | {outcome.stream})
            case StreamLost() | OutOfTime():
                return replace(self, unfinished=self.unfinished | {outcome.stream})
            case BlobsDeleted():
                return replace(self, deleted=self.deleted + outcome.files)
            case SchemaDrifted() | Discovered() | AlertOpened() | AlertClosed() | NotificationLost():
                return self
            case StreamSeen() | SweepFinished():
                return self
