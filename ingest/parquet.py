"""What a parquet footer says of the file's columns, read with pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.contract import Field, Footer, Reading
from ingest.datasets import Kind
from ingest.errors import FileUnreadable


def read_footer(path: Path) -> Footer:
    """Read the footer of a local file. Raises FileUnreadable if there is none."""
    if path.stat().st_size == 0:
        raise FileUnreadable("the file is empty (0 bytes).", hint="Have it exported again; the blob is kept.")
    try:
        with pq.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
            nulls = _null_counts(metadata)
            fields = tuple(_field(field, nulls.get(field.name)) for field in schema)
            return Footer(metadata.num_rows, fields)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileUnreadable(
            f"no parquet footer can be read ({type(error).__name__}): cut short, damaged or not parquet.",
            hint="Have it exported again; the blob is kept.",
        ) from error


def _null_counts(metadata: pq.FileMetaData) -> dict[str, int]:
    """Add up the null counts of flat columns; a column any chunk of which lacks statistics is left out."""
    totals: dict[str, int] = {}
    unknown: set[str] = set()
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        for number in range(group.num_columns):
            chunk = group.column(number)
            statistics = chunk.statistics
            if "." in chunk.path_in_schema or statistics is None or statistics.null_count is None:
                unknown.add(chunk.path_in_schema)
            else:
                totals[chunk.path_in_schema] = totals.get(chunk.path_in_schema, 0) + statistics.null_count
    return {name: count for name, count in totals.items() if name not in unknown}


def _field(field: pa.Field[Any], nulls: int | None) -> Field:
    kind, reading = _classify(field.type)
    return Field(name=field.name, kind=kind, reading=reading, physical=str(field.type), nulls=nulls)


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
