"""One warm process that drains blob after blob: `python -m bench.warm <folder> <pause> <name>...`, JSON on stdout."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

from ingest.outcomes import BatchLoaded, Outcome
from ingest.settings import environment_of_process, read_settings
from ingest.telemetry import tell
from ingest.wiring import both, build, container_client


def main(folder: Path, pause: float, names: list[str]) -> None:
    """Upload and drain each file; the clock starts when the blob is written, as the event would."""
    logging.basicConfig(level=logging.ERROR)
    committed: list[float] = []

    def emit(outcome: Outcome) -> None:
        if isinstance(outcome, BatchLoaded):
            committed.append(time.perf_counter())

    settings = read_settings(environment_of_process())
    app, uploads = build(settings, both(tell, emit)), container_client(settings)
    app.drain_everything()  # warm: what an earlier invocation of the same process would have done
    answer = []
    for name in names:
        time.sleep(pause)
        committed.clear()
        with (folder / name).open("rb") as file:
            uploads.upload_blob(name, file, overwrite=True)
        event = time.perf_counter()
        tally = app.drain_blob(name)
        returned = time.perf_counter()
        if tally.files != 1 or len(committed) != 1:
            raise SystemExit(f"{name}: {tally}")
        answer.append({"commit": (committed[0] - event) * 1000, "return": (returned - event) * 1000})
    print(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
