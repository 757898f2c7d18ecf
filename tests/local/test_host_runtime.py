"""Run the workers' contract over Microsoft's own worker, where it exists (Python 3.13 and later)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local.azurite import ROOT
from tests.local.host_contract import SAMPLE, WorkerContract

pytest.importorskip("azure_functions_runtime")


PLAIN_APP = """
import azure.functions as func
app = func.FunctionApp()
@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def tick(timer: func.TimerRequest) -> None: ...
"""
TWO_APPS = """
import sys
from pathlib import Path
from local.host import open_worker
for app_dir in sys.argv[1:]:
    with open_worker(Path(app_dir), {}, "runtime") as worker:
        print(sorted(worker.functions)[0])
"""


def test_an_app_without_sdk_types_does_not_spoil_the_next(tmp_path: Path) -> None:
    # In a process of its own: here the library of SDK types is long imported.
    (tmp_path / "function_app.py").write_text(PLAIN_APP)
    words = [sys.executable, "-c", TWO_APPS, str(tmp_path), str(SAMPLE)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["tick", "echo"], done.stderr


class TestRuntime(WorkerContract):
    kind = "runtime"
