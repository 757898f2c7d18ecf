"""Look at what is alarming, write it down, and tell those who want to know; one worker at a time, under a lease."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest import alerts
from ingest.alerts import ABOUT, Alert, Kind
from ingest.arrivals import Lease
from ingest.cadence import Rhythm, learn, silence
from ingest.channels import AccessPolicy, Message, Notifier
from ingest.errors import NotificationFailed
from ingest.facts import AlertRecord, Recent
from ingest.naming import SWEEP, UNCLASSIFIED, Stream
from ingest.outcomes import AlertClosed, AlertOpened, NotificationLost
from ingest.ports import Clock, Emit, Warehouse
from ingest.spans import span

RUNBOOK = "docs/runbook.md"
_DAY = timedelta(days=1)
_MEMORY = timedelta(weeks=8)
"""How far back the rhythm of the exports is learnt from."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What counts as unusual. `hard_limit` is STALL_AFTER_MINUTES, `patience` how long a file may wait to be loaded."""

    cadence: timedelta = timedelta(minutes=15)
    hard_limit: timedelta | None = None
    patience: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a round met that the checkpoint does not say. `policies` is None where they could not be looked at."""

    poisoned: int = 0
    policies: Sequence[AccessPolicy] | None = None
    deleting_refused: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the checkpoint said."""

    day: datetime
    known: Sequence[AlertRecord]
    recent: Sequence[Recent]
    arrivals: Mapping[Stream, Sequence[datetime]]


class Alerting:
    """Opens, tells, repeats and closes alerts."""

    def __init__(self, warehouse: Warehouse, clock: Clock, notifier: Notifier, emit: Emit, watch: Watch) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._notifier = notifier
        self._emit = emit
        self._watch = watch
        self._remembered: Seen | None = None
        self.recent: Sequence[Recent] = ()
        """What the last look said of the streams."""
        self.open_kinds: tuple[str, ...] = ()
        """The kinds of the alerts that were open when the last round ended, each as often as there are."""
        self._rhythms: dict[str, tuple[datetime, Rhythm]] = {}

    def is_needed(self, noticed: Noticed, *, unchanged: bool) -> bool:
        """Tell whether there is anything to write or to tell.

        Where the warehouse sleeps and nothing came since the last look, it is not asked again on the same day.
        """
        now = self._clock.now()
        seen = self._remembered
        if seen is None or not unchanged or not self._warehouse.sleeps or seen.day != _midnight(now):
            seen = self.look()
        changed = self._changed(seen, noticed, now)
        self.open_kinds = _open(seen.known)
        return bool(changed or _owed(seen.known, changed))

    def round(self, lease: Lease, noticed: Noticed) -> None:
        """Bring the alerts up to date and tell what is owed. Raises LeaseLost."""
        now = self._clock.now()
        seen = self.look()
        changed = self._changed(seen, noticed, now)
        self._remembered = None
        if changed:
            self._warehouse.write_alerts(lease, changed)
        self.open_kinds = _open(_latest(seen.known, changed))
        for record in changed:
            if record.opened_at == now:
                self._emit(AlertOpened(SWEEP, record.kind, record.subject, record.severity, record.detail))
            elif record.closed_at == now:
                self._emit(AlertClosed(SWEEP, record.kind, record.subject))
        self._tell(lease, _owed(seen.known, changed))

    def look(self) -> Seen:
        """Ask the checkpoint. A warehouse that sleeps is asked the same all day: it keeps its answers."""
        now = self._clock.now()
        since = _midnight(now - _DAY) if self._warehouse.sleeps else now - _DAY
        recent = [each for each in self._warehouse.recent(since) if each.stream != SWEEP]
        arrivals = self._warehouse.arrivals(_midnight(now - _MEMORY))
        self._remembered = Seen(_midnight(now), self._warehouse.alerts(), recent, arrivals)
        self.recent = recent
        return self._remembered

    def _changed(self, seen: Seen, noticed: Noticed, now: datetime) -> list[AlertRecord]:
        due = [
            *alerts.of_streams(seen.recent, now, self._watch.patience),
            *self._stalls(seen, now),
            *_of_round(noticed, now),
        ]
        unknown = _not_looked_at(noticed, seen.known, now)
        return alerts.advance(seen.known, due, self._notifier.channels(), now, unknown)

    def _stalls(self, seen: Seen, now: datetime) -> Iterator[Alert]:
        """Yield a stall of a whole workspace, or of the datasets that alone are silent; what is open stays so."""
        arrivals = seen.arrivals
        already = {it.subject for it in seen.known if it.kind == Kind.STALL.value and it.closed_at is None}
        workspaces: dict[int, dict[Stream, Sequence[datetime]]] = {}
        for stream, moments in arrivals.items():
            if stream != UNCLASSIFIED:
                workspaces.setdefault(stream.workspace_id, {})[stream] = moments
        for workspace, streams in workspaces.items():
            every = sorted({moment for moments in streams.values() for moment in moments})
            stalled = self._stall(f"workspace {workspace}", every, now)
            if stalled is not None:
                yield stalled
            for stream, moments in streams.items():
                if stalled is not None and str(stream) not in already:
                    continue
                alone = self._stall(str(stream), moments, now)
                if alone is not None:
                    yield alone

    def _stall(self, subject: str, moments: Sequence[datetime], now: datetime) -> Alert | None:
        found = silence(self._rhythm(subject, moments), moments, now, hard_limit=self._watch.hard_limit)
        if found is None:
            return None
        text = f"Nothing came since then; that became unusual at {found.unusual_at:%Y-%m-%d %H:%M} UTC ({found.why})."
        return Alert(Kind.STALL, subject, found.since, text)

    def _rhythm(self, subject: str, moments: Sequence[datetime]) -> Rhythm:
        """Learn from the days before the last arrival's: what is usual, and so what is not, stays the same all day."""
        day = _midnight(moments[-1])
        known = self._rhythms.get(subject)
        if known is None or known[0] != day:
            known = day, learn(moments[: bisect_left(moments, day)], self._watch.cadence)
            self._rhythms[subject] = known
        return known[1]

    def _tell(self, lease: Lease, records: Sequence[AlertRecord]) -> None:
        """Send what is owed. Each delivery is written down at once: a crash repeats one message at the most."""
        for record in records:
            told = record
            for channel in record.owed:
                try:
                    with span("notify", about={"alert": record.kind, "channel": channel}):
                        self._notifier.send(channel, message(record, self._clock.now()))
                except NotificationFailed as error:
                    self._emit(NotificationLost(SWEEP, record.kind, channel, str(error)))
                    continue
                told = alerts.delivered(told, channel, self._clock.now())
                self._warehouse.write_alerts(lease, [told])


