"""Make the documents that the dashboard's page asks for: any kind of day, with a hand for what is wrong in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 22, 7, 20, 3, 123000, tzinfo=UTC)
CELLS = 192
CELL = timedelta(minutes=15)
BEGIN = datetime(2026, 11, 20, 7, 30, tzinfo=UTC)
WORKSPACE = 111528
DATASETS = ("deliveries", "delivery_content", "metrics", "outputs", "subjects", "people", "attributes")
BIG_SEQUENCE = 241600000000311123
"""Beyond 2^53, as real ones are."""

Document = dict[str, Any]


def said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def ago(**span: float) -> str:
    return said(NOW - timedelta(**span))


def stream(dataset: str = "deliveries", workspace_id: int = WORKSPACE, **changes: Any) -> Document:
    return {
        "workspace_id": workspace_id,
        "dataset": dataset,
        "arrived": 900,
        "loaded": 900,
        "pending": 0,
        "rejected": 0,
        "superseded": 0,
        "late": 0,
        "rows_applied": 123456,
        "last_version": 4,
        "last_sequence": 881,
        "last_arrived_at": ago(minutes=6),
        "last_loaded_at": ago(minutes=5.9),
        "complete_through": ago(seconds=5),
        "lag_seconds": 0.0,
        "alerts": [],
        **changes,
    }


def strip(
    dataset: str = "deliveries",
    workspace_id: int = WORKSPACE,
    *,
    every: int = 2,
    offset: int = 0,
    late: Iterable[int] = (),
    rejected: Iterable[int] = (),
    waiting: Iterable[int] = (),
    until: int = CELLS,
) -> Document:
    """Make a strip with a file in every so many cells, and others on top of it."""
    cells = [1 if at < until and (at + offset) % every == 0 else 0 for at in range(CELLS)]
    late, rejected, waiting = set(late), set(rejected), set(waiting)
    loaded = [count + (1 if at in late else 0) for at, count in enumerate(cells)]
    more = [(1 if at in rejected else 0) + (1 if at in waiting else 0) for at in range(CELLS)]
    return {
        "workspace_id": workspace_id,
        "dataset": dataset,
        "arrived": [one + other for one, other in zip(loaded, more, strict=True)],
        "loaded": loaded,
        "late": [1 if at in late else 0 for at in range(CELLS)],
        "rejected": [1 if at in rejected else 0 for at in range(CELLS)],
    }


def hours(quiet_after: int = 48, backlog: Mapping[int, int] = {}) -> list[Document]:
    begin = datetime(2026, 11, 20, 8, tzinfo=UTC)
    made = []
    for at in range(48):
        moment = begin + timedelta(hours=at)
        files = 0 if at >= quiet_after else round(10 + 9 * math.sin((moment.hour - 7) / 24 * 2 * math.pi))
        made.append(
            {
                "hour": said(moment),
                "files": files,
                "rows": files * (2000 + at % 7 * 130),
                "median_seconds": 6 + at % 5 * 0.7 if files else None,
                "p95_seconds": 14 + at % 9 * 2.5 + 10 * backlog.get(at, 0) if files else None,
                "backlog": backlog.get(at, 0),
            }
        )
    return made


def rejected_file(name: str = "exports/deliveries_v4_111528_903.parquet", **changes: Any) -> Document:
    return {
        "blob_name": name,
        "workspace_id": WORKSPACE,
        "dataset": "deliveries",
        "bytes": 48213,
        "arrived_at": ago(hours=5),
        "attempts": 1,
        "reason": "column created_at: expected timestamp, found string",
        **changes,
    }


def alert(kind: str = "exports-stalled", subject: str = f"workspace {WORKSPACE}", **changes: Any) -> Document:
    return {
        "kind": kind,
        "subject": subject,
        "severity": "critical",
        "since": ago(hours=17, minutes=20),
        "opened_at": ago(hours=14),
        "detail": "The last file arrived then; at this hour one comes every 15 minutes.",
        **changes,
    }


def data(
    streams: Sequence[Document] = (),
    strips: Sequence[Document] = (),
    alerts: Sequence[Document] = (),
    rejected: Sequence[Document] = (),
    by_hour: Sequence[Document] = (),
    **status: Any,
) -> Document:
    return {
        "version": 1,
        "status": {
            "version": 1,
            "as_of": said(NOW),
            "live": True,
            "trouble": None,
            "complete_through": ago(seconds=5),
            "alerts": list(alerts),
            "streams": list(streams),
            **status,
        },
        "cadence_minutes": 15,
        "begin": said(BEGIN),
        "cell_minutes": 15,
        "strips": list(strips),
        "hours": list(by_hour),
        "rejected": {"total": len(rejected), "files": list(rejected)},
    }


def empty() -> Document:
    return data(complete_through=None, by_hour=hours(quiet_after=0))


def healthy(workspaces: Sequence[int] = (WORKSPACE, 240417), datasets: Sequence[str] = DATASETS) -> Document:
    """Make a day on which all is well, but for one file that came late and two that are on their way."""
    streams, strips = [], []
    for at, (workspace, dataset) in enumerate((each, name) for each in workspaces for name in datasets):
        first = at == 0
        changes = (
            {"late": 1, "pending": 2, "arrived": 902, "lag_seconds": 8.0, "last_sequence": BIG_SEQUENCE}
            if first
            else {}
        )
        streams.append(stream(dataset, workspace, **changes))
        strips.append(
            strip(
                dataset,
                workspace,
                every=1 + at % 5,
                offset=at,
                late=[90] if first else (),
                waiting=[191] if first else (),
            )
        )
    return data(streams, strips, by_hour=hours())


def stalled() -> Document:
    """Make a day whose exports stopped in the afternoon, with rejected files and a backlog from before."""
    gone = CELLS - 70
    streams = [
        stream(
            name,
            last_arrived_at=ago(hours=17, minutes=20),
            last_sequence=BIG_SEQUENCE + at,
            alerts=["exports-stalled"] if at == 0 else [],
        )
        for at, name in enumerate(DATASETS)
    ]
    streams[2] |= {"rejected": 3, "arrived": 903, "alerts": ["files-rejected"]}
    streams[5] |= {"pending": 3, "arrived": 903, "lag_seconds": 63000.0}
    strips = [strip(name, every=1 + at % 5, offset=at, until=gone) for at, name in enumerate(DATASETS)]
    strips[2] = strip("metrics", every=2, until=gone, rejected=[60, 61, 100], late=[40, 58])
    strips[5] = strip("people", every=3, until=gone, waiting=[119, 120, 121])
    files = [rejected_file(f"exports/metrics_v4_{WORKSPACE}_{88 + at}.parquet", dataset="metrics") for at in range(3)]
    alerts = [
        alert(
            "files-late",
            f"metrics of workspace {WORKSPACE}",
            severity="warning",
            since=ago(hours=30),
            detail="2 files came after later ones within a day.",
        ),
        alert(),
        alert(
            "files-rejected", f"metrics of workspace {WORKSPACE}", since=ago(hours=23), detail="3 files are rejected."
        ),
    ]
    by_hour = hours(quiet_after=30, backlog={at: 3 if at > 30 else (at - 24) * 2 for at in range(25, 48)})
    return data(streams, strips, alerts, files, by_hour, complete_through=ago(hours=17, minutes=20))


HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\">",
    "\"><script>document.title='taken'</script>",
    "</script><script>document.title='taken'</script>",
    "deliveries_\u202egnp.tequrap\u202c_1.parquet",
    "\u05d0\u05d1\u05d2_v4_1_1.parquet",
    "x" * 1024,
    "\U0001f4e6\U0001f469\u200d\U0001f469\u200d\U0001f467 exports/deliveries.parquet",
    "javascript:document.title='taken'",
    "{{constructor.constructor('return 1')()}}",
    "tab\tnew\nline\u200bnothing",
)


def hostile(files: int = 200) -> Document:
    names = [f"{HOSTILE[at % len(HOSTILE)]}{at // len(HOSTILE) or ''}"[:1024] for at in range(files)]
    rejected = [
        rejected_file(
            name,
            reason=f"not a file of this export: {name}",
            workspace_id=None,
            dataset=None,
            arrived_at=ago(minutes=at),
        )
        for at, name in enumerate(names)
    ]
    dataset = HOSTILE[0]
    streams = [
        stream("unclassified", 0, arrived=207, loaded=0, rejected=207, last_sequence=None, last_version=None),
        stream(dataset),
    ]
    alerts = [alert(HOSTILE[1], HOSTILE[3], detail=HOSTILE[5]), alert("files-rejected", HOSTILE[0], detail=HOSTILE[0])]
    made = data(streams, [strip("unclassified", 0, rejected=[50]), strip(dataset)], alerts, rejected, hours())
    made["rejected"]["total"] = 207
    return made


def messages() -> Document:
    first = datetime(2026, 11, 9, tzinfo=UTC)
    days = [(first + timedelta(days=at)).date().isoformat() for at in range(14)]
    size = {"email": 4200, "push": 1600, "in_app": 700}
    share = {
        "sent": 1.0,
        "delivered": 0.97,
        "opened": 0.41,
        "clicked": 0.06,
        "bounced": 0.011,
        "unsubscribed": 0.004,
        "converted": 0.02,
    }
    counts = [
        {
            "workspace_id": WORKSPACE,
            "channel": channel,
            "metric": metric,
            "counts": [
                round(
                    many
                    * part
                    * (1 + 0.3 * math.sin(at * 0.9))
                    * (0.5 if at % 7 in {5, 6} else 1)
                    * (0.3 if at == 13 else 1 + at / 60)
                )
                for at in range(14)
            ],
        }
        for channel, many in size.items()
        for metric, part in share.items()
    ]
    return {"version": 1, "days": days, "counts": counts, "trouble": None}
