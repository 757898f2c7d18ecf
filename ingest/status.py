"""What `status` says: per stream what arrived, was loaded, waits or was rejected, and through when it is complete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ingest.errors import IngestError, WarehouseBusy
from ingest.facts import AlertRecord, Facts, StreamFacts
from ingest.naming import SWEEP, UNCLASSIFIED, Stream, stream_of
from ingest.ports import Clock, Landing, Warehouse

VERSION = 1
"""Of the document; docs/status.schema.json is its schema. Fields may be added to a version, none taken away."""
MARGIN = timedelta(seconds=5)
"""By how much our clock and the container's may differ."""
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Report:
    """The checkpoint's facts and what the container holds beyond them."""

    now: datetime
    facts: Facts
    unseen: Mapping[Stream, tuple[int, datetime]]
    """Blobs in the container that the checkpoint has not recorded yet: how many, and since when the oldest waits."""
    trouble: str = ""
    """Why the container could not be listed, if so."""
    listed_at: datetime | None = None
    """When the listing began, if there was one: what arrived before is in it."""
    datasets: Collection[str] | None = None
    """Those that are taken, if not all: of the others nothing is known to be complete."""


def report(landing: Landing, warehouse: Warehouse, clock: Clock, datasets: Collection[str]) -> Report:
    """Gather the facts, and what has arrived of the datasets without anybody having noticed.

    Workers may record what is being counted: where the facts moved meanwhile, it is counted again.
    """
    facts = warehouse.facts(clock.now())
    unseen: dict[Stream, tuple[int, datetime]] = {}
    listed_at = clock.now()
    for _ in range(_LOOKS):
        listed_at = clock.now()
        if facts.holder is not None:
            return Report(clock.now(), facts, {}, trouble=facts.holder)
        try:
            unseen = _unseen(landing, warehouse, datasets)
        except WarehouseBusy as busy:
            return Report(clock.now(), facts, {}, trouble=str(busy))
        except IngestError as error:
            return Report(clock.now(), facts, {}, trouble=str(error))
        before, facts = facts, warehouse.facts(clock.now())
        if facts.holder is None and [each.arrived for each in before.streams] == [
            each.arrived for each in facts.streams
        ]:
            break
    if facts.holder is not None:
        return Report(clock.now(), facts, {}, trouble=facts.holder)
    # What was unseen and is loaded since makes the instant earlier than it could be, never later.
    return Report(clock.now(), facts, unseen, listed_at=listed_at, datasets=datasets)


def _unseen(landing: Landing, warehouse: Warehouse, datasets: Collection[str]) -> dict[Stream, tuple[int, datetime]]:
    unseen: dict[Stream, tuple[int, datetime]] = {}
    for page in landing.pages():
        for blob in warehouse.unsettled(page, hurried=True):
            stream = stream_of(blob.name)
            if stream == UNCLASSIFIED or stream.dataset in datasets:
                count, oldest = unseen.get(stream, (0, blob.modified))
                unseen[stream] = (count + 1, min(oldest, blob.modified))
    return unseen


def document(report: Report) -> dict[str, Any]:
    """Return the report as JSON values. Instants are ISO 8601 in UTC, lag is in seconds, sizes are in files."""
    known = {facts.stream: facts for facts in report.facts.streams}
    streams = [
        _stream(stream, known.get(stream), report)
        for stream in sorted(known.keys() | report.unseen.keys())
        if stream != SWEEP and (stream != UNCLASSIFIED or _any(known, report))
    ]
    taken = [each for each in streams if each["workspace_id"] and _is_taken(each["dataset"], report)]
    through = [each["complete_through"] for each in taken]
    return {
        "version": VERSION,
        "as_of": _instant(report.facts.as_of),
        "live": report.facts.holder is None,
        "trouble": report.trouble or None,
        "complete_through": min(through) if through and None not in through else None,
        "alerts": [_alert(alert) for alert in report.facts.alerts],
        "streams": streams,
    }


def trouble(error: IngestError) -> dict[str, Any]:
    """Return what stands in place of the document when there is none."""
    return {"version": VERSION, "trouble": str(error)}


def _any(known: Mapping[Stream, StreamFacts], report: Report) -> bool:
    """Tell whether there is anything unclassified: its lease alone is nothing to show."""
    return UNCLASSIFIED in report.unseen or (UNCLASSIFIED in known and known[UNCLASSIFIED].arrived > 0)


def _stream(stream: Stream, facts: StreamFacts | None, report: Report) -> dict[str, Any]:
    unseen, oldest_unseen = report.unseen.get(stream, (0, None))
    waiting = [moment for moment in (facts.oldest_pending_at if facts else None, oldest_unseen) if moment is not None]
    lag = max(0.0, (report.now - min(waiting)).total_seconds()) if waiting else 0.0
    return {
        "workspace_id": stream.workspace_id,
        "dataset": stream.dataset,
        "arrived": (facts.arrived if facts else 0) + unseen,
        "loaded": facts.loaded if facts else 0,
        "pending": (facts.pending if facts else 0) + unseen,
        "rejected": facts.rejected if facts else 0,
        "superseded": facts.superseded if facts else 0,
        "late": facts.late if facts else 0,
        "rows_applied": facts.rows_applied if facts else 0,
        "last_version": facts.last_version if facts else None,
        "last_sequence": facts.last_sequence if facts else None,
        "last_arrived_at": _instant(facts.last_arrived_at if facts else None),
        "last_loaded_at": _instant(facts.last_loaded_at if facts else None),
        "complete_through": _instant(_complete_through(stream, facts, oldest_unseen, report)),
        "lag_seconds": round(lag, 1),
        "alerts": _alerts_of(stream, report.facts.alerts),
    }


def _is_taken(dataset: str, report: Report) -> bool:
    return report.datasets is None or dataset in report.datasets


def _complete_through(
    stream: Stream, facts: StreamFacts | None, oldest_unseen: datetime | None, report: Report
) -> datetime | None:
    """Return the instant before which everything that arrived is loaded; None where the container was not listed.

    A rejected file holds it back, too: its rows are not in the tables. Arrivals are told in whole seconds.
    """
    if report.listed_at is None or not (stream == UNCLASSIFIED or _is_taken(stream.dataset, report)):
        return None
    held_back = [moment for moment in (facts.incomplete_since if facts else None, oldest_unseen) if moment is not None]
    return min([*held_back, report.listed_at.replace(microsecond=0) - MARGIN])


def _alerts_of(stream: Stream, alerts: Sequence[AlertRecord]) -> list[str]:
    """Return the kinds of the alerts about a stream or its workspace."""
    subjects = {str(stream), f"workspace {stream.workspace_id}"}
    return sorted({alert.kind for alert in alerts if alert.subject in subjects})


def _alert(alert: AlertRecord) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "since": _instant(alert.since),
        "opened_at": _instant(alert.opened_at),
        "detail": alert.detail,
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
