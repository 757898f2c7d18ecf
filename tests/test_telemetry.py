"""Prove what leaves the app as telemetry: a whole run, in the real worker, received by a collector."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ingest import outcomes, spans, telemetry
from ingest.exporters import Plan, plan, together
from local import customerio
from local.azurite import ROOT, Azurite
from local.simulator import Misbehaviour, Simulator
from tests import factories
from tests.collector import Collector, Log, Span, collecting
from tests.test_sweep import HOUR, RETENTION, Place
from tests.verdict import query

ENGINE = "runtime" if importlib.util.find_spec("azure_functions_runtime") else "direct"
ROW = factories.parquet("deliveries", [{"delivery_id": f"{number}"} for number in range(7)])


@dataclass
class Run:
    """A run that is over: what was received, what the process printed, and what must be in neither."""

    collector: Collector
    printed: str
    warehouse: Path
    secrets: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.collector.spans() if span.name == name]


def environment(azurite: Azurite, container: str, path: Path, **more: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "AzureWebJobsStorage": azurite.connection_string,
        "EXPORT_STORAGE": azurite.connection_string,
        "EXPORT_CONTAINER": container,
        "DUCKDB_PATH": str(path),
        "OTEL_METRIC_EXPORT_INTERVAL": "600000",
        **more,
    }


def run(arguments: list[str], variables: dict[str, str], given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *arguments],
        cwd=ROOT,
        env=variables,
        input=given,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def whole(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Play a day of exports with everything that goes wrong, through the functions; some events are lost."""
    container = f"telemetry-{uuid.uuid4().hex[:12]}"
    customerio.ensure_container(azurite.connection_string, container)
    path = tmp_path_factory.mktemp("telemetry") / "warehouse.duckdb"
    simulator = Simulator(
        seed=5, people=40, history_days=2, deliveries_per_day=80, prefix="", misbehaviour=frozenset(Misbehaviour)
    )
    url = customerio.grant(azurite.connection_string, container)
    exporter = customerio.Exporter(url, prefix="exports")
    names = []
    for sync in simulator.run(0.5):
        for file in sync.files:
            exporter.write(file.name, file.content())
            names.append(f"exports/{file.name}")
    exporter.close()
    with collecting() as collector:
        variables = environment(
            azurite,
            container,
            path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            ALERT_URLS=f"json://{collector.url.removeprefix('http://')}/alerts",
        )
        done = run(["tests.telemetry_run", ENGINE], variables, "\n".join(names[::2]))
        assert done.returncode == 0, done.stderr[-3000:]
        yield Run(collector, done.stdout + done.stderr, path, secrets(simulator, url, azurite))


def secrets(simulator: Simulator, url: str, azurite: Azurite) -> set[str]:
    """Gather what belongs to people, and what opens doors."""
    truth = simulator.truth()
    mails = set(truth["people"]["email_addr"].to_pylist()) | set(truth["delivery_content"]["recipient"].to_pylist())
    bodies = {body for body in truth["delivery_content"]["body_plain"].to_pylist() if body}
    deliveries = set(truth["deliveries"]["delivery_id"].to_pylist())
    keys = set(re.findall(r"AccountKey=([^;]+)", azurite.connection_string)) | set(re.findall(r"sig=([^&]+)", url))
    assert len(mails) > 20
    assert keys
    return {text for text in mails | bodies | deliveries | keys if text}


# Quiet


def test_no_row_and_no_signature_leaves_the_app(whole: Run) -> None:
    everything = b"\n".join(body for _, body in whole.collector.posted) + whole.printed.encode()
    assert len(whole.collector.posted) > 5
    assert b"BatchLoaded" in everything
    assert b"/alerts" in b"".join(path.encode() for path, _ in whole.collector.posted)
    assert [secret for secret in whole.secrets if secret.encode() in everything] == []


# Traces


