"""When the exports of a workspace, or of one dataset, have stalled: pure rules of past arrivals and the time.

Every hour of the week weighs what its silence says: -ln of the chance, by the last weeks, that nothing is exported.
A silence weighs the sum of its hours: a night that is always quiet nothing and a busy hour a lot, so that gaps at any
hour can be compared. It is unusual once it weighs MARGIN times what the heaviest usual one does.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

WEEKS = 6
"""How far back is looked: after so many weeks a workspace that changed is known by its new ways only."""
ENOUGH_TIME, ENOUGH_ARRIVALS = timedelta(weeks=2), 20
"""Each hour of the week was seen twice, and files come every other day: below that, hours say nothing."""
MARGIN = 3.0
"""So many times heavier than usual is unusual: a week at a fifth of the volume, like Christmas, must not be."""
LEAST, LOOK_BACK = 6, 12
"""In cadences: never unusual (a change of clocks, and one on either side); and what shows whether a day runs."""
PLAIN, PLAIN_MARGIN = timedelta(days=3), 2
"""The plain rule and the end of all patience: from Friday noon to Monday noon, or twice the longest usual gap."""
OUTLIERS = 2
"""So many of the longest gaps are taken for stalls of the past, not for what is usual."""

_HOUR, _DAY, _WEEK_HOURS = 3600, 86_400, 168
# Patterns follow people's clocks, which daylight saving moves by an hour against UTC, one way or the other.
_SHIFTS = (0, -1, 1)
# So long at less than this part of the average pace is a rest: a night or a weekend, which a day off may follow.
_REST, _CALM, _DAYS_OFF = 6 * _HOUR, 0.25, 2
# A day that has begun, and on which most of the usual files came lately, is none.
_BEGUN, _MOST, _FEW = 1 / 3, 2 / 3, 4

Stretch = tuple[int, int, float]  # from which second of a silence, to which, and the pace


class Why(StrEnum):
    """The rule by which a silence is unusual."""

    LIMIT = "limit"
    """Longer than the hard limit, STALL_AFTER_MINUTES."""
    PLAIN = "plain"
    """Longer than PLAIN allows, where hours say too little."""
    LEARNED = "learned"
    """Longer than usual from this hour of the week."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What is usual in a workspace or stream, learned from its past arrivals."""

    cadence: timedelta
    paces: tuple[float, ...] = ()
    """What the silence of an hour weighs, by hour of the week in UTC, from Thursday on; empty before it is known."""
    day_off: float = 1.0
    """The pace of the quietest day of the week as a part of the busiest one's."""
    heaviest: float = 0.0
    """What the heaviest usual silence weighs."""
    longest: timedelta = timedelta()
    """The longest usual gap at any hour."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came since the last arrival, and from when on that is unusual."""

    since: datetime
    unusual_at: datetime
    why: Why
    usual: timedelta
    """The longest usual gap from such an arrival."""


def learn(arrivals: Iterable[datetime], cadence: timedelta) -> Rhythm:
    """Learn what is usual from the last WEEKS before the last arrival; the order of arrivals does not matter."""
    seconds = _apart(arrivals, cadence)
    seconds = [second for second in seconds if seconds[-1] - second <= WEEKS * _WEEK_HOURS * _HOUR]
    gaps = [end - start for start, end in pairwise(seconds)]
    longest = timedelta(seconds=_usual_most(gaps))
    if len(seconds) < ENOUGH_ARRIVALS or seconds[-1] - seconds[0] < ENOUGH_TIME.total_seconds():
        return Rhythm(cadence, longest=longest)
    paces = _paces(seconds, cadence)
    days = [sum((paces + paces)[first : first + 24]) for first in range(_WEEK_HOURS)]
    rhythm = Rhythm(cadence, paces, min(days) / max(days), longest=longest)
    # Most files follow each other at the cadence, and there is no silence between them.
    silences = (number for number, gap in enumerate(gaps) if gap > 1.5 * cadence.total_seconds())
    weights = (_weight(rhythm, seconds[max(0, at - 2 * LOOK_BACK) : at + 1], gaps[at]) for at in silences)
    return replace(rhythm, heaviest=_usual_most(weights))


def expected_by(rhythm: Rhythm, arrivals: Sequence[datetime], *, hard_limit: timedelta | None = None) -> Silence:
    """Tell when the silence after the last arrival (ascending, of LOOK_BACK cadences at least) becomes unusual."""
    last = arrivals[-1]
    plain = max(PLAIN, PLAIN_MARGIN * rhythm.longest, LEAST * rhythm.cadence)
    patience, why, usual = plain, Why.PLAIN, max(rhythm.longest, rhythm.cadence)
    if rhythm.paces:
        recent = _apart(arrivals, rhythm.cadence)
        heaviest = max(rhythm.heaviest, 1.0)  # One file at least, where none was ever missing.
        least = max(rhythm.paces) * (LEAST * rhythm.cadence / timedelta(hours=1))
        usual = max(_wait(rhythm, recent, heaviest, plain), rhythm.cadence)
        learned = _wait(rhythm, recent, max(MARGIN * heaviest, least), plain)
        if learned < plain:
            patience, why = learned, Why.LEARNED
    if hard_limit is not None and hard_limit <= patience:
        patience, why = hard_limit, Why.LIMIT
    return Silence(last, last + patience, why, usual)


