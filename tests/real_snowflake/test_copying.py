"""What COPY answers and knows of its files, as the adapter reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.errors import BlobGone, BlobReplaced, ContractBroken, FileUnreadable
from ingest.warehouses.snowflake.staging import _COLUMN, _MISFIT, _NULL
from tests import factories
from tests.real_snowflake.account import Account, Talk
from tests.real_snowflake.copied import Copied, Copying, deliveries, opened
from tests.real_snowflake.known_lies import lies

NAMES = [factories.name(sequence=sequence) for sequence in range(1, 7)]


@pytest.fixture(params=["copy", "put"])
def copying(request: pytest.FixtureRequest, account: Account, talk: Callable[..., Talk], tmp_path: Path) -> Copying:
    external = request.getfixturevalue("stage") if request.param == "copy" else None
    return opened(account, talk, tmp_path, external)


@pytest.fixture
def through_stage(account: Account, talk: Callable[..., Talk], tmp_path: Path, stage: str) -> Copying:
    return opened(account, talk, tmp_path, stage)


def answer_about(copied: Copied, name: str) -> dict[str, Any] | None:
    """Return COPY's row about a file, by what its name ends with."""
    path = copied.blobs[name].name
    numbered = f"{list(copied.blobs).index(name)}.parquet"
    fitting = [row for row in copied.results if "file" in row and str(row["file"]).endswith((path, f"/{numbered}"))]
    fitting += [row for row in copied.results if "file" in row and row["file"] == numbered]
    return next(iter(fitting), None)


def shape(row: dict[str, Any] | None) -> str:
    """Write down a row about a file without its values."""
    if row is None:
        return "no row"
    error = str(row.get("first_error") or "")
    known = "misfit" if _MISFIT.search(error) else "null" if _NULL.search(error) else "other"
    words = {
        "status": row["status"],
        "parsed": row.get("rows_parsed"),
        "loaded": row.get("rows_loaded"),
        "errors": row.get("errors_seen"),
        "error": known if error else None,
        "line": row.get("first_error_line"),
        "column": row.get("first_error_column_name"),
    }
    return ", ".join(f"{word} {value}" for word, value in words.items())


def test_good_files_load_and_are_told_as_loaded(copying: Copying, seen: Callable[[Any], None]) -> None:
    copied = copying({NAMES[0]: deliveries({}, {}), NAMES[1]: deliveries({})})
    assert copied.blamed == {}
    answers = [answer_about(copied, name) for name in NAMES[:2]]
    assert [(row["status"], row["rows_loaded"]) for row in answers if row] == [("LOADED", 2), ("LOADED", 1)]
    seen(f"{shape(answers[0])}; file {str(answers[0]['file']).replace(copying.account.prefix, '<prefix>/')!r}")


@pytest.mark.parametrize(
    ("content", "expected", "column"),
    [
        (
            deliveries({"campaign_id": 1}, {"campaign_id": 2**64 - 3}, types={"campaign_id": pa.uint64()}),
            ContractBroken,
            "campaign_id",
        ),
        (deliveries({}, {"delivery_type": None}, write_statistics=False), ContractBroken, "delivery_type"),
        (
            deliveries({"subject_id": b"\xff\xfe"}, types={"subject_id": pa.binary()}),
            (ContractBroken, FileUnreadable),
            "",
        ),
        (factories.blotted(deliveries(*[{}] * 100)), FileUnreadable, ""),
        (factories.blotted_column(deliveries(*[{}] * 100), "subject_id"), FileUnreadable, ""),
    ],
    ids=["too large", "null in a required column", "bytes that are no text", "damaged pages", "damaged column"],
)
def test_a_bad_file_is_named_and_the_others_load(
    copying: Copying, content: bytes, expected: Any, column: str, seen: Callable[[Any], None]
) -> None:
    copied = copying({NAMES[0]: deliveries({}), NAMES[1]: content, NAMES[2]: deliveries({})})
    answer = answer_about(copied, NAMES[1])
    seen(shape(answer))
    assert list(copied.blamed) == [NAMES[1]]
    assert isinstance(copied.blamed[NAMES[1]], expected)
    assert column in str(copied.blamed[NAMES[1]])
    assert copied.staged("COUNT(*)", "1") == [(2,)]
    if column:
        assert answer is not None
        assert _COLUMN.search(str(answer["first_error_column_name"])) is not None


