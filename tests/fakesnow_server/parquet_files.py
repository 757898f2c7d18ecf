"""Read a parquet file in the columns and types of a table, and say what does not fit."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from fakesnow_server.errors import DAMAGED_FILE, FAILED_CAST, NULL_RESULT
from fakesnow_server.physical import identifier
from fakesnow_server.stages import LocalCopy

if TYPE_CHECKING:
    from fakesnow_server.copying import Order
    from fakesnow_server.transformation import Item


METADATA = {
    "METADATA$FILENAME",
    "METADATA$FILE_ROW_NUMBER",
    "METADATA$FILE_LAST_MODIFIED",
    "METADATA$FILE_CONTENT_KEY",
    "METADATA$START_SCAN_TIME",
}
VARIANT_TYPES = {"BIGINT": "FIXED", "DOUBLE": "REAL", "TIMESTAMP": "TIMESTAMP_NTZ", "BLOB": "BINARY", "VARCHAR": "TEXT"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table that is loaded."""

    name: str
    kind: str
    nullable: bool


@dataclass(slots=True)
class FileError(Exception):
    """A file that cannot be loaded, and why."""

    errno: int
    message: str
    line: int | None = None
    column: str | None = None
    parsed: int = field(default=0)


@dataclass(frozen=True, slots=True)
class Filling:
    """What fills a column of the table: the value as the file has it, and as the table takes it."""

    column: Column
    raw: str
    value: str


def read_rows(
    cursor: duckdb.DuckDBPyConnection, copy: LocalCopy, name: str, order: Order, columns: list[Column]
) -> pa.Table:
    """Read a file's rows in the table's columns and types; raises FileError."""
    source = f"read_parquet({text(str(copy.path))}, file_row_number = true)"
    try:
        described = cursor.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise FileError(DAMAGED_FILE, f"Error parsing the parquet file: {first_line(error)}") from None
    kinds = {row[0]: row[1] for row in described if row[0] != "file_row_number"}
    fillings = [filling(column, kinds, copy, name, order) for column in columns]
    selected = ", ".join(f"{one.value} AS {identifier(one.column.name)}" for one in fillings)
    try:
        rows = cursor.execute(f"SELECT {selected} FROM {source}").to_arrow_table()
    except (duckdb.ConversionException, duckdb.BinderException, duckdb.OutOfRangeException):
        raise misfit(cursor, source, order, fillings) from None
    except duckdb.Error as error:
        raise FileError(DAMAGED_FILE, f"Error parsing the parquet file: {first_line(error)}") from None
    refuse_nulls(rows, order, columns)
    return rows


def filling(column: Column, kinds: dict[str, str], copy: LocalCopy, name: str, order: Order) -> Filling:
    """Choose what fills a column of the table: metadata, a column of the file, or NULL."""
    if order.items is not None:
        return selected_filling(column, kinds, copy, name, order.items.get(column.name))
    for target, metadata in order.metadata.items():
        if target.upper() == column.name.upper():
            return Filling(column, "NULL", f"CAST({metadata_value(metadata, copy, name)} AS {column.kind})")
    same = (lambda one: one) if order.by_name == "CASE_SENSITIVE" else str.upper
    matching = [candidate for candidate in kinds if same(candidate) == same(column.name)]
    if not matching:
        return Filling(column, "NULL", f"CAST(NULL AS {column.kind})")
    raw = identifier(matching[0])
    return Filling(column, raw, cast(raw, kinds[matching[0]], column.kind))


def selected_filling(column: Column, kinds: dict[str, str], copy: LocalCopy, name: str, item: Item | None) -> Filling:
    """Choose what the SELECT of the COPY says; names in `$1:"name"` are as they are written."""
    if item is not None and item.metadata is not None:
        return Filling(column, "NULL", f"CAST({metadata_value(item.metadata, copy, name)} AS {column.kind})")
    present = [identifier(one) for one in (item.names if item is not None else ()) if one in kinds]
    if not present:
        return Filling(column, "NULL", f"CAST(NULL AS {column.kind})")
    values = [cast(one, kinds[one[1:-1].replace('""', '"')], column.kind) for one in present]
    return Filling(column, present[0], values[0] if len(values) == 1 else f"coalesce({', '.join(values)})")


