"""Prove that workers do not step on one another: two processes of four threads drain while files still arrive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local import customerio
from local.azurite import ROOT, Azurite
from local.simulator import ExportFile, Misbehaviour, Simulator
from tests.verdict import assert_checkpoint_equals, assert_tables_equal
from tests.warehouse_legs import LEGS, ProcessLeg, process_leg

# Each thread is a worker with an app of its own. They go on until the parent closes stdin, and then once to the end.
DRAINS = """
import json, os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from ingest.outcomes import BatchLoaded
from ingest.settings import read_settings
from ingest.wiring import build
over = threading.Event()
def work(number):
    loaded = []
    app = build(read_settings(os.environ), lambda outcome: loaded.append(outcome) if isinstance(outcome, BatchLoaded) else None)
    last = False
    while not last:
        last = over.is_set()
        app.drain_until_settled()
    return [(batch.files, batch.read, batch.applied, len(batch.late)) for batch in loaded]
with ThreadPoolExecutor(4) as pool:
    threads = [pool.submit(work, number) for number in range(4)]
    print("in", flush=True)
    sys.stdin.read()
    over.set()
    print(json.dumps([thread.result() for thread in threads]), flush=True)
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", LEGS)
def test_two_processes_and_eight_threads_drain_one_container(
    name: str, request: pytest.FixtureRequest, azurite: Azurite, container: str, tmp_path: Path
) -> None:
    with process_leg(name, request) as leg:
        drain_together(leg, azurite, container, tmp_path)


def drain_together(leg: ProcessLeg, azurite: Azurite, container: str, tmp_path: Path) -> None:
    simulator = Simulator(
        seed=8, people=40, history_days=2, deliveries_per_day=80, misbehaviour=frozenset(Misbehaviour)
    )
    environment = {**leg.environment, "BATCH_MAX_FILES": "3", "PYTHONPATH": str(ROOT)}
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    written: list[tuple[ExportFile, str]] = []
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", DRAINS],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "in\n"
        for sync in simulator.run(1):
            written.extend((file, exporter.write(file.name, file.content())) for file in sync.files)
        answers = [worker.communicate() for worker in workers]
    finally:
        exporter.close()
        for worker in workers:
            worker.kill()
            worker.wait()
    for worker, (_, errors) in zip(workers, answers, strict=True):
        assert worker.returncode == 0, errors
    assert_tables_equal(leg.tables, simulator.truth())
    records = assert_checkpoint_equals(leg.tables, written)
    by_thread = [batches for told, _ in answers for batches in json.loads(told)]
    told = [tuple(batch) for batches in by_thread for batch in batches]
    loaded = [record for record in records if record["status"] == "loaded"]
    assert sum(batch[0] for batch in told) == len(loaded), "every file was committed once"
    assert sum(batch[1] for batch in told) == sum(record["rows_read"] for record in loaded)
    assert sum(batch[2] for batch in told) == sum(record["rows_applied"] for record in loaded)
    assert sum(batch[3] for batch in told) == sum(record["late"] for record in loaded)
    assert "pending" not in {record["status"] for record in records}
    assert sum(bool(batches) for batches in by_thread) >= 4, "the work was shared"
