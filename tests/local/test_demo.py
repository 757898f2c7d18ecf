"""Hold the demo to its word: a small one ends well, and a wrong table or a wrong file does not pass for right."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from local.demo import __main__ as demo
from local.demo.questions import QUESTIONS, Question
from local.demo.stage import Stage, StageTaken, setting
from local.demo.verdict import judge_files, judge_table
from local.simulator import Expected, Simulator

LOADED, REJECTED = Expected.LOADED, Expected.REJECTED
SECRETS = ("sig=", "AccountKey")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with setting(tmp_path / "demo") as found:
        yield found


@pytest.fixture
def simulator() -> Simulator:
    """Give a world small enough for a few seconds, with every mischief of the demo."""
    return Simulator(
        seed=7,
        people=60,
        start=datetime(2026, 11, 3, 9, tzinfo=UTC),
        history_days=2,
        deliveries_per_day=150,
        prefix="exports",
        misbehaviour=demo.MISBEHAVIOUR,
    )


@pytest.fixture
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a warehouse with one small table of two rows."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA customerio")
        connection.execute(
            "CREATE TABLE customerio.people (name VARCHAR, seen TIMESTAMP, _blob_name VARCHAR, _version BIGINT, "
            "_sequence BIGINT, _sequence_end BIGINT, _row_number BIGINT, _loaded_at TIMESTAMP)"
        )
        connection.execute("INSERT INTO customerio.people (name, seen) VALUES ('a', '2026-11-01'), ('b', NULL)")
        yield connection


def people(*names: str | None) -> pa.Table:
    """Give the truth about people: the first has an instant."""
    instants = [datetime(2026, 11, 1, tzinfo=UTC), *[None] * (len(names) - 1)]
    return pa.table({"name": names, "seen": pa.array(instants, pa.timestamp("us", tz="UTC"))})


def say(width: int = 80) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=width, highlight=False), written


def test_a_small_demo_ends_well_and_says_so_in_80_columns(stage: Stage, simulator: Simulator) -> None:
    console, written = say()
    assert demo.play(console, stage, simulator, days=0.12, seed=7)
    text = written.getvalue()
    assert text.count("equal, row by row") == 7
    assert "DIFFERENT" not in text
    assert "Everything is as it must be." in text
    for word in ("rejected", "late", "the timer brought", *(question.words for question in QUESTIONS)):
        assert word in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert not [secret for secret in SECRETS if secret in text]


def test_a_table_that_is_not_the_truth_fails_the_demo(
    stage: Stage, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = simulator.truth

    def another() -> dict[str, pa.Table]:
        tables = truth()
        return tables | {"metrics": tables["metrics"].slice(1)}

    monkeypatch.setattr(simulator, "truth", another)
    console, written = say()
    assert not demo.play(console, stage, simulator, days=0.05, seed=7)
    assert "DIFFERENT" in written.getvalue()
    assert "Everything is as it must be." not in written.getvalue()


@pytest.mark.parametrize(("right", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_tells_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool, status: int
) -> None:
    monkeypatch.setattr(demo, "setting", lambda **words: setting(tmp_path / "demo", **words))
    monkeypatch.setattr(demo, "play", lambda *_: right)
    app = typer.Typer()
    app.command()(demo.main)
    assert CliRunner().invoke(app, []).exit_code == status


def test_a_second_demo_in_the_same_folder_is_turned_away(stage: Stage) -> None:
    with pytest.raises(StageTaken, match="Another demo is running"), setting(stage.folder):
        pass


def test_each_demo_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "warehouse.duckdb").write_bytes(b"of yesterday")
    with setting(tmp_path / "demo") as stage:
        assert not stage.database.exists()


def test_the_settings_file_brings_the_settings_into_a_shell(stage: Stage) -> None:
    code = "import os; print(os.environ['EXPORT_STORAGE'])"
    words = ["sh", "-c", f'. {stage.environment_file}; exec {sys.executable} -c "{code}"']
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert found == stage.azurite.connection_string


def test_equal_tables(tables: duckdb.DuckDBPyConnection) -> None:
    verdict = judge_table(tables, "customerio", "people", people("a", "b"))
    assert verdict.equal
    assert (verdict.rows, verdict.expected) == (2, 2)


@pytest.mark.parametrize(
    ("truth", "missing", "unexpected", "columns"),
    [
        (people("a"), 0, 1, ()),
        (people("a", "b", "b"), 1, 0, ()),
        (people("a", "c"), 1, 1, ()),
        (people("a", None), 1, 1, ()),
        (people("a", "b").append_column("extra", pa.array([1, 2])), 0, 0, ("extra",)),
        (people("a", "b").drop_columns(["seen"]), 0, 0, ("seen",)),
    ],
    ids=["too many", "too few", "another value", "a null", "a column less", "a column more"],
)
def test_what_is_different_is_found(
    tables: duckdb.DuckDBPyConnection, truth: pa.Table, missing: int, unexpected: int, columns: tuple[str, ...]
) -> None:
    verdict = judge_table(tables, "customerio", "people", truth)
    assert (verdict.missing, verdict.unexpected, verdict.columns) == (missing, unexpected, columns)
    assert not verdict.equal


def test_a_table_that_is_not_there_is_different(tables: duckdb.DuckDBPyConnection) -> None:
    assert judge_table(tables, "customerio", "metrics", people("a")).missing == 1


@pytest.mark.parametrize(
    ("ledger", "written", "fault"),
    [
        ([("a", "1", "loaded")], {"a": [("1", LOADED)]}, None),
        ([("a", "1", "rejected")], {"a": [("1", REJECTED)]}, None),
        ([("a", "1", "superseded"), ("a", "2", "loaded")], {"a": [("1", LOADED), ("2", LOADED)]}, None),
        ([("a", "2", "loaded")], {"a": [("1", REJECTED), ("2", LOADED)]}, None),
        ([("a", "1", "rejected")], {"a": [("1", LOADED)]}, "is rejected, must be loaded"),
        ([("a", "1", "loaded")], {"a": [("1", REJECTED)]}, "is loaded, must be rejected"),
        ([], {"a": [("1", LOADED)]}, "is unknown, must be loaded"),
        ([("a", "1", "pending")], {"a": [("1", LOADED)]}, "is pending, must be loaded"),
        ([("a", "1", "loaded")] * 2, {"a": [("1", LOADED)]}, "is loaded and loaded, must be loaded"),
        ([("a", "1", "loaded"), ("b", "1", "loaded")], {"a": [("1", LOADED)]}, "b: is in the checkpoint"),
        ([("a", "1", "loaded")], {"a": [("1", LOADED), ("2", LOADED)]}, "is unknown, must be loaded"),
    ],
)
def test_what_became_of_files(
    tables: duckdb.DuckDBPyConnection,
    ledger: list[tuple[str, str, str]],
    written: dict[str, list[tuple[str, Expected]]],
    fault: str | None,
) -> None:
    tables.execute("CREATE TABLE customerio.ingest_files (blob_name VARCHAR, etag VARCHAR, status VARCHAR)")
    for row in ledger:
        tables.execute("INSERT INTO customerio.ingest_files VALUES (?, ?, ?)", row)
    faults = judge_files(tables, "customerio", written)
    assert len(faults) == (fault is not None)
    assert all(str(fault) in found for found in faults)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.words[:20])
def test_questions_fit_a_screen(question: Question) -> None:
    assert max(map(len, question.sql.splitlines())) <= 79
