"""Spread events over the week as people do: busy days, quiet nights, slow weekends."""

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_HOURS = np.array([1, 0, 0, 0, 0, 1, 4, 9, 16, 20, 20, 18, 15, 15, 16, 16, 15, 14, 13, 13, 12, 9, 5, 2], dtype=float)
_HOURS /= _HOURS.mean()
_WEEKDAYS = np.array([20, 21, 21, 20, 17, 6, 5], dtype=float)  # from Monday
_WEEKDAYS /= _WEEKDAYS.mean()
_MORNING = 7 * HOUR


def weekday(day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 for Monday of days since 1970, which began on a Thursday."""
    return (day + 3) % 7


def moments(rng: np.random.Generator, start: int, end: int, per_day: float) -> NDArray[np.int64]:
    """Draw the instants (µs since 1970, ascending) of things that happen so often on an average day."""
    hours = np.arange(start // HOUR, -(-end // HOUR), dtype=np.int64)
    first = np.maximum(hours * HOUR, start)
    width = np.minimum((hours + 1) * HOUR, end) - first
    pace = _HOURS[hours % 24] * _WEEKDAYS[weekday(hours // 24)]
    counts = rng.poisson(per_day / 24 * pace * width / HOUR)
    drawn = np.repeat(first, counts) + (rng.random(counts.sum()) * np.repeat(width, counts)).astype(np.int64)
    return np.sort(drawn)


def by_daylight(rng: np.random.Generator, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move what falls into the night to the morning after."""
    late = at % DAY
    night = late < _MORNING
    morning = at - late + _MORNING + (rng.random(len(at)) * 2 * HOUR).astype(np.int64)
    return np.where(night, morning, at)


def whole_milliseconds(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut off µs: what never changes about a row must not change with the physical form of its file either."""
    return at // 1000 * 1000
