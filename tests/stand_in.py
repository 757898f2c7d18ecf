"""Run the stand-in for Snowflake and look past the port: its statements, its faults, its tables."""

from __future__ import annotations

import json
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snowflake.connector

from ingest.landing import AzureLanding
from ingest.settings import Settings, read_settings
from ingest.warehouses.snowflake import SnowflakeWarehouse, names_of, open_snowflake
from ingest.wiring import container_client
from local.azurite import ROOT, Azurite

PYTHON = ROOT / ".venv-fakesnow" / "bin" / "python"
KEY = ROOT / "tests" / "keys" / "rsa_key.p8"


def opened(settings: Settings) -> SnowflakeWarehouse:
    """Open the warehouse of some settings, over their container."""
    return open_snowflake(settings, AzureLanding(container_client(settings), settings.prefix).stand_by)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A running server. It checks no credentials."""

    port: int
    transcript: Path
    azurite: Azurite

    def settings(self, container: str, **more: str) -> Settings:
        """Return app settings for it. Its one database is emptied by `prepare`: what it translated once it remembers."""
        values = {
            "EXPORT_STORAGE": self.azurite.connection_string,
            "EXPORT_CONTAINER": container,
            "WAREHOUSE": "snowflake",
            "SNOWFLAKE_ACCOUNT": "fakesnow",
            "SNOWFLAKE_HOST": f"http://127.0.0.1:{self.port}",
            "SNOWFLAKE_USER": "loader",
            "SNOWFLAKE_DATABASE": "tests",
            "SNOWFLAKE_SIGN_IN": "oauth",
            "SNOWFLAKE_TOKEN": "unchecked",
        }
        return read_settings({**values, **more})

    def connect(self, settings: Settings) -> snowflake.connector.SnowflakeConnection:
        """Open a connection of the tests' own."""
        return snowflake.connector.connect(
            user="test",
            password="unchecked",
            account="fakesnow",
            host="127.0.0.1",
            port=self.port,
            protocol="http",
            database=settings.snowflake_database,
            schema=settings.warehouse_schema,
            autocommit=True,
        )

    def prepare(self, settings: Settings) -> None:
        """Make anew what the set-up SQL makes: the schema and the stage."""
        schema = f"{settings.snowflake_database}.{settings.warehouse_schema}"
        with self.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            cursor.execute(f"CREATE SCHEMA {schema}")
            cursor.execute(
                f"CREATE OR REPLACE STAGE {schema}.{settings.snowflake_stage} URL = 'azure://{settings.storage_account}"
                f".blob.core.windows.net/{settings.container}/' FILE_FORMAT = (TYPE = PARQUET)"
            )

    def integrate(self, settings: Settings) -> None:
        """Give the stage a storage integration, as the set-up SQL does."""
        name = f"{settings.warehouse_schema}.{settings.snowflake_stage}"
        with self.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(
                f"CREATE STORAGE INTEGRATION IF NOT EXISTS {settings.snowflake_integration} TYPE = EXTERNAL_STAGE "
                "STORAGE_PROVIDER = 'AZURE' ENABLED = TRUE AZURE_TENANT_ID = 'tenant' "
                "STORAGE_ALLOWED_LOCATIONS = ('azure://account.blob.core.windows.net/container/')"
            )
            cursor.execute(
                f"CREATE OR REPLACE STAGE {name} URL = '{names_of(settings).landing_url}' "
                f"STORAGE_INTEGRATION = {settings.snowflake_integration} FILE_FORMAT = (TYPE = PARQUET)"
            )

    def plan(self, *faults: dict[str, Any]) -> None:
        """Let faults befall the next statements."""
        body = json.dumps(faults).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/testing/faults", body, method="POST")
        urllib.request.urlopen(request).close()

    def statements(self, database: str) -> Sequence[dict[str, Any]]:
        """Return what was said about a database, in order."""
        lines = map(json.loads, self.transcript.read_text().splitlines())
        return [line for line in lines if database.lower() in line["sql"].lower() or line["sql"] in _FRAME]


_FRAME = {"BEGIN", "COMMIT", "ROLLBACK"}


@contextmanager
def running(azurite: Azurite, folder: Path) -> Iterator[StandIn]:
    """Run the server until the context is left."""
    transcript = folder / "transcript.jsonl"
    words: list[str | Path] = [
        PYTHON,
        ROOT / "tests" / "fakesnow_server" / "server.py",
        "--port",
        "0",
        "--transcript",
        transcript,
    ]
    words += ["--azurite", azurite.connection_string, "--idle-transaction", "5", "--detached-transaction", "0.1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("ready on "), ready
        try:
            yield StandIn(int(ready.split()[2].rpartition(":")[2]), transcript, azurite)
        finally:
            process.terminate()
            process.wait(10)
