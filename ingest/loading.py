"""Load one stream under one lease: record what arrived, then batch after batch in sequence order."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest.arrivals import Arrival, Blob, Lease, Oddity, Status
from ingest.contract import Drift, check
from ingest.datasets import DATASETS, Dataset
from ingest.errors import (
    BatchRefused,
    BlobReplaced,
    FilesRefused,
    IngestError,
    NameRejected,
    Rejection,
    Retryable,
)
from ingest.naming import UNCLASSIFIED, Stream, parse
from ingest.ordering import halves, is_late, next_batch, order_key
from ingest.outcomes import (
    BatchLoaded,
    Discovered,
    FileDeferred,
    FileRejected,
    FileSuperseded,
    Outcome,
    OutOfTime,
    SchemaDrifted,
    Tally,
)
from ingest.ports import Clock, Emit, Fetch, Fetched, FileToLoad, Intake, Landing, Unfetched, Warehouse
from ingest.spans import span


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a drain. `max_bytes` counts parquet bytes; `attempts` is how often an unknown fault is retried."""

    max_files: int = 500
    max_bytes: int = 256 * 1024 * 1024
    lease: timedelta = timedelta(seconds=45)
    attempts: int = 5
    drift: Drift = Drift.EVOLVE
    datasets: frozenset[str] = frozenset(DATASETS)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a drain works with. `owner` says who we are in a lease."""

    landing: Landing
    intake: Intake
    warehouse: Warehouse
    clock: Clock
    owner: str
    limits: Limits
    emit: Emit


class Run:
    """One stream under one lease."""

    def __init__(
        self, parts: Parts, lease: Lease, deadline: datetime, tally: Tally, beginnings: Sequence[str] = ()
    ) -> None:
        self._parts = parts
        self._lease = lease
        self._deadline = deadline
        self._beginnings = beginnings
        self._put_off: set[Blob] = set()
        self._unreached: Sequence[Unfetched] = ()
        self._reached = False
        self.tally = tally
        self.out_of_time = False

    def to_the_end(self) -> None:
        """List and load until a listing brings nothing more to try."""
        while True:
            self._discover()
            if not self._load_pending():
                break
        if self._unreached and not self._reached:
            raise self._unreached[0].error
        for failure in self._unreached:
            self._give_up(failure.arrival, failure.error)

    def _tell(self, outcome: Outcome) -> None:
        self._parts.emit(outcome)
        self.tally = self.tally.plus(outcome)

    def _discover(self) -> None:
        """List the stream's files and record those that are new."""
        with span("list"):
            for page in self._parts.landing.pages(self._beginnings):
                self._note(*_of_stream(page, self._lease.stream))

    def _note(self, arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> None:
        if not arrivals and not oddities:
            return
        stream = self._lease.stream
        recorded = set(self._parts.warehouse.record(self._lease, arrivals, oddities))
        fresh = [arrival for arrival in arrivals if arrival.blob in recorded]
        if fresh:
            self._tell(Discovered(stream, len(fresh), sum(arrival.blob.size for arrival in fresh)))
        for oddity in oddities:
            if oddity.blob in recorded:
                self._tell(FileRejected(stream, oddity.blob.name, oddity.reason))

    def _load_pending(self) -> bool:
        """Load what is pending, the next batch being fetched while one is loaded. Tell whether there was any."""
        batch = self._plan(())
        tried = bool(batch)
        fetch = self._parts.intake.fetch(batch)
        try:
            while batch:
                if self._parts.clock.now() >= self._deadline:
                    self.out_of_time = True
                    self._tell(OutOfTime(self._lease.stream))
                    return False
                ahead = self._plan(batch)
                current, fetch = fetch, self._parts.intake.fetch(ahead)
                with current:
                    self._load_fetched(batch, current)
                batch = ahead
        finally:
            fetch.__exit__(None, None, None)
        return tried

    def _plan(self, after: Sequence[Arrival]) -> tuple[Arrival, ...]:
        key = order_key(after[-1].name) if after else None
        pending = self._parts.warehouse.pending(
            self._lease.stream, key, self._parts.limits.max_files + len(self._put_off)
        )
        return next_batch(
            (arrival for arrival in pending if arrival.blob not in self._put_off),
            max_files=self._parts.limits.max_files,
            max_bytes=self._parts.limits.max_bytes,
        )

    def _load_fetched(self, batch: Sequence[Arrival], fetch: Fetch) -> None:
        started = self._parts.clock.now()
        with span("fetch", about=_extent(batch)):
            results = fetch.result()
        failures = [result for result in results if isinstance(result, Unfetched)]
        if 1 < len(failures) == len(batch) and all(isinstance(failure.error, Retryable) for failure in failures):
            # An outage, or a few bad blobs that happen to make a batch: the next one tells.
            if self._unreached:
                raise failures[0].error
            self._unreached = failures
            self._put_off.update(failure.arrival.blob for failure in failures)
            return
        self._reached = self._reached or len(failures) < len(batch)
        for failure in failures:
            self._give_up(failure.arrival, failure.error)
        dataset = DATASETS[self._lease.stream.dataset]
        with span("contract", about=_extent(batch)):
            files = self._fitting([result for result in results if isinstance(result, Fetched)], dataset)
        if files:
            self._load(files, started)

    def _fitting(self, fetched: Sequence[Fetched], dataset: Dataset) -> list[FileToLoad]:
        """Keep the files whose footers fit, and bring the table up to them."""
        files: list[FileToLoad] = []
        if not fetched:
            return files
        high_water = self._parts.warehouse.high_water(self._lease.stream)
        table = dict(self._parts.warehouse.columns(dataset))
        for file in fetched:
            try:
                fit = check(file.footer, dataset, table, self._parts.limits.drift)
                if fit.added:
                    self._parts.warehouse.evolve(dataset, fit.added)
                    table |= {column.name: column.kind for column in fit.added}
            except Rejection as error:
                self._give_up(file.arrival, error)
                continue
            if fit.unknown:
                self._tell(SchemaDrifted(self._lease.stream, file.arrival.blob.name, fit.unknown))
            late = is_late(file.arrival.name, high_water)
            files.append(FileToLoad(file.arrival, fit, file.path, late, file.young))
        return files

    def _load(self, files: Sequence[FileToLoad], started: datetime) -> None:
        """Commit the files together; where the warehouse refuses, halve until the bad one stands alone."""
        batch_id = uuid.uuid4().hex
        extent = _extent([file.arrival for file in files])
        about: dict[str, str | int] = {"batch_id": batch_id, **extent, "rows": sum(file.fit.rows for file in files)}
        try:
            with span("load", about=about):
                counts = self._parts.warehouse.load(self._lease, files, batch_id, self._parts.clock.now())
        except FilesRefused as error:
            for file in files:
                if file.arrival.blob.name in error.blamed:
                    self._give_up(file.arrival, error.blamed[file.arrival.blob.name])
            if rest := [file for file in files if file.arrival.blob.name not in error.blamed]:
                self._load(rest, started)
            return
        except BatchRefused as error:
            if len(files) == 1:
                self._give_up(files[0].arrival, error)
                return
            for half in halves(files):
                self._load(half, started)
            return
        except (Rejection, BlobReplaced) as error:
            self._give_up(files[0].arrival, error)
            return
        committed = self._parts.clock.now()
        self._tell(
            BatchLoaded(
                stream=self._lease.stream,
                batch_id=batch_id,
                files=len(files),
                late=tuple(file.arrival.blob.name for file in files if file.late),
                read=sum(count.read for count in counts),
                applied=sum(count.applied for count in counts),
                size=sum(file.arrival.blob.size for file in files),
                first_sequence=files[0].arrival.name.sequence,
                last_sequence=files[-1].arrival.name.sequence,
                seconds=(committed - started).total_seconds(),
                waits=tuple((committed - file.arrival.blob.modified).total_seconds() for file in files),
            )
        )

    def _give_up(self, arrival: Arrival, error: IngestError) -> None:
        """Record why a file was not loaded: rejected, superseded, or to be tried again a bounded number of times."""
        stream, blob = self._lease.stream, arrival.blob
        self._put_off.add(blob)
        match error:
            case Rejection():
                self._reject(blob, str(error))
            case BlobReplaced():
                self._parts.warehouse.settle(self._lease, blob, Status.SUPERSEDED, str(error))
                self._tell(FileSuperseded(stream, blob.name))
            case _ if arrival.attempts + 1 >= self._parts.limits.attempts:
                self._reject(blob, f"failed {arrival.attempts + 1} times, at last: {error}")
            case _:
                self._parts.warehouse.settle(self._lease, blob, Status.PENDING, str(error))
                self._tell(FileDeferred(stream, blob.name, str(error)))

    def _reject(self, blob: Blob, reason: str) -> None:
        self._parts.warehouse.settle(self._lease, blob, Status.REJECTED, reason)
        self._tell(FileRejected(self._lease.stream, blob.name, reason))


def _extent(batch: Sequence[Arrival]) -> dict[str, int]:
    """Return what a span says of a batch."""
    return {
        "files": len(batch),
        "bytes": sum(arrival.blob.size for arrival in batch),
        "first_sequence": batch[0].name.sequence,
        "last_sequence": batch[-1].name.sequence,
    }


def _of_stream(page: Sequence[Blob], stream: Stream) -> tuple[list[Arrival], list[Oddity]]:
    """Pick a stream's files out of a listing; for the unclassified, what belongs to none."""
    arrivals: list[Arrival] = []
    oddities: list[Oddity] = []
    for blob in page:
        try:
            name = parse(blob.name)
        except NameRejected as error:
            if stream == UNCLASSIFIED:
                oddities.append(Oddity(blob, str(error)))
        else:
            if name.stream == stream:
                arrivals.append(Arrival(blob, name))
    return arrivals, oddities
