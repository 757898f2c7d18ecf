"""The memory bound: the peak of `python -m ingest drain` over files of gigabytes and over thousands of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from bench import bulk, container, data, ours
from bench.results import Line
from bench.stage import Stage, remove

BOUND_MB = 600.0
MEGABYTES = 2_000
TINY = 5_000
MANY_ROWS = 20_000_000


def measure(stage: Stage) -> list[Line]:
    """Drain each kind once and compare the peak with the bound. Raises RuntimeError if rows are missing."""
    megabytes, files = stage.sized(MEGABYTES), stage.sized(TINY)
    one = bulk.content(stage.data / f"content-{megabytes}-one", megabytes, one_group=True)
    many = bulk.content(stage.data / f"content-{megabytes}-many", megabytes, one_group=False)
    tiny = bulk.tiny(stage.data / f"tiny-{files}", files)
    rows = stage.sized(MANY_ROWS)
    waiting = data.history(rows, files, stage.data / f"history-{rows}-{files}")
    return [
        *_drain(stage, "content-one", f"a file of {_size(one)}, one row group", [one], "delivery_content"),
        *_drain(stage, "content-many", f"a file of {_size(many)}, groups of 10,000 rows", [many], "delivery_content"),
        *_drain(stage, "tiny", f"{files:,} files of 20 rows", tiny, "deliveries"),
        *_drain(stage, "waiting", f"{files:,} files of {rows // files:,} rows", waiting, "deliveries"),
    ]


def _drain(stage: Stage, name: str, what: str, files: Sequence[Path], table: str) -> list[Line]:
    blobs = container.create(stage.azurite, name)
    container.upload(blobs, files)
    database = stage.work / f"{name}.duckdb"
    taken = ours.drain(stage.settings(name, database))
    with duckdb.connect(str(database), read_only=True) as connection:
        row = connection.execute(f"SELECT count(*) FROM customerio.{table}").fetchone()
    expected = sum(pq.read_metadata(file).num_rows for file in files)
    if row is None or row[0] != expected:
        raise RuntimeError(f"{what}: {row} rows in the table, {expected} in the files")
    remove(database)
    blobs.delete_container()
    return [
        Line(f"{what}: peak", (taken.peak_mb,), "MB", aim=BOUND_MB, absolute=True),
        Line(
            f"{what}: time", (taken.seconds,), processor=taken.processor, remark=f"{expected:,} rows, all in the table"
        ),
    ]


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e9:.2f} GB"
