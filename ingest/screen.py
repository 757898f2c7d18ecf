"""What the command line shows on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from ingest.arrivals import Blob
from ingest.doctor import Finding
from ingest.errors import IngestError
from ingest.facts import FileRecord
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
from ingest.ports import Emit
from ingest.sweep import PAGE

_UNBOUNDED = 10_000


@contextmanager
def progress(console: Console) -> Iterator[Emit]:
    """Show a bar per stream: files done of those found, rows and bytes."""
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        # It takes the width that the words leave: nothing that is said is cut at 80 columns.
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} files", justify="right"),
        TextColumn("{task.fields[rows]:,} rows", justify="right"),
        TextColumn("{task.fields[size]}", justify="right"),
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
            self._tasks[stream] = self._bars.add_task(_label(stream), total=0, rows=0, size="0 MB")
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
    """Show the status document, a workspace at a time: one table on a wide terminal, two on a narrow one."""
    console.print(f"as of {_moment(status['as_of'])}", highlight=False)
    streams = [stream for stream in status["streams"] if stream["workspace_id"]]
    for workspace in sorted({stream["workspace_id"] for stream in streams}):
        console.print(f"\n[bold]workspace {workspace}[/]", highlight=False)
        its = [stream for stream in streams if stream["workspace_id"] == workspace]
        whole = _table(its, (_DATASET, *_COUNTS, *_PLACES))
        narrow = Measurement.get(console, console.options.update(max_width=_UNBOUNDED), whole).maximum > console.width
        parts = [_table(its, (_DATASET, *_COUNTS)), "", _table(its, (_DATASET, *_PLACES))] if narrow else [whole]
        for part in parts:
            console.print(part)
    if not streams:
        console.print("No file of any stream has arrived yet.")
    for stream in status["streams"]:
        if not stream["workspace_id"]:
            console.print(f"\nblobs that belong to no stream: {stream['arrived']:,}, rejected: {stream['rejected']:,}")
    if status["complete_through"]:
        console.print(f"\ncomplete through {_moment(status['complete_through'])}", highlight=False)
    for alert in status["alerts"]:
        console.print(f"[red]{alert['kind']}[/] {escape(alert['subject'])}: {escape(alert['detail'])}", highlight=False)
    if status["trouble"]:
        console.print(f"[yellow]{escape(status['trouble'])}[/]")


def _table(streams: Sequence[dict[str, Any]], columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for column in columns:
        table.add_column(column.heading, justify=column.justify, no_wrap=True)
    for stream in streams:
        table.add_row(*(column.text(stream) for column in columns))
    return table


def show_deletable(console: Console, blobs: Sequence[Blob]) -> None:
    """List blobs that a sweep would delete."""
    for blob in blobs:
        console.print(
            f"{escape(blob.name)} ({blob.size:,} bytes, written {blob.modified:%Y-%m-%d %H:%M} UTC)", highlight=False
        )
    console.print(f"{len(blobs):,} blobs would be deleted{' first' if len(blobs) >= PAGE else ''}.")


def show_rejected(console: Console, records: Sequence[FileRecord], *, of: int = 0) -> None:
    """Show rejected files with their reasons; `of` is how many there are where not all are shown."""
    if not records:
        console.print("No file is rejected.")
        return
    for record in records:
        console.print(f"[red]{escape(record.blob_name)}[/]", highlight=False)
        facts = f"[dim]{record.size:,} bytes, arrived {_moment(record.arrived_at)}[/]"
        console.print(Padding(f"{escape(record.error)}\n{facts}", (0, 0, 0, 2)), highlight=False)
    if of > len(records):
        console.print(f"These are the newest {len(records):,} of {of:,}.")
    console.print("One of them in full: python -m ingest inspect BLOB", markup=False, highlight=False)
    console.print("After a fix: python -m ingest replay [BLOB ...]", markup=False, highlight=False)


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


def _label(stream: Stream) -> str:
    return escape(f"{stream.workspace_id or ''} {stream.dataset}".strip())


def _moment(instant: datetime | str | None) -> str:
    moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the status tables: a number of files or rows, or words."""

    heading: str
    text: Callable[[dict[str, Any]], str]
    justify: Literal["left", "right"] = "right"


def _number(heading: str, name: str, colour: str = "") -> _Column:
    def text(stream: dict[str, Any]) -> str:
        count: int = stream[name]
        return f"[{colour}]{count:,}[/]" if count and colour else f"{count:,}"

    return _Column(heading, text)


def _sequence(stream: dict[str, Any]) -> str:
    return "" if stream["last_sequence"] is None else f"v{stream['last_version']} {stream['last_sequence']}"


_DATASET = _Column("dataset", lambda stream: escape(stream["dataset"]), "left")
_COUNTS = (
    _number("arrived", "arrived"),
    _number("loaded", "loaded"),
    _number("pending", "pending", "yellow"),
    _number("rejected", "rejected", "red"),
    _number("replaced", "superseded"),
    _number("rows", "rows_applied"),
)
_PLACES = (
    _number("late", "late"),
    _Column("last sequence", _sequence),
    _Column("last load (UTC)", lambda stream: _moment(stream["last_loaded_at"])[:16]),
    _Column("lag", lambda stream: _duration(stream["lag_seconds"])),
)
