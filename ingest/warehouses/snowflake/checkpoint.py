"""The checkpoint tables in Snowflake: arrivals, leases, what became of each file.

Snowflake enforces no unique keys and lets several writers in at once. So nothing is inserted without asking first, and
whatever is written about a stream stands in a transaction that changes the row of its lease, or is rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ingest.arrivals import Arrival, Blob, Fingerprint, Held, Lease, Oddity, Status
from ingest.facts import Facts, FileHistory, FileRecord
from ingest.naming import UNCLASSIFIED, Stream, stream_of
from ingest.ordering import OrderKey
from ingest.warehouses import queries, records
from ingest.warehouses.owners import gone
from ingest.warehouses.records import (
    alert_record,
    arrival,
    aware,
    file_history,
    file_record,
    lost,
    naive,
    stream_facts,
)
from ingest.warehouses.snowflake.faults import MISSING, Trouble
from ingest.warehouses.snowflake.session import Session, Sessions

_LITERALS = ("limit", "since", "before", "container")
"""What stands in the text of a query rather than being bound."""


class Checkpoint:
    """What is known of files and streams.

    `patience` is how long, in seconds, a call tries again what Snowflake could not do at once.
    """

    def __init__(
        self, sessions: Sessions, schema: str, *, patience: float, sleep: Callable[[float], None] | None = None
    ) -> None:
        self._sessions = sessions
        self._schema = schema
        self._sql = queries.load(__package__, schema=schema, **{name: f"{{{name}}}" for name in _LITERALS})
        self._prepared = False
        waiting: dict[str, Any] = {} if sleep is None else {"sleep": sleep}
        self._patiently = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, Trouble) and error.transient),
            wait=wait_random_exponential(multiplier=0.5, max=20),
            stop=stop_after_delay(patience),
            reraise=True,
            **waiting,
        )

    def prepare(self) -> None:
        """Create the checkpoint tables where they are missing, once in the life of the process."""
        if not self._prepared:
            self._patiently(self._prepare)
            self._prepared = True

    def settled(self, listing: Fingerprint) -> bool:
        """Tell whether the checkpoint knows exactly the blobs of a listing and none of them waits.

        Snowflake answers this one from its result cache as long as nothing was written: the warehouse sleeps on.
        """
        try:
            ((files, digest, pending),) = self._patiently(self._rows, "compare the listing", "settled", {})
        except Trouble as trouble:
            if trouble.number != MISSING:
                raise
            return False
        return not pending and Fingerprint(files, int(digest or 0)) == listing

    def unsettled(self, blobs: Sequence[Blob], *, hurried: bool = False) -> Sequence[Blob]:
        """Return those of the blobs that the checkpoint does not know at their ETag. There is no need to hurry."""
        if not blobs:
            return ()
        tag = {"files": len(blobs)}
        fresh = set(self._patiently(self._rows, "look for new files", "unsettled", tag, [_keys(blobs)]))
        return [blob for blob in blobs if (blob.name, blob.etag) in fresh]

    def waiting(self) -> Sequence[Stream]:
        """Return the streams with pending files, that with the oldest first."""
        return [Stream(*row) for row in self._patiently(self._rows, "look for pending files", "waiting", {})]

    def with_rejected(self) -> Sequence[Stream]:
        """Return the streams with rejected files."""
        return [Stream(*row) for row in self._patiently(self._rows, "look for rejected files", "with_rejected", {})]

    def claim(self, stream: Stream, owner: str, now: datetime, term: timedelta) -> Lease | Held:
        """Take the stream's lease if it is free, has expired, or its owner is a dead process of this machine."""
        return self._patiently(self._claim, stream, owner, now, term)

    def renew(self, lease: Lease, now: datetime, term: timedelta) -> None:
        """Put the lease's end off. Raises LeaseLost."""
        values = [instant(now + term), *held(lease)]
        if not self._patiently(self._run, "renew a lease", "renew", lease.stream, values):
            raise lost(lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it was lost."""
        self._patiently(self._run, "release a lease", "release", lease.stream, held(lease))

    def record(self, lease: Lease, arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> Sequence[Blob]:
        """Record those not known yet as pending, oddities as rejected, and what they replace as superseded."""
        blobs = [arrival.blob for arrival in arrivals] + [oddity.blob for oddity in oddities]
        fresh = set(self.unsettled(blobs))
        if fresh:
            new = [each for each in arrivals if each.blob in fresh], [each for each in oddities if each.blob in fresh]
            self._patiently(self._record, lease, *new)
        return [blob for blob in blobs if blob in fresh]

    def pending(self, stream: Stream, after: OrderKey | None, limit: int) -> Sequence[Arrival]:
        """Return the first pending files after a key, in ascending order."""
        name, reached = ("pending", ()) if after is None else ("pending_after", after)
        values = [*reached, *stream_key(stream)]
        found = self._patiently(self._rows, "read pending files", name, tag_of(stream), values, limit)
        return [arrival(row) for row in found]

    def high_water(self, stream: Stream) -> OrderKey | None:
        """Return the highest key among the files loaded so far."""
        values = stream_key(stream)
        found = self._patiently(self._rows, "look for the last file", "high_water", tag_of(stream), values)
        return next(((version, sequence, end, name) for version, sequence, end, name in found), None)

    def settle(self, lease: Lease, blob: Blob, status: Status, error: str) -> None:
        """Record what became of a pending file that was not loaded, and that it was tried. Raises LeaseLost."""
        values = [status.value, error, blob.container, blob.name, blob.etag]
        self._patiently(self._guarded, lease, [("settle", values)])

    def reopen(self, lease: Lease, blobs: Sequence[str] | None) -> int:
        """Make rejected files pending again; blobs that belonged to no stream are forgotten, to be met anew."""
        oddities = lease.stream == UNCLASSIFIED
        name = "forget_oddities" if oddities else "reopen"
        values = [] if oddities else stream_key(lease.stream)
        if blobs is None:
            return sum(self._patiently(self._guarded, lease, [(name, values)]))
        return sum(self._patiently(self._guarded, lease, [(f"{name}_named", [*values, json.dumps(list(blobs))])]))

    def rejected(self, limit: int) -> Sequence[FileRecord]:
        """Return rejected files, the newest first."""
        found = self._patiently(self._rows, "read rejected files", "rejected", {}, (), limit)
        return [file_record(row) for row in found]

    def history(self, container: str, blob_name: str) -> Sequence[FileHistory]:
        """Return what is known of every ETag of a blob name, the oldest first."""
        try:
            tag = tag_of(stream_of(blob_name))
            found = self._patiently(self._rows, "read a file's history", "history", tag, [container, blob_name])
        except Trouble as trouble:
            if trouble.number != MISSING:
                raise
            return ()
        return [file_history(row) for row in found]

    def facts(self, now: datetime) -> Facts:
        """Sum the checkpoint tables up; where there are none yet, nothing has arrived."""
        try:
            found = self._patiently(self._rows, "sum the checkpoint up", "facts", {})
            known = [alert_record(row) for row in self._patiently(self._rows, "read alerts", "alerts", {})]
        except Trouble as trouble:
            if trouble.number != MISSING:
                raise
            return Facts(now, ())
        alerts = tuple(alert for alert in known if alert.closed_at is None)
        return Facts(now, tuple(stream_facts(row) for row in found), alerts=alerts)

    def _prepare(self) -> None:
        with self._sessions.session(at="prepare") as session:
            if self._is_complete(session):
                return
            try:
                session.run("create its tables", self._sql["create_files"])
            except Trouble as trouble:
                if trouble.number != MISSING:
                    raise
                session.run("create its schema", self._sql["create_schema"])
                session.run("create its tables", self._sql["create_files"])
            for name in ("create_streams", "create_alerts", "note_undeclared", "count_takeovers", "create_freshness"):
                session.run("create its tables", self._sql[name])

    def _is_complete(self, session: Session) -> bool:
        """Tell whether all tables are there with their latest columns: then nothing is defined, and no answer lost."""
        try:
            return all(
                column in {row["name"] for row in session.named_rows("look at its tables", f"DESCRIBE TABLE {table}")}
                for table, column in (
                    (f"{self._schema}.ingest_files", "UNDECLARED"),
                    (f"{self._schema}.ingest_streams", "TAKEOVERS"),
                    (f"{self._schema}.ingest_alerts", "OWED"),
                    (f"{self._schema}.ingest_freshness", "OPEN_ALERTS"),
                )
            )
        except Trouble as trouble:
            if trouble.number != MISSING:
                raise
            return False

    def _claim(self, stream: Stream, owner: str, now: datetime, term: timedelta) -> Lease | Held:
        with self._sessions.session(**tag_of(stream)) as session:
            found = session.rows("read a lease", self._sql["stream"], stream_key(stream))
            if not found:
                session.run("open a stream", self._sql["open_stream"], stream_key(stream))
                found = session.rows("read a lease", self._sql["stream"], stream_key(stream))
            generation, holder, until = found[0]
            if holder == owner:  # an earlier attempt got through, but not its answer
                return Lease(stream, owner, generation, aware(until))
            if holder is not None and aware(until) > now and not gone(holder):
                return Held(stream, holder, aware(until))
            lease = Lease(stream, owner, generation + 1, now + term)
            values = [owner, instant(lease.expires_at), *stream_key(stream), generation]
            if session.run("claim a lease", self._sql["claim"], values):
                return lease
            _, holder, until = session.rows("read a lease", self._sql["stream"], stream_key(stream))[0]
            return Held(stream, holder or "another worker", aware(until) if until else now)

    def _record(self, lease: Lease, arrivals: Sequence[Arrival], oddities: Sequence[Oddity]) -> None:
        blobs = [arrival.blob for arrival in arrivals] + [oddity.blob for oddity in oddities]
        latest = max(blob.modified for blob in blobs)
        listed = as_json(records.listed(arrivals, oddities))
        self._guarded(lease, [("supersede", [listed]), ("record", [listed])], latest)

    def _guarded(
        self, lease: Lease, statements: Sequence[tuple[str, Sequence[Any]]], latest: datetime | None = None
    ) -> list[int]:
        """Write about a stream in one transaction that only its lease's holder gets through; return rows changed."""
        with self._writing(lease) as session:
            changed = [session.run("write about files", self._sql[name], values) for name, values in statements]
            arrived = None if latest is None else instant(latest)
            if not session.run("guard a lease", self._sql["guard"], [arrived, *held(lease)]):
                raise lost(lease)
            return changed

    @contextmanager
    def _writing(self, lease: Lease, **tag: Any) -> Iterator[Session]:
        with self._sessions.session(**tag_of(lease.stream), **tag) as session, session.transaction():
            yield session

    def _rows(
        self,
        doing: str,
        name: str,
        tag: dict[str, Any],
        values: Sequence[Any] = (),
        limit: int | None = None,
        **literals: str,
    ) -> list[tuple[Any, ...]]:
        """Ask a query. `literals` stand in its text: an answer is kept for a text, whatever is bound to it."""
        statement = self._sql[name].format(limit=limit, **literals) if limit or literals else self._sql[name]
        with self._sessions.session(**tag) as session:
            return session.rows(doing, statement, values)

    def _run(self, doing: str, name: str, stream: Stream, values: Sequence[Any]) -> int:
        with self._sessions.session(**tag_of(stream)) as session:
            return session.run(doing, self._sql[name], values)


def tag_of(stream: Stream) -> dict[str, Any]:
    """Return what a query tag says of a stream."""
    return {"stream": str(stream)}


def stream_key(stream: Stream) -> list[Any]:
    """Return the values that identify a stream."""
    return [stream.workspace_id, stream.dataset]


def held(lease: Lease) -> list[Any]:
    """Return the values that a guarded statement ends with."""
    return [*stream_key(lease.stream), lease.generation, lease.owner]


def _keys(blobs: Sequence[Blob]) -> str:
    return as_json([records.key(blob) for blob in blobs])


def as_json(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as one value to bind, so that a statement stays the same however many there are."""
    return json.dumps(rows, default=instant, separators=(",", ":"))


def instant(moment: datetime) -> str:
    """Return an instant as Snowflake reads it, in UTC. What has no zone is in UTC already."""
    return (naive(moment) if moment.tzinfo else moment).isoformat(sep=" ", timespec="microseconds")
