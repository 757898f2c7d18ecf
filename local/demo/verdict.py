"""Hold the warehouse against the simulator's truth: every table, row by row, and every file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from ingest.datasets import LINEAGE
from local.simulator import Expected

_LINEAGE = {column.name for column in LINEAGE}


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """One table against its truth, in rows; `columns` names those that only one of the two has."""

    dataset: str
    rows: int
    expected: int
    missing: int
    unexpected: int
    columns: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Say whether the table holds what it must, and nothing else."""
        return not (self.missing or self.unexpected or self.columns)


def judge_tables(
    connection: duckdb.DuckDBPyConnection, schema: str, truth: Mapping[str, pa.Table]
) -> list[TableVerdict]:
    """Compare each table with its truth as bags of rows; lineage columns are the ingestor's own."""
    return [judge_table(connection, schema, dataset, table) for dataset, table in truth.items()]


def judge_table(connection: duckdb.DuckDBPyConnection, schema: str, dataset: str, truth: pa.Table) -> TableVerdict:
    """Compare one table with its truth."""
    found = [
        str(row[0])
        for row in connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?", [schema, dataset]
        ).fetchall()
    ]
    if not found:
        return TableVerdict(dataset, 0, truth.num_rows, truth.num_rows, 0)
    odd = tuple(sorted(set(truth.column_names) ^ (set(found) - _LINEAGE)))
    shared = [name for name in truth.column_names if name in found]
    connection.register("truth", without_zones(truth.select(shared)))
    columns = ", ".join(f'"{name}"' for name in shared)
    ours, theirs = f'SELECT {columns} FROM "{schema}"."{dataset}"', f"SELECT {columns} FROM truth"
    try:
        return TableVerdict(
            dataset,
            rows=count(connection, ours),
            expected=truth.num_rows,
            missing=count(connection, f"{theirs} EXCEPT ALL {ours}"),
            unexpected=count(connection, f"{ours} EXCEPT ALL {theirs}"),
            columns=odd,
        )
    finally:
        connection.unregister("truth")


def judge_files(
    connection: duckdb.DuckDBPyConnection, schema: str, written: Mapping[str, Sequence[tuple[str, Expected]]]
) -> list[str]:
    """Hold the checkpoint against what was written; give a sentence for each file that is not as it must be.

    The last content of a name must be loaded or rejected as it deserves. An earlier one may also have been
    replaced before it was loaded, or before it was seen at all.
    """
    ledger: dict[tuple[str, str], list[str]] = {}
    for name, etag, status in connection.execute(
        f'SELECT blob_name, etag, status FROM "{schema}".ingest_files'
    ).fetchall():
        ledger.setdefault((name, str(etag).strip('"')), []).append(status)
    faults = []
    for name, versions in written.items():
        for etag, expected in versions:
            found = ledger.pop((name, etag), [])
            allowed: list[list[str]] = [[expected.value]]
            if etag != versions[-1][0]:
                allowed += [["superseded"], []]
            if found not in allowed:
                faults.append(f"{name}: is {' and '.join(found) or 'unknown'}, must be {expected.value}")
    faults += [f"{name}: is in the checkpoint, and was never written" for name, _ in ledger]
    return faults


def count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Count the rows of a query."""
    row = connection.execute(f"SELECT count(*) FROM ({query})").fetchone()
    assert row is not None
    return int(row[0])


def without_zones(table: pa.Table) -> pa.Table:
    """Give instants as the tables hold them: in UTC, without saying so."""
    return table.cast(
        pa.schema(
            [
                pa.field(column.name, pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
                for column in table.schema
            ]
        )
    )


def show(console: Console, verdicts: Sequence[TableVerdict], faults: Sequence[str], files: int) -> None:
    """Show the verdict, table by table."""
    table = Table("table", box=None, header_style="bold", pad_edge=False)
    for name in ("rows", "must be", "missing", "unexpected"):
        table.add_column(name, justify="right")
    table.add_column("")
    for verdict in verdicts:
        mark = "[green]equal, row by row[/]" if verdict.equal else "[red]DIFFERENT[/]"
        odd = f" columns: {', '.join(verdict.columns)}" if verdict.columns else ""
        numbers = (verdict.rows, verdict.expected, verdict.missing, verdict.unexpected)
        table.add_row(verdict.dataset, *(f"{number:,}" for number in numbers), mark + odd)
    console.print(table)
    for fault in faults[:5]:
        console.print(f"[red]{fault}[/]", highlight=False)
    if not faults:
        console.print(
            f"{files:,} files written: each loaded once, rejected, or replaced before its turn, just as it must be."
        )
