"""Live the life of deliveries: what happens to each, when, and which of it changes the delivery's own row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.simulator.activity import DAY, HOUR, MINUTE, SECOND, by_daylight, whole_milliseconds
from local.simulator.identifiers import chance
from local.simulator.records import DELIVERY, METRIC, Records, blank
from local.simulator.workspace import CHANNELS, EMAIL, IN_APP, PUSH, SMS, WHATSAPP

METRICS = (
    "drafted",
    "created",
    "attempted",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "converted",
    "bounced",
    "dropped",
    "spammed",
    "deferred",
    "failed",
    "undeliverable",
    "suppressed",
    "unsubscribed",
    "topic_unsubscribed",
    "replied",
)
CLICKED = METRICS.index("clicked")
SLOTS = 32  # numbers set aside for the metrics of one delivery
DRAFTED = 15  # the salt by which outputs know the drafts too

_Times = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lives:
    """All that becomes of some deliveries, also in the days to come."""

    deliveries: Records
    metrics: Records
    contents: Records


def _share(channel: NDArray[np.int8], **shares: float) -> NDArray[np.float64]:
    table = np.array([shares.get(name.replace("-", "_"), 0.0) for name in CHANNELS])
    return table[channel]


def live(rng: np.random.Generator, born: Records, suppressed: _Mask) -> Lives:
    """Draw the whole future of newly created deliveries; messages to suppressed people are never sent."""
    rows = len(born)
    created: _Times = born["created"]
    channel = born["channel"]
    metrics: list[Records] = []

    def after(moment: _Times, typical: int) -> _Times:
        return moment + 1 + (rng.standard_exponential(rows) * typical).astype(np.int64)

    def happens(name: str, who: _Mask, at: _Times) -> None:
        index = np.flatnonzero(who)
        number = born["number"][index] * np.uint64(SLOTS) + np.uint64(len(metrics))
        metrics.append(
            blank(
                METRIC,
                len(index),
                at=at[index],
                number=number,
                delivery=born["number"][index],
                metric=METRICS.index(name),
                created=whole_milliseconds(at[index]),
            )
        )

    def some(share: float | NDArray[np.float64], who: _Mask) -> _Mask:
        return who & (rng.random(rows) < share)

    drafted = chance(born["number"], DRAFTED, 30)
    happens("drafted", drafted, after(created, SECOND))
    released = some(0.6, drafted)  # the other drafts wait for ever
    queued = some(0.005, ~drafted)  # no metric yet, and none comes
    moving = (released | ~drafted) & ~queued
    begun = np.where(drafted, by_daylight(rng, after(created, 6 * HOUR)), created)
    happens("created", some(0.15, moving), after(begun, SECOND // 4))
    attempted = some(0.02, moving)
    happens("attempted", attempted, after(begun, 2 * SECOND))

    refusal = rng.random(rows)
    settled = after(begun, 4 * SECOND) + np.where(attempted, 12 * MINUTE, 0)
    refused = np.zeros(rows, dtype=np.bool_)
    for name, who in (
        ("suppressed", suppressed | (refusal < 0.006)),
        ("undeliverable", refusal < 0.010),
        ("failed", refusal < 0.018),
        ("dropped", refusal < 0.026),
    ):
        now = moving & who & ~refused
        happens(name, now, settled)
        refused |= now
    sent = moving & ~refused
    happens("sent", sent, settled)
    deferred = some(0.012, sent)
    happens("deferred", deferred, after(settled, 20 * SECOND))
    arrival = after(settled, 20 * SECOND) + np.where(deferred, 40 * MINUTE, 0)
    fate = rng.random(rows)
    bounced = sent & (fate < 0.015)
    happens("bounced", bounced, arrival)
    delivered = sent & (fate >= 0.02)
    happens("delivered", delivered, arrival)

    opened = some(_share(channel, email=0.36, push=0.12, in_app=0.5, whatsapp=0.6), delivered)
    reading = by_daylight(rng, arrival + (np.exp(rng.normal(np.log(3 * HOUR), 1.9, rows))).astype(np.int64))
    happens("opened", opened, reading)
    happens("opened", some(0.25, opened), by_daylight(rng, after(reading, DAY)))
    clicked = some(0.18, opened)
    clicking = after(reading, MINUTE)
    happens("clicked", clicked, clicking)
    happens("clicked", some(0.2, clicked), after(clicking, 3 * MINUTE))
    happens("converted", some(0.1, clicked), after(clicking, 6 * HOUR))
    happens("unsubscribed", some(0.004, opened), after(reading, 2 * MINUTE))
    happens("topic_unsubscribed", some(0.003, opened), after(reading, 2 * MINUTE))
    happens("spammed", some(0.001, delivered & (channel == EMAIL)), after(arrival, 5 * HOUR))
    happens("replied", some(0.03, delivered & np.isin(channel, (SMS, WHATSAPP))), after(arrival, HOUR))
    assert len(metrics) < SLOTS

    states = [born]
    for state, (who, at) in enumerate(
        (
            (sent | refused, settled),
            (opened & np.isin(channel, (EMAIL, PUSH, IN_APP)), reading),
            (clicked, clicking),
        ),
        start=1,
    ):
        moved = born[who]
        moved["state"] = state
        moved["at"] = at[who]
        states.append(moved)
    return Lives(np.concatenate(states), _corrected(rng, np.concatenate(metrics)), _contents(rng, born))


def _corrected(rng: np.random.Generator, metrics: Records) -> Records:
    """Let one metric in a hundred come again, with its reason put right."""
    again = metrics[rng.random(len(metrics)) < 0.01]
    again["state"] = 1
    again["at"] += 2 * MINUTE + (rng.random(len(again)) * HOUR).astype(np.int64)
    return np.concatenate([metrics, again])


def _contents(rng: np.random.Generator, born: Records) -> Records:
    """Package contents one sync after the delivery, a few a second time later."""
    contents = born.copy()
    contents["at"] += 15 * MINUTE
    again = contents[rng.random(len(contents)) < 0.02]
    again["state"] = 1
    again["at"] += 5 * MINUTE + (rng.random(len(again)) * 3 * HOUR).astype(np.int64)
    made: Records = np.concatenate([contents, again]).astype(DELIVERY, copy=False)
    return made
