"""Begin what begins in a stretch of time: journeys, newsletters, transactional messages, with all they lead to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.simulator.activity import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    by_daylight,
    moments,
    weekday,
    whole_milliseconds,
)
from local.simulator.identifiers import chance, mix
from local.simulator.lifecycle import live
from local.simulator.population import Population
from local.simulator.records import DELIVERY, OUTPUT, SUBJECT, Records, blank
from local.simulator.workspace import (
    BROADCAST,
    CAMPAIGNS,
    DELAY,
    EMAIL,
    EVENT,
    MESSAGE,
    NO_STEP,
    SMS,
    SURVIVAL,
    Workspace,
)

_JOURNEYS, _NEWSLETTERS, _TRANSACTIONAL = 0.6, 0.3, 0.1  # shares of all deliveries
_STEPS = 16  # numbers set aside for the outputs of one journey


@dataclass(frozen=True, slots=True)
class Cohort:
    """Rows by stream; many lie in the future of the stretch that began them."""

    subjects: Records
    outputs: Records
    deliveries: Records
    metrics: Records
    contents: Records


class Cohorts:
    """Draw cohorts one after the other; numbers of journeys and deliveries go on rising."""

    def __init__(
        self,
        rng: np.random.Generator,
        workspace: Workspace,
        population: Population,
        deliveries_per_day: float,
    ) -> None:
        self._rng = rng
        self._workspace = workspace
        self._population = population
        self._per_day = deliveries_per_day
        self._journeys = 1
        self._deliveries = 1

    def between(self, start: int, end: int) -> Cohort:
        """Begin all that begins in [start, end)."""
        subjects, outputs, messages = self._journey_rows(start, end)
        born = np.concatenate([messages, self._newsletter_rows(start, end), self._transactional_rows(start, end)])
        lives = live(self._rng, born, self._population.suppressed[born["person"]])
        return Cohort(subjects, outputs, lives.deliveries, lives.metrics, lives.contents)

    def _numbers(self, rows: int) -> NDArray[np.uint64]:
        first, self._deliveries = self._deliveries, self._deliveries + rows
        return np.arange(first, self._deliveries, dtype=np.uint64)

    def _journey_rows(self, start: int, end: int) -> tuple[Records, Records, Records]:
        rng, workspace = self._rng, self._workspace
        began = moments(rng, start, end, self._per_day * _JOURNEYS / workspace.messages_per_journey)
        count = len(began)
        person = self._population.anyone(count, start)
        campaign = rng.choice(CAMPAIGNS, size=count, p=workspace.popularity)
        journey = np.arange(self._journeys, self._journeys + count, dtype=np.uint64)
        self._journeys += count
        kind = workspace.campaign_types[campaign]
        trigger = np.where(kind == BROADCAST, began // DAY * 100 + campaign, 0)
        subjects = blank(
            SUBJECT,
            count,
            at=began,
            number=journey,
            person=person,
            campaign=campaign,
            trigger=trigger,
            triggered=kind == EVENT,
            created=whole_milliseconds(began),
        )
        stays = rng.random((count, workspace.steps.shape[1])) < SURVIVAL
        stays[:, 0] = True
        reached = np.logical_and.accumulate(stays, axis=1) & (workspace.steps[campaign] != NO_STEP)
        who, step = np.nonzero(reached)
        of = campaign[who]
        kind_of_step = workspace.steps[of, step]
        at = began[who] + workspace.offsets[of, step] + (step * SECOND)
        at = np.where(workspace.offsets[of, step] > 0, by_daylight(rng, at), at)
        # A journey never runs backwards, however its nights fell.
        at = np.maximum(at, began[who] + step * SECOND)
        action = workspace.action_ids(of, step)
        outputs = blank(
            OUTPUT,
            len(who),
            at=at,
            number=journey[who] * np.uint64(_STEPS) + step.astype(np.uint64),
            journey=journey[who],
            journey_at=began[who],
            step=kind_of_step,
            action=action,
            delay_ends=np.where(kind_of_step == DELAY, at + workspace.waits[of, step], 0),
            created=whole_milliseconds(at),
        )
        message = kind_of_step == MESSAGE
        who, step, of, at = who[message], step[message], of[message], at[message]
        numbers = self._numbers(len(who))
        outputs["delivery"][message] = numbers
        messages = blank(
            DELIVERY,
            len(who),
            at=at,
            number=numbers,
            person=person[who],
            channel=workspace.channels[of, step],
            journey=journey[who],
            journey_at=began[who],
            campaign=of + 1,
            action=action[message],
            content=-1,
            trigger=trigger[who],
            triggered=kind[who] == EVENT,
            created=whole_milliseconds(at),
        )
        return _later(subjects, 20, HOUR), _later(outputs, 10, 40 * MINUTE), messages

    def _newsletter_rows(self, start: int, end: int) -> Records:
        """Send the newsletters due: on some weekdays, in the morning or afternoon, to a part of the people."""
        rows = [np.empty(0, DELIVERY)]
        for day in range(start // DAY, -(-end // DAY)):
            if weekday(np.array(day)) >= 5:
                continue
            schedule = np.random.default_rng([self._workspace.seed, 2, day])
            audience = int(schedule.poisson(self._per_day * _NEWSLETTERS * 7 / 5))
            people = max(self._population.known(day * DAY), 1)
            for turn in range(-(-audience // people)):
                sent = day * DAY + int(schedule.integers(8 * 4, 17 * 4)) * 15 * MINUTE + 90 * SECOND
                size = min(audience - turn * people, people)
                if start <= sent < end:
                    rows.append(self._newsletter(day * 10 + turn, sent, size))
        return np.concatenate(rows)

    def _newsletter(self, newsletter: int, sent: int, size: int) -> Records:
        person = self._rng.permutation(self._population.known(sent))[:size]
        person = person[~self._population.gone[person]] if self._population.live(sent) else person
        size = len(person)
        at = sent + np.arange(size) * (SECOND // 50)
        split = newsletter % 3 == 0
        variant = mix(person, newsletter) % np.uint64(2) + np.uint64(newsletter * 2)
        return blank(
            DELIVERY,
            size,
            at=at,
            number=self._numbers(size),
            person=person,
            channel=EMAIL,
            newsletter=newsletter,
            content=variant.astype(np.int32) if split else -1,
            created=whole_milliseconds(at),
        )

    def _transactional_rows(self, start: int, end: int) -> Records:
        at = moments(self._rng, start, end, self._per_day * _TRANSACTIONAL)
        return blank(
            DELIVERY,
            len(at),
            at=at,
            number=self._numbers(len(at)),
            person=self._population.anyone(len(at), start),
            channel=self._rng.choice([EMAIL, SMS], size=len(at), p=[0.85, 0.15]),
            content=-1,
            transactional=self._rng.integers(1, 6, len(at)),
            created=whole_milliseconds(at),
        )


def _later(rows: Records, one_in: int, delay: int) -> Records:
    """Let one in so many come again in a second state."""
    again = rows[chance(rows["number"], 11, one_in)]
    again["state"] = 1
    again["at"] += delay
    return np.concatenate([rows, again])
