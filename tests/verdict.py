"""Hold a drained warehouse against what Customer.io wrote: tables, checkpoint, nothing twice, nothing lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

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


class Tables(Protocol):
    """The tables of a drained warehouse."""

    def rows(self, table: str, columns: str = "*", order: str = "1") -> list[dict[str, Any]]:
        """Return a table's rows; none where there is no such table."""
        ...

    def table(self, name: str, schema: pa.Schema, order: str) -> pa.Table | None:
        """Return the columns of a schema; None where there is no such table."""
        ...


class DuckDBTables:
    """The tables in a database file that nobody holds."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, table: str, columns: str = "*", order: str = "1") -> list[dict[str, Any]]:
        if not self._path.exists() or not self._has(table):
            return []
        return query(self._path, f"SELECT {columns} FROM customerio.{table} ORDER BY {order}")

    def table(self, name: str, schema: pa.Schema, order: str) -> pa.Table | None:
        if not self._has(name):
            return None
        names = ", ".join(f'"{column}"' for column in schema.names)
        with duckdb.connect(self._path, read_only=True) as connection:
            found = connection.execute(f"SELECT {names} FROM customerio.{name} ORDER BY {order}").to_arrow_table()
        return pa.table({field.name: found.column(field.name).cast(field.type) for field in schema})

    def _has(self, table: str) -> bool:
        return bool(query(self._path, f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{table}'"))


def assert_tables_equal(where: Path | Tables, truth: Mapping[str, pa.Table]) -> None:
    """Compare every table, value by value. A table that no file was written for need not be there."""
    tables = DuckDBTables(where) if isinstance(where, Path) else where
    for dataset, expected in truth.items():
        found = tables.table(dataset, expected.schema, ", ".join(KEYS[dataset]))
        if found is None:
            assert expected.num_rows == 0, f"{dataset} is missing"
            continue
        assert found.num_rows == expected.num_rows, f"{dataset}: {found.num_rows} rows, not {expected.num_rows}"
        for name in expected.column_names:
            assert found.column(name).equals(expected.column(name)), f"{dataset}.{name} differs"


def assert_checkpoint_equals(where: Path | Tables, written: Written) -> list[dict[str, Any]]:
    """Compare the checkpoint with what was written, and return its rows.

    What was overwritten before anybody looked may be missing or superseded; everything else is loaded once per ETag,
    or rejected with a reason.
    """
    tables = DuckDBTables(where) if isinstance(where, Path) else where
    records = tables.rows("ingest_files", order="blob_name, arrived_at")
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
