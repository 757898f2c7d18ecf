"""Measure this project beside the limit and its peers: `python -m bench`, or `make bench`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import data, dlt_peer, events, fleet, listing, machine, memory, scale, shape, snowflake
from bench.ours import ROOT
from bench.phases import Phases
from bench.results import Grid, Line, grid_of, into_page, on_screen
from bench.stage import Stage
from local import azurite

Measure = Callable[[Stage], Sequence[Line] | Grid]
OF_SCALE: dict[str, Measure] = {
    "shape": shape.measure,
    "events": events.measure,
    "fleet": fleet.measure,
    "listing": listing.measure,
}
OTHERS: dict[str, Measure] = {
    "memory": memory.measure,
    "scale": scale.measure,
    "snowflake": snowflake.measure,
    **OF_SCALE,
}
PHASES = ("initial", "backlog", "one", "telemetry", *OTHERS)
NEEDS = {"initial": (), "backlog": ("initial",), "one": ("initial", "backlog"), "telemetry": ("initial",)}
PAGE = ROOT / "docs" / "benchmarks.md"
PAGE_OF_SCALE = ROOT / "docs" / "scale.md"
TENTH = data.Plan(deliveries=200_000, metrics=400_000, people=30_000, waiting=20, single=10)

console = Console(width=170)


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the data; the pages are left alone.")] = False,
    only: Annotated[str, typer.Option(help=f"Phases, with commas: {','.join(PHASES)}.")] = ",".join(PHASES),
    no_dlt: Annotated[bool, typer.Option("--no-dlt", help="Leave dlt out.")] = False,
    folder: Annotated[Path, typer.Option(help="Where data and databases lie.")] = ROOT / ".local" / "bench",
) -> None:
    """Measure; print tables; write them into docs/benchmarks.md and docs/scale.md. Fails when ours and the limit leave different rows."""
    wanted = only.split(",")
    if unknown := set(wanted) - set(PHASES):
        raise typer.BadParameter(f"no phase is called {', '.join(sorted(unknown))}")
    console.print(machine.describe())
    trouble = "" if no_dlt or not set(wanted) & set(NEEDS) else dlt_peer.install()
    if trouble:
        console.print(f"[yellow]{trouble}; going on without it[/yellow]")
    plan = TENTH if quick else data.Plan()
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with azurite.running(work / "azurite") as running:
            stage = Stage(
                azurite=running,
                data=folder / ("data-tenth" if quick else "data"),
                work=work,
                plan=plan,
                tenth=quick,
                dlt=not no_dlt and not trouble,
                say=console.print,
            )
            _measure(stage, wanted, write=not quick)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _measure(stage: Stage, wanted: list[str], *, write: bool) -> None:
    """Run the phases wanted, with those that they start from, and show them one by one."""
    needed = {name for phase in wanted for name in (*NEEDS.get(phase, ()), phase)}
    phases = None
    if needed & set(NEEDS):
        phases = Phases(stage, data.export(stage.plan, stage.data / "export"))
    for name in PHASES:
        if name not in needed:
            continue
        before = machine.describe()
        grid = grid_of(getattr(phases, name)() if name in NEEDS else OTHERS[name](stage))
        console.print(on_screen(f"{name} (load average now {machine.load()})", grid))
        if write:
            into_page(PAGE_OF_SCALE if name in OF_SCALE else PAGE, name, before, grid)


if __name__ == "__main__":
    typer.run(main)
