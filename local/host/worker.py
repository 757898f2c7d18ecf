"""Index an app as the platform would and call its functions by trigger."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from local.host.engine import (
    WHOLE_BLOB,
    AppRejected,
    Engine,
    Function,
    FunctionFailed,
    HttpCall,
    HttpReply,
    JsonText,
    Payload,
    Reference,
    load_engine,
    new_invocation_id,
)
from local.host.routes import match_route

log = logging.getLogger(__name__)
ONE_APP = threading.Lock()
"""The environment, `sys.path` and the worker's registry belong to the process: one open app at a time."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Call the functions of one indexed app, from any thread."""

    engine: Engine
    route_prefix: str = "api"

    @property
    def functions(self) -> Mapping[str, Function]:
        """Give the indexed functions by name."""
        return self.engine.functions

    def of_type(self, trigger_type: str) -> list[Function]:
        """Give the functions with that trigger, such as `blobTrigger`."""
        return [function for function in self.functions.values() if function.trigger_type == trigger_type]

    def invoke_blob(self, function: str, container: str, name: str) -> None:
        """Tell a blob function of a blob, by name only.

        Raises FunctionFailed when the function raises, and AppRejected for a binding that would make the
        platform send the whole blob.
        """
        found = self._function(function, "blobTrigger")
        if not found.by_reference:
            raise AppRejected(f"{function}: {WHOLE_BLOB}")
        self._call(found, Reference(str(found.trigger["connection"]), container, name))

    def invoke_timer(self, function: str, *, past_due: bool = False) -> None:
        """Let a timer function run now."""
        document = {"IsPastDue": past_due, "ScheduleStatus": {}, "Schedule": {"AdjustForDST": True}}
        self._call(self._function(function, "timerTrigger"), JsonText(json.dumps(document)))

    def invoke_queue(self, function: str, message: str) -> None:
        """Hand a queue function one message."""
        self._call(self._function(function, "queueTrigger"), message)

    def invoke_http(
        self,
        route: str,
        method: str = "GET",
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpReply:
        """Ask the HTTP function of that route; 404 and 405 as the platform would, 500 when it raises.

        The function key is not checked: this is a laptop.
        """
        matches = [(f, found) for f in self.of_type("httpTrigger") if (found := match_route(f, route)) is not None]
        allowed = [(f, found) for f, found in matches if not f.trigger.get("methods") or method in methods_of(f)]
        if not allowed:
            return HttpReply(405 if matches else 404, {}, b"")
        function, route_values = allowed[0]
        query = dict(params or {})
        url = f"http://localhost/{self.route_prefix}/{route}" + (f"?{urlencode(query)}" if query else "")
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        try:
            reply = self._call(function, HttpCall(method, url, query, route_values, lowered, body))
        except FunctionFailed as failed:
            log.error("%s failed: %s", function.name, failed)
            return HttpReply(500, {}, b"")
        return reply or HttpReply(204, {}, b"")

    def _call(self, function: Function, payload: Payload) -> HttpReply | None:
        return self.engine.call(function, payload, new_invocation_id())

    def _function(self, name: str, trigger_type: str) -> Function:
        found = self.functions.get(name)
        if found is None or found.trigger_type != trigger_type:
            known = ", ".join(sorted(function.name for function in self.of_type(trigger_type))) or "none"
            raise LookupError(f"no {trigger_type} function {name!r} (there is: {known})")
        return found


def methods_of(function: Function) -> list[str]:
    """Give the methods an HTTP function takes, in capitals."""
    return [str(method).upper() for method in function.trigger.get("methods", ())]


@contextlib.contextmanager
def open_worker(
    app_dir: Path, settings: Mapping[str, str], kind: str | None = None, *, route_prefix: str = "api"
) -> Iterator[Worker]:
    """Index the app in this process with those settings in the environment, which is put back at the end.

    Takes the real runtime where it is installed (`kind` "runtime"), else the stand-in ("direct"). Of the
    app's modules only `function_app` is imported afresh: state kept in other modules outlives the worker.
    Raises AppRejected when the platform would find no functions.
    """
    kind = kind or ("runtime" if importlib.util.find_spec("azure_functions_runtime") else "direct")
    if not ONE_APP.acquire(blocking=False):
        raise RuntimeError("another worker is open in this process; close it first")
    before = dict(os.environ)
    os.environ.update(settings)
    sys.path.insert(0, str(app_dir))
    try:
        engine = load_engine(app_dir, kind)
        try:
            yield Worker(engine, route_prefix)
        finally:
            engine.close()
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(app_dir))
        os.environ.clear()
        os.environ.update(before)
        ONE_APP.release()
