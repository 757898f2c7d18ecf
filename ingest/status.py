"""What `status` says: per stream what arrived, was loaded, waits or was rejected, and how far behind it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.errors import IngestError, WarehouseBusy
from ingest.facts import Facts, StreamFacts
from ingest.naming import SWEEP, UNCLASSIFIED, Stream, stream_of
from ingest.ports import Clock, Landing, Warehouse


@dataclass(frozen=True, slots=True)
class Report:
    """The checkpoint's facts and what the container holds beyond them."""

    now: datetime
    facts: Facts
    unseen: dict[Stream, tuple[int, datetime]]
    """Blobs in the container that the checkpoint has not recorded yet: how many, and since when the oldest waits."""
    trouble: str = ""
    """Why the container could not be listed, if so."""


_LOOKS = 3


def report(landing: Landing, warehouse: Warehouse, clock: Clock, datasets: Collection[str]) -> Report:
    """Gather the facts, and what has arrived of the datasets without anybody having noticed.

    Workers may record what is being counted: where the facts moved meanwhile, it is counted again.
    """
    facts = warehouse.facts(clock.now())
    for _ in range(_LOOKS):
        if facts.holder is not None:
            return Report(clock.now(), facts, {}, trouble=facts.holder)
        try:
            unseen = _unseen(landing, warehouse, datasets)
        except WarehouseBusy:
            unseen = {}
        except IngestError as error:
            return Report(clock.now(), facts, {}, trouble=str(error))
        before, facts = facts, warehouse.facts(clock.now())
        if facts.holder is None and [each.arrived for each in before.streams] == [
            each.arrived for each in facts.streams
        ]:
            break
    return Report(clock.now(), facts, unseen if facts.holder is None else {}, trouble=facts.holder or "")


def _arrived(facts: Facts) -> list[int]:
    return [stream.arrived for stream in facts.streams]


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
    streams = sorted(known.keys() | report.unseen.keys())
    return {
        "version": 1,
        "as_of": _instant(report.facts.as_of),
        "live": report.facts.holder is None,
        "trouble": report.trouble or None,
        "streams": [
            _stream(stream, known.get(stream), report)
            for stream in streams
            if stream != SWEEP and (stream != UNCLASSIFIED or _any(known, report))
        ],
    }


def _any(known: dict[Stream, StreamFacts], report: Report) -> bool:
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
        "lag_seconds": round(lag, 1),
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
