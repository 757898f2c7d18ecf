"""What a parquet footer says of the file's columns, read with pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.contract import Field, Footer, Reading
from ingest.datasets import Kind
from ingest.errors import FileUnreadable

_LONG = 200
"""Bytes per value from which on a column's values are not held against its statistics: it would cost too much."""


def read_footer(path: Path) -> Footer:
    """Read the footer of a local file. Raises FileUnreadable if there is none."""
    if path.stat().st_size == 0:
        raise FileUnreadable("the file is empty (0 bytes).", hint="Have it exported again; the blob is kept.")
    try:
        with pq.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
            chunks = _chunks(metadata)
            twins = {name for name, times in Counter(schema.names).items() if times > 1}
            fields = tuple(_field(field, () if field.name in twins else chunks.get(field.name, ())) for field in schema)
            return Footer(metadata.num_rows, fields)
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise FileUnreadable(
            f"no parquet footer can be read ({type(error).__name__}): cut short, damaged or not parquet.",
            hint="Have it exported again; the blob is kept.",
        ) from error


def _chunks(metadata: pq.FileMetaData) -> dict[str, list[pq.ColumnChunkMetaData]]:
    """Return the chunks of each column, row group by row group; parts of nested columns under their whole paths."""
    chunks: dict[str, list[pq.ColumnChunkMetaData]] = {}
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        for number in range(group.num_columns):
            chunk = group.column(number)
            chunks.setdefault(chunk.path_in_schema, []).append(chunk)
    return chunks


def _field(field: pa.Field[Any], chunks: Sequence[pq.ColumnChunkMetaData]) -> Field:
    kind, reading = _classify(field.type)
    statistics = [chunk.statistics for chunk in chunks]
    nulls = None
    if statistics and all(each is not None and each.null_count is not None for each in statistics):
        nulls = sum(each.null_count or 0 for each in statistics if each is not None)
    bounds = _bounds(field.type, kind, reading, chunks) if nulls is not None else None
    return Field(name=field.name, kind=kind, reading=reading, physical=str(field.type), nulls=nulls, bounds=bounds)


def _bounds(
    found: pa.DataType, kind: Kind | None, reading: Reading, chunks: Sequence[pq.ColumnChunkMetaData]
) -> tuple[int, int] | tuple[str, str] | None:
    """Return bounds that every value of a flat integer, instant or short text column keeps."""
    sized = sum(chunk.total_uncompressed_size for chunk in chunks) / max(1, sum(chunk.num_values for chunk in chunks))
    filled: list[Any] = [chunk.statistics for chunk in chunks if _filled(chunk)]
    if reading is not Reading.CAST or sized > _LONG or not filled or not all(each.has_min_max for each in filled):
        return None
    lowest, highest = min(each.min_raw for each in filled), max(each.max_raw for each in filled)
    if kind is Kind.INTEGER and not pa.types.is_unsigned_integer(found) and isinstance(lowest, int):
        return lowest, highest
    if isinstance(found, pa.TimestampType) and isinstance(lowest, int):
        return _micros(lowest, found.unit), -_micros(-highest, found.unit)
    if kind is Kind.STRING and isinstance(lowest, bytes):
        try:
            return lowest.decode(), highest.decode()
        except UnicodeDecodeError:
            return None  # cut short within a character
    return None


def _filled(chunk: pq.ColumnChunkMetaData) -> bool:
    return chunk.statistics is not None and (chunk.statistics.null_count or 0) < chunk.num_values


def _micros(value: int, unit: str) -> int:
    """Return a time in whole microseconds, rounded down."""
    return value // 1000 if unit == "ns" else value * {"s": 1_000_000, "ms": 1000, "us": 1}[unit]


def _classify(found: pa.DataType) -> tuple[Kind | None, Reading]:
    if isinstance(found, pa.DictionaryType):
        return _classify(found.value_type)
    if isinstance(found, pa.BaseExtensionType):
        return _classify(found.storage_type)
    types = pa.types
    if types.is_null(found):
        return None, Reading.EMPTY
    if types.is_binary(found) or types.is_large_binary(found) or types.is_binary_view(found):
        return Kind.STRING, Reading.BINARY
    if types.is_list(found) or types.is_large_list(found):
        kind, reading = _classify(found.value_type)
        if kind is Kind.STRING and reading is Reading.CAST:
            return Kind.STRINGS, Reading.CAST
        return Kind.STRING, Reading.NESTED
    if types.is_nested(found):
        return Kind.STRING, Reading.NESTED
    if types.is_string(found) or types.is_large_string(found) or types.is_string_view(found):
        return Kind.STRING, Reading.CAST
    if types.is_integer(found):
        return Kind.INTEGER, Reading.CAST
    if types.is_boolean(found):
        return Kind.BOOLEAN, Reading.CAST
    if types.is_timestamp(found):
        return Kind.TIMESTAMP, Reading.CAST
    if types.is_floating(found) or types.is_decimal(found):
        return Kind.NUMBER, Reading.CAST
    return Kind.STRING, Reading.NESTED
