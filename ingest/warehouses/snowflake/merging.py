"""The statements that bring a staged batch into its table, so that the newest row of each key stays."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.datasets import LINEAGE, Column, Dataset
from ingest.warehouses.snowflake.columns import quoted
from ingest.warehouses.snowflake.staging import FILE, ROW

FILES = """
    SELECT
        file.value:path::VARCHAR AS path,
        file.value:container::VARCHAR AS container,
        file.value:blob_name::VARCHAR AS blob_name,
        file.value:etag::VARCHAR AS etag,
        file.value:version::NUMBER(19, 0) AS version,
        file.value:sequence::NUMBER(19, 0) AS sequence,
        file.value:sequence_end::NUMBER(19, 0) AS sequence_end,
        file.value:late::BOOLEAN AS late,
        file.value:rows_read::NUMBER(19, 0) AS rows_read,
        file.value:undeclared::VARCHAR AS undeclared
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS file
"""
"""What is known of a batch's files beforehand; `path` is what the staging table calls them."""

_ORIGIN = {
    "_blob_name": "files.blob_name",
    "_version": "files.version",
    "_sequence": "files.sequence",
    "_sequence_end": "files.sequence_end",
    "_row_number": f"staged.{ROW}",
    "_loaded_at": "?::TIMESTAMP_NTZ",
}
_RANK = ("_version", "_sequence", "_sequence_end", "_blob_name")
"""What decides after the recency. A row comes again under its own blob's name only when the blob was replaced: then the
newer bytes win the tie."""


def merge(table: str, staging: str, dataset: Dataset, columns: Sequence[Column]) -> str:
    """Return the MERGE; it binds the files as JSON and the time of loading, in the order of its question marks."""
    taken = ",\n        ".join(f"staged.{quoted(column.name)}" for column in columns)
    origin = ",\n        ".join(f"{_ORIGIN[column.name]} AS {column.name}" for column in LINEAGE)
    every = [quoted(column.name) for column in columns] + [column.name for column in LINEAGE]
    key = ", ".join(f"staged.{quoted(name)}" for name in dataset.key)
    recency = [] if dataset.recency is None else [f"staged.{quoted(dataset.recency)} DESC"]
    newest = [
        *recency,
        "files.version DESC",
        "files.sequence DESC",
        "COALESCE(files.sequence_end, -1) DESC",
        "files.blob_name DESC",
        f"staged.{ROW} DESC",
    ]
    return (
        f"MERGE INTO {table} AS stored\n"
        f"USING (\n"
        f"    SELECT\n        {taken},\n        {origin}\n"
        f"    FROM {staging} AS staged\n"
        f"    JOIN ({FILES}    ) AS files ON files.path = staged.{FILE}\n"
        f"    QUALIFY ROW_NUMBER() OVER (\n"
        f"        PARTITION BY {key}\n"
        f"        ORDER BY {', '.join(newest)}\n"
        f"    ) = 1\n"
        f") AS incoming\n"
        f"ON {' AND '.join(f'stored.{quoted(name)} = incoming.{quoted(name)}' for name in dataset.key)}\n"
        f"WHEN MATCHED AND ({_wins(dataset)}) THEN UPDATE SET\n    "
        + ",\n    ".join(f"stored.{name} = incoming.{name}" for name in every)
        + f"\nWHEN NOT MATCHED THEN INSERT (\n    {', '.join(every)}\n) VALUES (\n    "
        + ", ".join(f"incoming.{name}" for name in every)
        + "\n)"
    )


def check_off(schema: str, table: str, staging: str, dataset: Dataset) -> str:
    """Return the UPDATE that writes the batch's checkpoint rows, with how many rows of each file stand in the table.

    Binds the time of loading, the batch's id, the files as JSON, and the time of loading again.
    """
    same_key = " AND ".join(f"stored.{quoted(name)} = staged.{quoted(name)}" for name in dataset.key)
    return (
        f"UPDATE {schema}.ingest_files AS known\n"
        "SET status = 'loaded', late = done.late, rows_read = done.rows_read, rows_applied = done.rows_applied,\n"
        "    loaded_at = ?::TIMESTAMP_NTZ, attempts = known.attempts + 1, error = NULL, batch_id = ?,\n"
        "    undeclared = done.undeclared\n"
        "FROM (\n"
        "    SELECT files.container, files.blob_name, files.etag, files.late, files.rows_read, files.undeclared,\n"
        "        COUNT(stored._blob_name) AS rows_applied\n"
        f"    FROM ({FILES}    ) AS files\n"
        f"    LEFT JOIN {staging} AS staged ON staged.{FILE} = files.path\n"
        f"    LEFT JOIN {table} AS stored\n"
        f"        ON {same_key}\n"
        f"        AND stored._blob_name = files.blob_name AND stored._row_number = staged.{ROW}\n"
        "        AND stored._loaded_at = ?::TIMESTAMP_NTZ\n"
        "    GROUP BY files.container, files.blob_name, files.etag, files.late, files.rows_read, files.undeclared\n"
        ") AS done\n"
        "WHERE known.container = done.container AND known.blob_name = done.blob_name AND known.etag = done.etag\n"
        "    AND known.status = 'pending'"
    )


def _wins(dataset: Dataset) -> str:
    """Return when an incoming row beats the stored one: it is newer, or as new in everything."""
    recency = [] if dataset.recency is None else [quoted(dataset.recency)]
    terms = [(f"incoming.{name}", f"stored.{name}") for name in (*recency, *_RANK)]
    terms = [
        (f"COALESCE({mine}, -1)", f"COALESCE({theirs}, -1)") if "_sequence_end" in mine else (mine, theirs)
        for mine, theirs in terms
    ]
    *decisive, (mine, theirs) = terms
    condition = f"{mine} >= {theirs}"
    for mine, theirs in reversed(decisive):
        condition = f"{mine} > {theirs} OR ({mine} = {theirs} AND ({condition}))"
    return condition
