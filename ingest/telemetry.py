"""Outcomes as log records: a constant event name, and fields beside it. No row contents, no signatures."""

from __future__ import annotations

import logging
from dataclasses import asdict

from ingest.outcomes import FileDeferred, FileRejected, Outcome, SchemaDrifted, StreamLost

_LOUD = (FileRejected, FileDeferred, SchemaDrifted, StreamLost)
_log = logging.getLogger("ingest")


def log_outcome(outcome: Outcome) -> None:
    """Log an outcome at WARNING where a person should look, else at INFO."""
    event = type(outcome).__name__
    level = logging.WARNING if isinstance(outcome, _LOUD) else logging.INFO
    fields = {f"ingest_{name}": value for name, value in asdict(outcome).items()}
    text = " ".join(f"{name}={value}" for name, value in asdict(outcome).items() if name != "stream")
    _log.log(level, "%s stream=%s %s", event, outcome.stream, text, extra={"event": event, **fields})
