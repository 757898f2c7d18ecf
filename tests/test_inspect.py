"""Prove what `inspect` shows of files of every kind: against a real Azurite and a real DuckDB, by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from azure.storage.blob import ContainerClient

from local import customerio
from local.azurite import Azurite
from tests import factories
from tests.command_line import Answer, Run, exporter, path, run
from tests.stand_in import StandIn
from tests.warehouse_legs import spelt_out

NAME = factories.name(sequence=3)
SECRET = "jane.doe@example.com"
HEALTHY = factories.parquet("deliveries", [{}, {"delivery_id": "b", "campaign_id": None}])

REJECTED = {
    "empty": (b"", "the file is empty (0 bytes)"),
    "cut short": (HEALTHY[: len(HEALTHY) // 2], "no parquet footer can be read"),
    "not parquet": (b"<?xml version='1.0'?><Error/>" * 9, "no parquet footer can be read"),
    "a footer of gigabytes": (HEALTHY[:-8] + b"\xff\xff\xff\x7fPAR1", "no parquet footer can be read"),
    "damaged pages": (factories.blotted(HEALTHY), "damaged behind its footer"),
    "values unlike the statistics": (
        factories.with_other_value(HEALTHY, b"some subject_id", b"some subject_ix"),
        "outside the bounds that the file's own footer states",
    ),
    "a required column is missing": (
        factories.parquet("deliveries", drop=("created_at",)),
        "column 'created_at': expected a required TIMESTAMP column, found no such column.",
    ),
    "another type": (
        factories.parquet("deliveries", [{"campaign_id": "7"}], types={"campaign_id": pa.string()}),
        "column 'campaign_id': expected INTEGER, found string.",
    ),
    "nulls in a required column": (
        factories.parquet("deliveries", [{"delivery_type": None}]),
        "column 'delivery_type': expected a required STRING without nulls, found 1 nulls.",
    ),
    "nulls without statistics": (
        factories.parquet("deliveries", [{"delivery_type": None}], write_statistics=False),
        "column 'delivery_type': expected a required STRING without nulls, found 1 nulls.",
    ),
    "a number too large": (
        factories.parquet("deliveries", [{"campaign_id": 2**64 - 1}], types={"campaign_id": pa.uint64()}),
        "column 'campaign_id': expected INTEGER, found",
    ),
    "a name of ours": (
        factories.parquet("deliveries", [{"_loaded_at": "x"}], types={"_loaded_at": pa.string()}),
        "column '_loaded_at': expected no column of this name",
    ),
    "a column twice": (
        factories.parquet("deliveries", [{"SEQ_NUM": 1}], types={"SEQ_NUM": pa.int64()}),
        "column 'SEQ_NUM': expected each column once",
    ),
}


def inspected(run: Run, *words: str, **environment: str) -> tuple[dict[str, Any], int]:
    answer = run("inspect", "--json", *words, **environment)
    assert answer.out, answer.err
    return json.loads(answer.out), answer.status


def standing(run: Run, *words: str, **environment: str) -> tuple[str, int]:
    found, status = inspected(run, *words, **environment)
    return found["outlook"]["standing"], status


def columns(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {column["name"]: column for column in found["columns"]}


def delete(azurite: Azurite, container: str, name: str) -> None:
    with ContainerClient.from_connection_string(azurite.connection_string, container) as client:
        client.delete_blob(name)


# A file that fits


def test_a_file_that_nobody_has_recorded_would_be_loaded(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, HEALTHY)
    shown = run("inspect", NAME)
    assert shown.status == 0, shown.text
    for words in (
        "deliveries of workspace 1, version 4, sequence 3",
        f"{len(HEALTHY):,} bytes, ETag 0x",
        "2 rows in 1 row groups",
        "UNCOMPRESSED, written by parquet-cpp-arrow",
        "delivery_id: STRING, required, key; string (BYTE_ARRAY UTF8), 0 nulls; fits",
        "seq_num: INTEGER, required, recency; int64 (INT64), 0 nulls; fits",
        "campaign_id: INTEGER; int64 (INT64), 1 nulls; fits",
        "0: 2 rows,",
        "nulls: campaign_id 1",
        "nothing is recorded of this name",
        "It would be loaded: 2 rows, with no file before it.",
        "python -m ingest drain",
    ):
        assert words in shown.text, words
    assert run("drain").status == 0


def test_looking_changes_nothing(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, HEALTHY)
    for _ in range(2):
        assert standing(run, NAME) == ("new", 0)
    assert json.loads(run("status", "--json").out)["streams"][0]["loaded"] == 0


def test_a_loaded_file_has_a_history_and_nothing_left_to_do(run: Run, exporter: customerio.Exporter) -> None:
    etag = exporter.write(NAME, HEALTHY).strip('"')
    run("drain")
    found, status = inspected(run, NAME)
    assert (found["outlook"]["standing"], found["outlook"]["command"], status) == ("loaded", None, 0)
    (past,) = found["history"]
    assert past["etag"] == found["blob"]["etag"] == etag
    assert (past["status"], past["rows_read"], past["rows_applied"], past["attempts"]) == ("loaded", 2, 2, 1)
    assert past["loaded_at"]
    assert past["batch_id"]
    assert "2 rows read, 2 applied" in run("inspect", NAME).text


def test_files_that_come_before_are_counted(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(factories.name(sequence=9), HEALTHY)
    run("drain")
    for sequence in (10, 11, 12):
        exporter.write(factories.name(sequence=sequence), HEALTHY)
    exporter.write(factories.name("people", sequence=1), factories.parquet("people"))
    text = inspected(run, factories.name(sequence=12))[0]["outlook"]["text"]
    assert "with 2 files before it" in text
    assert "late" not in text
    exporter.write(factories.name(sequence=8), HEALTHY)
    assert "It comes late" in inspected(run, factories.name(sequence=8))[0]["outlook"]["text"]


def test_every_part_of_a_name_is_shown(run: Run, exporter: customerio.Exporter) -> None:
    name = factories.name("people", 2**53 + 1, end=8, version=5, workspace=7, changes=True, folder="a/b/")
    exporter.write(name, factories.parquet("people"))
    found, _ = inspected(run, name)
    assert found["name"] == {
        "folder": "a/b/",
        "dataset": "people",
        "version": 5,
        "workspace_id": 7,
        "sequence": 2**53 + 1,
        "sequence_end": 8,
        "changes": True,
    }
    assert "people (_chngs_) of workspace 7, version 5, sequence 9007199254740993, second sequence 8, in a/b/" in (
        run("inspect", name).text
    )


def test_a_name_may_be_given_without_the_prefix(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(f"exports/cio/{NAME}", HEALTHY)
    for asked in (NAME, f"exports/cio/{NAME}"):
        found, status = inspected(run, asked, EXPORT_PREFIX="exports/cio/")
        assert (found["blob_name"], status) == (f"exports/cio/{NAME}", 0)
    assert run("inspect", NAME).status == 1, "without the prefix it is another name"


def test_a_dataset_that_nobody_wants_is_left_out(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, HEALTHY)
    assert standing(run, NAME, DATASETS="people") == ("left out", 0)
    run("drain")
    assert standing(run, NAME, DATASETS="people") == ("loaded", 0)


# Columns


def test_unknown_columns_would_be_added_and_then_are_there(run: Run, exporter: customerio.Exporter) -> None:
    types = {"score": pa.float32(), "deep": pa.struct([("a", pa.int64())]), "nothing": pa.null()}
    exporter.write(NAME, factories.parquet("deliveries", [{"score": 0.5}], types=types))
    before = columns(inspected(run, NAME)[0])
    assert {name: before[name]["verdict"] for name in types} == {"score": "added", "deep": "added", "nothing": "void"}
    assert (before["score"]["physical"], before["score"]["logical"], before["score"]["declared"]) == (
        "FLOAT",
        "float",
        False,
    )
    assert "score: not declared; float (FLOAT), 0 nulls; new: the table gets it" in run("inspect", NAME).text
    run("drain")
    after = columns(inspected(run, NAME)[0])
    assert (after["score"]["verdict"], after["score"]["kind"]) == ("fits", "NUMBER")
    exporter.write(factories.name(sequence=4), HEALTHY)
    without = columns(inspected(run, factories.name(sequence=4))[0])
    assert without["score"]["verdict"] == "missing"


def test_unknown_columns_are_rejected_where_drift_is(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, factories.parquet("deliveries", [{"score": 0.5}], types={"score": pa.float32()}))
    found, status = inspected(run, NAME, DRIFT="reject")
    assert status == 1
    assert columns(found)["score"]["verdict"] == "broken"
    assert "DRIFT=evolve" in found["outlook"]["text"]


def test_a_missing_nullable_column_becomes_nulls(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, factories.parquet("deliveries", drop=("campaign_id",)))
    found, status = inspected(run, NAME)
    assert (columns(found)["campaign_id"]["verdict"], status) == ("missing", 0)


def test_every_column_that_does_not_fit_is_shown_not_the_first_alone(run: Run, exporter: customerio.Exporter) -> None:
    wrong = {"action_id": pa.string()}
    exporter.write(NAME, factories.parquet("deliveries", [{"action_id": "x"}], types=wrong, drop=("seq_num",)))
    found, _ = inspected(run, NAME)
    assert [name for name, each in columns(found).items() if each["verdict"] == "broken"] == ["action_id", "seq_num"]


# Row groups


def test_a_file_without_statistics_says_so(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, factories.parquet("deliveries", write_statistics=False))
    shown = run("inspect", NAME)
    assert shown.status == 0
    assert "nulls not stated: workspace_id, delivery_id" in shown.text
    assert columns(inspected(run, NAME)[0])["campaign_id"]["nulls"] is None


def test_many_row_groups_are_summed_up(run: Run, exporter: customerio.Exporter) -> None:
    rows = [{"delivery_id": str(number), "campaign_id": None} for number in range(43)]
    exporter.write(NAME, factories.parquet("deliveries", rows, row_group_size=2))
    assert "22 of 1 to 2 rows, 43 rows and" in run("inspect", NAME).text
    found, _ = inspected(run, NAME)
    assert [group["rows"] for group in found["row_groups"]] == [2] * 21 + [1]
    assert columns(found)["campaign_id"]["nulls"] == 43


def test_a_file_without_rows_is_loaded_like_any_other(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, factories.parquet("deliveries", []))
    shown = run("inspect", NAME)
    assert shown.status == 0
    assert "would be loaded: 0 rows" in shown.text


def test_nothing_is_cut_at_80_columns(run: Run, exporter: customerio.Exporter) -> None:
    long = f"a {'very ' * 40}long name"
    exporter.write(NAME, factories.parquet("deliveries", [{long: 1}], types={long: pa.int64()}))
    shown = run("inspect", NAME, COLUMNS="80")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "…" not in shown.out
    assert f"{long}: not declared; int64 (INT64), 0 nulls; new: the table gets it" in shown.text


# Files that are rejected


@pytest.mark.parametrize("kind", REJECTED)
def test_what_would_be_rejected_says_so_in_the_words_of_the_rejection(
    run: Run, exporter: customerio.Exporter, kind: str
) -> None:
    content, reason = REJECTED[kind]
    exporter.write(NAME, content)
    before = run("inspect", NAME)
    assert before.status == 1
    assert "It would be rejected: " in before.text
    assert reason in before.text
    assert "Traceback" not in before.text
    assert run("drain").status == 1
    (record,) = json.loads(run("rejected", "--json").out)
    assert f"It would be rejected: {record['reason']}" in before.text
    found, status = inspected(run, NAME)
    assert (found["outlook"]["standing"], status) == ("rejected", 1)
    assert found["history"][0]["error"] == record["reason"]
    assert run("replay", NAME).status == 1
    assert "rejected again, for the same reason" in found["outlook"]["text"]
    assert found["outlook"]["command"] == f"python -m ingest replay {NAME}"


def test_a_rejected_file_that_fits_by_now_is_to_be_replayed(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, factories.parquet("deliveries", [{"score": 0.5}], types={"score": pa.float32()}))
    run("drain", DRIFT="reject")
    found, status = inspected(run, NAME)
    assert (found["outlook"]["standing"], status) == ("rejected", 1)
    assert "Now it would be loaded: 1 rows" in found["outlook"]["text"]
    assert run("replay", NAME).status == 0
    assert standing(run, NAME) == ("loaded", 0)


@pytest.mark.parametrize("name", ["what is this.txt", "dances_v4_1_1.parquet", "metrics_v4_chngs_1_1.parquet"])
def test_a_name_that_does_not_parse_says_why(run: Run, exporter: customerio.Exporter, name: str) -> None:
    exporter.write(name, HEALTHY)
    found, status = inspected(run, name)
    assert (found["name"], found["outlook"]["standing"], status) == (None, "new", 1)
    assert found["odd"] in found["outlook"]["text"]
    assert found["footer"]["rows"] == 2
    assert columns(found)["seq_num"] == {"name": "seq_num", "physical": "INT64", "logical": "int64", "nulls": 0}
    run("drain")
    assert standing(run, name) == ("rejected", 1)
    assert run("inspect", name).status == 1


@pytest.mark.parametrize("name", ["[red]a[/].txt", "a\x9b31m\u202e'; rm -rf ~ #.parquet", "-v.txt", "%41#?.x", "x' y"])
def test_a_hostile_name_does_nothing_to_the_terminal(run: Run, exporter: customerio.Exporter, name: str) -> None:
    exporter.write(name, b"x")
    shown = run("inspect", "--", name)
    assert shown.status == 1
    assert "Traceback" not in shown.text
    assert shown.out.replace("\n", "").isprintable()
    assert name.replace("\x9b", "\\x9b").replace("\u202e", "\\u202e") in shown.out
    run("drain")
    assert standing(run, "--", name) == ("rejected", 1)


def test_hostile_columns_and_writers_do_nothing_to_the_terminal(run: Run, exporter: customerio.Exporter) -> None:
    called = "a\x1b[2J[red]\r\n; DROP TABLE x; --\"'"
    exporter.write(NAME, factories.parquet("deliveries", [{called: 1}], types={called: pa.int64()}))
    shown = run("inspect", NAME)
    assert shown.status == 0
    assert shown.out.replace("\n", "").isprintable()
    assert "\\x1b[2J[red]\\r\\n; DROP TABLE x; --" in shown.text
    assert columns(inspected(run, NAME)[0])[called]["verdict"] == "added"


# Blobs that come and go


def test_a_replaced_file_that_was_loaded_is_loaded_again(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, HEALTHY)
    run("drain")
    exporter.write(NAME, factories.parquet("deliveries", [{"delivery_id": "c"}]))
    assert standing(run, NAME) == ("new", 0)
    run("drain")
    found, status = inspected(run, NAME)
    assert [past["status"] for past in found["history"]] == ["loaded", "loaded"]
    assert len({past["etag"] for past in found["history"]}) == 2
    assert (found["outlook"]["standing"], status) == ("loaded", 0)


def test_what_was_replaced_before_it_was_loaded_stays_in_the_history(run: Run, exporter: customerio.Exporter) -> None:
    exporter.write(NAME, b"broken")
    run("drain")
    exporter.write(NAME, HEALTHY)
    run("drain")
    found, status = inspected(run, NAME)
    assert sorted(past["status"] for past in found["history"]) == ["loaded", "superseded"]
    assert (found["outlook"]["standing"], status) == ("loaded", 0)


def test_a_loaded_blob_that_is_gone_is_missed_by_nobody(
    run: Run, exporter: customerio.Exporter, azurite: Azurite, container: str
) -> None:
    exporter.write(NAME, HEALTHY)
    run("drain")
    delete(azurite, container, NAME)
    shown = run("inspect", NAME)
    assert shown.status == 0
    assert "not in the container" in shown.text
    assert "Nothing is left to do" in shown.text


def test_a_rejected_blob_that_is_gone_cannot_be_replayed(
    run: Run, exporter: customerio.Exporter, azurite: Azurite, container: str
) -> None:
    exporter.write(NAME, b"broken")
    run("drain")
    delete(azurite, container, NAME)
    found, status = inspected(run, NAME)
    assert (found["outlook"]["standing"], found["outlook"]["command"], status) == ("gone", None, 1)
    assert "exported again" in found["outlook"]["text"]


def test_a_name_that_nobody_has_is_told_with_those_like_it(run: Run, exporter: customerio.Exporter) -> None:
    assert run("inspect", NAME).status == 1, "before there are any tables"
    exporter.write(NAME, b"broken")
    run("drain")
    missed = run("inspect", NAME.replace("deliveries", "delivereis"))
    assert missed.status == 1
    assert f"Did you mean '{NAME}'?" in missed.text
    assert missed.out == ""
    far = run("inspect", "x")
    assert far.status == 1
    assert "python -m ingest rejected" in far.text
    assert run("inspect", "").status == 1


# Local files


def test_a_local_file_is_looked_at_as_if_it_were_a_blob(run: Run, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(HEALTHY)
    for asked in (f"./{NAME}", str(tmp_path / NAME)):
        found, status = inspected(run, asked, EXPORT_CONTAINER="not-there")
        assert (found["outlook"]["standing"], status) == ("local file", 0)
        assert "would be loaded: 2 rows." in found["outlook"]["text"]
    (tmp_path / NAME).write_bytes(factories.blotted(HEALTHY))
    assert run("inspect", f"./{NAME}").status == 1
    (tmp_path / "odd.parquet").write_bytes(HEALTHY)
    shown = run("inspect", "./odd.parquet")
    assert shown.status == 1
    assert "a local file: " in shown.text
    assert "is not the name of an export" in shown.text


def test_a_local_copy_is_shown_with_the_history_of_its_name(
    run: Run, exporter: customerio.Exporter, tmp_path: Path
) -> None:
    exporter.write(NAME, HEALTHY)
    run("drain")
    (tmp_path / NAME).write_bytes(HEALTHY)
    assert [past["status"] for past in inspected(run, f"./{NAME}")[0]["history"]] == ["loaded"]


# What is never shown


@pytest.mark.parametrize("kind", ["sound", "loaded", "cut", "blotted", "null", "type", "statistics", "odd name"])
def test_no_value_of_a_row_is_ever_shown(run: Run, exporter: customerio.Exporter, kind: str, tmp_path: Path) -> None:
    rows = [{"email_addr": SECRET, "customer_id": SECRET, "internal_customer_id": SECRET}]
    sound = factories.parquet("people", rows)
    assert SECRET.encode() in sound
    content = {
        "cut": sound[:-100],
        "blotted": factories.blotted_column(sound, "customer_id"),
        "null": factories.parquet("people", [*rows, {"customer_id": None}]),
        "type": factories.parquet("people", [{**rows[0], "deleted": SECRET}], types={"deleted": pa.string()}),
        "statistics": factories.with_other_value(sound, SECRET.encode(), b"j" + SECRET.encode()[:-1]),
    }.get(kind, sound)
    name = "people.parquet" if kind == "odd name" else factories.name("people")
    exporter.write(name, content)
    (tmp_path / name).write_bytes(content)
    if kind == "loaded":
        run("drain")
    said: list[Answer] = [run("inspect", name), run("inspect", "--json", name), run("inspect", f"./{name}")]
    if kind not in ("sound", "loaded"):
        run("drain")
        said.append(run("inspect", name))
    for answer in said:
        assert answer.out
        assert SECRET not in answer.text
        assert "jane" not in answer.text
        assert "AccountKey" not in answer.text


def test_a_damaged_footer_is_told_and_never_ends_the_process(run: Run, exporter: customerio.Exporter) -> None:
    length = int.from_bytes(HEALTHY[-8:-4], "little")
    exporter.write(
        NAME, HEALTHY[: -8 - length] + bytes(byte ^ 0xFF for byte in HEALTHY[-8 - length : -8]) + HEALTHY[-8:]
    )
    shown = run("inspect", NAME)
    assert shown.status == 1
    assert "no parquet footer can be read" in shown.text


# When something does not answer


def test_a_database_that_cannot_be_opened_leaves_the_rest_to_be_seen(
    run: Run, exporter: customerio.Exporter, path: Path
) -> None:
    exporter.write(NAME, HEALTHY)
    path.write_bytes(b"no database" * 1000)
    found, status = inspected(run, NAME)
    assert (found["outlook"]["standing"], status) == ("unknown", 1)
    assert "cannot be opened as a DuckDB database" in found["outlook"]["text"]
    assert found["footer"]["rows"] == 2


def test_a_container_that_is_not_there_is_an_error(run: Run) -> None:
    answer = run("inspect", NAME, EXPORT_CONTAINER="not-there")
    assert answer.status == 1
    assert "does not exist" in answer.text


# Over Snowflake


@pytest.fixture
def in_snowflake(stand_in: StandIn, container: str) -> dict[str, str]:
    settings = stand_in.settings(container)
    stand_in.prepare(settings)
    return spelt_out(settings)


def test_in_snowflake_the_footer_is_seen_and_the_values_are_not(
    run: Run, exporter: customerio.Exporter, in_snowflake: dict[str, str]
) -> None:
    exporter.write(NAME, HEALTHY)
    found, status = inspected(run, NAME, **in_snowflake)
    assert (found["outlook"]["standing"], status) == ("new", 0)
    assert "Its values are looked at when it is loaded" in found["outlook"]["text"]
    assert run("drain", **in_snowflake).status == 0
    found, status = inspected(run, NAME, **in_snowflake)
    assert (found["outlook"]["standing"], found["history"][0]["rows_applied"], status) == ("loaded", 2, 0)


def test_in_snowflake_nulls_that_the_footer_states_are_a_rejection(
    run: Run, exporter: customerio.Exporter, in_snowflake: dict[str, str]
) -> None:
    exporter.write(NAME, REJECTED["nulls in a required column"][0])
    found, status = inspected(run, NAME, **in_snowflake)
    assert status == 1
    assert "expected a required STRING without nulls, found 1 nulls." in found["outlook"]["text"]
    assert run("drain", **in_snowflake).status == 1
    long = {"x" * 256: pa.int64()}
    exporter.write(factories.name(sequence=4), factories.parquet("deliveries", [{"x" * 256: 1}], types=long))
    found, status = inspected(run, factories.name(sequence=4), **in_snowflake)
    assert status == 1
    assert "expected a name of up to 255 characters" in found["outlook"]["text"]
