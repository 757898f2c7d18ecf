"""COPY INTO a table from parquet files on a stage, with Snowflake's results and errors per file."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from fakesnow_server import answers, options
from fakesnow_server.answers import Answer
from fakesnow_server.errors import FAILED_CAST, FILE_NOT_FOUND, NULL_RESULT, SnowflakeError, syntax
from fakesnow_server.locks import TableName, Use
from fakesnow_server.parquet_files import METADATA, Column, FileError, read_rows
from fakesnow_server.physical import identifier, physical
from fakesnow_server.stages import LocalCopy, Place, full_name
from fakesnow_server.transformation import COPY_SELECT, Item, items

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session

COPY = re.compile(
    r'COPY\s+INTO\s+(?P<table>[\w$".]+)\s+FROM\s+(?P<source>@"?[^\s;\']+|\'(?:[^\']|\'\')*\')\s*(?P<options>.*)',
    re.IGNORECASE | re.DOTALL,
)
MOST_FILES = 1000
KNOWN_OPTIONS = {
    "FILES", "PATTERN", "FILE_FORMAT", "ON_ERROR", "FORCE", "PURGE", "MATCH_BY_COLUMN_NAME", "INCLUDE_METADATA",
    "SIZE_LIMIT", "TRUNCATECOLUMNS", "ENFORCE_LENGTH", "LOAD_UNCERTAIN_FILES", "RETURN_FAILED_ONLY",
}  # fmt: skip
RESULT = (
    "file", "status", "rows_parsed", "rows_loaded", "error_limit", "errors_seen",
    "first_error", "first_error_line", "first_error_character", "first_error_column_name",
)  # fmt: skip
ADVICE = (
    "If you would like to continue loading when an error is encountered, use other values such as 'SKIP_FILE' or "
    "'CONTINUE' for the ON_ERROR option. For more information on loading options, please run 'info loading_data' in a "
    "SQL client."
)


@dataclass(frozen=True, slots=True)
class Order:
    """A COPY statement, read."""

    table: TableName
    place: Place
    files: list[str] | None
    pattern: str | None
    metadata: dict[str, str]
    by_name: str
    items: dict[str, Item] | None
    """What fills each column, where a SELECT says so."""
    on_error: str
    force: bool
    purge: bool


@dataclass(slots=True)
class FileResult:
    """What became of one file."""

    shown: str
    metadata_name: str
    status: str = "LOADED"
    parsed: int = 0
    rows: pa.Table | None = None
    errno: int = 0
    error: str | None = None
    line: int | None = None
    column: str | None = None

    def row(self) -> list[Any]:
        """Give the line of the result set."""
        loaded = self.parsed if self.status == "LOADED" else 0
        failed = self.error is not None
        character = 0 if failed and self.line is not None else None
        return [
            self.shown, self.status, self.parsed, loaded, 1, int(failed), self.error, self.line, character, self.column,
        ]  # fmt: skip


def copy_into(session: Session, sql: str) -> Answer:
    """Load files into a table and answer a row per file."""
    order = read_order(session, sql)
    columns = table_columns(session, order.table)
    refuse_unknown(order, columns)
    with tempfile.TemporaryDirectory(prefix="fakesnow_copy_") as folder:
        results = read_files(session, order, columns, Path(folder))
    if not results:
        return answers.done("Copy executed with 0 files processed.", answers.COPY)
    raise_first_error([result for result in results if ends_statement(result, order.on_error)])
    insert(session, order, columns, [result for result in results if result.rows is not None])
    answer = answers.of_texts(RESULT, [result.row() for result in results], answers.COPY)
    return Answer(answer.table, numbers(answer.rowtype), answers.COPY)


def read_order(session: Session, sql: str) -> Order:
    """Read a COPY statement; what it does not know is a syntax error, as it would be in Snowflake."""
    selecting = COPY_SELECT.fullmatch(sql)
    found = selecting or COPY.fullmatch(sql)
    if not found:
        raise NotImplementedError("COPY of this form")
    given = options.read(found["options"])
    if unknown := set(given) - KNOWN_OPTIONS:
        raise SnowflakeError(1005, "42601", f"SQL compilation error:\ninvalid parameter '{sorted(unknown)[0]}'")
    if selecting and re.match(r"@[^/]*%", found["source"]):
        raise syntax("COPY with a transformation does not read table stages")
    database, schema = session.connection.database, session.connection.schema
    location = found["source"].strip("'")
    files = given.get("FILES")
    if files is not None and len(files) > MOST_FILES:
        raise SnowflakeError(1046, "22023", f"the number of files in FILES exceeds the maximum of {MOST_FILES}")
    return Order(
        table=full_name(found["table"], database, schema),
        place=session.warehouse.stages.place(location, database, schema, session.user),
        files=files,
        pattern=given.get("PATTERN"),
        metadata=metadata_columns(given.get("INCLUDE_METADATA") or {}),
        by_name="NONE" if selecting else match_mode(given),
        items=items(selecting["columns"], selecting["items"]) if selecting else None,
        on_error=error_mode(str(given.get("ON_ERROR", "ABORT_STATEMENT")).upper()),
        force=is_true(given.get("FORCE", "FALSE")),
        purge=is_true(given.get("PURGE", "FALSE")),
    )


def match_mode(given: dict[str, Any]) -> str:
    """Give MATCH_BY_COLUMN_NAME after checking what goes with it."""
    file_format = given.get("FILE_FORMAT") or {}
    kind = str(file_format.get("TYPE", "")).upper()
    if kind and kind != "PARQUET":
        raise NotImplementedError(f"files of type {kind}")
    mode = str(given.get("MATCH_BY_COLUMN_NAME", "NONE")).upper()
    if mode not in {"CASE_SENSITIVE", "CASE_INSENSITIVE"}:
        raise SnowflakeError(
            2019,
            "0A000",
            "SQL compilation error:\nPARQUET file format can produce one and only one column of type variant, object, "
            "or array. Load data into separate columns using the MATCH_BY_COLUMN_NAME copy option or copy with "
            "transformation.",
        )
    return mode


def metadata_columns(given: dict[str, str]) -> dict[str, str]:
    """Give the metadata that goes into each column."""
    if unknown := [value for value in given.values() if str(value).upper() not in METADATA]:
        raise syntax(f"unexpected '{unknown[0]}' in INCLUDE_METADATA")
    return {name: str(value).upper() for name, value in given.items()}


def error_mode(given: str) -> str:
    """Give ON_ERROR after checking it."""
    if given not in {"SKIP_FILE", "ABORT_STATEMENT", "CONTINUE"}:
        raise NotImplementedError(f"ON_ERROR = {given}")
    return given


def is_true(value: Any) -> bool:
    """Read a switch."""
    return str(value).upper() == "TRUE"


def table_columns(session: Session, table: TableName) -> list[Column]:
    """Give the columns of the table that is loaded."""
    sql = f"DESCRIBE {physical(session, table)}"
    rows = session.read([table], lambda: session.duck.execute(sql).fetchall())
    return [Column(name, kind, null == "YES") for name, kind, null, *_ in rows]


def refuse_unknown(order: Order, columns: list[Column]) -> None:
    """Refuse metadata for columns the table has not: Snowflake does not add them."""
    names = {column.name.upper() for column in columns}
    for name in (*order.metadata, *(order.items or {})):
        if name.upper() not in names:
            raise SnowflakeError(904, "42000", f"SQL compilation error: error line 1\ninvalid identifier '{name}'")


def read_files(session: Session, order: Order, columns: list[Column], folder: Path) -> list[FileResult]:
    """Read all files apart from the transaction, so that a bad one cannot harm it."""
    files = chosen_files(order)
    key = (order.table[0].upper(), order.table[1].upper(), order.table[2].upper())
    results = [FileResult(order.place.shown + name, name) for name in files]
    wanted = [r for r in results if order.force or (key, r.shown) not in session.warehouse.loaded]
    copies = order.place.fetch([result.metadata_name for result in wanted], folder)
    local = {result.metadata_name: copy for result, copy in zip(wanted, copies, strict=True)}
    with session.duck.cursor() as cursor:
        for result in results:
            if result.metadata_name in local:
                fill(cursor, result, local[result.metadata_name], order, columns)
            else:
                result.status, result.error = "LOAD_SKIPPED", "File was loaded before."
    return results


def chosen_files(order: Order) -> list[str]:
    """Give the METADATA$FILENAME of each file to load."""
    if order.files is not None:
        return list(dict.fromkeys(order.place.of(name) for name in order.files))
    staged = list(order.place.list())
    if order.pattern is not None:
        pattern = re.compile(order.pattern)
        staged = [s for s in staged if pattern.fullmatch(s.metadata_name) or pattern.fullmatch(s.shown)]
    return [one.metadata_name for one in staged]


def fill(
    cursor: duckdb.DuckDBPyConnection, result: FileResult, copy: LocalCopy | None, order: Order, columns: list[Column]
) -> None:
    """Put a file's rows, or the reason why there are none, into its result."""
    try:
        if copy is None:
            raise FileError(FILE_NOT_FOUND, missing_text(result.shown))
        result.rows = read_rows(cursor, copy, result.metadata_name, order, columns)
        result.parsed = result.rows.num_rows
    except FileError as error:
        result.status, result.error, result.errno = "LOAD_FAILED", error.message, error.errno
        result.line, result.column, result.parsed = error.line, error.column, error.parsed


