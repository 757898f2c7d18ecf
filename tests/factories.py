"""Make the things tests are about: parquet bytes of a dataset, blobs, arrivals, leases, times. All with defaults."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.arrivals import Arrival, Blob
from ingest.contract import Drift, check
from ingest.datasets import DATASETS
from ingest.naming import Stream, parse
from ingest.parquet import read_footer
from ingest.ports import FileToLoad, Warehouse
from local.simulator import SCHEMAS

START = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WORKSPACE = 1
TERM = timedelta(seconds=45)

INSTANT = pa.timestamp("us", tz="UTC")
_V5 = {
    "campaigns": pa.schema(
        [
            pa.field("workspace_id", pa.int64()),
            pa.field("campaign_id", pa.int64()),
            pa.field("name", pa.string()),
            pa.field("created_at", INSTANT),
            pa.field("updated_at", INSTANT),
            pa.field("version", pa.int64()),
            pa.field("topic_names", pa.list_(pa.string())),
        ]
    ),
}
# The simulator's schemas, not the ingestor's: a mistake there must not hide itself here.
DECLARED: Mapping[str, pa.Schema] = {**SCHEMAS, **_V5}

_VALUES: tuple[tuple[Callable[[pa.DataType], bool], Any], ...] = (
    (pa.types.is_integer, 1),
    (pa.types.is_boolean, True),
    (pa.types.is_timestamp, START),
    (pa.types.is_list, ["a", None, "b"]),
)

_etags = itertools.count(1)


@dataclass
class FakeClock:
    """Stand still but for a millisecond at each look, so that every commit has a time of its own."""

    moment: datetime = field(default=START)

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.pass_by(timedelta(seconds=seconds))

    def pass_by(self, time: timedelta) -> None:
        self.moment += time


def row(dataset: str, **values: Any) -> dict[str, Any]:
    """Give one row with every column filled, but for what is given."""
    columns = {column.name: _value(column) for column in DECLARED[dataset]}
    return {**columns, "workspace_id": WORKSPACE, **values}


def _value(column: pa.Field[Any]) -> Any:
    for is_kind, value in _VALUES:
        if is_kind(column.type):
            return value
    return f"some {column.name}"


def table(
    dataset: str,
    rows: Sequence[Mapping[str, Any]] = ({},),
    *,
    types: Mapping[str, pa.DataType] | None = None,
    drop: Sequence[str] = (),
) -> pa.Table:
    """Give rows as a table of the dataset; `types` overrides physical types, or adds columns of names not declared."""
    kinds = {column.name: column.type for column in DECLARED[dataset]} | dict(types or {})
    full = [row(dataset, **values) for values in rows]
    names = [name for name in kinds if name not in drop]
    return pa.table({name: pa.array([values.get(name) for values in full], kinds[name]) for name in names})


def parquet(
    dataset: str,
    rows: Sequence[Mapping[str, Any]] = ({},),
    *,
    types: Mapping[str, pa.DataType] | None = None,
    drop: Sequence[str] = (),
    **options: Any,
) -> bytes:
    """Give the bytes of a parquet file of the dataset; `options` are those of `pyarrow.parquet.write_table`."""
    return encoded(table(dataset, rows, types=types, drop=drop), **options)


def encoded(content: pa.Table, **options: Any) -> bytes:
    """Give a table as the bytes of a parquet file, without Arrow's own schema in its footer."""
    target = io.BytesIO()
    pq.write_table(content, target, **{"store_schema": False, "compression": "none", **options})
    return target.getvalue()


def blotted(content: bytes) -> bytes:
    """Overwrite all pages under a good footer."""
    footer = int.from_bytes(content[-8:-4], "little") + 8
    return content[:4] + b"\xff" * (len(content) - footer - 4) + content[-footer:]


def blotted_column(content: bytes, column: str) -> bytes:
    """Overwrite one column's pages, but not what its dictionary and headers need to be found."""
    group = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    (chunk,) = [chunk for chunk in chunks if chunk.path_in_schema == column]
    first = chunk.dictionary_page_offset or chunk.data_page_offset
    end = first + chunk.total_compressed_size
    return content[:first] + b"\xff" * (end - first) + content[end:]


def with_other_value(content: bytes, old: bytes, new: bytes) -> bytes:
    """Change bytes in the pages of an uncompressed file and leave its footer's statistics as they were."""
    footer = len(content) - int.from_bytes(content[-8:-4], "little") - 8
    assert old in content[:footer]
    return content[:footer].replace(old, new) + content[footer:]


def name(dataset: str = "deliveries", sequence: int = 1, **parts: Any) -> str:
    """Give a blob name."""
    version = parts.get("version", 4)
    changes = "chngs_" if parts.get("changes") else ""
    end = f"_{parts['end']}" if parts.get("end") is not None else ""
    workspace = parts.get("workspace", WORKSPACE)
    return f"{parts.get('folder', '')}{dataset}_v{version}_{changes}{workspace}_{sequence}{end}.parquet"


def blob(blob_name: str = "deliveries_v4_1_1.parquet", **parts: Any) -> Blob:
    """Give a blob; without an ETag it gets one that was never there."""
    values = {"container": "exports", "etag": f"0x{next(_etags):X}", "size": 1000, "modified": START, **parts}
    return Blob(name=blob_name, **values)


def arrival(blob_name: str = "deliveries_v4_1_1.parquet", *, attempts: int = 0, **parts: Any) -> Arrival:
    """Give an arrival."""
    return Arrival(blob(blob_name, **parts), parse(blob_name), attempts)


def stream(dataset: str = "deliveries", workspace: int = WORKSPACE) -> Stream:
    """Give a stream."""
    return Stream(workspace, dataset)


def file_to_load(
    warehouse: Warehouse,
    folder: Path,
    arrived: Arrival,
    content: bytes,
    *,
    late: bool = False,
    drift: Drift = Drift.EVOLVE,
) -> FileToLoad:
    """Write the bytes down, hold them against the contract, and bring the table up to them: what a drain does."""
    path = folder / f"{arrived.blob.etag}.parquet"
    path.write_bytes(content)
    dataset = DATASETS[arrived.stream.dataset]
    fit = check(read_footer(path), dataset, warehouse.columns(dataset), drift)
    warehouse.evolve(dataset, fit.added)
    return FileToLoad(arrived, fit, path, late)


def until_the_next_second() -> None:
    """Wait until a blob that is written gets another time of modification: these have seconds."""
    now = time.time()
    time.sleep(1.01 - now % 1)
