"""Say what Customer.io wrote in a history, as bytes and as the rows they hold; and replay it into a dict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tests import factories

KEYS = {"deliveries": "delivery_id", "delivery_content": "delivery_id", "people": "internal_customer_id"}
RECENCY = {"deliveries": "seq_num", "delivery_content": None, "people": "updated_at"}
WORDS = {"deliveries": "subject_id", "delivery_content": "subject", "people": "email_addr"}
"""A column of each that holds a text no other row has: it says which row stands in the table."""

Key = tuple[int, int, int, str]


@dataclass(frozen=True)
class Row:
    """One row as it was written: its key, its recency, its text."""

    key: str
    recency: int
    words: str


@dataclass(frozen=True)
class Written:
    """One blob at one ETag. `number` counts the writes; `rows` is None for a file that must be rejected."""

    name: str
    etag: str
    number: int
    dataset: str
    order: Key
    rows: tuple[Row, ...] | None


def replayed(files: Iterable[Written], dataset: str) -> dict[str, str]:
    """Load every file once, in ascending order, into a dict: the whole truth in six lines."""
    table: dict[str, tuple[int, str]] = {}
    for file in sorted(files, key=lambda file: (file.order, file.number)):
        for row in file.rows or ():
            if file.dataset == dataset and row.recency >= table.get(row.key, (-1, ""))[0]:
                table[row.key] = (row.recency, row.words)
    return {key: words for key, (_, words) in table.items()}


def values(dataset: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Spell rows out as the dataset's columns."""
    spelt = []
    for row in rows:
        columns: dict[str, Any] = {KEYS[dataset]: row.key, WORDS[dataset]: row.words}
        recency = RECENCY[dataset]
        if recency is not None:
            columns[recency] = (
                row.recency if recency == "seq_num" else factories.START + timedelta(microseconds=row.recency)
            )
        spelt.append(columns)
    return spelt


def content(dataset: str, rows: Iterable[Row]) -> bytes:
    return factories.parquet(dataset, values(dataset, rows))


def spoilt(dataset: str, rows: tuple[Row, ...], how: str) -> bytes:
    """Give a file that must be rejected, whatever else is in its batch."""
    required = {"deliveries": "delivery_type", "delivery_content": "body", "people": "customer_id"}[dataset]
    optional = {"deliveries": "campaign_id", "delivery_content": "campaign_id", "people": "extra"}[dataset]
    rows = rows or (Row("a", 0, "spoilt"),)
    good = content(dataset, rows)
    match how:
        case "empty":
            return b""
        case "cut":
            return good[: len(good) // 2]
        case "blotted":
            return factories.blotted(good)
        case "wrong type":
            text = [{**row, "workspace_id": "1"} for row in values(dataset, rows)]
            return factories.parquet(dataset, text, types={"workspace_id": pa.string()})
        case "missing column":
            return factories.parquet(dataset, values(dataset, rows), drop=(required,))
        case "hidden null":
            nulls = [{**row, required: None} for row in values(dataset, rows[:1])] + values(dataset, rows[1:])
            return factories.parquet(dataset, nulls, write_statistics=False)
        case _:
            large = [{**row, optional: 2**64 - 1} for row in values(dataset, rows)]
            return factories.parquet(dataset, large, types={optional: pa.uint64()})


NAMES = st.one_of(
    st.builds(
        lambda stem, sequence, end, version, folder: (
            stem.replace("contents", "content"),
            (version, sequence, -1 if end is None else end),
            factories.name(stem, sequence, end=end, version=version, folder=folder),
        ),
        st.sampled_from(["deliveries", "delivery_content", "delivery_contents"]),
        st.integers(1, 4),
        st.sampled_from([None, None, 8, 9]),
        st.sampled_from([4, 4, 4, 5]),
        st.sampled_from(["", "", "", "moved/"]),
    ),
    st.builds(
        lambda sequence, changes: (
            "people",
            (4, sequence, -1),
            factories.name("people", sequence, changes=changes),
        ),
        st.integers(1, 4),
        st.booleans(),
    ),
)
ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=3)
HOW = st.sampled_from(
    [None] * 16 + ["no rows", "empty", "cut", "blotted", "wrong type", "missing column", "hidden null", "too large"]
)
FILE = st.tuples(NAMES, ROWS, HOW)
"""A name, its rows, and what is wrong with it, if anything."""
FILES = st.lists(FILE, max_size=4)

Name = tuple[str, tuple[int, int, int], str]
File = tuple[Name, list[tuple[str, int]], str | None]
