"""Sessions: a connection to DuckDB each, with parameters, temporary tables and at most one transaction."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import duckdb
from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.expr import normalise_ident
from fakesnow.instance import FakeSnow

from fakesnow_server.errors import SnowflakeError
from fakesnow_server.locks import Holder, TableLocks, TableName, Ticket, Use
from fakesnow_server.stages import Stages
from fakesnow_server.transactions import Commits, Transaction, now
from fakesnow_server.translation import Translations

LOCK_TIMEOUT = 43200
REMEMBERED_REQUESTS = 5


@dataclass(slots=True)
class Patience:
    """How long a transaction that stands in somebody's way may do nothing, in seconds."""

    idle: float = 10.0
    detached: float = 0.3


@dataclass
class Warehouse:
    """All that sessions share."""

    stages: Stages
    patience: Patience = field(default_factory=Patience)
    duckdb: FakeSnow = field(default_factory=FakeSnow)
    locks: TableLocks = field(default_factory=TableLocks)
    commits: Commits = field(default_factory=Commits)
    translations: Translations = field(default_factory=Translations)
    spelling: dict[TableName, str] = field(default_factory=dict)
    integrations: dict[str, dict[str, str]] = field(default_factory=dict)
    loaded: set[tuple[TableName, str]] = field(default_factory=set)
    defining: threading.RLock = field(default_factory=threading.RLock)


class Session:
    """What one client's connection is on the server; statements of a session run one after the other."""

    numbers = itertools.count(1)

    def __init__(self, warehouse: Warehouse, login: dict[str, Any], database: str | None, schema: str | None) -> None:
        self.id = next(self.numbers)
        self.token = secrets.token_urlsafe(24)
        self.master_token = secrets.token_urlsafe(24)
        self.user = str(login.get("LOGIN_NAME") or "USER").upper()
        self.role = "SYSADMIN"
        self.warehouse_name: str | None = None
        self.warehouse = warehouse
        self.parameters: dict[str, Any] = {}
        with warehouse.defining:
            self.connection: FakeSnowflakeConnection = warehouse.duckdb.connect(
                database and normalise_ident(database), schema and normalise_ident(schema)
            )
        self.duck: duckdb.DuckDBPyConnection = self.connection._duck_conn
        self.lock = threading.RLock()
        self.transaction: Transaction | None = None
        self.aborted: SnowflakeError | None = None
        self.temporary: dict[TableName, str] = {}
        self.answers: OrderedDict[str, Future[Any]] = OrderedDict()
        self.links: set[object] = set()
        self.last_used = now()
        self.sequence = itertools.count(1)
        self.cancelled = False
        self.set_parameters(login.get("SESSION_PARAMETERS") or {})

    def set_parameters(self, given: dict[str, Any]) -> None:
        """Take over parameters; switching AUTOCOMMIT commits what is open."""
        for name, value in given.items():
            if name.upper() == "AUTOCOMMIT":
                self.commit()
            self.parameters[name.upper()] = value

    @property
    def autocommit(self) -> bool:
        """Say whether a change outside of BEGIN commits by itself."""
        return str(self.parameters.get("AUTOCOMMIT", True)).lower() != "false"

    @property
    def lock_timeout(self) -> float:
        """Give the seconds a statement waits for a lock."""
        return float(self.parameters.get("LOCK_TIMEOUT", LOCK_TIMEOUT))

    def begin(self) -> Transaction:
        """Open a transaction, or give the open one: a second BEGIN is ignored."""
        self.aborted = None
        if self.transaction is None:
            self.transaction = Transaction(self, self.warehouse.locks, self.warehouse.commits)
        return self.transaction

    def commit(self) -> None:
        """Commit what is open; nothing happens outside of a transaction."""
        self.raise_if_aborted()
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.commit()

    def rollback(self) -> None:
        """Roll back what is open."""
        self.aborted = None
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.rollback()

    def raise_if_aborted(self) -> None:
        """Refuse to work on when the transaction was taken away."""
        if self.aborted is not None:
            raise self.aborted

    def read(self, tables: Iterable[TableName], action: Callable[[], Any]) -> Any:
        """Run a query, in the open transaction or alone."""
        self.raise_if_aborted()
        return self.transaction.read(tables, action) if self.transaction else action()

    def write(self, target: TableName, use: Use, tables: Iterable[TableName], action: Callable[[], Any]) -> Any:
        """Run a change of data under its lock, in the open transaction or in one of its own."""
        self.raise_if_aborted()
        alone = self.transaction is None and self.autocommit
        transaction = self.begin()
        try:
            self.hold(transaction, target, use)
            result = transaction.write(target, tables, action)
        except BaseException:
            if alone:
                self.rollback()
            raise
        if alone:
            self.commit()
        return result

    def define(self, target: TableName | None, action: Callable[[], Any]) -> Any:
        """Run a definition: it commits what is open and then stands alone."""
        self.commit()
        if target is None or target in self.temporary:
            with self.warehouse.defining:
                return action()
        ticket = Ticket()
        try:
            self.hold(ticket, target, Use.DEFINE)
            with self.warehouse.defining:
                result = action()
            self.warehouse.commits.note([target])
            return result
        finally:
            self.warehouse.locks.release(ticket)

    def hold(self, holder: Holder, target: TableName, use: Use) -> None:
        """Take the lock of a table; temporary ones are the session's own and need none."""
        if target not in self.temporary:
            self.warehouse.locks.acquire(holder, target, use, self.lock_timeout, lambda: self.cancelled)

    def spelling(self, table: TableName) -> str | None:
        """Give `schema.table` with the capitals it was created with."""
        return self.temporary.get(table) or self.warehouse.spelling.get(table)

    def cancel(self) -> None:
        """End the running statement."""
        self.cancelled = True
        self.duck.interrupt()

    def abort_if_abandoned(self, transaction: Transaction) -> None:
        """Roll back a transaction whose client is gone or silent; a running statement is never touched."""
        if not self.lock.acquire(blocking=False):
            return
        try:
            silent = now() - self.last_used
            patience = self.warehouse.patience
            if self.transaction is transaction and silent > (patience.idle if self.links else patience.detached):
                self.rollback()
                text = f"Transaction {transaction.id} was aborted: it was idle and blocked another one."
                self.aborted = SnowflakeError(90231, "57014", text)
        finally:
            self.lock.release()

    def close(self) -> None:
        """Roll back what is open and end."""
        with self.lock:
            with contextlib.suppress(duckdb.Error):
                self.rollback()
            self.duck.close()


class Sessions:
    """The sessions that are logged in, by token."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self._by_token: dict[str, Session] = {}

    def open(self, login: dict[str, Any], database: str | None, schema: str | None) -> Session:
        """Log a client in, whoever it says it is."""
        session = Session(self.warehouse, login, database, schema)
        self._by_token[session.token] = self._by_token[session.master_token] = session
        return session

    def get(self, token: str) -> Session:
        """Give the session of a token; raises 390104."""
        try:
            return self._by_token[token]
        except KeyError:
            raise SnowflakeError(390104, "08001", "User must login again to access the service.") from None

    def close(self, token: str) -> None:
        """Log a client out."""
        session = self.get(token)
        self._by_token = {key: value for key, value in self._by_token.items() if value is not session}
        session.close()

    def unlink(self, link: object) -> None:
        """Forget a TCP connection that ended."""
        for session in list(self._by_token.values()):
            session.links.discard(link)
