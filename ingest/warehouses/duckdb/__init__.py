"""DuckDB, the embedded warehouse: one file, one process at a time."""

from ingest.warehouses.duckdb.warehouse import DuckDBWarehouse

__all__ = ["DuckDBWarehouse"]