def test_a_missing_file_is_blamed_and_the_others_load(
    through_stage: Copying, account: Account, seen: Callable[[Any], None]
) -> None:
    copied = through_stage(
        {NAMES[0]: deliveries({}), NAMES[1]: deliveries({})},
        lambda: account.blobs.delete_blob(account.prefix + NAMES[1]),
    )
    seen(shape(answer_about(copied, NAMES[1])))
    assert list(copied.blamed) == [NAMES[1]]
    assert isinstance(copied.blamed[NAMES[1]], (BlobGone, FileUnreadable))
    assert copied.staged("COUNT(*)", "1") == [(1,)]


def test_a_file_without_rows_loads(copying: Copying, seen: Callable[[Any], None]) -> None:
    copied = copying({NAMES[0]: factories.parquet("deliveries", []), NAMES[1]: deliveries({})})
    seen(shape(answer_about(copied, NAMES[0])))
    assert copied.blamed == {}


def test_a_batch_of_files_without_rows_loads(copying: Copying, seen: Callable[[Any], None]) -> None:
    copied = copying({NAMES[0]: factories.parquet("deliveries", [])})
    seen(shape(answer_about(copied, NAMES[0])))
    assert copied.blamed == {}


def test_a_file_is_called_in_the_container_what_its_blob_is_called(through_stage: Copying) -> None:
    copied = through_stage({"a b/ü/" + NAMES[0]: deliveries({})})
    assert copied.blamed == {}
    (blob,) = copied.blobs.values()
    assert copied.staged("_ingest_file") == [(blob.name,)]


def test_a_file_that_was_put_is_called_by_its_name(
    account: Account, talk: Callable[..., Talk], tmp_path: Path, seen: Callable[[Any], None]
) -> None:
    copied = opened(account, talk, tmp_path, None)({NAMES[0]: deliveries({})})
    assert copied.blamed == {}
    ((called,),) = copied.staged("_ingest_file")
    seen(repr(called))
    assert called == "0.parquet" or called.endswith("/0.parquet")


def test_rows_are_numbered_from_one(copying: Copying) -> None:
    rows = [{"delivery_id": f"{number}"} for number in range(1, 5001)]
    copied = copying({NAMES[0]: deliveries(*rows, row_group_size=700), NAMES[1]: deliveries(*rows)})
    for name in {called for (called,) in copied.staged("DISTINCT _ingest_file", "1")}:
        found = copied.talk.rows(
            f"SELECT delivery_id::NUMBER, _ingest_row FROM {copied.table} WHERE _ingest_file = ? ORDER BY 2", name
        )
        assert [tuple(row) for row in found] == [(number, number) for number in range(1, 5001)]


def test_a_file_was_modified_when_its_blob_was(through_stage: Copying) -> None:
    """What tells a replaced blob: in UTC, and to the second."""
    copied = through_stage({NAMES[0]: deliveries({})})
    ((modified,),) = copied.staged("_ingest_modified")
    assert modified.replace(microsecond=0) == copied.blobs[NAMES[0]].modified.replace(tzinfo=None)


def test_a_replaced_blob_is_noticed(through_stage: Copying, account: Account) -> None:
    def replace() -> None:
        time.sleep(2.1)  # the listing tells whole seconds
        account.land(NAMES[0], deliveries({"delivery_id": "newer"}))

    copied = through_stage({NAMES[0]: deliveries({})}, replace)
    assert isinstance(copied.blamed[NAMES[0]], BlobReplaced)


def test_an_empty_text_stays_one(copying: Copying) -> None:
    copied = copying({NAMES[0]: deliveries({"subject_id": ""}, {"subject_id": None}, {"subject_id": " "})})
    assert [tuple(row) for row in copied.staged("subject_id, subject_id IS NULL")] == [
        ("", False),
        (None, True),
        (" ", False),
    ]


