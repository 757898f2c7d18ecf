"""Live through a simulated month: a real container with simulated times, Customer.io, weather, and workers that sweep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import AccessPolicy, ContainerClient

from ingest.channels import Message, Poison
from ingest import ports
from ingest.access import POLICY, ContainerAccess, renew
from ingest.alerting import Alerting, Watch
from ingest.arrivals import Blob
from ingest.contract import Drift
from ingest.drain import Drain
from ingest.errors import DeletionRefused, NotificationFailed, Retryable, WarehouseUnavailable
from ingest.intake import LocalCopies
from ingest.landing import AzureLanding
from ingest.loading import Limits, Parts
from ingest.naming import Stream, parse, stream_of
from ingest.ordering import order_key
from ingest.outcomes import Outcome
from ingest.sweep import Sweep
from ingest.warehouses.duckdb import DuckDBWarehouse
from ingest.warehouses.duckdb.file import database_file
from local import customerio
from local.azurite import Azurite
from tests import factories
from tests.world import MEMORY
from tests.written import KEYS, RECENCY, WORDS, Row, Written, replayed, spoilt, values

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = datetime(2040, 10, 1, tzinfo=UTC)
"""A Monday far ahead of the real clock: Azurite goes by that, and no policy of the month may be over for it."""
TICK = 15 * MINUTE
DAYS = 30
RETENTION = 72 * HOUR
ANEW = 4 * HOUR
"""How long what Azurite answered is taken for true while nobody writes: its answers are half of what a round takes."""
STEMS = {"deliveries": "deliveries", "delivery_content": "delivery_contents", "people": "people"}


def at(day: int, clock: str) -> datetime:
    """Give a moment of the month: the day (0 is the first Monday) and the time."""
    hours, minutes, *seconds = (int(part) for part in clock.split(":"))
    return START + day * DAY + timedelta(hours=hours, minutes=minutes, seconds=sum(seconds))


@dataclass
class StillClock:
    """Stand still, so that a round takes no time and every moment of the script is exact."""

    moment: datetime = field(default=START)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits in a sweep")


class Stamped(AzureLanding):
    """The real container; its blobs bear the simulated times of their writing, and each deletion is looked into."""

    def __init__(self, client: ContainerClient, clock: StillClock, judge: Callable[[Sequence[Blob]], None]) -> None:
        super().__init__(client, "")
        self.clock = clock
        self.written: dict[tuple[str, str], datetime] = {}
        self.present: dict[str, str] = {}
        """The ETag of every blob that must be there."""
        self.deletions = 0
        self.refusing = False
        self.meanwhile: Callable[[], None] = lambda: None
        self._judge = judge
        self._turn = threading.RLock()
        self._listed: dict[tuple[str, ...], tuple[object, list[list[Blob]]]] = {}

    def pages(self, beginnings: Sequence[str] = ()) -> Iterator[Sequence[Blob]]:
        """List anew if anything was written or deleted since, and every few hours; nobody writes past us."""
        with self._turn:
            state = (len(self.written), self.deletions, (self.clock.moment - START) // ANEW)
            if self._listed.get(tuple(beginnings), (None, []))[0] != state:
                pages = [[self._stamped(blob) for blob in page] for page in super().pages(beginnings)]
                self._listed[tuple(beginnings)] = (state, pages)
                if not beginnings:
                    there = {blob.name: blob.etag for page in pages for blob in page}
                    assert there == self.present, "the container holds something else than it must"
            pages = self._listed[tuple(beginnings)][1]
        yield from pages

    def delete(self, blobs: Sequence[Blob]) -> None:
        if self.refusing:
            raise DeletionRefused("nothing may be deleted.")
        self.meanwhile()
        with self._turn:
            self._judge(blobs)
            super().delete(blobs)
            self.deletions += 1
            for blob in blobs:
                if self.present.get(blob.name) == blob.etag:
                    del self.present[blob.name]

    def _stamped(self, blob: Blob) -> Blob:
        return replace(blob, modified=self.written[blob.name, blob.etag])


class Policies:
    """The container's real policies, looked at again if somebody changed them, and every few hours."""

    def __init__(self, client: ContainerClient, clock: StillClock) -> None:
        self._access = ContainerAccess(client)
        self._clock = clock
        self._found: Sequence[ports.AccessPolicy] = ()
        self._looked: object = None
        self.changes = 0

    def policies(self) -> Sequence[ports.AccessPolicy]:
        state = (self.changes, (self._clock.moment - START) // ANEW)
        if self._looked != state:
            self._found, self._looked = self._access.policies(), state
        return self._found


class Weather:
    """A warehouse behind a line that is cut now and then."""

    def __init__(self, warehouse: DuckDBWarehouse, cut: set[str]) -> None:
        self._warehouse = warehouse
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._warehouse, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            if name == "load" and "soon" in self._cut:
                self._cut.add("all")
            if "all" in self._cut or name in self._cut:
                raise WarehouseUnavailable("the line is cut.")
            return found(*arguments, **options)

        return call


@dataclass
class Heard:
    """Two channels that note when they heard what; one may be broken."""

    clock: StillClock
    broken: set[str] = field(default_factory=set)
    messages: list[tuple[datetime, str, str, str]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def channels(self) -> Sequence[str]:
        return ("a", "b")

    def send(self, channel: str, message: Message) -> None:
        if channel in self.broken:
            raise NotificationFailed("it answered 500.")
        self.meanwhile()
        self.messages.append((self.clock.moment, channel, message.title, message.severity))


@dataclass
class Queue:
    """The poisoned events."""

    waiting: list[Poison] = field(default_factory=list)

    def take(self, limit: int) -> Sequence[Poison]:
        return tuple(self.waiting[:limit])

    def clear(self, messages: Sequence[Poison]) -> None:
        self.waiting = [each for each in self.waiting if each not in messages]


class Month:
    """Everything that the script acts upon."""

    def __init__(self, azurite: Azurite, container: str, path: Path) -> None:
        self.path = path
        self.clock = StillClock()
        self.client = ContainerClient.from_connection_string(azurite.connection_string, container)
        self.policy_ends = at(24, "11:30")
        self.sas = customerio.Exporter(customerio.grant(azurite.connection_string, container, expires=self.policy_ends))
        self.landing = Stamped(self.client, self.clock, self._judge)
        self.policies = Policies(self.client, self.clock)
        self.heard = Heard(self.clock)
        self.queue = Queue()
        self.cut: set[str] = set()
        self.drift = Drift.EVOLVE
        self.told: list[tuple[datetime, Outcome]] = []
        self.written: list[Written] = []
        self.failed: list[datetime] = []
        """Rounds that ended in an error."""
        self.unheard: set[str] = set()
        """Names whose next events are lost."""
        self._within = threading.Lock()
        self._backlog: list[tuple[str, bytes, tuple[Row, ...] | None]] = []
        self._writes = 0
        self._warehouses = [Weather(self._opened(), self.cut), Weather(self._opened(), self.cut)]
        # A file that nobody else wants is not closed, nor is a timer started to do so, after each of 50,000 queries.
        self._open = ExitStack()
        self._open.enter_context(database_file(path, memory_limit=MEMORY).cursor(5))
        self._workers: dict[tuple[int, Drift], tuple[Drain, Sweep]] = {}

    def close(self) -> None:
        self.sas.close()
        self.client.close()
        self._open.close()
        database_file(self.path, memory_limit=MEMORY).close()

    # Workers

    def worker(self, number: int = 0) -> tuple[Drain, Sweep]:
        """Give the drain and the sweep of a worker; two share nothing but the world."""
        key = (number, self.drift)
        if key not in self._workers:
            warehouse: Any = self._warehouses[number]
            limits = Limits(drift=self.drift)
            parts = Parts(
                self.landing, LocalCopies(self.landing), warehouse, self.clock, f"host/{number}", limits, self._emit
            )
            alerting = Alerting(warehouse, self.clock, self.heard, self._emit, Watch())
            drain = Drain(parts)
            self._workers[key] = (
                drain,
                Sweep(parts, drain, alerting, RETENTION, poison=self.queue, access=self.policies),
            )
        return self._workers[key]

    def tick(self, moment: datetime) -> None:
        """Let the timer's round run; what keeps it from its end is noted."""
        self.clock.moment = moment
        try:
            self.worker()[1].round(moment + 5 * MINUTE)
        except Retryable:
            self.failed.append(moment)

    def tick_twice(self, moment: datetime) -> None:
        """Let two workers' rounds run at the same time."""
        self.clock.moment = moment
        rounds = [self.worker(number)[1].round for number in (0, 1)]
        with ThreadPoolExecutor(2) as pool:
            for running in [pool.submit(each, moment + 5 * MINUTE) for each in rounds]:
                running.result()

    def second(self) -> None:
        """Let another worker's round run in the middle of one; what ends it is not the first one's trouble."""
        if self._within.acquire(blocking=False):  # not in the middle of that again
            with suppress(Retryable):
                try:
                    self.worker(1)[1].round(self.clock.moment + 5 * MINUTE)
                finally:
                    self._within.release()

    def replay(self) -> None:
        self.worker()[0].replay(None, self.clock.moment + HOUR)

    def die(self, stream: Stream) -> None:
        """Let a worker take a stream and never be heard of again."""
        warehouse: Any = self._warehouses[0]
        warehouse.claim(stream, f"elsewhere/{self.clock.moment:%H%M}", self.clock.moment, Limits().lease)

    # Customer.io

    def export(self, stream: Stream, of: datetime | None = None, *, version: int = 4, **added: float) -> None:
        """Write the file that is due now, or was at another moment; `added` are columns nobody declared."""
        rows = rows_at(stream, of or self.clock.moment)
        name = name_at(stream, of or self.clock.moment, version=version)
        self.put(name, content(stream, rows, **added), rows)

    def rewrite(self, stream: Stream, of: datetime, again: str = "") -> None:
        """Write a file once more, as it was or with other words in its rows."""
        rows = tuple(replace(row, words=row.words + again) for row in rows_at(stream, of))
        self.put(name_at(stream, of), content(stream, rows), rows)

    def initial(self, stream: Stream, parts: int) -> None:
        """Write an initial sync: low sequences, two in each name."""
        for part in range(1, parts + 1):
            name = factories.name(STEMS[stream.dataset], 10 * part, end=10 * part + 9, workspace=stream.workspace_id)
            rows = rows_at(stream, self.clock.moment + part * MINUTE)
            self.put(name, content(stream, rows), rows)

    def restarted(self, stream: Stream, sequence: int) -> None:
        """Write a file under a sequence from before."""
        rows = rows_at(stream, self.clock.moment + sequence * MINUTE)
        name = factories.name(STEMS[stream.dataset], sequence, workspace=stream.workspace_id)
        self.put(name, content(stream, rows), rows)

    def spoil(self, stream: Stream) -> None:
        """Write the file that is due now, cut short."""
        rows = rows_at(stream, self.clock.moment)
        self.put(name_at(stream, self.clock.moment), spoilt(stream.dataset, rows, "cut"), None)

    def put(self, name: str, content: bytes, rows: tuple[Row, ...] | None) -> None:
        """Upload a file, after those that were refused before; the platform then tells of it, or not."""
        self._backlog.append((name, content, rows))
        while self._backlog:
            name, content, rows = self._backlog[0]
            if self.clock.moment >= self.policy_ends:
                return
            try:
                etag = self.sas.write(name, content)
            except HttpResponseError as error:
                assert error.status_code == 403
                return
            self._backlog.pop(0)
            self.arrived(name, etag, rows)

    def upload(self, name: str, content: bytes) -> None:
        """Put a blob there by hand that is no export."""
        answer = self.client.upload_blob(name, content, overwrite=True)
        etag = str(answer.get_blob_properties().etag).strip('"')
        self.landing.present[name] = etag
        self.landing.written[name, etag] = self.clock.moment

    def remove(self, name: str) -> None:
        """Delete a blob by hand."""
        self.client.delete_blob(name)
        self.landing.deletions += 1
        del self.landing.present[name]

    def arrived(self, name: str, etag: str, rows: tuple[Row, ...] | None) -> None:
        self.landing.present[name] = etag
        self.landing.written[name, etag] = self.clock.moment
        parsed = parse(name)
        self.written.append(Written(name, etag, self._writes, parsed.dataset.name, order_key(parsed), rows))
        self._writes += 1
        if name in self.unheard:
            self.unheard.remove(name)
            return
        try:
            self.worker()[0].of_blob(name, self.clock.moment + 5 * MINUTE)
        except Retryable:
            return  # the platform tries again, and so does the timer

    # People at the container

    def lack(self, letters: str) -> None:
        """Leave the policy with these permissions only."""
        stored = AccessPolicy(letters, expiry=self.policy_ends, start=datetime.now(UTC) - DAY)
        self.client.set_container_access_policy(signed_identifiers={POLICY: stored})
        self.policies.changes += 1

    def renew(self, ends: datetime) -> None:
        self.policy_ends = ends
        renew(self.client, expires=ends, start=datetime.now(UTC) - DAY)
        self.policies.changes += 1

    # What is there

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with database_file(self.path, memory_limit=MEMORY).cursor(5) as cursor:
            return cursor.execute(sql.replace("$", "warehouse.customerio.")).fetchall()

    def table(self, stream: Stream) -> dict[str, str]:
        """Give the words of each key in a stream's table."""
        columns = f"{KEYS[stream.dataset]}, {WORDS[stream.dataset]}"
        sql = f"SELECT {columns} FROM ${stream.dataset} WHERE workspace_id = {stream.workspace_id}"
        rows = self.query(sql)
        assert len(rows) == len(dict(rows)), "a key is there twice"
        return dict(rows)

    def truth(self, stream: Stream) -> dict[str, str]:
        """Give what the table must hold."""
        return replayed([file for file in self.written if stream_of(file.name) == stream], stream.dataset)

    def arrivals(self, *streams: Stream) -> list[datetime]:
        """Give the minutes in which files of streams were written."""
        moments = {
            moment.replace(second=0) for (name, _), moment in self.landing.written.items() if stream_of(name) in streams
        }
        return sorted(moments)

    def _judge(self, blobs: Sequence[Blob]) -> None:
        """See that what is to be deleted was committed at its ETag, and long enough ago."""
        sql = "SELECT blob_name, etag, coalesce(loaded_at, arrived_at), status FROM $ingest_files WHERE status <> 'deleted'"
        known = {(name, etag): (since, status) for name, etag, since, status in self.query(sql)}
        for blob in blobs:
            since, status = known[blob.name, blob.etag]
            assert status in {"loaded", "superseded"}, f"{blob.name} is {status}"
            assert self.clock.moment - since.replace(tzinfo=UTC) >= RETENTION, f"{blob.name} goes too early"

    def _emit(self, outcome: Outcome) -> None:
        self.told.append((self.clock.moment, outcome))

    def _opened(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.path, "customerio", patience=5, memory_limit=MEMORY)


def name_at(stream: Stream, moment: datetime, *, version: int = 4) -> str:
    """Give the name of the file that is due at a moment."""
    sequence = _minutes(moment) + 1000
    return factories.name(STEMS[stream.dataset], sequence, workspace=stream.workspace_id, version=version)


def rows_at(stream: Stream, moment: datetime) -> tuple[Row, ...]:
    """Give what happened lately: always the same for a moment; some of it is older than what was told before."""
    random = Random(f"{stream} {moment}")
    age = [0, 0, 0, 30, 60, 3000]
    return tuple(
        Row(
            f"{key}",
            max(0, _minutes(moment) - random.choice(age)) if RECENCY[stream.dataset] else 0,
            f"{stream} {moment} {key}",
        )
        for key in random.sample(range(60), 2)
    )


def content(stream: Stream, rows: Sequence[Row], **added: float) -> bytes:
    """Give the bytes of a file; `added` are columns nobody declared."""
    spelt = [{**row, "workspace_id": stream.workspace_id, **added} for row in values(stream.dataset, rows)]
    return factories.parquet(stream.dataset, spelt, types=dict.fromkeys(added, pa.float64()))


def _minutes(moment: datetime) -> int:
    return int((moment - START).total_seconds()) // 60
