"""Local copies of a batch's files, fetched in the background, for a warehouse that reads local files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest import scratch
from ingest.arrivals import Arrival
from ingest.errors import IngestError
from ingest.parquet import read_footer
from ingest.ports import Fetched, Landing, Unfetched

_WORKERS = 3


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


class LocalFetch:
    """A batch on its way into a temporary folder, which leaving the context removes."""

    def __init__(self, folder: Path, tasks: Sequence[Future[Fetched | Unfetched]]) -> None:
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
        shutil.rmtree(self._folder, ignore_errors=True)
