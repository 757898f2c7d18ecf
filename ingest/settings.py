"""The settings: app settings in Azure, `local.settings.json` on a laptop, read once into one frozen object."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from ingest.catalogue import CATALOGUE
from ingest.contract import Drift
from ingest.datasets import DATASETS
from ingest.errors import SettingsError
from ingest.exporters import EXPORTERS

AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
"""What `UseDevelopmentStorage=true` stands for. The key is the emulator's, and public."""

_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$"
_SHARES = {"cifs", "smb3", "nfs", "nfs4", "fuse", "fuse.blobfuse2"}


class TriggerSource(StrEnum):
    """How the platform learns of new blobs."""

    EVENT_GRID = "EventGrid"
    SCAN = "LogsAndContainerScan"


class Load(StrEnum):
    """Who carries the data into Snowflake."""

    COPY = "copy"
    """Snowflake reads the container itself, through a storage integration."""
    PUT = "put"
    """The files are uploaded to a stage of Snowflake's own."""


class SignIn(StrEnum):
    """How to sign in to Snowflake; none of them is a password."""

    KEY_PAIR = "key_pair"
    WORKLOAD_IDENTITY = "workload_identity"
    OAUTH = "oauth"


class Settings(BaseModel):
    """Every setting the app reads. Field aliases are the names of the app settings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    storage: Annotated[SecretStr | None, Field(alias="EXPORT_STORAGE")] = None
    storage_uri: Annotated[str | None, Field(alias="EXPORT_STORAGE__blobServiceUri", pattern=r"^https?://\S+$")] = None
    storage_client_id: Annotated[str | None, Field(alias="EXPORT_STORAGE__clientId")] = None
    container: Annotated[str, Field(alias="EXPORT_CONTAINER", pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")] = "customerio"
    prefix: Annotated[str, Field(alias="EXPORT_PREFIX")] = ""
    trigger_source: Annotated[TriggerSource, Field(alias="BLOB_TRIGGER_SOURCE")] = TriggerSource.EVENT_GRID
    sweep_schedule: Annotated[str, Field(alias="SWEEP_SCHEDULE", pattern=r"^\S+( \S+){5}$")] = "0 */5 * * * *"
    warehouse: Annotated[str, Field(alias="WAREHOUSE", pattern=r"^(duckdb|snowflake)$")] = "duckdb"
    warehouse_schema: Annotated[str, Field(alias="WAREHOUSE_SCHEMA", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] = (
        "customerio"
    )
    duckdb_path: Annotated[Path, Field(alias="DUCKDB_PATH")] = Path("warehouse.duckdb")
    duckdb_memory_limit: Annotated[str, Field(alias="DUCKDB_MEMORY_LIMIT", pattern=r"^[1-9][0-9]*(MB|GB)$")] = "224MB"
    snowflake_account: Annotated[str | None, Field(alias="SNOWFLAKE_ACCOUNT", pattern=r"^[A-Za-z0-9_.-]+$")] = None
    snowflake_host: Annotated[str | None, Field(alias="SNOWFLAKE_HOST", pattern=r"^https?://[^\s/]+$")] = None
    snowflake_user: Annotated[str | None, Field(alias="SNOWFLAKE_USER", pattern=r"^\S+$")] = None
    snowflake_role: Annotated[str, Field(alias="SNOWFLAKE_ROLE", pattern=_IDENTIFIER)] = "customerio_ingest"
    snowflake_warehouse: Annotated[str, Field(alias="SNOWFLAKE_WAREHOUSE", pattern=_IDENTIFIER)] = "customerio_ingest"
    snowflake_database: Annotated[str, Field(alias="SNOWFLAKE_DATABASE", pattern=_IDENTIFIER)] = "customerio"
    snowflake_load: Annotated[Load, Field(alias="SNOWFLAKE_LOAD")] = Load.COPY
    snowflake_stage: Annotated[str, Field(alias="SNOWFLAKE_STAGE", pattern=_IDENTIFIER)] = "landing"
    snowflake_integration: Annotated[str, Field(alias="SNOWFLAKE_INTEGRATION", pattern=_IDENTIFIER)] = (
        "customerio_landing"
    )
    snowflake_sign_in: Annotated[SignIn, Field(alias="SNOWFLAKE_SIGN_IN")] = SignIn.KEY_PAIR
    snowflake_private_key: Annotated[SecretStr | None, Field(alias="SNOWFLAKE_PRIVATE_KEY")] = None
    snowflake_private_key_file: Annotated[Path | None, Field(alias="SNOWFLAKE_PRIVATE_KEY_FILE")] = None
    snowflake_passphrase: Annotated[SecretStr | None, Field(alias="SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")] = None
    snowflake_token: Annotated[SecretStr | None, Field(alias="SNOWFLAKE_TOKEN")] = None
    snowflake_identity: Annotated[str | None, Field(alias="MANAGED_IDENTITY_CLIENT_ID")] = None
    datasets: Annotated[frozenset[str], Field(alias="DATASETS")] = frozenset(DATASETS)
    batch_max_files: Annotated[int, Field(alias="BATCH_MAX_FILES", ge=1, le=1000)] = 500
    batch_max_bytes: Annotated[int, Field(alias="BATCH_MAX_BYTES", ge=1)] = 256 * 1024 * 1024
    cadence_minutes: Annotated[int, Field(alias="CADENCE_MINUTES", ge=1, le=1440)] = 15
    stall_after_minutes: Annotated[int | None, Field(alias="STALL_AFTER_MINUTES", ge=15)] = None
    alert_urls: Annotated[SecretStr | None, Field(alias="ALERT_URLS")] = None
    delete_after_hours: Annotated[int, Field(alias="DELETE_AFTER_HOURS", ge=0)] = 72
    drift: Annotated[Drift, Field(alias="DRIFT")] = Drift.EVOLVE
    verify_statistics: Annotated[bool, Field(alias="VERIFY_STATISTICS")] = True
    time_budget_seconds: Annotated[int, Field(alias="TIME_BUDGET_SECONDS", ge=5, le=3600)] = 480
    telemetry: Annotated[frozenset[str], Field(alias="TELEMETRY")] = frozenset()

    @field_validator(
        "storage",
        "storage_uri",
        "storage_client_id",
        "snowflake_account",
        "snowflake_host",
        "snowflake_user",
        "snowflake_private_key",
        "snowflake_private_key_file",
        "snowflake_passphrase",
        "snowflake_token",
        "snowflake_identity",
        "stall_after_minutes",
        "alert_urls",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("datasets", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        names = _parts(value) if isinstance(value, str) else value
        if isinstance(names, frozenset) and (unknown := names - set(DATASETS)):
            raise ValueError(f"no dataset is called {', '.join(sorted(unknown))}")
        return names or frozenset(DATASETS)

    @field_validator("telemetry", mode="before")
    @classmethod
    def _exporters(cls, value: object) -> object:
        names = _parts(value) if isinstance(value, str) else value
        if isinstance(names, frozenset) and (unknown := names - set(EXPORTERS)):
            raise ValueError(f"nothing exports to {', '.join(sorted(unknown))}; known are {', '.join(EXPORTERS)}")
        return names

    @field_validator("warehouse_schema", mode="after")
    @classmethod
    def _a_schema_of_ours(cls, value: str) -> str:
        if value.lower() in {"information_schema", "pg_catalog", "system", "temp"}:
            raise ValueError("the warehouse keeps this schema for itself")
        return value

    @field_validator("duckdb_path", mode="after")
    @classmethod
    def _a_file(cls, value: Path) -> Path:
        if value == Path() or value.is_dir():
            raise ValueError("it has to name a file")
        return value

    @model_validator(mode="after")
    def _some_storage(self) -> Settings:
        if self.storage is None and self.storage_uri is None:
            raise ValueError("EXPORT_STORAGE: neither it nor EXPORT_STORAGE__blobServiceUri is set")
        return self

    @property
    def storage_account(self) -> str:
        """The landing account's name."""
        if self.connection_string is None:
            return re.sub(r"^https?://", "", self.storage_uri or "").partition(".")[0]
        parts = dict(part.split("=", 1) for part in self.connection_string.split(";") if "=" in part)
        return parts.get("AccountName", "")

    @property
    def connection_string(self) -> str | None:
        """The storage connection string, with the emulator's short form spelt out."""
        text = self.storage.get_secret_value() if self.storage else None
        return AZURITE if text is not None and text.strip().rstrip(";") == "UseDevelopmentStorage=true" else text


