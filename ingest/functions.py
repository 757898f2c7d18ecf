"""What the bindings call: each function in a span of its own, joined to the platform's trace; answers for HTTP."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ingest import page
from ingest.errors import IngestError
from ingest.exporters import flush, set_up
from ingest.settings import environment_of_process, read_settings
from ingest.spans import joined, span
from ingest.status import document, trouble
from ingest.wiring import App, build

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class TraceContext(Protocol):
    """The platform's trace, as W3C Trace Context."""

    @property
    def trace_parent(self) -> str:
        """The `traceparent` header."""
        ...

    @property
    def trace_state(self) -> str:
        """The `tracestate` header."""
        ...


class Invocation(Protocol):
    """What the platform says of one call."""

    @property
    def invocation_id(self) -> str:
        """Its id."""
        ...

    @property
    def trace_context(self) -> Any:
        """A TraceContext."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status_code: int
    body: str
    headers: Mapping[str, str]


class Functions:
    """The functions of one app. The first call reads the settings and puts the parts together."""

    def __init__(self, local_file: Path) -> None:
        self._local_file = local_file

    def ingest_export(self, blob_name: str, invocation: Invocation) -> None:
        """Drain the stream of a blob that an event named."""
        with self._traced("ingest_export", "datasource", invocation):
            self._app.drain_blob(blob_name)

    def sweep(self, invocation: Invocation) -> None:
        """Do the timer's round. Its telemetry leaves at once: nobody knows how long the instance lives on."""
        try:
            with self._traced("sweep", "timer", invocation):
                self._app.sweep_once()
        finally:
            flush()

    def status(self, invocation: Invocation) -> Answer:
        """Answer where every stream stands, as JSON."""
        with self._traced("status", "http", invocation):
            return _told(lambda: document(self._app.status()))

    def dashboard(self, view: str | None, invocation: Invocation) -> Answer:
        """Answer the page, or what it asks for."""
        with self._traced("dashboard", "http", invocation):
            match view:
                case None:
                    return Answer(200, page.html(), {**_HTML, **page.headers()})
                case "runbook":
                    return Answer(200, page.runbook(), {**_HTML, **page.runbook_headers()})
                case "data":
                    return _told(lambda: self._app.overview())  # noqa: PLW0108  (the first call may fail over a setting)
                case "messages":
                    return _told(lambda: self._app.messages())  # noqa: PLW0108
                case _:
                    return Answer(404, json.dumps({"version": 1, "trouble": "There is no such view."}), _JSON)

    @contextmanager
    def _traced(self, name: str, trigger: str, invocation: Invocation) -> Iterator[None]:
        with suppress(IngestError):  # the SDK has to stand before the first span; who needs the app meets the error
            _ = self._app
        trace: TraceContext = invocation.trace_context
        with span(name, parent=joined(trace.trace_parent, trace.trace_state)) as current:
            current.set_attributes({"faas.trigger": trigger, "faas.invocation_id": invocation.invocation_id})
            yield

    @functools.cached_property
    def _app(self) -> App:
        environment = environment_of_process()
        settings = read_settings(environment, self._local_file)
        set_up(environment, settings.telemetry)
        # It writes every request's headers at INFO.
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        return build(settings, environment=environment)


def _told(tell: Callable[[], dict[str, Any]]) -> Answer:
    try:
        return Answer(200, json.dumps(tell()), _JSON)
    except IngestError as error:
        return Answer(503, json.dumps(trouble(error)), _JSON)
