"""Whose turn it is among the threads of this process, per database file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.naming import Stream

_loads: dict[Path, threading.Lock] = {}
_claims: dict[Path, threading.Lock] = {}
_streams_loading: dict[Path, set[Stream]] = {}


@contextmanager
def loading(path: Path, stream: Stream | None = None) -> Iterator[None]:
    """Let one thread of the process load or change tables at a time: two would share the same bounded memory."""
    with _loads.setdefault(path, threading.Lock()):
        streams = _streams_loading.setdefault(path, set())
        if stream is not None:
            with _claims.setdefault(path, threading.Lock()):
                streams.add(stream)
        try:
            yield
        finally:
            if stream is not None:
                with _claims[path]:
                    streams.discard(stream)


@contextmanager
def claiming(path: Path) -> Iterator[set[Stream]]:
    """Let one thread of the process write leases at a time, and tell which streams are being loaded by it."""
    with _claims.setdefault(path, threading.Lock()):
        yield _streams_loading.setdefault(path, set())
