"""Prove what is alarming, and that an alert opens once, is told once, is repeated daily and closes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.facts import AlertRecord, Recent
from ingest.alerting import message
from ingest.alerts import ABOUT, REMIND_AFTER, Alert, Kind, advance, delivered, of_streams
from local.azurite import ROOT
from tests import factories
from tests.factories import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALERT = Alert(Kind.LATE, "x", START, "2 files came late.")
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def open_since(moment: object = START, **values: object) -> AlertRecord:
    (record,) = advance([], [ALERT], ["a", "b"], START)
    return replace(record, **values)  # type: ignore[arg-type]


def kinds(recent: Recent) -> set[Kind]:
    return {alert.kind for alert in of_streams([recent], START, HOUR)}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"oldest_pending_at": START - HOUR - timedelta(seconds=1)}, Kind.NOT_LOADED),
        ({"rejected": 1, "rejected_since": START}, Kind.REJECTED),
        ({"late": 1, "late_since": START}, Kind.LATE),
        ({"takeovers": 3}, Kind.LEASES),
        ({"version": 5, "former_version": 4, "version_since": START}, Kind.VERSION),
        ({"resent": 1}, Kind.RECREATED),
        ({"restarted": 3}, Kind.RECREATED),
        ({"undeclared": "score"}, Kind.SCHEMA),
    ],
)
def test_what_is_remarkable_is_alarming(values: dict[str, object], kind: Kind) -> None:
    assert kinds(Recent(factories.stream(), **values)) == {kind}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values", [{}, {"oldest_pending_at": START - HOUR}, {"takeovers": 2}, {"restarted": 2}, {"version": 5}]
)
def test_what_is_usual_is_not(values: dict[str, object]) -> None:
    assert kinds(Recent(factories.stream(), **values)) == set()  # type: ignore[arg-type]


def test_people_may_be_silent_for_five_days_and_others_longer() -> None:
    last = START - timedelta(days=5)
    assert kinds(Recent(factories.stream("people"), last_arrived_at=last)) == set()
    earlier = last - timedelta(seconds=1)
    assert kinds(Recent(factories.stream("people"), last_arrived_at=earlier)) == {Kind.PEOPLE}
    assert kinds(Recent(factories.stream("metrics"), last_arrived_at=earlier)) == set()


def test_an_alert_opens_once_and_is_owed_to_every_channel() -> None:
    record = open_since()
    assert (record.opened_at, record.closed_at, record.owed) == (START, None, ("a", "b"))
    (again,) = advance([record], [ALERT], ["a", "b"], START + HOUR)
    assert (again.opened_at, again.last_seen_at, again.owed) == (START, START + HOUR, ("a", "b"))


def test_what_a_channel_took_is_not_owed_to_it_again() -> None:
    record = delivered(open_since(), "b", START)
    assert (record.owed, record.notified_at) == (("a",), START)
    (again,) = advance([record], [ALERT], ["a", "b"], START + HOUR)
    assert again.owed == ("a",)


def test_it_is_repeated_after_a_day_and_not_before() -> None:
    record = open_since(owed=(), notified_at=START)
    (early,) = advance([record], [ALERT], ["a", "b"], START + REMIND_AFTER - timedelta(seconds=1))
    assert early.owed == ()
    (due,) = advance([record], [ALERT], ["a", "b"], START + REMIND_AFTER)
    assert due.owed == ("a", "b")


def test_it_closes_with_a_recovery_to_those_who_were_told() -> None:
    (closed,) = advance([open_since(owed=(), notified_at=START)], [], ["a", "b"], START + HOUR)
    assert (closed.closed_at, closed.owed) == (START + HOUR, ("a", "b"))
    assert advance([replace(closed, owed=())], [], ["a", "b"], START + DAY) == []


def test_one_that_nobody_was_told_closes_in_silence() -> None:
    (closed,) = advance([open_since(owed=())], [], [], START + HOUR)
    assert closed.owed == ()


def test_one_that_comes_back_opens_anew() -> None:
    closed = open_since(owed=(), notified_at=START, closed_at=START + HOUR)
    (opened,) = advance([closed], [ALERT], ["a"], START + DAY)
    assert (opened.opened_at, opened.closed_at, opened.notified_at, opened.owed) == (START + DAY, None, None, ("a",))


def test_what_could_not_be_looked_at_stays_as_it_is() -> None:
    assert advance([open_since()], [], ["a"], START + HOUR, {Kind.LATE}) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=30))
def test_over_any_course_each_channel_hears_of_opening_and_closing_in_turn(course: list[tuple[bool, int]]) -> None:
    """Deliver at once whatever is owed, and listen to one channel."""
    now, known, heard = START, {}, []
    for wrong, minutes in course:
        now += timedelta(minutes=minutes)
        for record in advance(list(known.values()), [ALERT] if wrong else [], ["a"], now):
            key = record.kind, record.subject
            known[key] = record
            if record.owed:
                heard.append((message(record, now).severity == "fine", now))
                known[key] = delivered(record, "a", now)
    states = [fine for fine, _ in heard]
    assert states[:1] in ([], [False])
    for (fine, then), (after, at) in zip(heard, heard[1:], strict=False):
        assert not (fine and after), "two recoveries in a row"
        if not fine and not after:
            assert at - then >= REMIND_AFTER


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_section_in_the_runbook(kind: Kind) -> None:
    section = re.search(rf"^## {kind.value}\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert "**What it means.**" in section[1]
    assert "**What to do.**" in section[1]
    if "doctor" not in ABOUT[kind].command and "status" not in ABOUT[kind].command:
        assert ABOUT[kind].command in section[1]


def test_the_runbook_has_no_other_sections() -> None:
    assert set(re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE)) == {kind.value for kind in Kind}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_message_says_what_since_when_what_it_means_and_what_to_run(kind: Kind) -> None:
    (record,) = advance([], [Alert(kind, "deliveries of workspace 7", START - 3 * HOUR, "It is so.")], ["a"], START)
    told = message(record, START)
    assert told.severity == ABOUT[kind].severity.value
    assert "deliveries of workspace 7" in told.title
    for part in ("It is so.", "2026-10-31 21:00 UTC", "3 hours", ABOUT[kind].meaning, ABOUT[kind].command):
        assert part in told.text
    assert f"docs/runbook.md#{kind.value}" in told.text
    over = message(replace(record, closed_at=START + HOUR), START + HOUR)
    assert (over.severity, over.title) == ("fine", told.title), "services join messages by their title"
    assert "over" in over.text
