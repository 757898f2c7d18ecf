"""The Azure Functions app: bindings only. What they call is put together in `ingest.wiring`."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import azure.functions as func
from azurefunctions.extensions.bindings import blob

from ingest.errors import IngestError
from ingest.settings import environment_of_process, read_settings
from ingest.status import document
from ingest.wiring import App, build

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@functools.cache
def _app() -> App:
    environment = environment_of_process()
    return build(read_settings(environment, Path(__file__).with_name("local.settings.json")), environment=environment)


@app.function_name("ingest_export")
@app.blob_trigger(
    arg_name="client",
    path="%EXPORT_CONTAINER%/{name}",
    connection="EXPORT_STORAGE",
    source=func.BlobSource(os.environ.get("BLOB_TRIGGER_SOURCE", "EventGrid")),
)
def ingest_export(client: blob.BlobClient) -> None:
    """Drain the stream of the blob an event names. The binding brings the name, never the payload."""
    _app().drain_blob(client.blob_name)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule=os.environ.get("SWEEP_SCHEDULE", "0 */5 * * * *"), use_monitor=True)
def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001  (the binding's name)
    """Do the round: drain what no event brought, delete what was loaded long ago."""
    _app().sweep_once()


@app.function_name("status")
@app.route(route="status", methods=["GET"])
def status(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  (the binding's name)
    """Answer where every stream stands, as JSON."""
    try:
        code, answer = 200, document(_app().status())
    except IngestError as error:
        code, answer = 503, {"version": 1, "trouble": str(error)}
    return func.HttpResponse(json.dumps(answer), status_code=code, mimetype="application/json")
