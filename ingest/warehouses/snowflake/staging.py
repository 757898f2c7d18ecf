"""Bring a batch's files into a staging table, and find those that do not fit.

Snowflake reads the landing container itself, or a stage of its own into which the files are put.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, Protocol

from ingest.arrivals import Blob
from ingest.datasets import Column, Kind
from ingest.errors import BlobGone, BlobReplaced, ContractBroken, FilesRefused, FileUnreadable, IngestError
from ingest.ports import FileToLoad
from ingest.warehouses.records import aware
from ingest.warehouses.snowflake.columns import TYPES, called, declaration, exactly, literal, quoted
from ingest.warehouses.snowflake.session import Session

FILE, ROW, MODIFIED = "_ingest_file", "_ingest_row", "_ingest_modified"
_METADATA = (
    Column(FILE, Kind.STRING),
    Column(ROW, Kind.INTEGER),
    Column(MODIFIED, Kind.TIMESTAMP),
)
_KEPT = "Nothing of the file was loaded; its blob is kept."
_AGAIN = "Have it exported again; the blob is kept."
_MISSING = re.compile(r"was not found|no such file", re.IGNORECASE)
_NULL = re.compile(r"null result in a non-nullable|null.*not.?null", re.IGNORECASE)
_MISFIT = re.compile(r"not recognized|cast|out of.*range|too long|conversion|overflow", re.IGNORECASE)
_COLUMN = re.compile(r'\["?((?:[^"\]]|"")*)"?(?::\d+)?\]$')


class Source(Protocol):
    """Where the files are when they are copied."""

    def bring(self, session: Session, table: str, files: Sequence[FileToLoad]) -> str:
        """Bring the files to where they are copied from, and return that stage."""
        ...

    def path(self, file: FileToLoad) -> str:
        """Return a file's path in the stage."""
        ...

    def trouble(self, file: FileToLoad, modified: datetime | None) -> IngestError | None:
        """Tell whether Snowflake may have read other bytes than those that were listed.

        `modified` is the time of modification of what was copied; None where nothing was.
        """
        ...


@dataclass(frozen=True, slots=True)
class Container:
    """The landing container itself, through an external stage at its root: nothing passes through this process."""

    stage: str
    stand_by: Callable[[Blob], None]
    """Raises where a blob is no longer there at its ETag."""

    def bring(self, session: Session, table: str, files: Sequence[FileToLoad]) -> str:
        """Return the stage; there is nothing to bring."""
        return f"@{self.stage}"

    def path(self, file: FileToLoad) -> str:
        """Return the blob's name: the stage's root is the container's."""
        return file.arrival.blob.name

    def trouble(self, file: FileToLoad, modified: datetime | None) -> IngestError | None:
        """Compare times of modification, which have seconds, and where that may not be enough, ask for the ETag.

        An ETag that is still there after the copying is that of the bytes that were copied: none ever comes back.
        """
        blob = file.arrival.blob
        if modified is not None and abs(modified - blob.modified) >= timedelta(seconds=1):
            return BlobReplaced(f"{blob.name!r} was replaced since it was listed.")
        if file.young or modified is None:
            try:
                self.stand_by(blob)
            except (BlobReplaced, BlobGone) as error:
                return error
        return None


@dataclass(frozen=True, slots=True)
class OwnStage:
    """A temporary stage, which goes with the session. The files are local copies, put there by one statement.

    A table's own stage would need no statement to make, but a COPY with a SELECT does not read it (Snowflake's page
    "COPY INTO <table>").
    """

    def bring(self, session: Session, table: str, files: Sequence[FileToLoad]) -> str:
        """Make the stage anew and upload the folder in which the copies lie."""
        session.run("make a stage", f"CREATE OR REPLACE TEMPORARY STAGE {table}")
        stage = f"@{table}"
        (folder,) = {file.path.parent for file in files}
        session.run(
            "upload files",
            f"PUT {literal(f'file://{folder}/*.parquet')} {stage} PARALLEL = 4 AUTO_COMPRESS = FALSE "
            "SOURCE_COMPRESSION = NONE OVERWRITE = TRUE",
        )
        return stage

    def path(self, file: FileToLoad) -> str:
        """Return the copy's name."""
        return file.path.name

    def trouble(self, file: FileToLoad, modified: datetime | None) -> IngestError | None:
        """Tell of none: the copies were made at the listed ETags."""
        return None


@dataclass(frozen=True, slots=True)
class Staged:
    """A batch in its staging table. `paths` are what the table calls its files, in their order."""

    table: str
    paths: Sequence[str]


