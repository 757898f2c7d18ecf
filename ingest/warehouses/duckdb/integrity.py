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

_ENVIRONMENT = re.compile(
    r"no space left|disk quota|file too large|could not write|max_temp_directory_size", re.IGNORECASE
)

_Word = tuple[int | None, tuple[int, int] | tuple[str, str] | None]
"""How many nulls a column has, and the bounds of its values."""


def is_about_the_data(error: duckdb.Error) -> bool:
    """Tell a file's fault from the surroundings': found by damaging files at random and filling the disk."""
    if isinstance(error, (duckdb.TransactionException, duckdb.OutOfMemoryException, duckdb.InterruptException)):
        return False
    return _ENVIRONMENT.search(str(error)) is None


def keep_their_word(
    cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad], dataset: Dataset, *, verify: bool
) -> bool:
    """Tell whether every file's values keep the bounds and null counts that its own footer states.

    DuckDB takes damaged pages for good where they still decode: this catches about half of such damage. In required
    columns whose nulls the footer does not state they are counted in any case; without `verify` nothing else is.
    """
    return all(_kept(cursor, group, dataset, verify=verify) for group in by_shape(files))


def diagnose(
    cursor: duckdb.DuckDBPyConnection, file: FileToLoad, dataset: Dataset, columns: Sequence[Column], *, verify: bool
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
    if not keep_their_word(cursor, [file], dataset, verify=verify):
        return FileUnreadable(
            "values lie outside the bounds that the file's own footer states: it is damaged behind its footer.",
            hint="Have it exported again; the blob is kept. If every file says so, its writer's statistics are wrong: "
            "set VERIFY_STATISTICS=false and replay.",
        )
    return None


def _kept(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad], dataset: Dataset, *, verify: bool) -> bool:
    words = [_words(file, dataset, verify=verify) for file in files]
    names = sorted({name for word in words for name in word})
    if not names:
        return True
    fields = files[0].fit.fields
    measures = ", ".join(measure for name in names for measure in _measures(fields[name]))
    rows = cursor.execute(
        f"SELECT parquet.{PATH}, {measures} FROM {scan(files)} GROUP BY ALL",
    ).fetchall()
    measured = {row[0]: row[1:] for row in rows}
    return all(
        file.fit.rows == 0 if (row := measured.get(str(file.path))) is None else _matches(word, names, row)
        for file, word in zip(files, words, strict=True)
    )


def _words(file: FileToLoad, dataset: Dataset, *, verify: bool) -> dict[str, _Word]:
    """Return what is to be held against the values, by column."""
    words: dict[str, _Word] = {}
    for name, field in file.fit.fields.items():
        declared = dataset.lookup.get(name)
        unstated = field.nulls is None and declared is not None and declared.required
        if unstated:
            words[name] = (0, None)
        elif verify and field.bounds is not None:
            words[name] = (field.nulls, field.bounds)
    return words


def _measures(field: Field) -> tuple[str, str, str]:
    name = f"parquet.{quoted(field.name)}"
    value = f"epoch_us({name})" if field.kind is Kind.TIMESTAMP else name
    return f"min({value})", f"max({value})", f"count(*) - count({name})"


def _matches(word: dict[str, _Word], names: Sequence[str], row: Sequence[Any]) -> bool:
    for number, name in enumerate(names):
        lowest, highest, nulls = row[3 * number : 3 * number + 3]
        stated_nulls, bounds = word.get(name, (None, None))
        if stated_nulls is not None and nulls != stated_nulls:
            return False
        if bounds is not None and lowest is not None and not bounds[0] <= lowest <= highest <= bounds[1]:
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
