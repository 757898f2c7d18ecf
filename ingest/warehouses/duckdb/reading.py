"""How parquet files are read by DuckDB: one query per physical shape, each column cast to what its table holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from ingest.contract import Field, Reading
from ingest.datasets import Column, Kind
from ingest.ports import FileToLoad

TYPES: Mapping[Kind, str] = {
    Kind.STRING: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.STRINGS: "VARCHAR[]",
    Kind.NUMBER: "DOUBLE",
}
KINDS: Mapping[str, Kind] = {sql: kind for kind, sql in TYPES.items()}


PATH = "_ingest_path"


def quoted(identifier: str) -> str:
    """Quote an identifier; names of added columns come from outside."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string constant."""
    return "'" + text.replace("'", "''") + "'"


def source(files: Sequence[FileToLoad], columns: Sequence[Column], *more: str) -> str:
    """Return a query over the files' rows: the columns as their table holds them, `_ingest_file`, `_ingest_row` from 1.

    The temporary table `batch_files` is joined by path; `more` are further expressions, over it as a rule.
    """
    return "\nUNION ALL BY NAME\n".join(
        f"SELECT {_columns(group[0].fit.fields, columns)}, "
        f"{', '.join(('batch_files._ingest_file', 'file_row_number + 1 AS _ingest_row', *more))} "
        f"FROM {scan(group)} "
        f"JOIN batch_files ON batch_files.path = parquet.{PATH}"
        for group in by_shape(files)
    )


def _columns(fields: Mapping[str, Field], columns: Sequence[Column]) -> str:
    return ", ".join(f"{expression(fields.get(column.name), column)} AS {quoted(column.name)}" for column in columns)


def expression(field: Field | None, column: Column) -> str:
    """Return how a column is read from the alias `parquet`; a missing one is null."""
    sql_type = TYPES[column.kind]
    if field is None or field.reading is Reading.EMPTY:
        return f"NULL::{sql_type}"
    name = f"parquet.{quoted(field.name)}"
    match field.reading:
        case Reading.BINARY:
            return f"decode({name})"
        case Reading.NESTED:
            return f"to_json({name})::VARCHAR"
        case _ if column.kind is Kind.TIMESTAMP:
            return f"make_timestamp(epoch_us({name}))"  # UTC whatever the session's zone
        case _:
            return f"CAST({name} AS {sql_type})"


def by_shape(files: Sequence[FileToLoad]) -> Collection[Sequence[FileToLoad]]:
    """Group files by what they must share to be read by one query."""
    shapes: dict[object, list[FileToLoad]] = defaultdict(list)
    for file in files:
        shapes[file.fit.signature()].append(file)
    return shapes.values()


def scan(files: Sequence[FileToLoad]) -> str:
    """Return what reads files of one shape, aliased `parquet`, with each row's file under the name of PATH."""
    paths = ", ".join(literal(str(file.path)) for file in files)
    return f"read_parquet([{paths}], filename = '{PATH}', file_row_number = true, hive_partitioning = false) AS parquet"
