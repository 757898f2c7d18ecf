"""Put the parts together from the settings: the composition root of the functions and of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient, ExponentialRetry

from ingest.access import ContainerAccess, SasAnswer, run_sas
from ingest.alerting import Alerting, Watch
from ingest.channels import Notifier
from ingest.clock import SystemClock
from ingest.dashboard import messages, overview
from ingest.doctor import Finding, look
from ingest.drain import Drain
from ingest.errors import SettingsError
from ingest.inspection import Inspection, Inspector
from ingest.intake import Footers, LocalCopies
from ingest.landing import CHUNK, AzureLanding
from ingest.loading import Limits, Parts
from ingest.notify import AppriseNotifier, Nobody, parse_urls
from ingest.outcomes import Outcome, Tally
from ingest.poison import AzurePoisonQueue, queue_client
from ingest.ports import Emit, Warehouse
from ingest.settings import Settings
from ingest.status import Report, report
from ingest.sweep import Sweep
from ingest.telemetry import tell
from ingest.visitor import examine_url
from ingest.warehouses import open_warehouse
from ingest.warehouses.owners import owner_of_this_process

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class App:
    """The parts, ready for use. Nothing was connected yet."""

    settings: Settings
    landing: AzureLanding
    warehouse: Warehouse
    clock: SystemClock
    drain: Drain
    sweep: Sweep
    parts: Parts

    def drain_blob(self, blob_name: str) -> Tally:
        """Drain the stream of a blob that an event named."""
        tally = self.drain.of_blob(blob_name, self._deadline())
        self.sweep.leave_answers(tally)
        return tally

    def drain_everything(self) -> Tally:
        """Drain all streams."""
        return self.drain.everything(self._deadline())

    def sweep_once(self) -> Tally:
        """Do the timer's round."""
        return self.sweep.round(self._deadline())

    def drain_until_settled(self) -> Tally:
        """Drain all streams however long it takes, and wait for those that others hold within the time budget."""
        patience = timedelta(seconds=self.settings.time_budget_seconds)
        return self.drain.settled(_NEVER, patience)

    def replay(self, blobs: Sequence[str] | None) -> Tally:
        """Give rejected files another try."""
        return self.drain.replay(blobs, _NEVER)

    def status(self) -> Report:
        """Sum up where every stream stands."""
        return report(self.landing, self.warehouse, self.clock, self.settings.datasets)

    def overview(self) -> dict[str, Any]:
        """Return what the dashboard shows first, as a document."""
        return overview(self.status(), self.warehouse, self.settings.cadence_minutes)

    def messages(self) -> dict[str, Any]:
        """Return what the dashboard shows of messages, as a document."""
        return messages(self.warehouse, self.clock)

    def inspect(self, asked: str) -> Inspection:
        """Look at one blob, or at a local file: a path begins with a dot or a slash."""
        from ingest.anatomy import read_anatomy  # noqa: PLC0415  (it brings DuckDB, whatever the warehouse)

        inspector = Inspector(self.parts, read_anatomy, self.settings.prefix)
        if asked.startswith((".", "/")) and Path(asked).is_file():
            return inspector.look_at_file(Path(asked))
        return inspector.look(asked)

    def _deadline(self) -> datetime:
        return self.clock.now() + timedelta(seconds=self.settings.time_budget_seconds)


def build(settings: Settings, emit: Emit = tell, environment: Mapping[str, str] | None = None) -> App:
    """Put the parts together. Raises SettingsError where they do not fit together; connects to nothing.

    `environment` has the platform's own settings of the storage where its queues are.
    """
    container = container_client(settings)
    landing = AzureLanding(container, settings.prefix)
    warehouse = open_warehouse(settings, landing)
    clock = SystemClock()
    parts = Parts(
        landing=landing,
        intake=Footers(landing) if warehouse.reads_container else LocalCopies(landing),
        warehouse=warehouse,
        clock=clock,
        owner=owner_of_this_process(),
        limits=Limits(
            max_files=settings.batch_max_files,
            max_bytes=settings.batch_max_bytes,
            drift=settings.drift,
            datasets=settings.datasets,
        ),
        emit=emit,
    )
    drain = Drain(parts)
    retention = timedelta(hours=settings.delete_after_hours) if settings.delete_after_hours else None
    watch = Watch(
        cadence=timedelta(minutes=settings.cadence_minutes),
        hard_limit=timedelta(minutes=settings.stall_after_minutes) if settings.stall_after_minutes else None,
        patience=max(timedelta(hours=1), timedelta(minutes=4 * settings.cadence_minutes)),
    )
    alerting = Alerting(warehouse, clock, _notifier(settings), emit, watch)
    queue = queue_client(environment or {})
    sweep = Sweep(
        parts,
        drain,
        alerting,
        retention,
        poison=None if queue is None else AzurePoisonQueue(queue),
        access=ContainerAccess(container),
    )
    return App(settings, landing, warehouse, clock, drain, sweep, parts)


def _notifier(settings: Settings) -> Notifier:
    urls = settings.alert_urls
    return AppriseNotifier(parse_urls(urls.get_secret_value())) if urls is not None else Nobody()


def container_client(settings: Settings) -> ContainerClient:
    """Return the landing container's client, signed in by connection string or by identity."""
    options: dict[str, Any] = {
        "max_single_get_size": CHUNK,
        "max_chunk_get_size": CHUNK,
        # A container that does not answer is told as such in a quarter of a minute, not in minutes.
        "connection_timeout": 5,
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=2),
    }
    if settings.connection_string is None:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415  (a quarter of a second where it is not needed)

        credential = DefaultAzureCredential(managed_identity_client_id=settings.storage_client_id)
        return ContainerClient(settings.storage_uri or "", settings.container, credential=credential, **options)
    try:
        return ContainerClient.from_connection_string(settings.connection_string, settings.container, **options)
    except ValueError as error:
        raise SettingsError(
            "EXPORT_STORAGE: it is not a storage connection string.",
            hint="Example: EXPORT_STORAGE=DefaultEndpointsProtocol=https;AccountName=<account>;AccountKey=<key>",
        ) from error


def both(*sinks: Emit) -> Emit:
    """Return a sink that tells each of several."""

    def emit(outcome: Outcome) -> None:
        for sink in sinks:
            sink(outcome)

    return emit


def grant_access(settings: Settings, region: str | None, days: int) -> SasAnswer:
    """Create or renew the policy behind Customer.io's SAS, and return the URL bound to it."""
    return run_sas(container_client(settings), region=region, days=days, now=SystemClock().now())


def examine_access(app: App, url: str) -> Finding:
    """Try a SAS URL as Customer.io will use it."""
    own = container_client(app.settings)
    return look("Customer.io's URL", "it can do all that Customer.io needs", lambda: examine_url(url, own))


def examine(app: App) -> list[Finding]:
    """Check settings, container and warehouse."""
    settings = app.settings
    storage = settings.storage_uri if settings.connection_string is None else "by connection string"
    return [
        Finding("settings", fine=True, text=f"complete; storage {storage}, warehouse {settings.warehouse}"),
        look("container", f"{settings.container!r} can be listed", app.landing.check),
        *(look(*check) for check in app.warehouse.checks()),
        look("status", "every stream's state can be read", lambda: app.warehouse.facts(app.clock.now())),
    ]