def test_every_invocation_is_joined_to_the_platforms_trace(whole: Run) -> None:
    spans = whole.collector.spans()
    known = {span.span_id for span in spans}
    outermost = [span for span in spans if span.parent_id not in known]
    counted = Counter(span.name for span in outermost)
    assert set(counted) == {"ingest_export", "sweep", "dashboard", "status"}
    assert (counted["sweep"], counted["dashboard"], counted["status"]) == (1, 4, 1)
    triggers = {"ingest_export": "datasource", "sweep": "timer", "dashboard": "http", "status": "http"}
    for span in outermost:
        # The laptop's host begins each trace with the invocation's id.
        assert span.trace_id == uuid.UUID(span.attributes["faas.invocation_id"]).hex
        assert span.parent_id == span.trace_id[16:]
        assert span.attributes["faas.trigger"] == triggers[span.name]


def test_spans_say_what_a_run_did(whole: Run) -> None:
    expected = {"drain", "claim", "list", "fetch", "contract", "load", "stage", "merge", "commit", "notify"}
    assert expected <= {span.name for span in whole.collector.spans()}
    loaded = query(whole.warehouse, "SELECT count(*) AS n FROM customerio.ingest_files WHERE loaded_at IS NOT NULL")
    good = [span for span in whole.named("load") if not span.error]
    assert sum(span.attributes["ingest.files"] for span in good) == loaded[0]["n"]
    assert all(span.attributes["ingest.first_sequence"] <= span.attributes["ingest.last_sequence"] for span in good)


def test_what_failed_says_its_kind_and_not_its_text(azurite: Azurite, container: str, tmp_path: Path) -> None:
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    exporter.write("deliveries_v4_1_3.parquet", factories.blotted(ROW))
    exporter.close()
    with collecting() as collector:
        variables = environment(
            azurite, container, tmp_path / "warehouse.duckdb", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
        )
        assert run(["ingest", "drain"], variables).returncode == 1
        failed = [span for span in collector.spans() if span.error]
    assert {span.name for span in failed} >= {"load", "stage"}
    for span in failed:
        assert re.fullmatch(r"[A-Za-z]+", span.error)
        assert span.attributes["error.type"] == span.error


def tree(spans: list[Span], parent: str) -> list[Any]:
    """Give the names below a span, in the order in which they ended, each with what is below it."""
    return [[span.name, *tree(spans, span.span_id)] for span in spans if span.parent_id == parent]


