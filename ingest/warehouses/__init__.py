"""The warehouses: one class each behind the port, chosen by name, imported when chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.errors import SettingsError

if TYPE_CHECKING:
    from ingest.ports import Landing, Warehouse
    from ingest.settings import Settings


def open_warehouse(settings: Settings, landing: Landing) -> Warehouse:
    """Return the warehouse that the settings name; `landing` is where it reads, if it reads for itself."""
    return _REGISTRY[settings.warehouse](settings, landing)


def _duckdb(settings: Settings, _: Landing) -> Warehouse:
    from ingest.warehouses.duckdb import DuckDBWarehouse  # noqa: PLC0415  (imported when chosen)

    return DuckDBWarehouse(
        settings.duckdb_path,
        settings.warehouse_schema,
        patience=settings.time_budget_seconds,
        memory_limit=settings.duckdb_memory_limit,
        verify=settings.verify_statistics,
    )


def _snowflake(settings: Settings, landing: Landing) -> Warehouse:
    from ingest.warehouses.snowflake import open_snowflake  # noqa: PLC0415  (imported when chosen)

    return open_snowflake(settings, landing.stand_by)


def setup_sql(settings: Settings, *, pii: bool) -> str:
    """Return the SQL that sets the warehouse up, or that masks personal data in it.

    Raises SettingsError for a warehouse that needs none.
    """
    if settings.warehouse not in _SETUP:
        raise SettingsError(
            f"WAREHOUSE: {settings.warehouse} needs no set-up SQL.", hint="Example: WAREHOUSE=snowflake"
        )
    return _SETUP[settings.warehouse](settings, pii)


def _snowflake_sql(settings: Settings, pii: bool) -> str:  # noqa: FBT001  (called by position through the table)
    from ingest.warehouses.snowflake import names_of, setup  # noqa: PLC0415  (imported when chosen)

    names = names_of(settings)
    return setup.optional_pii(names) if pii else setup.script(names)


_SETUP = {"snowflake": _snowflake_sql}
_REGISTRY = {"duckdb": _duckdb, "snowflake": _snowflake}
