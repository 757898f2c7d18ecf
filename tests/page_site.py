"""A small site that serves the dashboard's page as the functions do: with a key, its headers, and the documents it is given."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ingest import page
from tests import page_documents

KEY = "key-of-the-tests-5f1b"
PATH = "/api/dashboard"


@dataclass
class Asked:
    """What came with one request."""

    view: str
    key_in_address: bool
    headers: dict[str, str]


@dataclass
class Site:
    """What is answered, and what was asked."""

    data: Any = field(default_factory=page_documents.healthy)
    messages: Any = field(default_factory=page_documents.messages)
    status: int = 200
    now: datetime = page_documents.NOW
    key: str = KEY
    asked: list[Asked] = field(default_factory=list)
    origin: str = ""

    @property
    def address(self) -> str:
        return f"{self.origin}{PATH}?code={KEY}"

    def views(self) -> list[str]:
        return [each.view for each in self.asked]

    def answer(self, view: str) -> tuple[int, dict[str, str], str]:
        """Return status, headers and body."""
        match view:
            case "":
                return 200, page.headers() | {"Content-Type": "text/html; charset=utf-8"}, page.html()
            case "runbook":
                return 200, page.runbook_headers() | {"Content-Type": "text/html; charset=utf-8"}, page.runbook()
        document = {"data": self.data, "messages": self.messages}[view]
        body = document if isinstance(document, str) else json.dumps(document)
        return self.status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, body


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            view = query.get("view", "")
            site.asked.append(Asked(view, "code" in query, dict(self.headers)))
            if parts.path != PATH:
                return self.send(404, {}, "")
            # The page itself is always served: so a key that was changed since is met by its script.
            if view and site.key not in {query.get("code"), self.headers.get("x-functions-key")}:
                return self.send(401, {}, "")
            return self.send(*site.answer(view))

        def send(self, status: int, headers: dict[str, str], text: str) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(site.now, usegmt=True)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.origin = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
