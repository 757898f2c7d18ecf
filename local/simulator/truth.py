"""Work out what every table must hold, from the files alone and without the ingestor's code."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from local.simulator.files import Expected, ExportFile
from local.simulator.identifiers import Column
from local.simulator.schemas import ADDED, KEYS, RECENCY, SCHEMAS


def truth(handed_out: Sequence[ExportFile]) -> dict[str, pa.Table]:
    """Return each table as one worker leaves it who loads every accepted file once, in ascending order."""
    files = in_order(handed_out)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {
            dataset: _newest(connection, dataset, [file for file in files if file.dataset == dataset])
            for dataset in SCHEMAS
        }


def in_order(handed_out: Iterable[ExportFile]) -> list[ExportFile]:
    """Sort what must be loaded: by version, sequence, second sequence (none first), name, arrival."""
    accepted = [file for file in handed_out if file.expected is Expected.LOADED]
    # Sorting is stable, so of one name the later arrival comes later.
    return sorted(
        accepted,
        key=lambda file: (
            file.version,
            file.sequence,
            -1 if file.sequence_end is None else file.sequence_end,
            file.name,
        ),
    )


def canonical(table: pa.Table, dataset: str) -> pa.Table:
    """Undo the physical form: the dataset's columns, then any added one, in canonical types.

    Strings are large here, because a column of bodies may pass 2 GB.
    """
    added = ADDED[dataset]
    fields = list(SCHEMAS[dataset]) + ([added] if added.name in table.column_names else [])
    columns: list[Any] = []
    for field in fields:
        kind = pa.large_string() if pa.types.is_string(field.type) else field.type
        if field.name not in table.column_names:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, kind)]))
            continue
        column = table.column(field.name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        columns.append(column.cast(kind))
    return pa.table(columns, names=[field.name for field in fields])


def _newest(connection: duckdb.DuckDBPyConnection, dataset: str, files: Sequence[ExportFile]) -> pa.Table:
    tables = []
    for file in files:
        table = canonical(pq.ParquetFile(io.BytesIO(file.content())).read(), dataset)
        sequence = pa.array(np.full(table.num_rows, file.sequence))
        tables.append(table.append_column("_sequence", sequence))
    added = ADDED[dataset]
    fields = list(SCHEMAS[dataset])
    if any(added.name in table.column_names for table in tables):
        fields.append(added)
    schema = pa.schema(fields)
    if not tables:
        return schema.empty_table()
    rows = pa.concat_tables(tables, promote_options="default").combine_chunks()
    del tables
    winners = _winners(connection, rows, KEYS[dataset], RECENCY[dataset])
    rows = rows.select(schema.names)
    slices = [rows.take(winners.slice(at, 500_000)).cast(schema) for at in range(0, len(winners), 500_000)]
    return pa.concat_tables(slices) if slices else schema.empty_table()


def _winners(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, key: tuple[str, ...], recency: tuple[str, ...]
) -> Column:
    """Return the positions of the newest row of each key, ordered by key.

    The rows lie in file order already, so the position settles every tie.
    """
    narrow = rows.select([*dict.fromkeys((*key, *recency))])
    narrow = narrow.append_column("_position", pa.array(np.arange(len(rows))))
    newest = ", ".join(f"{name} DESC" for name in (*recency, "_position"))
    keys = ", ".join(key)
    connection.register("narrow", narrow)
    found: pa.Table = connection.execute(
        f"SELECT _position FROM narrow QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest}) = 1 "
        f"ORDER BY {keys}"
    ).to_arrow_table()
    connection.unregister("narrow")
    return found.column("_position").combine_chunks()
