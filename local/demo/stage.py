"""Set the demo's stage: a folder of its own, Azurite, the container, Customer.io's SAS and the app settings."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local import customerio
from local.azurite import ROOT, Azurite, running

FOLDER = ROOT / ".local" / "demo"
CONTAINER = "customerio"
PREFIX = "exports"


class StageTaken(Exception):
    """Another demo plays in the same folder."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo plays on. `settings` are the app settings, as they would stand in Azure."""

    folder: Path
    azurite: Azurite
    exporter: customerio.Exporter
    settings: dict[str, str]

    @property
    def database(self) -> Path:
        """Give the file of the warehouse."""
        return self.folder / "warehouse.duckdb"

    @property
    def environment_file(self) -> Path:
        """Give the file that brings the settings into a shell."""
        return self.folder / "settings.env"


@contextlib.contextmanager
def setting(folder: Path = FOLDER, *, sweep_schedule: str = "0 */5 * * * *") -> Iterator[Stage]:
    """Clear the folder and set everything up; Azurite ends with the block, the warehouse stays.

    Raises StageTaken when another demo plays in the folder, and AzuriteUnavailable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageTaken(f"Another demo is running in {shown(folder)}; end that one first.") from error
        # A fresh world each time: what an earlier demo left would not fit to this one's truth.
        shutil.rmtree(folder)
        with running(folder / "azurite") as azurite:
            customerio.ensure_container(azurite.connection_string, CONTAINER)
            sas_url = customerio.grant(azurite.connection_string, CONTAINER)
            # The file names of the simulator carry the blob path already.
            with contextlib.closing(customerio.Exporter(sas_url)) as exporter:
                stage = Stage(folder, azurite, exporter, settings(azurite, folder, sweep_schedule))
                lines = [f"export {name}='{value}'" for name, value in stage.settings.items()]
                stage.environment_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
                yield stage


def settings(azurite: Azurite, folder: Path, sweep_schedule: str) -> dict[str, str]:
    """Give the app settings: those of local.settings.json.example, at this Azurite and in this folder."""
    return {
        "AzureWebJobsStorage": azurite.connection_string,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "EXPORT_STORAGE": azurite.connection_string,
        "EXPORT_STORAGE__blobServiceUri": "",
        "EXPORT_CONTAINER": CONTAINER,
        "EXPORT_PREFIX": f"{PREFIX}/",
        "BLOB_TRIGGER_SOURCE": "EventGrid",
        "SWEEP_SCHEDULE": sweep_schedule,
        "WAREHOUSE": "duckdb",
        "WAREHOUSE_SCHEMA": "customerio",
        "DUCKDB_PATH": str(folder / "warehouse.duckdb"),
        "DATASETS": "",
        "DRIFT": "evolve",
    }


def shown(path: Path) -> str:
    """Give a path as a person in the project's folder types it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
