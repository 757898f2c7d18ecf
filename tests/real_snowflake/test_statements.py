"""What is bound, tagged, cached and told: the points where only an account can say whether the adapter is right."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from snowflake.connector.errors import Error

from ingest.arrivals import Fingerprint, Oddity
from ingest.errors import WarehouseUnavailable
from ingest.naming import UNCLASSIFIED
from ingest.warehouses.snowflake import SnowflakeWarehouse
from ingest.warehouses.snowflake.faults import MISSING, fault_of
from ingest.warehouses.snowflake.session import PARAMETERS, Session
from tests import factories
from tests.stand_in import opened
from tests.factories import START
from tests.real_snowflake.account import Account, Talk
from tests.real_snowflake.known_lies import lies

LATEST = timedelta(minutes=2).total_seconds()
"""Seconds within which a statement shows in the history, and a warehouse is suspended."""


@pytest.fixture
def warehouse(account: Account, talk: Callable[..., Talk]) -> Iterator[SnowflakeWarehouse]:
    """Give the adapter with empty checkpoint tables."""
    account.empty(talk())
    warehouse = opened(account.tried("put"))
    warehouse.prepare()
    yield warehouse
    warehouse.close()


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + LATEST
    while not wanted(answer := look()) and time.monotonic() < deadline:
        time.sleep(1)
    return answer


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_numbers_in_bound_json_are_exact(talk: Callable[..., Talk], number: int) -> None:
    bound = json.dumps([{"sequence": number}])
    found = talk().one(
        "SELECT listed.value:sequence::NUMBER(19, 0) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed", bound
    )
    assert found == number


@pytest.mark.parametrize("text", ["a\\b", "a'b\"c", "?", ":1", "%s", "ü😀", "", "$1", "a\nb", "null"])
def test_texts_in_bound_json_are_exact(talk: Callable[..., Talk], text: str) -> None:
    bound = json.dumps([{"name": text}])
    found = talk().one("SELECT listed.value:name::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed", bound)
    assert found == text


def test_null_in_bound_json_is_null(talk: Callable[..., Talk]) -> None:
    bound = json.dumps([{"end": None}])
    found = talk().one(
        "SELECT listed.value:end::NUMBER(19, 0) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed", bound
    )
    assert found is None


@pytest.mark.parametrize("files", [1000, 5000], ids=["a batch", "a page of the listing"])
def test_many_files_are_bound_as_one_value(
    warehouse: SnowflakeWarehouse, files: int, seen: Callable[[Any], None]
) -> None:
    """A page has 5,000 blobs; at names of 200 characters that is more than a statement's text may have."""
    blobs = [factories.blob(f"{'folder/' * 25}{factories.name(sequence=number)}") for number in range(files)]
    started = time.monotonic()
    assert len(warehouse.unsettled(blobs)) == files
    seen(f"{sum(len(blob.name) + 60 for blob in blobs) // 1000} kB in {time.monotonic() - started:.1f} s")


def recorded(warehouse: SnowflakeWarehouse, number: int) -> Fingerprint:
    """Record blobs that no stream takes, and return what a listing of them comes to."""
    blobs = [factories.blob(f"ü {each}.parquet") for each in range(number)]
    lease = warehouse.claim(UNCLASSIFIED, "suite", START, timedelta(minutes=10))
    warehouse.record(lease, [], [Oddity(blob, "no stream") for blob in blobs])
    return Fingerprint().plus(blobs)


@pytest.mark.parametrize("number", [1, 2, 64])
def test_the_digest_of_a_listing_is_that_of_the_table(
    warehouse: SnowflakeWarehouse, account: Account, talk: Callable[..., Talk], number: int
) -> None:
    """Numbers of 64 bits without a sign: half of them are beyond what a signed one holds."""
    listing = recorded(warehouse, number)
    found = talk().one(
        "SELECT BITXOR_AGG(MD5_NUMBER_LOWER64(container || '/' || blob_name || '@' || etag)) "
        f"FROM {account.emptied}.ingest_files"
    )
    assert int(found) == listing.digest
    assert warehouse.settled(listing)
    assert not warehouse.settled(listing.plus([factories.blob("new.parquet")]))


@pytest.mark.parametrize("text", ["a", "b", "c", "d", "e", "f"])
def test_the_digest_of_one_name(talk: Callable[..., Talk], text: str) -> None:
    blob = factories.blob(text, etag="0x1")
    found = talk().one("SELECT BITXOR_AGG(MD5_NUMBER_LOWER64(?))", f"{blob.container}/{blob.name}@{blob.etag}")
    assert int(found) == Fingerprint().plus([blob]).digest


@pytest.fixture
def own_warehouse(account: Account, talk: Callable[..., Talk]) -> Iterator[str]:
    """Give a virtual warehouse that nobody else wakes."""
    name = f"{account.schema}_wh"
    session = talk()
    refused = session.refused(
        f"CREATE WAREHOUSE {name} WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE "
        "INITIALLY_SUSPENDED = TRUE"
    )
    if refused is not None:
        pytest.skip(f"no warehouse of its own (error {refused.errno}): GRANT CREATE WAREHOUSE ON ACCOUNT to the role")
    try:
        yield name
    finally:
        with suppress(Error):
            talk().run(f"DROP WAREHOUSE IF EXISTS {name}")


