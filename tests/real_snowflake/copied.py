"""Copy files with the adapter's own statements, and keep what Snowflake answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.arrivals import Arrival, Blob
from ingest.contract import Drift, check
from ingest.datasets import DATASETS, Column
from ingest.errors import IngestError
from ingest.naming import parse
from ingest.parquet import read_footer
from ingest.ports import FileToLoad
from ingest.warehouses.snowflake.session import PARAMETERS, Session
from ingest.warehouses.snowflake.staging import Container, OwnStage, Source, stage
from tests import factories
from tests.real_snowflake.account import Account, Talk

DELIVERIES = DATASETS["deliveries"]


class Recording(Session):
    """A session that keeps the rows of COPY."""

    results: list[dict[str, Any]]

    def named_rows(self, doing: str, statement: str) -> list[dict[str, Any]]:
        self.results = super().named_rows(doing, statement)
        return self.results


@dataclass
class Copied:
    """What became of a few files."""

    talk: Talk
    """The session of the staging table."""
    table: str
    blobs: Mapping[str, Blob]
    """By the name given."""
    results: Sequence[dict[str, Any]]
    """COPY's own rows."""
    blamed: Mapping[str, IngestError]
    """By the name given."""

    def staged(self, columns: str, order: str = "_ingest_file, _ingest_row") -> list[Any]:
        return self.talk.rows(f"SELECT {columns} FROM {self.table} ORDER BY {order}")


@dataclass
class Copying:
    """One way for files into a staging table: through the container, or through the table's own stage."""

    account: Account
    talk: Talk
    folder: Path
    stage: str | None
    """The external stage; None: PUT."""
    columns: Sequence[Column] = field(default_factory=lambda: [it for it in DELIVERIES.columns if it.since == 1])

    def __call__(
        self, files: Mapping[str, bytes], before: Callable[[], None] | None = None, *, drift: Drift = Drift.EVOLVE
    ) -> Copied:
        """Write files, list them, do something, and copy them."""
        for name, content in files.items():
            self.account.land(name, content)
        listed = {blob.name: blob for page in self.account.landing.pages() for blob in page}
        blobs = {name: listed[self.account.prefix + name] for name in files}
        known = {column.name: column.kind for column in self.columns}
        loads = []
        for number, (name, content) in enumerate(files.items()):
            path = self.folder / f"{number}.parquet"
            path.write_bytes(content)
            fit = check(read_footer(path), DELIVERIES, known, drift)
            loads.append(FileToLoad(Arrival(blobs[name], parse(blobs[name].name)), fit, path, late=False))
        if before is not None:
            before()
        return self._copied(loads, blobs)

    def _copied(self, files: Sequence[FileToLoad], blobs: Mapping[str, Blob]) -> Copied:
        added = [column for file in files for column in file.fit.added]
        columns = [*self.columns, *{column.name: column for column in added}.values()]
        session = Recording(self.talk.connection, {"suite": self.account.schema})
        table = self.account.table()
        blamed: Mapping[str, IngestError] = {}
        try:
            stage(session, table, columns, files, self.source)
        except IngestError as error:
            blamed = getattr(error, "blamed", None) or {files[0].arrival.blob.name: error}
        by_name = {blob.name: name for name, blob in blobs.items()}
        return Copied(
            self.talk, table, blobs, session.results, {by_name[name]: error for name, error in blamed.items()}
        )

    @property
    def source(self) -> Source:
        return OwnStage() if self.stage is None else Container(self.stage, lambda blob: None)


def opened(account: Account, talk: Callable[..., Talk], folder: Path, stage: str | None) -> Copying:
    """Return a way for files with the adapter's session parameters."""
    return Copying(account, talk(**PARAMETERS), folder, stage)


def deliveries(*rows: dict[str, Any], **options: Any) -> bytes:
    return factories.parquet("deliveries", rows or ({},), **options)
