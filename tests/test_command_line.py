"""Prove what the command line answers, and with which exit status: against a real Azurite and a real DuckDB."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local import customerio
from local.azurite import ROOT, Azurite
from tests import factories
from tests.command_line import Answer, Run, exporter, path, run
from tests.stand_in import StandIn


def test_a_drain_loads_and_says_how_much(run: Run, exporter: customerio.Exporter) -> None:
    assert run("drain").status == 0
    exporter.write(factories.name(), factories.parquet("deliveries", [{"delivery_id": "a"}, {"delivery_id": "b"}]))
    done = run("drain")
    assert done.status == 0
    assert "1 files loaded" in done.text or "1 file loaded" in done.text
    assert "2 rows" in done.text


def test_a_rejected_file_needs_a_person_and_is_replayed_after_a_fix(run: Run, exporter: customerio.Exporter) -> None:
    name = factories.name()
    drifted = factories.parquet("deliveries", [{"Extra": "x"}], types={"Extra": factories.pa.string()})
    exporter.write(name, drifted)
    done = run("drain", DRIFT="reject")
    assert done.status == 1
    assert name in done.text
    assert "DRIFT=evolve" in done.text
    listed = run("rejected")
    assert listed.status == 0
    assert name in listed.text
    (record,) = json.loads(run("rejected", "--json").out)
    assert record["blob_name"] == name
    assert "'Extra'" in record["reason"]
    assert run("drain").status == 0, "what was rejected waits for a person"
    assert run("replay", DRIFT="reject").status == 1
    assert run("replay", "another.parquet").status == 1, "a name that is not among the rejected is a slip"
    assert json.loads(run("rejected", "--json").out)
    assert run("replay", name).status == 0
    assert json.loads(run("rejected", "--json").out) == []


def test_status_is_a_table_for_people_and_json_for_machines(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write("people_v4_7_5.parquet", factories.parquet("people", [{"workspace_id": 7}]))
    run("drain")
    shown = run("status")
    assert shown.status == 0
    assert "people" in shown.text
    answer = json.loads(run("status", "--json").out)
    assert [(each["dataset"], each["loaded"], each["last_sequence"]) for each in answer["streams"]] == [
        ("people", 1, 5)
    ]


def test_a_sweep_does_what_the_timer_does(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write("what is this.txt", b"x")
    assert run("sweep").status == 1
    assert run("sweep").status == 0


def test_no_answer_shows_a_secret(run: Run, azurite: Azurite, exporter: customerio.Exporter) -> None:
    exporter.write(factories.name(), b"broken")
    for words in (["drain"], ["status"], ["rejected"], ["doctor"]):
        assert "AccountKey" not in run(*words).text


# Settings and usage: exit status 2


def test_wrong_settings_are_told_in_a_sentence(run: Run) -> None:
    done = run("drain", DRIFT="perhaps")
    assert done.status == 2
    assert "DRIFT" in done.text
    assert "Example: DRIFT=evolve" in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    "words", [["dance"], ["drain", "--fast"], ["rejected", "0"], ["rejected", "--limit", "x"], ["inspect"]]
)
def test_wrong_usage_is_status_2(run: Run, words: list[str]) -> None:
    assert run(*words).status == 2


@pytest.mark.parametrize("command", ["drain", "sweep", "status", "rejected", "inspect", "replay", "doctor"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert "Usage" in done.text


# The doctor


def findings(answer: Answer) -> dict[str, str]:
    return {line.split(":")[0].split()[-1]: line for line in answer.out.splitlines() if ":" in line}


def test_the_doctor_finds_nothing_where_all_is_well(run: Run) -> None:
    done = run("doctor")
    assert done.status == 0
    assert "missing" not in done.text
    for subject in ("settings", "container", "warehouse"):
        assert subject in done.text


@pytest.mark.parametrize(
    ("environment", "what", "mend"),
    [
        ({"EXPORT_CONTAINER": "not-there"}, "'not-there' does not exist", "EXPORT_CONTAINER"),
        ({"DUCKDB_PATH": "/proc/no/such/place.duckdb"}, "/proc/no/such/place.duckdb", ""),
    ],
    ids=["container", "warehouse"],
)
def test_the_doctor_says_what_is_missing_and_how_to_mend_it(
    run: Run, environment: dict[str, str], what: str, mend: str
) -> None:
    done = run("doctor", **environment)
    assert done.status == 1
    assert what in done.text
    assert mend in done.text
    assert "Traceback" not in done.text


def test_the_doctor_names_a_missing_setting(run: Run) -> None:
    done = run("doctor", EXPORT_STORAGE="")
    assert done.status == 2
    assert "EXPORT_STORAGE" in done.text
    assert "Example" in done.text


def test_the_doctor_finds_a_wrong_key(run: Run, azurite: Azurite) -> None:
    wrong = azurite.connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
    done = run("doctor", EXPORT_STORAGE=wrong)
    assert done.status == 1
    assert "Storage Blob Data Contributor" in done.text
    assert "AccountKey" not in done.text


def test_the_doctor_finds_a_file_that_is_no_database(run: Run, path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    done = run("doctor")
    assert done.status == 1
    assert "cannot be opened as a DuckDB database" in done.text


def test_a_container_that_is_not_there_is_status_1(run: Run) -> None:
    done = run("drain", EXPORT_CONTAINER="not-there")
    assert done.status == 1
    assert "does not exist" in done.text


# The real thing


def test_python_m_ingest_is_the_command_line(scrubbed: dict[str, str], tmp_path: Path) -> None:
    environment = {**scrubbed, "PYTHONPATH": str(ROOT)}
    done: Any = subprocess.run(
        [sys.executable, "-m", "ingest", "drain"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "EXPORT_STORAGE" in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


# Over Snowflake


@pytest.fixture
def in_snowflake(stand_in: StandIn, container: str) -> dict[str, str]:
    """Give the environment of an app over the stand-in, its schema and stage made."""
    settings = stand_in.settings(container)
    stand_in.prepare(settings)
    assert settings.snowflake_host is not None
    return {
        "WAREHOUSE": "snowflake",
        "SNOWFLAKE_ACCOUNT": "fakesnow",
        "SNOWFLAKE_HOST": settings.snowflake_host,
        "SNOWFLAKE_DATABASE": settings.snowflake_database,
        "SNOWFLAKE_SIGN_IN": "oauth",
        "SNOWFLAKE_TOKEN": "unchecked",
    }


def test_the_commands_do_the_same_over_snowflake(
    run: Run, exporter: customerio.Exporter, in_snowflake: dict[str, str]
) -> None:
    exporter.write(factories.name(sequence=1), factories.parquet("deliveries", [{}, {"delivery_id": "b"}]))
    exporter.write(factories.name("people", sequence=1), factories.parquet("people", drop=("updated_at",)))
    drained = run("drain", **in_snowflake)
    assert drained.status == 1
    assert "1 rejected" in drained.text
    (stream,) = [
        stream
        for stream in json.loads(run("status", "--json", **in_snowflake).out)["streams"]
        if stream["dataset"] == "deliveries"
    ]
    assert (stream["loaded"], stream["pending"]) == (1, 0)
    assert "updated_at" in run("rejected", **in_snowflake).text
    exporter.write(factories.name("people", sequence=1), factories.parquet("people"))
    assert run("sweep", **in_snowflake).status == 0
    assert run("drain", **in_snowflake).status == 0


def test_doctor_looks_at_the_account(run: Run, in_snowflake: dict[str, str], stand_in: StandIn, container: str) -> None:
    stand_in.integrate(stand_in.settings(container))
    fine = run("doctor", **in_snowflake)
    assert fine.status == 0, fine.text
    assert "Snowflake stage" in fine.text
    elsewhere = run("doctor", **in_snowflake, SNOWFLAKE_STAGE="elsewhere", SNOWFLAKE_INTEGRATION="mine")
    assert elsewhere.status == 1
    assert "CREATE STAGE" in elsewhere.text
    assert "customerio.elsewhere" in elsewhere.text


def test_doctor_prints_the_set_up_with_the_users_names(run: Run) -> None:
    names = {"WAREHOUSE": "snowflake", "SNOWFLAKE_DATABASE": "marketing", "SNOWFLAKE_ROLE": "loader"}
    printed = run("doctor", "--print-sql", **names)
    assert printed.status == 0
    assert "CREATE DATABASE IF NOT EXISTS marketing;" in printed.out
    assert "GRANT USAGE ON DATABASE marketing TO ROLE loader;" in printed.out
    masked = run("doctor", "--print-pii-sql", **names)
    assert masked.status == 0
    assert "MASKING POLICY" in masked.out


def test_duckdb_needs_no_set_up(run: Run) -> None:
    assert run("doctor", "--print-sql").status == 2


def test_snowflake_without_an_account_is_a_wrong_setting(run: Run) -> None:
    answer = run("drain", WAREHOUSE="snowflake")
    assert answer.status == 2
    assert "SNOWFLAKE_ACCOUNT" in answer.text


# Deleting, and Customer.io's access


def test_a_dry_run_says_what_would_go_and_deletes_nothing(
    run: Run, exporter: customerio.Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = factories.name(sequence=1)
    exporter.write(name, factories.parquet("deliveries"))
    assert run("drain").status == 0
    assert "0 blobs would be deleted" in run("sweep", "--dry-run").text
    monkeypatch.setattr("ingest.clock.SystemClock.now", lambda self: datetime.now(UTC) + timedelta(days=4))
    would = run("sweep", "--dry-run")
    assert name in would.text
    assert "1 blobs would be deleted" in would.text
    assert "0 blobs would be deleted" in run("sweep", "--dry-run", DELETE_AFTER_HOURS="0").text, "0 keeps all"
    assert "1 blobs would be deleted" in run("sweep", "--dry-run").text
    assert run("sweep").status == 0
    assert "0 blobs would be deleted" in run("sweep", "--dry-run").text
    assert [row["loaded"] for row in json.loads(run("status", "--json").out)["streams"]] == [1]


def test_sas_prints_a_url_that_works_and_doctor_tries_it(
    run: Run, container: str, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = run("sas", "--region", "eu", "--days", "30")
    assert printed.status == 0
    url = printed.out.strip()
    assert url.startswith(azurite.blob_url)
    assert "sig=" in url
    assert "sig=" not in printed.err
    free = run("sas").out.strip()
    writer = customerio.Exporter(free)
    writer.write("notes.txt", b"x")
    writer.close()
    monkeypatch.setattr("sys.stdin", io.StringIO(free + "\n"))
    tried = run("doctor", "--url")
    assert tried.status == 0, tried.text
    assert "Customer.io" in tried.text
    assert "sig=" not in tried.text
    customerio.revoke(azurite.connection_string, container)
    monkeypatch.setattr("sys.stdin", io.StringIO(free + "\n"))
    refused = run("doctor", "--url")
    assert refused.status == 1
    assert "python -m ingest sas" in refused.text
    assert "sig=" not in refused.text
