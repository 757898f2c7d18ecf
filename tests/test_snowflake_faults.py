"""Prove what becomes of a load when Snowflake, the network or a file fails: through the real connector, at the stand-in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from snowflake.connector import errorcode, errors

from ingest.errors import BatchRefused, LeaseLost, WarehouseUnavailable
from ingest.outcomes import BatchLoaded, FileDeferred, FileRejected, FileSuperseded, Outcome
from ingest.warehouses.snowflake.faults import BY_CLASS, BY_NUMBER, Trouble, Verdict, fault_of, translated
from ingest.warehouses.snowflake.session import Sessions
from ingest.wiring import App, build
from tests import factories
from tests.factories import START, TERM
from tests.snowflake_bench import SnowflakeBench
from tests.stand_in import StandIn
from tests.warehouse_bench import Loader, claimed, of

ANSWER_LOST = {"do": "drop", "after": True}
NEVER_ARRIVED = {"do": "drop"}
SIGNED_OUT = {"do": "error", "errno": 390114, "sqlstate": "08001", "message": "Authentication token has expired."}
LOCKED = {"do": "error", "errno": 625, "sqlstate": "57014", "message": "Statement 'x' has locked table 'secret'"}
TIMED_OUT = {"do": "error", "errno": 630, "sqlstate": "57014", "message": "Statement reached its timeout"}
SUSPENDED = {"do": "error", "errno": 608, "sqlstate": "57014", "message": "Warehouse cannot be resumed"}
FORBIDDEN = {"do": "error", "errno": 3001, "sqlstate": "42501", "message": "Insufficient privileges on 'secret'"}


@pytest.fixture
def bench(stand_in: StandIn, container: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnowflakeBench]:
    made = SnowflakeBench(stand_in, stand_in.settings(container), monkeypatch)
    made.warehouse._patiently.sleep = lambda seconds: None
    yield made
    stand_in.plan()
    made.close()


@pytest.fixture
def loader(bench: SnowflakeBench, tmp_path: Path) -> Loader:
    bench.warehouse.prepare()
    return Loader(bench, tmp_path)


# The tables of errors


def test_every_class_of_the_connector_s_errors_has_a_meaning() -> None:
    """Fail when a newer connector brings a class that nobody thought about."""
    known = {errors.Error, errors._Warning, *BY_CLASS}
    found = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.Error)}
    orphans = {each.__name__ for each in found - known if not any(kind in BY_CLASS for kind in each.__mro__)}
    assert orphans == set()


def test_every_number_of_the_connector_s_own_is_looked_up() -> None:
    numbers = {name: value for name, value in vars(errorcode).items() if name.startswith("ER_")}
    assert numbers
    for number in numbers.values():
        fault = fault_of(errors.OperationalError(msg="x", errno=number))
        assert fault.verdict in {Verdict.AGAIN, Verdict.LATER}, number


def test_what_nobody_knows_is_retryable_and_no_file_s_fault() -> None:
    for kind in (errors.ProgrammingError, errors.OperationalError, errors.Error):
        assert isinstance(translated(kind(msg="new", errno=999_999), "x"), WarehouseUnavailable)


@pytest.mark.parametrize("number", [number for number, fault in BY_NUMBER.items() if fault.verdict is Verdict.DATA])
def test_errors_about_data_never_tell_the_data(number: int) -> None:
    error = translated(errors.ProgrammingError(msg="Numeric value 'secret' is not recognized", errno=number), "load")
    assert isinstance(error, BatchRefused)
    assert "secret" not in f"{error} {error.args!r}"


# What may pass by itself is tried again


@pytest.mark.parametrize("fault", [ANSWER_LOST, NEVER_ARRIVED, SIGNED_OUT, LOCKED, TIMED_OUT, SUSPENDED], ids=str)
@pytest.mark.parametrize(
    "match",
    [
        "^CREATE OR REPLACE TEMP",
        "^COPY",
        "^BEGIN",
        "^MERGE",
        "^UPDATE .*ingest_files",
        "^UPDATE .*ingest_streams",
        "^COMMIT",
    ],
)
def test_a_load_comes_through_whatever_happens_once(
    loader: Loader, bench: SnowflakeBench, match: str, fault: dict[str, Any]
) -> None:
    loader.load(loader.arrives(of("deliveries", {"delivery_id": "old"})))
    file = loader.arrives(of("deliveries", {"delivery_id": "a"}, {"delivery_id": "b"}), 2)
    bench.server.plan({"match": f"(?s){match}", **fault})
    assert loader.load(file) == [(2, 2)]
    assert [row["delivery_id"] for row in bench.rows("deliveries", "delivery_id")] == ["a", "b", "old"]
    assert [row["status"] for row in bench.rows("ingest_files")] == ["loaded", "loaded"]


@pytest.mark.parametrize("fault", [ANSWER_LOST, SIGNED_OUT], ids=str)
def test_the_checkpoint_s_own_statements_are_tried_again(bench: SnowflakeBench, fault: dict[str, Any]) -> None:
    warehouse, arrived = bench.warehouse, factories.arrival()
    warehouse.prepare()
    for match in ("^SELECT generation", "^UPDATE"):
        bench.server.plan({"match": match, **fault})
        lease = claimed(warehouse, factories.stream(), f"me {match}", START + timedelta(hours=len(match)))
        warehouse.release(lease)
    lease = claimed(warehouse, factories.stream(), "me", START + timedelta(days=2))
    for match in ("^INSERT", "^COMMIT"):
        bench.server.plan({"match": match, **fault})
        warehouse.record(lease, [arrived], [])
    assert len(bench.rows("ingest_files")) == 1
    assert list(warehouse.pending(arrived.stream, None, 5)) == [arrived]


def test_what_needs_a_person_is_not_tried_again(loader: Loader, bench: SnowflakeBench) -> None:
    file = loader.arrives(of("deliveries", {}))
    bench.server.plan({"match": "^COPY", **FORBIDDEN})
    with pytest.raises(Trouble, match="doctor") as trouble:
        loader.load(file)
    assert not trouble.value.transient
    assert "secret" not in str(trouble.value)
    assert bench.rows("ingest_files")[0]["status"] == "pending"
    assert loader.load(file) == [(1, 1)]


def test_patience_ends(bench: SnowflakeBench, loader: Loader) -> None:
    file = loader.arrives(of("deliveries", {}))
    bench.warehouse._patiently.stop = lambda state: state.attempt_number >= 3
    bench.server.plan({"match": "^COPY", "times": 3, **SUSPENDED})
    with pytest.raises(Trouble) as trouble:
        loader.load(file)
    assert trouble.value.transient
    assert bench.rows("deliveries") == []


def test_a_lost_lease_is_not_tried_again(bench: SnowflakeBench, loader: Loader) -> None:
    file = loader.arrives(of("deliveries", {}))
    bench.take_over(loader.lease)
    before = len(bench.server.transcript.read_text().splitlines())
    with pytest.raises(LeaseLost):
        loader.load(file)
    after = bench.server.transcript.read_text().splitlines()[before:]
    assert sum('"MERGE' in line for line in after) == 1
    assert bench.rows("deliveries") == []


def test_a_session_that_fails_is_not_used_again(stand_in: StandIn, bench: SnowflakeBench) -> None:
    sessions: Sessions = bench.warehouse._sessions
    stand_in.plan({"match": "SELECT 1", **SIGNED_OUT})
    with sessions.session() as first:
        first.rows("try", "SELECT 2")
        with pytest.raises(Trouble):
            first.rows("try", "SELECT 1")
    with sessions.session() as second:
        assert second.rows("try", "SELECT 1") == [(1,)]
        assert second._connection is not first._connection


def test_signing_in_that_fails_says_so(bench: SnowflakeBench) -> None:
    bench.warehouse._patiently.stop = lambda state: True
    bench.server.plan(
        {"match": "^LOGIN$", "do": "error", "errno": 390144, "sqlstate": "08001", "message": "JWT token is invalid."}
    )
    with pytest.raises(Trouble, match="key") as trouble:
        bench.other().waiting()
    assert not trouble.value.transient


# Several workers, without a unique key


def test_two_who_open_a_stream_at_once_share_its_rows(bench: SnowflakeBench) -> None:
    """Snowflake would take both rows: what is written about the stream has to hold for either."""
    warehouse, stream = bench.warehouse, factories.stream()
    warehouse.prepare()
    insert = "INSERT INTO customerio.ingest_streams (workspace_id, dataset, generation) VALUES (1, 'deliveries', 0)"
    bench.query(insert)
    bench.query(insert)
    lease = claimed(warehouse, stream)
    bench.query(insert)  # a third one comes late
    warehouse.record(lease, [factories.arrival()], [])
    warehouse.renew(lease, START, TERM)
    assert bench.other().claim(stream, "you", START, TERM).owner == "me"
    (facts,) = warehouse.facts(START).streams
    assert (facts.lease_owner, facts.arrived) == ("me", 1)
    warehouse.release(lease)
    assert claimed(bench.other(), stream, "you").generation == lease.generation + 1


# Files, in a whole drain


class Working:
    """The whole app over the container of a test."""

    def __init__(self, bench: SnowflakeBench) -> None:
        self.outcomes: list[Outcome] = []
        self.app: App = build(bench.settings, self.outcomes.append)
        self.blobs = ContainerClient.from_connection_string(
            bench.server.azurite.connection_string, bench.settings.container
        )

    def write(self, sequence: int, content: bytes) -> str:
        name = factories.name(sequence=sequence)
        self.blobs.upload_blob(name, content, overwrite=True)
        return name

    def told(self, kind: type[Any]) -> list[Any]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, kind)]


@pytest.fixture
def working(bench: SnowflakeBench) -> Iterator[Working]:
    made = Working(bench)
    yield made
    made.app.warehouse.close()


def test_a_copy_that_fails_on_one_file_names_it_and_loads_the_others(working: Working, bench: SnowflakeBench) -> None:
    good = of("deliveries", {"delivery_id": "good"})
    working.write(1, good)
    null = working.write(2, of("deliveries", {"delivery_id": "x", "delivery_type": None}))
    damaged = working.write(3, factories.blotted(of("deliveries", {"delivery_id": "y"})))
    large = working.write(4, of("deliveries", {"campaign_id": 2**64 - 3}, types={"campaign_id": factories.pa.uint64()}))
    cut = working.write(5, good[:-20])
    working.write(6, of("deliveries", {"delivery_id": "also good"}))
    tally = working.app.drain_everything()
    assert (tally.files, tally.batches, len(working.told(FileRejected))) == (2, 1, 4)
    reasons = {outcome.blob_name: outcome.reason for outcome in working.told(FileRejected)}
    assert set(reasons) == {null, damaged, large, cut}
    assert "'delivery_type'" in reasons[null]
    assert "'campaign_id'" in reasons[large]
    assert [row["delivery_id"] for row in bench.rows("deliveries", "delivery_id")] == ["also good", "good"]


def test_a_blob_replaced_before_it_is_copied_is_loaded_as_the_newer_one(
    working: Working, bench: SnowflakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snowflake reads what lies there by then; its time of modification tells."""
    name = working.write(1, of("deliveries", {"delivery_id": "old"}))
    working.write(2, of("deliveries", {"delivery_id": "other"}))
    warehouse = working.app.warehouse
    load = warehouse.load

    def replace_and_load(lease: Any, files: Any, *rest: Any) -> Any:
        monkeypatch.setattr(warehouse, "load", load)
        factories.until_the_next_second()
        working.write(1, of("deliveries", {"delivery_id": "new"}))
        return load(lease, files, *rest)

    monkeypatch.setattr(warehouse, "load", replace_and_load)
    working.app.drain_everything()
    assert [outcome.blob_name for outcome in working.told(FileSuperseded)] == [name]
    assert [row["delivery_id"] for row in bench.rows("deliveries", "delivery_id")] == ["new", "other"]
    assert sorted(row["status"] for row in bench.rows("ingest_files")) == ["loaded", "loaded", "superseded"]


