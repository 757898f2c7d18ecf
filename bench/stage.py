"""What every phase works with: Azurite, a folder, how often to measure, and the limit in a process of its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import ours
from bench.data import Plan
from bench.ours import Measured
from bench.results import Line
from local.azurite import Azurite

SHORT = 20.0
"""Seconds: what takes less is measured three times."""
RUNS = 3
TABLES = ("deliveries", "metrics", "people")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a bench plays. `tenth` divides the sizes of scale and memory."""

    azurite: Azurite
    data: Path
    work: Path
    plan: Plan
    tenth: bool
    dlt: bool
    say: Callable[[str], None]

    def settings(self, container: str, database: Path) -> dict[str, str]:
        """Return the app settings for a database file."""
        return ours.settings(self.azurite.connection_string, container, database)

    def sized(self, full: int) -> int:
        """Return a size, or a tenth of it."""
        return full // 10 if self.tenth else full

    def limit(self, mode: str, container: str, database: Path, files: Sequence[Path]) -> tuple[Measured, object]:
        """Run a part of the limit in its own process; return what it took in all, and what it says."""
        command = [
            sys.executable,
            "-m",
            "bench.limit",
            mode,
            str(database),
            str(self.work / "copies"),
            *map(str, files),
        ]
        measured = ours.run(command, self.settings(container, database))
        return measured, json.loads(measured.output.strip().splitlines()[-1])

    def download(self, container: str, files: Sequence[Path]) -> float:
        """Return the seconds that the blobs take to copy, two at a time."""
        seconds = self.limit("download", container, self.work / "none", files)[1]
        assert isinstance(seconds, float)
        shutil.rmtree(self.work / "copies", ignore_errors=True)
        return seconds


def remove(database: Path) -> None:
    """Remove a database with all that lies beside it."""
    for path in database.parent.glob(database.stem + ".*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def copy(source: Path, target: Path) -> Path:
    """Copy a database with all that lies beside it (dlt's state); return the copy's path."""
    remove(target)
    for path in source.parent.glob(source.stem + ".*"):
        to = target.parent / (target.stem + path.name.removeprefix(source.stem))
        shutil.copytree(path, to) if path.is_dir() else shutil.copy2(path, to)
    return target


def alternate(*contenders: Callable[[int], float]) -> None:
    """Run the contenders in turn (A B A B A B): three rounds, or one where a run is not short."""
    longest = max(contender(0) for contender in contenders)
    for number in range(1, RUNS if longest < SHORT else 1):
        for contender in contenders:
            contender(number)


def lines_of(mine: list[Measured], sql: list[tuple[float, Measured]], copies: list[float], aim: float) -> list[Line]:
    """Return the lines on ours and on the limit, which is the SQL plus the download."""
    limit = median(seconds + copying for (seconds, _), copying in zip(sql, copies, strict=True))
    return [
        Line(
            "ours: `python -m ingest drain`",
            tuple(run.seconds for run in mine),
            limit=limit,
            aim=aim,
            processor=median(run.processor for run in mine),
            peak_mb=max(run.peak_mb for run in mine),
            remark="a fresh process, from its start to its end",
        ),
        Line(
            "limit: plain SQL and download",
            tuple(seconds + copying for (seconds, _), copying in zip(sql, copies, strict=True)),
            limit=limit,
            processor=median(run.processor for _, run in sql),
            peak_mb=max(run.peak_mb for _, run in sql),
            remark="without starting Python; processor and peak of the SQL's process",
        ),
        Line("of it: SQL over local copies", tuple(seconds for seconds, _ in sql), limit=limit),
        Line("of it: the download alone", tuple(copies), limit=limit),
    ]