def silence(
    rhythm: Rhythm, arrivals: Sequence[datetime], now: datetime, *, hard_limit: timedelta | None = None
) -> Silence | None:
    """Return the silence after the last arrival once it is unusual; None while it is usual."""
    expected = expected_by(rhythm, arrivals, hard_limit=hard_limit)
    return expected if now >= expected.unusual_at else None


def _apart(arrivals: Iterable[datetime], cadence: timedelta) -> list[int]:
    """Take a burst (an initial sync, a replay, the datasets of one export) as one arrival, in seconds since 1970."""
    kept: list[int] = []
    for second in sorted(int(arrival.timestamp()) for arrival in arrivals):
        if not kept or 2 * (second - kept[-1]) >= cadence.total_seconds():
            kept.append(second)
    return kept


def _usual_most(values: Iterable[float]) -> float:
    """Return the greatest value but for a few outliers; fewer where there are few values."""
    ordered = sorted(values, reverse=True)
    return ordered[min(OUTLIERS, len(ordered) // 4)] if ordered else 0.0


def _paces(seconds: Sequence[int], cadence: timedelta) -> tuple[float, ...]:
    exports = timedelta(hours=1) / cadence
    files = Counter(second // _HOUR for second in seconds)
    weeks: list[list[float]] = [[] for _ in range(_WEEK_HOURS)]
    for hour in range(seconds[0] // _HOUR, seconds[-1] // _HOUR + 1):
        weeks[hour % _WEEK_HOURS].append(min(files[hour], exports))
    # Without the emptiest of the weeks, which may have been a stall's or a holiday's; and nothing is certain.
    return tuple(-exports * math.log(1 - (sum(some) - min(some)) / (exports * (len(some) - 1) + 1)) for some in weeks)


def _wait(rhythm: Rhythm, recent: Sequence[int], weight: float, most: timedelta) -> timedelta:
    """Return how long a silence takes to weigh so much whichever way the clocks were changed; `most` at most."""
    waits, longest = [], int(most.total_seconds())
    for course in _courses(rhythm, recent, longest):
        left, wait = weight, longest
        for begin, end, pace in course:
            if pace and pace * (end - begin) >= left * _HOUR:
                wait = begin + math.ceil(left / pace * _HOUR)
                break
            left -= pace * (end - begin) / _HOUR
        waits.append(wait)
    return timedelta(seconds=max(waits))


def _weight(rhythm: Rhythm, recent: Sequence[int], length: int) -> float:
    weights = ((pace * (end - begin) for begin, end, pace in course) for course in _courses(rhythm, recent, length))
    return min(map(sum, weights)) / _HOUR


def _courses(rhythm: Rhythm, recent: Sequence[int], length: int) -> list[Iterator[Stretch]]:
    rest = 0 if _runs(rhythm, recent) else _REST
    return [_course(rhythm, recent[-1], length, rest, shift) for shift in _SHIFTS]


def _course(rhythm: Rhythm, start: int, length: int, rest: int, shift: int) -> Iterator[Stretch]:
    """Go through a silence by the hour, and through what may be a holiday at the pace of the quietest day of the week.

    Such a day may follow a night, or be one that does not run as usual; and another a weekend, as at Easter.
    """
    at, stop, days_off, off_until = start, start + length, 0, start
    calm = _CALM * sum(rhythm.paces) / _WEEK_HOURS
    while at < stop:
        end = min((at // _HOUR + 1) * _HOUR, stop)
        pace = rhythm.paces[(at // _HOUR + shift) % _WEEK_HOURS]
        if pace <= calm:
            rest += end - at
        else:
            if days_off < _DAYS_OFF and rest >= (_DAY if days_off else _REST):
                days_off, off_until = days_off + 1, at + _DAY
            rest = 0
        yield at - start, end - start, pace * rhythm.day_off if at < off_until else pace
        at = end


def _runs(rhythm: Rhythm, recent: Sequence[int]) -> bool:
    """Tell whether the day has begun in earnest, with the files that usually come; of few files nothing can be told."""
    cadence = rhythm.cadence.total_seconds()
    came = len(recent) - bisect_left(recent, recent[-1] - LOOK_BACK * cadence)
    hours = Counter(int(recent[-1] - number * cadence) // _HOUR % _WEEK_HOURS for number in range(LOOK_BACK))
    usual = sum(number * -math.expm1(-rhythm.paces[hour] * cadence / _HOUR) for hour, number in hours.items())
    most = LOOK_BACK * -math.expm1(-max(rhythm.paces) * cadence / _HOUR)
    return usual >= _BEGUN * most and (usual < _FEW or came >= _MOST * usual)
