"""Prove when silence is unusual: what holds of any history, and a year of each kind of workspace."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.cadence import LOOK_BACK, PLAIN, WEEKS, Rhythm, Silence, Why, expected_by, learn, silence
from tests.cadence_worlds import BERLIN, CADENCE, END, KINDS, START, Kind, by_pace, without, year

DAY = timedelta(days=1)
TICK = timedelta(minutes=5)
FIRST_WEEKS = START + timedelta(weeks=4)
BY_NAME = {kind.name: kind for kind in KINDS}
BUSY_HOURS = timedelta(hours=2)

OPEN_EVERY_DAY = Kind("open every day", by_pace(BERLIN, lambda local: 10 if 8 <= local.hour < 18 else 0), DAY)

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
LIMITS = st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=10))
CADENCES = st.sampled_from([timedelta(minutes=minutes) for minutes in (1, 10, 15, 60, 90, 1440)])


def _by_hours(start: datetime, weeks: int, first: int, hours: int, days: int, chance: float) -> list[datetime]:
    """Give a workspace's arrivals by its hours, days and luck."""
    luck, ticks = random.Random(hours), (start + number * CADENCE for number in range(weeks * 672))
    open_ = (tick for tick in ticks if tick.weekday() < days and (tick.hour - first) % 24 < hours)
    return [tick for tick in open_ if luck.random() < chance]


HISTORIES = st.one_of(
    st.lists(INSTANTS, max_size=40).map(sorted),
    # Dense enough to be learned from, but of no pattern at all.
    st.lists(st.timedeltas(timedelta(0), timedelta(weeks=5)), min_size=20, max_size=60).map(
        lambda times: sorted(START + time for time in times)
    ),
    st.builds(
        _by_hours,
        INSTANTS,
        st.integers(0, 8),
        st.integers(0, 23),
        st.integers(1, 24),
        st.integers(1, 7),
        st.floats(0.02, 1),
    ),
)
RECENT = st.builds(
    lambda last, before: sorted({last, *(last - time for time in before)}),
    INSTANTS,
    st.lists(st.timedeltas(timedelta(0), timedelta(hours=5)), max_size=20),
)


# Of any history


@settings(max_examples=50)
@given(HISTORIES, RECENT, CADENCES, LIMITS)
def test_silence_becomes_unusual_at_one_moment_and_stays_so(
    history: list[datetime], recent: list[datetime], cadence: timedelta, limit: timedelta | None
) -> None:
    rhythm, last = learn(history, cadence), recent[-1]
    expected = expected_by(rhythm, recent, hard_limit=limit)
    assert expected.since == last
    assert expected.usual >= cadence
    assert limit is not None or expected.unusual_at >= last + cadence
    for later in (timedelta(0), TICK, timedelta(days=1000)):
        assert silence(rhythm, recent, expected.unusual_at + later, hard_limit=limit) == expected
    for earlier in (timedelta(microseconds=1), TICK, expected.unusual_at - last):
        assert silence(rhythm, recent, expected.unusual_at - earlier, hard_limit=limit) is None


@settings(max_examples=50)
@given(HISTORIES, RECENT, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_an_arrival_ends_a_silence(history: list[datetime], recent: list[datetime], later: timedelta) -> None:
    rhythm, now = learn(history, CADENCE), recent[-1] + later
    assert silence(rhythm, [*recent, now], now + CADENCE - TICK) is None


@settings(max_examples=50)
@given(HISTORIES, RECENT, st.timedeltas(timedelta(minutes=1), timedelta(days=10)))
def test_no_silence_passes_the_hard_limit(history: list[datetime], recent: list[datetime], limit: timedelta) -> None:
    rhythm = learn(history, CADENCE)
    free, limited = expected_by(rhythm, recent), expected_by(rhythm, recent, hard_limit=limit)
    assert limited.unusual_at == min(free.unusual_at, recent[-1] + limit)
    assert (limited.why is Why.LIMIT) == (recent[-1] + limit <= free.unusual_at)


@settings(max_examples=50)
@given(HISTORIES, RECENT, st.integers(-200, 200))
def test_whole_weeks_change_nothing(history: list[datetime], recent: list[datetime], weeks: int) -> None:
    by = timedelta(weeks=weeks)
    then, now = learn([arrival + by for arrival in history], CADENCE), learn(history, CADENCE)
    assert then == now
    moved = [arrival + by for arrival in recent]
    assert expected_by(then, moved).unusual_at == expected_by(now, recent).unusual_at + by


@settings(max_examples=50)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(history: list[datetime], luck: random.Random) -> None:
    mixed = [*history, *luck.choices(history, k=9)] if history else []
    luck.shuffle(mixed)
    assert learn(mixed, CADENCE) == learn(history, CADENCE)


@settings(max_examples=50)
@given(HISTORIES, st.data())
def test_bursts_change_nothing(history: list[datetime], data: st.DataObject) -> None:
    apart: list[datetime] = []
    for arrival in history:
        if not apart or arrival - apart[-1] >= CADENCE:
            apart.append(arrival)
    begun = data.draw(st.lists(st.sampled_from(apart), max_size=5)) if apart else []
    burst = [first + number * timedelta(seconds=1) for first in begun for number in range(400)]
    assert learn([*apart, *burst], CADENCE) == learn(apart, CADENCE)


@pytest.mark.parametrize("known", [0, 1, 2, 19])
def test_the_plain_rule_holds_until_there_is_enough_history(known: int) -> None:
    rhythm = learn([START + number * DAY for number in range(known)], CADENCE)
    assert expected_by(rhythm, [START]) == Silence(START, START + PLAIN, Why.PLAIN, DAY if known > 1 else CADENCE)


@pytest.mark.parametrize(("days", "why"), [(13.9, Why.PLAIN), (14.1, Why.LEARNED)])
def test_two_weeks_are_enough(days: float, why: Why) -> None:
    arrivals = [START + number * CADENCE for number in range(int(days * 96))]
    assert expected_by(learn(arrivals, CADENCE), arrivals).why is why


def test_what_comes_once_a_week_is_given_two() -> None:
    rhythm = learn([START + number * 7 * DAY for number in range(20)], CADENCE)
    assert expected_by(rhythm, [START]).unusual_at == START + 14 * DAY


# Of a year


@cache
def rhythm_at(kind: Kind, day: int) -> Rhythm:
    """Learn what the app knows on a day, from what came before that day."""
    return learn(before(year(kind), START + (day - day % kind.learned_every) * DAY), CADENCE)


def before(arrivals: Sequence[datetime], end: datetime) -> Sequence[datetime]:
    return arrivals[bisect_left(arrivals, end - timedelta(weeks=WEEKS)) : bisect_left(arrivals, end)]


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)


