"""Outcomes as log records and metrics: constant names, and fields beside them. No row contents, no signatures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from opentelemetry._logs import SeverityNumber, get_logger
from opentelemetry.metrics import get_meter

from ingest.alerts import Kind
from ingest.outcomes import (
    AlertOpened,
    BatchLoaded,
    BlobsDeleted,
    FileDeferred,
    FileRejected,
    NotificationLost,
    Outcome,
    SchemaDrifted,
    StreamLost,
    StreamSeen,
    SweepFinished,
)
from ingest.spans import of_stream

_LOUD = (AlertOpened, FileRejected, FileDeferred, NotificationLost, SchemaDrifted, StreamLost)
_SHOWN = 20
"""Names of a list that a record holds; it says how many more there are."""
_SEVERITIES = {
    logging.DEBUG: (SeverityNumber.DEBUG, "DEBUG"),
    logging.INFO: (SeverityNumber.INFO, "INFO"),
    logging.WARNING: (SeverityNumber.WARN, "WARN"),
}
_UNTOLD = ("stream", "waits")

_log = logging.getLogger("ingest")
_events = get_logger("ingest")
_meter = get_meter("ingest")

_heartbeat = _meter.create_counter(
    "ingest.sweep.heartbeat", "{sweep}", "Finished sweeps. Where it stays away, nobody is looking."
)
_sweep_duration = _meter.create_histogram("ingest.sweep.duration", "s", "How long a sweep took.")
_loaded = _meter.create_counter("ingest.files.loaded", "{file}", "Files whose rows were committed.")
_rejected = _meter.create_counter("ingest.files.rejected", "{file}", "Files recorded as rejected.")
_late = _meter.create_counter("ingest.files.late", "{file}", "Files loaded after one with a higher sequence.")
_deleted = _meter.create_counter("ingest.files.deleted", "{file}", "Blobs deleted after their retention.")
_read = _meter.create_counter("ingest.rows.read", "{row}", "Rows of the files that were loaded.")
_applied = _meter.create_counter("ingest.rows.applied", "{row}", "Rows that were in the tables after their commit.")
_bytes = _meter.create_counter("ingest.bytes.loaded", "By", "Parquet bytes of the files that were loaded.")
_duration = _meter.create_histogram("ingest.batch.duration", "s", "From the fetch of a batch to its commit.")
_delay = _meter.create_histogram("ingest.file.delay", "s", "From a file's arrival in the container to its commit.")
_losses = _meter.create_counter("ingest.lease.losses", "{lease}", "Leases lost in the middle of work.")
_pending = _meter.create_gauge("ingest.files.pending", "{file}", "Files that have arrived and wait to be loaded.")
_pending_age = _meter.create_gauge("ingest.files.pending.age", "s", "How long the oldest of them has waited.")
_arrival_age = _meter.create_gauge("ingest.arrival.age", "s", "How long ago the last file arrived.")
_open_alerts = _meter.create_gauge("ingest.alerts.open", "{alert}", "Alerts that are open, by kind.")


def tell(outcome: Outcome) -> None:
    """Log and count an outcome."""
    log_outcome(outcome)
    count_outcome(outcome)


def log_outcome(outcome: Outcome) -> None:
    """Log an outcome at WARNING where a person should look, else at INFO: as text for the platform, and as an event."""
    event = type(outcome).__name__
    level = _level(outcome)
    told = {field.name: _value(getattr(outcome, field.name)) for field in fields(outcome) if field.name not in _UNTOLD}
    if _log.isEnabledFor(level):
        text = " ".join(f"{name}={value}" for name, value in told.items())
        extra = {f"ingest_{name}": value for name, value in told.items()}
        _log.log(level, "%s stream=%s %s", event, outcome.stream, text, extra={"event": event, **extra})
    if level > logging.DEBUG:
        number, name = _SEVERITIES[level]
        attributes = {f"ingest.{name}": value for name, value in told.items()}
        _events.emit(
            severity_number=number,
            severity_text=name,
            body=event,
            event_name=event,
            attributes={**of_stream(outcome.stream), **attributes},
        )


def count_outcome(outcome: Outcome) -> None:
    """Count an outcome in the metrics."""
    about = of_stream(outcome.stream)
    match outcome:
        case BatchLoaded():
            _loaded.add(outcome.files, about)
            _late.add(len(outcome.late), about)
            _read.add(outcome.read, about)
            _applied.add(outcome.applied, about)
            _bytes.add(outcome.size, about)
            _duration.record(outcome.seconds, about)
            for wait in outcome.waits:
                _delay.record(max(0.0, wait), about)  # clocks may differ
        case FileRejected():
            _rejected.add(1, about)
        case BlobsDeleted():
            _deleted.add(outcome.files)
        case StreamLost():
            _losses.add(1, about)
        case StreamSeen():
            _pending.set(outcome.pending, about)
            _pending_age.set(outcome.pending_seconds, about)
            if outcome.silent_seconds is not None:
                _arrival_age.set(outcome.silent_seconds, about)
        case SweepFinished():
            _heartbeat.add(1)
            _sweep_duration.record(outcome.seconds)
            for kind in Kind:
                _open_alerts.set(outcome.open_alerts.count(kind.value), {"ingest.alert.kind": kind.value})
        case _:
            return


def _level(outcome: Outcome) -> int:
    if isinstance(outcome, StreamSeen):
        return logging.DEBUG
    return logging.WARNING if isinstance(outcome, _LOUD) else logging.INFO


def _value(value: Any) -> str | int | float:
    if isinstance(value, str | int | float):
        return value
    assert isinstance(value, Sequence)
    more = len(value) - _SHOWN
    return ", ".join(str(item) for item in value[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
