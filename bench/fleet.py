"""Several instances at once over one container: what events in any order cost, where the leases meet, what the rows are.

The events are Event Grid's as far as it promises anything: each at least once, a tenth of them twice, in random order, to
instances at random. The server is the tests' stand-in, as in `bench.snowflake`: counts are the app's, seconds the machine's.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

import pyarrow as pa

from bench import container
from bench.batches import transcript_of
from bench.ours import ROOT
from bench.results import Grid
from bench.stage import Stage
from ingest.settings import Settings
from local.simulator import ExportFile, Simulator
from tests.stand_in import StandIn, running
from tests.verdict import assert_tables_equal
from tests.warehouse_legs import SnowflakeTables, spelt_out

INSTANCES = (1, 2, 4)
WORKSPACES = (1, 4, 16)
DATASETS = ("deliveries", "metrics")
"""A workspace exports these two: two streams each."""
CHANGESETS = 8
"""So many follow the initial sync: nine files of a stream, or a few less."""
TWICE = 0.1
WAITING = 24
"""Events wait in a pool of this size, from which they leave at random."""
HEADINGS = (
    "workspaces",
    "instances",
    "files",
    "events",
    "loaded",
    "held",
    "nothing new",
    "batches",
    "files a batch",
    "statements a file",
    "seconds",
    "to commit p50",
    "p95",
    "peak MB",
)


@dataclass(frozen=True, slots=True)
class Played:
    """What a case came to. `waits` are seconds from a file's upload to its commit."""

    events: int
    calls: Sequence[Mapping[str, Any]]
    waits: Sequence[float]
    batches: int
    statements: int
    seconds: float
    peak_mb: float


def measure(stage: Stage) -> Grid:
    """Play every case. Raises AssertionError where the rows are not the simulator's truth."""
    rows = []
    with running(stage.azurite, stage.work) as server:
        for workspaces in WORKSPACES[: 2 if stage.tenth else None]:
            simulators = [_simulator(number) for number in range(workspaces)]
            files = exported(simulators)
            for instances in INSTANCES:
                played = _played(stage, server, f"fleet-{workspaces}-{instances}", instances, files, simulators)
                rows.append(_row(workspaces, instances, len(files), played))
                stage.say(" | ".join(rows[-1]))
    return Grid(HEADINGS, tuple(rows))


def _simulator(number: int) -> Simulator:
    return Simulator(
        seed=number + 1,
        workspace_id=111_500 + number,
        people=100,
        start=datetime(2026, 11, 2, 9, tzinfo=UTC),
        history_days=1,
        deliveries_per_day=1_000,
    )


def exported(simulators: Sequence[Simulator]) -> list[ExportFile]:
    """Let all workspaces export at the same times; return the files in the order of writing."""
    exports = [simulator.run(1) for simulator in simulators]
    syncs = [next(export) for _ in range(1 + CHANGESETS) for export in exports]
    return [file for sync in syncs for file in sync.files if file.dataset in DATASETS]


def _played(
    stage: Stage,
    server: StandIn,
    name: str,
    instances: int,
    files: Sequence[ExportFile],
    simulators: Sequence[Simulator],
) -> Played:
    blobs = container.create(stage.azurite, name)
    settings = server.settings(name, DATASETS=",".join(DATASETS))
    server.prepare(settings)
    written: dict[str, float] = {}
    rng = random.Random(name)
    with _fleet(settings, instances) as fleet:
        before, started, events = len(transcript_of(server)), time.time(), 0

        def upload(file: ExportFile) -> None:
            blobs.upload_blob(file.name, file.content())
            written[file.name] = time.time()

        for event in delivered(files, rng, upload):
            _tell(rng.choice(fleet), event)
            events += 1
        answers = [json.loads(process.communicate()[0]) for process in fleet]
    statements = len(transcript_of(server)) - before
    calls = [call for answer in answers for call in answer["calls"]]
    commits = {batch: moment for answer in answers for batch, moment in answer["commits"].items()}
    batch_of = _verified(server, settings, files, simulators)
    assert sum(call["files"] for call in calls) == len(files), "every file was committed once"
    blobs.delete_container()
    return Played(
        events=events,
        calls=calls,
        waits=[commits[batch] - written[name] for name, batch in batch_of.items()],
        batches=len(commits),
        statements=statements,
        seconds=max(call["end"] for call in calls) - started,
        peak_mb=max(answer["peak_mb"] for answer in answers),
    )


def _verified(
    server: StandIn, settings: Settings, files: Sequence[ExportFile], simulators: Sequence[Simulator]
) -> dict[str, str]:
    """Hold checkpoint and tables against what was exported; return each file's batch."""
    with closing(SnowflakeTables(server, settings)) as tables:
        records = tables.rows("ingest_files", "blob_name, status, batch_id")
        found = sorted((record["blob_name"], record["status"]) for record in records)
        assert found == sorted((file.name, "loaded") for file in files)
        assert_tables_equal(tables, _truth(simulators))
    return {record["blob_name"]: record["batch_id"] for record in records}


def delivered(files: Sequence[ExportFile], rng: random.Random, upload: Callable[[ExportFile], None]) -> Iterator[str]:
    """Upload file after file; give each one's event at least once, some time later, in no order."""
    pool: list[str] = []
    for file in files:
        upload(file)
        pool += [file.name] * (2 if rng.random() < TWICE else 1)
        while len(pool) > WAITING:
            yield pool.pop(rng.randrange(len(pool)))
    rng.shuffle(pool)
    yield from pool


@contextmanager
def _fleet(settings: Settings, instances: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start so many instances and wait until they are in; none outlives the context."""
    fleet = [_started(settings) for _ in range(instances)]
    try:
        for process in fleet:
            assert process.stdout is not None
            if process.stdout.readline() != "in\n":
                raise RuntimeError("an instance did not start")
        yield fleet
    finally:
        for process in fleet:
            process.kill()
            process.wait()


def _started(settings: Settings) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.instance"],
        cwd=ROOT,
        env={**os.environ, **spelt_out(settings), "DATASETS": ",".join(DATASETS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def _tell(process: subprocess.Popen[str], blob_name: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{blob_name}\n")


def _truth(simulators: Sequence[Simulator]) -> dict[str, pa.Table]:
    """Put the workspaces' tables one after another; their keys begin with the workspace."""
    truths = [simulator.truth() for simulator in simulators]
    return {dataset: pa.concat_tables([truth[dataset] for truth in truths]) for dataset in DATASETS}


def _row(workspaces: int, instances: int, files: int, played: Played) -> tuple[str, ...]:
    loaded = sum(call["files"] > 0 for call in played.calls)
    held = sum(call["held"] and not call["files"] for call in played.calls)
    return (
        f"{workspaces}",
        f"{instances}",
        f"{files}",
        f"{played.events}",
        f"{loaded}",
        f"{held}",
        f"{len(played.calls) - loaded - held}",
        f"{played.batches}",
        f"{files / played.batches:.1f}",
        f"{played.statements / files:.1f}",
        f"{played.seconds:.1f}",
        f"{median(played.waits):.1f} s",
        f"{quantiles(played.waits, n=20, method='inclusive')[18]:.1f} s",
        f"{played.peak_mb:,.0f}",
    )
