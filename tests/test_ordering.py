"""Prove the order of files and the bounds of a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.arrivals import Arrival
from ingest.ordering import halves, is_late, next_batch, order_key
from tests import factories
from tests.test_naming import export_names

SIZES = st.lists(st.integers(0, 10), max_size=12)


def arrivals(sizes: list[int]) -> list[Arrival]:
    return [factories.arrival(factories.name(sequence=number), size=size) for number, size in enumerate(sizes)]


@given(SIZES, st.integers(1, 5), st.integers(1, 20))
def test_a_batch_is_the_longest_prefix_within_both_bounds(sizes: list[int], max_files: int, max_bytes: int) -> None:
    pending = arrivals(sizes)
    batch = next_batch(pending, max_files=max_files, max_bytes=max_bytes)

    def fits(count: int) -> bool:
        return count <= max_files and sum(sizes[:count]) <= max_bytes

    assert list(batch) == pending[: len(batch)]
    assert bool(batch) == bool(pending)
    assert len(batch) <= 1 or fits(len(batch))
    assert len(batch) == len(pending) or not fits(len(batch) + 1)


def test_a_batch_reads_no_further_than_it_must() -> None:
    pending = iter(arrivals([1] * 9))
    next_batch(pending, max_files=3, max_bytes=100)
    assert len(list(pending)) == 5


@given(st.lists(st.integers(), min_size=2))
def test_halves_keep_the_order_and_get_smaller(batch: list[int]) -> None:
    first, second = halves(batch)
    assert [*first, *second] == batch
    assert first
    assert second


@given(export_names(), export_names())
def test_the_order_is_total(one: object, other: object) -> None:
    assert isinstance(one, type(other))
    assert (order_key(one) == order_key(other)) == (one == other)  # type: ignore[arg-type]


@given(export_names(), st.integers(0, 5), st.integers(1, 5))
def test_of_one_sequence_the_one_without_a_second_comes_first(name: object, end: int, more: int) -> None:
    without = replace(name, sequence_end=None, digits_end=1)  # type: ignore[type-var]
    ends = [replace(without, sequence_end=number) for number in (end, end + more)]
    keys = [order_key(each) for each in (without, *ends)]  # type: ignore[arg-type]
    assert keys == sorted(keys)
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("name", "high", "late"),
    [
        ("people_v4_1_5.parquet", None, False),
        ("people_v4_1_5.parquet", "people_v4_1_4.parquet", False),
        ("people_v4_1_5.parquet", "people_v4_1_6.parquet", True),
        ("people_v4_1_10.parquet", "people_v4_1_9.parquet", False),
        ("people_v4_1_9.parquet", "people_v5_1_1.parquet", True),
        ("people_v4_1_5.parquet", "people_v4_1_5_1.parquet", True),
        ("people_v4_1_5.parquet", "people_v4_1_5.parquet", False),
        ("people_v4_1_5.parquet", "people_v4_chngs_1_5.parquet", False),
        ("a/people_v4_1_5.parquet", "b/people_v4_1_5.parquet", False),
    ],
)
def test_late_is_what_comes_after_a_higher_sequence(name: str, high: str | None, late: bool) -> None:
    assert is_late(factories.arrival(name).name, high and order_key(factories.arrival(high).name)) is late
