"""Everything there is to know about one blob: name, footer, columns, past, and what would happen now."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ingest.arrivals import Arrival, Blob, Status
from ingest.contract import Footer, Verdict, check, judge
from ingest.datasets import Kind
from ingest.errors import IngestError, NameRejected, Rejection, Retryable
from ingest.facts import FileHistory
from ingest.loading import Parts
from ingest.naming import ExportName, parse, stream_of
from ingest.ordering import is_late, order_key
from ingest.outlook import Outlook, Trial, left_out, of_absent, of_local, of_present, unknown
from ingest.ports import Fetched, FileToLoad

_COUNTED = 10_000
"""Files before this one that are counted."""
_SEARCHED = 1000
"""Rejected files among which a name is looked for that nobody has."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of a file. `size` in bytes as stored; nulls by column, None where they are not stated."""

    rows: int
    size: int
    nulls: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What a footer says beyond the contract."""

    footer: Footer
    created_by: str = ""
    format_version: str = ""
    compression: tuple[str, ...] = ()
    physical: Mapping[str, str] = field(default_factory=dict)
    """The physical type of each column, as parquet calls it."""
    row_groups: tuple[RowGroup, ...] = ()
    trouble: str = ""
    """Why all but the footer's columns and rows is unknown, if so."""

    def nulls(self, column: str) -> int | None:
        """Return how many nulls the file states for a column; None where it does not."""
        counts = [group.nulls.get(column) for group in self.row_groups]
        stated = [count for count in counts if count is not None]
        if not self.footer.rows:
            return 0
        return sum(stated) if stated and len(stated) == len(counts) else None


ReadAnatomy = Callable[[Callable[[int], bytes], int], Anatomy]
"""Reads the footer of a file, by what returns its last bytes and by its length. Raises FileUnreadable."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """One blob, looked at from all sides."""

    blob_name: str
    name: ExportName | None
    odd: str
    """Why the name does not parse, if so."""
    blob: Blob | None
    anatomy: Anatomy | None
    unreadable: str
    """Why there is no footer to be shown, if so."""
    verdicts: tuple[Verdict, ...]
    history: tuple[FileHistory, ...]
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class _Known:
    """What the checkpoint and the table say. `trouble` is why they say nothing, if so."""

    history: tuple[FileHistory, ...] = ()
    table: Mapping[str, Kind] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What came of reading the footer: it, or what is wrong with the file, or why it could not be read now."""

    anatomy: Anatomy | None = None
    rejection: str = ""
    trouble: str = ""


