"""Hold the suite for a real account to manners: it stays out of the way, skips without credentials, and cleans up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from snowflake.connector.errors import Error

from ingest.settings import Settings
from local.azurite import ROOT
from tests.real_snowflake.account import HOW, PREFIX, Account, NotOurs, Talk, is_given, working
from tests.stand_in import StandIn

SUITE = ROOT / "tests" / "real_snowflake"


def pytest_said(environment: dict[str, str], *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_without_credentials_every_test_is_skipped(scrubbed: dict[str, str]) -> None:
    status, said = pytest_said(scrubbed, "tests/real_snowflake", "-rs")
    assert status == 0, said
    found = re.search(r"^(\d+) skipped in", said, re.MULTILINE)
    assert found is not None, said
    assert int(found[1]) > 200
    for name in ("EXPORT_STORAGE", "EXPORT_CONTAINER", "SNOWFLAKE_ACCOUNT", "SNOWFLAKE_PRIVATE_KEY_FILE"):
        assert name in said


def test_the_ordinary_run_leaves_it_out(scrubbed: dict[str, str]) -> None:
    named = [f"--ignore={path}" for path in (ROOT / "tests").iterdir() if path.name not in (SUITE.name, "conftest.py")]
    status, said = pytest_said(scrubbed, "--collect-only", *named)
    assert status == pytest.ExitCode.NO_TESTS_COLLECTED, said
    status, said = pytest_said(scrubbed, "--collect-only", *named, "tests")
    assert status == pytest.ExitCode.NO_TESTS_COLLECTED, said


def test_it_runs_against_the_stand_in_where_it_lies_as_told(scrubbed: dict[str, str]) -> None:
    few = "second_writer_waits or empty_text or after_a_failed_statement or one_name"
    status, said = pytest_said({**scrubbed, "TEST_SNOWFLAKE_STAND_IN": "1"}, "tests/real_snowflake", "-k", few)
    assert status == 0, said
    assert re.search(r"^9 passed, \d+ deselected, 3 xfailed in", said, re.MULTILINE), said


def test_settings_that_are_not_whole_are_an_error(scrubbed: dict[str, str]) -> None:
    given = {"EXPORT_STORAGE": "UseDevelopmentStorage=true", "EXPORT_CONTAINER": "tests", "SNOWFLAKE_ACCOUNT": "acme"}
    status, said = pytest_said(scrubbed | given, "tests/real_snowflake", "-k", "unique_keys")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "The settings are not whole." in said
    assert "SNOWFLAKE_" in said.partition("not whole.")[2]


@pytest.mark.parametrize("name", ["EXPORT_STORAGE", "EXPORT_CONTAINER", "SNOWFLAKE_ACCOUNT"])
def test_one_missing_name_is_enough_to_skip(name: str) -> None:
    whole = {"EXPORT_STORAGE": "x", "EXPORT_CONTAINER": "x", "SNOWFLAKE_ACCOUNT": "x"}
    assert is_given(whole)
    assert not is_given({**whole, name: ""})
    assert name in HOW


@pytest.fixture
def settings(stand_in: StandIn, container: str) -> Settings:
    return stand_in.settings(container, WAREHOUSE_SCHEMA=f"{PREFIX}manners", EXPORT_PREFIX=f"{PREFIX}manners/")


def schemas(stand_in: StandIn, settings: Settings) -> set[str]:
    with stand_in.connect(settings.model_copy(update={"warehouse_schema": "customerio"})) as connection:
        found = Talk(connection).rows("SELECT schema_name FROM information_schema.schemata")
        return {name.lower() for (name,) in found}


class Broken(Exception):
    """What a test may die of."""


@pytest.mark.parametrize("how", [Broken, KeyboardInterrupt, SystemExit])
def test_it_cleans_up_whatever_happens(stand_in: StandIn, settings: Settings, how: type[BaseException]) -> None:
    account = Account(settings, "customerio", is_stand_in=True)

    def work() -> None:
        with working(account):
            account.empty(Talk(account.connect()))
            account.land("deliveries_v4_1_1.parquet", b"x")
            assert {settings.warehouse_schema, account.emptied} <= schemas(stand_in, settings)
            raise how

    with pytest.raises(how):
        work()
    assert not {settings.warehouse_schema, account.emptied} & schemas(stand_in, settings)
    assert list(Account(settings, "customerio").blobs.list_blob_names()) == []


def test_what_cannot_be_removed_is_named(
    stand_in: StandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(settings, "customerio", is_stand_in=True)

    def refuse(schema: str) -> None:
        raise Error(f"{schema} stays")

    def work() -> None:
        with working(account):
            account.land("deliveries_v4_1_1.parquet", b"x")
            raise Broken

    with monkeypatch.context() as patched:
        patched.setattr(account, "_drop", refuse)
        with pytest.raises(Broken) as died:
            work()
    assert [account.schema in note for note in died.value.__notes__] == [True, True]
    assert list(Account(settings, "customerio").blobs.list_blob_names()) == []
    account._drop(account.schema)
    assert settings.warehouse_schema not in schemas(stand_in, settings)


def test_a_container_with_other_blobs_is_left_alone(stand_in: StandIn, settings: Settings) -> None:
    account = Account(settings, "customerio", is_stand_in=True)
    account.blobs.upload_blob("deliveries_v4_1_1.parquet", b"somebody's")
    with pytest.raises(NotOurs, match="of their own"), working(account):
        pytest.fail("nothing may be tried there")
    assert settings.warehouse_schema not in schemas(stand_in, settings)
    left = Account(settings, "customerio").blobs
    assert list(left.list_blob_names()) == ["deliveries_v4_1_1.parquet"]


def test_no_test_reads_credentials_but_from_the_environment() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(SUITE).glob("*.py")}
    assert "local.settings" not in "".join(sources.values())
    readers = {name for name, text in sources.items() if "environ" in text.replace("environment", "")}
    assert readers == {"conftest.py", "known_lies.py"}
