"""What a warehouse needs of a batch's files, fetched in the background: local copies, or nothing but the footers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest import scratch
from ingest.arrivals import Arrival, Blob
from ingest.contract import Footer
from ingest.errors import IngestError
from ingest.parquet import end_with_footer, read_footer, read_footer_of_end
from ingest.ports import Fetched, Landing, Unfetched

_WORKERS = 3
_MANY_WORKERS = 16
_YOUNG = timedelta(minutes=1)
"""Times of modification have seconds; the rest allows for clocks that differ."""


class LocalCopies:
    """Downloads files to a temporary folder, a few at a time. What lies there is bounded by two batches."""

    def __init__(self, landing: Landing) -> None:
        self._landing = landing
        scratch.remove_leftovers()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="fetch")

    def fetch(self, batch: Sequence[Arrival]) -> LocalFetch:
        """Start downloading a batch."""
        folder = scratch.folder("files")
        tasks = [
            self._pool.submit(self._fetch, arrival, folder / f"{number}.parquet")
            for number, arrival in enumerate(batch)
        ]
        return LocalFetch(folder, tasks)

    def _fetch(self, arrival: Arrival, path: Path) -> Fetched | Unfetched:
        try:
            self._landing.download(arrival.blob, path)
            return Fetched(arrival, read_footer(path), path)
        except IngestError as error:
            return Unfetched(arrival, error)


class Footers:
    """Reads the ends of the files and leaves the rest where it is, for a warehouse that reads the container."""

    def __init__(self, landing: Landing) -> None:
        self._landing = landing
        self._pool = ThreadPoolExecutor(_MANY_WORKERS, thread_name_prefix="footer")

    def fetch(self, batch: Sequence[Arrival]) -> LocalFetch:
        """Start reading the footers of a batch."""
        return LocalFetch(None, [self._pool.submit(self._fetch, arrival) for arrival in batch])

    def _fetch(self, arrival: Arrival) -> Fetched | Unfetched:
        try:
            footer = self._footer(arrival.blob)
            young = datetime.now(UTC) - arrival.blob.modified < _YOUNG
            return Fetched(arrival, footer, Path(arrival.blob.name), young)
        except IngestError as error:
            return Unfetched(arrival, error)

    def _footer(self, blob: Blob) -> Footer:
        return read_footer_of_end(end_with_footer(partial(self._landing.end_of, blob), blob.size), blob.size)


class LocalFetch:
    """A batch on its way, into a temporary folder if there is one, which leaving the context removes."""

    def __init__(self, folder: Path | None, tasks: Sequence[Future[Fetched | Unfetched]]) -> None:
        self._folder = folder
        self._tasks = tasks

    def result(self) -> Sequence[Fetched | Unfetched]:
        """Wait for the files, in the order asked for."""
        return [task.result() for task in self._tasks]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            if not task.cancelled():
                task.exception()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
