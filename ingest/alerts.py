"""What is alarming, and what becomes of an alert: pure rules over what is known and the time.

An alert is a state: opened once, told once, told again every day while it lasts, and closed with a word of recovery.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ingest.facts import AlertRecord, Recent


class Severity(StrEnum):
    """How soon somebody should look."""

    WARNING = "warning"
    CRITICAL = "critical"


class Kind(StrEnum):
    """What is wrong; each has a section of its name in docs/runbook.md."""

    STALL = "exports-stalled"
    NOT_LOADED = "files-not-loaded"
    REJECTED = "files-rejected"
    LATE = "files-late"
    SCHEMA = "schema-changed"
    POISON = "events-poisoned"
    LEASES = "leases-expire"
    PEOPLE = "people-export-silent"
    VERSION = "new-schema-version"
    RECREATED = "sync-recreated"
    ACCESS_ENDS = "access-policy-expires"
    ACCESS_LACKS = "access-policy-lacks"
    NO_DELETING = "deleting-refused"


@dataclass(frozen=True, slots=True)
class About:
    """What an alert means to those downstream, and what to run."""

    severity: Severity
    meaning: str
    command: str


ABOUT: Mapping[Kind, About] = {
    Kind.STALL: About(
        Severity.CRITICAL,
        "Audiences, suppression lists and lift figures stand still: whoever unsubscribed since is still in them.",
        "python -m ingest doctor",
    ),
    Kind.NOT_LOADED: About(
        Severity.CRITICAL,
        "The files are there, but the tables do not hold them: everything downstream is older than it could be.",
        "python -m ingest drain",
    ),
    Kind.REJECTED: About(
        Severity.CRITICAL,
        "What these files hold is missing in the tables: messages, opens or unsubscribes of that time are not counted.",
        "python -m ingest rejected",
    ),
    Kind.LATE: About(
        Severity.WARNING,
        "Rows of an earlier time came after later ones: what was computed meanwhile did not have them.",
        "python -m ingest status",
    ),
    Kind.SCHEMA: About(
        Severity.WARNING,
        "The tables have new columns; queries that name their columns go on, those that take all of them may not.",
        "python -m ingest status",
    ),
    Kind.POISON: About(
        Severity.WARNING,
        "The platform gave up on these events. The sweep loaded their blobs; if it goes on, every file comes late.",
        "python -m ingest status",
    ),
    Kind.LEASES: About(
        Severity.CRITICAL,
        "Workers die in the middle of this stream again and again, so that its tables stand still.",
        "python -m ingest drain",
    ),
    Kind.PEOPLE: About(
        Severity.CRITICAL,
        "After seven days Customer.io does not resume the people export: all of it would have to be exported anew.",
        "python -m ingest doctor",
    ),
    Kind.VERSION: About(
        Severity.WARNING,
        "Customer.io writes another version of its schema: columns may have been added, renamed or dropped.",
        "python -m ingest status",
    ),
    Kind.RECREATED: About(
        Severity.WARNING,
        "The sync looks as if it was set up anew. If its seq_num starts over, rows of the former sync keep winning.",
        "python -m ingest status",
    ),
    Kind.ACCESS_ENDS: About(
        Severity.CRITICAL,
        "When it ends, Customer.io can write nothing more, and the exports stop.",
        "python -m ingest sas",
    ),
    Kind.ACCESS_LACKS: About(
        Severity.CRITICAL,
        "Customer.io needs these permissions to write; without them the exports stop.",
        "python -m ingest sas",
    ),
    Kind.NO_DELETING: About(
        Severity.WARNING,
        "Loading goes on, but loaded files stay in the container, with the personal data in them.",
        "python -m ingest doctor",
    ),
}


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong now. `detail` says what and since when, without row contents."""

    kind: Kind
    subject: str
    since: datetime
    detail: str


TOO_MANY_TAKEOVERS = 3
PEOPLE_SILENT = timedelta(days=5)
"""Customer.io's page: a people export that fails for seven days is not resumed."""
ACCESS_ENDS = timedelta(days=14)
RECREATED_FILES = 3
REMIND_AFTER = timedelta(days=1)
NEW_VERSION = timedelta(days=1)
SEEN_AGAIN = timedelta(hours=1)


