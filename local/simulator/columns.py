"""Build Arrow columns from numbers: nulls, vocabularies, joined text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from local.simulator.identifiers import Column
from local.simulator.schemas import SCHEMAS, TIMESTAMP

Mask = NDArray[np.bool_]


def integers(values: NDArray[Any], valid: Mask | None = None) -> Column:
    """Make an integer column, null where not valid."""
    return pa.array(values.astype(np.int64), mask=None if valid is None else ~valid)


def instants(values: NDArray[Any], valid: Mask | None = None) -> Column:
    """Make a timestamp column of µs since 1970."""
    made: Column = integers(values, valid).cast(TIMESTAMP)
    return made


def booleans(values: NDArray[Any]) -> Column:
    """Make a boolean column of 1, 0 and -1 for null."""
    made: Column = pa.array(values == 1, mask=values < 0)
    return made


def words(vocabulary: Sequence[str | None], codes: NDArray[Any], valid: Mask | None = None) -> Column:
    """Look codes up in a vocabulary."""
    found: Column = pa.array(vocabulary, pa.string()).take(integers(codes, valid))
    return found


def text(*parts: Any, between: str = "") -> Column:
    """Join columns and constants, row by row."""
    joined: Column = pc.binary_join_element_wise(*parts, between)
    return joined


def numerals(values: NDArray[Any]) -> Column:
    """Write integers in decimal."""
    return pa.array(values.astype(np.int64)).cast(pa.string())


def table(dataset: str, rows: int, columns: Mapping[str, Any]) -> pa.Table:
    """Put columns in the dataset's order; columns not given are null, scalars are repeated."""
    schema = SCHEMAS[dataset]
    arrays = []
    for field in schema:
        value = columns.get(field.name)
        if value is None:
            value = pa.nulls(rows, field.type)
        elif not isinstance(value, pa.Array):
            value = pa.repeat(pa.scalar(value, field.type), rows)
        arrays.append(value)
    return pa.Table.from_arrays(arrays, schema=schema)
