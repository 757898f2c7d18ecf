"""Prove the timer by a month of its life: stalls, lost events, late and replaced files, outages, an expired policy.

Azurite and DuckDB are real, the clock is not. The script says what happens, and at which ticks alerts open and close;
nothing else may open. The container is held against what must be in it at every listing, and every deletion against
the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.channels import Poison
from ingest.cadence import expected_by, learn
from ingest.contract import Drift
from ingest.naming import Stream
from ingest.outcomes import AlertClosed, AlertOpened, SweepFinished
from local.azurite import Azurite
from tests.month import DAY, DAYS, MINUTE, RETENTION, START, TICK, Month, at, name_at

END = START + DAYS * DAY
DELIVERIES, CONTENT, PEOPLE = (Stream(1, name) for name in ("deliveries", "delivery_content", "people"))
SECOND = Stream(2, "deliveries")
FIRST = (DELIVERIES, CONTENT, PEOPLE)
EVENTS_LOST = 5
"""Every so many-th file is exported without an event."""
OTHER_WORKER = 41
"""At every so many-th tick two workers sweep at once, unless an alert opens or closes."""

Act = Callable[[Month], object]
Expected = tuple[str, object, datetime, datetime | None]
"""Kind and subject of an alert; the ticks at which it opens and closes, if it does."""


def due(slot: datetime) -> Iterator[tuple[datetime, Stream]]:
    """Yield what is exported in the quarter of an hour from `slot` on: busy days, quiet nights, slow weekends."""
    at_work, clock, moment = slot.weekday() < 5, f"{slot:%H:%M}", slot + 7 * MINUTE
    if at_work and 9 <= slot.hour < 17 and slot.minute == 0:
        yield moment, DELIVERIES
    if at_work and clock in {"09:00", "15:00"}:
        yield moment, CONTENT
    if at_work and clock in {"08:15", "12:15", "16:15"}:
        yield moment, PEOPLE
    if at_work and clock == "10:00":
        yield moment, SECOND
    if not at_work and clock == "12:00":
        yield moment, DELIVERIES
        yield moment, PEOPLE


def is_due(tick: datetime) -> bool:
    """Tell whether there is a round: every 15 minutes; to save time every 30 in the nights of the first three weeks."""
    return tick >= at(21, "00:00") or 8 <= tick.hour < 18 or tick.minute in {0, 30}


NOT_EXPORTED: tuple[tuple[datetime, datetime, tuple[Stream, ...]], ...] = (
    (at(1, "10:00"), at(1, "10:15"), (DELIVERIES,)),  # comes late
    (at(7, "10:00"), at(7, "10:15"), (DELIVERIES,)),  # has a new column
    (at(9, "12:15"), at(9, "12:30"), (PEOPLE,)),  # is cut short
    (at(16, "16:30"), at(22, "08:00"), (PEOPLE,)),  # are silent
    (at(21, "00:00"), END, (CONTENT,)),  # are of another version
    (at(23, "11:15"), at(23, "15:00"), FIRST),  # stall
)
UNHEARD = {
    # Of these no event comes.
    name_at(DELIVERIES, at(0, "10:07")),
    name_at(DELIVERIES, at(8, "11:07")),
    name_at(DELIVERIES, at(18, "10:07")),
}


def poison(month: Month) -> None:
    names = (name_at(DELIVERIES, at(8, "11:07")), "elsewhere/of_another.parquet")
    month.queue.waiting = [Poison("exports", name, (name, "x")) for name in names]


def take_column(month: Month) -> None:
    """Take up what was rejected for its new column."""
    month.drift = Drift.EVOLVE
    month.replay()


def clear_notes(month: Month) -> None:
    month.remove("notes.txt")
    month.replay()


def is_set(name: str, value: object) -> Act:
    return lambda month: setattr(month, name, value)


def cuts(*what: str) -> Act:
    return lambda month: month.cut.update(what) if what else month.cut.clear()


def worker_dies(month: Month) -> None:
    month.die(DELIVERIES)


HAPPENS: tuple[tuple[datetime, Act], ...] = (
    *((at(0, "00:10"), lambda month, stream=stream: month.initial(stream, 2)) for stream in (*FIRST, SECOND)),
    # A file comes two hours late.
    (at(1, "12:20"), lambda month: month.export(DELIVERIES, at(1, "10:07"))),
    # Somebody takes the permissions to write from the policy: what is refused comes when they are back.
    (at(2, "11:05"), lambda month: month.lack("rl")),
    (at(2, "14:40"), lambda month: month.renew(month.policy_ends)),
    # A file that may go at the next tick is replaced without an event; then somebody puts notes there.
    (at(3, "10:10"), lambda month: month.unheard.add(name_at(DELIVERIES, at(0, "10:07")))),
    (at(3, "10:11"), lambda month: month.rewrite(DELIVERIES, at(0, "10:07"), " again")),
    (at(3, "12:03"), lambda month: month.upload("notes.txt", b"mine")),
    (at(3, "16:50"), clear_notes),
    # The newest file is replaced: nobody needs to know.
    (at(4, "09:22"), lambda month: month.rewrite(DELIVERIES, at(4, "09:07"), " again")),
    # A new column, rejected at first.
    (at(7, "09:30"), is_set("drift", Drift.REJECT)),
    (at(7, "10:07"), lambda month: month.export(DELIVERIES, score=0.5)),
    (at(7, "15:10"), take_column),
    # Events are poisoned, of a file that is still waiting and of one that was never ours.
    (at(8, "11:20"), poison),
    # A file is cut short, and exported again.
    (at(9, "12:22"), lambda month: month.spoil(PEOPLE)),
    (at(9, "15:00"), lambda month: month.export(PEOPLE, at(9, "12:22"))),
    # For a day nothing may be deleted.
    (at(11, "09:10"), lambda month: setattr(month.landing, "refusing", True)),
    (at(12, "09:10"), lambda month: setattr(month.landing, "refusing", False)),
    # A blob that was deleted on Saturday is there again.
    (at(14, "14:20"), lambda month: month.rewrite(DELIVERIES, at(9, "14:07"))),
    # The warehouse loads nothing for hours; a waiting file is replaced; one channel is broken.
    (at(15, "10:00"), cuts("load")),
    (at(15, "11:05"), lambda month: month.heard.broken.add("b")),
    (at(15, "11:25"), lambda month: month.rewrite(DELIVERIES, at(15, "11:07"), " again")),
    (at(15, "11:40"), lambda month: month.heard.broken.clear()),
    (at(15, "12:40"), cuts()),
    # It is out for an hour, from the middle of a load on.
    (at(16, "13:05"), cuts("soon")),
    (at(16, "14:06"), cuts()),
    # The sync of the second workspace is set up anew.
    (at(17, "15:22"), lambda month: month.initial(SECOND, 3)),
    (at(17, "15:52"), lambda month: [month.restarted(SECOND, sequence) for sequence in (41, 42)]),
    # Workers die with a stream in their hands.
    *((at(18, clock), worker_dies) for clock in ("10:14:40", "10:29:40", "10:44:40", "10:59:40")),
    # Contents are of a new version from then on.
    *(
        (at(day, clock), lambda month: month.export(CONTENT, version=5))
        for day in (21, 22, 23, 24, 25, 28, 29)
        for clock in ("09:07", "15:07")
    ),
    # The policy ends on day 24 at 11:30, and is renewed for two years.
    (at(24, "14:50"), lambda month: month.renew(at(24 + 730, "14:50"))),
    # Somebody puts another file there, and leaves it.
    (at(26, "12:03"), lambda month: month.upload("odd.csv", b"1,2")),
)

ACCESS, CONTAINER, QUEUE = "customerio", "container", "webjobs-blobtrigger-poison"
ALERTS: tuple[Expected, ...] = (
    # Which opens at which tick, and closes at which.
    ("files-late", DELIVERIES, at(1, "12:30"), at(2, "12:30")),
    ("access-policy-lacks", ACCESS, at(2, "11:15"), at(2, "14:45")),
    ("files-late", DELIVERIES, at(3, "10:15"), at(4, "10:30")),
    ("files-rejected", "unclassified of workspace 0", at(3, "12:15"), at(3, "17:00")),
    ("files-rejected", DELIVERIES, at(7, "10:15"), at(7, "15:15")),
    ("files-late", DELIVERIES, at(7, "15:15"), at(8, "15:15")),
    ("schema-changed", DELIVERIES, at(7, "15:15"), at(8, "15:15")),
    ("events-poisoned", QUEUE, at(8, "11:30"), at(9, "11:30")),
    ("files-rejected", PEOPLE, at(9, "12:30"), at(9, "15:00")),
    ("access-policy-expires", ACCESS, at(10, "11:45"), at(24, "15:00")),
    ("deleting-refused", CONTAINER, at(11, "09:15"), at(12, "09:15")),
    ("files-late", DELIVERIES, at(14, "14:30"), at(15, "14:30")),
    ("files-not-loaded", DELIVERIES, at(15, "11:15"), at(15, "12:45")),
    ("files-not-loaded", SECOND, at(15, "11:15"), at(15, "12:45")),
    ("files-late", SECOND, at(17, "15:30"), at(18, "16:00")),
    ("sync-recreated", SECOND, at(17, "15:30"), at(18, "15:30")),
    ("leases-expire", DELIVERIES, at(18, "11:00"), at(18, "11:15")),
    ("people-export-silent", PEOPLE, at(21, "16:30"), at(22, "08:30")),
    ("new-schema-version", CONTENT, at(21, "09:15"), at(22, "09:15")),
    ("files-rejected", "unclassified of workspace 0", at(26, "12:15"), None),
)
STALLS: tuple[tuple[object, tuple[Stream, ...], datetime, datetime, datetime, datetime], ...] = (
    # Whose; the last file; told at the earliest, at the latest; over. When exactly is for the past to say.
    (PEOPLE, (PEOPLE,), at(16, "16:22"), at(18, "08:30"), at(19, "16:30"), at(22, "08:30")),
    ("workspace 1", FIRST, at(23, "11:07"), at(23, "13:00"), at(23, "14:15"), at(23, "15:15")),
    ("workspace 1", FIRST, at(24, "11:07"), at(24, "13:00"), at(24, "14:15"), at(24, "15:15")),
)
FAILED = [
    *(at(15, "10:15") + number * TICK for number in range(10)),
    *(at(16, "13:15") + number * TICK for number in range(4)),
]
KEPT = {"odd.csv"}


@pytest.mark.slow
def test_the_month(azurite: Azurite, container: str, tmp_path: Path) -> None:
    month = Month(azurite, container, tmp_path / "warehouse.duckdb")
    try:
        live(month)
        alerts = (*ALERTS, *_stalls(month))
        told = (AlertOpened, AlertClosed)
        found = sorted(
            (when, type(it).__name__, it.kind, it.subject) for when, it in month.told if isinstance(it, told)
        )
        assert found == sorted(_changes(alerts))
        for channel in ("a", "b"):
            heard = [
                (when, title, severity == "fine") for when, to, title, severity in month.heard.messages if to == channel
            ]
            assert sorted(heard) == sorted(_messages(alerts, channel))
        assert month.failed == FAILED
        finished = {when for when, outcome in month.told if isinstance(outcome, SweepFinished)}
        assert finished == {tick for tick in _ticks(START + TICK, END) if is_due(tick)} - set(FAILED)
        for stream in (*FIRST, SECOND):
            assert month.table(stream) == month.truth(stream)
        assert set(month.landing.present) == KEPT | {
            name for (name, _), when in month.landing.written.items() if when > END - RETENTION
        }
        statuses = month.query("SELECT status, count(*) FROM $ingest_files GROUP BY ALL")
        assert dict(statuses).keys() == {"loaded", "deleted", "rejected"}
    finally:
        month.close()


def live(month: Month) -> None:
    """Let everything happen in its order, a tick after each quarter of an hour."""
    month.unheard = set(UNHEARD)
    happens = sorted(HAPPENS, key=lambda step: step[0])
    eventful = {
        when + number * TICK
        for _, _, opens, closes in ALERTS
        for when in (opens, closes or opens)
        for number in (-1, 0)
    }
    eventful |= {when for *_, first, last, over in STALLS for when in (over, *_ticks(first, last))} | set(FAILED)
    files = rounds = 0
    month.heard.meanwhile = month.second
    for slot in _ticks(START, END - TICK):
        steps = [step for step in happens if slot < step[0] <= slot + TICK]
        for moment, stream in due(slot):
            if not any(first <= slot < last and stream in streams for first, last, streams in NOT_EXPORTED):
                files += 1
                steps.append((moment, lambda month, stream=stream: month.export(stream)))
                if files % EVENTS_LOST == 0:
                    month.unheard.add(name_at(stream, moment))
        for moment, act in sorted(steps, key=lambda step: step[0]):
            month.clock.moment = moment
            act(month)
        tick = slot + TICK
        if not is_due(tick):
            continue
        rounds += 1
        month.landing.meanwhile = month.second if rounds % 10 == 0 else (lambda: None)
        if rounds % OTHER_WORKER == 0 and tick not in eventful:
            month.tick_twice(tick)
        else:
            month.tick(tick)


def _ticks(first: datetime, last: datetime) -> list[datetime]:
    return [first + number * TICK for number in range((last - first) // TICK + 1)]


def _stalls(month: Month) -> Iterator[Expected]:
    """Yield the alerts of stalls: they open at the first tick from the moment on that the past alone determines."""
    for subject, streams, last, first, latest, over in STALLS:
        arrivals = [moment for moment in month.arrivals(*streams) if moment <= last]
        assert arrivals[-1] == last
        before = [moment for moment in arrivals if moment.date() < last.date()]
        unusual = expected_by(learn(before, TICK), arrivals).unusual_at
        opens = START - (START - unusual) // TICK * TICK
        assert first <= opens <= latest, f"{subject}: unusual at {unusual}"
        yield "exports-stalled", subject, opens, over


def _changes(
    alerts: Iterable[Expected],
) -> Iterator[tuple[datetime, str, str, str]]:
    for kind, subject, opens, closes in alerts:
        yield opens, "AlertOpened", kind, str(subject)
        if closes is not None:
            yield closes, "AlertClosed", kind, str(subject)


def _messages(alerts: Iterable[Expected], channel: str) -> Iterator[tuple[datetime, str, bool]]:
    """Yield what a channel must hear: each alert once, once more every day while it is open, and that it is over."""
    for kind, subject, opens, closes in alerts:
        title = f"{kind.replace('-', ' ').capitalize()}: {subject}"
        moment = opens
        while moment < (closes or END + TICK):
            broken = channel == "b" and at(15, "11:05") < moment < at(15, "11:40")
            yield at(15, "11:45") if broken else moment, title, False
            moment += DAY
        if closes is not None:
            yield closes, title, True
