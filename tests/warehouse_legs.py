"""Give processes a warehouse to drain into, and look into it past the port: a DuckDB file, or the stand-in for Snowflake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr
from snowflake.connector import ProgrammingError

from ingest.settings import Settings
from ingest.warehouses.snowflake.columns import called
from ingest.warehouses.snowflake.faults import MISSING
from local.azurite import Azurite
from tests.stand_in import StandIn
from tests.verdict import DuckDBTables, Tables

ARRAY, VARIANT = 10, 5
"""Type codes of the connector."""


@dataclass(frozen=True, slots=True)
class ProcessLeg:
    """A warehouse that processes drain into: the settings that lead to it, and its tables."""

    environment: dict[str, str]
    tables: Tables
    imports: str = ""
    """The adapter's module, for processes that shall not spend their time on importing it."""


LEGS = ("duckdb", "snowflake")


@contextmanager
def process_leg(name: str, request: pytest.FixtureRequest) -> Iterator[ProcessLeg]:
    """Give an empty warehouse beside the test's container."""
    azurite: Azurite = request.getfixturevalue("azurite")
    container: str = request.getfixturevalue("container")
    scrubbed: dict[str, str] = request.getfixturevalue("scrubbed")
    if name == "duckdb":
        path = request.getfixturevalue("tmp_path") / "warehouse.duckdb"
        storage = {"EXPORT_STORAGE": azurite.connection_string, "EXPORT_CONTAINER": container}
        yield ProcessLeg({**scrubbed, **storage, "DUCKDB_PATH": str(path)}, DuckDBTables(path))
        return
    server: StandIn = request.getfixturevalue("stand_in")
    settings = server.settings(container, SNOWFLAKE_LOAD="copy")
    server.prepare(settings)
    tables = SnowflakeTables(server, settings)
    yield ProcessLeg({**scrubbed, **spelt_out(settings)}, tables, "ingest.warehouses.snowflake")
    tables.close()


def spelt_out(settings: Settings) -> dict[str, str]:
    """Return the settings that were made as the environment that makes them."""
    values = {str(Settings.model_fields[name].alias): getattr(settings, name) for name in settings.model_fields_set}
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value) for name, value in values.items()
    }


class SnowflakeTables:
    """The tables in the stand-in."""

    def __init__(self, server: StandIn, settings: Settings) -> None:
        self._schema = f"{settings.snowflake_database}.{settings.warehouse_schema}"
        self._connection = server.connect(settings)

    def rows(self, table: str, columns: str = "*", order: str = "1") -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT {columns} FROM {self._schema}.{table} ORDER BY {order}")
            except ProgrammingError as error:
                if error.errno != MISSING:
                    raise
                return []
            described = [(called(column.name), column.type_code) for column in cursor.description]
            return [
                {name: _value(code, value) for (name, code), value in zip(described, row, strict=True)}
                for row in cursor.fetchall()
            ]

    def table(self, name: str, schema: pa.Schema, order: str) -> pa.Table | None:
        rows = self.rows(name, ", ".join(f'"{column.upper()}"' for column in schema.names), order)
        if not rows:
            return None
        return pa.table({field.name: pa.array([row[field.name] for row in rows], field.type) for field in schema})

    def close(self) -> None:
        self._connection.close()


def _value(code: int, value: Any) -> Any:
    if code in (ARRAY, VARIANT) and isinstance(value, str):
        return json.loads(value)
    return value
