"""Vary the rows of a file: a new column from some moment on, other values under the same name."""

import numpy as np
import pyarrow as pa

from local.simulator.columns import instants, integers, words
from local.simulator.identifiers import Column
from local.simulator.schemas import ADDED, SCHEMAS

_REWRITTEN_COLUMN = {
    "deliveries": "content_id",
    "delivery_content": "preheader",
    "metrics": "reason",
    "outputs": "explanation",
    "subjects": "trigger_id",
    "people": "email_addr",
    "attributes": "attribute_value",
}


def with_added_column(rng: np.random.Generator, table: pa.Table, dataset: str) -> pa.Table:
    """Add the column that a later version of the export might add, with values, nulls and empty text."""
    field = ADDED[dataset]
    drawn = rng.integers(0, 3, table.num_rows)
    mask = drawn == 0
    if pa.types.is_timestamp(field.type):
        column = instants(drawn * 86_400_000_000 + 1_767_225_600_000_001, ~mask)
    elif pa.types.is_int64(field.type):
        column = integers(drawn, ~mask)
    elif pa.types.is_boolean(field.type):
        column = pa.array(drawn == 1, mask=mask)
    else:
        column = words(["", "first", "second"], drawn, ~mask)
    return table.append_column(field, column)


def rewritten(rng: np.random.Generator, table: pa.Table, dataset: str) -> pa.Table:
    """Change values, and the recency of half the rows: by tie or by number, the rewritten rows are newer.

    The keys stay, so an ingestor that never saw the first content ends with the same tables.
    """
    name = _REWRITTEN_COLUMN[dataset]
    if name in table.column_names:
        kind = SCHEMAS[dataset].field(name).type
        value = 7 if pa.types.is_int64(kind) else "rewritten"
        table = _with(table, name, pa.repeat(pa.scalar(value, kind), table.num_rows))
    raised = rng.integers(0, 2, table.num_rows)
    if "seq_num" in table.column_names:
        table = _with(table, "seq_num", pa.array(table.column("seq_num").to_numpy() + raised))
    if dataset == "people":
        moved = table.column("updated_at").cast(pa.int64()).to_numpy() + raised * 1_000_000
        table = _with(table, "updated_at", instants(moved))
    return table


def _with(table: pa.Table, name: str, column: Column) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), column)
