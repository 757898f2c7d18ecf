"""Say what an exported file is: its name, whether it must be loaded, and its bytes."""

import tempfile
import weakref
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from threading import Lock

VERSION = 4


class Expected(StrEnum):
    """What an ingestor that keeps its promises does with a file."""

    LOADED = "loaded"
    REJECTED = "rejected"


class Misbehaviour(StrEnum):
    """One way in which exports go wrong, each to be asked for by itself."""

    OUT_OF_ORDER = "out_of_order"
    TWICE = "twice"
    REWRITTEN = "rewritten"
    LATE = "late"
    CORRUPT = "corrupt"
    ADDED_COLUMN = "added_column"
    MISSING_COLUMN = "missing_column"
    RESTARTED = "restarted"
    UNKNOWN_NAME = "unknown_name"


class Spool:
    """Hold the bytes of all files in one unnamed temporary file, which goes when its last reader goes."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="customerio-simulator-")  # noqa: SIM115 - as long as self
        weakref.finalize(self, self._file.close)
        self._lock = Lock()
        self._end = 0

    def write(self, content: bytes) -> tuple[int, int]:
        """Append the bytes and return their offset and length."""
        with self._lock:
            self._file.seek(self._end)
            self._file.write(content)
            offset, self._end = self._end, self._end + len(content)
            return offset, len(content)

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes written there."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One arrival of one blob; a later arrival under the same name is another ExportFile."""

    name: str
    dataset: str  # canonical ("delivery_content"); "" where the name does not parse
    version: int
    workspace_id: int
    sequence: int
    sequence_end: int | None
    expected: Expected
    why: str
    rows: int
    place: tuple[int, int] = field(repr=False)
    spool: Spool = field(repr=False, compare=False)

    def content(self) -> bytes:
        """Return the bytes to write to the container."""
        return self.spool.read(*self.place)


@dataclass(frozen=True, slots=True)
class Sync:
    """What one run of the export writes, in the order of writing."""

    at: datetime
    files: tuple[ExportFile, ...]
    initial: bool = False


def blob_name(prefix: str, stem: str, workspace_id: int, sequence: int, sequence_end: int | None = None) -> str:
    """Compose a blob's name as Customer.io does; the stem `people_chngs` puts `chngs` behind the version."""
    name, _, changes = stem.partition("_")
    if changes != "chngs":
        name, changes = stem, ""
    infix = f"{changes}_" if changes else ""
    last = "" if sequence_end is None else f"_{sequence_end}"
    return under(prefix, f"{name}_v{VERSION}_{infix}{workspace_id}_{sequence}{last}.parquet")


def under(prefix: str, name: str) -> str:
    """Put a name under the configured blob path."""
    return f"{prefix.rstrip('/')}/{name}" if prefix else name
