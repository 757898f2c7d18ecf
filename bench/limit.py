"""The limit: plain DuckDB SQL over local copies that leaves the same rows, and the download of the same blobs alone.

No checkpoint table, no lease, no footers, no contract, no memory limit. What it keeps: the newest row of each key by
seq_num, the lineage columns, one transaction for a group, everything in the database file at the end.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb
from azure.storage.blob import ContainerClient

from ingest.datasets import DATASETS, Dataset

_LINEAGE = (
    "_blob_name VARCHAR, _version BIGINT, _sequence BIGINT, _sequence_end BIGINT, _row_number BIGINT, "
    "_loaded_at TIMESTAMP"
)
_TYPES = {"STRING": "VARCHAR", "INTEGER": "BIGINT", "BOOLEAN": "BOOLEAN", "TIMESTAMP": "TIMESTAMP"}


@contextmanager
def database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database file as one would who has the machine to himself; it is checkpointed at the end."""
    with duckdb.connect(str(path), config={"threads": 2, "preserve_insertion_order": "false"}) as connection:
        connection.execute("SET checkpoint_threshold = '256MB'")
        yield connection


def initial(path: Path, files: Sequence[Path]) -> float:
    """Load the first sync into an empty database; return seconds."""
    started = time.perf_counter()
    with database(path) as connection:
        for name in ("deliveries", "metrics", "people"):
            of_dataset = [file for file in files if file.name.startswith(name)]
            if of_dataset:
                _create(connection, DATASETS[name])
                _insert_newest(connection, DATASETS[name], of_dataset)
    return time.perf_counter() - started


def group(path: Path, files: Sequence[Path]) -> float:
    """Load changesets of deliveries as one group; return seconds."""
    started = time.perf_counter()
    with database(path) as connection:
        merge(connection, files)
    return time.perf_counter() - started


def merge(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Bring changesets of deliveries into their table in one transaction: DELETE USING, INSERT what nothing beats."""
    dataset = DATASETS["deliveries"]
    key = " AND ".join(f"stored.{name} = batch.{name}" for name in dataset.key)
    connection.execute("BEGIN")
    if len(files) == 1:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE batch AS {_newest(dataset, files)}")
    else:  # of several ways tried the fastest for many rows
        connection.execute(f"CREATE OR REPLACE TEMP TABLE arrived AS {_rows(dataset, files)}")
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE batch AS SELECT * FROM arrived WHERE rowid IN "
            f"(SELECT arg_max(rowid, {dataset.recency}) FROM arrived GROUP BY {', '.join(dataset.key)})"
        )
    connection.execute(
        f"DELETE FROM {dataset.name} AS stored USING batch WHERE {key} AND stored.seq_num <= batch.seq_num"
    )
    connection.execute(
        f"INSERT INTO {dataset.name} SELECT * FROM batch "
        f"WHERE NOT EXISTS (SELECT 1 FROM {dataset.name} AS stored WHERE {key} AND stored.seq_num > batch.seq_num)"
    )
    connection.execute("COMMIT")


def merge_statement(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Bring one changeset in with the statement one would write first: MERGE, newest of each key."""
    dataset = DATASETS["deliveries"]
    key = " AND ".join(f"stored.{name} = batch.{name}" for name in dataset.key)
    connection.execute(
        f"MERGE INTO {dataset.name} AS stored USING ({_newest(dataset, [file])}) AS batch ON {key} "
        "WHEN MATCHED AND batch.seq_num >= stored.seq_num THEN UPDATE WHEN NOT MATCHED THEN INSERT"
    )


def download(container: ContainerClient, names: Sequence[str], folder: Path) -> float:
    """Copy blobs into a folder, two at a time; return seconds."""
    folder.mkdir(parents=True, exist_ok=True)

    def copy(name: str) -> None:
        with (folder / name).open("wb") as file:
            container.download_blob(name).readinto(file)

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(copy, names))
    return time.perf_counter() - started


