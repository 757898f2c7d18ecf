"""Give a database in the stand-in for Snowflake to try the warehouse contract on, and a look into it past the port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from ingest.arrivals import Lease
from ingest.ports import FileToLoad
from ingest.settings import Settings
from ingest.warehouses.snowflake import SnowflakeWarehouse
from ingest.warehouses.snowflake import warehouse as adapter
from ingest.warehouses.snowflake.columns import called
from ingest.warehouses.snowflake.staging import Container
from tests.stand_in import StandIn, opened

ARRAY, VARIANT = 10, 5
"""Type codes of the connector."""


class AnyTime(Container):
    """The container, for files whose times the tests make up."""

    def trouble(self, file: FileToLoad, modified: datetime | None) -> None:
        return None


class SnowflakeBench:
    """A database to try."""

    longest_name = 255
    names_damaged_column = False

    def __init__(self, server: StandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.settings = settings
        self._monkeypatch = monkeypatch
        self._opened: list[SnowflakeWarehouse] = []
        server.prepare(settings)
        self._blobs = ContainerClient.from_connection_string(server.azurite.connection_string, settings.container)
        self._connection = server.connect(settings)
        self.warehouse = self.other()

    def other(self) -> SnowflakeWarehouse:
        warehouse = opened(self.settings)
        if isinstance(warehouse._source, Container):
            warehouse._source = AnyTime(warehouse._source.stage, warehouse._source.stand_by)
        self._opened.append(warehouse)
        return warehouse

    def landed(self, name: str, content: bytes) -> None:
        if self.settings.snowflake_load == "copy":
            self._blobs.upload_blob(name, content, overwrite=True)

    def query(self, sql: str) -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            names = [(called(column.name), column.type_code) for column in cursor.description]
            return [
                {name: _value(code, value) for (name, code), value in zip(names, row, strict=True)}
                for row in cursor.fetchall()
            ]

    def rows(self, table: str, order: str = "1") -> list[dict[str, Any]]:
        schema = f"{self.settings.snowflake_database}.{self.settings.warehouse_schema}"
        return self.query(f"SELECT * FROM {schema}.{table} ORDER BY {order}")

    def take_over(self, lease: Lease) -> None:
        schema = f"{self.settings.snowflake_database}.{self.settings.warehouse_schema}"
        self.query(
            f"UPDATE {schema}.ingest_streams SET generation = generation + 1, lease_owner = 'another' "
            f"WHERE workspace_id = {lease.stream.workspace_id} AND dataset = '{lease.stream.dataset}'"
        )

    @contextmanager
    def before_commit(self, action: Callable[[], None]) -> Iterator[None]:
        """Act where the batch is merged, but not yet checked off: what is locked by then is not the stream's row."""
        check_off = adapter.check_off

        def act_and_check_off(*arguments: Any) -> str:
            action()
            return check_off(*arguments)

        with self._monkeypatch.context() as patched:
            patched.setattr(adapter, "check_off", act_and_check_off)
            yield

    def close(self) -> None:
        for warehouse in self._opened:
            warehouse.close()
        self._connection.close()


def _value(code: int, value: Any) -> Any:
    if code in (ARRAY, VARIANT) and isinstance(value, str):
        return json.loads(value)
    return value
