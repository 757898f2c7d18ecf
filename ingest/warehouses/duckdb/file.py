"""The database file: held by one process at a time, only while at work, shared by that process's threads."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ingest import scratch
from ingest.errors import WarehouseBusy, WarehouseUnavailable

ALIAS = "warehouse"
"""The name the file is attached under."""

THREADS = 2
# Nothing is fetched at run time, and no time zone but UTC can come in by way of the icu extension.
OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}

_LOCKED = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_POLL = 0.03
_LINGER = 0.25
_WANTED_FOR = 1.0
_YIELD = 0.12
_LONG_LOG = 4_000_000

_open_files: dict[Path, DatabaseFile] = {}
_registry = threading.Lock()


def database_file(path: Path, *, memory_limit: str) -> DatabaseFile:
    """Return this process's one handle of the file: DuckDB admits one instance of a file to a process."""
    with _registry:
        resolved = path.resolve()
        if resolved not in _open_files:
            _open_files[resolved] = DatabaseFile(resolved, memory_limit)
        return _open_files[resolved]


class DatabaseFile:
    """Opens the file when the first thread needs it and closes it when none has for a moment.

    A process that waits for the file keeps touching `<file>.waiting`. Who holds it sees that, lets nobody new in,
    closes as soon as its threads are through with what they do, and stays away long enough for the other to get in.
    """

    def __init__(self, path: Path, memory_limit: str) -> None:
        self.path = path
        self._memory_limit = memory_limit
        self._state = threading.Condition()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._inside = 0
        self._opening = False
        self._broken = False
        self._not_before = 0.0
        self._timer: threading.Timer | None = None
        self._waiting = path.with_name(path.name + ".waiting")
        self._pid = os.getpid()
        self._spill: Path | None = None
        atexit.register(self._end)

    @contextmanager
    def cursor(self, patience: float, *, reader: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the file and lend a connection of one's own, waiting for the file at most `patience` seconds.

        Raises WarehouseBusy, naming the holder, when it does not come free; WarehouseUnavailable when the file cannot
        be opened at all. A `reader` gets in while this process holds the file even if another waits for it.
        """
        root = self._enter(time.monotonic() + patience, reader=reader)
        try:
            with contextlib.closing(root.cursor()) as cursor:
                yield cursor
        except (duckdb.FatalException, duckdb.InternalException):
            self._broken = True
            raise
        finally:
            self._leave()

    def close(self) -> None:
        """Write everything into the file and let go of it, as at the process's end; a no-op while a thread works."""
        if os.getpid() != self._pid:
            return
        with self._state:
            if self._inside == 0:
                self._shut(checkpoint=True)

    def _end(self) -> None:
        self.close()
        if self._spill is not None and os.getpid() == self._pid:
            shutil.rmtree(self._spill, ignore_errors=True)

    def _rest(self) -> None:
        """Let go of the file after a moment without work; a short write-ahead log may stay for the next opening."""
        with self._state:
            if self._inside == 0:
                self._shut(checkpoint=self._log_size() > _LONG_LOG)

    def _log_size(self) -> int:
        try:
            return self.path.with_name(self.path.name + ".wal").stat().st_size
        except OSError:
            return 0

    def _enter(self, deadline: float, *, reader: bool) -> duckdb.DuckDBPyConnection:
        with self._state:
            while True:
                if self._root is not None and not self._broken and (reader or not self._wanted()):
                    break
                if self._inside == 0 and not self._opening:
                    if self._root is not None:
                        self._shut(checkpoint=False)
                    self._opening = True
                    break
                if not self._state.wait(timeout=0.05) and time.monotonic() > deadline:
                    raise WarehouseBusy(f"{self.path}: this process is busy with it.", hint="Try again later.")
            if self._root is not None and not self._opening:
                return self._let_in(self._root)
        root = None
        try:
            root = self._open(deadline)
        finally:
            with self._state:
                self._opening = False
                if root is not None:
                    self._root, self._broken = root, False
                    self._inside += 1
                self._state.notify_all()
        return root

    def _let_in(self, root: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._inside += 1
        return root

    def _leave(self) -> None:
        with self._state:
            self._inside -= 1
            if self._inside == 0:
                if self._broken or self._wanted():
                    self._shut(checkpoint=False)
                    self._not_before = time.monotonic() + _YIELD
                else:
                    self._timer = threading.Timer(_LINGER, self._rest)
                    self._timer.daemon = True
                    self._timer.start()
            self._state.notify_all()

    def _wanted(self) -> bool:
        try:
            return time.time() - self._waiting.stat().st_mtime < _WANTED_FOR
        except OSError:
            return False

    def _open(self, deadline: float) -> duckdb.DuckDBPyConnection:
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        waited = False
        try:
            while True:
                try:
                    return self._connect()
                except duckdb.IOException as error:
                    holder = _LOCKED.search(str(error))
                    if holder is None and "Could not set lock" not in str(error):
                        raise WarehouseUnavailable(
                            f"{self.path} cannot be opened as a DuckDB database.", hint=_first_line(error)
                        ) from error
                    if time.monotonic() >= deadline:
                        who = f"{holder['program']} (PID {holder['pid']})" if holder else "another process"
                        raise WarehouseBusy(
                            f"{self.path} is held by {who}.",
                            hint="DuckDB lets one process in at a time: close it there, or try again later.",
                        ) from error
                    waited = True
                    with contextlib.suppress(OSError):
                        self._waiting.touch()
                    time.sleep(_POLL)
                except duckdb.Error as error:
                    raise WarehouseUnavailable(
                        f"{self.path} cannot be opened as a DuckDB database.", hint=_first_line(error)
                    ) from error
        finally:
            if waited:
                self._waiting.unlink(missing_ok=True)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if self._spill is None:
            self._spill = scratch.folder("duckdb")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseUnavailable(
                f"the folder of {self.path} cannot be made ({error.strerror}).",
                hint="Set DUCKDB_PATH to another place.",
            ) from error
        root = duckdb.connect(
            ":memory:",
            config={
                "threads": THREADS,
                "memory_limit": self._memory_limit,
                "preserve_insertion_order": "false",
                "temp_directory": str(self._spill),
                **OFFLINE,
            },
        )
        try:
            # The write-ahead log is replayed at every opening, so it is kept short; a checkpoint costs more than most
            # changesets, so closing the file is no reason for one.
            quoted = str(self.path).replace("'", "''")
            root.execute(f"ATTACH '{quoted}' AS {ALIAS}")
            root.execute("PRAGMA disable_checkpoint_on_shutdown")
            root.execute("SET checkpoint_threshold = '8MB'")
        except BaseException:
            root.close()
            raise
        return root

    def _shut(self, *, checkpoint: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        root, self._root = self._root, None
        if root is None:
            return
        if checkpoint and not self._broken:
            with contextlib.suppress(duckdb.Error):
                root.execute(f"CHECKPOINT {ALIAS}")
        root.close()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
