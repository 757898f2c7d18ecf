"""Wrap the ports of a drain so that something can happen at every step of it: a crash, a write, another worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor

from ingest.arrivals import Arrival, Blob, Held, Lease
from ingest.naming import Stream
from ingest.ports import Fetch, Fetched, Intake, Landing, RowCount, Unfetched, Warehouse
from ingest.warehouses.snowflake.session import Sessions


class Crash(BaseException):
    """The process died here."""


class Steps:
    """Count the moments before and after every port call, and act at one of them.

    After a crash every further call crashes: the dead release nothing.
    """

    def __init__(self, at: int = -1, action: Callable[[], None] | None = None) -> None:
        self.count = 0
        self._at = at
        self._action = action
        self._dead = False

    @property
    def dead(self) -> bool:
        """Whether the process died at one of them."""
        return self._dead

    def pass_one(self) -> None:
        if self._dead:
            raise Crash
        self.count += 1
        if self.count == self._at and self._action is not None:
            try:
                self._action()
            except Crash:
                self._dead = True
                raise


def crash() -> None:
    """Die."""
    raise Crash


class SteppedWarehouse:
    """A warehouse, each call of which is two steps: before it, and after it took effect."""

    def __init__(self, warehouse: Warehouse, steps: Steps) -> None:
        self._warehouse = warehouse
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._warehouse, name)
        if not callable(method):
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            self._steps.pass_one()
            answer = method(*arguments, **named)
            self._steps.pass_one()
            return answer

        return call


class FencedWarehouse:
    """A warehouse that notes the last lease given on each stream, and sees to it that nobody commits under another."""

    def __init__(self, warehouse: Warehouse, generations: dict[Stream, int]) -> None:
        self._warehouse = warehouse
        self._generations = generations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def claim(self, stream: Stream, *arguments: Any) -> Lease | Held:
        lease = self._warehouse.claim(stream, *arguments)
        if isinstance(lease, Lease):
            self._generations[stream] = lease.generation
        return lease

    def load(self, lease: Lease, *arguments: Any) -> Sequence[RowCount]:
        counts = self._warehouse.load(lease, *arguments)
        assert lease.generation == self._generations[lease.stream], "a lost lease committed"
        return counts


class SteppedLanding:
    """A landing container, each page of which is a step."""

    def __init__(self, landing: Landing, steps: Steps) -> None:
        self._landing = landing
        self._steps = steps

    def pages(self, beginnings: Sequence[str] = ()) -> Iterator[Sequence[Blob]]:
        self._steps.pass_one()
        for page in self._landing.pages(beginnings):
            yield page
            self._steps.pass_one()

    def download(self, blob: Blob, path: Path) -> None:
        self._landing.download(blob, path)


class SteppedIntake:
    """An intake that has fetched everything when `fetch` returns, so that a history runs the same way again."""

    def __init__(self, intake: Intake, steps: Steps) -> None:
        self._intake = intake
        self._steps = steps

    def fetch(self, batch: Sequence[Arrival]) -> Fetch:
        self._steps.pass_one()
        fetch = self._intake.fetch(batch)
        fetch.result()
        self._steps.pass_one()
        return SteppedFetch(fetch, self._steps)


class SteppedFetch(AbstractContextManager["SteppedFetch"]):
    """A fetch whose waiting is a step; leaving it is none, for temporary files outlive a crash as well as not."""

    def __init__(self, fetch: Fetch, steps: Steps) -> None:
        self._fetch = fetch
        self._steps = steps

    def result(self) -> Sequence[Fetched | Unfetched]:
        self._steps.pass_one()
        return self._fetch.result()

    def __exit__(self, *error: Any) -> None:
        self._fetch.__exit__(*error)


class Wire:
    """What a worker's statements pass on their way to Snowflake, each twice: before it is sent, and when it has run.

    `watch` sees each statement before that.
    """

    def __init__(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Let nothing happen any more."""
        self.steps = Steps()
        self.watch: Callable[[str], None] = lambda statement: None


class WiredSessions(Sessions):
    """Sessions over a wire. A dropped connection is tried again at once."""

    def __init__(self, sessions: Sessions, wire: Wire) -> None:
        arguments = sessions._arguments
        super().__init__(lambda: {**arguments(), "backoff_policy": _at_once})
        self._wire = wire

    def _opened(self) -> Any:
        return WiredConnection(super()._opened(), self._wire)


class WiredConnection:
    """A connection that the dead neither roll back on nor close: the server sees but that nobody is there any more."""

    def __init__(self, connection: SnowflakeConnection, wire: Wire) -> None:
        self._connection = connection
        self._wire = wire

    def cursor(self) -> WiredCursor:
        return WiredCursor(self._connection.cursor(), self._wire)

    def close(self) -> None:
        if self._wire.steps.dead and self._connection.rest is not None:
            self._connection.rest.close()
            self._connection._rest = None  # so that it says no good-bye
        self._connection.close()


class WiredCursor:
    """A cursor, each statement of which is two steps."""

    def __init__(self, cursor: SnowflakeCursor, wire: Wire) -> None:
        self._cursor = cursor
        self._wire = wire

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._cursor.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, statement: str, *values: Any, **options: Any) -> None:
        self._wire.watch(statement)
        self._wire.steps.pass_one()
        self._cursor.execute(statement, *values, **options)
        self._wire.steps.pass_one()


def _at_once() -> Iterator[int]:
    while True:
        yield 0
