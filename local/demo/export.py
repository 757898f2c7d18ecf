"""Write a small simulated export into the container that local.settings.json names: `python -m local.demo.export`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ingest.errors import SettingsError
from ingest.settings import environment_of_process, read_settings
from local import customerio
from local.azurite import ROOT
from local.simulator import Simulator


def main(
    people: Annotated[int, typer.Option(min=1, help="People in the workspace.")] = 500,
    deliveries: Annotated[int, typer.Option(min=1, help="Deliveries a day.")] = 500,
    days: Annotated[float, typer.Option(min=0, help="Days of changesets after the initial sync.")] = 0.1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same export.")] = 7,
    settings_file: Annotated[Path, typer.Option(help="Where the settings are.")] = ROOT / "local.settings.json",
) -> None:
    """Create the container if it is missing, and write as Customer.io does: through a SAS with a stored policy."""
    try:
        settings = read_settings(environment_of_process(), settings_file)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if settings.connection_string is None:
        typer.echo("EXPORT_STORAGE: a connection string is needed to write a stored access policy.", err=True)
        raise typer.Exit(2)
    customerio.ensure_container(settings.connection_string, settings.container)
    simulator = Simulator(
        seed=seed,
        people=people,
        start=datetime(2026, 11, 3, 9, tzinfo=UTC),
        history_days=7,
        deliveries_per_day=deliveries,
        prefix=settings.prefix,
    )
    sas_url = customerio.grant(settings.connection_string, settings.container)
    with contextlib.closing(customerio.Exporter(sas_url)) as exporter:
        for sync in simulator.run(days):
            for file in sync.files:
                exporter.write(file.name, file.content())
    typer.echo(f"{len(simulator.files)} files written into the container {settings.container!r}.")


if __name__ == "__main__":
    typer.run(main)