class Inspector:
    """Looks, and changes nothing; checkpoint tables are made where there are none.

    `prefix` may be left out of the names it is asked for.
    """

    def __init__(self, parts: Parts, read: ReadAnatomy, prefix: str) -> None:
        self._parts = parts
        self._read = read
        self._prefix = prefix

    def look(self, asked: str) -> Inspection:
        """Look at the blob of a name. Raises IngestError for a name that nobody has."""
        blob_name, blob = self._find(asked)
        name, odd = _parsed(blob_name)
        known = self._known(blob_name, name)
        if blob is None:
            outlook = of_absent(known.history, blob_name) if known.history else unknown(known.trouble)
            return self._inspection(blob_name, name, odd, None, _Opened(), known, outlook)
        opened = self._open(partial(self._parts.landing.end_of, blob), blob.size)
        outlook = self._outlook(blob, name, odd, opened, known)
        return self._inspection(blob_name, name, odd, blob, opened, known, outlook)

    def look_at_file(self, path: Path) -> Inspection:
        """Look at a local file as if it were a blob. What the checkpoint knows of its name is shown with it."""
        name, odd = _parsed(path.name)
        known = self._known(self._prefix + path.name, name)
        stat = path.stat()
        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
        blob = Blob(container="", name=path.name, etag="", size=stat.st_size, modified=modified)
        opened = self._open(partial(_end_of_file, path), blob.size)
        outlook = self._outlook_of_file(Arrival(blob, name), opened, known, path) if name else of_local(Trial(odd))
        return self._inspection(path.name, name, odd, blob, opened, known, outlook)

    def _inspection(
        self,
        blob_name: str,
        name: ExportName | None,
        odd: str,
        blob: Blob | None,
        opened: _Opened,
        known: _Known,
        outlook: Outlook,
    ) -> Inspection:
        anatomy = opened.anatomy
        verdicts = self._judged(name, anatomy, known.table) if anatomy and name else ()
        unreadable = opened.rejection or opened.trouble
        return Inspection(blob_name, name, odd, blob, anatomy, unreadable, verdicts, known.history, outlook)

    def _judged(self, name: ExportName, anatomy: Anatomy, table: Mapping[str, Kind]) -> tuple[Verdict, ...]:
        nulls = {each.name: anatomy.nulls(each.name) for each in anatomy.footer.fields}
        return judge(anatomy.footer, name.dataset, table, self._parts.limits.drift, nulls)

    def _find(self, asked: str) -> tuple[str, Blob | None]:
        """Return the full name, and the blob if it is there. The name as given goes before the one with the prefix."""
        names = list(dict.fromkeys((asked, self._prefix + asked)))
        for name in names:
            if name.startswith(self._prefix) and name and (blob := self._listed(name)) is not None:
                return name, blob
        for name in names:
            if self._parts.warehouse.history(self._parts.landing.container, name):
                return name, None
        raise IngestError(
            f"neither the container {self._parts.landing.container!r} nor the checkpoint knows a blob {asked!r}.",
            hint=self._near(asked),
        )

    def _listed(self, name: str) -> Blob | None:
        return next((blob for page in self._parts.landing.pages([name]) for blob in page if blob.name == name), None)

    def _near(self, asked: str) -> str:
        known: list[str] = []
        with suppress(Retryable):  # there may be no tables yet
            known = [record.blob_name for record in self._parts.warehouse.rejected(_SEARCHED)]
        near = difflib.get_close_matches(asked, known, 3)
        if not near:
            return "`python -m ingest rejected` lists the names of rejected files."
        return f"Did you mean {' or '.join(map(repr, near))}?"

    def _known(self, blob_name: str, name: ExportName | None) -> _Known:
        warehouse = self._parts.warehouse
        try:
            history = tuple(warehouse.history(self._parts.landing.container, blob_name))
            table = {} if name is None else warehouse.columns(name.dataset, create=False)
        except Retryable as error:
            return _Known(trouble=str(error))
        return _Known(history, table)

    def _open(self, read: Callable[[int], bytes], size: int) -> _Opened:
        try:
            return _Opened(self._read(read, size))
        except Rejection as error:
            return _Opened(rejection=str(error))
        except Retryable as error:
            return _Opened(trouble=str(error))

    def _outlook(self, blob: Blob, name: ExportName | None, odd: str, opened: _Opened, known: _Known) -> Outlook:
        if trouble := known.trouble or opened.trouble:
            return unknown(trouble)
        if name is None:
            return of_present(blob, known.history, Trial(odd))
        if any(each.etag == blob.etag and each.status not in _OPEN for each in known.history):
            return of_present(blob, known.history, Trial())
        if name.dataset.name not in self._parts.limits.datasets:
            return left_out(name.dataset.name)
        try:
            return of_present(blob, known.history, self._trial(Arrival(blob, name), opened, known.table))
        except Retryable as error:
            return unknown(str(error))

    def _outlook_of_file(self, arrival: Arrival, opened: _Opened, known: _Known, path: Path) -> Outlook:
        if known.trouble:
            return unknown(known.trouble)
        try:
            return of_local(self._trial(arrival, opened, known.table, path))
        except Retryable as error:
            return unknown(str(error))

    def _trial(self, arrival: Arrival, opened: _Opened, table: Mapping[str, Kind], path: Path | None = None) -> Trial:
        """Do what a load does, up to the writing. A file at a local path has no place among the others."""
        try:
            if opened.anatomy is None:
                with self._copy(arrival, path):
                    return Trial(opened.rejection)
            values_seen = self._diagnosed(arrival, opened.anatomy, table, path)
        except Rejection as error:
            return Trial(str(error))
        rows = opened.anatomy.footer.rows
        if path is not None:
            return Trial(rows=rows, values_seen=values_seen)
        self._parts.warehouse.prepare()
        ahead = self._ahead(arrival)
        return Trial(
            rows=rows,
            ahead=min(ahead, _COUNTED),
            at_least=ahead > _COUNTED,
            late=is_late(arrival.name, self._parts.warehouse.high_water(arrival.stream)),
            values_seen=values_seen,
        )

    def _diagnosed(self, arrival: Arrival, anatomy: Anatomy, table: Mapping[str, Kind], path: Path | None) -> bool:
        """Tell whether the values were looked at. Raises the Rejection that a load would record."""
        fit = check(anatomy.footer, arrival.name.dataset, table, self._parts.limits.drift)
        evolved = dict(table) | {column.name: column.kind for column in fit.added}
        with self._copy(arrival, path) as copy:
            diagnosis = self._parts.warehouse.diagnose(FileToLoad(arrival, fit, copy, late=False), evolved)
        if diagnosis.rejection is not None:
            raise diagnosis.rejection
        if not diagnosis.values_seen:
            for verdict in self._judged(arrival.name, anatomy, table):
                if verdict.error is not None:
                    raise verdict.error
        return diagnosis.values_seen

    @contextmanager
    def _copy(self, arrival: Arrival, path: Path | None) -> Iterator[Path]:
        """Lend what the warehouse reads of a file when it loads it."""
        if path is not None:
            yield path
            return
        with self._parts.intake.fetch([arrival]) as fetch:
            (result,) = fetch.result()
            if not isinstance(result, Fetched):
                raise result.error
            yield result.path

    def _ahead(self, arrival: Arrival) -> int:
        """Count the files that would be loaded before this one: those recorded, and those nobody has recorded yet."""
        key, stream = order_key(arrival.name), arrival.stream
        pending = self._parts.warehouse.pending(stream, None, _COUNTED + 1)
        names = {each.blob.name for each in pending if order_key(each.name) < key}
        for page in self._parts.landing.pages():
            of_stream = [blob for blob in page if stream_of(blob.name) == stream and order_key(parse(blob.name)) < key]
            names.update(blob.name for blob in self._parts.warehouse.unsettled(of_stream, hurried=True))
        return len(names)


_OPEN = (Status.PENDING, Status.REJECTED)
"""What is known of a file that may still be loaded."""


def _parsed(blob_name: str) -> tuple[ExportName | None, str]:
    """Return the name's parts, or why it has none."""
    try:
        return parse(blob_name), ""
    except NameRejected as error:
        return None, str(error)


def _end_of_file(path: Path, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - length))
            return file.read()
    except OSError as error:
        raise IngestError(f"{path} cannot be read ({error.strerror}).") from error
