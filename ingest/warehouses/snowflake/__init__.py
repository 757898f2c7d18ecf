"""Snowflake: the files go from the container into the tables without passing through this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ingest.arrivals import Blob
from ingest.settings import Load, Settings, SignIn
from ingest.warehouses.snowflake import setup, sign_in
from ingest.warehouses.snowflake.names import Names
from ingest.warehouses.snowflake.session import Sessions
from ingest.warehouses.snowflake.staging import Container, OwnStage
from ingest.warehouses.snowflake.warehouse import SnowflakeWarehouse

__all__ = ["SnowflakeWarehouse", "names_of", "open_snowflake", "setup"]


def open_snowflake(settings: Settings, stand_by: Callable[[Blob], None]) -> SnowflakeWarehouse:
    """Return the warehouse; nothing is connected yet. Raises SettingsError where a credential is missing or wrong.

    `stand_by` raises where a blob of the container is no longer there at its ETag.
    """
    names = names_of(settings)
    arguments = sign_in.arguments(settings) | {
        "role": names.role,
        "warehouse": names.warehouse,
        "database": names.database,
    }
    source = (
        Container(f"{names.schema}.{names.stage}", stand_by) if settings.snowflake_load is Load.COPY else OwnStage()
    )
    return SnowflakeWarehouse(
        Sessions(partial(dict, arguments)), names, source, patience=min(_PATIENCE, settings.time_budget_seconds)
    )


def names_of(settings: Settings) -> Names:
    """Return what the objects in the account are called."""
    by_identity = settings.snowflake_sign_in is SignIn.WORKLOAD_IDENTITY
    return Names(
        account=settings.snowflake_account or "<account>",
        user=settings.snowflake_user or settings.snowflake_role,
        role=settings.snowflake_role,
        warehouse=settings.snowflake_warehouse,
        database=settings.snowflake_database,
        schema=settings.warehouse_schema,
        stage=settings.snowflake_stage,
        integration=settings.snowflake_integration,
        landing_url=f"azure://{settings.storage_account}.blob.core.windows.net/{settings.container}/",
        identity=(settings.snowflake_identity or "system-assigned") if by_identity else None,
        load=settings.snowflake_load.value,
    )


_PATIENCE = 120.0
"""Seconds for which one call is tried again: within them a suspended warehouse wakes, and a lock comes free."""