def metadata_value(metadata: str, copy: LocalCopy, name: str) -> str:
    """Write what Snowflake knows of a file and its rows."""
    match metadata:
        case "METADATA$FILENAME":
            return text(name)
        case "METADATA$FILE_ROW_NUMBER":
            return "(file_row_number + 1)"
        case "METADATA$FILE_LAST_MODIFIED":
            return f"TIMESTAMP '{copy.modified.isoformat(' ')}'"
        case "METADATA$FILE_CONTENT_KEY":
            return text(hashlib.md5(copy.path.read_bytes()).hexdigest())
    return f"TIMESTAMP '{dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(' ')}'"


def cast(value: str, have: str, want: str) -> str:
    """Write the conversion of a file's value to the column's type; instants are UTC."""
    if have == want:
        return value
    if want == "VARCHAR" and have.startswith(("STRUCT", "MAP")) or (want == "VARCHAR" and have.endswith("[]")):
        return f"CAST(to_json({value}) AS VARCHAR)"
    if want == "JSON":
        return f"to_json({value})"
    if want == "TIMESTAMP" and have in {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}:
        return f"CAST({value} AT TIME ZONE 'UTC' AS TIMESTAMP)"
    if want == "VARCHAR" and have == "BLOB":
        return f"decode({value})"
    if want == "BLOB" and have == "VARCHAR":
        return f"unhex({value})"
    if want == "TIMESTAMP" and have == "BIGINT":
        return f"make_timestamp({value})"
    return f"CAST({value} AS {want})"


def misfit(cursor: duckdb.DuckDBPyConnection, source: str, order: Order, fillings: list[Filling]) -> FileError:
    """Find the first column and row whose value does not fit, and say it as Snowflake does."""
    parsed = count(cursor, f"SELECT count(*) FROM {source}")
    for one in fillings:
        try:
            cursor.execute(f"SELECT {one.value} FROM {source}").fetchall()
        except duckdb.Error as error:
            wrong = f"{one.raw} IS NOT NULL"
            if one.value.startswith("CAST(") and not isinstance(error, duckdb.BinderException):
                wrong += f" AND TRY_{one.value} IS NULL"
            line = count(cursor, f"SELECT min(file_row_number) + 1 FROM {source} WHERE {wrong}")
            row = cursor.execute(f"SELECT {one.raw} FROM {source} WHERE file_row_number = {line - 1}").fetchone()
            shown = json.dumps(row[0] if row else None, default=str)
            message = f"Failed to cast variant value {shown} to {VARIANT_TYPES.get(one.column.kind, one.column.kind)}"
            where = path_of(order, [each.column for each in fillings], one.column)
            return FileError(FAILED_CAST, message, line, where, parsed)
    return FileError(FAILED_CAST, "Failed to cast variant value", parsed=parsed)


def refuse_nulls(rows: pa.Table, order: Order, columns: list[Column]) -> None:
    """Raise for the first NULL in a column that takes none."""
    for at, column in enumerate(columns):
        if not column.nullable and rows.column(at).null_count:
            line = rows.column(at).is_null().index(value=True).as_py() + 1
            where = path_of(order, columns, column)
            raise FileError(NULL_RESULT, "NULL result in a non-nullable column", line, where, rows.num_rows)


def path_of(order: Order, columns: list[Column], column: Column) -> str:
    """Name a column as Snowflake does in first_error_column_name."""
    return f'"{order.table[2]}"["{column.name}":{columns.index(column) + 1}]'


def count(cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Run a query for one number."""
    row = cursor.execute(sql).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def text(value: str) -> str:
    """Write a text literal for DuckDB."""
    return "'" + value.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """Give the first line of a message."""
    return str(error).splitlines()[0]
