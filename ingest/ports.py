"""What the use cases need of the world: the landing container, the files' footers, the warehouse, the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeAlias

from ingest.arrivals import Arrival, Blob, Fingerprint, Held, Lease, Oddity, Status
from ingest.contract import Fit, Footer
from ingest.datasets import Column, Dataset, Kind
from ingest.errors import IngestError, Rejection
from ingest.facts import AlertRecord, Cell, Facts, FileHistory, FileRecord, Hour, MessageCount, Recent
from ingest.naming import Stream
from ingest.ordering import OrderKey
from ingest.outcomes import Outcome

Emit = Callable[[Outcome], None]
Check: TypeAlias = tuple[str, str, Callable[[], object]]
"""What is looked at, what to say when it is fine, and a call that raises an IngestError with the way out when not."""


class Clock(Protocol):
    """The time, and waiting; injected so that tests need neither."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Landing(Protocol):
    """The container Customer.io writes into. It is the truth about what has arrived."""

    @property
    def container(self) -> str:
        """Its name."""
        ...

    def pages(self, beginnings: Sequence[str] = ()) -> Iterator[Sequence[Blob]]:
        """List the blobs under the prefix, or only those whose names begin so, a page at a time.

        Raises LandingUnavailable.
        """
        ...

    def download(self, blob: Blob, path: Path) -> None:
        """Copy the blob at the ETag it was listed with into a file, in constant memory.

        Raises BlobReplaced, BlobGone or LandingUnavailable.
        """
        ...

    def delete(self, blobs: Sequence[Blob]) -> None:
        """Delete blobs that are still there at the ETag they were listed with; a replaced one stays.

        Raises DeletionRefused without the permission, else LandingUnavailable.
        """
        ...

    def stand_by(self, blob: Blob) -> None:
        """Make sure that the blob is still there at the ETag it was listed with.

        Raises BlobReplaced, BlobGone or LandingUnavailable.
        """
        ...

    def end_of(self, blob: Blob, length: int) -> bytes:
        """Return the last bytes of the blob at the ETag it was listed with. Raises the same."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file whose footer is known; `path` is its local copy, or its name where the warehouse reads the container."""

    arrival: Arrival
    footer: Footer
    path: Path
    young: bool = False
    """Read so soon after it was written that another writing might not show in its time of modification."""


@dataclass(frozen=True, slots=True)
class Unfetched:
    """A file that could not be fetched."""

    arrival: Arrival
    error: IngestError


class Fetch(AbstractContextManager["Fetch"], Protocol):
    """A fetch under way. Leaving the context frees what it took from the disk."""

    def result(self) -> Sequence[Fetched | Unfetched]:
        """Wait for the files, in the order asked for."""
        ...


class Intake(Protocol):
    """Brings near what the warehouse needs of a batch's files."""

    def fetch(self, batch: Sequence[Arrival]) -> Fetch:
        """Start fetching in the background."""
        ...


@dataclass(frozen=True, slots=True)
class FileToLoad:
    """A file that fits, ready for the warehouse."""

    arrival: Arrival
    fit: Fit
    path: Path
    late: bool
    young: bool = False


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows of one file: how many it holds, and how many of them stand in the table after the commit."""

    read: int
    applied: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a warehouse can say of a file before it is loaded. Where the values were not looked at, loading will."""

    values_seen: bool
    rejection: Rejection | None = None