def test_the_spans_of_one_batch_are_a_tree(azurite: Azurite, container: str, tmp_path: Path) -> None:
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    exporter.write("deliveries_v4_1_3.parquet", ROW)
    exporter.write("deliveries_v4_1_5.parquet", ROW)
    exporter.close()
    with collecting() as collector:
        path = tmp_path / "warehouse.duckdb"
        variables = environment(azurite, container, path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        done = run(["ingest", "drain"], variables)
        assert done.returncode == 0, done.stderr
        spans = collector.spans()
        received = collector.logs()
    (root,) = [span for span in spans if span.name == "ingest drain"]
    assert tree(spans, root.span_id) == [
        ["list"],
        [
            "drain",
            ["claim"],
            ["list", ["commit"]],
            ["fetch"],
            ["contract"],
            ["load", ["stage"], ["merge"], ["commit"]],
            ["list"],
            ["list"],
        ],
    ]
    assert {span.trace_id for span in spans} == {root.trace_id}
    about = {
        "ingest.workspace_id": 1,
        "ingest.dataset": "deliveries",
        "ingest.first_sequence": 3,
        "ingest.last_sequence": 5,
        "ingest.files": 2,
        "ingest.rows": 14,
        "ingest.bytes": 2 * len(ROW),
    }
    (load,) = [span for span in spans if span.name == "load"]
    inner = [span for span in spans if span.span_id == load.span_id or span.parent_id == load.span_id]
    assert [span.name for span in inner] == ["stage", "merge", "commit", "load"]
    for span in inner:
        assert {name: span.attributes[name] for name in about} == about
    (batch,) = [log for log in received if log.event == "BatchLoaded"]
    assert batch.trace_id == root.trace_id
    assert batch.attributes["ingest.batch_id"] == load.attributes["ingest.batch_id"]


# Metrics

METRICS = {
    "ingest.sweep.heartbeat": ("{sweep}", "sum"),
    "ingest.sweep.duration": ("s", "histogram"),
    "ingest.files.loaded": ("{file}", "sum"),
    "ingest.files.rejected": ("{file}", "sum"),
    "ingest.files.late": ("{file}", "sum"),
    "ingest.files.deleted": ("{file}", "sum"),
    "ingest.files.pending": ("{file}", "gauge"),
    "ingest.files.pending.age": ("s", "gauge"),
    "ingest.arrival.age": ("s", "gauge"),
    "ingest.rows.read": ("{row}", "sum"),
    "ingest.rows.applied": ("{row}", "sum"),
    "ingest.bytes.loaded": ("By", "sum"),
    "ingest.batch.duration": ("s", "histogram"),
    "ingest.file.delay": ("s", "histogram"),
    "ingest.lease.losses": ("{lease}", "sum"),
    "ingest.alerts.open": ("{alert}", "gauge"),
}
NOT_IN_THE_RUN = {"ingest.files.deleted", "ingest.lease.losses"}


def test_metrics_have_their_names_units_and_kinds(whole: Run) -> None:
    found = whole.collector.metrics()
    told = {name: (metric.unit, metric.kind) for name, metric in found.items() if name.startswith("ingest.")}
    assert told == {name: METRICS[name] for name in METRICS.keys() - NOT_IN_THE_RUN}


def test_every_instrument_is_in_the_list() -> None:
    made = {
        re.sub(r"^.*\"(ingest\.[a-z.]+)\".*$", r"\1", line): line
        for line in Path(telemetry.__file__).read_text(encoding="utf-8").splitlines()
        if re.search(r"\"ingest\.[a-z]+\.[a-z.]+\", ", line)
    }
    assert {name for name in made if "alert.kind" not in name} == set(METRICS)


def test_metrics_add_up_to_what_the_checkpoint_says(whole: Run) -> None:
    found = whole.collector.metrics()
    facts = query(
        whole.warehouse,
        "SELECT dataset, count(loaded_at) AS loaded, count(*) FILTER (late) AS late, "
        "count(*) FILTER (status = 'rejected') AS rejected, coalesce(sum(rows_read), 0)::BIGINT AS read, "
        "coalesce(sum(rows_applied), 0)::BIGINT AS applied, "
        "coalesce(sum(bytes) FILTER (loaded_at IS NOT NULL), 0)::BIGINT AS bytes "
        "FROM customerio.ingest_files WHERE dataset IS NOT NULL GROUP BY ALL",
    )
    assert len(facts) == 7
    for fact in facts:
        told = {
            name: [value for about, value in found[name].points if about.get("ingest.dataset") == fact["dataset"]]
            for name in found
        }
        assert told["ingest.files.loaded"] == [fact["loaded"]]
        assert told["ingest.files.late"] == [fact["late"]]
        assert sum(told["ingest.files.rejected"]) == fact["rejected"]
        assert told["ingest.rows.read"] == [fact["read"]]
        assert told["ingest.rows.applied"] == [fact["applied"]]
        assert told["ingest.bytes.loaded"] == [fact["bytes"]]
        assert told["ingest.files.pending"] == [0]
    assert found["ingest.sweep.heartbeat"].points == [({}, 1)]
    opened = {about["ingest.alert.kind"]: value for about, value in found["ingest.alerts.open"].points}
    assert opened["files-rejected"] > 0
    assert opened["exports-stalled"] == 0


# Logs


def test_logs_are_constant_events_with_fields_in_a_trace(whole: Run) -> None:
    found = whole.collector.logs()
    names = {kind.__name__ for kind in vars(outcomes).values() if isinstance(kind, type)}
    traces = {span.trace_id for span in whole.collector.spans()}
    assert {log.event for log in found} >= {"BatchLoaded", "Discovered", "FileRejected", "AlertOpened", "SweepFinished"}
    for log in found:
        assert log.event == log.body
        assert log.event in names
        assert log.trace_id in traces
        assert {name.partition(".")[0] for name in log.attributes} == {"ingest"}
    assert {log.severity for log in found if log.event == "FileRejected"} == {"WARN"}
    rejected: Log = next(log for log in found if log.event == "FileRejected")
    assert rejected.attributes["ingest.blob_name"]
    assert rejected.attributes["ingest.reason"]


def test_a_long_list_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(
        telemetry, "_events", type("Events", (), {"emit": lambda self, **record: told.append(record)})()
    )
    late = tuple(f"{number}.parquet" for number in range(500))
    telemetry.log_outcome(
        outcomes.BatchLoaded(factories.stream(), "b", 500, late, 1, 1, 1, 1, 2, 0.5, waits=(1.0,) * 500)
    )
    (record,) = told
    assert record["attributes"]["ingest.late"].endswith("19.parquet and 480 more")
    assert "ingest.waits" not in record["attributes"]


# Where it goes


@pytest.mark.parametrize(
    ("variables", "chosen", "traces", "logs"),
    [
        ({}, (), set(), set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, (), {"otlp"}, {"otlp"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, (), {"otlp"}, set()),
        ({"APPLICATIONINSIGHTS_CONNECTION_STRING": "x"}, (), {"azure_monitor"}, {"azure_monitor"}),
        (
            {"APPLICATIONINSIGHTS_CONNECTION_STRING": "x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
            (),
            {"azure_monitor", "otlp"},
            {"azure_monitor", "otlp"},
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, (), {"console"}, set()),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, (), set(), {"otlp"}),
        ({"OTEL_TRACES_EXPORTER": "zipkin, otlp"}, (), {"otlp"}, set()),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("otlp",), {"otlp"}, {"otlp"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ("none",), set(), set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, ("otlp",), set(), set()),
    ],
)
def test_the_environment_says_where_telemetry_goes(
    variables: dict[str, str], chosen: tuple[str, ...], traces: set[str], logs: set[str]
) -> None:
    found = plan(variables, chosen)
    assert (found.traces, found.logs) == (traces, logs)
    assert bool(found) == bool(traces or logs)
    assert isinstance(found, Plan)


LOADED = "import sys; print(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"


def test_without_an_exporter_not_even_the_sdk_is_loaded(azurite: Azurite, container: str, tmp_path: Path) -> None:
    variables = environment(azurite, container, tmp_path / "warehouse.duckdb")
    code = f"from ingest.exporters import set_up; import os; set_up(os.environ); import ingest.functions; {LOADED}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


NO_SETTINGS = """
from pathlib import Path
from types import SimpleNamespace
from ingest.errors import SettingsError
from ingest.functions import Functions
try:
    trace = SimpleNamespace(trace_parent="", trace_state="")
    Functions(Path("nowhere")).sweep(SimpleNamespace(invocation_id="1", trace_context=trace))
except SettingsError:
    pass
"""


def test_a_wrong_setting_does_not_send_telemetry_where_none_was_wanted() -> None:
    variables = {"TELEMETRY": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", NO_SETTINGS + LOADED], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr


def test_the_console_shows_it_on_standard_error(azurite: Azurite, container: str, tmp_path: Path) -> None:
    done = run(["ingest", "drain"], environment(azurite, container, tmp_path / "warehouse.duckdb", TELEMETRY="console"))
    assert done.returncode == 0
    assert '"name": "claim"' not in done.stdout
    assert '"name": "list"' in done.stderr


def test_another_protocol_is_said_to_be_none_of_ours(azurite: Azurite, container: str, tmp_path: Path) -> None:
    variables = environment(azurite, container, tmp_path / "warehouse.duckdb", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    code = (
        "import logging, os; logging.basicConfig(); from ingest.exporters import set_up; "
        "set_up({**os.environ, 'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:9'}); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken here; http/protobuf is." in done.stderr


def test_a_collector_that_is_not_there_stops_nobody(azurite: Azurite, container: str, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    exporter.write("deliveries_v4_1_3.parquet", ROW)
    exporter.close()
    variables = environment(
        azurite,
        container,
        path,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    done = run(["ingest", "drain"], variables)
    assert done.returncode == 0, done.stderr
    assert query(path, "SELECT count(*) AS n FROM customerio.deliveries") == [{"n": 7}]


def test_a_collector_that_never_answers_holds_nobody_up() -> None:
    answer = threading.Event()
    done: list[str] = []
    together([lambda: done.append(f"late {answer.wait(60)}"), lambda: done.append("sent")], patience=0.2)
    assert done == ["sent"]
    answer.set()


def test_what_the_sdk_raises_while_it_sends_is_nobodys_failure() -> None:
    together([lambda: 1 // 0])


def test_a_telemetry_setting_that_cannot_be_used_is_told_and_stops_nobody(
    azurite: Azurite, container: str, tmp_path: Path
) -> None:
    variables = environment(azurite, container, tmp_path / "warehouse.duckdb")
    done = run(["ingest", "drain"], variables | {"APPLICATIONINSIGHTS_CONNECTION_STRING": "hush, no connection string"})
    assert done.returncode == 0, done.stderr
    assert "TelemetryUnusable signal=traces error=ValueError" in done.stderr
    assert "hush" not in done.stderr


def test_azure_monitor_gets_the_same(azurite: Azurite, container: str, tmp_path: Path) -> None:
    """The real exporter, to an address of ours; signing in is left out, as there is nobody to sign in to."""
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    exporter.write("deliveries_v4_1_3.parquet", ROW)
    exporter.close()
    with collecting() as collector:
        variables = environment(
            azurite,
            container,
            tmp_path / "warehouse.duckdb",
            APPLICATIONINSIGHTS_CONNECTION_STRING=(
                f"InstrumentationKey={uuid.uuid4()};IngestionEndpoint={collector.url}/;LiveEndpoint={collector.url}/"
            ),
            APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL="true",
        )
        done = run(["ingest", "sweep"], variables)
        assert done.returncode == 0, done.stderr
        sent = [
            json.loads(line)
            for path, body in collector.posted
            if path.startswith("/v2.1/track")
            for line in _plain(body).splitlines()
        ]
    items = [item for each in sent for item in (each if isinstance(each, list) else [each])]
    messages = {item["data"]["baseData"].get("message") for item in items}
    assert {"BatchLoaded", "SweepFinished"} <= messages
    names = {metric["name"] for item in items for metric in item["data"]["baseData"].get("metrics", [])}
    assert {"ingest.sweep.heartbeat", "ingest.files.loaded"} <= names
    assert {"load", "claim"} <= {item["data"]["baseData"].get("name") for item in items}


def _plain(body: bytes) -> str:
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


# Deleting


def test_deleting_has_a_span_with_its_files_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(spans, "_tracer", provider.get_tracer("ingest"))
    place = Place(tmp_path / "warehouse.duckdb")
    place.write(1)
    place.write(2)
    size = sum(blob.size for page in place.landing.pages() for blob in page)
    place.sweep()
    kept.clear()
    place.clock.pass_by(RETENTION + HOUR)
    place.sweep()
    (deleted,) = [span for span in kept.get_finished_spans() if span.name == "delete"]
    assert dict(deleted.attributes or {}) == {"ingest.files": 2, "ingest.bytes": size}
    assert place.landing.names == []
