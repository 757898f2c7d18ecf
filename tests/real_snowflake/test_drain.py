"""Drain an export of the simulator's into the account, and compare every table with the truth."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest

from ingest.outcomes import FileRejected, Outcome
from ingest.warehouses.snowflake.columns import quoted
from ingest.warehouses.snowflake.staging import Container
from ingest.wiring import App, build
from local.simulator import DATASETS, KEYS, Expected, Misbehaviour, Simulator
from tests.real_snowflake.account import Account, Talk


OUTCOMES: list[Outcome] = []


@pytest.fixture(params=["copy", "put"])
def app(request: pytest.FixtureRequest, account: Account, talk: Callable[..., Talk]) -> Iterator[App]:
    """Give the whole app with an empty schema and an empty prefix."""
    if request.param == "copy" and account.stage is None:
        pytest.skip(account.why_no_stage)
    account.empty(talk())
    folder = f"{account.prefix}drain_{request.param}/"
    made = build(account.tried(request.param, prefix=folder), OUTCOMES.append)
    if request.param == "copy":
        made.warehouse._source = Container(account.stage)
    OUTCOMES.clear()
    yield made
    made.warehouse.close()


def test_an_export_is_drained(account: Account, app: App, talk: Callable[..., Talk]) -> None:
    """Files of every dataset, some of them late, twice, out of order, rewritten, damaged or with a new column."""
    simulator = Simulator(
        seed=5, people=12, history_days=1, deliveries_per_day=30, misbehaviour=frozenset(Misbehaviour)
    )
    rejected: set[str] = set()
    for sync in simulator.run(1):
        for file in sync.files:
            name = app.settings.prefix + file.name
            account.blobs.upload_blob(name, file.content(), overwrite=True)
            (rejected.discard if file.expected is Expected.LOADED else rejected.add)(name)
        tally = app.drain_until_settled()
        assert not tally.unfinished
        assert not tally.held
    assert {outcome.blob_name for outcome in OUTCOMES if isinstance(outcome, FileRejected)} >= rejected
    assert_tables_equal(talk(), app.settings.warehouse_schema, simulator.truth())
    again = app.drain_until_settled()
    assert (again.files, again.rejected) == (0, 0)


def assert_tables_equal(talk: Talk, schema: str, truth: Mapping[str, pa.Table]) -> None:
    tables = {row["name"].lower() for row in talk.named(f"SHOW TABLES IN SCHEMA {schema}")}
    for dataset in DATASETS:
        expected = truth[dataset]
        if dataset not in tables:
            assert expected.num_rows == 0, f"{dataset} is missing"
            continue
        names = ", ".join(quoted(name) for name in expected.column_names)
        order = ", ".join(quoted(name) for name in KEYS[dataset])
        found = talk.rows(f"SELECT {names} FROM {schema}.{dataset} ORDER BY {order}")
        wanted = [tuple(map(plain, row.values())) for row in expected.to_pylist()]
        assert sorted(map(plain_row, found), key=repr) == sorted(wanted, key=repr), dataset


def plain_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(plain, row))


def plain(value: Any) -> Any:
    """Bring a value of either side to one form: instants without a zone, lists as JSON."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.dumps(json.loads(value))
        except ValueError:
            return value
    return value
