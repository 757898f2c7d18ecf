"""Say what a warehouse must offer to be tried, and load files into it as a drain does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from ingest.arrivals import Lease
from ingest.ports import FileToLoad, Warehouse
from tests import factories
from tests.factories import START, TERM

LATER = START + timedelta(hours=1)


class Bench(Protocol):
    """A warehouse to try, and a look into it past the port."""

    warehouse: Warehouse

    longest_name: int
    """Characters of the longest name that a column may have."""
    names_damaged_column: bool

    def landed(self, name: str, content: bytes) -> None:
        """Put a blob where the warehouse reads it, if it reads blobs."""
        ...

    def rows(self, table: str, order: str = "1") -> list[dict[str, Any]]:
        """Return a table's rows."""
        ...

    def other(self) -> Warehouse:
        """Return the same warehouse as another worker has it: nothing remembered is shared."""
        ...

    def before_commit(self, action: Callable[[], None]) -> AbstractContextManager[None]:
        """Do something from another connection when a load has written everything and is about to commit."""
        ...

    def take_over(self, lease: Lease) -> None:
        """Put the stream's generation up by one, past the port."""
        ...


class Loader:
    """Writes, records and loads files of one stream, as a drain does."""

    def __init__(self, bench: Bench, folder: Path, dataset: str = "deliveries") -> None:
        self.bench = bench
        self.warehouse = bench.warehouse
        self.folder = folder
        self.stream = factories.stream(dataset)
        self.lease = claimed(self.warehouse, self.stream)
        self.batches = 0

    def arrives(self, content: bytes, sequence: int = 1, **parts: Any) -> FileToLoad:
        """Record a file as pending, and bring the table up to it."""
        given = {name: parts.pop(name) for name in ("etag", "modified") if name in parts}
        late = parts.pop("late", False)
        arrived = factories.arrival(factories.name(self.stream.dataset, sequence, **parts), size=len(content), **given)
        self.warehouse.record(self.lease, [arrived], [])
        self.bench.landed(arrived.blob.name, content)
        return factories.file_to_load(self.warehouse, self.folder, arrived, content, late=late)

    def load(self, *files: FileToLoad) -> list[tuple[int, int]]:
        """Load files as one batch and give rows read and applied of each."""
        self.batches += 1
        moment = START + timedelta(seconds=self.batches)
        counts = self.warehouse.load(self.lease, files, f"batch {self.batches}", moment)
        return [(count.read, count.applied) for count in counts]


def claimed(warehouse: Warehouse, stream: Any, owner: str = "me", now: Any = START) -> Lease:
    lease = warehouse.claim(stream, owner, now, TERM)
    assert isinstance(lease, Lease)
    return lease


def of(dataset: str, *rows: dict[str, Any], **options: Any) -> bytes:
    return factories.parquet(dataset, rows, **options)


class Fixtures:
    """What every part of the contract starts from; the fixture `bench` is the adapter's."""

    @pytest.fixture
    def warehouse(self, bench: Bench) -> Warehouse:
        bench.warehouse.prepare()
        return bench.warehouse

    @pytest.fixture
    def loader(self, bench: Bench, warehouse: Warehouse, tmp_path: Path) -> Loader:
        return Loader(bench, tmp_path)

    @pytest.fixture
    def content_loader(self, bench: Bench, warehouse: Warehouse, tmp_path: Path) -> Loader:
        return Loader(bench, tmp_path, "delivery_content")
