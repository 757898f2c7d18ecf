"""Watch the functions at work through their own log records, and show progress on a terminal."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

SHOWN_OF_A_KIND = 2
"""How many happenings of one kind are told; the others are only counted."""


class Watch(logging.Handler):
    """Count what the functions say they did, and move the bars: files done of those written, rows, bytes."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self.counts: Counter[str] = Counter()
        self._bars = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[files]}", justify="right"),
            TextColumn("{task.fields[rows]:,} rows", justify="right"),
            TextColumn("{task.fields[size]}", justify="right"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._guard = threading.Lock()

    def export_wrote(self, dataset: str, moment: datetime) -> None:
        """Take note of a file that Customer.io wrote at that moment of its own day."""
        with self._guard:
            self._moment = moment
            self._grow(dataset or "(unknown)", written=1)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of one log record of the functions."""
        event = getattr(record, "event", "")
        stream: Any = getattr(record, "ingest_stream", None)
        if not event or not isinstance(stream, dict):
            return
        dataset = str(stream["dataset"])
        with self._guard:
            self.counts[event] += 1
            match event:
                case "BatchLoaded":
                    files, late = field(record, "files"), field(record, "late")
                    self.counts["loaded"] += files
                    self.counts["late"] += len(late)
                    for name in late:
                        self._tell("late", f"{base(name)}", "loaded after its successors; it undoes none of their rows")
                    self._grow(dataset, done=files, rows=field(record, "read"), size=field(record, "size"))
                case "FileRejected":
                    dataset = dataset if dataset in self._tasks else "(unknown)"
                    self._tell("rejected", base(field(record, "blob_name")), field(record, "reason"))
                    self._grow(dataset, done=1)
                case "FileSuperseded":
                    self._tell("replaced", base(field(record, "blob_name")), "before it was loaded")
                    self._grow(dataset, done=1)
                case "SchemaDrifted":
                    names = ", ".join(field(record, "columns"))
                    self._tell("new column", names, f"added to {dataset}, by {base(field(record, 'blob_name'))}")
                case "FileDeferred":
                    self._tell("put off", base(field(record, "blob_name")), field(record, "reason"))

    def finish(self) -> None:
        """Fill the bars: what is still open was overwritten before anybody saw it."""
        for task in self._bars.tasks:
            self._bars.update(task.id, total=task.completed, files=f"{task.completed:,.0f} files")

    def tell(self, text: str, *, indent: int = 0) -> None:
        """Print a paragraph above the bars."""
        self._bars.console.print(Padding(text, (0, 0, 0, indent)), highlight=False)

    def _tell(self, kind: str, name: str, text: str) -> None:
        self.counts[f"told {kind}"] += 1
        left = SHOWN_OF_A_KIND - self.counts[f"told {kind}"]
        if left < 0:
            return
        colour = "red" if kind in ("rejected", "put off") else "yellow"
        more = "" if left else " [dim]Others like it are only counted.[/]"
        self.tell(f"[dim]{self._moment:%H:%M}[/] [{colour}]{kind}[/] {escape(name)}")
        # The first sentence says what is wrong; how to mend it stands with the list of the rejected.
        self.tell(f"{escape(text.split('. ')[0].rstrip('.'))}.{more}", indent=6)

    def _grow(self, dataset: str, *, written: int = 0, done: int = 0, rows: int = 0, size: int = 0) -> None:
        if dataset not in self._tasks:
            self._tasks[dataset] = self._bars.add_task(dataset, total=0, rows=0, size="", files="", bytes=0)
        task = self._bars.tasks[self._bars.task_ids.index(self._tasks[dataset])]
        completed, total = task.completed + done, (task.total or 0) + written
        total_bytes = task.fields["bytes"] + size
        self._bars.update(
            task.id,
            completed=completed,
            total=max(total, completed),
            rows=task.fields["rows"] + rows,
            bytes=total_bytes,
            size=f"{total_bytes / 1e6:,.1f} MB",
            files=f"{completed:,.0f}/{max(total, completed):,.0f} files",
        )

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Listen to the functions' log, and draw, until the block ends."""
        log = logging.getLogger("ingest")
        before = log.level, log.propagate
        log.addHandler(self)
        # What they say is drawn here instead.
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            with self._bars:
                yield
        finally:
            log.removeHandler(self)
            log.level, log.propagate = before


def field(record: logging.LogRecord, name: str) -> Any:
    """Give a field of an outcome's log record."""
    return getattr(record, f"ingest_{name}")


def base(blob_name: str) -> str:
    """Give a blob's name without its path."""
    return blob_name.rpartition("/")[2]
