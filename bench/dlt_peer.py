"""dlt, installed in a virtual environment of its own: `bench/dlt_job.py` is what runs there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb

from bench.ours import ROOT, Measured, run

_FOLDER = ROOT / ".venv-dlt"
_PYTHON = _FOLDER / "bin" / "python"
_JOB = str(ROOT / "bench" / "dlt_job.py")
_PACKAGES = ("dlt[duckdb,filesystem,az,parquet]==1.31.0", "pyarrow", f"duckdb=={duckdb.__version__}")
_PRIVATE = {"DLT_TELEMETRY": "false", "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


def install() -> str:
    """Make the virtual environment unless it is there; return what is in the way, or nothing."""
    if _ready():
        return ""
    steps = ([sys.executable, "-m", "venv", str(_FOLDER)], [str(_PYTHON), "-m", "pip", "install", "-q", *_PACKAGES])
    for step in steps:
        done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"dlt could not be installed: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
    return "" if _ready() else "dlt was installed and cannot be imported"


def _ready() -> bool:
    if not _PYTHON.exists():
        return False
    check = "import adlfs, dlt, duckdb, pyarrow; print(duckdb.__version__)"
    done = subprocess.run([str(_PYTHON), "-c", check], capture_output=True, text=True, check=False)
    return done.stdout.strip() == duckdb.__version__


def drain(connection_string: str, container: str, database: Path, datasets: str) -> Measured:
    """Have a fresh process load what has arrived."""
    command = [str(_PYTHON), _JOB, "drain", container, str(database), str(_state(database)), datasets]
    return run(command, _environment(connection_string))


def one_by_one(connection_string: str, container: str, database: Path, folder: Path, names: list[str]) -> list[float]:
    """Write blob after blob in one warm process and load each; return milliseconds."""
    words = ["warm", container, str(database), str(_state(database)), str(folder), "0", *names]
    output = run([str(_PYTHON), _JOB, *words], _environment(connection_string)).output
    return [spent["commit"] for spent in json.loads(output.strip().splitlines()[-1])]


def _state(database: Path) -> Path:
    return database.with_suffix(".state")


def _environment(connection_string: str) -> Mapping[str, str]:
    return {**_PRIVATE, "EXPORT_STORAGE": connection_string}
