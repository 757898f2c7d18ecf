"""The limit for Snowflake: one COPY and one MERGE as one would write them by hand, over an open connection.

No checkpoint table, no lease, no footers, no contract, no look at what COPY says. What it keeps: the newest row of each
key by seq_num, and the lineage columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from snowflake.connector.cursor import SnowflakeCursor

from bench.comparison import Different
from ingest.datasets import DATASETS, LINEAGE

TABLE, STAGED = "by_hand", "by_hand_staged"
_TYPES = {
    "STRING": "VARCHAR",
    "INTEGER": "NUMBER(19, 0)",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP_NTZ(6)",
}
_DATASET = DATASETS["deliveries"]
_SOURCE = [column for column in _DATASET.columns if column.since == 1]
_SEQUENCE = "SPLIT_PART(SPLIT_PART(_file, '.', 1), '_', 4)::NUMBER(19, 0)"
_FROM = {
    "_blob_name": "_file",
    "_version": "4",
    "_sequence": _SEQUENCE,
    "_sequence_end": "NULL::NUMBER(19, 0)",
    "_row_number": "_row",
    "_loaded_at": "SYSDATE()",
}


def create(cursor: SnowflakeCursor) -> None:
    """Create the table anew."""
    columns = ", ".join(f"{column.name} {_TYPES[column.kind]}" for column in (*_SOURCE, *LINEAGE))
    cursor.execute(f"CREATE OR REPLACE TABLE {TABLE} ({columns})")


def load(cursor: SnowflakeCursor, stage: str, names: Sequence[str]) -> None:
    """Load the files."""
    empty_staged(cursor)
    copy_and_merge(cursor, stage, names)


def empty_staged(cursor: SnowflakeCursor) -> None:
    """Create the table into which the files are copied anew."""
    columns = ", ".join(f"{column.name} {_TYPES[column.kind]}" for column in _SOURCE)
    cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE {STAGED} ({columns}, _file VARCHAR, _row NUMBER(19, 0))")


def copy_and_merge(cursor: SnowflakeCursor, stage: str, names: Sequence[str]) -> None:
    """Load the files with one COPY and one MERGE."""
    cursor.execute(_copy(stage, names))
    cursor.execute(_merge())


def compare(cursor: SnowflakeCursor, table: str) -> int:
    """Return how many rows the table and the one by hand have in common. Raises Different."""
    columns = ", ".join(column.name for column in _SOURCE)
    mine, theirs = f"SELECT {columns} FROM {table}", f"SELECT {columns} FROM {TABLE}"
    rows = [_count(cursor, query) for query in (mine, theirs)]
    extra = [_count(cursor, query) for query in (f"{mine} EXCEPT {theirs}", f"{theirs} EXCEPT {mine}")]
    if rows[0] != rows[1] or any(extra):
        raise Different(f"{rows[0]} rows of ours, {rows[1]} by hand; {extra[0]} only here, {extra[1]} only there")
    return rows[0]


def _copy(stage: str, names: Sequence[str]) -> str:
    taken = ", ".join(f'$1:"{column.name}"::{_TYPES[column.kind]}' for column in _SOURCE)
    files = ", ".join(f"'{name}'" for name in names)
    columns = ", ".join([column.name for column in _SOURCE] + ["_file", "_row"])
    return (
        f"COPY INTO {STAGED} ({columns}) FROM (SELECT {taken}, METADATA$FILENAME, METADATA$FILE_ROW_NUMBER FROM @{stage}) "
        f"FILES = ({files}) FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)"
    )


def _merge() -> str:
    names = [column.name for column in (*_SOURCE, *LINEAGE)]
    lineage = ", ".join(f"{expression} AS {name}" for name, expression in _FROM.items())
    key = ", ".join(_DATASET.key)
    same = " AND ".join(f"stored.{name} = incoming.{name}" for name in _DATASET.key)
    recency = _DATASET.recency
    return (
        f"MERGE INTO {TABLE} AS stored USING ("
        f"SELECT {', '.join(column.name for column in _SOURCE)}, {lineage} FROM {STAGED} "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {recency} DESC, {_SEQUENCE} DESC, _row DESC) = 1"
        f") AS incoming ON {same} "
        f"WHEN MATCHED AND incoming.{recency} >= stored.{recency} THEN UPDATE SET "
        + ", ".join(f"stored.{name} = incoming.{name}" for name in names)
        + f" WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
        f"VALUES ({', '.join(f'incoming.{name}' for name in names)})"
    )


def _count(cursor: SnowflakeCursor, query: str) -> int:
    row = cursor.execute(f"SELECT COUNT(*) FROM ({query})").fetchone()  # type: ignore[union-attr]
    assert isinstance(row, tuple)
    return int(row[0])
