"""How parquet files are read by DuckDB: one query per physical shape, each column cast to what its table holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from ingest.contract import Field, Reading
from ingest.datasets import Column, Dataset, Kind
from ingest.errors import ContractBroken, FileUnreadable, Rejection
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

UNREADABLE: tuple[type[duckdb.Error], ...] = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.InvalidInputException,
    duckdb.IOException,
    duckdb.InternalException,
    duckdb.FatalException,
    duckdb.NotSupportedError,
    duckdb.SyntaxException,
)
"""What DuckDB raises over damaged bytes or values that do not fit, by trial."""

_PATH = "_ingest_path"


def quoted(identifier: str) -> str:
    """Quote an identifier; names of added columns come from outside."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string constant."""
    return "'" + text.replace("'", "''") + "'"


def source(files: Sequence[FileToLoad], columns: Sequence[Column], *more: str) -> str:
    """Return a query over the files' rows: the columns as their table holds them, `file_no` and `row_no` (from 1).

    The temporary table `batch_files` is joined by path; `more` are further expressions, over it as a rule.
    """
    shapes: dict[object, list[FileToLoad]] = defaultdict(list)
    for file in files:
        shapes[file.fit.signature()].append(file)
    return "\nUNION ALL BY NAME\n".join(
        f"SELECT {_columns(group[0].fit.fields, columns)}, "
        f"{', '.join(('batch_files.file_no', 'file_row_number + 1 AS row_no', *more))} "
        f"FROM read_parquet([{', '.join(literal(str(file.path)) for file in group)}], "
        f"filename = '{_PATH}', file_row_number = true, hive_partitioning = false) AS parquet "
        f"JOIN batch_files ON batch_files.path = parquet.{_PATH}"
        for group in shapes.values()
    )


def _columns(fields: Mapping[str, Field], columns: Sequence[Column]) -> str:
    return ", ".join(f"{_expression(fields.get(column.name), column)} AS {quoted(column.name)}" for column in columns)


def _expression(field: Field | None, column: Column) -> str:
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


def diagnose(
    cursor: duckdb.DuckDBPyConnection, file: FileToLoad, dataset: Dataset, columns: Sequence[Column]
) -> Rejection:
    """Find out why one file does not load. The answer holds names, types and counts, never values."""
    for column in columns:
        field = file.fit.fields.get(column.name)
        if field is None:
            continue
        try:
            nulls, misfits = _count(cursor, file.path, field, column)
        except UNREADABLE as error:
            return FileUnreadable(
                f"column {column.name!r} cannot be decoded ({type(error).__name__}): the file is damaged behind its "
                "footer.",
                hint="Have it exported again; the blob is kept.",
            )
        declared = dataset.lookup.get(column.name)
        if nulls and declared is not None and declared.required:
            return ContractBroken(
                f"column {column.name!r}: expected a required {column.kind} without nulls, found {nulls} nulls.",
                hint="Nothing of the file was loaded; its blob is kept.",
            )
        if misfits:
            return ContractBroken(
                f"column {column.name!r}: expected {column.kind}, found {misfits} values of {field.physical} that do "
                "not fit.",
                hint="Nothing of the file was loaded; its blob is kept.",
            )
    return FileUnreadable("the file cannot be read as a whole.", hint="Have it exported again; the blob is kept.")


def _count(cursor: duckdb.DuckDBPyConnection, path: Path, field: Field, column: Column) -> tuple[int, int]:
    """Count nulls and values that do not fit."""
    name = f"parquet.{quoted(field.name)}"
    flat = field.reading is Reading.CAST and column.kind is not Kind.TIMESTAMP
    fits = f"TRY_CAST({name} AS {TYPES[column.kind]})" if flat else _expression(field, column)
    row = cursor.execute(
        f"SELECT count(*) FILTER ({name} IS NULL), count(*) FILTER ({name} IS NOT NULL AND {fits} IS NULL) "
        f"FROM read_parquet({literal(str(path))}) AS parquet"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
