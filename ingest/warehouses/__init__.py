"""The warehouses: one class each behind the port, chosen by name, imported when chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.ports import Warehouse
    from ingest.settings import Settings


def open_warehouse(settings: Settings) -> Warehouse:
    """Return the warehouse that the settings name."""
    return _REGISTRY[settings.warehouse](settings)


def _duckdb(settings: Settings) -> Warehouse:
    from ingest.warehouses.duckdb import DuckDBWarehouse  # noqa: PLC0415  (imported when chosen)

    return DuckDBWarehouse(
        settings.duckdb_path,
        settings.warehouse_schema,
        patience=settings.time_budget_seconds,
        memory_limit=settings.duckdb_memory_limit,
        verify=settings.verify_statistics,
    )


def _snowflake(settings: Settings) -> Warehouse:
    from ingest.warehouses.snowflake import open_snowflake  # noqa: PLC0415  (imported when chosen)

    return open_snowflake(settings)


_REGISTRY = {"duckdb": _duckdb, "snowflake": _snowflake}
