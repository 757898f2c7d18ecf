"""Give a small world to drain: a container in memory, a real DuckDB, a worker, and what it told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.arrivals import Blob
from ingest.drain import Drain
from ingest.errors import LandingUnavailable
from ingest.intake import LocalCopies
from ingest.loading import Limits, Parts
from ingest.outcomes import (
    Outcome,
    Tally,
)
from ingest.settings import Settings
from ingest.warehouses.duckdb import DuckDBWarehouse
from ingest.warehouses.duckdb.file import database_file
from tests import factories
from tests.factories import FakeClock
from tests.memory_landing import MemoryLanding

MEMORY = str(Settings.model_fields["duckdb_memory_limit"].default)
DELIVERIES = factories.stream("deliveries")


class Patchy(MemoryLanding):
    """A container some blobs of which never come."""

    def __init__(self) -> None:
        super().__init__()
        self.unreachable: set[str] = set()

    def download(self, blob: Blob, path: Path) -> None:
        if blob.name in self.unreachable:
            raise LandingUnavailable("BlobArchived.")
        super().download(blob, path)


@dataclass
class World:
    """A container, a warehouse and a worker."""

    path: Path
    limits: Limits = field(default_factory=Limits)
    landing: Patchy = field(default_factory=Patchy)
    clock: FakeClock = field(default_factory=FakeClock)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.warehouse: Any = DuckDBWarehouse(self.path, "customerio", patience=5, memory_limit=MEMORY)

    def worker(self, **limits: Any) -> Drain:
        intake = LocalCopies(self.landing)
        chosen = Limits(**limits)
        return Drain(Parts(self.landing, intake, self.warehouse, self.clock, "me", chosen, self.outcomes.append))

    def deadline(self) -> datetime:
        return self.clock.moment + timedelta(hours=1)

    def drain(self, **limits: Any) -> Tally:
        self.outcomes.clear()
        return self.worker(**limits).everything(self.deadline())

    def told(self, kind: type[Any]) -> list[Any]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, kind)]

    def write(self, sequence: int, *rows: dict[str, Any], dataset: str = "deliveries", **options: Any) -> str:
        name = factories.name(dataset, sequence)
        rows = rows or ({"delivery_id": str(sequence)},)
        self.landing.write(name, factories.parquet(dataset, rows, **options))
        return name

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with database_file(self.path, memory_limit=MEMORY).cursor(5) as cursor:
            return cursor.execute(sql).fetchall()

    def statuses(self) -> dict[str, str]:
        return dict(self.query("SELECT blob_name, status FROM warehouse.customerio.ingest_files"))
