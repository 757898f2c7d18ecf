"""Outcomes as log records: a constant event name, and fields beside it. No row contents, no signatures."""

from __future__ import annotations

import logging
from dataclasses import asdict

from opentelemetry.metrics import get_meter

from ingest.outcomes import (
    AlertOpened,
    FileDeferred,
    FileRejected,
    NotificationLost,
    Outcome,
    SchemaDrifted,
    StreamLost,
    SweepFinished,
)

_LOUD = (AlertOpened, FileRejected, FileDeferred, NotificationLost, SchemaDrifted, StreamLost)
_log = logging.getLogger("ingest")
_heartbeat = get_meter("ingest").create_counter(
    "ingest.sweep.heartbeat", unit="{sweep}", description="Finished sweeps. Where it stays away, nobody is looking."
)


def log_outcome(outcome: Outcome) -> None:
    """Log an outcome at WARNING where a person should look, else at INFO."""
    event = type(outcome).__name__
    level = logging.WARNING if isinstance(outcome, _LOUD) else logging.INFO
    fields = {f"ingest_{name}": value for name, value in asdict(outcome).items()}
    text = " ".join(f"{name}={value}" for name, value in asdict(outcome).items() if name != "stream")
    if isinstance(outcome, SweepFinished):
        _heartbeat.add(1)
    _log.log(level, "%s stream=%s %s", event, outcome.stream, text, extra={"event": event, **fields})