def test_files_that_spell_a_column_differently_load_together(copying: Copying) -> None:
    """One COPY takes the first of several that is there."""
    table = factories.table("deliveries", [{"campaign_id": 7}])
    other = table.rename_columns(["Campaign_ID" if name == "campaign_id" else name for name in table.column_names])
    copied = copying({NAMES[0]: factories.encoded(table), NAMES[1]: factories.encoded(other)})
    assert copied.blamed == {}
    assert copied.staged("campaign_id", "1") == [(7,), (7,)]


@lies("it takes empty texts by column name")
def test_by_column_name_empty_texts_fail(
    account: Account, talk: Callable[..., Talk], stage: str, seen: Callable[[Any], None]
) -> None:
    """Why the adapter's COPY spells every column out. If this fails, the shorter statement would do."""
    session, table = talk(), account.table()
    path = account.land(NAMES[0], deliveries({"subject_id": ""}))
    session.run(f"CREATE TEMPORARY TABLE {table} (delivery_id VARCHAR, subject_id VARCHAR)")
    refused = session.refused(
        f"COPY INTO {table} FROM @{stage} FILES = ('{path}') FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) "
        "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
    )
    loaded = session.rows(f"SELECT subject_id FROM {table}")
    seen(f"error {refused.errno}" if refused else f"loaded {loaded}")
    assert refused is not None or loaded != [("",)]


def test_a_copy_with_a_select_refuses_a_tables_own_stage(
    account: Account, talk: Callable[..., Talk], tmp_path: Path, seen: Callable[[Any], None]
) -> None:
    """Only named stages and those of users, says the page on COPY. If this fails, the simplest stage would do for PUT."""
    session, table = talk(), account.table()
    session.run(f"CREATE TEMPORARY TABLE {table} (delivery_id VARCHAR)")
    (tmp_path / "a.parquet").write_bytes(deliveries({}))
    own = f"@{account.schema}.%{table.rpartition('.')[2]}"
    session.run(f"PUT 'file://{tmp_path}/a.parquet' {own} AUTO_COMPRESS = FALSE")
    refused = session.refused(
        f'COPY INTO {table} (delivery_id) FROM (SELECT $1:"delivery_id"::VARCHAR FROM {own}) '
        "FILES = ('a.parquet') FILE_FORMAT = (TYPE = PARQUET)"
    )
    seen(f"error {refused.errno}" if refused else "loaded")
    assert refused is not None


def test_no_more_than_a_thousand_files(account: Account, talk: Callable[..., Talk], stage: str) -> None:
    session, table = talk(), account.table()
    session.run(f"CREATE TEMPORARY TABLE {table} (delivery_id VARCHAR)")
    names = ", ".join(f"'{account.prefix}none_{number}.parquet'" for number in range(1001))
    refused = session.refused(
        f'COPY INTO {table} FROM (SELECT $1:"delivery_id"::VARCHAR FROM @{stage}) FILES = ({names}) '
        "FILE_FORMAT = (TYPE = PARQUET) ON_ERROR = SKIP_FILE"
    )
    assert refused is not None


def test_a_thousand_files_are_copied_by_one_statement(
    through_stage: Copying, account: Account, seen: Callable[[Any], None]
) -> None:
    """The most that a batch may hold. Only three are there: uploading the others would say nothing more of COPY."""
    names = [factories.name(sequence=sequence, folder="thousand/") for sequence in range(1000)]
    for name in names[:3]:
        account.land(name, deliveries({}))
    session, table = through_stage.talk, account.table()
    session.run(f"CREATE TEMPORARY TABLE {table} (delivery_id VARCHAR)")
    files = ", ".join(f"'{account.prefix}{name}'" for name in names)
    answers = session.named(
        f'COPY INTO {table} (delivery_id) FROM (SELECT $1:"delivery_id"::VARCHAR FROM @{through_stage.stage}) '
        f"FILES = ({files}) FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = TRUE) "
        "ON_ERROR = SKIP_FILE FORCE = TRUE"
    )
    seen(f"{len(answers)} rows, the missing: {sorted({row['status'] for row in answers} - {'LOADED'}) or 'no rows'}")
    assert session.one(f"SELECT COUNT(*) FROM {table}") == 3
