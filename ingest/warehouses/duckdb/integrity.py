"""Whether a file's bytes are what its footer says, and why one does not load. Answers never hold values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from ingest.contract import Field, Reading
from ingest.datasets import Column, Dataset, Kind
from ingest.errors import ContractBroken, FileUnreadable, Rejection
from ingest.ports import FileToLoad
from ingest.warehouses.duckdb.reading import PATH, TYPES, by_shape, expression, literal, quoted, scan

_ENVIRONMENT = re.compile(r"no space left|disk quota|could not write|max_temp_directory_size", re.IGNORECASE)


def is_about_the_data(error: duckdb.Error) -> bool:
    """Tell a file's fault from the surroundings': found by damaging files at random and filling the disk."""
    if isinstance(error, (duckdb.TransactionException, duckdb.OutOfMemoryException, duckdb.InterruptException)):
        return False
    return _ENVIRONMENT.search(str(error)) is None


def stated_bounds(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad]) -> bool:
    """Tell whether every file's values keep the bounds and null counts that its own footer states.

    DuckDB takes damaged pages for good where they still decode: this catches about half of such damage.
    """
    return all(_bounds_kept(cursor, group) for group in by_shape(files))


def diagnose(
    cursor: duckdb.DuckDBPyConnection, file: FileToLoad, dataset: Dataset, columns: Sequence[Column]
) -> Rejection | None:
    """Find out why one file does not load. The answer holds names, types and counts, never values.

    None when nothing is wrong with it by itself.
    """
    for column in columns:
        field = file.fit.fields.get(column.name)
        if field is None:
            continue
        try:
            nulls, misfits = _count(cursor, file.path, field, column)
        except duckdb.Error as error:
            if not is_about_the_data(error):
                raise
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
    if not _bounds_kept(cursor, [file]):
        return FileUnreadable(
            "values lie outside the bounds that the file's own footer states: it is damaged behind its footer.",
            hint="Have it exported again; the blob is kept. If every file says so, its writer's statistics are wrong: "
            "set VERIFY_STATISTICS=false and replay.",
        )
    return None


def _bounds_kept(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad]) -> bool:
    fields = [field for field in files[0].fit.fields.values() if _bounded(field, files)]
    if not fields:
        return True
    measures = [measure for field in fields for measure in _measures(field)]
    rows = cursor.execute(
        f"SELECT batch_files.file_no, {', '.join(measures)} FROM {scan(files)} "
        f"JOIN batch_files ON batch_files.path = parquet.{PATH} GROUP BY ALL"
    ).fetchall()
    by_path = dict(cursor.execute("SELECT file_no, path FROM batch_files").fetchall())
    measured = {by_path[row[0]]: row[1:] for row in rows}
    return all(_keeps(file, [field.name for field in fields], measured.get(str(file.path))) for file in files)


def _bounded(field: Field, files: Sequence[FileToLoad]) -> bool:
    return any(
        other.bounds is not None for file in files for other in file.fit.fields.values() if other.name == field.name
    )


def _measures(field: Field) -> tuple[str, str, str]:
    name = f"parquet.{quoted(field.name)}"
    value = f"epoch_us({name})" if field.kind is Kind.TIMESTAMP else name
    return f"min({value})", f"max({value})", f"count(*) - count({name})"


def _keeps(file: FileToLoad, names: Sequence[str], measured: Sequence[Any] | None) -> bool:
    if measured is None:
        return file.fit.rows == 0
    fields = {field.name: field for field in file.fit.fields.values()}
    for number, name in enumerate(names):
        lowest, highest, nulls = measured[3 * number : 3 * number + 3]
        field = fields[name]
        if field.nulls is not None and nulls != field.nulls:
            return False
        if (
            field.bounds is not None
            and lowest is not None
            and not field.bounds[0] <= lowest <= highest <= field.bounds[1]
        ):
            return False
    return True


def _count(cursor: duckdb.DuckDBPyConnection, path: Path, field: Field, column: Column) -> tuple[int, int]:
    """Count nulls and values that do not fit."""
    name = f"parquet.{quoted(field.name)}"
    flat = field.reading is Reading.CAST and column.kind is not Kind.TIMESTAMP
    fits = f"TRY_CAST({name} AS {TYPES[column.kind]})" if flat else expression(field, column)
    row = cursor.execute(
        f"SELECT count(*) FILTER ({name} IS NULL), count(*) FILTER ({name} IS NOT NULL AND {fits} IS NULL) "
        f"FROM read_parquet({literal(str(path))}) AS parquet"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
