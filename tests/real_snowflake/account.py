"""The account the suite works in: a schema and a container prefix of its own, which go with it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import snowflake.connector
from azure.storage.blob import ContainerClient
from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import Error

from ingest.landing import AzureLanding
from ingest.settings import Load, Settings, read_settings
from ingest.warehouses.snowflake import names_of, sign_in
from ingest.wiring import container_client

PREFIX = "ingest_test_"
"""What everything begins with that the suite makes; what a killed run left behind is found by it."""
ENOUGH_TO_TRY = ("EXPORT_CONTAINER", "SNOWFLAKE_ACCOUNT")
STORAGE = ("EXPORT_STORAGE", "EXPORT_STORAGE__blobServiceUri")
HOW = (
    "no Snowflake account to test on: set EXPORT_STORAGE (or EXPORT_STORAGE__blobServiceUri), EXPORT_CONTAINER (of its "
    "own, empty), SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and SNOWFLAKE_PRIVATE_KEY_FILE, and other SNOWFLAKE_ settings where "
    "they are not the usual ones; docs/snowflake.md says more. TEST_SNOWFLAKE_STAND_IN=1 takes the tests' stand-in."
)


class NotOurs(Exception):
    """The surroundings are not fit for tests: nothing was written."""


def is_given(environment: Mapping[str, str]) -> bool:
    """Tell whether somebody means the suite to run."""
    return all(environment.get(name) for name in ENOUGH_TO_TRY) and any(environment.get(name) for name in STORAGE)


def settings_of(environment: Mapping[str, str]) -> Settings:
    """Return app settings with a schema and a prefix that nobody else has. Raises SettingsError."""
    own = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    given = {**environment, "WAREHOUSE": "snowflake"}
    settings = read_settings({**given, "WAREHOUSE_SCHEMA": own, "EXPORT_PREFIX": f"{own}/"})
    sign_in.arguments(settings)
    return settings


@dataclass
class Talk:
    """One session of a test's own, past the adapter."""

    connection: SnowflakeConnection

    def cursor(self, statement: str, *values: Any) -> SnowflakeCursor:
        return self.connection.cursor().execute(statement, values or None)

    def rows(self, statement: str, *values: Any) -> list[Any]:
        with self.cursor(statement, *values) as cursor:
            return cursor.fetchall()

    def named(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.cursor(statement, *values) as cursor:
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, statement: str, *values: Any) -> Any:
        ((value,),) = self.rows(statement, *values)
        return value

    def run(self, statement: str, *values: Any) -> int:
        with self.cursor(statement, *values) as cursor:
            return cursor.rowcount or 0

    def refused(self, statement: str, *values: Any) -> Error | None:
        """Run what should fail, and return how it did; None if it did not."""
        try:
            self.run(statement, *values)
        except Error as error:
            return error
        return None


