"""The Azure Functions app: bindings only. What they call is in `ingest.functions`."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

import azure.functions as func
from azurefunctions.extensions.bindings import blob

from ingest.functions import Functions

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@functools.cache
def _functions() -> Functions:
    return Functions(Path(__file__).with_name("local.settings.json"))


@app.function_name("ingest_export")
@app.blob_trigger(
    arg_name="client",
    path="%EXPORT_CONTAINER%/{name}",
    connection="EXPORT_STORAGE",
    source=func.BlobSource(os.environ.get("BLOB_TRIGGER_SOURCE", "EventGrid")),
)
def ingest_export(client: blob.BlobClient, context: func.Context) -> None:
    """Drain the stream of the blob an event names. The binding brings the name, never the payload."""
    _functions().ingest_export(client.blob_name, context)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule=os.environ.get("SWEEP_SCHEDULE", "0 */5 * * * *"), use_monitor=True)
def sweep(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001  (the binding's name)
    """Do the round: drain what no event brought, delete what was loaded long ago, open and close alerts."""
    _functions().sweep(context)


@app.function_name("status")
@app.route(route="status", methods=["GET"])
def status(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:  # noqa: ARG001  (the binding's name)
    """Answer where every stream stands, as JSON."""
    return func.HttpResponse(**dataclasses.asdict(_functions().status(context)))


@app.function_name("dashboard")
@app.route(route="dashboard", methods=["GET"])
def dashboard(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer the page that shows it, and what the page asks for."""
    return func.HttpResponse(**dataclasses.asdict(_functions().dashboard(req.params.get("view"), context)))
