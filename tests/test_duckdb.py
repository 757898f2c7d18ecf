"""Hold the DuckDB adapter to the warehouse contract, and prove what is its own: the file, its holders, its leases."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.arrivals import Held, Lease
from ingest.errors import BatchRefused, FileUnreadable, WarehouseBusy, WarehouseUnavailable
from ingest.naming import Stream
from ingest.warehouses.duckdb import search
from ingest.warehouses.duckdb import warehouse as adapter
from ingest.warehouses.duckdb.file import database_file
from ingest.warehouses.owners import owner_of_this_process
from local.azurite import ROOT
from tests import factories
from tests.duckdb_bench import DuckDBBench
from tests.factories import START, TERM
from tests.loading_contract import NewestContract
from tests.warehouse_bench import Loader, claimed, of
from tests.warehouse_contract import WarehouseContract
from tests.world import MEMORY

BIRTHS = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), *[START.replace(tzinfo=None)] * 4] + [
    START.replace(tzinfo=None) - timedelta(days=days, microseconds=days) for days in range(20)
]
"""Instants at which rows are born: two as far away as can be, many the same."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckDBBench]:
    path = tmp_path / "warehouse.duckdb"
    yield DuckDBBench(path, monkeypatch)
    database_file(path, memory_limit=MEMORY).close()


class TestDuckDB(WarehouseContract):
    """The contract, on small tables: the batch's keys are looked for in the whole of them."""

    def test_values_outside_the_stated_bounds_are_refused(self, loader: Loader, bench: Bench) -> None:
        """Pages may be damaged so that they still decode; half of that shows against the footer's own statistics."""
        content = factories.with_other_value(of("deliveries", {"subject_id": "aaaa"}), b"aaaa", b"zzzz")
        with pytest.raises(FileUnreadable, match="bounds"):
            loader.load(loader.arrives(content))
        assert bench.rows("deliveries") == []

    def test_column_chunks_without_a_readable_name_are_the_files_fault(self, loader: Loader) -> None:
        """As trouble of the surroundings it would be tried for ever, and hold up all files behind it."""
        content = of("deliveries", {})
        chunk = content.rindex(b"\nsubject_id") + 1
        with pytest.raises(FileUnreadable, match="what its footer says of its columns"):
            loader.load(loader.arrives(content[:chunk] + b"\xff" + content[chunk + 1 :]))


class TestDuckDBWithLargeTables(NewestContract):
    """The contract, as tables of millions of rows are searched: by what the process remembers of their keys."""

    @pytest.fixture(autouse=True, params=[20_000, 0], ids=["few born together", "many born together"])
    def every_table_is_large(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adapter, "LARGE_TABLE", 0)
        monkeypatch.setattr(adapter, "SMALL_BATCH", float("inf"))
        monkeypatch.setattr(search, "_HANDED_DOWN", request.param)

    def test_what_another_process_loaded_is_not_taken_for_new(self, bench: DuckDBBench, tmp_path: Path) -> None:
        """Let one remember the table's keys, another add one, and the first load a newer row of it."""
        bench.warehouse.prepare()
        loader = Loader(bench, tmp_path)
        for sequence in (1, 2, 3):
            loader.load(loader.arrives(of("deliveries", {"delivery_id": str(sequence)}), sequence))
        first, loader.warehouse = loader.warehouse, bench.other()
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "other's", "seq_num": 1}), 4))
        loader.warehouse = first
        loader.load(loader.arrives(of("deliveries", {"delivery_id": "other's", "seq_num": 2}), 5))
        found = [(row["delivery_id"], row["seq_num"]) for row in bench.rows("deliveries", "delivery_id")]
        assert found == [("1", 1), ("2", 1), ("3", 1), ("other's", 2)]

    @pytest.mark.parametrize("seed", range(8))
    def test_rows_are_found_whenever_they_were_born(self, loader: Loader, bench: Bench, seed: int) -> None:
        """Let files bring keys again, with the instant of birth they had or with another one."""
        chance = random.Random(seed)
        newest: dict[str, tuple[int, datetime]] = {}
        for sequence in range(1, 13):
            keys = chance.sample(range(60), 25)
            rows = []
            for position, key in enumerate(f"d{number}" for number in keys):
                seq_num = chance.choice([sequence, sequence - 3]) * 100 + position
                moved = key not in newest or chance.random() < 0.2
                born = chance.choice(BIRTHS) if moved else newest[key][1]
                rows.append({"delivery_id": key, "seq_num": seq_num, "created_at": born})
                if key not in newest or seq_num >= newest[key][0]:
                    newest[key] = seq_num, born
            loader.load(loader.arrives(of("deliveries", *rows), sequence))
        found = {row["delivery_id"]: (row["seq_num"], row["created_at"]) for row in bench.rows("deliveries")}
        assert found == newest
        assert len(bench.rows("deliveries")) == len(newest)


