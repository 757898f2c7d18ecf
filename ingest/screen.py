"""What the command line shows on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingest.doctor import Finding
from ingest.errors import IngestError
from ingest.naming import Stream
from ingest.outcomes import (
    BatchLoaded,
    Discovered,
    FileDeferred,
    FileRejected,
    FileSuperseded,
    Outcome,
    SchemaDrifted,
    StreamHeld,
    Tally,
)
from ingest.ports import Emit, FileRecord


@contextmanager
def progress(console: Console) -> Iterator[Emit]:
    """Show a bar per stream: files done of those found, rows and bytes."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files  {task.fields[rows]:>12,} rows  {task.fields[size]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield _Bars(bars).show


class _Bars:
    """The bars, by stream."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[Stream, TaskID] = {}
        self._rows: dict[Stream, int] = {}
        self._bytes: dict[Stream, int] = {}

    def show(self, outcome: Outcome) -> None:
        """Move the bar of the outcome's stream, and say aloud what a person should know."""
        match outcome:
            case Discovered(stream, files, _):
                self._grow(stream, files)
            case BatchLoaded():
                self._rows[outcome.stream] = self._rows.get(outcome.stream, 0) + outcome.read
                self._bytes[outcome.stream] = self._bytes.get(outcome.stream, 0) + outcome.size
                self._advance(outcome.stream, outcome.files)
            case FileRejected(stream, name, reason):
                self._bars.console.print(f"[red]rejected[/] {escape(name)}: {escape(reason)}")
                self._advance(stream, 1)
            case FileDeferred(stream, name, reason):
                self._bars.console.print(f"[yellow]put off[/] {escape(name)}: {escape(reason)}")
                self._advance(stream, 1)
            case FileSuperseded(stream, _):
                self._advance(stream, 1)
            case SchemaDrifted(_, name, names):
                self._bars.console.print(f"[yellow]new columns[/] {escape(', '.join(names))} in {escape(name)}")
            case StreamHeld(stream, owner):
                self._bars.console.print(f"{stream} is being loaded by {escape(owner)}")
            case _:
                pass

    def _task(self, stream: Stream) -> TaskID:
        if stream not in self._tasks:
            self._tasks[stream] = self._bars.add_task(str(stream), total=0, rows=0, size="")
        return self._tasks[stream]

    def _grow(self, stream: Stream, files: int) -> None:
        task = self._task(stream)
        self._bars.update(task, total=(self._bars.tasks[task].total or 0) + files)

    def _advance(self, stream: Stream, files: int) -> None:
        task = self._task(stream)
        done = self._bars.tasks[task].completed + files
        total = max(done, self._bars.tasks[task].total or 0)
        size = f"{self._bytes.get(stream, 0) / 1e6:,.1f} MB"
        self._bars.update(task, completed=done, total=total, rows=self._rows.get(stream, 0), size=size)


def show_status(console: Console, status: dict[str, Any]) -> None:
    """Show the status document as a table."""
    table = Table(title=f"as of {status['as_of']}", title_justify="left")
    for name in ("workspace", "dataset"):
        table.add_column(name)
    for name in ("arrived", "loaded", "pending", "rejected", "late", "rows", "last sequence", "lag"):
        table.add_column(name, justify="right")
    for stream in status["streams"]:
        table.add_row(
            str(stream["workspace_id"] or ""),
            escape(stream["dataset"]),
            f"{stream['arrived']:,}",
            f"{stream['loaded']:,}",
            _loud(stream["pending"], "yellow"),
            _loud(stream["rejected"], "red"),
            f"{stream['late']:,}",
            f"{stream['rows_applied']:,}",
            str(stream["last_sequence"] if stream["last_sequence"] is not None else ""),
            _duration(stream["lag_seconds"]),
        )
    console.print(table)
    if status["trouble"]:
        console.print(f"[yellow]{escape(status['trouble'])}[/]")


def show_rejected(console: Console, records: Sequence[FileRecord]) -> None:
    """Show rejected files with their reasons."""
    if not records:
        console.print("No file is rejected.")
    for record in records:
        console.print(
            f"[red]{escape(record.blob_name)}[/] ({record.size:,} bytes, {record.arrived_at:%Y-%m-%d %H:%M} UTC)"
        )
        console.print(f"  {escape(record.error)}")
    if records:
        console.print("After a fix: python -m ingest replay [BLOB ...]")


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Show what the doctor found."""
    for finding in findings:
        mark = "[green]ok[/]     " if finding.fine else "[red]missing[/]"
        console.print(f"{mark} {escape(finding.subject)}: {escape(finding.text)}")


def show_tally(console: Console, tally: Tally) -> None:
    """Show what a drain came to."""
    console.print(
        f"{tally.files:,} files loaded in {tally.batches:,} batches "
        f"({tally.read:,} rows read, {tally.applied:,} applied), "
        f"{tally.late:,} late, {tally.rejected:,} rejected, {tally.superseded:,} superseded."
    )
    for stream in sorted(tally.held):
        console.print(f"[yellow]{stream} is held by another worker.[/]")
    for stream in sorted(tally.unfinished):
        console.print(f"[yellow]{stream} is not finished; run drain again.[/]")
    if tally.rejected:
        console.print("Rejected files are kept: see `python -m ingest rejected`.")


def show_error(console: Console, error: IngestError) -> None:
    """Show an error and the way out."""
    console.print(f"[red]{escape(error.what)}[/]", highlight=False)
    if error.hint:
        console.print(escape(error.hint), highlight=False)


def _loud(count: int, colour: str) -> str:
    return f"[{colour}]{count:,}[/]" if count else "0"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
