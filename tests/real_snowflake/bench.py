"""Give the account to try the warehouse contract on, and a look into it past the port."""

from __future__ import annotations

import pytest

from ingest.settings import Settings
from ingest.warehouses.snowflake import SnowflakeWarehouse
from ingest.warehouses.snowflake.staging import Container
from tests.real_snowflake.account import Account, Talk
from tests.stand_in import opened
from tests.snowflake_bench import AnyTime, SnowflakeBench


class RealBench(SnowflakeBench):
    """A schema to try, emptied before each test. Blobs are called as the tests say, but under the suite's prefix."""

    def __init__(self, account: Account, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = account
        self.settings = settings
        self._monkeypatch = monkeypatch
        self._opened = []
        self._connection = account.connect()
        account.empty(Talk(self._connection))
        self.warehouse = self.other()

    def other(self) -> SnowflakeWarehouse:
        warehouse = opened(self.settings)
        if isinstance(warehouse._source, Container):
            warehouse._source = AnyTime(f"{self.account.stage}/{self.account.prefix}")
        self._opened.append(warehouse)
        return warehouse

    def landed(self, name: str, content: bytes) -> None:
        if self.settings.snowflake_load == "copy":
            self.account.land(name, content)
