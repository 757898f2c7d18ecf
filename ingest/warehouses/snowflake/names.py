"""What the objects in a Snowflake account are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """The objects of one account that the ingestor uses; identifiers are unquoted, so their case does not matter."""

    account: str
    user: str
    role: str
    warehouse: str
    database: str
    schema: str
    stage: str
    integration: str
    landing_url: str
    """`azure://<storage account>.blob.core.windows.net/<container>/`: the root, so that a file's name is the blob's."""
    identity: str | None
    """The managed identity that signs in, by client or object id; None: a key pair does."""
    load: str
    """`copy`: Snowflake reads the container through a stage. `put`: the app uploads, and there is no stage."""

    @property
    def qualified_schema(self) -> str:
        """The schema with its database."""
        return f"{self.database}.{self.schema}"

    @property
    def qualified_stage(self) -> str:
        """The stage with its database and schema."""
        return f"{self.qualified_schema}.{self.stage}"

    @property
    def reader(self) -> str:
        """The role that reads the tables, for analysts."""
        return _suffixed(self.role, "_READER")

    @property
    def pii_reader(self) -> str:
        """The role that reads the tables and sees masked columns."""
        return _suffixed(self.role, "_PII_READER")


def _suffixed(name: str, suffix: str) -> str:
    return name + (suffix.lower() if name.islower() else suffix)


EXAMPLE = Names(
    account="<organization>-<account>",
    user="CUSTOMERIO_INGEST",
    role="CUSTOMERIO_INGEST",
    warehouse="CUSTOMERIO_INGEST",
    database="CUSTOMERIO",
    schema="customerio",
    stage="LANDING",
    integration="CUSTOMERIO_LANDING",
    landing_url="azure://<storage account>.blob.core.windows.net/<container>/",
    identity=None,
    load="copy",
)
"""The names that the files in infra/snowflake are written with."""
