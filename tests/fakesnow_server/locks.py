"""Locks on tables, held by transactions to their end."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol

from fakesnow_server.errors import CANCELLED, LOCKED, SnowflakeError

TableName = tuple[str, str, str]

# https://docs.snowflake.com/en/sql-reference/transactions: more waiters than this and the next one is refused.
MOST_WAITERS = 20
LOOK_EVERY = 0.02


class Use(Enum):
    """What a statement does to a table: appending writes new partitions only and waits for nobody."""

    APPEND = "append"
    CHANGE = "change"
    DEFINE = "define"


COMPATIBLE = {(Use.APPEND, Use.APPEND), (Use.APPEND, Use.CHANGE), (Use.CHANGE, Use.APPEND)}


class Holder(Protocol):
    """Who holds a lock: a transaction."""

    @property
    def id(self) -> int:
        """Give the number shown in errors."""

    def give_up_if_abandoned(self) -> None:
        """Roll back if the client is gone or idle for too long; called by those who wait."""


class Ticket:
    """The holder of a lock for a single statement outside of a transaction."""

    id = 0

    def give_up_if_abandoned(self) -> None:
        """Go on: the statement runs and will end."""


class TableLocks:
    """Who uses which table how, and who waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[TableName, dict[Holder, set[Use]]] = defaultdict(dict)
        self._waiting: dict[Holder, tuple[TableName, Use]] = {}

    def acquire(
        self, holder: Holder, table: TableName, use: Use, seconds: float, cancelled: Callable[[], bool]
    ) -> None:
        """Take a lock, waiting for others; raises 000625 when it takes too long or would never end."""
        deadline = time.monotonic() + seconds
        try:
            while blockers := self._take(holder, table, use):
                if cancelled():
                    raise SnowflakeError(CANCELLED, "57014", "SQL execution canceled")
                if time.monotonic() > deadline:
                    raise refused(table, blockers, "it has waited longer than LOCK_TIMEOUT allows")
                for blocker in blockers:
                    blocker.give_up_if_abandoned()
                with self._changed:
                    if self._blockers(holder, table, use):
                        self._changed.wait(LOOK_EVERY)
        finally:
            with self._changed:
                self._waiting.pop(holder, None)

    def release(self, holder: Holder) -> None:
        """Give back all a transaction holds."""
        with self._changed:
            for held in self._held.values():
                held.pop(holder, None)
            self._changed.notify_all()

    def _take(self, holder: Holder, table: TableName, use: Use) -> list[Holder]:
        with self._changed:
            blockers = self._blockers(holder, table, use)
            if not blockers:
                self._held[table].setdefault(holder, set()).add(use)
                return []
            if holder not in self._waiting:
                if sum(waited == table for waited, _ in self._waiting.values()) >= MOST_WAITERS:
                    raise refused(table, blockers, f"there are {MOST_WAITERS} waiters for this lock already")
                self._waiting[holder] = (table, use)
                if self._waits_for(blockers, holder):
                    raise refused(table, blockers, "of a deadlock")
            return blockers

    def _blockers(self, holder: Holder, table: TableName, use: Use) -> list[Holder]:
        others = self._held[table].items()
        return [
            other for other, uses in others if other is not holder and any((use, u) not in COMPATIBLE for u in uses)
        ]

    def _waits_for(self, blockers: Iterable[Holder], holder: Holder) -> bool:
        seen: set[int] = set()
        ahead = list(blockers)
        while ahead:
            one = ahead.pop()
            if one is holder:
                return True
            if one.id not in seen and one in self._waiting:
                seen.add(one.id)
                ahead += self._blockers(one, *self._waiting[one])
        return False


def refused(table: TableName, blockers: list[Holder], why: str) -> SnowflakeError:
    """Say who holds the lock and why the statement ends."""
    text = (
        f"Statement has locked table '{table[2]}' in transaction {blockers[0].id} and this lock has not yet been "
        f"released.\nYour statement was aborted because {why}."
    )
    return SnowflakeError(LOCKED, "57014", text)
