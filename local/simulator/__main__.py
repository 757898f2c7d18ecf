"""Write a simulated export into a directory: files in the order of arrival, and the truth beside them."""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated

import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from local.simulator import DATASETS, FORMS, PLAIN, Expected, Misbehaviour, Simulator


def write(
    out: Annotated[Path, typer.Option(help="Directory to write to; it must be empty or absent.")],
    people: Annotated[int, typer.Option(min=1, help="People at the start.")] = 2_000,
    deliveries: Annotated[int, typer.Option(min=0, help="Deliveries in all, history included.")] = 30_000,
    days: Annotated[float, typer.Option(min=0, help="Days of changesets after the initial sync.")] = 1,
    history_days: Annotated[int, typer.Option(min=1, help="Days of history in the initial sync.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    workspace_id: Annotated[int, typer.Option(help="The workspace in the names and rows.")] = 111528,
    prefix: Annotated[str, typer.Option(help="Blob path before the names.")] = "",
    start: Annotated[datetime, typer.Option(help="When the initial sync happens (UTC).")] = datetime(
        2026, 11, 1, tzinfo=UTC
    ),
    misbehave: Annotated[str, typer.Option(help="Comma-separated, or 'all': " + ", ".join(Misbehaviour))] = "",
    all_forms: Annotated[bool, typer.Option(help="Mix physical forms (INT96, ms, ns, int32, ...).")] = False,
    truth: Annotated[bool, typer.Option(help="Also write truth/<dataset>.parquet.")] = True,
) -> None:
    """Write `NNNNN/<blob name>` for each file, numbered in the order of arrival, and `truth/<dataset>.parquet`."""
    console = Console()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} is not an empty directory", param_hint="--out")
    simulator = Simulator(
        seed=seed,
        workspace_id=workspace_id,
        people=people,
        start=start.replace(tzinfo=UTC),
        history_days=history_days,
        deliveries_per_day=deliveries / (history_days + days),
        prefix=prefix,
        misbehaviour=_kinds(misbehave),
        physical=FORMS if all_forms else PLAIN,
    )
    began, arrived = perf_counter(), 0
    counts = {dataset: [0, 0, 0] for dataset in (*DATASETS, "")}
    rejected = 0
    for sync in simulator.run(days=days):
        for file in sync.files:
            path = out / f"{arrived:05d}" / file.name
            path.parent.mkdir(parents=True)
            content = file.content()
            path.write_bytes(content)
            arrived += 1
            rejected += file.expected is Expected.REJECTED
            for place, amount in enumerate((1, file.rows, len(content))):
                counts[file.dataset][place] += amount
    written = perf_counter() - began

    summary = Table("dataset", "files", "rows", "MB", "rows in the end")
    tables = {}
    if truth:
        (out / "truth").mkdir(parents=True)
        tables = simulator.truth()
        for dataset, table in tables.items():
            pq.write_table(table, out / "truth" / f"{dataset}.parquet")
    for dataset, (files, rows, size) in counts.items():
        final = f"{tables[dataset].num_rows:,}" if dataset in tables else "-"
        summary.add_row(dataset or "(unknown)", f"{files:,}", f"{rows:,}", f"{size / 1e6:,.1f}", final)
    console.print(summary)
    console.print(f"{arrived:,} files in {written:.1f} s, {rejected} of them to be rejected; in {out}")
    if truth:
        console.print(f"truth in {perf_counter() - began - written:.1f} s")


def _kinds(text: str) -> frozenset[Misbehaviour]:
    if text.strip() == "all":
        return frozenset(Misbehaviour)
    try:
        return frozenset(Misbehaviour(word.strip().replace("-", "_")) for word in text.split(",") if word.strip())
    except ValueError as error:
        known = ", ".join(Misbehaviour)
        raise typer.BadParameter(f"{error}; known are {known}", param_hint="--misbehave") from error


if __name__ == "__main__":
    typer.run(write)
