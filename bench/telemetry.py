"""What telemetry costs: the same drain with it and without, in turn. `python -m bench.telemetry` is one such drain."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from bench import ours
from bench.results import Line
from ingest.exporters import set_up
from ingest.naming import SWEEP
from ingest.outcomes import StreamHeld
from ingest.settings import environment_of_process, read_settings
from ingest.spans import span
from ingest.telemetry import tell
from ingest.wiring import build

ROUNDS = 9
AIM = 1.03


def lines(settings: Callable[[], Mapping[str, str]]) -> list[Line]:
    """Drain the same files with telemetry and without; `settings` prepares a database and says where it is."""
    spent: dict[str, list[tuple[float, float]]] = {"off": [], "on": []}
    with _sink() as endpoint:
        for number in range(2 * ROUNDS + 2):
            which = "on" if number % 2 else "off"
            exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if which == "on" else {"TELEMETRY": "none"}
            answer = ours.run([sys.executable, "-m", "bench.telemetry"], {**settings(), **exporting}).output
            if number >= 2:  # the first of each warms the disk
                seconds, processor = json.loads(answer.strip().splitlines()[-1])
                spent[which].append((seconds, processor))
    off = median(seconds for seconds, _ in spent["off"])
    work = median(processor for _, processor in spent["off"])
    return [
        Line(
            "telemetry off",
            tuple(seconds for seconds, _ in spent["off"]),
            limit=off,
            processor=work,
            remark="a process that worked before; to the limit means here: to telemetry off",
        ),
        Line(
            "telemetry on: traces, metrics and logs, OTLP",
            tuple(seconds for seconds, _ in spent["on"]),
            limit=off,
            aim=AIM,
            processor=median(processor for _, processor in spent["on"]),
            remark="to a receiver on the same machine, sent off to the last record",
        ),
        Line(
            "of both, in processor seconds: on",
            tuple(processor for _, processor in spent["on"]),
            limit=work,
            aim=AIM,
            remark="what the machine's other work cannot blur as much",
        ),
    ]


@contextmanager
def _sink() -> Iterator[str]:
    """Take whatever is posted and forget it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def main() -> None:
    """Drain once, as an invocation of a warm process does, and print wall and processor seconds."""
    logging.basicConfig(level=logging.ERROR)
    environment = environment_of_process()
    settings = read_settings(environment)
    flush = set_up(environment, settings.telemetry)
    app = build(settings)
    with span("an earlier invocation"):  # what is set up with the first export is the process's, not the drain's
        tell(StreamHeld(SWEEP, "nobody"))
    flush()
    started, worked = time.perf_counter(), time.process_time()
    with span("drain everything"):
        tally = app.drain_everything()
    flush()
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    assert tally.files, tally
    print(json.dumps([seconds, processor]))
    sys.stdout.flush()
    os._exit(0)  # what is sent at the end was sent


if __name__ == "__main__":
    main()
