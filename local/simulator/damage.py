"""Damage the bytes of a file so that no reader can take its rows."""

import io

import numpy as np
import pyarrow.parquet as pq


def damage(rng: np.random.Generator, content: bytes) -> tuple[bytes, str]:
    """Return useless bytes made from good ones, and what was done to them."""
    match int(rng.integers(0, 5)):
        case 0:
            return content[: max(len(content) * 2 // 3, 4)], "truncated"
        case 1:
            return _blot_column(rng, content), "damaged column under a good footer"
        case 2:
            return _blot_all(content), "damaged pages under a good footer"
        case 3:
            return b"", "empty"
        case _:
            return b"<?xml version='1.0'?><Error><Code>ServerBusy</Code></Error>\n" * 20, "not parquet"


def _blot_column(rng: np.random.Generator, content: bytes) -> bytes:
    """Overwrite the pages of one column, their headers too, with bytes that no page header begins with."""
    group = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
    column = group.column(int(rng.integers(0, group.num_columns)))
    first = column.dictionary_page_offset or column.data_page_offset
    end = first + column.total_compressed_size
    return content[:first] + b"\xff" * (end - first) + content[end:]


def _blot_all(content: bytes) -> bytes:
    """Overwrite everything between the magic and the footer."""
    footer = int.from_bytes(content[-8:-4], "little") + 8
    return content[:4] + b"\xff" * (len(content) - footer - 4) + content[-footer:]