def stage(
    session: Session, table: str, columns: Sequence[Column], files: Sequence[FileToLoad], source: Source
) -> Staged:
    """Copy files into a new temporary table with the columns of their target, in as many statements as one file takes.

    Raises FilesRefused naming the files that do not fit, cannot be read, are gone or were replaced; of one file, why.
    """
    declared = ", ".join(declaration(column) for column in (*columns, *_METADATA))
    session.run("make a staging table", f"CREATE OR REPLACE TEMPORARY TABLE {table} ({declared})")
    location = source.bring(session, table, files)
    names = ", ".join(literal(source.path(file)) for file in files)
    targets, taken = zip(*_taken(columns, files), strict=True)
    results = session.named_rows(
        "copy files",
        f"COPY INTO {table} (\n    {', '.join(targets)}\n)\nFROM (\n    SELECT\n        "
        + ",\n        ".join(taken)
        + f"\n    FROM {location}\n)\nFILES = ({names})\n"
        # By default the text \\N would become NULL. An empty list is no grammar that is written down.
        "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = TRUE NULL_IF = ('no text is this'))\n"
        "ON_ERROR = SKIP_FILE FORCE = TRUE",
    )
    found = session.rows(
        "look at what was copied", f"SELECT {FILE}, COUNT(*), MAX({MODIFIED}) FROM {table} GROUP BY {FILE}"
    )
    by_path = {source.path(file): file for file in files}
    outcome = {_longest(by_path, str(row["file"])): row for row in results if "file" in row}
    copied = {_longest(by_path, str(name)): (str(name), rows, modified) for name, rows, modified in found}
    blamed = {
        file.arrival.blob.name: error
        for path, file in by_path.items()
        if (error := _fault(file, source, outcome.get(path), copied.get(path))) is not None
    }
    if len(files) == 1 and blamed:
        raise next(iter(blamed.values()))
    if blamed:
        raise FilesRefused(blamed)
    return Staged(table, [copied[path][0] if path in copied else path for path in by_path])


def _taken(columns: Sequence[Column], files: Sequence[FileToLoad]) -> Iterator[tuple[str, str]]:
    """Yield each column and what is taken for it from a file, by its name as the footers spell it.

    MATCH_BY_COLUMN_NAME would be shorter, but fails on empty texts (Snowflake's page "COPY INTO <table>").
    """
    for column in columns:
        spelt = sorted({field.name for file in files if (field := file.fit.fields.get(column.name)) is not None})
        values = [f"$1:{exactly(name)}::{TYPES[column.kind]}" for name in spelt]
        # Of the functions that choose the first there is, a COPY takes this one.
        value = reduce(lambda rest, first: f"IFNULL({first}, {rest})", reversed(values)) if values else "NULL"
        yield quoted(column.name), value
    yield FILE, "METADATA$FILENAME"
    yield ROW, "METADATA$FILE_ROW_NUMBER"
    yield MODIFIED, "METADATA$FILE_LAST_MODIFIED"


def _longest(paths: Mapping[str, Any], name: str) -> str | None:
    """Find the file that Snowflake speaks of: it may put the container's address, or a stage's name, before a path."""
    fitting = [path for path in paths if name == path or name.endswith(f"/{path}")]
    return max(fitting, key=len, default=None)


def _fault(
    file: FileToLoad, source: Source, outcome: Mapping[str, Any] | None, copied: tuple[str, int, datetime] | None
) -> IngestError | None:
    """Say what is wrong with a file, going by what COPY said of it and by what is in the table."""
    if (trouble := source.trouble(file, None if copied is None else aware(copied[2]))) is not None:
        return trouble
    if outcome is not None and outcome["status"] != "LOADED":
        return _explained(file, outcome)
    if outcome is None and file.fit.rows:
        return _gone(file)
    rows = copied[1] if copied is not None else 0
    if rows != file.fit.rows:
        return FileUnreadable(f"it holds {rows} rows, but its footer says {file.fit.rows}.", hint=_AGAIN)
    return None


def _gone(file: FileToLoad) -> BlobGone:
    return BlobGone(
        f"{file.arrival.blob.name!r} was deleted before it was loaded.",
        hint="Have it exported again, and look for a lifecycle rule that deletes too early.",
    )


def _explained(file: FileToLoad, outcome: Mapping[str, Any]) -> IngestError:
    """Turn COPY's first error into a reason that holds no value."""
    text = str(outcome.get("first_error") or "")
    if _MISSING.search(text):
        return _gone(file)
    found = _COLUMN.search(str(outcome.get("first_error_column_name") or ""))
    if found is None:
        return FileUnreadable("Snowflake cannot read it: cut short, damaged or not parquet.", hint=_AGAIN)
    name = called(found[1].replace('""', '"'))
    where = f"row {outcome.get('first_error_line')}"
    field = file.fit.fields.get(name)
    kind, physical = (field.kind, field.physical) if field is not None else (None, "values")
    if _NULL.search(text):
        return ContractBroken(
            f"column {name!r}: expected a required {kind} without nulls, found 1 null or more, the first in {where}.",
            hint=_KEPT,
        )
    if _MISFIT.search(text):
        return ContractBroken(
            f"column {name!r}: expected {kind}, found 1 value of {physical} or more that do not fit, the first in "
            f"{where}.",
            hint=_KEPT,
        )
    return FileUnreadable(f"column {name!r} cannot be decoded: the file is damaged behind its footer.", hint=_AGAIN)
