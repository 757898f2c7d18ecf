"""Read NCRONTAB schedules and find their next moment, in UTC as the platform does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
# The same date and weekday meet again within 28 years, or 40 around a century that is no leap year.
HORIZON = timedelta(days=366 * 40)


class ScheduleError(ValueError):
    """The text is no NCRONTAB schedule, or one that never comes."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the six positions of a schedule: its name and bounds, and names for its values."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        """Give the values of a comma-separated list of stars, numbers, names, ranges and steps."""
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, text: str) -> range:
        body, slash, step_text = text.partition("/")
        if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text) > 0):
            raise ScheduleError(f"{self.name} {text!r}: the step after / has to be a number from 1")
        step = int(step_text) if slash else 1
        if body == "*":
            return range(self.low, self.high + 1, step)
        first_text, dash, last_text = body.partition("-")
        first = self._value(first_text)
        if dash:
            # A reversed range is taken the right way round: so does the library that the platform uses.
            first, last = sorted((first, self._value(last_text)))
        else:
            last = self.high if slash else first
        return range(first, last + 1, step)

    def _value(self, text: str) -> int:
        if text.isascii() and text.isdigit():
            value = int(text)
        else:
            starts = [i for i, word in enumerate(self.words) if text and word.lower().startswith(text.lower())]
            if not starts:
                raise ScheduleError(f"{self.name} {text!r} is not a value from {self.low} to {self.high}")
            value = starts[0] + self.low
        if not self.low <= value <= self.high:
            raise ScheduleError(f"{self.name} {text!r} is not a value from {self.low} to {self.high}")
        return value


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 6, DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer fires: day of month and day of week both have to fit."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read `second minute hour day month day-of-week`; with five fields the second is 0.

        Raises ScheduleError for anything else, such as the `hh:mm:ss` form that serverless plans do not take.
        """
        parts = text.split()
        if len(parts) == 5:
            parts = ["0", *parts]
        if len(parts) != 6:
            raise ScheduleError(f"{text!r} is no NCRONTAB schedule of six fields, such as '0 */15 * * * *'")
        try:
            return cls(*(field.parse(part) for field, part in zip(FIELDS, parts, strict=True)))
        except ScheduleError as error:
            raise ScheduleError(f"{text!r} is no NCRONTAB schedule: {error}") from None

    def next_after(self, moment: datetime) -> datetime:
        """Give the first moment of the schedule that is later; raise ScheduleError when there is none."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day = start.date()
        while day <= start.date() + HORIZON:
            if self._fits(day):
                found = self._first_time(start.time() if day == start.date() else time())
                if found is not None:
                    return datetime.combine(day, found, UTC)
            day += timedelta(days=1)
        raise ScheduleError("no such day ever comes")

    def _fits(self, day: date) -> bool:
        return day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.weekdays

    def _first_time(self, earliest: time) -> time | None:
        for hour in sorted(self.hours):
            if hour < earliest.hour:
                continue
            for minute in sorted(self.minutes):
                if (hour, minute) < (earliest.hour, earliest.minute):
                    continue
                for second in sorted(self.seconds):
                    candidate = time(hour, minute, second)
                    if candidate >= earliest:
                        return candidate
        return None
