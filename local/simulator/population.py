"""Let people come, change, be suppressed and be deleted."""

import numpy as np
from numpy.typing import NDArray

from local.simulator.activity import DAY, HOUR, MINUTE, SECOND, moments
from local.simulator.records import ATTRIBUTE, PERSON, Records, blank

NEW_PER_DAY = 0.004  # of all people
CHANGED_PER_DAY = 0.03
_FIRST_ATTRIBUTES = 4  # each person has these; the others come with changes
ATTRIBUTES = 8
_UPDATE, _DELETE, _SUPPRESS = range(3)
_SHARES = (0.9, 0.06, 0.04)


class Population:
    """Everyone who ever was in the workspace; a person's index gives the cio_id."""

    def __init__(self, rng: np.random.Generator, people: int, start: int, history_days: int) -> None:
        self._rng = rng
        self._start = start
        self._founded = start - (history_days + 365) * DAY
        self.count = people
        self.created = np.sort((self._founded + rng.random(people) * (start - HOUR - self._founded)).astype(np.int64))
        # Deleted before the first sync: never exported, and their history is anonymous.
        self.gone = rng.random(people) < 0.01
        self.suppressed = np.zeros(people, dtype=np.bool_)
        self.renamed = np.zeros(people, dtype=np.int32)
        self._change = 0

    def anyone(self, how_many: int, at: int) -> NDArray[np.int64]:
        """Draw people there at that moment; in history also those who are deleted before the first sync."""
        known = max(self.known(at), 1)
        drawn = self._rng.integers(0, known, how_many)
        for _ in range(8 if self.live(at) else 0):
            again = np.flatnonzero(self.gone[drawn])
            drawn[again] = self._rng.integers(0, known, len(again))
        return drawn

    def known(self, at: int) -> int:
        """Count those who had come by then; a person's index follows the order of coming."""
        return int(np.searchsorted(self.created[: self.count], at))

    def live(self, at: int) -> bool:
        """Tell the time of changesets from history, whose deletions are all known."""
        return at >= self._start

    def everyone(self, start: int) -> Records:
        """Return the first sync's people, in the state of that moment."""
        person = np.flatnonzero(~self.gone)
        created = self.created[person]
        since = np.maximum(start - MINUTE - created, 1)
        changed = created + (self._rng.random(len(person)) ** 2 * since).astype(np.int64)
        return blank(PERSON, len(person), at=changed, person=person, created=created, deleted=-1, suppressed=-1)

    def first_attributes(self, people: Records) -> Records:
        """Return the profile these people begin with."""
        rows = np.repeat(people, _FIRST_ATTRIBUTES)
        name = np.tile(np.arange(_FIRST_ATTRIBUTES), len(people))
        return blank(ATTRIBUTE, len(rows), at=rows["at"], person=rows["person"], name=name)

    def joined(self, start: int, end: int) -> Records:
        """Let new people come."""
        at = moments(self._rng, start, end, self.count * NEW_PER_DAY)
        first, self.count = self.count, self.count + len(at)
        self.created = np.concatenate([self.created, at])
        for name in ("gone", "suppressed", "renamed"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(len(at), column.dtype)]))
        person = np.arange(first, self.count)
        return blank(PERSON, len(at), at=at, person=person, created=at, deleted=-1, suppressed=-1)

    def changed(self, start: int, end: int) -> tuple[Records, Records]:
        """Change people: return rows of people and rows of attributes, one change per row."""
        people: list[tuple[int, int, int, int, int, int]] = []
        attributes: list[tuple[int, int, int, int]] = []
        for moment in moments(self._rng, start, end, self.count * CHANGED_PER_DAY).tolist():
            person = int(self._rng.integers(0, self.count))
            if self.gone[person] or self.created[person] >= moment:
                continue
            what = int(self._rng.choice(3, p=_SHARES))
            self.gone[person] |= what == _DELETE
            self.suppressed[person] |= what == _SUPPRESS
            again = 1 + int(self._rng.random() < 0.15)
            for turn in range(again if what == _UPDATE else 1):
                # A second change within the same instant, now and then: only the order of the rows tells them apart.
                at = moment + turn * int(self._rng.integers(0, 3)) * SECOND
                self._change += 1
                if what == _UPDATE:
                    name = int(self._rng.integers(0, ATTRIBUTES))
                    attributes.append((at, person, name, self._change))
                    self.renamed[person] += int(self._rng.random() < 0.4)
                people.append(self._snapshot(at, person))
        return np.array(people, PERSON), np.array(attributes, ATTRIBUTE)

    def _snapshot(self, at: int, person: int) -> tuple[int, int, int, int, int, int]:
        deleted, suppressed = bool(self.gone[person]), bool(self.suppressed[person])
        # Null means false; both are seen.
        return (
            at,
            person,
            int(self.created[person]),
            int(deleted) if deleted or at % 2 else -1,
            int(suppressed) if suppressed or at % 3 else -1,
            int(self.renamed[person]),
        )
