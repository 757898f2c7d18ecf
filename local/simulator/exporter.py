"""Export a living workspace as Customer.io does: one initial sync with history, then changesets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from local.simulator import activities, messages, profiles
from local.simulator.activity import DAY, HOUR, MINUTE
from local.simulator.cohorts import Cohort, Cohorts
from local.simulator.identifiers import chance
from local.simulator.population import Population
from local.simulator.records import DELIVERY, METRIC, OUTPUT, SUBJECT, Pending, Records, latest
from local.simulator.workspace import Workspace, found

CADENCE = 15 * MINUTE
CHUNK = 100_000  # rows of deliveries (or people) worked on at once: bounds the memory
_FIRST_SEQ_NUM = 9_100_000_000_000_000  # beyond 2^53


@dataclass(frozen=True, slots=True)
class Draft:
    """Rows on their way to becoming one file."""

    dataset: str
    stem: str  # as in the blob's name
    table: pa.Table
    part: bool = False  # of the initial metrics, whose files carry two sequences


class Exporter:
    """Live through time in windows and hand out what changed; the world is the same however exports misbehave."""

    def __init__(
        self,
        seed: int,
        workspace_id: int,
        people: int,
        start: int,
        history_days: int,
        deliveries_per_day: float,
    ) -> None:
        self._rng = np.random.default_rng([seed, 3])
        self._start = start
        self._history = start - history_days * DAY
        self._per_day = deliveries_per_day
        self.workspace: Workspace = found(seed, workspace_id)
        self._population = Population(np.random.default_rng([seed, 4]), people, start, history_days)
        self._cohorts = Cohorts(np.random.default_rng([seed, 5]), self.workspace, self._population, deliveries_per_day)
        self._pending = {
            "subjects": Pending(SUBJECT),
            "outputs": Pending(OUTPUT),
            "deliveries": Pending(DELIVERY),
            "metrics": Pending(METRIC),
            "delivery_content": Pending(DELIVERY),
        }
        self._seq_num = _FIRST_SEQ_NUM

    def initial(self) -> Iterator[Draft]:
        """Export history: each key once, in its state at the start; what lies ahead stays pending."""
        everyone = self._population.everyone(self._start)
        for first in range(0, len(everyone), CHUNK):
            some = everyone[first : first + CHUNK]
            yield Draft("people", "people", profiles.people(some, self.workspace))
            profile = self._population.first_attributes(some)
            yield Draft("attributes", "attributes", profiles.attributes(profile, self.workspace))
        for start, end in self._stretches():
            cohort = self._cohorts.between(start, end)
            # The future is put aside first, so that a large chunk is not held twice.
            for dataset, rows in _streams(cohort):
                past = rows["at"] < self._start
                self._pending[dataset].add(rows[~past])
                yield from self._draft(dataset, latest(rows[past]), initial=True)

    def changes(self, start: int, end: int) -> Iterator[Draft]:
        """Export what changed in [start, end)."""
        new = self._population.joined(start, end)
        changed, attributes = self._population.changed(start, end)
        if len(new):
            yield Draft("people", "people", profiles.people(new, self.workspace))
        if len(changed):
            yield Draft("people", "people_chngs", profiles.people(changed, self.workspace))
        attributes = np.concatenate([self._population.first_attributes(new), attributes])
        if len(attributes):
            yield Draft("attributes", "attributes", profiles.attributes(attributes, self.workspace))
        for dataset, rows in _streams(self._cohorts.between(start, end)):
            self._pending[dataset].add(rows)
            due = self._pending[dataset].due(end)
            # Some files tell every state that a row went through, most only the last.
            yield from self._draft(dataset, latest(due, keep_all=chance(due["number"], 16, 7)))

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """Cut history into pieces of about CHUNK deliveries."""
        hours = (self._start - self._history) // HOUR
        step = max(1, min(int(CHUNK * 24 / max(self._per_day, 1)), 30 * 24)) * HOUR
        for first in range(self._history, self._history + hours * HOUR, step):
            yield first, min(first + step, self._start)

    def _draft(self, dataset: str, rows: Records, initial: bool = False) -> Iterator[Draft]:
        if not len(rows):
            return
        stem = "delivery_contents" if dataset == "delivery_content" else dataset
        sequence = self._number(rows)
        if not initial:
            order = self._rng.permutation(len(rows))
            rows, sequence = rows[order], sequence[order]
        yield Draft(dataset, stem, self._table(dataset, rows, sequence), part=initial and dataset == "metrics")

    def _number(self, rows: Records) -> NDArray[np.int64]:
        """Give out seq_nums with gaps; now and then two states of one key share theirs."""
        given = self._seq_num + np.cumsum(self._rng.integers(1, 4, len(rows)))
        self._seq_num = int(given[-1])
        shared = np.zeros(len(rows), dtype=np.bool_)
        shared[1:] = (rows["number"][1:] == rows["number"][:-1]) & (self._rng.random(len(rows) - 1) < 0.1)
        pairs = np.flatnonzero(shared)
        given[pairs] = given[pairs - 1]
        return given

    def _table(self, dataset: str, rows: Records, sequence: NDArray[np.int64]) -> pa.Table:
        match dataset:
            case "deliveries":
                return activities.deliveries(rows, sequence, self.workspace, self._population)
            case "metrics":
                return activities.metrics(rows, sequence, self.workspace)
            case "outputs":
                return activities.outputs(rows, sequence, self.workspace)
            case "subjects":
                return activities.subjects(rows, sequence, self.workspace, self._population)
            case _:
                return messages.contents(rows, self.workspace, self._population)


def _streams(cohort: Cohort) -> Iterator[tuple[str, Records]]:
    """Name a cohort's rows by dataset, in the order of the export."""
    yield "subjects", cohort.subjects
    yield "outputs", cohort.outputs
    yield "deliveries", cohort.deliveries
    yield "metrics", cohort.metrics
    yield "delivery_content", cohort.contents