def message(record: AlertRecord, now: datetime) -> Message:
    """Write what happened, since when, what it means downstream and what to run."""
    about = ABOUT[Kind(record.kind)]
    # The same title from the first to the last message: services join them by it.
    title = f"{record.kind.replace('-', ' ').capitalize()}: {record.subject}"
    if record.closed_at is not None:
        lasted = _span(record.closed_at - record.opened_at)
        return Message(title, f"It is over, since {_utc(record.closed_at)} and after {lasted}.", "fine")
    lines = [
        f"Since {_utc(record.since)} ({_span(now - record.since)}). {record.detail}",
        about.meaning,
        f"Run: {about.command}",
        f"More: {RUNBOOK}#{record.kind}",
    ]
    if record.notified_at is not None:
        lines.insert(0, "Still:")
    return Message(title, "\n".join(lines), record.severity)


def _of_round(noticed: Noticed, now: datetime) -> Iterator[Alert]:
    if noticed.poisoned:
        yield Alert(Kind.POISON, "webjobs-blobtrigger-poison", now, f"{noticed.poisoned} messages were cleared.")
    for policy in noticed.policies or ():
        if policy.expires_at is not None and policy.expires_at - now < alerts.ACCESS_ENDS:
            text = f"The stored access policy ends at {_utc(policy.expires_at)}."
            yield Alert(Kind.ACCESS_ENDS, policy.name, now, text)
        if policy.missing:
            yield Alert(Kind.ACCESS_LACKS, policy.name, now, f"The policy lacks: {', '.join(policy.missing)}.")
    if noticed.deleting_refused is not None:
        yield Alert(Kind.NO_DELETING, "container", now, noticed.deleting_refused)


def _not_looked_at(noticed: Noticed, known: Sequence[AlertRecord], now: datetime) -> set[Kind]:
    """Return the kinds that this round says nothing about. What happens at a moment stays open for a day."""
    unknown = set() if noticed.policies is not None else {Kind.ACCESS_ENDS, Kind.ACCESS_LACKS}
    poisoned = [it.last_seen_at for it in known if it.kind == Kind.POISON.value and it.closed_at is None]
    if any(now - moment < _DAY for moment in poisoned):
        unknown.add(Kind.POISON)
    return unknown


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _owed(known: Sequence[AlertRecord], changed: Sequence[AlertRecord]) -> list[AlertRecord]:
    return [record for record in _latest(known, changed) if record.owed]


def _open(records: Sequence[AlertRecord]) -> tuple[str, ...]:
    return tuple(record.kind for record in records if record.closed_at is None)


def _latest(known: Sequence[AlertRecord], changed: Sequence[AlertRecord]) -> list[AlertRecord]:
    return list({(record.kind, record.subject): record for record in (*known, *changed)}.values())


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _span(time: timedelta) -> str:
    minutes = max(0, int(time.total_seconds()) // 60)
    for size, name in ((2 * 1440, "days"), (2 * 60, "hours")):
        if minutes >= size:
            return f"{minutes // (size // 2)} {name}"
    return f"{minutes} minutes"
