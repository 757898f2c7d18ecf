"""Stand in for the real app: one blob, one timer and two HTTP functions, as small as the platform allows."""

import json
import os

import azure.functions as func
from azurefunctions.extensions.bindings import blob

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
seen: list[str] = []
ticks: list[bool] = []


@app.function_name("ingest_export")
@app.blob_trigger(
    arg_name="client",
    path="%EXPORT_CONTAINER%/{name}",
    connection="EXPORT_STORAGE",
    source=func.BlobSource(os.environ.get("BLOB_TRIGGER_SOURCE", "EventGrid")),
)
def ingest_export(client: blob.BlobClient, context: func.Context) -> None:
    """Remember the blob's name; names that hold "poison" fail."""
    seen.append(f"{client.container_name}/{client.blob_name} {context.invocation_id}")
    if "poison" in client.blob_name:
        raise RuntimeError("this blob always fails")


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%", run_on_startup=False, use_monitor=True)
def sweep(timer: func.TimerRequest, context: func.Context) -> None:
    """Remember the tick."""
    ticks.append(timer.past_due)


@app.function_name("status")
@app.route(route="status", methods=["GET"])
def status(req: func.HttpRequest) -> func.HttpResponse:
    """Tell what was seen."""
    body = {"seen": seen, "ticks": ticks, "stream": req.params.get("stream")}
    return func.HttpResponse(json.dumps(body), mimetype="application/json", headers={"X-Sample": "yes"})


@app.function_name("echo")
@app.route(route="echo/{word}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    """Give back the route's word and the body."""
    return func.HttpResponse(f"{req.route_params['word']}:{req.get_body().decode()}", status_code=201)


@app.function_name("remember")
@app.queue_trigger(arg_name="message", queue_name="remember", connection="EXPORT_STORAGE")
def remember(message: func.QueueMessage) -> None:
    """Remember a message's text."""
    seen.append(message.get_body().decode())
