"""Prove that a worker killed at any moment leaves nothing half done: 50 times `kill -9`, then the truth."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local import customerio
from local.azurite import ROOT, Azurite
from local.simulator import ExportFile, Misbehaviour, Simulator
from tests.verdict import assert_checkpoint_equals, assert_tables_equal, query

ROUNDS = 50
# Start-up is most of a short drain: everything is imported before the word is given, so that kills land in the work.
WAITS = """
import sys
from ingest.__main__ import main
sys.argv = ["ingest", "drain"]
print("ready", flush=True)
sys.stdin.readline()
main()
"""


def spawn(environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    """Start a process that drains when it is told to."""
    environment = {**environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", WAITS],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.timeout(180)
def test_fifty_kills_lose_nothing_and_load_nothing_twice(
    azurite: Azurite, container: str, tmp_path: Path, scrubbed: dict[str, str]
) -> None:
    misbehaviour = frozenset({Misbehaviour.LATE, Misbehaviour.TWICE, Misbehaviour.REWRITTEN, Misbehaviour.OUT_OF_ORDER})
    simulator = Simulator(seed=50, people=30, history_days=2, deliveries_per_day=60, misbehaviour=misbehaviour)
    syncs = [sync.files for sync in simulator.run(3)]
    path = tmp_path / "warehouse.duckdb"
    environment = {
        **scrubbed,
        "EXPORT_STORAGE": azurite.connection_string,
        "EXPORT_CONTAINER": container,
        "DUCKDB_PATH": str(path),
        "BATCH_MAX_FILES": "4",
    }
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    written: list[tuple[ExportFile, str]] = []

    def arrive(files: tuple[ExportFile, ...]) -> None:
        written.extend((file, exporter.write(file.name, file.content())) for file in files)

    dice = random.Random(9)
    arrive(syncs[0])
    whole = 1.0
    caught: set[str | None] = set()
    mid_work = 0
    process = spawn(environment, tmp_path)
    try:
        for number in range(ROUNDS):
            arrive(syncs[1 + number % (len(syncs) - 1)] if number < len(syncs) - 1 else syncs[-1])
            after, process_now = spawn(environment, tmp_path), process
            process = after
            go(process_now)
            started = time.monotonic()
            try:
                process_now.wait(dice.uniform(0, whole))
                whole = 0.8 * whole + 0.2 * (time.monotonic() - started)
            except subprocess.TimeoutExpired:
                pass
            end(process_now)
            if path.exists():
                held = query(path, "SELECT dataset FROM customerio.ingest_streams WHERE lease_owner IS NOT NULL")
                mid_work += bool(held)
                caught |= {row["dataset"] for row in held}
        for sync in syncs[ROUNDS + 1 :]:
            arrive(sync)
        done = subprocess.run(
            [sys.executable, "-m", "ingest", "drain"],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        end(process)
        exporter.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert mid_work >= 10, f"only {mid_work} of {ROUNDS} kills landed in the middle of the work"
    assert_tables_equal(path, simulator.truth())
    records = assert_checkpoint_equals(path, written)
    assert {record["status"] for record in records} <= {"loaded", "superseded"}
    print(
        f"{mid_work} of {ROUNDS} kills landed while a lease was held, in {len(caught)} datasets; a drain: {whole:.2f} s"
    )
