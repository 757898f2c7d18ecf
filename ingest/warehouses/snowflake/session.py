"""Sessions with Snowflake: opened when needed, one user at a time, every statement tagged, every error translated."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import snowflake.connector
from snowflake.connector import SnowflakeConnection, errors
from snowflake.connector.cursor import SnowflakeCursor

from ingest.spans import span
from ingest.warehouses.snowflake.faults import Trouble, translated

# The connector writes addresses, accounts and causes at INFO, and statements at DEBUG.
logging.getLogger("snowflake.connector").setLevel(logging.WARNING)

PARAMETERS: Mapping[str, Any] = {
    "TIMEZONE": "UTC",
    "LOCK_TIMEOUT": 30,
    "STATEMENT_TIMEOUT_IN_SECONDS": 900,
    # What a killed worker has begun is given up by Snowflake rather than kept open.
    "ABORT_DETACHED_QUERY": True,
    # After a failed statement nothing more gets through, so that no COMMIT can keep half a batch.
    "TRANSACTION_ABORT_ON_ERROR": True,
}
APPLICATION = "customerio_ingest"
_LIMITS = {"login_timeout": 30, "network_timeout": 60}
"""Seconds for which the connector itself tries again."""


class Session:
    """One connection, lent to one thread."""

    def __init__(self, connection: SnowflakeConnection, tag: Mapping[str, Any]) -> None:
        self._connection = connection
        self._tag = json.dumps(dict(tag), separators=(",", ":"))
        self.broken = False

    def rows(self, doing: str, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return a statement's rows. `doing` completes the sentence "Snowflake failed to ..."."""
        with self._executed(doing, statement, values) as cursor:
            return list(cursor.fetchall())

    def named_rows(self, doing: str, statement: str) -> list[dict[str, Any]]:
        """Return a statement's rows by column name, in lower case."""
        with self._executed(doing, statement, ()) as cursor:
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def run(self, doing: str, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        with self._executed(doing, statement, values) as cursor:
            return cursor.rowcount or 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end; roll back whatever is raised. Only DML and queries may stand inside."""
        self.run("begin", "BEGIN")
        try:
            yield
            with span("commit"):
                self.run("commit", "COMMIT")
        except BaseException:
            # A session that cannot even roll back is not used again: Snowflake rolls back what it leaves open.
            try:
                self.run("roll back", "ROLLBACK")
            except Trouble:
                self.broken = True
            raise

    @contextmanager
    def _executed(self, doing: str, statement: str, values: Sequence[Any]) -> Iterator[SnowflakeCursor]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, tuple(values) or None, _statement_params={"QUERY_TAG": self._tag})
                yield cursor
        except errors.Error as error:
            raise self._translated(error, doing) from None  # its message may hold values
        except OSError as error:
            self.broken = True
            raise Trouble(f"Snowflake did not answer ({type(error).__name__}) when asked to {doing}.") from error

    def _translated(self, error: errors.Error, doing: str) -> Exception:
        found = translated(error, doing)
        self.broken = self.broken or (isinstance(found, Trouble) and found.transient)
        return found

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        with suppress(errors.Error, OSError):
            self._connection.close()


class Sessions:
    """A few connections to one account, lent one at a time and kept for the next."""

    def __init__(self, arguments: Callable[[], Mapping[str, Any]]) -> None:
        self._arguments = arguments
        self._idle: list[SnowflakeConnection] = []
        self._lock = threading.Lock()

    @contextmanager
    def session(self, **tag: Any) -> Iterator[Session]:
        """Lend a session whose statements carry a query tag. Raises Trouble when none can be opened."""
        session = Session(self._taken() or self._opened(), {"app": APPLICATION, **tag})
        try:
            yield session
        except BaseException as error:
            session.broken = session.broken or not isinstance(error, Exception)
            raise
        finally:
            if session.broken:
                session.close()
            else:
                with self._lock:
                    self._idle.append(session._connection)  # noqa: SLF001  (its own session)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            Session(connection, {}).close()

    def _taken(self) -> SnowflakeConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _opened(self) -> SnowflakeConnection:
        try:
            return snowflake.connector.connect(
                **self._arguments(),
                **_LIMITS,
                application=APPLICATION,
                autocommit=True,
                paramstyle="qmark",
                session_parameters=dict(PARAMETERS),
            )
        except errors.Error as error:
            raise translated(error, "sign in") from None
        except OSError as error:
            raise Trouble(f"Snowflake did not answer ({type(error).__name__}) when asked to sign in.") from error
