"""Write what the memory bound is measured with: one delivery_content file of gigabytes, and thousands of tiny files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.data import SEQUENCE, WORKSPACE, deliveries, write

_POOL = 1 << 23
_BODY = (2_000, 20_000)
_ROWS_AT_ONCE = 2_000
GROUP_ROWS = 10_000


def content(folder: Path, megabytes: int, *, one_group: bool) -> Path:
    """Write a delivery_content file of about that size, as one row group or as groups of 10,000 rows.

    Bodies are 2 to 20 KB of text that does not compress: slices of a pool far larger than a compressor's window.
    """
    path = folder / f"delivery_contents_v4_{WORKSPACE}_{SEQUENCE}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    letters = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 <>", dtype=np.uint8)
    pool = letters[rng.integers(0, len(letters), _POOL)].tobytes().decode()
    rows = megabytes * 1_000_000 // (sum(_BODY) // 2 + 500)
    tables = [_rows(rng, pool, low, min(_ROWS_AT_ONCE, rows - low)) for low in range(0, rows, _ROWS_AT_ONCE)]
    draft = path.with_suffix(".draft")
    pq.write_table(pa.concat_tables(tables), draft, row_group_size=rows if one_group else GROUP_ROWS)
    draft.rename(path)
    return path


def _rows(rng: np.random.Generator, pool: str, low: int, count: int) -> pa.Table:
    def slices(shortest: int, longest: int) -> pa.Array[Any]:
        lengths = rng.integers(shortest, longest, count)
        starts = rng.integers(0, _POOL - longest, count)
        return pa.array([pool[at : at + length] for at, length in zip(starts, lengths, strict=True)], pa.large_string())

    numbers = np.arange(low, low + count)
    nothing = pa.nulls(count, pa.string())
    return pa.table(
        {
            "workspace_id": pa.array(np.full(count, WORKSPACE)),
            "delivery_id": pa.array([base64.urlsafe_b64encode(rng.bytes(19)).decode() for _ in range(count)]),
            "campaign_id": pa.array(numbers % 60),
            "action_id": pa.array(numbers % 480),
            "newsletter_id": pa.nulls(count, pa.int64()),
            "content_id": pa.nulls(count, pa.int64()),
            "from": pa.array(["Shop <hello@example.com>"] * count),
            "reply_to": nothing,
            "bcc": nothing,
            "recipient": pa.array([f"person{number}@example.com" for number in numbers]),
            "subject": slices(20, 60),
            "body": slices(*_BODY),
            "body_amp": nothing,
            "body_plain": slices(200, 800),
            "preheader": slices(20, 60),
            "url": nothing,
            "method": nothing,
            "headers": nothing,
            "type": pa.array(["email"] * count),
        }
    )


def tiny(folder: Path, files: int) -> tuple[Path, ...]:
    """Write so many files of 20 deliveries each."""
    named = [
        (f"deliveries_v4_{WORKSPACE}_{SEQUENCE + 1_000 * number}.parquet", deliveries(20 * number, 20 * number + 20))
        for number in range(files)
    ]
    write(named, folder, stamp=str(files))
    return tuple(folder / name for name, _ in named)
