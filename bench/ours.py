"""This project at work: the real command line in a process of its own, and the warm app file by file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Measured:
    """A process that ended well: wall and processor seconds, and its peak resident memory in megabytes."""

    seconds: float
    processor: float
    peak_mb: float
    output: str


def settings(connection_string: str, container: str, database: Path) -> dict[str, str]:
    """Return the app settings of a bench run: the defaults but for where things are, and time enough."""
    return {
        "EXPORT_STORAGE": connection_string,
        "EXPORT_CONTAINER": container,
        "DUCKDB_PATH": str(database),
        "TIME_BUDGET_SECONDS": "3600",
    }


def drain(app_settings: Mapping[str, str]) -> Measured:
    """Run `python -m ingest drain` and wait for its end."""
    return run([sys.executable, "-m", "ingest", "drain"], app_settings)


# The kernel counts a child's peak from the fork on, so a large parent would pass for a large child. This small process
# stands between: it starts the command, and says on its last line what that took.
_BETWEEN = """
import json, os, sys, time
started = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
spent = time.perf_counter() - started
print()
print(json.dumps([os.waitstatus_to_exitcode(status), spent, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def run(command: list[str], extra: Mapping[str, str]) -> Measured:
    """Run a command from the project's folder. Raises RuntimeError with its last words if it fails."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _BETWEEN, *command],
        cwd=ROOT,
        env={**os.environ, **extra},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    output, _, last = done.stdout.rstrip().rpartition("\n")
    status, seconds, processor, peak_mb = json.loads(last)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)[:300]} ended with {status}:\n{output[-3000:]}")
    return Measured(seconds, processor, peak_mb, output)


def one_by_one(app_settings: Mapping[str, str], folder: Path, names: list[str], pause: float) -> list[dict[str, float]]:
    """Write blob after blob in one warm process and drain each; return milliseconds to commit and to return."""
    command = [sys.executable, "-m", "bench.warm", str(folder), str(pause), *names]
    answer: list[dict[str, float]] = json.loads(run(command, app_settings).output.strip().splitlines()[-1])
    return answer
