"""What was measured, as values, as a table on the screen and as a section of a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from rich.table import Table

_FEW = 5
"""Up to so many runs are shown one by one."""
HEADINGS = ("", "median", "runs", "to the limit", "aim", "processor s", "peak MB", "remark")


@dataclass(frozen=True, slots=True)
class Line:
    """One measured thing. `values` are the single runs (or the quantile itself), all in `unit`."""

    what: str
    values: tuple[float, ...]
    unit: str = "s"
    limit: float | None = None
    """What `values` are held against: the limit of the same run."""
    aim: float | None = None
    """The ratio to reach, or, with `absolute`, the value."""
    absolute: bool = False
    processor: float | None = None
    peak_mb: float | None = None
    remark: str = ""

    @property
    def middle(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median against the limit."""
        return self.middle / self.limit if self.limit else None

    def cells(self) -> tuple[str, ...]:
        """Return what the tables show."""
        compared = self.middle if self.absolute else self.ratio
        aim = ""
        if self.aim is not None and compared is not None:
            reached = "reached" if compared <= self.aim else "missed"
            aim = f"{'' if self.absolute else 'at most '}{self.aim:g}{' ' + self.unit if self.absolute else ''}: {reached}"
        return (
            self.what,
            _number(self.middle, self.unit),
            self._spread(),
            f"{self.ratio:.2f}" if self.ratio is not None else "",
            aim,
            f"{self.processor:.1f}" if self.processor is not None else "",
            f"{self.peak_mb:,.0f}" if self.peak_mb is not None else "",
            self.remark,
        )

    def _spread(self) -> str:
        if len(self.values) > _FEW:
            return f"p90 {quantiles(self.values, n=10, method='inclusive')[8]:,.0f}, max {max(self.values):,.0f}"
        return " ".join(f"{value:.3g}" for value in self.values) if len(self.values) > 1 else ""


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}".rstrip() if unit in {"", "ms", "KB", "MB"} else f"{value:.2f} {unit}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with headings of its own, where lines do not fit what was counted."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grid_of(found: Sequence[Line] | Grid) -> Grid:
    """Return what a phase found as a table."""
    return found if isinstance(found, Grid) else Grid(HEADINGS, tuple(line.cells() for line in found))


def on_screen(title: str, grid: Grid) -> Table:
    """Return a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for heading in grid.headings:
        table.add_column(heading, justify="left" if heading in {"", "aim", "remark", "runs"} else "right")
    for row in grid.rows:
        table.add_row(*row)
    return table


def into_page(page: Path, section: str, machine: str, grid: Grid) -> None:
    """Put a table between the section's markers in the page. Raises ValueError where the markers are missing."""
    begin, end = f"<!-- bench:{section}:begin -->", f"<!-- bench:{section}:end -->"
    rows = ["| " + " | ".join(grid.headings) + " |", "|" + "---|" * len(grid.headings)]
    rows += ["| " + " | ".join(row) + " |" for row in grid.rows]
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise ValueError(f"{page} has no markers for {section}")
    body = "\n".join([begin, "", machine, "", *rows, "", end])
    page.write_text(re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: body, text, flags=re.DOTALL))
