"""Where our time goes: run the drain or the warm process with a clock around every part and every SQL statement.

`python -m bench.where drain` or `python -m bench.where warm <folder> <pause> <name>...`, with the app settings in the
environment. Prints milliseconds per part, in all, calls and mean; the parts overlap (a call contains those it makes).
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_STARTED = time.perf_counter()
_spent: dict[str, list[float]] = defaultdict(list)


@contextlib.contextmanager
def clock(name: str) -> Iterator[None]:
    """Add the time spent inside to a part's."""
    started = time.perf_counter()
    try:
        yield
    finally:
        _spent[name].append((time.perf_counter() - started) * 1000)


class Watched:
    """A DuckDB connection that times what it executes, by the first words of the statement."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, statement: str, *values: Any) -> Any:
        """Execute and time."""
        with clock("      sql: " + _label(statement)):
            return self._cursor.execute(statement, *values)


def _label(statement: str) -> str:
    words = re.sub(r"\s+", " ", statement).strip()
    words = re.sub(r"read_parquet\(\[.*?\]", "read_parquet([..]", words)
    target = re.match(r"(CREATE OR REPLACE TEMP TABLE \S+|INSERT INTO \S+|UPDATE \S+|DELETE FROM \S+)", words)
    more = re.search(r"FROM (warehouse\S+|batch\S+|duckdb\S+)", words)
    return (target[1] if target else words[:70]) + (
        f" .. {more[0]}" if target and more and "DELETE" not in words else ""
    )


def _timed(owner: Any, method: str, name: str) -> None:
    original = getattr(owner, method, None)
    if original is None:
        return

    def timed(*args: Any, **kwargs: Any) -> Any:
        with clock(name):
            return original(*args, **kwargs)

    setattr(owner, method, timed)


def _timed_pages(owner: Any) -> None:
    original = owner.pages

    def pages(self: Any, *names: Any) -> Iterator[Any]:
        found = original(self, *names)
        while True:
            with clock("  landing.pages (one page)"):
                page = next(found, None)
            if page is None:
                return
            yield page

    owner.pages = pages


def watch() -> None:
    """Put the clocks in."""
    from ingest import drain, intake, landing, loading
    from ingest.warehouses.duckdb import file, warehouse

    for method in ("to_the_end", "_discover", "_plan", "_fitting", "_load"):
        _timed(loading.Run, method, f" run.{method}")
    for method in ("_drain", "_streams", "_came_meanwhile"):
        _timed(drain.Drain, method, f" drain.{method}")
    for method in (
        "prepare unsettled waiting claim renew release record pending high_water settle columns evolve load _check_off "
        "_publish"
    ).split():
        _timed(warehouse.DuckDBWarehouse, method, f"   warehouse.{method}")
    _timed(landing.AzureLanding, "download", "  landing.download (in 4 threads)")
    _timed(intake, "read_footer", "  parquet.read_footer (in 4 threads)")
    _timed(intake.LocalFetch, "result", "  intake.result (waiting for downloads)")
    _timed(intake.LocalCopies, "fetch", "  intake.fetch (submit)")
    _timed(intake.LocalFetch, "__exit__", "  intake.__exit__ (rmtree)")
    _timed_pages(landing.AzureLanding)
    _timed(warehouse, "merge", "    merge")
    for method in ("_connect", "_shut", "_enter"):
        _timed(file.DatabaseFile, method, f"   file.{method}")
    original = file.DatabaseFile.cursor

    @contextlib.contextmanager
    def cursor(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with original(self, *args, **kwargs) as found:
            yield Watched(found)

    setattr(file.DatabaseFile, "cursor", cursor)


def show(total_ms: float) -> None:
    """Print the parts, in the order in which they were first entered."""
    print(f"\n{'ms in all':>10} {'calls':>6} {'mean':>9}  part", file=sys.stderr)
    for name, spent in sorted(_spent.items(), key=lambda item: (-len(item[0]) + len(item[0].lstrip()), -sum(item[1]))):
        print(f"{sum(spent):10.1f} {len(spent):6} {sum(spent) / len(spent):9.2f}  {name}", file=sys.stderr)
    print(f"{total_ms:10.1f}    whole process, imports {_imports:.0f}", file=sys.stderr)


def main(command: Callable[[], None]) -> None:
    """Run a command under the clocks."""
    try:
        command()
    finally:
        from ingest.warehouses.duckdb import file

        for one in list(file._open_files.values()):
            one.close()
        show((time.perf_counter() - _STARTED) * 1000)


if __name__ == "__main__":
    import ingest.__main__ as command_line

    _imports = (time.perf_counter() - _STARTED) * 1000
    watch()
    if sys.argv[1] == "drain":
        sys.argv[1:] = ["drain"]
        main(command_line.main)
    else:
        from bench import warm

        main(lambda: warm.main(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
