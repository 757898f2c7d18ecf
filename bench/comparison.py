"""Whether two database files hold the same rows: every source column, both ways, duplicates counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ingest.datasets import DATASETS


class Different(Exception):
    """Two loaders left different rows; the message says in which table and how many."""


def same(ours: Path, other: Path, tables: Sequence[str], schema: str = "main") -> int:
    """Return how many rows were compared. Raises Different."""
    rows = 0
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"ATTACH '{ours}' AS ours (READ_ONLY)")
        connection.execute(f"ATTACH '{other}' AS other (READ_ONLY)")
        for table in tables:
            columns = ", ".join(
                f'make_timestamp(epoch_us("{column.name}"))' if column.kind == "TIMESTAMP" else f'"{column.name}"'
                for column in DATASETS[table].columns
                if column.since == 1
            )
            first, second = (
                f"SELECT {columns} FROM ours.customerio.{table}",
                f"SELECT {columns} FROM other.{schema}.{table}",
            )
            for left, right, who in ((first, second, "only here"), (second, first, "only there")):
                extra = _one(connection, f"SELECT count(*) FROM (({left}) EXCEPT ALL ({right}))")
                if extra:
                    raise Different(f"{table}: {extra} rows {who} ({ours.name} against {other.name})")
            rows += _one(connection, f"SELECT count(*) FROM ({first})")
    return rows


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