def of_streams(recent: Sequence[Recent], now: datetime, patience: timedelta) -> Iterator[Alert]:
    """Yield what is wrong with streams, whatever the rhythm of the exports. `patience` is how long a file may wait."""
    for it in recent:
        subject = str(it.stream)
        if it.oldest_pending_at is not None and now - it.oldest_pending_at > patience:
            yield Alert(Kind.NOT_LOADED, subject, it.oldest_pending_at, "Its oldest waiting file arrived then.")
        if it.rejected and it.rejected_since is not None:
            yield Alert(Kind.REJECTED, subject, it.rejected_since, f"{it.rejected} files are rejected.")
        if it.late and it.late_since is not None:
            yield Alert(Kind.LATE, subject, it.late_since, f"{it.late} files came after later ones within a day.")
        if it.undeclared:
            yield Alert(Kind.SCHEMA, subject, it.last_arrived_at or now, f"New columns: {it.undeclared}.")
        if it.takeovers >= TOO_MANY_TAKEOVERS:
            text = f"{it.takeovers} holders of its lease died since the last commit."
            yield Alert(Kind.LEASES, subject, it.oldest_pending_at or now, text)
        if it.former_version is not None and it.version_since is not None and now - it.version_since < NEW_VERSION:
            text = f"Its files are of version {it.version}, before that of version {it.former_version}."
            yield Alert(Kind.VERSION, subject, it.version_since, text)
        if it.resent or it.restarted >= RECREATED_FILES:
            text = f"{it.resent} files of an initial sync came again, {it.restarted} with sequences from before."
            yield Alert(Kind.RECREATED, subject, it.late_since or it.last_arrived_at or now, text)
        if it.stream.dataset == "people" and it.last_arrived_at and now - it.last_arrived_at > PEOPLE_SILENT:
            yield Alert(Kind.PEOPLE, subject, it.last_arrived_at, "Its last file arrived then.")


def advance(
    known: Sequence[AlertRecord],
    alerts: Sequence[Alert],
    channels: Sequence[str],
    now: datetime,
    unknown: Collection[Kind] = (),
) -> list[AlertRecord]:
    """Return the records that change: opened, seen again, due for a reminder, or closed.

    Kinds that could not be looked at this time stay as they are.
    """
    by_key = {(record.kind, record.subject): record for record in known}
    due = {(alert.kind.value, alert.subject): alert for alert in alerts}
    seen = ((by_key.get(key), alert) for key, alert in due.items())
    changed = [_seen(record, alert, channels, now) for record, alert in seen if _is_news(record, alert, now)]
    for key, record in by_key.items():
        if record.closed_at is None and key not in due and record.kind not in {kind.value for kind in unknown}:
            told = record.notified_at is not None or bool(record.owed)
            changed.append(replace(record, closed_at=now, owed=tuple(channels) if told else ()))
    return changed


def _is_news(record: AlertRecord | None, alert: Alert, now: datetime) -> bool:
    """Tell whether there is anything to write about an alert: that it is still so, once an hour."""
    if record is None or record.closed_at is not None or record.detail != alert.detail:
        return True
    return now - record.last_seen_at >= SEEN_AGAIN or _is_due_again(record, now)


def _is_due_again(record: AlertRecord, now: datetime) -> bool:
    return not record.owed and record.notified_at is not None and now - record.notified_at >= REMIND_AFTER


def _seen(record: AlertRecord | None, alert: Alert, channels: Sequence[str], now: datetime) -> AlertRecord:
    severity = ABOUT[alert.kind].severity.value
    if record is None or record.closed_at is not None:
        return AlertRecord(
            kind=alert.kind.value,
            subject=alert.subject,
            severity=severity,
            opened_at=now,
            last_seen_at=now,
            notified_at=None,
            closed_at=None,
            since=alert.since,
            detail=alert.detail,
            owed=tuple(channels),
        )
    remind = _is_due_again(record, now)
    return replace(
        record,
        last_seen_at=now,
        severity=severity,
        detail=alert.detail,
        since=alert.since,
        owed=tuple(channels) if remind else record.owed,
    )


def delivered(record: AlertRecord, channel: str, now: datetime) -> AlertRecord:
    """Return the record once a channel took its message."""
    return replace(record, notified_at=now, owed=tuple(each for each in record.owed if each != channel))
