"""Say where a history takes place: a container and a warehouse; and give those in memory and in DuckDB."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

from ingest.intake import LocalCopies
from ingest.ports import Intake, Landing, Warehouse
from ingest.warehouses.duckdb import DuckDBWarehouse
from ingest.warehouses.duckdb.file import database_file
from tests.memory_landing import MemoryLanding

MEMORY = "128MB"


class WrittenLanding(Landing, Protocol):
    """A container that a history writes into."""

    failing: int
    """So many reads to come fail as if the network did."""

    def write(self, name: str, content: bytes) -> str:
        """Write a blob and give its ETag."""
        ...

    def delete(self, name: str) -> None:
        """Delete a blob."""
        ...

    def etag(self, name: str) -> str | None:
        """Give a blob's present ETag; None if there is none."""
        ...

    @property
    def names(self) -> list[str]:
        """Give the names of all blobs."""
        ...


class Leg(Protocol):
    """Where a history takes place, empty at first."""

    landing: WrittenLanding
    intake: Intake

    def warehouse(self, worker: str) -> Warehouse:
        """Give the warehouse as a worker has it: nothing remembered is shared."""
        ...

    def rows(self, table: str, columns: str) -> list[dict[str, Any]]:
        """Return a table's rows; none where there is no such table yet."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


class DuckDBLeg:
    """A container in memory, a database file."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="convergence-"))
        self._path = self._folder / "warehouse.duckdb"
        self.landing = MemoryLanding()
        self.intake = LocalCopies(self.landing)
        self._seen: set[str] = set()

    def warehouse(self, worker: str) -> DuckDBWarehouse:
        return DuckDBWarehouse(self._path, "customerio", patience=5, memory_limit=MEMORY)

    def rows(self, table: str, columns: str) -> list[dict[str, Any]]:
        if table not in self._seen and not self._query(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{table}'"):
            return []
        self._seen.add(table)
        return self._query(f"SELECT {columns} FROM warehouse.customerio.{table}")

    def close(self) -> None:
        database_file(self._path, memory_limit=MEMORY).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _query(self, sql: str) -> list[dict[str, Any]]:
        with database_file(self._path, memory_limit=MEMORY).cursor(5) as cursor:
            found = cursor.execute(sql).to_arrow_table()
        return found.to_pylist()
