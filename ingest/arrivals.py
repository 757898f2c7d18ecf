"""Blobs as the container lists them, and exported files as the checkpoint knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ingest.naming import ExportName, Stream


class Status(StrEnum):
    """What the checkpoint table says of a file."""

    PENDING = "pending"
    LOADED = "loaded"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    """Replaced under its name before it was loaded: its bytes are gone, the newer ETag is an arrival of its own."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob at one ETag, as listed. `size` in bytes, `modified` in UTC."""

    container: str
    name: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """A blob that is a file of a stream. `attempts` counts the failures recorded so far."""

    blob: Blob
    name: ExportName
    attempts: int = 0

    @property
    def stream(self) -> Stream:
        """The stream it belongs to."""
        return self.name.stream


@dataclass(frozen=True, slots=True)
class Oddity:
    """A blob that is no file of any known stream, and why."""

    blob: Blob
    reason: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to load one stream until `expires_at`. `generation` is the fencing number."""

    stream: Stream
    owner: str
    generation: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is somebody else's."""

    stream: Stream
    owner: str
    until: datetime
