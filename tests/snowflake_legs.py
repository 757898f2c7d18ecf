"""Let histories happen between a container of Azurite's and the stand-in for Snowflake, whose connections fail too."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from typing import Any

from azure.storage.blob import ContainerClient
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ingest.arrivals import Blob
from ingest.errors import LandingUnavailable
from ingest.intake import Footers
from ingest.landing import AzureLanding
from ingest.ports import Warehouse
from local import customerio
from tests import factories
from tests.histories import STEP, WORKER, Histories
from tests.interruptions import FencedWarehouse, Steps, Wire, WiredSessions, crash
from tests.stand_in import StandIn, opened
from tests.warehouse_legs import SnowflakeTables
from tests.written import FILE, File

STATEMENT = st.integers(1, 120)
"""A moment before or after a statement: a drain of one stream with something to load passes about sixty."""
SOME = st.lists(FILE, min_size=2, max_size=4)
BLOW = st.fixed_dictionaries(
    {
        "match": st.sampled_from(["", "", "^COMMIT", "^BEGIN", "^MERGE", "^COPY", "^INSERT", "^UPDATE", "^LOGIN$"]),
        "skip": st.integers(0, 12),
        "after": st.booleans(),
        "do": st.sampled_from(["error", "error", "drop"]),
        # An internal error, a lock wait, a request that failed in the network: after the statement, an answer is lost.
        "errno": st.sampled_from([603, 625, 250003]),
    }
)


class SnowflakeLeg:
    """A container of Azurite's, and an emptied schema in the stand-in, which reads that very container."""

    def __init__(self, server: StandIn) -> None:
        self.server = server
        self.settings = server.settings(f"history-{uuid.uuid4().hex[:12]}", SNOWFLAKE_LOAD="copy")
        customerio.ensure_container(server.azurite.connection_string, self.settings.container)
        server.prepare(self.settings)
        self._client = ContainerClient.from_connection_string(server.azurite.connection_string, self.settings.container)
        self.landing = AzuriteLanding(self._client)
        self.intake = Footers(self.landing)
        self.wires: dict[str, Wire] = {}
        self._opened: list[Any] = []
        self._tables = SnowflakeTables(server, self.settings)

    def warehouse(self, worker: str) -> Warehouse:
        warehouse = opened(self.settings)
        self.wires[worker] = Wire()
        warehouse._sessions = WiredSessions(warehouse._sessions, self.wires[worker])
        warehouse._patiently = warehouse._patiently.copy(sleep=lambda seconds: None)
        self._opened.append(warehouse)
        return warehouse

    def rows(self, table: str, columns: str) -> list[dict[str, Any]]:
        return self._tables.rows(table, columns)

    def faults_left(self) -> int:
        """Count the planned faults that did not happen yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/") as answer:
            return int(json.load(answer)["faults"])

    def close(self) -> None:
        self.server.plan()
        for warehouse in self._opened:
            warehouse.close()
        self._tables.close()
        self._client.delete_container()
        self._client.close()


class AzuriteLanding(AzureLanding):
    """The real adapter, and the hand that writes."""

    def __init__(self, client: ContainerClient) -> None:
        super().__init__(client, "")
        self.failing = 0
        self._there: dict[str, tuple[str, int]] = {}

    def write(self, name: str, content: bytes) -> str:
        answer = self._container.get_blob_client(name).upload_blob(content, overwrite=True)
        etag = str(answer["etag"]).strip('"')
        self._there[name] = (etag, int(answer["last_modified"].timestamp()))
        return etag

    def delete(self, name: str) -> None:
        self._container.delete_blob(name)
        del self._there[name]

    def etag(self, name: str) -> str | None:
        return self._there[name][0] if name in self._there else None

    @property
    def names(self) -> list[str]:
        return sorted(self._there)

    def outlive_the_second(self, name: str) -> None:
        """Wait until a blob written now bears another time than the present one, which Azure tells in seconds."""
        if name in self._there:
            time.sleep(max(0.0, self._there[name][1] + 1.01 - time.time()))

    def end_of(self, blob: Blob, length: int) -> bytes:
        if self.failing:
            self.failing -= 1
            raise LandingUnavailable("the network is down.")
        return super().end_of(blob, length)


class SnowflakeHistories(Histories):
    """The same histories, in which statements are cut off, answers are lost and blobs change under the COPY."""

    leg: SnowflakeLeg

    @rule(worker=WORKER, at=STATEMENT, files=SOME)
    def a_worker_dies_between_statements(self, worker: str, at: int, files: list[File]) -> None:
        """Let its transaction stay open, its temporary table stay full, its session say no good-bye."""
        self.files_are_written(files)
        wire = self.leg.wires[worker]
        wire.steps = Steps(at, crash)
        self.drain(worker, Steps())
        wire.cut()

    @rule(worker=WORKER, blow=BLOW, files=SOME)
    def a_connection_fails(self, worker: str, blow: dict[str, Any], files: list[File]) -> None:
        """Let a statement fail, or its answer get lost after it took effect."""
        self.files_are_written(files)
        self.leg.server.plan(blow)
        self.drain(worker, Steps())
        self.leg.server.plan()

    @rule(worker=WORKER, files=SOME, change=FILE, deleted=st.booleans(), which=st.integers(0, 50))
    def a_blob_changes_under_the_copy(
        self, worker: str, files: list[File], change: File, deleted: bool, which: int
    ) -> None:
        """Replace or delete a blob when its footer has been read, and before its rows are."""
        self.files_are_written(files)
        wire = self.leg.wires[worker]

        def watch(statement: str) -> None:
            named = [name for name in self.landing.names if f"'{name}'" in statement]
            if statement.startswith("COPY INTO") and named:
                wire.cut()
                self.change(named[which % len(named)], change, deleted=deleted)

        wire.watch = watch
        self.drain(worker, Steps())
        wire.cut()

    @rule(at=STEP, files=SOME)
    def the_lease_is_taken_over(self, at: int, files: list[File]) -> None:
        """Let a worker lose its leases in the middle of a drain, to somebody who then does nothing."""

        def take_over() -> None:
            self.leases_run_out()
            thief = FencedWarehouse(self.warehouses["second"], self.generations)
            for stream in list(self.generations):
                thief.claim(stream, "a thief", self.clock.now(), factories.TERM)

        self.files_are_written(files)
        self.drain("first", Steps(at, take_over))

    def every_blob_is_settled(self) -> bool:
        """Tell whether whatever lies in the container is loaded or rejected."""
        found = {(file["blob_name"], file["etag"]): file["status"] for file in self.checkpoint()}
        there = [(name, self.landing.etag(name)) for name in self.landing.names]
        return all(found.get(key) in ("loaded", "rejected") for key in there)

    def change(self, name: str, change: File, *, deleted: bool) -> None:
        if deleted:
            self.leave_behind(name)
            self.landing.delete(name)
            return
        file = self.written[name, self.landing.etag(name) or ""]
        self.write(((file.dataset, file.order[:3], name), *change[1:]))
