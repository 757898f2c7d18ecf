"""Blobs as the container lists them, and exported files as the checkpoint knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import md5

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
class Fingerprint:
    """A listing in two numbers, whatever its order: how many blobs, and a digest of their names and ETags."""

    files: int = 0
    digest: int = 0

    def plus(self, blobs: Iterable[Blob]) -> Fingerprint:
        """Add blobs: the lower halves of their MD5, which a warehouse can compute as well, combined by XOR."""
        files, digest = self.files, self.digest
        for blob in blobs:
            text = f"{blob.container}/{blob.name}@{blob.etag}".encode()
            digest ^= int.from_bytes(md5(text, usedforsecurity=False).digest()[8:])
            files += 1
        return Fingerprint(files, digest)


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
