"""Transactions over DuckDB that read what others committed and outlive a failed statement, as Snowflake's do.

DuckDB fixes what a transaction sees at its start and aborts it with its first error. So a transaction here keeps the
changes it made as a list of actions: when somebody else committed to a table that the next statement touches, or when
a statement failed, DuckDB's transaction is rolled back, begun anew, and the actions are done again.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import duckdb

from fakesnow_server.locks import TableLocks, TableName

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session

Action = Callable[[], object]

# Locks keep writers apart; what DuckDB still calls a conflict goes away with a newer view of the data.
CONFLICTS = 3
NUMBERS = itertools.count(1_700_000_000_000)


class Commits:
    """Number the commits and remember the last one of each table."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[TableName, int] = {}
        self._number = 0

    @property
    def number(self) -> int:
        """Give the number of the last commit."""
        return self._number

    def note(self, tables: Iterable[TableName]) -> None:
        """Record that a commit changed these tables."""
        with self._lock:
            self._number += 1
            for table in tables:
                self._last[table] = self._number

    def any_after(self, number: int, tables: Iterable[TableName]) -> bool:
        """Say whether one of the tables was committed to after that commit."""
        with self._lock:
            return any(self._last.get(table, 0) > number for table in tables)


class Transaction:
    """A transaction of one session, from BEGIN to COMMIT, ROLLBACK or its abortion."""

    def __init__(self, session: Session, locks: TableLocks, commits: Commits) -> None:
        self.id = next(NUMBERS)
        self.session = session
        self._locks = locks
        self._commits = commits
        self._actions: list[Action] = []
        self._written: set[TableName] = set()
        self._start()

    def read(self, tables: Iterable[TableName], action: Action) -> object:
        """Run a query that sees all that was committed before it."""
        self._catch_up(tables)
        return self._attempt(action)

    def write(self, target: TableName, tables: Iterable[TableName], action: Action) -> object:
        """Change a table whose lock is held already."""
        self._catch_up(tables)
        result = self._attempt(action)
        self._actions.append(action)
        self._written.add(target)
        return result

    def commit(self) -> None:
        """Make the changes visible, then let those who wait go on."""
        try:
            self.session.duck.commit()
            self._commits.note(self._written)
        finally:
            self._locks.release(self)

    def rollback(self) -> None:
        """Undo the changes and let those who wait go on."""
        try:
            self.session.duck.rollback()
        finally:
            self._locks.release(self)

    def give_up_if_abandoned(self) -> None:
        """Roll back if the client is gone or idle for too long; called by those who wait."""
        self.session.abort_if_abandoned(self)

    def _start(self) -> None:
        self._number = self._commits.number
        self.session.duck.begin()

    def _restart(self) -> None:
        self.session.duck.rollback()
        self._start()
        for action in self._actions:
            action()

    def _catch_up(self, tables: Iterable[TableName]) -> None:
        if self._commits.any_after(self._number, tables):
            self._restart()

    def _attempt(self, action: Action) -> object:
        for _ in range(CONFLICTS):
            try:
                return action()
            except duckdb.TransactionException:
                self._restart()
            except Exception:
                self._restart()
                raise
        return action()


def now() -> float:
    """Give the seconds of a clock that only goes forward."""
    return time.monotonic()
