"""Play the demo: `python -m local.demo`, or with `--up` keep on playing. Exit status 1 when a table is not the truth."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated

import duckdb
import typer
from rich.console import Console

from ingest import screen
from ingest.errors import IngestError
from ingest.settings import read_settings
from ingest.warehouses.duckdb.file import database_file
from ingest.wiring import build
from local.azurite import ROOT, AzuriteUnavailable
from local.demo import questions, verdict
from local.demo.feed import Feed
from local.demo.stage import PREFIX, Stage, StageTaken, setting, shown
from local.demo.watch import Watch
from local.host import AppRejected, Host, SettingsError, open_host, serving
from local.simulator import Misbehaviour, Simulator

MISBEHAVIOUR = frozenset(
    {
        Misbehaviour.LATE,
        Misbehaviour.TWICE,
        Misbehaviour.OUT_OF_ORDER,
        Misbehaviour.REWRITTEN,
        Misbehaviour.CORRUPT,
        Misbehaviour.ADDED_COLUMN,
        Misbehaviour.UNKNOWN_NAME,
    }
)
REASONS_SHOWN = 4
SECONDS_BETWEEN_SYNCS = 4.0
TUESDAY = datetime(2026, 11, 3, 9, tzinfo=UTC)
"""When the sync is set up. A working day's morning: what runs on after the day finds people awake."""
PORT = 7071


def main(
    days: Annotated[float, typer.Option(min=0, help="Days of changesets after the initial sync.")] = 1,
    people: Annotated[int, typer.Option(min=1, help="People in the workspace.")] = 3_000,
    deliveries: Annotated[int, typer.Option(min=1, help="Deliveries a day.")] = 1_500,
    history_days: Annotated[int, typer.Option(min=1, help="Days of history in the initial sync.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same exports.")] = 7,
    port: Annotated[
        int, typer.Option(help="With --up: port of the dashboard and the status; 0 takes a free one.")
    ] = PORT,
    *,
    up: Annotated[bool, typer.Option("--up", help="Keep on exporting and ingesting until Ctrl-C.")] = False,
) -> None:
    """Export, ingest through the functions, and check every table against what it must hold."""
    logging.basicConfig(level=logging.ERROR)
    console = Console(highlight=False)
    simulator = Simulator(
        seed=seed,
        people=people,
        start=last_tuesday() if up else TUESDAY,
        history_days=history_days,
        deliveries_per_day=deliveries,
        prefix=PREFIX,
        misbehaviour=MISBEHAVIOUR,
    )
    try:
        with setting(sweep_schedule="*/20 * * * * *" if up else "0 */5 * * * *") as stage:
            right = play(console, stage, simulator, days, seed)
            if up:
                keep_on(console, stage, simulator, port)
    except (AzuriteUnavailable, StageTaken, SettingsError, AppRejected, IngestError) as error:
        console.print(f"[red]The demo could not be played:[/] {error}")
        raise typer.Exit(1) from error
    if not right:
        raise typer.Exit(1)


def play(console: Console, stage: Stage, simulator: Simulator, days: float, seed: int) -> bool:
    """Play an initial sync and some days; say whether everything is as it must be."""
    begun = time.monotonic()
    heading(console, "1  The stage")
    console.print(
        f"Azurite listens at {stage.azurite.blob_url}.\n"
        "Customer.io has a SAS bound to a stored access policy: read, write, add, create,\n"
        "list. It cannot delete."
    )
    watch = Watch(console)
    with open_host(ROOT, stage.settings) as host:
        engine = type(host.worker.engine).__module__.rpartition(".")[2]
        how = "the Functions runtime from PyPI" if engine == "runtime" else "the stand-in for Python before 3.13"
        console.print(f"function_app.py is indexed by {how}: {', '.join(host.worker.functions)}.")
        heading(console, "2  An initial sync and a day of changesets, in fast time and with mischief")
        feed = Feed(stage.exporter, host, watch, seed)
        with watch.watching():
            feed.play(simulator.run(days))
            watch.finish()
        tell_of_the_day(console, feed, time.monotonic() - begun)
        heading(console, "3  What the function `status` answers")
        answer = host.request("status")
        document = answer.json()
        if answer.status != 200:
            console.print(f"[red]{answer.status}: {document}[/]")
            return False
        screen.show_status(console, document)
    settings = read_settings(stage.settings)
    app = build(settings)
    heading(console, "4  Every table against what it must hold")
    database_file(stage.database, memory_limit=settings.duckdb_memory_limit).close()
    with duckdb.connect(str(stage.database), read_only=True) as connection:
        schema = stage.settings["WAREHOUSE_SCHEMA"]
        verdicts = verdict.judge_tables(connection, schema, simulator.truth())
        faults = verdict.judge_files(connection, schema, feed.written)
        verdict.show(console, verdicts, faults, feed.counts["files"])
        heading(console, "5  Rejected files: kept, with the reason, until somebody replays them")
        rejected = count_rejected(connection, schema)
    screen.show_rejected(console, app.warehouse.rejected(REASONS_SHOWN), of=rejected)
    heading(console, "6  Three questions of a retention team")
    database_file(stage.database, memory_limit=settings.duckdb_memory_limit).close()
    with duckdb.connect(str(stage.database), read_only=True) as connection:
        questions.ask(connection, console, schema)
    heading(console, "7  Look at it yourself")
    tell_how_to_look(console, stage, schema)
    right = all(one.equal for one in verdicts) and not faults
    seconds = time.monotonic() - begun
    if right:
        console.print(f"\n[bold green]Everything is as it must be.[/] {seconds:.0f} s in all.")
    else:
        console.print(f"\n[bold red]The warehouse is not what it must be (see 4).[/] {seconds:.0f} s in all.")
    return right