@lies("its warehouses are always started")
def test_asking_again_wakes_no_warehouse(
    account: Account, own_warehouse: str, warehouse: SnowflakeWarehouse, talk: Callable[..., Talk]
) -> None:
    """A second process asks with the same text, and the result cache answers."""
    listing, session = recorded(warehouse, 3), talk()
    settings = account.tried("put", snowflake_warehouse=own_warehouse)

    def state() -> str:
        return str(session.named(f"SHOW WAREHOUSES LIKE '{own_warehouse}'")[0]["state"])

    def asked() -> bool:
        fresh = opened(settings)
        try:
            return fresh.settled(listing)
        finally:
            fresh.close()

    assert state() == "SUSPENDED"
    assert asked()
    assert state() != "SUSPENDED"
    session.run(f"ALTER WAREHOUSE {own_warehouse} SUSPEND")
    assert eventually(state, lambda found: found == "SUSPENDED") == "SUSPENDED"
    assert asked()
    assert state() == "SUSPENDED"


@lies("it has no history of statements", Error)
def test_statements_are_found_by_their_tag(account: Account, talk: Callable[..., Talk]) -> None:
    """By stream and by batch, as docs/snowflake.md adds them up."""
    session, batch = talk(), uuid.uuid4().hex
    tagged = Session(session.connection, {"stream": "1/deliveries", "batch": batch, "files": 3})
    tagged.run("count", "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))")
    database = account.settings.snowflake_database
    query = (
        "SELECT COUNT(*), MAX(TRY_PARSE_JSON(query_tag):stream::VARCHAR), MAX(TRY_PARSE_JSON(query_tag):files::NUMBER) "
        f"FROM TABLE({database}.INFORMATION_SCHEMA.QUERY_HISTORY_BY_SESSION(RESULT_LIMIT => 1000)) "
        "WHERE TRY_PARSE_JSON(query_tag):batch::VARCHAR = ?"
    )
    (found,) = eventually(lambda: session.rows(query, batch), lambda rows: rows[0][0] > 0)
    assert tuple(found) == (1, "1/deliveries", 3)


def test_a_tag_holds_for_its_own_statement(talk: Callable[..., Talk]) -> None:
    session = talk()
    Session(session.connection, {"stream": "one"}).rows("look", "SELECT 1")
    (row,) = session.named("SHOW PARAMETERS LIKE 'QUERY_TAG' IN SESSION")
    assert "one" not in row["value"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_session_parameters_are_in_force(talk: Callable[..., Talk], name: str) -> None:
    """An unknown one would be ignored without a word."""
    (row,) = talk(**PARAMETERS).named(f"SHOW PARAMETERS LIKE '{name}' IN SESSION")
    assert str(row["value"]).lower() == str(PARAMETERS[name]).lower()


def test_what_is_missing_has_the_number_that_the_adapter_looks_for(account: Account, talk: Callable[..., Talk]) -> None:
    session = talk()
    for statement in (
        f"SELECT * FROM {account.schema}.not_there",
        f"DESCRIBE TABLE {account.schema}.not_there",
        f"CREATE TABLE {account.schema}_not_there.things (id NUMBER)",
    ):
        refused = session.refused(statement)
        assert refused is not None
        assert refused.errno == MISSING, f"{statement}: {fault_of(refused)}"


def test_a_cold_look_at_nothing_is_an_answer(account: Account, talk: Callable[..., Talk]) -> None:
    """Where there are no tables yet, nothing is settled and there is nothing to tell."""
    account.empty(talk())
    warehouse = opened(account.tried("put"))
    assert not warehouse.settled(Fingerprint())
    assert warehouse.facts(START).streams == ()
    warehouse.close()


def test_doctor_finds_nothing_missing(account: Account, stage: str, seen: Callable[[Any], None]) -> None:
    """Also whether the role may LIST and DESCRIBE the stage with what the set-up SQL grants."""
    schema = stage.rpartition(".")[0]
    warehouse = opened(account.settings.model_copy(update={"warehouse_schema": schema}))
    missing = {}
    for name, _, look in warehouse.checks():
        try:
            look()
        except WarehouseUnavailable as error:
            missing[name] = error.what
    warehouse.close()
    seen(missing or "nothing")
    assert missing == {}


@lies("VARCHAR(n) does not limit")
def test_longer_texts_than_declared_are_refused(talk: Callable[..., Talk], account: Account) -> None:
    session, table = talk(), account.table()
    session.run(f"CREATE TABLE {table} (word VARCHAR(3))")
    assert session.refused(f"INSERT INTO {table} VALUES ('longer')") is not None


@lies("NUMBER(38, 0) ends at 2^63", Error)
def test_large_numbers_keep_38_digits(talk: Callable[..., Talk]) -> None:
    assert talk().one("SELECT '12345678901234567890123456789012345678'::NUMBER(38, 0)") == int(
        "12345678901234567890123456789012345678"
    )
