"""Hold every warehouse to one behaviour: each adapter's suite inherits this and gives the fixture `bench`."""

from __future__ import annotations

from tests.activity_contract import ActivityContract, FreshnessContract
from tests.checkpoint_contract import ArrivalContract, FactsContract, HistoryContract, LeaseContract
from tests.columns_contract import ColumnsContract, RefusalContract
from tests.loading_contract import CommitContract, NewestContract
from tests.sweep_contract import AlertContract, DeletionContract, RecentContract


class WarehouseContract(
    LeaseContract,
    ArrivalContract,
    FactsContract,
    HistoryContract,
    CommitContract,
    NewestContract,
    ColumnsContract,
    RefusalContract,
    DeletionContract,
    RecentContract,
    AlertContract,
    ActivityContract,
    FreshnessContract,
):
    """What a warehouse does."""
