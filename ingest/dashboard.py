"""What the dashboard's page asks for: the last 48 hours of every stream, and two weeks of messages, as documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest.errors import IngestError
from ingest.facts import Cell, FileRecord, Hour
from ingest.naming import Stream
from ingest.ports import Clock, Warehouse
from ingest.status import Report, document

VERSION = 1
CELL = timedelta(minutes=15)
CELLS = 192
HOURS = 48
DAYS = 14
REJECTED_SHOWN = 200
_HOUR = timedelta(hours=1)


def overview(report: Report, warehouse: Warehouse, cadence_minutes: int) -> dict[str, Any]:
    """Return everything but the messages. What cannot be read now is empty, and `trouble` says why."""
    now = report.now
    begin = _cell_of(now) - (CELLS - 1) * CELL
    first_hour = _hour_of(now) - (HOURS - 1) * _HOUR
    status = document(report)
    cells: Sequence[Cell] = ()
    hours: Sequence[Hour] = ()
    rejected: Sequence[FileRecord] = ()
    if status["live"]:
        try:
            cells = warehouse.cells(min(begin, first_hour))
            hours = warehouse.hours(first_hour)
            rejected = warehouse.rejected(REJECTED_SHOWN)
        except IngestError as error:
            status |= {"trouble": status["trouble"] or str(error)}
    waiting = sum(stream["pending"] for stream in status["streams"])
    return {
        "version": VERSION,
        "status": status,
        "cadence_minutes": cadence_minutes,
        "begin": _instant(begin),
        "cell_minutes": int(CELL.total_seconds()) // 60,
        "strips": _strips(cells, begin),
        "hours": _hours(hours, _came(cells, report), first_hour, waiting),
        "rejected": {
            "total": sum(stream["rejected"] for stream in status["streams"]),
            "files": [_file(record) for record in rejected],
        },
    }


def messages(warehouse: Warehouse, clock: Clock) -> dict[str, Any]:
    """Return how many messages of each channel had which metric, day by day."""
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [(today - timedelta(days=DAYS - 1 - back)).date() for back in range(DAYS)]
    found: dict[tuple[int, str, str], list[int]] = {}
    for each in warehouse.messages(today - timedelta(days=DAYS - 1)):
        if each.day in days:
            counts = found.setdefault((each.workspace_id, each.channel, each.metric), [0] * DAYS)
            counts[days.index(each.day)] = each.messages
    return {
        "version": VERSION,
        "days": [day.isoformat() for day in days],
        "counts": [
            {"workspace_id": workspace_id, "channel": channel, "metric": metric, "counts": counts}
            for (workspace_id, channel, metric), counts in sorted(found.items())
        ],
        "trouble": None,
    }


def _strips(cells: Sequence[Cell], begin: datetime) -> list[dict[str, Any]]:
    """Return for each stream the counts of its cells, by the files' time of arrival."""
    strips: dict[Stream, dict[str, Any]] = {}
    for cell in cells:
        at = (cell.begin - begin) // CELL
        if not 0 <= at < CELLS:
            continue
        counted = ("arrived", "loaded", "late", "rejected")
        empty = {
            "workspace_id": cell.stream.workspace_id,
            "dataset": cell.stream.dataset,
            **{name: [0] * CELLS for name in counted},
        }
        strip = strips.setdefault(cell.stream, empty)
        for name in counted:
            strip[name][at] = getattr(cell, name)
        strip["arrived"][at] -= cell.superseded  # what replaced it has a cell of its own
    return [strips[stream] for stream in sorted(strips)]


def _came(cells: Sequence[Cell], report: Report) -> Mapping[datetime, int]:
    """Return how many files came in each hour that were loaded or wait; nobody recorded some of them yet."""
    came: Counter[datetime] = Counter()
    for cell in cells:
        came[_hour_of(cell.begin)] += cell.arrived - cell.rejected - cell.superseded
    for count, oldest in report.unseen.values():
        came[_hour_of(oldest)] += count
    return came


def _hours(hours: Sequence[Hour], came: Mapping[datetime, int], first: datetime, waiting: int) -> list[dict[str, Any]]:
    """Return the hours; the backlog at the end of each is what waits now, with what came and went since put back."""
    known = {hour.begin: hour for hour in hours}
    told: list[dict[str, Any]] = []
    for back in range(HOURS):
        begin = first + (HOURS - 1 - back) * _HOUR
        done = known.get(begin)
        told.append(
            {
                "hour": _instant(begin),
                "files": done.files if done else 0,
                "rows": done.rows if done else 0,
                "median_seconds": round(done.median_seconds, 1) if done else None,
                "p95_seconds": round(done.p95_seconds, 1) if done else None,
                "backlog": max(0, waiting),
            }
        )
        waiting += (done.files if done else 0) - came.get(begin, 0)
    return told[::-1]


def _file(record: FileRecord) -> dict[str, Any]:
    return {
        "blob_name": record.blob_name,
        "workspace_id": record.workspace_id,
        "dataset": record.dataset,
        "bytes": record.size,
        "arrived_at": _instant(record.arrived_at),
        "attempts": record.attempts,
        "reason": record.error,
    }


def _cell_of(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
