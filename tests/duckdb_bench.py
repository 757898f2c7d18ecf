"""Give a DuckDB file to try the warehouse contract on, and a look into it past the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest.arrivals import Lease
from ingest.warehouses.duckdb import DuckDBWarehouse
from ingest.warehouses.duckdb import warehouse as adapter
from ingest.warehouses.duckdb.file import database_file
from tests.world import MEMORY


class DuckDBBench:
    """A DuckDB file to try."""

    longest_name = 300
    names_damaged_column = True

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.warehouse = self.other()
        self._monkeypatch = monkeypatch

    def other(self, patience: float = 5) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.path, "customerio", patience=patience, memory_limit=MEMORY)

    def landed(self, name: str, content: bytes) -> None:
        """DuckDB reads local copies."""

    def query(self, sql: str, values: Any = None) -> list[dict[str, Any]]:
        with database_file(self.path, memory_limit=MEMORY).cursor(5) as cursor:
            return cursor.execute(sql, values).to_arrow_table().to_pylist()

    def rows(self, table: str, order: str = "1") -> list[dict[str, Any]]:
        return self.query(f"SELECT * FROM warehouse.customerio.{table} ORDER BY {order}")

    def take_over(self, lease: Lease) -> None:
        self.query(
            "UPDATE warehouse.customerio.ingest_streams SET generation = generation + 1, lease_owner = 'another' "
            "WHERE workspace_id = $1 AND dataset = $2",
            [lease.stream.workspace_id, lease.stream.dataset],
        )

    @contextmanager
    def before_commit(self, action: Callable[[], None]) -> Iterator[None]:
        merge = adapter.merge

        def merge_and_act(*arguments: Any, **named: Any) -> Any:
            counts = merge(*arguments, **named)
            action()
            return counts

        with self._monkeypatch.context() as patched:
            patched.setattr(adapter, "merge", merge_and_act)
            yield
