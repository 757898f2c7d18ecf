"""Hold a landing container in memory: what the convergence tests write into thousands of times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.arrivals import Blob
from ingest.errors import BlobGone, BlobReplaced, LandingUnavailable

START = datetime(2026, 11, 1, tzinfo=UTC)


class MemoryLanding:
    """The port `Landing`, ETags and all. It passes the same contract as Azure's adapter."""

    def __init__(self, page: int = 3, prefix: str = "") -> None:
        self._page = page
        self._prefix = prefix
        self._blobs: dict[str, tuple[Blob, bytes]] = {}
        self._writes = itertools.count(1)
        self.failing = 0
        """So many downloads to come fail as if the network did."""
        self.downloads = 0
        self.lengths: list[int] = []
        """Bytes of each end that was read."""

    def write(self, name: str, content: bytes) -> str:
        """Write a blob, over the one of this name if there is one, and give its ETag."""
        number = next(self._writes)
        blob = Blob("exports", name, f"0x{number:X}", len(content), START + timedelta(seconds=number))
        self._blobs[name] = (blob, content)
        return blob.etag

    container = "exports"

    def delete(self, blobs: str | Sequence[Blob]) -> None:
        """Delete a blob by its name, as a person does, or those that are there at their ETag, as the sweep does."""
        if isinstance(blobs, str):
            del self._blobs[blobs]
            return
        for blob in blobs:
            if self.etag(blob.name) == blob.etag:
                del self._blobs[blob.name]

    def etag(self, name: str) -> str | None:
        """Give a blob's present ETag; None if there is none."""
        return self._blobs[name][0].etag if name in self._blobs else None

    @property
    def names(self) -> list[str]:
        """Give the names of all blobs."""
        return sorted(self._blobs)

    def pages(self, beginnings: Sequence[str] = ()) -> Iterator[Sequence[Blob]]:
        """List by name, a page at a time; each page as the container is when it is asked for, as in Azure."""
        after = ""
        wanted = tuple(beginnings) or ("",)
        while page := [
            name for name in self.names if name > after and name.startswith(self._prefix) and name.startswith(wanted)
        ][: self._page]:
            yield [self._blobs[name][0] for name in page]
            after = page[-1]

    def download(self, blob: Blob, path: Path) -> None:
        """Copy a blob at its ETag into a file."""
        self.downloads += 1
        path.write_bytes(self._content(blob))

    def stand_by(self, blob: Blob) -> None:
        """Make sure that a blob is there at its ETag."""
        self._content(blob)

    def end_of(self, blob: Blob, length: int) -> bytes:
        """Return the last bytes of a blob at its ETag."""
        self.lengths.append(min(length, blob.size))
        return self._content(blob)[-length:]

    def _content(self, blob: Blob) -> bytes:
        if self.failing:
            self.failing -= 1
            raise LandingUnavailable("the network is down.")
        if blob.name not in self._blobs:
            raise BlobGone(f"{blob.name!r} is gone.")
        present, content = self._blobs[blob.name]
        if present.etag != blob.etag:
            raise BlobReplaced(f"{blob.name!r} was replaced.")
        return content
