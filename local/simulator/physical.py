"""Write tables as parquet in every physical form that a contract must accept."""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Columns of which nearly every value is another one: a dictionary would only cost time.
_UNIQUE = frozenset(
    {
        "delivery_id",
        "event_id",
        "output_id",
        "subject_id",
        "subject_name",
        "customer_id",
        "internal_customer_id",
    }
    | {"email_addr", "recipient", "body", "body_plain", "seq_num", "created_at", "updated_at", "timestamp"}
)


@dataclass(frozen=True, slots=True)
class Physical:
    """How a file stores what it says; the values are the same, except that ms cut off µs."""

    timestamps: Literal["int96", "ms", "us", "ns"] = "us"
    utc: bool = True
    integers: Literal["int32", "int64"] = "int64"  # int32 only where every value fits
    strings: Literal["string", "large_string", "dictionary"] = "string"
    untyped_nulls: bool = False  # columns without any value are stored as the null type
    required: bool = False  # mark required columns REQUIRED, else all are OPTIONAL
    compression: Literal["snappy", "zstd", "gzip", "none"] = "snappy"

    def encode(self, table: pa.Table) -> bytes:
        """Return the table as a parquet file."""
        columns = [self._column(table.column(name)) for name in table.column_names]
        fields = [
            pa.field(field.name, column.type, nullable=field.nullable or not self.required)
            for field, column in zip(table.schema, columns, strict=True)
        ]
        sink = pa.BufferOutputStream()
        pq.write_table(
            pa.Table.from_arrays(columns, schema=pa.schema(fields)),
            sink,
            compression=self.compression,
            use_dictionary=_repetitive(table),
            use_deprecated_int96_timestamps=self.timestamps == "int96",
        )
        content: bytes = sink.getvalue().to_pybytes()
        return content

    def _column(self, column: Any) -> Any:
        kind = column.type
        if self.untyped_nulls and column.null_count == len(column):
            return pa.chunked_array([pa.nulls(len(column))])
        if pa.types.is_timestamp(kind):
            unit = "ns" if self.timestamps == "int96" else self.timestamps
            return column.cast(pa.timestamp(unit, "UTC" if self.utc else None), safe=False)
        if pa.types.is_int64(kind) and self.integers == "int32":
            largest = pc.max(column).as_py()
            return column if largest is not None and largest >= 2**31 else column.cast(pa.int32())
        if pa.types.is_string(kind) and self.strings == "large_string":
            return column.cast(pa.large_string())
        if pa.types.is_string(kind) and self.strings == "dictionary":
            return column.dictionary_encode()
        return column


def _repetitive(table: pa.Table) -> Any:
    """Name the columns worth a dictionary (the stubs of write_table know only true and false)."""
    return [name for name in table.column_names if name not in _UNIQUE]


PLAIN = Physical()
# One of each, for those who want every form in one run.
FORMS = (
    PLAIN,
    Physical(timestamps="int96", strings="dictionary"),
    Physical(timestamps="ms", integers="int32", untyped_nulls=True),
    Physical(timestamps="ms", utc=False, compression="zstd"),
    Physical(timestamps="us", utc=False, strings="large_string", required=True),
    Physical(timestamps="ns", integers="int32", compression="gzip"),
    Physical(timestamps="ns", utc=False, strings="dictionary", untyped_nulls=True, compression="none"),
)