def _create(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    columns = ", ".join(f'"{column.name}" {_TYPES[column.kind]}' for column in dataset.columns if column.since == 1)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {dataset.name} ({columns}, {_LINEAGE})")


def _rows(dataset: Dataset, files: Sequence[Path]) -> str:
    columns = ", ".join(
        f'parquet."{column.name}"::{_TYPES[column.kind]} AS "{column.name}"'
        for column in dataset.columns
        if column.since == 1
    )
    origin = ", ".join(
        f"({file.name!r}, {str(file)!r}, 4, {sequence}, {end})"
        for file in files
        for sequence, end in [sequences(file.name)]
    )
    paths = ", ".join(repr(str(file)) for file in files)
    return (
        f"SELECT {columns}, origin.name AS _blob_name, origin.version AS _version, origin.sequence AS _sequence, "
        "origin.sequence_end AS _sequence_end, file_row_number + 1 AS _row_number, now()::TIMESTAMP AS _loaded_at "
        f"FROM read_parquet([{paths}], filename = '_path', file_row_number = true) AS parquet "
        f"JOIN (VALUES {origin}) AS origin(name, path, version, sequence, sequence_end) ON origin.path = parquet._path"
    )


def _newest(dataset: Dataset, files: Sequence[Path]) -> str:
    return (
        f"{_rows(dataset, files)} QUALIFY row_number() OVER (PARTITION BY {', '.join(dataset.key)} "
        f"ORDER BY {dataset.recency} DESC, _sequence DESC, _row_number DESC) = 1"
    )


def _insert_newest(connection: duckdb.DuckDBPyConnection, dataset: Dataset, files: Sequence[Path]) -> None:
    """Insert the newest row of each key. Keys that come twice are looked for first: as a rule there are none."""
    paths = ", ".join(repr(str(file)) for file in files)
    key = ", ".join(dataset.key)
    twice = connection.execute(
        f"SELECT 1 FROM read_parquet([{paths}]) GROUP BY hash({key}) HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    query = _rows(dataset, files) if twice is None else _newest(dataset, files)
    connection.execute(f"INSERT INTO {dataset.name} {query}")


def sequences(name: str) -> tuple[int, str]:
    """Return the sequence of a file name, and the second one as SQL."""
    numbers = re.findall(r"_(\d{7,})", name.removesuffix(".parquet"))
    return int(numbers[0]), numbers[1] if len(numbers) > 1 else "NULL::BIGINT"


def loop(path: Path, files: Sequence[Path], at_most: float) -> tuple[int, float]:
    """MERGE file after file with DuckDB's own settings, until `at_most` seconds are over; return files and seconds."""
    started = time.perf_counter()
    count = 0
    with duckdb.connect(str(path), config={"threads": 2}) as connection:
        for file in files:
            if time.perf_counter() - started > at_most:
                break
            merge_statement(connection, file)
            count += 1
    return count, time.perf_counter() - started


def one_by_one(path: Path, container: ContainerClient, files: Sequence[Path], folder: Path) -> list[float]:
    """Download and bring in file after file over one open connection; return milliseconds."""
    spent = []
    with database(path) as connection:
        for file in files:
            started = time.perf_counter()
            download(container, [file.name], folder)
            merge(connection, [folder / file.name])
            spent.append((time.perf_counter() - started) * 1000)
    return spent


def main(mode: str, database_path: str, copies: str, files: Sequence[Path]) -> object:
    """Do one of the above, as `python -m bench.limit <mode> <database> <folder> <file>...`; JSON on stdout."""
    path = Path(database_path)
    match mode:
        case "initial":
            return initial(path, files)
        case "group":
            return group(path, files)
        case "loop":
            return loop(path, files, at_most=60)
    container = ContainerClient.from_connection_string(os.environ["EXPORT_STORAGE"], os.environ["EXPORT_CONTAINER"])
    if mode == "download":
        return download(container, [file.name for file in files], Path(copies))
    return one_by_one(path, container, files, Path(copies))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], [Path(file) for file in sys.argv[4:]])))
