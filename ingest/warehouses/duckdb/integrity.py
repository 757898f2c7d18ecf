"""Whether a file's bytes are what its footer says, and why one does not load. Answers never hold values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_LONG = 200
"""Bytes per value from which on a column's values are not held against its statistics: it would cost too much."""
_MANY = 100_000
"""Rows of a file from which on the same goes for text of any length."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What must hold of a column's values; instants in microseconds since 1970."""

    nulls: int | None
    bounds: tuple[int, int] | tuple[str, str] | None = None


def is_about_the_data(error: duckdb.Error) -> bool:
    """Tell a file's fault from the surroundings': found by damaging files at random and filling the disk."""
    if isinstance(error, (duckdb.TransactionException, duckdb.OutOfMemoryException, duckdb.InterruptException)):
        return False
    return _ENVIRONMENT.search(str(error)) is None


def keep_their_word(
    cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad], dataset: Dataset, *, verify: bool
) -> bool:
    """Tell whether required columns have no nulls, and values keep the bounds and null counts of their own footers.

    DuckDB takes damaged pages for good where they still decode: the footer's statistics catch about half of such
    damage. They are left aside without `verify`.
    """
    stated = _stated(cursor, files) if verify else {}
    return all(_kept(cursor, group, dataset, stated) for group in by_shape(files))


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
            # A column of the null type is not read when it is loaded, either: its pages may be anything.
            empty = field.reading is Reading.EMPTY
            nulls, misfits = (file.fit.rows, 0) if empty else _count(cursor, file.path, field, column)
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            return ContractBroken(
                f"column {column.name!r}: expected {column.kind}, found values of {field.physical} that do not fit.",
                hint="Nothing of the file was loaded; its blob is kept.",
            )
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
    try:
        kept = keep_their_word(cursor, [file], dataset, verify=verify)
    except duckdb.Error as error:
        if not is_about_the_data(error):
            raise
        return FileUnreadable(
            f"what its footer says of its columns cannot be read ({type(error).__name__}): it is damaged.",
            hint="Have it exported again; the blob is kept.",
        )
    if not kept:
        return FileUnreadable(
            "values lie outside the bounds that the file's own footer states: it is damaged behind its footer.",
            hint="Have it exported again; the blob is kept. If every file says so, its writer's statistics are wrong: "
            "set VERIFY_STATISTICS=false and replay.",
        )
    return None


_Stated = Mapping[tuple[str, str], Sequence[Any]]
"""By path and column: nulls, and the least and greatest value as text and as an instant."""


def _stated(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad]) -> _Stated:
    """Read the statistics of all chunks, summed up by file and column."""
    paths = ", ".join(literal(str(file.path)) for file in files)
    found = cursor.execute(
        "SELECT file_name, path_in_schema, "
        "CASE WHEN bool_and(stats_null_count IS NOT NULL) THEN sum(stats_null_count)::BIGINT END, "
        "list(stats_min_value) FILTER (stats_null_count < num_values), "
        "list(stats_max_value) FILTER (stats_null_count < num_values), "
        "min(epoch_us(TRY_CAST(stats_min_value AS TIMESTAMP))), max(epoch_us(TRY_CAST(stats_max_value AS TIMESTAMP))) "
        f"FROM parquet_metadata([{paths}]) GROUP BY ALL "
        f"HAVING sum(total_uncompressed_size) <= {_LONG} * greatest(1, sum(num_values))"
    ).fetchall()
    return {(row[0], row[1]): row[2:] for row in found}


def _words(file: FileToLoad, dataset: Dataset, stated: _Stated) -> dict[str, _Word]:
    words = ((name, _word(file, name, field, dataset, stated)) for name, field in file.fit.fields.items())
    return {name: word for name, word in words if word is not None}


def _word(file: FileToLoad, name: str, field: Field, dataset: Dataset, stated: _Stated) -> _Word | None:
    declared = dataset.lookup.get(name)
    required = declared is not None and declared.required
    known = stated.get((str(file.path), field.name))
    if known is None or known[0] is None or field.reading is not Reading.CAST:
        return _Word(0) if required else None
    nulls, lowest, highest, earliest, latest = known
    if field.kind is Kind.STRING and file.fit.rows > _MANY and not (required and nulls):
        return None
    return _Word(0 if required else nulls, _bounds(field.kind, lowest, highest, (earliest, latest)))


def _bounds(
    kind: Kind | None, lowest: Sequence[str | None] | None, highest: Sequence[str | None] | None, instants: Any
) -> tuple[int, int] | tuple[str, str] | None:
    """Return the bounds that a column's chunks state together, if every chunk with values states any."""
    if not lowest or not highest or None in lowest or None in highest:
        return None
    least, greatest = [text for text in lowest if text is not None], [text for text in highest if text is not None]
    if kind is Kind.TIMESTAMP:
        return None if None in instants else (instants[0], instants[1])
    if kind is Kind.INTEGER:
        return min(map(int, least)), max(map(int, greatest))
    # DuckDB writes what is not text, such as bounds cut short within a character, with backslashes.
    if kind is Kind.STRING and not any("\\" in text for text in (*least, *greatest)):
        return min(least), max(greatest)
    return None


def _kept(cursor: duckdb.DuckDBPyConnection, files: Sequence[FileToLoad], dataset: Dataset, stated: _Stated) -> bool:
    fields = files[0].fit.fields
    words = [
        {
            name: word
            for name, field in fields.items()
            if (word := _word(file, name, field, dataset, stated)) is not None
        }
        for file in files
    ]
    names = sorted({name for word in words for name in word})
    if not names:
        return True
    measures = ", ".join(measure for name in names for measure in _measures(fields[name]))
    found = cursor.execute(f"SELECT parquet.{PATH}, {measures} FROM {scan(files)} GROUP BY ALL").fetchall()
    measured = {row[0]: row[1:] for row in found}
    return all(
        file.fit.rows == 0 if (row := measured.get(str(file.path))) is None else _matches(word, names, row)
        for file, word in zip(files, words, strict=True)
    )


def _measures(field: Field) -> tuple[str, str, str]:
    name = f"parquet.{quoted(field.name)}"
    value = f"epoch_us({name})" if field.kind is Kind.TIMESTAMP else name
    return f"min({value})", f"max({value})", f"count(*) - count({name})"


def _matches(words: Mapping[str, _Word], names: Sequence[str], row: Sequence[Any]) -> bool:
    for number, name in enumerate(names):
        lowest, highest, nulls = row[3 * number : 3 * number + 3]
        word = words.get(name, _Word(None))
        if word.nulls is not None and nulls != word.nulls:
            return False
        if word.bounds is not None and lowest is not None:
            least, greatest = word.bounds
            if not least <= lowest <= highest <= greatest:
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
