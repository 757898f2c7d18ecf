"""Errors as Snowflake numbers them, made from those of DuckDB, sqlglot and fakesnow."""

from __future__ import annotations

import re
from dataclasses import dataclass

import duckdb
import snowflake.connector.errors
from sqlglot.errors import SqlglotError


@dataclass
class SnowflakeError(Exception):
    """Say what failed, as the real service would."""

    errno: int
    sqlstate: str
    message: str

    def __str__(self) -> str:
        return f"{self.errno:06d} ({self.sqlstate}): {self.message}"


LOCKED = 625
NULL_RESULT = 100072
NOT_RECOGNISED = 100038
FAILED_CAST = 100071
DUPLICATE_ROW = 100090
FILE_NOT_FOUND = 91016
DAMAGED_FILE = 100182
CANCELLED = 604

# The most special class first. DuckDB's own text stays in the message: it helps whoever reads a red test.
BY_CLASS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (duckdb.CatalogException, 2003, "42S02", "SQL compilation error:\nObject does not exist or not authorized. {}"),
    (duckdb.BinderException, 904, "42000", "SQL compilation error:\ninvalid identifier or argument. {}"),
    (duckdb.ParserException, 1003, "42000", "SQL compilation error:\nsyntax error. {}"),
    (duckdb.ConversionException, NOT_RECOGNISED, "22018", "{}"),
    (duckdb.OutOfRangeException, 100132, "22003", "{}"),
    (duckdb.InterruptException, CANCELLED, "57014", "SQL execution canceled"),
    (SqlglotError, 1003, "42000", "SQL compilation error:\n{}"),
    (NotImplementedError, 9999, "0A000", "the stand-in cannot do this: {}"),
)


def snowflake_error(error: Exception) -> SnowflakeError:
    """Give any error the number and state the real service would give it."""
    if isinstance(error, SnowflakeError):
        return error
    text = str(error)
    if isinstance(error, snowflake.connector.errors.Error):
        return SnowflakeError(error.errno, error.sqlstate or "XX000", error.raw_msg or text)
    if isinstance(error, duckdb.ConstraintException) and "NOT NULL" in text:
        column = text.rpartition(".")[2].strip()
        return SnowflakeError(NULL_RESULT, "22000", f"NULL result in a non-nullable column {column}")
    if "same target row more than once" in text:
        return SnowflakeError(DUPLICATE_ROW, "42P18", "Duplicate row detected during DML action")
    for kind, errno, sqlstate, message in BY_CLASS:
        if isinstance(error, kind):
            return SnowflakeError(errno, sqlstate, message.format(without_colours(text)))
    return SnowflakeError(603, "XX000", f"SQL execution internal error: {type(error).__name__} {text}")


def without_colours(text: str) -> str:
    """Take sqlglot's underlining for terminals out of a message."""
    return re.sub("\x1b\\[[0-9;]*m", "", text)


def no_such(kind: str, name: str) -> SnowflakeError:
    """Say that an object does not exist, in Snowflake's words."""
    return SnowflakeError(2003, "02000", f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.")


def syntax(message: str) -> SnowflakeError:
    """Say that the statement cannot be read."""
    return SnowflakeError(1003, "42000", f"SQL compilation error:\nsyntax error: {message}")