def read_settings(environment: Mapping[str, str], local_file: Path | None = None) -> Settings:
    """Read and check the settings; the environment goes before the file's `Values`.

    Raises SettingsError naming each wrong setting, what is wrong with it and an example.
    """
    values: dict[str, Any] = {**_local_values(local_file), **environment}
    try:
        settings = Settings.model_validate({name: values[name] for name in _names() if name in values})
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from error
    in_azure = any(name in environment for name in ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"))
    if in_azure and settings.warehouse == "duckdb" and not _on_share(settings.duckdb_path, _mounts()):
        raise SettingsError(
            f"DUCKDB_PATH: {settings.duckdb_path} is on the instance's own disk, which Azure throws away.",
            hint="Mount an Azure Files share and put the file there, such as /mounts/share/warehouse.duckdb, "
            "or set WAREHOUSE to a warehouse that lasts.",
        )
    return settings


def environment_of_process() -> Mapping[str, str]:
    """Return the process's environment. The only place that reads it."""
    return dict(os.environ)


def _parts(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _names() -> list[str]:
    return [str(field.alias) for field in Settings.model_fields.values()]


def _local_values(local_file: Path | None) -> dict[str, str]:
    if local_file is None or not local_file.is_file():
        return {}
    try:
        values = json.loads(local_file.read_text(encoding="utf-8"))["Values"]
        return {str(name): str(value) for name, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{local_file} is not a settings file: {type(error).__name__}.",
            hint="Start again from local.settings.json.example.",
        ) from error


def _explain(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else problem["msg"].removeprefix("Value error, ").split(":")[0]
    message = problem["msg"].removeprefix("Value error, ").removeprefix(f"{name}: ")
    example = next((setting.example for setting in CATALOGUE if setting.name == name), "")
    return f"{name}: {message}. Example: {name}={example}"


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8")
    except OSError:
        return ""


def _on_share(path: Path, mounts: str) -> bool:
    """Tell whether the innermost mount above a path is a network share, by the text of /proc/mounts."""
    best = ("", "")
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split()
        if Path(os.path.normpath(path.absolute())).is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1] in _SHARES
