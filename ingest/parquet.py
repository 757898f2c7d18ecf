"""What a parquet footer says of the file's columns, read with pyarrow.

Only the schema and the number of rows: over the chunks of a damaged footer, pyarrow ends the process rather than raise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.contract import Field, Footer, Reading
from ingest.datasets import Kind
from ingest.errors import FileUnreadable

GUESS = 64 * 1024
"""Bytes asked for at first: the footers of most files, in one request."""
_LARGEST = 64 * 1024 * 1024
"""Bytes of a footer that is still read."""
_MAGIC = b"PAR1"


def read_footer(path: Path) -> Footer:
    """Read the footer of a local file. Raises FileUnreadable if there is none."""
    return _read(path, path.stat().st_size)


def read_footer_of_end(end: bytes, size: int) -> Footer:
    """Read the footer from the last bytes of a file of `size` bytes: as many as `end_with_footer` returns."""
    return _read(pa.BufferReader(_MAGIC + end if len(end) < size else end), size)


def end_with_footer(read: Callable[[int], bytes], size: int) -> bytes:
    """Return as many of the last bytes of a file of `size` bytes as its footer has; `read` returns the last few."""
    end = read(GUESS) if size else b""
    needed = _length_of_footer(end)
    if len(end) < needed <= min(size, _LARGEST):
        return read(needed)
    if needed > _LARGEST:
        raise FileUnreadable(f"its footer claims {needed} bytes.", hint="Have it exported again; the blob is kept.")
    return end


def _length_of_footer(end: bytes) -> int:
    """Return how many of a file's last bytes are its footer, by the last eight. 0 where there is none."""
    return int.from_bytes(end[-8:-4], "little") + 8 if end[-4:] == _MAGIC else 0


def _read(source: Path | pa.BufferReader, size: int) -> Footer:
    if size == 0:
        raise FileUnreadable("the file is empty (0 bytes).", hint="Have it exported again; the blob is kept.")
    try:
        with pq.ParquetFile(source) as file:
            return Footer(file.metadata.num_rows, tuple(_field(field) for field in file.schema_arrow))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileUnreadable(
            f"no parquet footer can be read ({type(error).__name__}): cut short, damaged or not parquet.",
            hint="Have it exported again; the blob is kept.",
        ) from error


def _field(field: pa.Field[Any]) -> Field:
    kind, reading = _classify(field.type)
    return Field(name=field.name, kind=kind, reading=reading, physical=str(field.type))


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