# The surroundings' faults are no file's


def test_running_out_of_memory_is_no_rejection(bench: DuckDBBench, tmp_path: Path) -> None:
    bench.warehouse.prepare()
    loader = Loader(bench, tmp_path)
    file = loader.arrives(of("deliveries", {}))

    def out_of_memory() -> None:
        raise duckdb.OutOfMemoryException("out of memory")

    with bench.before_commit(out_of_memory), pytest.raises(BatchRefused, match="memory"):
        loader.load(file)
    assert loader.load(file) == [(1, 1)]


@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException('IO Error: Could not write all bytes to file "x": No space left on device'),
        duckdb.IOException("IO Error: Could not write file: Disk quota exceeded"),
        duckdb.InterruptException("INTERRUPT Error: Interrupted!"),
    ],
)
def test_a_full_disk_is_no_rejection(bench: DuckDBBench, tmp_path: Path, error: duckdb.Error) -> None:
    bench.warehouse.prepare()
    loader = Loader(bench, tmp_path)
    file = loader.arrives(of("deliveries", {}))

    def fail() -> None:
        raise error

    with bench.before_commit(fail), pytest.raises(WarehouseUnavailable):
        loader.load(file)
    assert loader.load(file) == [(1, 1)]


FILLS_THE_DISK = """
import random, resource, signal, sys
from pathlib import Path
import pytest
from tests.duckdb_bench import DuckDBBench
from tests.warehouse_bench import Loader, of
bench = DuckDBBench(Path(sys.argv[1]) / "warehouse.duckdb", pytest.MonkeyPatch())
bench.warehouse.prepare()
folder = Path(sys.argv[1])
loader = Loader(bench, folder)
rows = [{"delivery_id": f"{n}-{random.randbytes(100).hex()}"} for n in range(int(sys.argv[2]))]
files = [loader.arrives(of("deliveries", *rows, compression="zstd"), number) for number in (1, 2)]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    loader.load(*files[:1])
    print("loaded")
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("rows", "limit"), [(60_000, 2_000_000), (8_000, 600_000)], ids=["while rows are written", "at the commit"]
)
def test_a_disk_that_is_really_full_is_no_rejection(tmp_path: Path, rows: int, limit: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = python("-c", FILLS_THE_DISK, str(tmp_path), str(rows), str(limit))
    assert done.stdout.strip() == "WarehouseUnavailable", done.stdout + done.stderr


# The file

HOLDS_THE_FILE = """
import sys
from pathlib import Path
from ingest.warehouses.duckdb.file import database_file
with database_file(Path(sys.argv[1]), memory_limit="64MB").cursor(5):
    print("in", flush=True)
    sys.stdin.read()
"""


def python(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, **options)


@contextmanager
def another_process(script: str, *words: str, holding: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a script until the block ends; it says "in" when it is where it should be.

    With `holding`, that file is held until the process is seen to wait for it.
    """
    command = [sys.executable, "-c", script, *words]
    with ExitStack() as stack:
        if holding is not None:
            stack.enter_context(database_file(holding, memory_limit=MEMORY).cursor(5))
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
            while holding is not None and not holding.with_name(f"{holding.name}.waiting").exists():
                assert process.poll() is None
                threading.Event().wait(0.01)
            stack.close()
            yield process
        finally:
            process.kill()
            process.communicate()


def test_a_file_held_elsewhere_is_busy_and_the_holder_is_named(bench: DuckDBBench) -> None:
    with another_process(HOLDS_THE_FILE, str(bench.path)) as holder:
        with pytest.raises(WarehouseBusy, match=rf"PID {holder.pid}\b") as busy:
            bench.other(patience=0.1).prepare()
        assert str(bench.path) in str(busy.value)
        assert "close it there" in busy.value.hint
    bench.warehouse.prepare()


def test_status_is_readable_while_another_process_holds_the_file(bench: DuckDBBench, tmp_path: Path) -> None:
    bench.warehouse.prepare()
    loader = Loader(bench, tmp_path)
    loader.load(loader.arrives(of("deliveries", {})))
    bench.warehouse.release(loader.lease)
    database_file(bench.path, memory_limit=MEMORY).close()
    with another_process(HOLDS_THE_FILE, str(bench.path)) as holder:
        facts = bench.other().facts(START + timedelta(days=365))
        assert f"PID {holder.pid}" in str(facts.holder)
        assert facts.as_of < START + timedelta(days=365)
        assert [(stream.stream, stream.loaded) for stream in facts.streams] == [(loader.stream, 1)]