class Warehouse(Protocol):
    """The tables, and the checkpoint beside them.

    Every method raises WarehouseUnavailable (WarehouseBusy where somebody else holds it) when a later attempt may
    succeed. Only the holder of a stream's lease writes about that stream: no unique key is needed to keep an arrival
    from being recorded twice.
    """

    @property
    def reads_container(self) -> bool:
        """Whether it reads the blobs itself, so that nothing but their footers has to be fetched."""
        ...

    @property
    def sleeps(self) -> bool:
        """Whether it sleeps between questions and waking it costs money: `settled` is then asked first."""
        ...

    def checks(self) -> Sequence[Check]:
        """Return what has to hold for it to be used."""
        ...

    def settled(self, listing: Fingerprint) -> bool:
        """Tell without waking it that exactly these blobs are known and none waits. False where that is not sure."""
        ...

    def prepare(self) -> None:
        """Create the checkpoint tables where they are missing."""
        ...

    def unsettled(self, blobs: Sequence[Blob], *, hurried: bool = False) -> Sequence[Blob]:
        """Return those of the blobs that the checkpoint does not know at their ETag; wait but shortly if `hurried`."""
        ...

    def waiting(self) -> Sequence[Stream]:
        """Return the streams with pending files, that with the oldest first."""
        ...

    def with_rejected(self) -> Sequence[Stream]:
        """Return the streams with rejected files."""
        ...

    def claim(self, stream: Stream, owner: str, now: datetime, term: timedelta) -> Lease | Held:
        """Take the stream's lease if it is free or has expired, with the next generation."""
        ...

    def renew(self, lease: Lease, now: datetime, term: timedelta) -> None:
        """Put the lease's end off. Raises LeaseLost."""
        ...

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it was lost."""
        ...

    def record(self, lease: Lease, arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> Sequence[Blob]:
        """Record those not known yet as pending, oddities as rejected, and what they replace as superseded.

        Returns the blobs that were new. Raises LeaseLost.
        """
        ...

    def pending(self, stream: Stream, after: OrderKey | None, limit: int) -> Sequence[Arrival]:
        """Return the first pending files after a key, in ascending order."""
        ...

    def high_water(self, stream: Stream) -> OrderKey | None:
        """Return the highest key among the files loaded so far."""
        ...

    def columns(self, dataset: Dataset, *, create: bool = True) -> Mapping[str, Kind]:
        """Return the columns of the dataset's table, created with what its declaration holds where it is missing.

        Without `create` a missing table is left missing: its columns are those it would be made with.
        """
        ...

    def evolve(self, dataset: Dataset, added: Sequence[Column]) -> None:
        """Add nullable columns to the dataset's table. Raises ContractBroken for one that cannot be added."""
        ...

    def load(self, lease: Lease, files: Sequence[FileToLoad], batch_id: str, now: datetime) -> Sequence[RowCount]:
        """Commit the files' rows and their checkpoint rows in one transaction, guarded by the lease's generation.

        Raises LeaseLost; BatchRefused when the data of some file of several does not load (FilesRefused where it is
        known which); a Rejection or BlobReplaced when a single file does not. After an error nothing was committed.
        """
        ...

    def diagnose(self, file: FileToLoad, columns: Mapping[str, Kind]) -> Diagnosis:
        """Look for what would keep a file out of a table with these columns; nothing is written."""
        ...

    def settle(self, lease: Lease, blob: Blob, status: Status, error: str) -> None:
        """Record what became of a pending file that was not loaded, and that it was tried. Raises LeaseLost."""
        ...

    def reopen(self, lease: Lease, blobs: Sequence[str] | None) -> int:
        """Make rejected files of the stream pending again (all, or those named). Raises LeaseLost."""
        ...

    def deletable(self, container: str, before: datetime, limit: int) -> Sequence[Blob]:
        """Return blobs that were loaded, or superseded, at the latest at a moment and not deleted, the oldest first."""
        ...

    def mark_deleted(self, lease: Lease, blobs: Sequence[Blob], now: datetime) -> None:
        """Record that loaded or superseded blobs are gone. Raises LeaseLost."""
        ...

    def rejected(self, limit: int) -> Sequence[FileRecord]:
        """Return rejected files, the newest first."""
        ...

    def history(self, container: str, blob_name: str) -> Sequence[FileHistory]:
        """Return what is known of every ETag of a blob name, the oldest first."""
        ...

    def recent(self, since: datetime) -> Sequence[Recent]:
        """Return what is remarkable about each stream's files since a moment."""
        ...

    def arrivals(self, since: datetime) -> Mapping[Stream, Sequence[datetime]]:
        """Return for each stream the minutes in which files arrived since a moment, ascending."""
        ...

    def alerts(self) -> Sequence[AlertRecord]:
        """Return the alerts that are open, or closed and not told everywhere yet."""
        ...

    def write_alerts(self, lease: Lease, written: Sequence[AlertRecord]) -> None:
        """Write alerts over those of their kind and subject. Raises LeaseLost."""
        ...

    def facts(self, now: datetime) -> Facts:
        """Sum the checkpoint tables up, even while somebody else holds the warehouse."""
        ...

    def cells(self, since: datetime) -> Sequence[Cell]:
        """Return what became of the files that arrived since a moment, by stream and quarter of an hour."""
        ...

    def hours(self, since: datetime) -> Sequence[Hour]:
        """Return what was committed since a moment, hour by hour; hours without a commit are left out."""
        ...

    def messages(self, since: datetime) -> Sequence[MessageCount]:
        """Count the messages that had a metric since a moment, by day, channel and metric; none without the tables."""
        ...
