"""Hold a drained DuckDB file against what Customer.io wrote: tables, checkpoint, nothing twice, nothing lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from local.simulator import KEYS, Expected, ExportFile

Written = Iterable[tuple[ExportFile, str]]
"""Files and the ETags they were written under, in the order of writing."""


def query(path: Path, sql: str) -> list[dict[str, Any]]:
    """Ask a database file that nobody holds, leaving it as it is."""
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).to_arrow_table().to_pylist()


def assert_tables_equal(path: Path, truth: Mapping[str, pa.Table]) -> None:
    """Compare every table, value by value. A table that no file was written for need not be there."""
    with duckdb.connect(path, read_only=True) as connection:
        present = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        for dataset, expected in truth.items():
            if dataset not in present:
                assert expected.num_rows == 0, f"{dataset} is missing"
                continue
            names = ", ".join(f'"{name}"' for name in expected.column_names)
            order = ", ".join(KEYS[dataset])
            found = connection.execute(f"SELECT {names} FROM customerio.{dataset} ORDER BY {order}").to_arrow_table()
            assert found.num_rows == expected.num_rows, f"{dataset}: {found.num_rows} rows, not {expected.num_rows}"
            for name in expected.column_names:
                column = found.column(name).cast(expected.schema.field(name).type)
                assert column.equals(expected.column(name)), f"{dataset}.{name} differs"


def assert_checkpoint_equals(path: Path, written: Written) -> list[dict[str, Any]]:
    """Compare the checkpoint with what was written, and return its rows.

    What was overwritten before anybody looked may be missing or superseded; everything else is loaded once per ETag,
    or rejected with a reason.
    """
    records = query(path, "SELECT * FROM customerio.ingest_files ORDER BY blob_name, arrived_at")
    found = {(record["blob_name"], record["etag"]): record for record in records}
    assert len(found) == len(records), "an arrival is recorded twice"
    files = {(file.name, etag): file for file, etag in written}
    assert found.keys() <= files.keys()
    last = {name: etag for name, etag in files}
    for key, file in files.items():
        status = found[key]["status"] if key in found else None
        expected = "loaded" if file.expected is Expected.LOADED else "rejected"
        if last[key[0]] == key[1]:
            assert status == expected, f"{key} ({file.why}): {found.get(key)}"
        else:
            assert status in (expected, "superseded", None), f"{key} ({file.why}): {found[key]}"
        if status == "loaded":
            assert found[key]["rows_read"] == file.rows
        if status == "rejected":
            assert found[key]["error"]
    return records
