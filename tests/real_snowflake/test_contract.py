"""Hold the adapter to the warehouse contract on the account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real_snowflake.account import Account
from tests.real_snowflake.bench import RealBench
from tests.warehouse_contract import WarehouseContract


@pytest.fixture(params=["copy", "put"])
def bench(request: pytest.FixtureRequest, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealBench]:
    if request.param == "copy" and account.stage is None:
        pytest.skip(account.why_no_stage)
    made = RealBench(account, account.tried(request.param), monkeypatch)
    yield made
    made.close()


class TestReal(WarehouseContract):
    """The contract, with files that Snowflake fetches, and with files that it is sent."""
