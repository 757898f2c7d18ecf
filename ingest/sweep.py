"""The timer's round: load what no event brought, delete what was loaded long ago, open and close alerts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from ingest.alerting import Alerting, Noticed
from ingest.arrivals import Blob, Fingerprint, Held, Lease
from ingest.channels import Access, PoisonQueue
from ingest.drain import Drain, renewing
from ingest.errors import DeletionRefused, IngestError, LeaseLost, Retryable
from ingest.facts import Recent
from ingest.loading import Parts
from ingest.naming import SWEEP
from ingest.outcomes import BlobsDeleted, Outcome, StreamHeld, StreamLost, StreamSeen, SweepFinished, Tally
from ingest.spans import span

T = TypeVar("T")
PAGE = 1000
"""Blobs looked up, deleted and checked off together."""
_POISON = 256


class Sweep:
    """One round at a time: a worker that does not get the sweep's lease drains, and leaves the rest to its holder."""

    def __init__(
        self,
        parts: Parts,
        drain: Drain,
        alerting: Alerting,
        retention: timedelta | None,
        *,
        poison: PoisonQueue | None = None,
        access: Access | None = None,
    ) -> None:
        self._parts = parts
        self._drain = drain
        self._alerting = alerting
        self._retention = retention
        self._poison = poison
        self._access = access
        self._none_before: datetime | None = None
        self._listing: Fingerprint | None = None

    def round(self, deadline: datetime) -> Tally:
        """Do everything there is to do. What kept a stream from being drained is raised when the rest is done."""
        started = self._parts.clock.now()
        tally, trouble = Tally(), None
        try:
            tally = self._drain.everything(deadline)
        except Retryable as error:
            trouble = error
        # Others may have loaded what this one did not: then the listing is another.
        unchanged = trouble is None and tally == Tally() and self._drain.known_listing == self._listing
        self._listing = self._drain.known_listing
        tally = self._rest(deadline, tally, unchanged=unchanged)
        if trouble is not None:
            raise trouble
        now = self._parts.clock.now()
        for each in self._alerting.recent:
            self._parts.emit(_seen(each, now))
        seconds = (now - started).total_seconds()
        kinds = self._alerting.open_kinds
        return self._tell(SweepFinished(SWEEP, seconds, tally.files, tally.deleted, kinds), tally)

    def leave_answers(self, tally: Tally) -> None:
        """After a drain that wrote, ask what the next round will ask, while a warehouse that sleeps is awake."""
        if self._parts.warehouse.sleeps and (tally.files or tally.rejected or tally.superseded):
            with suppress(Retryable):
                self._deletable()
                self._alerting.look()

    def would_delete(self) -> Sequence[Blob]:
        """Return the blobs that a round would delete first."""
        return self._deletable()

    def _rest(self, deadline: datetime, tally: Tally, *, unchanged: bool) -> Tally:
        """Delete and alert, under the sweep's lease, if there is anything to be done.

        What kept blobs from being deleted is raised when the alerts are up to date.
        """
        self._parts.warehouse.prepare()
        poison = self._poison
        messages = () if poison is None else _known_or_none(lambda: poison.take(_POISON)) or ()
        policies = None if self._access is None else _known_or_none(self._access.policies)
        noticed = Noticed(len(messages), policies)
        if not (
            self._deletable(unchanged=unchanged) or messages or self._alerting.is_needed(noticed, unchanged=unchanged)
        ):
            return tally
        owner = f"{self._parts.owner}/{uuid.uuid4().hex[:8]}"
        lease = self._parts.warehouse.claim(SWEEP, owner, self._parts.clock.now(), self._parts.limits.lease)
        if isinstance(lease, Held):
            self._parts.emit(StreamHeld(SWEEP, lease.owner))
            return tally
        trouble: Retryable | None = None
        try:
            with renewing(self._parts, lease):
                try:
                    tally = self._delete(lease, deadline, tally)
                except DeletionRefused as error:
                    noticed = replace(noticed, deleting_refused=str(error))
                except Retryable as error:
                    trouble = error
                self._alerting.round(lease, noticed)
            if poison is not None:
                poison.clear(messages)
        except LeaseLost:
            return self._tell(StreamLost(SWEEP), tally)
        finally:
            self._parts.warehouse.release(lease)
        if trouble is not None:
            raise trouble
        return tally

    def _delete(self, lease: Lease, deadline: datetime, tally: Tally) -> Tally:
        """Delete page after page. The checkpoint is written afterwards: what is deleted twice is deleted once."""
        while self._parts.clock.now() < deadline and (blobs := self._deletable()):
            size = sum(blob.size for blob in blobs)
            with span("delete", about={"files": len(blobs), "bytes": size}):
                self._parts.landing.delete(blobs)
                self._parts.warehouse.mark_deleted(lease, blobs, self._parts.clock.now())
            tally = self._tell(BlobsDeleted(SWEEP, len(blobs), size), tally)
        return tally

    def _deletable(self, *, unchanged: bool = False) -> Sequence[Blob]:
        if self._retention is None:
            return ()
        before = self._parts.clock.now() - self._retention
        if self._parts.warehouse.sleeps:  # asked the same all day, it keeps its answer and sleeps on
            before = before.replace(hour=0, minute=0, second=0, microsecond=0)
            if unchanged and self._none_before == before:
                return ()
        found = self._parts.warehouse.deletable(self._parts.landing.container, before, PAGE)
        self._none_before = None if found else before
        return found

    def _tell(self, outcome: Outcome, tally: Tally) -> Tally:
        self._parts.emit(outcome)
        return tally.plus(outcome)


def _seen(recent: Recent, now: datetime) -> StreamSeen:
    waits = 0.0 if recent.oldest_pending_at is None else (now - recent.oldest_pending_at).total_seconds()
    silent = None if recent.last_arrived_at is None else (now - recent.last_arrived_at).total_seconds()
    return StreamSeen(recent.stream, recent.pending, max(0.0, waits), None if silent is None else max(0.0, silent))


def _known_or_none(look: Callable[[], T]) -> T | None:
    """Look; what cannot be looked at is not known, and stops nobody."""
    try:
        return look()
    except IngestError:
        return None
