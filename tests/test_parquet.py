"""Prove what the footers of real files say of their columns."""

from __future__ import annotations

from decimal import Decimal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.contract import Field, Footer, Reading
from ingest.datasets import Kind
from ingest.errors import FileUnreadable
from ingest.parquet import read_footer
from local.simulator import DATASETS, FORMS, Misbehaviour, Simulator
from tests import factories
from tests.factories import START

CAST, EMPTY, BINARY, NESTED = Reading.CAST, Reading.EMPTY, Reading.BINARY, Reading.NESTED
NAIVE = START.replace(tzinfo=None)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read_bytes(content: bytes) -> Footer:
        (tmp_path / "file.parquet").write_bytes(content)
        return read_footer(tmp_path / "file.parquet")

    return read_bytes


@pytest.mark.parametrize("options", [{}, {"store_schema": True}], ids=["plain", "with Arrow's schema"])
@pytest.mark.parametrize(
    ("kind", "value", "expected", "reading"),
    [
        (pa.int8(), 1, Kind.INTEGER, CAST),
        (pa.int32(), 1, Kind.INTEGER, CAST),
        (pa.int64(), 2**62, Kind.INTEGER, CAST),
        (pa.uint32(), 2**32 - 1, Kind.INTEGER, CAST),
        (pa.uint64(), 2**64 - 1, Kind.INTEGER, CAST),
        (pa.string(), "x", Kind.STRING, CAST),
        (pa.large_string(), "x", Kind.STRING, CAST),
        (pa.dictionary(pa.int32(), pa.string()), "x", Kind.STRING, CAST),
        (pa.binary(), b"x", Kind.STRING, BINARY),
        (pa.large_binary(), b"x", Kind.STRING, BINARY),
        (pa.bool_(), True, Kind.BOOLEAN, CAST),
        (pa.timestamp("s"), NAIVE, Kind.TIMESTAMP, CAST),
        (pa.timestamp("ms"), NAIVE, Kind.TIMESTAMP, CAST),
        (pa.timestamp("ms", tz="UTC"), START, Kind.TIMESTAMP, CAST),
        (pa.timestamp("us"), NAIVE, Kind.TIMESTAMP, CAST),
        (pa.timestamp("us", tz="UTC"), START, Kind.TIMESTAMP, CAST),
        (pa.timestamp("ns"), NAIVE, Kind.TIMESTAMP, CAST),
        (pa.timestamp("ns", tz="UTC"), START, Kind.TIMESTAMP, CAST),
        (pa.float32(), 0.5, Kind.NUMBER, CAST),
        (pa.float64(), 0.5, Kind.NUMBER, CAST),
        (pa.decimal128(10, 2), Decimal("1.50"), Kind.NUMBER, CAST),
        (pa.list_(pa.string()), ["x"], Kind.STRINGS, CAST),
        (pa.list_(pa.int64()), [1], Kind.STRING, NESTED),
        (pa.struct([("a", pa.int64())]), {"a": 1}, Kind.STRING, NESTED),
        (pa.map_(pa.string(), pa.int64()), [("a", 1)], Kind.STRING, NESTED),
        (pa.date32(), START.date(), Kind.STRING, NESTED),
    ],
    ids=str,
)
def test_every_physical_form_has_its_kind(
    read: Any, kind: pa.DataType, value: Any, expected: Kind, reading: Reading, options: dict[str, Any]
) -> None:
    found = read(factories.encoded(pa.table({"x": pa.array([value, None], kind)}), **options))
    (field,) = found.fields
    assert found.rows == 2
    assert (field.name, field.kind, field.reading) == ("x", expected, reading)


def test_a_null_column_fits_every_kind(read: Any) -> None:
    for options in ({}, {"store_schema": True}):
        (field,) = read(factories.encoded(pa.table({"x": pa.nulls(3)}), **options)).fields
        assert field.kind is None
        assert field.reading is EMPTY


def test_int96_is_an_instant(read: Any) -> None:
    table = pa.table({"x": pa.array([NAIVE], pa.timestamp("ns"))})
    (field,) = read(factories.encoded(table, use_deprecated_int96_timestamps=True)).fields
    assert field.kind == Kind.TIMESTAMP


def test_no_rows_and_no_columns_are_fine(read: Any) -> None:
    assert read(factories.encoded(pa.table({"x": pa.array([], pa.int64())}))).rows == 0
    assert read(factories.encoded(pa.table({}))).fields == ()


GOOD = factories.parquet("deliveries")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"<?xml version='1.0'?><Error/>" * 9,
        GOOD[:-1],
        GOOD[: len(GOOD) // 2],
        GOOD[:-8] + b"\xff\xff\xff\x7fPAR1",
        GOOD[:-500] + bytes(492) + GOOD[-8:],
        bytes(1000),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_what_is_no_whole_parquet_file_is_refused(read: Any, content: bytes) -> None:
    with pytest.raises(FileUnreadable, match="blob is kept"):
        read(content)


def test_no_cut_of_a_file_breaks_the_reader(read: Any) -> None:
    for length in range(0, len(GOOD), 97):
        with pytest.raises(FileUnreadable):
            read(GOOD[:length])


def test_the_simulators_files_of_every_form_are_read(read: Any) -> None:
    simulator = Simulator(
        people=20,
        history_days=1,
        deliveries_per_day=30,
        physical=tuple(FORMS),
        misbehaviour=frozenset({Misbehaviour.ADDED_COLUMN}),
    )
    for sync in simulator.run(0.2):
        for file in sync.files:
            found = read(file.content())
            assert found.rows == file.rows
            assert file.dataset in DATASETS


DAMAGES = """
import random, struct, sys
from pathlib import Path
from ingest.errors import FileUnreadable
from ingest.parquet import read_footer
good, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
start = len(good) - 8 - struct.unpack("<I", good[-8:-4])[0]
draw, refused = random.Random(7), 0
for _ in range(1500):
    bad = bytearray(good)
    for _ in range(draw.choice([1, 1, 2, 8])):
        bad[draw.randrange(start, len(bad) - 8)] = draw.randrange(256)
    path.write_bytes(bad)
    try:
        read_footer(path)
    except FileUnreadable:
        refused += 1
print(refused)
"""


def test_a_damaged_footer_never_ends_the_process(tmp_path: Path) -> None:
    """pyarrow aborts over the column chunks of some damaged footers; that cannot be caught, so they are left alone."""
    (tmp_path / "good").write_bytes(GOOD)
    done = subprocess.run(
        [sys.executable, "-c", DAMAGES, tmp_path / "good", tmp_path / "bad"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 300, "most of the damage is noticed at once"
