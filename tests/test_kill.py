"""Prove that a worker killed at any moment leaves nothing half done: many times `kill -9`, then the truth."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import customerio
from local.azurite import ROOT, Azurite
from local.simulator import ExportFile, Misbehaviour, Simulator
from tests.factories import TERM
from tests.verdict import assert_checkpoint_equals, assert_tables_equal
from tests.warehouse_legs import LEGS, ProcessLeg, process_leg

LEASE = TERM.total_seconds()


@dataclass(frozen=True)
class Kills:
    """How many kills, how many of them at least in the middle of the work, over how many days of exports.

    `drain` is a first guess at the seconds that a drain takes.
    """

    rounds: int
    at_least: int
    days: int
    drain: float


KILLS = {"duckdb": Kills(50, 10, 3, 1.0), "snowflake": Kills(14, 4, 1, 3.0)}
# Start-up is most of a short drain: everything is imported before the word is given, so that kills land in the work.
WAITS = """
import importlib, sys
if sys.argv[1]:
    importlib.import_module(sys.argv[1])
from ingest.__main__ import main
sys.argv = ["ingest", "drain"]
print("ready", flush=True)
sys.stdin.readline()
main()
"""


def spawn(environment: dict[str, str], folder: Path, imports: str) -> subprocess.Popen[str]:
    """Start a process that drains when it is told to."""
    environment = {**environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", WAITS, imports],
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
@pytest.mark.parametrize("name", LEGS)
def test_kills_lose_nothing_and_load_nothing_twice(
    name: str, request: pytest.FixtureRequest, azurite: Azurite, container: str, tmp_path: Path
) -> None:
    with process_leg(name, request) as leg:
        kill_often(leg, KILLS[name], azurite, container, tmp_path)


def kill_often(leg: ProcessLeg, kills: Kills, azurite: Azurite, container: str, tmp_path: Path) -> None:
    rounds = kills.rounds
    misbehaviour = frozenset({Misbehaviour.LATE, Misbehaviour.TWICE, Misbehaviour.REWRITTEN, Misbehaviour.OUT_OF_ORDER})
    simulator = Simulator(seed=50, people=30, history_days=2, deliveries_per_day=60, misbehaviour=misbehaviour)
    syncs = [sync.files for sync in simulator.run(kills.days)]
    environment = {**leg.environment, "BATCH_MAX_FILES": "4"}
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    written: list[tuple[ExportFile, str]] = []

    def arrive(files: tuple[ExportFile, ...]) -> None:
        written.extend((file, exporter.write(file.name, file.content())) for file in files)

    dice = random.Random(9)
    arrive(syncs[0])
    whole = kills.drain
    caught: set[str | None] = set()
    mid_work = 0
    process = spawn(environment, tmp_path, leg.imports)
    try:
        for number in range(rounds):
            arrive(syncs[1 + number % (len(syncs) - 1)] if number < len(syncs) - 1 else syncs[-1])
            after, process_now = spawn(environment, tmp_path, leg.imports), process
            process = after
            go(process_now)
            started = time.monotonic()
            try:
                process_now.wait(dice.uniform(0, whole))
                whole = 0.8 * whole + 0.2 * (time.monotonic() - started)
            except subprocess.TimeoutExpired:
                pass
            end(process_now)
            held = [row for row in leg.tables.rows("ingest_streams", "dataset, lease_owner") if row["lease_owner"]]
            mid_work += bool(held)
            caught |= {row["dataset"] for row in held}
        for sync in syncs[rounds + 1 :]:
            arrive(sync)
        started = time.monotonic()
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
    assert time.monotonic() - started < LEASE, "the leases of the dead are taken at once"
    assert mid_work >= kills.at_least, f"only {mid_work} of {rounds} kills landed in the middle of the work"
    assert_tables_equal(leg.tables, simulator.truth())
    records = assert_checkpoint_equals(leg.tables, written)
    assert {record["status"] for record in records} <= {"loaded", "superseded"}
    print(
        f"{mid_work} of {rounds} kills landed while a lease was held, in {len(caught)} datasets; a drain: {whole:.2f} s"
    )
