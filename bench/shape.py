"""The shape of the load, from the simulator: rows and bytes that a message leaves in each dataset's files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bench.results import Grid
from bench.stage import Stage
from local.simulator import DATASETS, ExportFile, Simulator

PER_FILE = ("bytes a row", "rows a file", "KB a file")
HEADINGS = ("dataset", "files a day", "rows a message", "MB a month", *PER_FILE, *(f"at 10 M: {it}" for it in PER_FILE))


@dataclass(frozen=True, slots=True)
class Volume:
    """A workspace of so many messages a month, looked at for some days."""

    messages: int
    start: datetime
    days: float
    history_days: int


MONTH = Volume(1_000_000, datetime(2026, 11, 2, tzinfo=UTC), 7, 10)
BUSY = Volume(10_000_000, datetime(2026, 11, 3, 9, tzinfo=UTC), 0.25, 3)


@dataclass(frozen=True, slots=True)
class Exported:
    """What a dataset's changesets came to."""

    files: int = 0
    rows: int = 0
    size: int = 0

    def plus(self, file: ExportFile) -> Exported:
        """Add a file."""
        return Exported(self.files + 1, self.rows + file.rows, self.size + file.place[1])

    def cells(self) -> tuple[str, ...]:
        """Return bytes a row, rows a file and KB a file."""
        files = max(1, self.files)
        return f"{self.size / max(1, self.rows):.0f}", f"{self.rows / files:,.0f}", f"{self.size / files / 1000:,.0f}"


def measure(stage: Stage) -> Grid:
    """Let a workspace live for a week, and a larger one for some busy hours, at the simulator's own rates."""
    messages = stage.sized(MONTH.messages)
    month, busy = _exported(MONTH, messages), _exported(BUSY, stage.sized(BUSY.messages))
    rows = []
    for dataset in DATASETS:
        found = month[dataset]
        weekly = messages / 30 * MONTH.days
        whole = (
            f"{found.files / MONTH.days:.0f}",
            f"{found.rows / weekly:.2f}",
            f"{found.size / MONTH.days * 30 / 1e6:,.0f}",
        )
        rows.append((dataset, *whole, *found.cells(), *busy[dataset].cells()))
    return Grid(HEADINGS, tuple(rows))


def _exported(volume: Volume, messages: int) -> dict[str, Exported]:
    simulator = Simulator(
        people=max(1_000, messages // 20),
        start=volume.start,
        history_days=volume.history_days,
        deliveries_per_day=messages / 30,
    )
    found = dict.fromkeys(DATASETS, Exported())
    for sync in simulator.run(volume.days):
        for file in () if sync.initial else sync.files:
            found[file.dataset] = found[file.dataset].plus(file)
    return found
