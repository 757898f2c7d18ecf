"""Kinds of workspaces by when their exports come: a year of times each, seeded."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from local.simulator.activity import moments

CADENCE = timedelta(minutes=15)
# Both changes of the clocks and Christmas lie well after the first weeks.
START = datetime(2026, 2, 2, tzinfo=UTC)
END = START + timedelta(days=365)
_TICKS = int((END - START) / CADENCE)
BERLIN, NEW_YORK, SYDNEY = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Sydney"))
UTC_ZONE = ZoneInfo("UTC")


def _days(text: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in text.split())


GERMAN = _days(
    "2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-06-04 2026-12-25 2026-12-26 2027-01-01 2027-01-06"
)
AMERICAN = _days(
    "2026-02-16 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-10-12 2026-11-26 2026-12-25 2027-01-01 2027-01-18"
)
AUSTRALIAN = _days("2026-04-03 2026-04-06 2026-04-27 2026-06-08 2026-10-05 2026-12-25 2026-12-28 2027-01-01 2027-01-26")


Times = Callable[[random.Random], list[datetime]]


@dataclass(frozen=True)
class Kind:
    """A kind of workspace: the times of its exports, and how soon a stall must be known there."""

    name: str
    times: Times
    told_at_last: timedelta
    """After the last arrival, whenever that was."""
    busy: Callable[[datetime], bool] = lambda last: False
    """Whether a last arrival is one after which files are due for hours."""
    told_when_busy: timedelta = timedelta(hours=2)
    learned_every: int = 7
    """Days; where it is quick to learn, every one."""

    def __str__(self) -> str:
        return self.name


@cache
def year(kind: Kind) -> tuple[datetime, ...]:
    """Give the arrivals of a year, ascending, always the same."""
    return tuple(sorted(kind.times(random.Random(kind.name))))


def without(arrivals: Sequence[datetime], start: datetime, end: datetime) -> list[datetime]:
    """Leave out what comes in [start, end)."""
    return [*arrivals[: bisect_left(arrivals, start)], *arrivals[bisect_left(arrivals, end) :]]


def by_pace(zone: ZoneInfo, changes: Callable[[datetime], float]) -> Times:
    """Write a file at each tick before which anything changed, at an average number of changes by local time."""

    def times(draw: random.Random) -> list[datetime]:
        found = []
        for number in range(_TICKS):
            tick = START + number * CADENCE
            if draw.random() < 1 - math.exp(-changes(tick.astimezone(zone))):
                found.append(tick + timedelta(seconds=draw.randint(0, 90)))
        return found

    return times


def office(
    first: int, last: int, pace: float, *, weekend: float = 0.0, night: float = 0.0, holidays: Collection[date] = ()
) -> Callable[[datetime], float]:
    """Give the changes in 15 minutes of people who work from one hour to another, and on holidays as at weekends."""

    def changes(local: datetime) -> float:
        day = weekend if local.weekday() > 4 or local.date() in holidays else 1.0
        return day * (pace if first <= local.hour < last else night)

    return changes


def small(zone: ZoneInfo, holidays: Collection[date]) -> Times:
    """Write 3 to 10 files at random within the hours of working days."""

    def times(draw: random.Random) -> list[datetime]:
        return [
            (datetime(day.year, day.month, day.day, 8, tzinfo=zone) + draw.randrange(40) * CADENCE).astimezone(UTC)
            + timedelta(seconds=draw.randint(0, 90))
            for day in _dates()
            if day.weekday() < 5 and day not in holidays
            for _ in range(draw.randint(3, 10))
        ]

    return times


def twice_a_day(draw: random.Random) -> list[datetime]:
    """Write people in the morning and in the evening, but for one time in fifty."""
    return [
        datetime(day.year, day.month, day.day, hour, tzinfo=BERLIN).astimezone(UTC)
        + timedelta(minutes=draw.choice((0, 15, 30)), seconds=draw.randint(0, 90))
        for day in _dates()
        for hour in (6, 18)
        if draw.random() > 0.02
    ]


def simulated(per_day: float) -> Times:
    """Write what happens in the simulator's week: busy days, quiet nights, slow weekends."""

    def times(draw: random.Random) -> list[datetime]:
        rng = np.random.default_rng(draw.randrange(2**32))
        start, end = (int(moment.timestamp()) * 1_000_000 for moment in (START, END))
        ticks = np.unique(moments(rng, start, end, per_day) // (900 * 1_000_000) + 1)
        return [datetime.fromtimestamp(int(tick) * 900 + draw.randint(0, 90), UTC) for tick in ticks]

    return times


def christmas(local: datetime) -> float:
    """Sell every day, less in the evening and at weekends, and a fifth around Christmas."""
    day = office(7, 22, 10, weekend=0.7, night=0.3)(local)
    return day * (0.2 if date(2026, 12, 23) <= local.date() <= date(2027, 1, 2) else 1)


def hesitant(times: Times) -> Times:
    """Hold exports back for one to four hours, once in four days."""

    def held(draw: random.Random) -> list[datetime]:
        found = times(draw)
        for number in range(0, 365, 4):
            start = START + timedelta(days=number, minutes=draw.randrange(4 * 1440))
            found = without(found, start, start + timedelta(minutes=draw.randint(60, 240)))
        return found

    return held


def _dates() -> Iterator[date]:
    return ((START + timedelta(days=number)).date() for number in range(365))


def _at_work(zone: ZoneInfo, first: int, last: int, holidays: Collection[date] = ()) -> Callable[[datetime], bool]:
    def busy(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        return local.weekday() < 5 and local.date() not in holidays and first <= local.hour < last

    return busy


def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)


KINDS = (
    Kind("around the clock", by_pace(BERLIN, lambda _: 20), _hours(2), lambda _: True),
    Kind(
        "less at night",
        by_pace(BERLIN, lambda local: 20 if 7 <= local.hour < 22 else 1),
        _hours(8),
        _at_work(BERLIN, 7, 20),
    ),
    # Where nothing ever comes at weekends, an evening's stall may be a holiday, and the next one around a weekend.
    Kind(
        "Berlin",
        by_pace(BERLIN, office(8, 18, 8, holidays=GERMAN)),
        _hours(116),
        _at_work(BERLIN, 10, 14, GERMAN),
        learned_every=1,
    ),
    Kind(
        "New York",
        by_pace(NEW_YORK, office(9, 17, 6, weekend=0.3, holidays=AMERICAN)),
        _hours(26),
        _at_work(NEW_YORK, 10, 13, AMERICAN),
    ),
    Kind(
        "Sydney",
        by_pace(SYDNEY, office(9, 18, 5, holidays=AUSTRALIAN)),
        _hours(116),
        _at_work(SYDNEY, 10, 14, AUSTRALIAN),
    ),
    # A few changes every night and every holiday.
    Kind(
        "trickle",
        by_pace(BERLIN, lambda local: 0.1 + office(8, 18, 8, holidays=GERMAN)(local)),
        _hours(72),
        _at_work(BERLIN, 10, 14, GERMAN),
    ),
    Kind("small", small(BERLIN, GERMAN), _hours(144), learned_every=1),
    Kind("people", twice_a_day, _hours(72), learned_every=1),
    Kind(
        "Christmas",
        by_pace(BERLIN, christmas),
        _hours(14),
        _at_work(BERLIN, 7, 20, GERMAN),
        # After Christmas, when longer gaps were usual for a week.
        _hours(3),
    ),
    Kind("simulated", simulated(400), _hours(14), _at_work(UTC_ZONE, 10, 18)),
    Kind("simulated, small", simulated(10), _hours(72)),
    Kind("hesitant", hesitant(by_pace(BERLIN, lambda _: 10)), _hours(14)),
)
