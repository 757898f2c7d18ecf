"""Run an app in Microsoft's own Python worker (`azure-functions-runtime`), with plain objects for gRPC."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import azure_functions_runtime as worker
from azure_functions_runtime.bindings import meta

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

T = TypeVar("T")


class Message(SimpleNamespace):
    """Stand for any protobuf message: fields by keyword, and None where a field was never set."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class TypedData:
    """Stand for the protobuf union of payloads: exactly one field, named by WhichOneof."""

    def __init__(self, **fields: Any) -> None:
        ((self.kind, self.value),) = fields.items()
        setattr(self, self.kind, self.value)

    def WhichOneof(self, group: str) -> str:
        return self.kind


class ParameterBinding:
    """Stand for one named argument of an invocation."""

    def __init__(self, name: str, data: TypedData) -> None:
        self.name = name
        self.data = data

    def WhichOneof(self, group: str) -> str:
        return "data"


class StatusResult(Message):
    """Stand for the outcome of a request."""

    Failure, Success = 0, 1


class BindingInfo(Message):
    """Stand for a declared binding; the numbers are those of the platform's protocol."""

    inout, out, undefined = 2, 1, 0


class RpcHttpCookie(Message):
    """Stand for a cookie; the numbers are those of the platform's protocol."""

    SameSite = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


PLAIN = (
    "FunctionLoadResponse",
    "FunctionMetadataResponse",
    "InvocationResponse",
    "NullableBool",
    "NullableDouble",
    "NullableString",
    "NullableTimestamp",
    "RpcException",
    "RpcFunctionMetadata",
    "RpcHttp",
    "RpcRetryOptions",
    "Timestamp",
    "WorkerInitResponse",
    "WorkerMetadata",
)
PROTOS = SimpleNamespace(
    **dict.fromkeys(PLAIN, Message),
    BindingInfo=BindingInfo,
    ParameterBinding=ParameterBinding,
    RpcHttpCookie=RpcHttpCookie,
    StatusResult=StatusResult,
    TypedData=TypedData,
)


def typed(payload: Payload) -> TypedData:
    """Put a payload into the form in which the host sends it."""
    match payload:
        case Reference():
            return TypedData(model_binding_data=payload)
        case JsonText(text):
            return TypedData(json=text)
        case HttpCall():
            http = Message(
                method=payload.method,
                url=payload.url,
                headers=payload.headers,
                query=payload.query,
                params=payload.route,
                body=TypedData(bytes=payload.body),
            )
            return TypedData(http=http)
        case str():
            return TypedData(string=payload)


def reply(answer: TypedData | None) -> HttpReply | None:
    """Read what a function returned, when it is an HTTP answer."""
    if answer is None:
        return None
    if answer.kind == "http":
        http = answer.value
        return HttpReply(int(http.status_code), dict(http.headers), bytes(http.body.value))
    text = answer.value
    body = text if isinstance(text, bytes) else str(text).encode()
    return HttpReply(200, {"content-type": "text/plain; charset=utf-8"}, body)


class RuntimeEngine:
    """Own the worker's event loop and its process-wide state; one at a time in a process."""

    def __init__(self, app_dir: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="functions-worker", daemon=True)
        self._thread.start()
        forget_app()
        worker.start_threadpool_executor()
        try:
            self.functions: Mapping[str, Function] = self._index(app_dir)
        except BaseException:
            self.close()
            raise

    def call(self, function: Function, payload: Payload, invocation_id: str) -> HttpReply | None:
        """Send an invocation request and wait for its response."""
        invocation = Message(
            invocation_id=invocation_id,
            function_id=self._ids[function.name],
            input_data=[ParameterBinding(str(function.trigger["name"]), typed(payload))],
            trigger_metadata={},
            trace_context=Message(trace_parent=trace_parent(invocation_id), trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0),
        )
        answer = self._run(worker.invocation_request(Message(request=Message(invocation_request=invocation))))
        if answer.result.status != StatusResult.Success:
            raise FunctionFailed(answer.result.exception.message, answer.result.exception.stack_trace)
        return reply(answer.return_value)

    def close(self) -> None:
        """Stop the worker's threads and forget the app."""
        worker.stop_threadpool_executor()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        forget_app()

    def _run(self, request: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(request, self._loop).result()

    def _index(self, app_dir: Path) -> dict[str, Function]:
        init = Message(capabilities={}, function_app_directory=str(app_dir))
        started = self._run(
            worker.worker_init_request(
                Message(
                    request=Message(worker_init_request=init),
                    properties={"host": "127.0.0.1", "protos": PROTOS},
                )
            )
        )
        if started.result.status != StatusResult.Success:
            raise AppRejected(started.result.exception.message)
        listed = self._run(worker.functions_metadata_request(Message(request=Message())))
        if not listed.function_metadata_results:
            raise AppRejected(f"no function_app.py with functions in {app_dir.name}/")
        self._ids: dict[str, str] = {}
        functions = {}
        for found in listed.function_metadata_results:
            load = Message(request=Message(function_load_request=Message(function_id=found.function_id)))
            self._run(worker.function_load_request(load))
            self._ids[found.name] = found.function_id
            functions[found.name] = Function.from_raw(found.name, found.raw_bindings)
        return functions


def forget_app() -> None:
    """Put the worker's process-wide state back: the platform starts a process per app, tests do not."""
    sys.modules.pop("function_app", None)
    importlib.invalidate_caches()
    # It remembers for good that an app before this one had no SDK types.
    meta._DEFERRED_BINDING_REGISTRY_LOADED = meta.DEFERRED_BINDING_REGISTRY is not None
