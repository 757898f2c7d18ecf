"""Drain streams: claim the lease, load, release, look once more; and wait for the streams that others hold."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from ingest.arrivals import Fingerprint, Held, Lease
from ingest.errors import LeaseLost, Retryable, WarehouseBusy
from ingest.loading import Parts, Run
from ingest.naming import UNCLASSIFIED, Stream, beginnings, stream_of
from ingest.outcomes import FilesReopened, Outcome, StreamHeld, StreamLost, Tally
from ingest.spans import span

_REMEMBERED = timedelta(hours=1)


class Drain:
    """One worker. The event, the timer and the command line all run the same."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._settled: tuple[Fingerprint, datetime] | None = None

    @property
    def known_listing(self) -> Fingerprint | None:
        """The listing that was found settled at the last look, where the warehouse sleeps."""
        return self._settled[0] if self._settled else None

    def everything(self, deadline: datetime) -> Tally:
        """Drain every stream that has anything to load, until `deadline`."""
        if self._parts.warehouse.sleeps and self._nothing_new():
            return Tally()
        self._parts.warehouse.prepare()
        tally = Tally()
        trouble: Retryable | None = None
        for stream, folders in self._streams().items():
            try:
                tally = self._drain(stream, deadline, tally, folders)
            except WarehouseBusy:
                raise
            except Retryable as error:  # one stream's trouble does not hold up the others
                trouble = trouble or error
        self._leave_an_answer(tally)
        if trouble is not None:
            raise trouble
        return tally

    def settled(self, deadline: datetime, patience: timedelta) -> Tally:
        """Drain everything, then wait for streams that other workers hold: a crashed holder's lease runs out."""
        tally = self.everything(deadline)
        give_up = min(deadline, self._parts.clock.now() + patience)
        while tally.held and self._parts.clock.now() < give_up:
            self._parts.clock.sleep(0.5)
            waited = replace(tally, held=frozenset())
            for stream in sorted(tally.held):
                waited = self._drain(stream, deadline, waited)
            tally = waited
        return tally

    def stream(self, stream: Stream, deadline: datetime) -> Tally:
        """Drain one stream; leave at once if another worker holds it."""
        self._parts.warehouse.prepare()
        return self._drain(stream, deadline, Tally())

    def of_blob(self, blob_name: str, deadline: datetime) -> Tally:
        """Drain the stream a blob belongs to. The name is a hint: the listing decides what is there."""
        stream = stream_of(blob_name)
        if not self._is_taken(stream):
            return Tally()
        self._parts.warehouse.prepare()
        folder, slash, _ = blob_name.rpartition("/")
        tally = self._drain(stream, deadline, Tally(), {folder + slash})
        self._leave_an_answer(tally)
        return tally

    def replay(self, blobs: Sequence[str] | None, deadline: datetime) -> Tally:
        """Give rejected files (all, or those named) another try."""
        self._parts.warehouse.prepare()
        tally = Tally()
        for stream in (UNCLASSIFIED, *self._parts.warehouse.with_rejected()):
            lease = self._claim(stream)
            if isinstance(lease, Held):
                tally = self._tell(StreamHeld(stream, lease.owner), tally)
                continue
            try:
                reopened = self._parts.warehouse.reopen(lease, blobs)
            finally:
                self._parts.warehouse.release(lease)
            if reopened:
                tally = self._tell(FilesReopened(stream, reopened), tally)
            tally = self._drain(stream, deadline, tally)
        return tally

    def _nothing_new(self) -> bool:
        """Tell whether the container holds only what is settled; the answer for a listing is good for an hour."""
        listing, now = Fingerprint(), self._parts.clock.now()
        with span("list"):
            for page in self._parts.landing.pages():
                listing = listing.plus(blob for blob in page if self._is_taken(stream_of(blob.name)))
        if self._settled is not None and self._settled[0] == listing and now - self._settled[1] < _REMEMBERED:
            return True
        settled = self._parts.warehouse.settled(listing)
        self._settled = (listing, now) if settled else None
        return settled

    def _leave_an_answer(self, tally: Tally) -> None:
        """After writing, ask what the next timer will ask: the answer is kept, and nobody is woken for it then."""
        if self._parts.warehouse.sleeps and (tally.files or tally.rejected or tally.superseded):
            with suppress(Retryable):
                self._parts.warehouse.settled(Fingerprint())

    def _is_taken(self, stream: Stream) -> bool:
        return stream == UNCLASSIFIED or stream.dataset in self._parts.limits.datasets

    def _streams(self) -> dict[Stream, set[str]]:
        """Return the streams with anything to load, those that wait longest first, and the folders of what is new."""
        found: dict[Stream, set[str]] = {
            stream: set() for stream in self._parts.warehouse.waiting() if self._is_taken(stream)
        }
        with span("list"):
            for page in self._parts.landing.pages():
                for blob in self._parts.warehouse.unsettled(page):
                    stream = stream_of(blob.name)
                    if self._is_taken(stream):
                        folder, slash, _ = blob.name.rpartition("/")
                        found.setdefault(stream, set()).add(folder + slash)
        return found

    def _claim(self, stream: Stream) -> Lease | Held:
        """Ask for the lease under a name no other drain of this process uses."""
        owner = f"{self._parts.owner}/{uuid.uuid4().hex[:8]}"
        with span("claim", stream):
            return self._parts.warehouse.claim(stream, owner, self._parts.clock.now(), self._parts.limits.lease)

    def _tell(self, outcome: Outcome, tally: Tally) -> Tally:
        self._parts.emit(outcome)
        return tally.plus(outcome)

    def _drain(self, stream: Stream, deadline: datetime, tally: Tally, folders: Collection[str] = ()) -> Tally:
        """Drain a stream in a span of its own."""
        with span("drain", stream):
            return self._drained(stream, deadline, tally, folders)

    def _drained(self, stream: Stream, deadline: datetime, tally: Tally, folders: Collection[str]) -> Tally:
        """Claim, load, release, and look once more: what came while the lease was held had its event turned away.

        Only the given folders are listed, if any: what lies elsewhere has an event of its own, or waits for the sweep.
        """
        named = beginnings(stream, folders)
        while True:
            claimed = self._claim(stream)
            if isinstance(claimed, Held):
                return self._tell(StreamHeld(stream, claimed.owner), tally)
            run = Run(self._parts, claimed, deadline, tally, named)
            try:
                with renewing(self._parts, claimed):
                    run.to_the_end()
            except LeaseLost:
                return self._tell(StreamLost(stream), run.tally)
            finally:
                self._parts.warehouse.release(claimed)
            tally = run.tally
            if run.out_of_time or not self._came_meanwhile(stream, named):
                return tally

    def _came_meanwhile(self, stream: Stream, named: Sequence[str]) -> bool:
        with span("list"):
            return any(
                stream_of(blob.name) == stream
                for page in self._parts.landing.pages(named)
                for blob in self._parts.warehouse.unsettled([blob for blob in page if stream_of(blob.name) == stream])
            )


@contextmanager
def renewing(parts: Parts, lease: Lease) -> Iterator[None]:
    """Renew the lease at a third of its term. A lost lease is noticed at the commit, which is guarded."""
    done = threading.Event()
    term = parts.limits.lease

    def renew() -> None:
        while not done.wait(term.total_seconds() / 3):
            try:
                parts.warehouse.renew(lease, parts.clock.now(), term)
            except LeaseLost:
                return
            except Retryable:
                continue

    thread = threading.Thread(target=renew, name=f"renew {lease.stream}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