def test_status_of_a_held_file_nobody_wrote_down_is_busy(bench: DuckDBBench) -> None:
    with another_process(HOLDS_THE_FILE, str(bench.path)), pytest.raises(WarehouseBusy):
        bench.other().facts(START)


def test_a_file_that_is_no_database_is_named(bench: DuckDBBench) -> None:
    bench.path.write_text("this is no database" * 1000)
    with pytest.raises(WarehouseUnavailable, match="cannot be opened as a DuckDB database") as refused:
        bench.warehouse.prepare()
    assert str(bench.path) in str(refused.value)
    assert not isinstance(refused.value, WarehouseBusy)


def test_a_deleted_file_is_made_anew(bench: DuckDBBench) -> None:
    bench.warehouse.prepare()
    database_file(bench.path, memory_limit=MEMORY).close()
    for file in bench.path.parent.glob("warehouse.duckdb*"):
        file.unlink()
    bench.warehouse.prepare()
    assert bench.rows("ingest_files") == []


WAITS_FOR_THE_FILE = """
import sys
from pathlib import Path
from datetime import UTC, datetime, timedelta
from ingest.naming import Stream
from ingest.warehouses.duckdb import DuckDBWarehouse
print("in", flush=True)
warehouse = DuckDBWarehouse(Path(sys.argv[1]), "customerio", patience=60, memory_limit="64MB")
warehouse.claim(Stream(7, "people"), "the one who waited", datetime.now(UTC), timedelta(hours=1))
print("claimed", flush=True)
"""


def test_a_waiting_process_gets_in_between_the_loads_of_a_backlog(bench: DuckDBBench, tmp_path: Path) -> None:
    """Hold the file until the other one waits for it, then load without a pause: it must get its turn soon."""
    bench.warehouse.prepare()
    loader = Loader(bench, tmp_path)
    files = [loader.arrives(of("deliveries", {"delivery_id": str(number)}), number) for number in range(30)]
    with another_process(WAITS_FOR_THE_FILE, str(bench.path), holding=bench.path):
        for file in files:
            loader.load(file)
            if any(row["lease_owner"] == "the one who waited" for row in bench.rows("ingest_streams")):
                return
    pytest.fail("the waiting process never got in")


def test_threads_share_the_file(bench: DuckDBBench) -> None:
    bench.warehouse.prepare()
    start = threading.Barrier(8)

    def claim(number: int) -> Lease | Held:
        start.wait()
        return bench.other().claim(Stream(1, "people"), f"worker {number}", START, TERM)

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(claim, range(8)))
    assert sum(isinstance(claim, Lease) for claim in claims) == 1


# Leases of the dead


def test_a_dead_owner_delays_nobody(bench: DuckDBBench) -> None:
    bench.warehouse.prepare()
    script = (
        "from ingest.warehouses.owners import owner_of_this_process as me\nprint('in', flush=True)\n"
        "print(me(), flush=True)\nimport sys; sys.stdin.read()"
    )
    with another_process(script) as process:
        assert process.stdout is not None
        owner = process.stdout.readline().strip() + "/drain"
        lease = claimed(bench.warehouse, factories.stream(), owner)
        assert isinstance(bench.warehouse.claim(factories.stream(), "me", START, TERM), Held)
    successor = claimed(bench.warehouse, factories.stream(), "me")
    assert successor.generation == lease.generation + 1


def test_a_living_owner_keeps_its_lease_until_it_runs_out(bench: DuckDBBench) -> None:
    bench.warehouse.prepare()
    claimed(bench.warehouse, factories.stream(), f"{owner_of_this_process()}/drain")
    assert isinstance(bench.warehouse.claim(factories.stream(), "me", START + TERM / 2, TERM), Held)
    assert claimed(bench.warehouse, factories.stream(), "me", START + TERM)


def test_the_status_file_is_json_without_row_contents(bench: DuckDBBench, tmp_path: Path) -> None:
    bench.warehouse.prepare()
    loader = Loader(bench, tmp_path)
    loader.load(loader.arrives(of("deliveries", {"subject_id": "secret"})))
    bench.warehouse.release(loader.lease)
    text = bench.path.with_name("warehouse.duckdb.status.json").read_text()
    assert json.loads(text)["streams"][0]["loaded"] == 1
    assert "secret" not in text
    assert [path.name for path in bench.path.parent.glob("*.status.json.*")] == []
