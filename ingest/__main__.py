"""The command line: `python -m ingest <command>`. Exit status 0 done, 1 something needs a person, 2 wrong settings."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from ingest import dossier, screen, sheet
from ingest.access import DAYS, Region
from ingest.errors import IngestError, SettingsError
from ingest.exporters import set_up
from ingest.outcomes import Tally
from ingest.settings import Settings, environment_of_process, read_settings
from ingest.spans import span
from ingest.status import document
from ingest.telemetry import tell
from ingest.warehouses import setup_sql
from ingest.wiring import App, both, build, examine, examine_access, grant_access

NEEDS_A_PERSON = 1
WRONG_SETTINGS = 2
INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
_out = Console()
_err = Console(stderr=True)


@app.command()
def drain() -> None:
    """Load everything that has arrived, in sequence order."""
    with screen.progress(_err) as emit, _traced("drain"):
        tally = _build(emit).drain_until_settled()
    _conclude(tally)


@app.command()
def sweep(
    *, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which blobs would be deleted.")] = False
) -> None:
    """Do what the timer does: drain what no other worker holds, delete what is old, open and close alerts."""
    if dry_run:
        screen.show_deletable(_out, _build().sweep.would_delete())
        return
    with screen.progress(_err) as emit, _traced("sweep"):
        tally = _build(emit).sweep_once()
    _conclude(replace(tally, held=frozenset()))


@app.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print the document that machines read.")] = False
) -> None:
    """Show per stream what arrived, was loaded, waits or was rejected."""
    answer = document(_build().status())
    if as_json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        screen.show_status(_out, answer)
    if answer["live"] and answer["trouble"]:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command()
def rejected(
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 100,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List rejected files with the reasons, the newest first."""
    built = _build()
    built.warehouse.prepare()
    records = built.warehouse.rejected(limit)
    if as_json:
        answer = [
            {"blob_name": record.blob_name, "etag": record.etag, "bytes": record.size, "reason": record.error}
            for record in records
        ]
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        screen.show_rejected(_out, records)


@app.command()
def inspect(
    blob: Annotated[
        str, typer.Argument(help="The blob's name, with or without the prefix, or the path of a local file.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show all there is to know about one file, and what would happen to it now. Nothing is changed."""
    inspection = _build().inspect(blob)
    found = dossier.document(inspection)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sheet.show(_out, found)
    if inspection.outlook.needs_person:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command()
def replay(
    blobs: Annotated[list[str] | None, typer.Argument(help="Blob names; none means every rejected file.")] = None,
) -> None:
    """Give rejected files another try, after a fix."""
    with screen.progress(_err) as emit, _traced("replay"):
        tally = _build(emit).replay(blobs or None)
    _err.print(f"{tally.reopened:,} rejected files tried again.")
    _conclude(tally)
    if blobs and not tally.reopened:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command()
def doctor(
    *,
    print_sql: Annotated[
        bool, typer.Option("--print-sql", help="Print the warehouse's set-up SQL, and no more.")
    ] = False,
    url: Annotated[
        bool, typer.Option("--url", help="Ask for the SAS URL that Customer.io has, and try it as Customer.io does.")
    ] = False,
    print_pii_sql: Annotated[
        bool, typer.Option("--print-pii-sql", help="Print the SQL that masks personal data, and no more.")
    ] = False,
) -> None:
    """Check settings, container and warehouse, and say how to mend what is missing."""
    built = None if print_sql or print_pii_sql else _build()
    if built is None:
        typer.echo(setup_sql(_settings(), pii=print_pii_sql), nl=False)
        return
    findings = examine(built)
    if url:
        given = (
            typer.prompt("Customer.io's URL", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
        )
        findings.append(examine_access(built, given))
    screen.show_findings(_out, findings)
    if any(not finding.fine for finding in findings):
        raise typer.Exit(NEEDS_A_PERSON)


@app.command()
def sas(
    region: Annotated[Region | None, typer.Option(help="Bind the URL to Customer.io's address in this region.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the policy lasts.")] = DAYS,
) -> None:
    """Create or renew the access policy that Customer.io writes with, and print the SAS URL to paste there."""
    answer = grant_access(_settings(), region.value if region else None, days)
    for note in answer.notes:
        _err.print(note)
    sys.stdout.write(f"{answer.url}\n")


def _build(*emit: Callable[..., None]) -> App:
    return build(_settings(), both(tell, *emit), environment_of_process())


def _settings() -> Settings:
    return read_settings(environment_of_process(), Path("local.settings.json"))


@contextmanager
def _traced(command: str) -> Iterator[None]:
    set_up(environment_of_process(), _settings().telemetry)
    with span(f"ingest {command}"):
        yield


def _conclude(tally: Tally) -> None:
    screen.show_tally(_err, tally)
    if tally.rejected or tally.held or tally.unfinished:
        raise typer.Exit(NEEDS_A_PERSON)


def main() -> NoReturn:
    """Run the command line; errors become a sentence and an exit status."""
    logging.basicConfig(level=logging.ERROR)
    try:
        app()
    except SettingsError as error:
        screen.show_error(_err, error)
        sys.exit(WRONG_SETTINGS)
    except IngestError as error:
        screen.show_error(_err, error)
        sys.exit(NEEDS_A_PERSON)
    except RuntimeError as error:
        if "interrupted" not in str(error):  # DuckDB's word for Ctrl-C in the middle of a query
            raise
        sys.exit(INTERRUPTED)
    sys.exit(0)


if __name__ == "__main__":
    main()
