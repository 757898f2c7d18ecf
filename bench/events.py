"""What one event costs in statements over Snowflake, by what it finds: files, a lease that is held, or nothing new."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from bench import bulk, container
from bench.batches import app_of, transcript_of
from bench.results import Grid
from bench.stage import Stage
from ingest.arrivals import Held
from ingest.naming import stream_of
from ingest.outcomes import Tally
from ingest.wiring import App
from tests.stand_in import StandIn, running

BACKLOG = 40
PER_BATCH = 10
HEADINGS = ("an event that finds", "statements", "that need the warehouse", "batches")
_BY_THE_SERVICES = ("BEGIN", "COMMIT", "ROLLBACK", "CREATE", "ALTER", "DESCRIBE", "LOGIN")


def measure(stage: Stage) -> Grid:
    """Drain by one event each time and count, in a warm process that has seen the table."""
    with running(stage.azurite, stage.work) as server:
        blobs = container.create(stage.azurite, "events")
        settings = server.settings("events", BATCH_MAX_FILES=str(PER_BATCH))
        server.prepare(settings)
        files = bulk.tiny(stage.data / "tiny-50", 2 + BACKLOG + PER_BATCH)
        last = files[-1].name
        rows = []
        with app_of(settings, renewing=False) as app:

            def find(what: str, first: int, end: int) -> None:
                container.upload(blobs, files[first:end])
                rows.append(_row(what, server, lambda: app.drain_blob(last)))

            container.upload(blobs, files[:1])
            app.drain_blob(last)
            find("one file", 1, 2)
            find(f"{PER_BATCH} files", 2, 2 + PER_BATCH)
            find(f"{BACKLOG} files, {PER_BATCH} a batch", 2 + PER_BATCH, len(files))
            rows.append(_row("files that are loaded already", server, lambda: app.drain_blob(last)))
            rows.append(_held(server, app, last))
        blobs.delete_container()
    return Grid(HEADINGS, tuple(rows))


def _held(server: StandIn, app: App, blob_name: str) -> tuple[str, ...]:
    """Let somebody else hold the lease."""
    parts = app.parts
    lease = app.warehouse.claim(
        stream_of(blob_name), f"other/{uuid.uuid4().hex}", parts.clock.now(), timedelta(hours=1)
    )
    if isinstance(lease, Held):
        raise TypeError(f"the lease is {lease.owner}'s")
    try:
        return _row("the stream's lease held", server, lambda: app.drain_blob(blob_name))
    finally:
        app.warehouse.release(lease)


def _row(what: str, server: StandIn, drain: Callable[[], Tally]) -> tuple[str, ...]:
    before = len(transcript_of(server))
    tally = drain()
    said = [line["sql"].lstrip().upper() for line in transcript_of(server)[before:]]
    awake = sum(not statement.startswith(_BY_THE_SERVICES) for statement in said)
    return (what, f"{len(said)}", f"{awake}", f"{tally.batches}")
