"""One instance of the app: `python -m bench.instance`, blob names on stdin as events, one JSON document on stdout.

It calls what the blob trigger calls, in as many threads as `host.json` lets it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.ours import ROOT
from ingest.outcomes import BatchLoaded, Outcome
from ingest.settings import read_settings
from ingest.wiring import App, build


def main() -> None:
    """Say "in" when ready; drain the stream of each blob named; at the end of stdin say what became of it."""
    commits: dict[str, float] = {}

    def note(outcome: Outcome) -> None:
        if isinstance(outcome, BatchLoaded):
            commits[outcome.batch_id] = time.time()

    app = build(read_settings(os.environ), note)
    with ThreadPoolExecutor(threads()) as pool:
        print("in", flush=True)
        calls = [pool.submit(_invoke, app, line.strip()) for line in sys.stdin]
    document = {"calls": [call.result() for call in calls], "commits": commits, "peak_mb": peak_mb()}
    print(json.dumps(document), flush=True)


def threads() -> int:
    """Return how many blob invocations an instance runs at once."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    return int(host["extensions"]["blobs"]["maxDegreeOfParallelism"])


def peak_mb() -> float:
    """Return this process's peak resident memory. The kernel counts it from the start of the program, not of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _invoke(app: App, blob_name: str) -> dict[str, Any]:
    tally = app.drain_blob(blob_name)
    return {"files": tally.files, "batches": tally.batches, "held": bool(tally.held), "end": time.time()}


if __name__ == "__main__":
    main()
