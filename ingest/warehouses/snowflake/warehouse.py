"""The warehouse port over Snowflake: the data tables, beside the checkpoint and in one transaction with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ingest.arrivals import Lease
from ingest.datasets import DATASETS, LINEAGE, Column, Dataset, Kind
from ingest.errors import ContractBroken
from ingest.ordering import order_key
from ingest.ports import Check, Diagnosis, FileToLoad, RowCount
from ingest.spans import span
from ingest.warehouses import records
from ingest.warehouses.records import lost
from ingest.warehouses.snowflake import account
from ingest.warehouses.snowflake.activity import Activity
from ingest.warehouses.snowflake.checkpoint import held, instant, tag_of
from ingest.warehouses.snowflake.columns import LONGEST_NAME, TYPES, called, declaration, kind_of, quoted
from ingest.warehouses.snowflake.faults import MISSING, Trouble
from ingest.warehouses.snowflake.merging import check_off, merge
from ingest.warehouses.snowflake.names import Names
from ingest.warehouses.snowflake.session import Session, Sessions
from ingest.warehouses.snowflake.staging import Source, Staged, stage

_LINEAGE = {column.name for column in LINEAGE}


class SnowflakeWarehouse(Activity):
    """The tables and the checkpoint in one schema.

    The files go from the container to a staging table without this process, unless `source` puts them there.
    """

    def __init__(
        self,
        sessions: Sessions,
        names: Names,
        source: Source,
        *,
        patience: float,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(sessions, names.schema, patience=patience, sleep=sleep)
        self._names = names
        self._source = source

    @property
    def reads_container(self) -> bool:
        """Whether Snowflake reads the blobs itself."""
        return self._names.load == "copy"

    @property
    def sleeps(self) -> bool:
        """Whether waking it costs money."""
        return True

    def checks(self) -> Sequence[Check]:
        """Return what has to hold in the account."""
        return account.checks(self._asked, self._names)

    def columns(self, dataset: Dataset, *, create: bool = True) -> Mapping[str, Kind]:
        """Return the columns of the dataset's table, lineage aside; the table is created where it is missing."""
        return self._patiently(self._columns, dataset, create=create)

    def evolve(self, dataset: Dataset, added: Sequence[Column]) -> None:
        """Add nullable columns to the dataset's table. Raises ContractBroken for one that cannot be added."""
        if (refused := _too_long(added)) is not None:
            raise refused
        if added:
            self._patiently(self._evolve, dataset, added)

    def load(self, lease: Lease, files: Sequence[FileToLoad], batch_id: str, now: datetime) -> Sequence[RowCount]:
        """Commit the files' rows and their checkpoint rows in one transaction, guarded by the lease's generation.

        Where an answer was lost on the way and the batch is tried again, what was committed already counts.
        """
        attempts: list[None] = []

        def attempt() -> Sequence[RowCount]:
            attempts.append(None)
            with self._sessions.session(**tag_of(lease.stream), batch=batch_id, files=len(files)) as session:
                done = self._committed(session, files, batch_id) if len(attempts) > 1 else None
                return done or self._load(session, lease, files, batch_id, now)

        return self._patiently(attempt)

    def diagnose(self, file: FileToLoad, columns: Mapping[str, Kind]) -> Diagnosis:
        """Look at the names of new columns. What is in the file, only a COPY can tell."""
        return Diagnosis(values_seen=False, rejection=_too_long(file.fit.added))

    def close(self) -> None:
        """Close the sessions that nobody uses."""
        self._sessions.close()

    def _load(
        self, session: Session, lease: Lease, files: Sequence[FileToLoad], batch_id: str, now: datetime
    ) -> Sequence[RowCount]:
        dataset = DATASETS[lease.stream.dataset]
        table, staging = self._table(dataset), f"{self._schema}.ingest_stage_{dataset.name}"
        columns = [
            Column(name, kind, name in _required(dataset)) for name, kind in self._described(session, dataset).items()
        ]
        with span("stage"):
            staged = stage(session, staging, columns, files, self._source)
        listed, moment = _listed(staged, files), instant(now)
        newest = max((file.arrival.name for file in files), key=order_key)
        advances = not files[-1].late
        with session.transaction():
            with span("merge"):
                session.run("merge a batch", merge(table, staging, dataset, columns), [moment, listed])
            checked = session.run(
                "check a batch off",
                check_off(self._schema, table, staging, dataset),
                [moment, batch_id, listed, moment],
            )
            if checked != len(files):
                raise lost(lease)
            values = [advances, newest.version, advances, newest.sequence, moment, instant(lease.expires_at)]
            if not session.run("guard a lease", self._sql["commit_stream"], [*values, *held(lease)]):
                raise lost(lease)
            counts = self._committed(session, files, batch_id)
        assert counts is not None
        return counts

    def _committed(self, session: Session, files: Sequence[FileToLoad], batch_id: str) -> list[RowCount] | None:
        """Return what the checkpoint says of a batch's files, if it was written."""
        found = session.rows("read a batch", self._sql["committed"], [batch_id])
        counts = {name: RowCount(int(read), int(applied)) for name, read, applied in found}
        return [counts[file.arrival.blob.name] for file in files] if counts else None

    def _columns(self, dataset: Dataset, *, create: bool) -> dict[str, Kind]:
        with self._sessions.session(table=dataset.name) as session:
            try:
                return self._described(session, dataset)
            except Trouble as trouble:
                if trouble.number != MISSING:
                    raise
            if not create:
                return {column.name: column.kind for column in dataset.first_columns}
            columns = ", ".join(declaration(column) for column in (*dataset.first_columns, *LINEAGE))
            session.run("create a table", f"CREATE TABLE IF NOT EXISTS {self._table(dataset)} ({columns})")
            return self._described(session, dataset)

    def _evolve(self, dataset: Dataset, added: Sequence[Column]) -> None:
        with self._sessions.session(table=dataset.name) as session:
            columns = ", ".join(f"IF NOT EXISTS {quoted(column.name)} {TYPES[column.kind]}" for column in added)
            session.run("add columns", f"ALTER TABLE {self._table(dataset)} ADD COLUMN {columns}")

    def _described(self, session: Session, dataset: Dataset) -> dict[str, Kind]:
        found = session.named_rows("look at a table", f"DESCRIBE TABLE {self._table(dataset)}")
        kinds = {called(row["name"]): kind_of(row["type"]) for row in found}
        return {name: kind for name, kind in kinds.items() if name not in _LINEAGE}

    def _table(self, dataset: Dataset) -> str:
        return f"{self._schema}.{dataset.name}"

    def _asked(self, statement: str) -> list[dict[str, object]]:
        with self._sessions.session(at="doctor") as session:
            return session.named_rows("look at the account", statement)


def _too_long(added: Sequence[Column]) -> ContractBroken | None:
    for column in added:
        if len(column.name) > LONGEST_NAME:
            return ContractBroken(
                f"column {column.name!r}: expected a name of up to {LONGEST_NAME} characters.",
                hint="Nothing of the file was loaded; its blob is kept.",
            )
    return None


def _required(dataset: Dataset) -> set[str]:
    return {column.name for column in dataset.columns if column.required}


def _listed(staged: Staged, files: Sequence[FileToLoad]) -> str:
    """Return what the statements bind of a batch's files, as one value."""
    rows = [
        {
            **records.key(file.arrival.blob),
            "path": path,
            "version": file.arrival.name.version,
            "sequence": file.arrival.name.sequence,
            "sequence_end": file.arrival.name.sequence_end,
            "late": file.late,
            "rows_read": file.fit.rows,
            "undeclared": records.undeclared(file),
        }
        for file, path in zip(files, staged.paths, strict=True)
    ]
    return json.dumps(rows, separators=(",", ":"))