def heading(console: Console, text: str) -> None:
    """Print a heading."""
    console.print(f"\n[bold]{text}[/]")


def tell_of_the_day(console: Console, feed: Feed, seconds: float) -> None:
    """Sum up what was written and how it was brought in."""
    done, watched = feed.counts, feed.watch.counts
    console.print(
        f"{done['files']:,} files ({done['bytes'] / 1e6:,.1f} MB) in {done['syncs']} syncs; ingested in {seconds:.0f} s."
        f" Events: {done['once']:,} came once,\n{done['doubled']:,} twice and {done['lost']:,} never; the timer brought"
        f" {done['swept']:,} files. {watched['late']:,} loaded late, {watched['FileRejected']:,} rejected."
    )


def tell_how_to_look(console: Console, stage: Stage, schema: str) -> None:
    """Say where the data lies and how to reach it."""
    path = shown(stage.database)
    # Not resolved: the interpreter of the virtual environment, not the one it was made from.
    python = shown(Path(sys.executable))
    console.print(
        f"The warehouse is the file {path}, schema {schema}.\n"
        "Instants are UTC. ingest_files is the checkpoint: a row for each blob and ETag.\n"
        f"DuckDB's shell:  duckdb -readonly {path}\n"
        f"Or Python:       {python}\n"
        f'>>> import duckdb\n>>> db = duckdb.connect("{path}", read_only=True)\n'
        f'>>> db.sql("FROM {schema}.deliveries LIMIT 5")'
    )


def count_rejected(connection: duckdb.DuckDBPyConnection, schema: str) -> int:
    """Count the rejected files."""
    return verdict.count(connection, f"SELECT 1 FROM \"{schema}\".ingest_files WHERE status = 'rejected'")


def keep_on(console: Console, stage: Stage, simulator: Simulator, port: int) -> None:
    """Export a quarter of an hour every few seconds and let the host do the rest, until Ctrl-C."""
    stop = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        # The first Ctrl-C waits for what runs, the second does not.
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with ExitStack() as stack:
        host = stack.enter_context(open_host(ROOT, stage.settings))
        at = serve(stack, host, port)
        heading(console, "8  Running on: a quarter of an hour every few seconds, until Ctrl-C")
        console.print(
            f"Dashboard:         http://127.0.0.1:{at}/api/dashboard\n"
            f"Status:            http://127.0.0.1:{at}/api/status\n"
            f"The command line:  . {shown(stage.environment_file)}; {shown(Path(sys.executable))} -m ingest status"
        )
        watch = Watch(console)
        with watch.watching():
            running = threading.Thread(target=host.run, args=(stop,), name="host")
            running.start()
            while not stop.is_set():
                for sync in simulator.run(days=1 / 96):
                    for file in sync.files:
                        stage.exporter.write(file.name, file.content())
                        watch.export_wrote(file.dataset, sync.at)
                stop.wait(SECONDS_BETWEEN_SYNCS)
            running.join()
    console.print("Ended. The warehouse stays; the next demo starts anew.")


def last_tuesday() -> datetime:
    """Give a time like TUESDAY of two to eight days ago, so that the dashboard's two weeks have something to show."""
    latest = datetime.now(UTC) - timedelta(days=2)
    return TUESDAY + (latest - TUESDAY) // timedelta(weeks=1) * timedelta(weeks=1)


def serve(stack: ExitStack, host: Host, port: int) -> int:
    """Serve the HTTP functions at the port, or at a free one where that is taken; give the port."""
    try:
        return stack.enter_context(serving(host, port))
    except OSError:
        return stack.enter_context(serving(host, 0))


if __name__ == "__main__":
    typer.run(main)