@dataclass
class Account:
    """A schema in an account, a prefix in a container, and the stage between them, if there is one."""

    settings: Settings
    home: str
    """The schema that the stage of the set-up SQL is in, if there is one."""
    is_stand_in: bool = False
    blobs: ContainerClient = field(init=False)
    stage: str | None = None
    """The external stage at the container's root."""
    why_no_stage: str = ""
    begun: bool = False
    """Whether anything was made."""
    _connections: list[SnowflakeConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blobs = container_client(self.settings)

    @property
    def schema(self) -> str:
        return self.settings.warehouse_schema

    @property
    def emptied(self) -> str:
        """The schema that tests empty: the stage is not in it."""
        return f"{self.schema}_tables"

    @property
    def prefix(self) -> str:
        return self.settings.prefix

    @property
    def landing(self) -> AzureLanding:
        return AzureLanding(self.blobs, self.prefix)

    def connect(self, **parameters: Any) -> SnowflakeConnection:
        """Open a connection with session parameters of its own; it is closed at the end."""
        names = names_of(self.settings)
        connection = snowflake.connector.connect(
            **sign_in.arguments(self.settings),
            role=names.role,
            warehouse=names.warehouse,
            database=names.database,
            autocommit=True,
            paramstyle="qmark",
            login_timeout=60,
            session_parameters={"TIMEZONE": "UTC", "QUERY_TAG": self.schema, **parameters},
        )
        self._connections.append(connection)
        return connection

    def tried(self, load: str, **more: str) -> Settings:
        """Return the settings with the schema that tests empty."""
        given = {"warehouse_schema": self.emptied, "snowflake_load": Load(load), **more}
        return self.settings.model_copy(update=given)

    def empty(self, talk: Talk) -> None:
        """Make the schema anew that tests empty."""
        talk.run(f"DROP SCHEMA IF EXISTS {self.emptied} CASCADE")
        talk.run(f"CREATE SCHEMA {self.emptied}")

    def table(self) -> str:
        """Return a name for a table that nobody else uses."""
        return f"{self.schema}.t_{uuid.uuid4().hex[:8]}"

    def land(self, name: str, content: bytes) -> str:
        """Write a blob under the prefix and return its whole name."""
        self.blobs.upload_blob(self.prefix + name, content, overwrite=True)
        return self.prefix + name

    def open(self) -> None:
        """Look that nobody else's files are there, then make what the tests work in."""
        for blob in self.blobs.list_blob_names():
            if not blob.startswith(PREFIX):
                raise NotOurs(
                    f"the container {self.settings.container!r} holds other blobs than those of these tests. Give them "
                    "a container of their own: an app that watches this one would load the files the tests write."
                )
        talk = Talk(self.connect())
        self.begun = True
        talk.run(f"CREATE SCHEMA {self.schema}")
        self._open_stage(talk)

    def _open_stage(self, talk: Talk) -> None:
        """Make a stage at the container's root, or take the one of the set-up SQL."""
        names = names_of(self.settings)
        if self.is_stand_in:
            talk.run(f"CREATE STORAGE INTEGRATION IF NOT EXISTS {names.integration} TYPE = EXTERNAL_STAGE")
        made, given = f"{self.schema}.{names.stage}", f"{self.home}.{names.stage}"
        failed = talk.refused(
            f"CREATE STAGE {made} URL = '{names.landing_url}' STORAGE_INTEGRATION = {names.integration} "
            "FILE_FORMAT = (TYPE = PARQUET)"
        )
        if failed is None:
            self.stage = made
            return
        with contextlib.suppress(Error):
            if any(
                names.landing_url.rstrip("/") in str(row["property_value"]) for row in talk.named(f"DESC STAGE {given}")
            ):
                self.stage = given
        self.why_no_stage = (
            f"no external stage: {made} cannot be made (error {failed.errno}) and {given} is not at {names.landing_url}. "
            f"Run the set-up SQL with this container, and GRANT USAGE ON INTEGRATION {names.integration} to the role."
        )

    def close(self) -> list[str]:
        """Remove everything, whatever was made, and return what could not be removed."""
        left: list[str] = []
        if self.begun:
            for schema in (self.emptied, self.schema):
                self._try(left, f"schema {schema}", lambda schema=schema: self._drop(schema))
            self._try(left, f"blobs under {self.prefix}", self._delete_blobs)
        for connection in self._connections:
            with contextlib.suppress(Error, OSError):
                connection.close()
        self.blobs.close()
        return left

    def _drop(self, schema: str) -> None:
        with contextlib.closing(self.connect()) as connection:
            Talk(connection).run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")

    def _delete_blobs(self) -> None:
        for name in self.blobs.list_blob_names(name_starts_with=self.prefix):
            self.blobs.delete_blob(name)

    @staticmethod
    def _try(left: list[str], what: str, remove: Callable[[], object]) -> None:
        try:
            remove()
        except Exception as error:  # the rest has to go all the same
            left.append(f"{what} ({type(error).__name__})")


@contextmanager
def working(account: Account) -> Iterator[Account]:
    """Make what the tests work in and remove it, whatever happens."""
    try:
        account.open()
        yield account
    except BaseException as error:
        for left in account.close():
            error.add_note(f"Left behind, remove it by hand: {left}")
        raise
    left = account.close()
    assert not left, f"left behind, remove it by hand: {', '.join(left)}"
