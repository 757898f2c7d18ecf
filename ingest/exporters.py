"""Set the OpenTelemetry SDK up: where traces, metrics and logs go is the environment's to say.

OpenTelemetry's own variables decide, signal by signal: `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` and
`OTEL_LOGS_EXPORTER` name `otlp`, `azure_monitor`, `console` or `none`. Where one is not set, an OTLP endpoint
(`OTEL_EXPORTER_OTLP_ENDPOINT`) means `otlp` and `APPLICATIONINSIGHTS_CONNECTION_STRING` means `azure_monitor`. The
setting `TELEMETRY` goes before all of these. Endpoints, headers and intervals are read by the exporters themselves.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

EXPORTERS = ("azure_monitor", "console", "none", "otlp")
SIGNALS = ("traces", "metrics", "logs")
SERVICE = "customerio-export-ingest"

Flush = Callable[[], None]

_lock = threading.Lock()
_flush: Flush | None = None
_PROTOCOL = "http/protobuf"
_PATIENCE = 5.0
"""Seconds that sending may hold anybody up. The SDK's own limits are an exporter's ten seconds for each signal."""

_log = logging.getLogger("ingest")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which exporters each signal goes to, by name."""

    traces: frozenset[str]
    metrics: frozenset[str]
    logs: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.traces or self.metrics or self.logs)


def plan(environment: Mapping[str, str], chosen: Collection[str] = ()) -> Plan:
    """Decide where each signal goes. What is not known here (`zipkin`, ...) is left out, as the specification asks."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Plan(frozenset(), frozenset(), frozenset())
    named = [set(chosen) if chosen else _named(environment, signal) for signal in SIGNALS]
    return Plan(*(frozenset(names & set(EXPORTERS) - {"none"}) for names in named))


def set_up(environment: Mapping[str, str], chosen: Collection[str] = ()) -> Flush:
    """Set the SDK up once in the life of the process; return what sends everything at once.

    Whatever the exporters meet is theirs: telemetry that cannot be sent stops nobody.
    """
    global _flush  # noqa: PLW0603  (the SDK's providers are the process's, too)
    with _lock:
        if _flush is None:
            found = plan(environment, chosen)
            _flush = _providers(found, environment) if found else _nothing
        return _flush


def flush() -> None:
    """Send everything at once, where the SDK was set up."""
    if _flush is not None:
        _flush()


def _nothing() -> None:
    """Send nothing."""


def _named(environment: Mapping[str, str], signal: str) -> set[str]:
    given = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "")
    if given.strip():
        return {name.strip().lower() for name in given.split(",")}
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    found = {"otlp"} if any(environment.get(name) for name in endpoints) else set[str]()
    return found | ({"azure_monitor"} if environment.get("APPLICATIONINSIGHTS_CONNECTION_STRING") else set())


def _providers(found: Plan, environment: Mapping[str, str]) -> Flush:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  (a fifth of a second where nothing is exported)

    # Resource.create adds OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, which go before what the platform says.
    resource = Resource(_of_platform(environment)).merge(Resource.create(_service(environment)))
    providers: list[Any] = []
    for signal, begin, names in (
        ("traces", _traces, found.traces),
        ("metrics", _metrics, found.metrics),
        ("logs", _records, found.logs),
    ):
        try:
            if names:
                providers.append(begin(sorted(names), resource))
        except ValueError as error:  # an exporter's own variable is wrong; its words may hold what it was given
            _log.error("TelemetryUnusable signal=%s error=%s", signal, type(error).__name__)
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", _PROTOCOL)
    if "otlp" in found.traces | found.metrics | found.logs and protocol != _PROTOCOL:
        _log.warning("OTEL_EXPORTER_OTLP_PROTOCOL=%s is not spoken here; %s is.", protocol, _PROTOCOL)
    # At the end every provider would wait for its collector, one after the other.
    atexit.register(lambda: together([provider.shutdown for provider in providers]))
    return lambda: together([provider.force_flush for provider in providers])


def together(tasks: Sequence[Callable[[], object]], patience: float = _PATIENCE) -> None:
    """Run tasks side by side for so many seconds. Those that a collector keeps waiting, or that fail, are left."""

    def run(task: Callable[[], object]) -> None:
        with suppress(Exception):  # the SDK raises a bare one where metrics did not leave
            task()

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _traces(names: Sequence[str], resource: Any) -> Any:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    processors = [BatchSpanProcessor(_exporter(name, "traces")) for name in names]
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def _metrics(names: Sequence[str], resource: Any) -> Any:
    from opentelemetry import metrics  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    readers = [PeriodicExportingMetricReader(_exporter(name, "metrics")) for name in names]
    provider = MeterProvider(resource=resource, metric_readers=readers, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider


def _records(names: Sequence[str], resource: Any) -> Any:
    from opentelemetry import _logs  # noqa: PLC0415
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415

    processors = [BatchLogRecordProcessor(_exporter(name, "logs")) for name in names]
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_log_record_processor(processor)
    _logs.set_logger_provider(provider)
    # The platform collects text lines, too: those of INFO would say the same twice.
    _log.setLevel(logging.WARNING)
    return provider


def _exporter(name: str, signal: str) -> Any:
    return {"otlp": _otlp, "azure_monitor": _azure_monitor, "console": _console}[name](signal)


def _otlp(signal: str) -> Any:
    """Return OTLP over HTTP with protobuf, which needs no native library."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}[signal]()


def _azure_monitor(signal: str) -> Any:
    """Return Azure Monitor's exporter; it signs in as APPLICATIONINSIGHTS_AUTHENTICATION_STRING says."""
    from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    exporters = {
        "traces": AzureMonitorTraceExporter,
        "metrics": AzureMonitorMetricExporter,
        "logs": AzureMonitorLogExporter,
    }
    # What cannot be sent is dropped, not written to the instance's disk.
    return exporters[signal](disable_offline_storage=True)


def _console(signal: str) -> Any:
    """Return exporters to standard error: standard output belongs to the commands' answers."""
    from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

    exporters: dict[str, Any] = {
        "traces": ConsoleSpanExporter,
        "metrics": ConsoleMetricExporter,
        "logs": ConsoleLogRecordExporter,
    }
    return exporters[signal](out=sys.stderr)


def _service(environment: Mapping[str, str]) -> dict[str, Any]:
    return (
        {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": environment.get("WEBSITE_SITE_NAME", SERVICE)}
    )


def _of_platform(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what Azure says of the function app (OpenTelemetry's semantic conventions for FaaS and cloud)."""
    named = {
        "faas.name": environment.get("WEBSITE_SITE_NAME"),
        "faas.instance": environment.get("WEBSITE_INSTANCE_ID"),
        "cloud.region": environment.get("REGION_NAME"),
    }
    known = {name: value for name, value in named.items() if value}
    return {**known, "cloud.provider": "azure", "cloud.platform": "azure.functions"} if known else {}
