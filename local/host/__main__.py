"""Serve the project's functions on this machine until Ctrl-C: `python -m local.host`."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from local.host.engine import AppRejected
from local.host.platform import Host, open_host
from local.host.settings import SettingsError, load_settings
from local.host.web import USUAL_PORT, serving

ROOT = Path(__file__).resolve().parent.parent.parent


def main(
    app_dir: Annotated[Path, typer.Option(help="Folder of function_app.py and host.json.")] = ROOT,
    settings: Annotated[
        Path | None, typer.Option(help="Settings file; by default the app's local.settings.json.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the HTTP functions.")] = USUAL_PORT,
    poll_seconds: Annotated[float, typer.Option(help="How often the container is listed.")] = 1.0,
) -> None:
    """Index the app, watch its container, keep its timers and serve its HTTP functions."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        # The first Ctrl-C waits for what runs, the second does not.
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        given = load_settings(settings or app_dir / "local.settings.json")
        # As with Core Tools, the environment wins over the file.
        merged = {name: os.environ.get(name, value) for name, value in given.items()}
        with open_host(app_dir.resolve(), os.environ | merged) as host, serving(host, port) as at:
            announce(host, at)
            host.run(stop, poll_seconds)
    except (SettingsError, AppRejected) as error:
        typer.echo(f"The host did not start: {error}", err=True)
        raise typer.Exit(2) from error


def announce(host: Host, port: int) -> None:
    """Say which functions there are and how to reach them."""
    for function in host.worker.functions.values():
        line = f"{function.name}: {function.trigger_type}"
        if function.trigger_type == "httpTrigger":
            route = "/".join(filter(None, (host.config.route_prefix, function.trigger.get("route") or function.name)))
            line += f" http://127.0.0.1:{port}/{route}"
        if function.trigger_type == "timerTrigger":
            line += f" (now: curl -X POST http://127.0.0.1:{port}/admin/functions/{function.name})"
        typer.echo(line)
    typer.echo("Function keys are not checked here. Ctrl-C ends.")


if __name__ == "__main__":
    typer.run(main)
