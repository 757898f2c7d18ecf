"""What a file's footer says of its row groups, read by DuckDB in memory from the file's last bytes.

pyarrow would end the process over the column chunks of some damaged footers; DuckDB raises an error or answers. The
least and greatest values that a footer states are contents, and are left where they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import duckdb

from ingest import scratch
from ingest.contract import Footer
from ingest.inspection import Anatomy, RowGroup
from ingest.parquet import end_with_footer, read_footer_of_end

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "1",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_FILE = "SELECT created_by, format_version::VARCHAR FROM parquet_file_metadata($path)"
_COLUMNS = "SELECT name, type, converted_type, num_children FROM parquet_schema($path) ORDER BY column_id"
_CHUNKS = """
    SELECT row_group_id, row_group_num_rows, total_compressed_size, path_in_schema, stats_null_count, compression
    FROM parquet_metadata($path)
    ORDER BY row_group_id, column_id
"""


def read_anatomy(read: Callable[[int], bytes], size: int) -> Anatomy:
    """Read the footer of a file of `size` bytes; `read` returns the last few. Raises FileUnreadable."""
    end = end_with_footer(read, size)
    footer = read_footer_of_end(end, size)
    folder = scratch.folder("footer")
    try:
        return _dissected(_stand_in(folder, end, size), footer)
    except duckdb.Error as error:
        return Anatomy(footer, trouble=f"the rest of the footer cannot be read ({type(error).__name__}).")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stand_in(folder: Path, end: bytes, size: int) -> Path:
    """Write a file of the same length that has its footer in place, and nothing before it."""
    path = folder / "footer.parquet"
    with path.open("wb") as file:
        file.truncate(size)  # takes no room on the disk
        file.write(b"PAR1")
        file.seek(size - len(end))
        file.write(end)
    return path


def _dissected(path: Path, footer: Footer) -> Anatomy:
    bound = {"path": str(path)}
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        created_by, version = next(iter(connection.execute(_FILE, bound).fetchall()), ("", ""))
        columns = connection.execute(_COLUMNS, bound).fetchall()
        chunks = connection.execute(_CHUNKS, bound).fetchall()
    groups = [list(group) for _, group in groupby(chunks, key=itemgetter(0))]
    return Anatomy(
        footer=footer,
        created_by=created_by or "",
        format_version=version or "",
        compression=tuple(sorted({chunk[-1] or "unknown" for chunk in chunks})),
        physical=_top(columns),
        row_groups=tuple(
            RowGroup(group[0][1], sum(chunk[2] or 0 for chunk in group), {chunk[3]: chunk[4] for chunk in group})
            for group in groups
        ),
    )


def _top(columns: list[tuple[str, str | None, str | None, int | None]]) -> dict[str, str]:
    """Return the physical types of the columns right below the root, of a schema that is written depth first."""
    found: dict[str, str] = {}
    skip = 0
    for name, physical, converted, children in columns[1:]:
        if not skip:
            found[name] = " ".join(word for word in (physical, converted) if word) or "group"
        skip = max(0, skip - 1) + (children or 0)
    return found
