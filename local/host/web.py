"""Serve an app's HTTP functions on a port of this machine, and two endpoints of the platform itself."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from local.host.engine import FunctionFailed, HttpReply
from local.host.platform import Host

USUAL_PORT = 7071
LARGEST_BODY = 16 * 1024 * 1024
log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """Hold the host for the handlers; listens on this machine only, since keys are not checked."""

    daemon_threads = True

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    """Pass requests on to the host."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Answer one request of any method."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            self.send_error(413)
            return
        body = self.rfile.read(length)
        reply = respond(cast(Server, self.server).host, self.command, self.path, dict(self.headers.items()), body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Log without the query, which may hold a key."""
        log.info("%s %s", self.command, urlsplit(self.path).path)


def respond(host: Host, method: str, target: str, headers: dict[str, str], body: bytes) -> HttpReply:
    """Choose between the app's routes, `POST /admin/functions/<timer>` and the Event Grid webhook."""
    url = urlsplit(target)
    path, query = unquote(url.path).strip("/"), dict(parse_qsl(url.query, keep_blank_values=True))
    prefix = f"{host.config.route_prefix}/" if host.config.route_prefix else ""
    if method == "POST" and path.startswith("admin/functions/"):
        return run_timer(host, path.removeprefix("admin/functions/"))
    if method == "POST" and path == "runtime/webhooks/blobs":
        return take_events(host, query.get("functionName", ""), body)
    if path.startswith(prefix):
        return host.request(path.removeprefix(prefix), method, query, headers=headers, body=body)
    return HttpReply(404, {}, b"")


def run_timer(host: Host, function: str) -> HttpReply:
    """Run a timer by hand, as the platform's admin endpoint does."""
    if function not in host.schedules:
        return HttpReply(404, {}, b"")
    try:
        return HttpReply(202 if host.tick(function) else 409, {}, b"")
    except FunctionFailed:
        return HttpReply(500, {}, b"")


def take_events(host: Host, function_id: str, body: bytes) -> HttpReply:
    """Take Event Grid's BlobCreated events, so that the recipe for Core Tools works here too."""
    function = function_id.removeprefix("Host.Functions.")
    try:
        given = json.loads(body)
        events = given if isinstance(given, list) else [given]
        subjects = [event["subject"] for event in events if event["eventType"] == "Microsoft.Storage.BlobCreated"]
    except (ValueError, KeyError, TypeError):
        return HttpReply(400, {}, b"not an Event Grid event")
    if function not in host.worker.functions:
        return HttpReply(404, {}, b"")
    for subject in subjects:
        _, _, name = str(subject).partition("/blobs/")
        host.notify(name, function)
    return HttpReply(202, {}, b"")


@contextlib.contextmanager
def serving(host: Host, port: int = USUAL_PORT) -> Iterator[int]:
    """Serve until the block ends; give the port, which is a free one for port 0."""
    with Server(host, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="functions-http", daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