def false_alarms(arrivals: Sequence[datetime], learned_every: int, start: datetime) -> list[Silence]:
    """Look at a history without stalls at every tick: what is usual at the last one before an arrival, always was."""
    found, due, rhythm = [], START, Rhythm(CADENCE)
    for number in range(1, len(arrivals)):
        last, following = arrivals[number - 1 : number + 1]
        if following - last <= CADENCE or last < start:
            continue
        if last >= due:
            rhythm, due = learn(before(arrivals, midnight(last)), CADENCE), midnight(last) + learned_every * DAY
        told = silence(rhythm, arrivals[max(0, number - LOOK_BACK) : number], following)
        found += [told] if told else []
    return found


def delay(rhythm: Rhythm, arrivals: Sequence[datetime], now: datetime) -> timedelta:
    """Return how long a stall from now on stays usual."""
    recent = before(arrivals, now)[-LOOK_BACK:]
    return expected_by(rhythm, recent).unusual_at - recent[-1]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_year_without_stalls_has_no_alarm(kind: Kind) -> None:
    assert false_alarms(year(kind), kind.learned_every, FIRST_WEEKS) == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_stalls_are_told_in_time(kind: Kind) -> None:
    draw, told = random.Random(kind.name), 0
    for _ in range(40):
        day = draw.randrange(45, 360)
        start = START + day * DAY + draw.random() * DAY
        arrivals = without(year(kind), start, start + timedelta(hours=draw.uniform(2, 72)))
        following = bisect_left(arrivals, start)
        recent, ended = arrivals[following - LOOK_BACK : following], (*arrivals, END)[following]
        rhythm, last = rhythm_at(kind, day), recent[-1]
        unusual_at = expected_by(rhythm, recent).unusual_at
        assert unusual_at - last <= (kind.told_when_busy if kind.busy(last) else kind.told_at_last)
        ticks = [midnight(last) + number * TICK for number in range((ended - midnight(last)) // TICK + 1)]
        first = bisect_left(ticks, True, key=lambda now: silence(rhythm, recent, now) is not None)
        if first < len(ticks):
            told += 1
            assert unusual_at <= ticks[first] <= unusual_at + 2 * CADENCE
        else:
            assert ended < unusual_at + TICK
    # The others were over before they could be told from a night, a weekend, a holiday or chance.
    assert told >= 3


def test_the_workspace_as_a_whole_is_the_union_of_its_datasets() -> None:
    both = sorted({*year(BY_NAME["Berlin"]), *year(BY_NAME["people"])})
    assert false_alarms(both, 4, FIRST_WEEKS) == []
    now = datetime(2027, 1, 27, 9, 45, tzinfo=UTC)
    assert delay(learn(before(both, midnight(now)), CADENCE), both, now) <= BUSY_HOURS


# Of change


def test_stalls_of_the_past_do_not_make_later_ones_usual() -> None:
    arrivals: Sequence[datetime] = year(BY_NAME["less at night"])
    now = START + timedelta(weeks=20, hours=10)
    unspoilt = delay(learn(before(arrivals, now), CADENCE), arrivals, now)
    for days_ago, days in ((30, 3), (8, 0.5)):
        start = midnight(now) - days_ago * DAY
        arrivals = without(arrivals, start, start + days * DAY)
    assert delay(learn(before(arrivals, now), CADENCE), arrivals, now) <= 2 * unspoilt


@pytest.mark.parametrize("changed", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)], ids=str)
def test_changed_clocks_neither_alarm_nor_hide_a_stall(changed: datetime) -> None:
    arrivals = year(OPEN_EVERY_DAY)
    assert false_alarms(before(arrivals, changed + timedelta(weeks=2)), 1, changed - 2 * DAY) == []
    for week in range(1, WEEKS + 1):
        now = changed + timedelta(weeks=week, hours=11)
        assert delay(learn(before(arrivals, midnight(now)), CADENCE), arrivals, now) <= BUSY_HOURS


def test_a_workspace_that_becomes_busier_or_quieter_is_known_within_weeks() -> None:
    busy, quiet = year(BY_NAME["Berlin"]), year(BY_NAME["small"])
    change = START + timedelta(weeks=20)
    known = change + timedelta(weeks=WEEKS)
    busier = [*quiet[: bisect_left(quiet, change)], *busy[bisect_left(busy, change) :]]
    now = datetime(2026, 8, 5, 9, 45, tzinfo=UTC)
    assert known < now
    assert delay(learn(before(busier, midnight(now)), CADENCE), busier, now) <= BUSY_HOURS
    quieter = [*busy[: bisect_left(busy, change)], *quiet[bisect_left(quiet, change) :]]
    alarms = false_alarms(quieter, 1, change)
    assert len(alarms) <= 6
    assert all(alarm.since < known for alarm in alarms)
