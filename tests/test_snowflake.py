"""Hold the Snowflake adapter to the warehouse contract, through the real connector, against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.snowflake_bench import SnowflakeBench
from tests.stand_in import StandIn
from tests.warehouse_contract import WarehouseContract


@pytest.fixture(params=["copy", "put"])
def bench(
    request: pytest.FixtureRequest, stand_in: StandIn, container: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SnowflakeBench]:
    made = SnowflakeBench(stand_in, stand_in.settings(container, SNOWFLAKE_LOAD=request.param), monkeypatch)
    yield made
    made.close()


class TestSnowflake(WarehouseContract):
    """The contract, with files that Snowflake fetches, and with files that it is sent."""
