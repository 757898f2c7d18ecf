"""Be an OpenTelemetry collector in the test's own process: OTLP over HTTP with protobuf, and whatever else is posted."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Span:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Attributes
    error: str


@dataclass(frozen=True)
class Log:
    event: str
    body: str
    severity: str
    trace_id: str
    attributes: Attributes


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    kind: str
    points: list[tuple[Attributes, float]]
    """Attributes, and the value of a counter or gauge, or the sum of a histogram."""


@dataclass
class Collector:
    """What was posted, by path."""

    url: str
    posted: list[tuple[str, bytes]] = field(default_factory=list)

    def bodies(self, path: str) -> list[bytes]:
        return [body for at, body in self.posted if at == path]

    def spans(self) -> list[Span]:
        return [
            Span(
                name=span.name,
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                attributes=attributes(span.attributes),
                error=span.status.message,
            )
            for body in self.bodies("/v1/traces")
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def logs(self) -> list[Log]:
        return [
            Log(
                event=record.event_name,
                body=record.body.string_value,
                severity=record.severity_text,
                trace_id=record.trace_id.hex(),
                attributes=attributes(record.attributes),
            )
            for body in self.bodies("/v1/logs")
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def metrics(self) -> dict[str, Metric]:
        """Give each metric as it was exported last: counters add up over the life of the process."""
        return {
            metric.name: metric_of(metric)
            for body in self.bodies("/v1/metrics")
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def resources(self) -> list[Attributes]:
        return [
            attributes(resource.resource.attributes)
            for body in self.bodies("/v1/traces")
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        ]


def metric_of(metric: Any) -> Metric:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points
    return Metric(metric.name, metric.unit, kind, [(attributes(point.attributes), value_of(point)) for point in points])


def value_of(point: Any) -> float:
    if hasattr(point, "bucket_counts"):
        return float(point.sum)
    return float(getattr(point, point.WhichOneof("value")))


def attributes(pairs: Any) -> Attributes:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            collector.posted.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
