"""Spans: what an invocation does, step by step. Without an SDK (`exporters`) they cost next to nothing.

A span says what it is about in attributes `ingest.*`, and so do those below it: the stream, the range of sequences,
files, rows and bytes. Never a row, never an error's text: only the error's type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, get_tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ingest.naming import Stream

_tracer = get_tracer("ingest")
_NOTHING: Mapping[str, str | int] = MappingProxyType({})
_about: ContextVar[Mapping[str, str | int]] = ContextVar("ingest_span_attributes", default=_NOTHING)


@contextmanager
def span(
    name: str,
    stream: Stream | None = None,
    about: Mapping[str, str | int] = _NOTHING,
    *,
    parent: Context | None = None,
) -> Iterator[Span]:
    """Tell how long a step takes, below the step that this one is part of. `about` becomes `ingest.<key>`."""
    attributes = {**_about.get(), **of_stream(stream), **{f"ingest.{key}": value for key, value in about.items()}}
    token = _about.set(attributes)
    try:
        with _tracer.start_as_current_span(
            name, context=parent, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as current:
            try:
                yield current
            except BaseException as error:
                current.set_attribute("error.type", type(error).__name__)
                current.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
    finally:
        _about.reset(token)


def of_stream(stream: Stream | None) -> dict[str, str | int]:
    """Return the attributes that name a stream."""
    if stream is None:
        return {}
    return {"ingest.workspace_id": stream.workspace_id, "ingest.dataset": stream.dataset}


def joined(trace_parent: str | None, trace_state: str | None) -> Context:
    """Return the platform's trace as the parent of an invocation (W3C Trace Context); an empty one begins anew."""
    carrier = {"traceparent": trace_parent or "", "tracestate": trace_state or ""}
    return TraceContextTextMapPropagator().extract(carrier, Context())
