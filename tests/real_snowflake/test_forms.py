"""Every physical form that a column may have in a file, through the adapter's COPY."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests import factories
from tests.real_snowflake.account import Account, Talk
from tests.real_snowflake.copied import Copying, opened

AT = dt.datetime(2026, 11, 1, 12, 30, 15, 123000)
OLD = dt.datetime(1969, 12, 31, 23, 59, 59, 1000)


@pytest.fixture
def copying(account: Account, talk: Callable[..., Talk], tmp_path: Path) -> Copying:
    """Give the container where there is a stage; COPY reads all the same from either."""
    return opened(account, talk, tmp_path, account.stage)


def staged(copying: Copying, column: str, kind: pa.DataType, values: list[Any], **options: Any) -> list[Any]:
    """Copy one file with a column of a form, and return what came in."""
    rows = factories.table("deliveries", [{"delivery_id": str(number)} for number in range(len(values))])
    array = values if isinstance(values, pa.Array) else pa.array(values, kind)
    if column in rows.column_names:
        rows = rows.drop_columns([column])
    content = factories.encoded(rows.append_column(column, array), **options)
    copied = copying({factories.name(): content})
    assert copied.blamed == {}
    name = f'"{column.upper()}"'
    return [value for (value,) in copied.talk.rows(f"SELECT {name} FROM {copied.table} ORDER BY _ingest_row")]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (pa.timestamp("ms"), {}),
        (pa.timestamp("ms", tz="UTC"), {}),
        (pa.timestamp("us"), {}),
        (pa.timestamp("us", tz="UTC"), {}),
        (pa.timestamp("us", tz="Europe/Berlin"), {"store_schema": True}),
        (pa.timestamp("ns"), {"version": "2.6"}),
        (pa.timestamp("ns", tz="UTC"), {"version": "2.6"}),
        (pa.timestamp("ns"), {"use_deprecated_int96_timestamps": True}),
    ],
    ids=["ms", "ms UTC", "us", "us UTC", "us Berlin", "ns", "ns UTC", "INT96"],
)
def test_instants(copying: Copying, kind: pa.DataType, options: dict[str, Any]) -> None:
    instants = pa.array([AT, OLD, dt.datetime(1970, 1, 1)], pa.timestamp("us"))
    array = instants.cast(pa.timestamp(kind.unit)).cast(pa.int64()).cast(kind)
    assert staged(copying, "created_at", kind, array, **options) == instants.to_pylist()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int8(), [-128, None]),
        (pa.int16(), [-5, 5]),
        (pa.int32(), [-(2**31), 2**31 - 1]),
        (pa.int64(), [-(2**63), 2**63 - 1]),
        (pa.uint8(), [255, 0]),
        (pa.uint32(), [2**32 - 1, 0]),
        (pa.uint64(), [2**63 - 1, 2**53 + 1]),
        (pa.null(), [None, None]),
    ],
    ids=str,
)
def test_integers(copying: Copying, kind: pa.DataType, values: list[Any]) -> None:
    assert staged(copying, "campaign_id", kind, values) == values


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["ü😀", "", None, "a'b\\c\n", "2026-11-01", "1e3", "null", "true", "\\N"]),
        (pa.large_string(), ["ü😀", "", None]),
        (pa.dictionary(pa.int32(), pa.string()), ["a", "", None, "a"]),
        (pa.null(), [None, None]),
    ],
    ids=["string", "large string", "dictionary", "null"],
)
def test_texts(copying: Copying, kind: pa.DataType, values: list[Any]) -> None:
    assert staged(copying, "subject_id", kind, values) == values


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())], ids=str)
def test_bytes_are_text(copying: Copying, kind: pa.DataType) -> None:
    assert staged(copying, "subject_id", kind, ["ü".encode(), b"", None]) == ["ü", "", None]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.string())], ids=str)
def test_lists_of_texts(copying: Copying, kind: pa.DataType) -> None:
    found = staged(copying, "topics", kind, [["a", None, "b"], [], None, ["", 'q"']])
    assert [value and json.loads(value) for value in found[:1]] == [["a", None, "b"]]
    assert [None if value is None else json.loads(value) for value in found] == [["a", None, "b"], [], None, ["", 'q"']]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.struct([("a", pa.list_(pa.int64())), ("b", pa.string())]), {"a": [1, 2], "b": "ü"}),
        (pa.list_(pa.int64()), [1, 2]),
        (pa.list_(pa.struct([("a", pa.int64())])), [{"a": 1}]),
    ],
    ids=["struct", "list of numbers", "list of structs"],
)
def test_nested_values_are_json_text(copying: Copying, kind: pa.DataType, value: Any) -> None:
    found, nothing = staged(copying, "more", kind, [value, None])
    assert json.loads(found) == value
    assert nothing is None


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.float32(), [0.5, None]),
        (pa.float64(), [0.1, -1e300]),
        (pa.decimal128(10, 2), [decimal.Decimal("12.25"), None]),
        (pa.bool_(), [True, False, None]),
    ],
    ids=str,
)
def test_added_numbers_and_switches(copying: Copying, kind: pa.DataType, values: list[Any]) -> None:
    assert staged(copying, "score", kind, values) == values


def test_dates_are_texts(copying: Copying, seen: Callable[[Any], None]) -> None:
    (day,) = staged(copying, "day", pa.date32(), [AT.date()])
    seen(repr(day))
    assert "2026-11-01" in day


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli"])
def test_compressions(copying: Copying, compression: str) -> None:
    assert staged(copying, "subject_id", pa.string(), ["a" * 1000, "b"], compression=compression) == ["a" * 1000, "b"]


@pytest.mark.parametrize("called", ["so called", 'q"uote', "ü", "select", "Mixed", "a.b", "a:b", "$1"])
def test_columns_called_anything(copying: Copying, called: str) -> None:
    rows = factories.table("deliveries").append_column(called, pa.array(["x"]))
    copied = copying({factories.name(): factories.encoded(rows)})
    assert copied.blamed == {}
    stored = called.upper() if called == "select" else called
    quoted = stored.replace('"', '""')
    assert copied.staged(f'"{quoted}"') == [("x",)]
