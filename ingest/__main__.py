"""The command line: `python -m ingest <command>`. Exit status 0 done, 1 something needs a person, 2 wrong settings."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from ingest import screen
from ingest.errors import IngestError, SettingsError
from ingest.outcomes import Tally
from ingest.settings import Settings, environment_of_process, read_settings
from ingest.status import document
from ingest.warehouses import setup_sql
from ingest.wiring import App, both, build, examine

NEEDS_A_PERSON = 1
WRONG_SETTINGS = 2
INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
_out = Console()
_err = Console(stderr=True)


@app.command()
def drain() -> None:
    """Load everything that has arrived, in sequence order."""
    with screen.progress(_err) as emit:
        tally = _build(emit).drain_until_settled()
    _conclude(tally)


@app.command()
def sweep() -> None:
    """Do what the timer does: drain every stream, leaving those that other workers hold."""
    with screen.progress(_err) as emit:
        tally = _build(emit).drain_everything()
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
def replay(
    blobs: Annotated[list[str] | None, typer.Argument(help="Blob names; none means every rejected file.")] = None,
) -> None:
    """Give rejected files another try, after a fix."""
    with screen.progress(_err) as emit:
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
    print_pii_sql: Annotated[
        bool, typer.Option("--print-pii-sql", help="Print the SQL that masks personal data, and no more.")
    ] = False,
) -> None:
    """Check settings, container and warehouse, and say how to mend what is missing."""
    if print_sql or print_pii_sql:
        typer.echo(setup_sql(_settings(), pii=print_pii_sql), nl=False)
        return
    findings = examine(_build())
    screen.show_findings(_out, findings)
    if any(not finding.fine for finding in findings):
        raise typer.Exit(NEEDS_A_PERSON)


def _build(*emit: Callable[..., None]) -> App:
    return build(_settings(), both(*emit))


def _settings() -> Settings:
    return read_settings(environment_of_process(), Path("local.settings.json"))


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
