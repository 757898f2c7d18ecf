"""Prove what is read of footers beyond the contract, and that no damaged one ends the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ingest.anatomy import read_anatomy
from ingest.errors import FileUnreadable
from ingest.inspection import Anatomy
from local.azurite import ROOT
from tests import factories

TYPES = {"deep": pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]), "a, b": pa.float32()}
GOOD = factories.parquet("campaigns", [{}, {"name": None}, {}], types=TYPES, row_group_size=2, compression="zstd")


def end_of(content: bytes, asked: list[int] | None = None) -> Callable[[int], bytes]:
    def read(length: int) -> bytes:
        if asked is not None:
            asked.append(length)
        return content[-length:]

    return read


def anatomy(content: bytes) -> Anatomy:
    return read_anatomy(end_of(content), len(content))


def test_a_footer_says_who_wrote_the_file_and_how() -> None:
    found = anatomy(GOOD)
    assert found.created_by.startswith("parquet-cpp-arrow")
    assert (found.compression, found.trouble, found.footer.rows) == (("ZSTD",), "", 3)
    assert found.format_version


def test_physical_types_are_those_of_the_columns_and_not_of_what_is_nested_in_them() -> None:
    found = anatomy(GOOD)
    assert list(found.physical) == [field.name for field in found.footer.fields]
    assert found.physical["name"] == "BYTE_ARRAY UTF8"
    assert found.physical["created_at"] == "INT64 TIMESTAMP_MICROS"
    assert (found.physical["topic_names"], found.physical["deep"], found.physical["a, b"]) == ("LIST", "group", "FLOAT")


def test_row_groups_have_rows_sizes_and_nulls() -> None:
    found = anatomy(GOOD)
    assert [group.rows for group in found.row_groups] == [2, 1]
    assert all(0 < group.size < len(GOOD) for group in found.row_groups)
    assert [group.nulls["name"] for group in found.row_groups] == [1, 0]
    assert (found.nulls("name"), found.nulls("version"), found.nulls("a, b"), found.nulls("deep")) == (1, 0, 3, None)


def test_without_statistics_nulls_are_not_stated() -> None:
    assert anatomy(factories.parquet("campaigns", write_statistics=False)).nulls("name") is None


def test_without_rows_there_are_no_nulls() -> None:
    assert anatomy(factories.parquet("campaigns", [])).nulls("name") == 0


def test_only_the_end_is_read_and_a_long_footer_once_more() -> None:
    wide = factories.encoded(pa.table({f"column {number}": [1] for number in range(1000)}))
    for content, requests in ((GOOD, 1), (wide, 2)):
        asked: list[int] = []
        read_anatomy(end_of(content, asked), len(content))
        assert len(asked) == requests


def test_no_least_or_greatest_value_is_kept() -> None:
    content = factories.parquet("people", [{"email_addr": "jane@example.com"}])
    assert "jane" not in repr(anatomy(content))


@pytest.mark.parametrize("content", [b"", b"PAR1", GOOD[:-1], GOOD[: len(GOOD) // 2], bytes(1000)])
def test_what_is_no_parquet_file_is_refused(content: bytes) -> None:
    with pytest.raises(FileUnreadable):
        anatomy(content)


DAMAGES = """
import random, struct, sys
from pathlib import Path
from ingest.anatomy import read_anatomy
from ingest.errors import FileUnreadable
good = Path(sys.argv[1]).read_bytes()
start = len(good) - 8 - struct.unpack("<I", good[-8:-4])[0]
draw, refused = random.Random(7), 0
for _ in range(500):
    bad = bytearray(good)
    for _ in range(draw.choice([1, 1, 2, 8])):
        bad[draw.randrange(start, len(bad) - 8)] = draw.randrange(256)
    try:
        found = read_anatomy(lambda length: bytes(bad[-length:]), len(bad))
        refused += bool(found.trouble)
        [found.nulls(field.name) for field in found.footer.fields]
    except FileUnreadable:
        refused += 1
print(refused)
"""


def test_a_damaged_footer_never_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(GOOD)
    words = [sys.executable, "-c", DAMAGES, str(tmp_path / "good")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100, "most of the damage is noticed at once"
