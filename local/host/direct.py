"""Stand in for Microsoft's Python worker where it does not exist (Python 3.11 and 3.12).

Indexes through the decorators' own API and converts payloads with the same converters as the real worker, and
refuses what the real worker refuses: names that do not match, wrong types, duplicate names, a wrong context.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import threading
import traceback
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions import meta

from local.host.engine import (
    AppRejected,
    Function,
    FunctionFailed,
    HttpCall,
    HttpReply,
    JsonText,
    Payload,
    Reference,
    trace_parent,
)

LOCAL = threading.local()


class Context(func.Context):
    """Tell a function about its invocation; the platform's retries are empty here."""

    def __init__(self, invocation_id: str, name: str, directory: str) -> None:
        self._invocation_id, self._name, self._directory = invocation_id, name, directory

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        return LOCAL

    @property
    def function_name(self) -> str:
        return self._name

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> Any:
        return TraceContext(trace_parent(self._invocation_id))

    @property
    def retry_context(self) -> Any:
        return RetryContext()


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Carry the host's trace (W3C Trace Context)."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RetryContext:
    """Say that this is the first attempt."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True, slots=True)
class Callee:
    """A user's function with what is needed to call it."""

    run: Callable[..., Any]
    argument: str
    argument_type: type | None
    deferred: bool
    wants_context: bool
    returns: bool


class DirectEngine:
    """Hold the indexed functions of one app."""

    def __init__(self, app_dir: Path) -> None:
        self._directory = str(app_dir)
        forget_app()
        try:
            indexed = [index(built) for built in import_app()]
        except Exception as error:
            forget_app()
            raise AppRejected(f"{type(error).__name__}: {error}") from error
        self.functions: Mapping[str, Function] = {function.name: function for function, _ in indexed}
        self._callees = {function.name: callee for function, callee in indexed}

    def call(self, function: Function, payload: Payload, invocation_id: str) -> HttpReply | None:
        """Convert the payload, run the function in the calling thread, convert its answer."""
        callee = self._callees[function.name]
        try:
            arguments = {callee.argument: decode(function, callee, payload)}
            if callee.wants_context:
                arguments["context"] = Context(invocation_id, function.name, self._directory)
            answer = callee.run(**arguments)
            if inspect.iscoroutine(answer):
                answer = asyncio.run(answer)
            if answer is not None and not callee.returns:
                raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
        except Exception as error:
            raise FunctionFailed(f"{type(error).__name__}: {error}", traceback.format_exc()) from error
        return encode(answer) if callee.returns and answer is not None else None

    def close(self) -> None:
        """Forget the app, as a new process would."""
        forget_app()


def import_app() -> list[Any]:
    """Import `function_app` and give the functions its one FunctionApp built."""
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) > 1:
        raise ValueError("More than one FunctionApp or other top level function app instances are defined.")
    if not apps:
        raise ValueError("Could not find top level function app instances in function_app.py.")
    found = list(apps[0].get_functions())
    if not found:
        raise ValueError("function_app.py defines no functions.")
    return found


def index(built: Any) -> tuple[Function, Callee]:
    """Check one function as the platform's worker does and describe it."""
    name, run = built.get_function_name(), built.get_user_function()
    hints = typing.get_type_hints(run)
    parameters = set(inspect.signature(run).parameters)
    bound = {binding.name: binding for binding in built.get_bindings()}
    trigger = built.get_trigger()
    wants_context = "context" in parameters and "context" not in bound
    if wants_context:
        parameters.discard("context")
        if "context" in hints and getattr(hints["context"], "__name__", "") != "Context":
            raise TypeError(f"cannot load the {name} function: context must be an azure.functions.Context")
    # Outputs with an implicit return (HTTP) are no parameters.
    returning = {"$return"} | {n for n, b in bound.items() if b.type == "http" and b.direction == 1}
    if parameters - set(bound):
        raise TypeError(
            f"cannot load the {name} function: declared in Python but not in the function definition: "
            f"{sorted(parameters - set(bound))}"
        )
    if set(bound) - parameters - returning:
        raise TypeError(
            f"cannot load the {name} function: declared as bindings but not present in Python: "
            f"{sorted(set(bound) - parameters - returning)}"
        )
    hint = hints.get(trigger.name)
    deferred = is_sdk_type(hint)
    check_type(name, trigger, hint, deferred)
    texts = []
    for binding in built.get_bindings():
        described = json.loads(json.dumps(binding.get_dict_repr(), default=str))
        if deferred and binding is trigger:
            described["properties"] = {"SupportsDeferredBinding": True}
        texts.append(json.dumps(described))
    callee = Callee(run, trigger.name, hint, deferred, wants_context, bool(returning & set(bound)))
    return Function.from_raw(name, texts), callee


def is_sdk_type(hint: Any) -> bool:
    """Say whether the argument is one for which the platform sends a reference in place of the payload."""
    base = sys.modules.get("azurefunctions.extensions.base")
    return base is not None and bool(base.get_binding_registry().check_supported_type(hint))


def converter(trigger_type: str, deferred: bool) -> Any:
    """Give the library's converter for a trigger; None for one it does not know."""
    if deferred:
        return sys.modules["azurefunctions.extensions.base"].get_binding_registry().get(trigger_type)
    return registry().get(trigger_type)


def registry() -> Any:
    """Give the library's table of converters."""
    return func.get_binding_registry()  # type: ignore[no-untyped-call]


def check_type(name: str, trigger: Any, hint: Any, deferred: bool) -> None:
    """Refuse an annotation that the trigger's converter does not take."""
    takes = converter(trigger.type, deferred)
    if hint is not None and takes is not None and not takes.check_input_type_annotation(hint):
        raise TypeError(
            f"cannot load the {name} function: type of {trigger.name} binding in the binding decorator "
            f'"{trigger.type}" does not match its Python annotation "{getattr(hint, "__name__", hint)}"'
        )


def decode(function: Function, callee: Callee, payload: Payload) -> Any:
    """Turn a payload into the function's argument with the library's own converter."""
    takes = converter(function.trigger_type, callee.deferred)
    if callee.deferred:
        return takes.decode(to_datum(payload), trigger_metadata={}, pytype=callee.argument_type)
    return takes.decode(to_datum(payload), trigger_metadata={})


def to_datum(payload: Payload) -> meta.Datum:
    """Put a payload into the library's own envelope."""
    match payload:
        case JsonText(text):
            return meta.Datum(text, "json")
        case HttpCall():
            value = {
                "method": meta.Datum(payload.method, "string"),
                "url": meta.Datum(payload.url, "string"),
                "headers": {key: meta.Datum(text, "string") for key, text in payload.headers.items()},
                "query": {key: meta.Datum(text, "string") for key, text in payload.query.items()},
                "params": {key: meta.Datum(text, "string") for key, text in payload.route.items()},
                "body": meta.Datum(payload.body, "bytes"),
            }
            return meta.Datum(value, "http")
        case Reference():
            return meta.Datum(payload, "model_binding_data")
        case str():
            return meta.Datum(payload, "string")


def encode(answer: Any) -> HttpReply:
    """Read an HTTP function's answer as the host would."""
    datum = registry().get("http").encode(answer, expected_type=None)
    if datum.type == "string":
        return HttpReply(200, {"content-type": "text/plain; charset=utf-8"}, datum.value.encode())
    headers = {key: text.value for key, text in datum.value["headers"].items()}
    return HttpReply(int(datum.value["status_code"].value), headers, datum.value["body"].value)


def forget_app() -> None:
    """Let the next import of `function_app` read it afresh."""
    sys.modules.pop("function_app", None)
    importlib.invalidate_caches()
