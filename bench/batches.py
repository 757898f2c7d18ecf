"""What one batch costs over Snowflake: statements, round trips to Snowflake, bytes through the function."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from bench import bulk, container, data
from bench.meter import Meter, metered
from bench.results import Line
from bench.stage import Stage
from ingest.drain import Drain
from ingest.settings import Settings
from ingest.warehouses.snowflake import SnowflakeWarehouse
from ingest.wiring import App, build
from tests.stand_in import StandIn

COUNTED = (1, 50, 200)
LARGER = 50
"""Files that are also measured with ten times the rows."""
ROWS = 2 * data.PER_CHANGESET
HISTORY = 200_000
"""Deliveries that the changesets are drawn upon."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one drain took."""

    files: int
    rows: int
    statements: int
    round_trips: int
    asked: int
    """Bytes to and from Snowflake."""
    read: int
    """Bytes to and from the container."""


def measure(stage: Stage, server: StandIn) -> list[Line]:
    """Drain batches of several sizes and compare what they cost with the batch of one file."""
    return _lines(_costs(stage, server))


def waiting(stage: Stage) -> tuple[Path, ...]:
    """Return the changesets."""
    history = stage.sized(HISTORY)
    return data.changesets(history, max(COUNTED), stage.data / f"snowflake-{history}", tail=True)


def _costs(stage: Stage, server: StandIn) -> list[Cost]:
    """Drain batches of several sizes, each in a warm process that has seen the table."""
    changes = waiting(stage)
    large = _large(stage.data / "snowflake-large", LARGER, 10 * ROWS)
    batches = [(changes[:count], ROWS) for count in COUNTED] + [(large, 10 * ROWS)]
    costs = []
    with metered(server.port) as snowflake, metered(stage.azurite.blob_port) as storage:
        for number, (files, rows) in enumerate(batches):
            name = f"snowflake-{number}"
            blobs = container.create(stage.azurite, name)
            settings = server.settings(
                name,
                SNOWFLAKE_HOST=f"http://127.0.0.1:{snowflake.port}",
                EXPORT_STORAGE=_through(stage.azurite.connection_string, stage.azurite.blob_port, storage.port),
            )
            server.prepare(settings)
            with _warm(stage, settings, blobs) as app:
                container.upload(blobs, files)
                costs.append(_cost(app, server, snowflake, storage, files, rows))
            stage.say(str(costs[-1]))
            blobs.delete_container()
    return costs


def _cost(app: App, server: StandIn, snowflake: Meter, storage: Meter, files: Sequence[Path], rows: int) -> Cost:
    before = len(transcript_of(server))
    snowflake.reset()
    storage.reset()
    tally = app.drain_blob(files[-1].name)
    if (tally.files, tally.batches) != (len(files), 1):
        raise RuntimeError(f"{len(files)} files waited, but: {tally}")
    statements = len(transcript_of(server)) - before
    return Cost(len(files), rows, statements, snowflake.round_trips, snowflake.bytes, storage.bytes)


def _lines(costs: Sequence[Cost]) -> list[Line]:
    first = costs[0]
    lines = []
    for cost in costs:
        what = f"{cost.files} file{'s' * (cost.files > 1)} of {cost.rows:,} rows"
        per_file, at_first = cost.read / cost.files / 1000, first.read / first.files / 1000
        remark = f"and {cost.asked / cost.files / 1000:.1f} KB a file to and from Snowflake"
        lines += [
            Line(f"{what}: statements", (cost.statements,), "", first.statements, 1.0),
            Line(f"{what}: round trips to Snowflake", (cost.round_trips,), "", first.round_trips, 1.0),
            Line(f"{what}: from the container, a file", (per_file,), "KB", at_first, 1.0, remark=remark),
        ]
    return lines


@contextmanager
def _warm(stage: Stage, settings: Settings, blobs: ContainerClient) -> Iterator[App]:
    """Give an app whose process has loaded a small file. It renews no lease: how often depends on the time taken."""
    container.upload(blobs, bulk.tiny(stage.data / "tiny-1", 1))
    with app_of(settings, renewing=False) as app:
        app.drain_everything()
        yield app


@contextmanager
def app_of(settings: Settings, *, renewing: bool = True) -> Iterator[App]:
    """Build the app as a process does, and close its sessions at the end."""
    app = build(settings, lambda outcome: None)
    if not renewing:
        parts = app.drain._parts
        app = replace(app, drain=Drain(replace(parts, limits=replace(parts.limits, lease=timedelta(hours=1)))))
    assert isinstance(app.warehouse, SnowflakeWarehouse)
    with closing(app.warehouse):
        yield app


def _large(folder: Path, files: int, rows: int) -> tuple[Path, ...]:
    """Write files of so many deliveries each, named as changesets are."""
    named = [
        (
            f"deliveries_v4_{data.WORKSPACE}_{data.SEQUENCE + 1_000_000 + 1_000 * number}.parquet",
            data.deliveries(rows * number, rows * (number + 1)),
        )
        for number in range(files)
    ]
    data.write(named, folder, stamp=f"{files} {rows}")
    return tuple(folder / name for name, _ in named)


def _through(connection_string: str, port: int, instead: int) -> str:
    return connection_string.replace(
        f"BlobEndpoint=http://127.0.0.1:{port}/", f"BlobEndpoint=http://127.0.0.1:{instead}/"
    )


def transcript_of(server: StandIn) -> list[dict[str, Any]]:
    """Return what the server was told so far."""
    return [json.loads(line) for line in server.transcript.read_text(encoding="utf-8").splitlines()]
