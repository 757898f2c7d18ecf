"""Hold the reading of NCRONTAB against what the platform's library does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from local.host.schedule import Schedule, ScheduleError

START = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 */15 * * * *", datetime(2026, 11, 22, 1, 15, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 11, 22, 1, 15, tzinfo=UTC)),
        ("* * * * * *", datetime(2026, 11, 22, 1, 2, 4, tzinfo=UTC)),
        ("3 2 1 * * *", datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)),
        ("0 0 0 * * *", datetime(2026, 11, 23, tzinfo=UTC)),
        ("0 30 9 * * Mon-Fri", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("0 30 9 * * Fri-Mon", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),  # taken as Mon-Fri
        ("0 0 0 1 jan *", datetime(2027, 1, 1, tzinfo=UTC)),
        ("0 0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 0 0 13 * 5", datetime(2027, 8, 13, tzinfo=UTC)),  # both the day and the weekday
        ("0 5/20 * * * *", datetime(2026, 11, 22, 1, 5, tzinfo=UTC)),
        ("0 0-10/5,50 * * * *", datetime(2026, 11, 22, 1, 5, tzinfo=UTC)),
        ("0 0 1 * * 0", datetime(2026, 11, 29, 1, tzinfo=UTC)),
    ],
)
def test_the_next_moment(text: str, expected: datetime) -> None:
    assert Schedule.parse(text).next_after(START) == expected


def test_every_moment_of_a_day_comes_once() -> None:
    schedule, moment, count = Schedule.parse("0 */15 8-17 * * *"), START, 0
    while (moment := schedule.next_after(moment)) < START + timedelta(days=1):
        count += 1
    assert count == 40


def test_other_zones_are_read_as_utc() -> None:
    east = START.astimezone(timezone(timedelta(hours=5)))
    assert Schedule.parse("0 0 2 * * *").next_after(east) == datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "00:15:00",
        "0 60 * * * *",
        "0 */0 * * * *",
        "0 */x * * * *",
        "0 a * * * *",
        "0 1- * * * *",
        "0 -5 * * * *",
        "0 1,, * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 * 13 *",
        "0 0 0 * * 7",
        "0 0 0 * * Blursday",
    ],
)
def test_what_the_platform_refuses(text: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule.parse(text)


def test_a_day_that_never_comes_is_an_error() -> None:
    with pytest.raises(ScheduleError, match="ever"):
        Schedule.parse("0 0 0 31 2 *").next_after(START)