def ends_statement(result: FileResult, on_error: str) -> bool:
    """Say whether a bad file ends the statement: CONTINUE goes on after unreadable parquet, not after values."""
    if result.status != "LOAD_FAILED" or on_error == "SKIP_FILE":
        return False
    return on_error == "ABORT_STATEMENT" or result.errno in {FAILED_CAST, NULL_RESULT}


def raise_first_error(results: list[FileResult]) -> None:
    """End the statement with the first bad file, if there is one."""
    for result in results:
        if result.errno == FILE_NOT_FOUND:
            raise SnowflakeError(FILE_NOT_FOUND, "22000", str(result.error))
        where = f"File '{result.shown}', line {result.line or 0}, character 0"
        row = f"\n  Row {result.line}, column {result.column}" if result.column else ""
        state = "22000"
        raise SnowflakeError(result.errno, state, f"{result.error}\n  {where}{row}\n  {ADVICE}")


def insert(session: Session, order: Order, columns: list[Column], results: list[FileResult]) -> None:
    """Insert the rows of all good files at once, then purge them if asked to."""
    if not results:
        return
    rows = pa.concat_tables([result.rows for result in results])
    names = ", ".join(identifier(column.name) for column in columns)
    sql = f"INSERT INTO {physical(session, order.table)} ({names}) SELECT * FROM copied_rows"
    key = (order.table[0].upper(), order.table[1].upper(), order.table[2].upper())

    def action() -> None:
        session.duck.register("copied_rows", rows)
        try:
            session.duck.execute(sql)
        finally:
            session.duck.unregister("copied_rows")

    session.write(key, Use.APPEND, [key], action)
    for result in results:
        session.warehouse.loaded.add((key, result.shown))
        if order.purge:
            order.place.remove(result.metadata_name)


def numbers(rowtype: list[Any]) -> list[Any]:
    """Give the counts of the result their type even where all are NULL."""
    return [
        info | {"type": "fixed", "precision": 38, "scale": 0, "length": None, "byteLength": None}
        if info["name"] in {"first_error_line", "first_error_character"}
        else info
        for info in rowtype
    ]


def missing_text(name: str) -> str:
    """Say that a file is not there, in Snowflake's words."""
    return (
        f"Remote file '{name}' was not found. There are several potential causes. The file might not exist. The "
        "required credentials may be missing or invalid. If you are running a copy command, please make sure files are "
        "not deleted when they are being loaded or files are not being loaded into two different tables concurrently "
        "with auto purge option."
    )