def test_a_blob_deleted_before_it_is_copied_is_rejected_as_gone(
    working: Working, bench: SnowflakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = working.write(1, of("deliveries", {"delivery_id": "old"}))
    working.write(2, of("deliveries", {"delivery_id": "other"}))
    warehouse = working.app.warehouse
    load = warehouse.load

    def delete_and_load(lease: Any, files: Any, *rest: Any) -> Any:
        monkeypatch.setattr(warehouse, "load", load)
        working.blobs.delete_blob(name)
        return load(lease, files, *rest)

    monkeypatch.setattr(warehouse, "load", delete_and_load)
    working.app.drain_everything()
    (rejected,) = working.told(FileRejected)
    assert rejected.blob_name == name
    assert "deleted" in rejected.reason
    assert working.told(BatchLoaded)[0].files == 1


def test_an_outage_rejects_nothing(working: Working, bench: SnowflakeBench) -> None:
    working.write(1, of("deliveries", {}))
    working.app.warehouse._patiently.stop = lambda state: True
    bench.server.plan({"match": "^COPY", **SUSPENDED})
    with pytest.raises(WarehouseUnavailable):
        working.app.drain_everything()
    assert working.told(FileRejected) == working.told(FileDeferred) == []
    assert working.app.drain_everything().files == 1


# Quiet


def test_nothing_of_a_drain_is_logged_by_the_connector(working: Working, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    working.write(1, of("deliveries", {"delivery_id": "secret-row"}))
    working.app.drain_everything()
    assert [record.name for record in caplog.records if record.name.startswith("snowflake")] == []
    assert "secret-row" not in caplog.text
