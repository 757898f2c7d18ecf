"""What a statement answers, and its form on the wire."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from fakesnow.arrow import to_ipc, to_sf
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.rowtype import ColumnInfo, describe_as_rowtype

UNKNOWN, SELECT, INSERT, UPDATE, DELETE, MERGE, COPY = 0x0000, 0x1000, 0x3100, 0x3200, 0x3300, 0x3400, 0x3600
SHOW, DESCRIBE, TRANSACTION, DDL = 0x4400, 0x4500, 0x5000, 0x6000
DATA_CHANGES = (INSERT, UPDATE, DELETE, MERGE)

WHOLE_NUMBERS = {"TINYINT", "SMALLINT", "UTINYINT", "USMALLINT", "UINTEGER"}
UTC_OFFSET = 1440  # as minutes east of UTC, plus a day
NESTED = re.compile(r"(\[\d*\]|^(STRUCT|MAP|UNION|VARIANT).*)$")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows with their Snowflake types; `affected` counts changed rows, `upload` is PUT's."""

    table: pa.Table
    rowtype: list[ColumnInfo]
    type_id: int = SELECT
    affected: int | None = None
    upload: dict[str, Any] | None = None

    @property
    def rows(self) -> int:
        """Count what the transcript reports: rows changed, else rows returned."""
        return self.table.num_rows if self.affected is None else self.affected


def of_last_query(cursor: duckdb.DuckDBPyConnection, type_id: int = SELECT) -> Answer:
    """Take the result that waits on a DuckDB cursor."""
    described = [(name, str(kind)) for name, kind, *_ in cursor.description]
    return of_arrow(cursor.to_arrow_table(), described, type_id)


def of_fakesnow(cursor: FakeSnowflakeCursor, duck: duckdb.DuckDBPyConnection, type_id: int) -> Answer:
    """Take the result that fakesnow read from its DuckDB cursor."""
    return of_arrow(cursor._arrow_table, [(name, str(kind)) for name, kind, *_ in duck.description], type_id)


def of_arrow(table: pa.Table, described: Sequence[tuple[str, str]], type_id: int) -> Answer:
    """Give columns of DuckDB types the types of Snowflake."""
    rows = [(name, snowflake_known(kind), None, None, None, None) for name, kind in described]
    return Answer(table, describe_as_rowtype(rows), type_id)


def snowflake_known(kind: str) -> str:
    """Replace a DuckDB type that Snowflake has not by one that it has."""
    if kind in WHOLE_NUMBERS:
        return "INTEGER"
    if kind in {"FLOAT", "REAL"}:
        return "DOUBLE"
    if kind in {"UUID", "INTERVAL", "BIT"} or kind.startswith("ENUM"):
        return "VARCHAR"
    if kind.startswith("TIMESTAMP_"):
        return "TIMESTAMP"
    return "JSON" if NESTED.search(kind) else kind


def of_texts(columns: Sequence[str], rows: Sequence[Sequence[Any]], type_id: int = UNKNOWN) -> Answer:
    """Make a small table of texts and whole numbers."""
    names, kinds, arrays = [], [], []
    for at, name in enumerate(columns):
        values = [row[at] for row in rows]
        whole = any(isinstance(value, int) for value in values)
        arrays.append(pa.array(values, pa.int64() if whole else pa.string()))
        names.append(name)
        kinds.append((name, "BIGINT" if whole else "VARCHAR"))
    return of_arrow(pa.table(arrays, names=names), kinds, type_id)


def done(text: str = "Statement executed successfully.", type_id: int = UNKNOWN) -> Answer:
    """Answer with one line of status."""
    return of_texts(["status"], [[text]], type_id)


def changed(type_id: int, counts: Mapping[str, int]) -> Answer:
    """Answer a change of data with its counts of rows."""
    affected = sum(count for name, count in counts.items() if "multi-joined" not in name)
    plain = of_texts(list(counts), [list(counts.values())], type_id)
    return Answer(plain.table, plain.rowtype, type_id, affected)


def payload(answer: Answer) -> dict[str, Any]:
    """Write an answer as the connector reads it: counts as JSON, all else as Arrow."""
    if answer.upload is not None:
        return answer.upload
    common: dict[str, Any] = {
        "rowtype": answer.rowtype,
        "total": answer.table.num_rows,
        "returned": answer.table.num_rows,
        "statementTypeId": answer.type_id,
        "parameters": [{"name": "TIMEZONE", "value": "UTC"}],
    }
    if answer.type_id in DATA_CHANGES:
        rows = [[None if value is None else str(value) for value in row.values()] for row in answer.table.to_pylist()]
        return common | {"queryResultFormat": "json", "rowset": rows}
    return common | {"queryResultFormat": "arrow", "rowsetBase64": arrow_text(answer)}


def arrow_text(answer: Answer) -> str:
    """Write the rows as an Arrow stream in base 64; nothing for no rows, as the service does."""
    if not answer.table.num_rows:
        return ""
    return b64encode(to_ipc(to_sf(plain_types(answer.table, answer.rowtype), answer.rowtype))).decode()


def plain_types(table: pa.Table, rowtype: list[ColumnInfo]) -> pa.Table:
    """Bring columns to the few Arrow types the connector reads."""
    columns = [plain(column.combine_chunks(), info) for column, info in zip(table.columns, rowtype, strict=True)]
    return pa.table(columns, names=[f"c{at}" for at in range(len(columns))]).rename_columns(table.column_names)


def plain(column: pa.Array, info: ColumnInfo) -> pa.Array:
    """Widen numbers, bring instants to microseconds, write nested values as text."""
    kind = column.type
    if pa.types.is_integer(kind) and kind not in (pa.int32(), pa.int64()):
        return column.cast(pa.int64())
    if info["type"] == "fixed" and pa.types.is_string(kind):
        return column.cast(pa.int64())
    if pa.types.is_float32(kind):
        return column.cast(pa.float64())
    if pa.types.is_timestamp(kind):
        return instants(column)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_nested(kind) or info["type"] in {"text", "variant"}:
        return column if pa.types.is_string(kind) else pa.array([as_text(v) for v in column.to_pylist()], pa.string())
    return column


def instants(column: pa.Array) -> pa.Array:
    """Write instants as Snowflake's records of seconds, nanoseconds and offset; fakesnow's lose the NULLs."""
    micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    seconds = pc.cast(pc.divide(pc.subtract(micros, fraction_of(micros)), 1_000_000), pa.int64())
    nanos = pc.cast(pc.multiply(fraction_of(micros), 1000), pa.int32())
    arrays, names = [seconds, nanos], ["epoch", "fraction"]
    if column.type.tz:
        arrays.append(pa.array([UTC_OFFSET] * len(column), pa.int32()))
        names.append("timezone")
    return pa.StructArray.from_arrays(arrays, names, mask=column.is_null())


def fraction_of(micros: pa.Array) -> pa.Array:
    """Give the microseconds after the full second, before 1970 too."""
    rest = pc.subtract(micros, pc.multiply(pc.divide(micros, 1_000_000), 1_000_000))
    return pc.if_else(pc.less(rest, 0), pc.add(rest, 1_000_000), rest)


def as_text(value: Any) -> str | None:
    """Write a value that has no Snowflake type as text."""
    return None if value is None else str(value)
