"""What one changeset costs upon a large table, against one upon a tenth of it."""

from __future__ import annotations

from statistics import median

from bench import container, data, ours
from bench.results import Line
from bench.stage import Stage, remove

LARGE, SMALL = 20_000_000, 2_000_000
FILES = 40
"""Both tables come as so many files: the listing is as long for the one as for the other."""
ROUNDS, PER_ROUND = 2, 25


def measure(stage: Stage) -> list[Line]:
    """Load both tables, then changesets one by one, in turn; with old updates among them, and without."""
    lines = []
    spent: dict[tuple[bool, int], list[float]] = {}
    limits: dict[tuple[bool, int], list[float]] = {}
    for tail in (True, False):
        tables = [_Table(stage, stage.sized(rows), tail=tail) for rows in (SMALL, LARGE)]
        for number in range(ROUNDS):
            for table in tables:
                spent.setdefault((tail, table.rows), []).extend(table.ours(number))
        for table in tables:
            limits[tail, table.rows] = table.limit()
            table.done()
        kind = "5 % of the updates from all history" if tail else "all updates recent"
        small = median(spent[tail, tables[0].rows])
        for table, aim in zip(tables, (None, 1.5), strict=True):
            values = tuple(spent[tail, table.rows])
            lines.append(Line(f"ours at {table.rows:,} rows, to commit", values, "ms", small, aim, remark=kind))
        few = median(limits[tail, tables[0].rows])
        for table in tables:
            values = tuple(limits[tail, table.rows])
            lines.append(Line(f"limit at {table.rows:,} rows", values, "ms", few, remark=kind))
    return lines


class _Table:
    """A table of so many rows, loaded by ours, and the changesets for it."""

    def __init__(self, stage: Stage, rows: int, *, tail: bool) -> None:
        self.rows = rows
        self._stage = stage
        self._name = f"scale-{rows}-{'tail' if tail else 'recent'}"
        self._database = stage.work / f"{self._name}.duckdb"
        self._plain = stage.work / f"{self._name}-limit.duckdb"
        self._history = data.history(rows, FILES, stage.data / f"history-{rows}")
        count = ROUNDS * PER_ROUND
        self._changes = data.changesets(rows, count, stage.data / self._name, tail=tail)
        self._blobs = container.create(stage.azurite, self._name)
        container.upload(self._blobs, self._history)
        taken = ours.drain(stage.settings(self._name, self._database))
        stage.say(f"{self._name}: loaded in {taken.seconds:.1f} s, peak {taken.peak_mb:.0f} MB")

    def ours(self, number: int) -> list[float]:
        """Return the milliseconds to commit of a round's changesets."""
        files = self._changes[number * PER_ROUND : (number + 1) * PER_ROUND]
        settings = self._stage.settings(self._name, self._database)
        answer = ours.one_by_one(settings, files[0].parent, [file.name for file in files], 0.0)
        return [spent["commit"] for spent in answer]

    def limit(self) -> list[float]:
        """Return the milliseconds of the limit, over the same changesets."""
        self._stage.limit("initial", self._name, self._plain, self._history)
        _, spent = self._stage.limit("one", self._name, self._plain, self._changes)
        assert isinstance(spent, list)
        return [float(value) for value in spent]

    def done(self) -> None:
        """Give the disk back."""
        remove(self._database)
        remove(self._plain)
        self._blobs.delete_container()
